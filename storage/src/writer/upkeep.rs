//! What a commit does beside storing what has come: old messages, an order to forget, full tables.

use std::sync::Arc;

use redb::{Database, Error};

use crate::batch::{Batch, Stored};
use crate::bucket::Span;
use crate::clock::Now;
use crate::counts::Changed;
use crate::event::{Seq, Time};
use crate::evict::{Eviction, Left};
use crate::forget::{Forgetting, Touched};
use crate::import::Importing;
use crate::limits::CLOCK_JUMP_NS;
use crate::order::Order;
use crate::peers::Peers;
use crate::retain::Aged;
use crate::tables::State;
use crate::view::View;
use crate::writer::Writer;

impl Writer {
    /// Takes an order on, when [`Writer::takes_orders`]: one is carried out at a time.
    pub(crate) fn take_order(&mut self, order: Order) {
        match order {
            Order::Forget(subject, done) => {
                let known = self.peers_next.as_ref().unwrap_or(&self.peers);
                if let Some(rest) = known.without(&subject) {
                    self.peers_next = Some(Arc::new(rest));
                }
                self.forgetting = Some(Forgetting::new(subject, done));
            }
            Order::Import(import, done) => self.importing = Some(Importing::new(import, done)),
            Order::Peers(peers) => self.peers_next = Some(peers),
        }
    }

    /// What other nodes say now, if that is news.
    pub(super) fn take_peers(&mut self, now: Time) -> Option<Arc<Peers>> {
        let next = self.peers_next.take()?.told_after(&self.peers, now);
        if next == *self.peers {
            return None;
        }
        self.peers = Arc::new(next);
        Some(self.peers.clone())
    }

    /// Whether the next order can be taken on. None while a commit is to be stored: what was ingested after
    /// it began is in no block of it, and would escape an order to forget that began with its end.
    pub(crate) fn takes_orders(&self) -> bool {
        self.prepared.is_none() && self.may_run_ahead()
    }

    /// Whether events may be ingested before the commit that has begun has ended.
    pub(crate) fn may_run_ahead(&self) -> bool {
        self.forgetting.is_none() && self.importing.is_none()
    }

    /// By how many bytes the log is larger than it may be, without what has expired and is yet to be
    /// deleted.
    pub(super) fn excess_bytes(&self) -> u64 {
        self.log_bytes.saturating_sub(self.expiry.bytes()).saturating_sub(self.log_bytes_max)
    }

    /// Takes messages out of old blocks.
    pub(super) fn strip(
        &mut self,
        db: &Database,
        closed: Seq,
        now: Now,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let excess = self.excess_bytes();
        let before = self.stripper.through();
        batch.blocks.extend(self.stripper.slice(db, closed, now, excess)?);
        let through = self.stripper.through();
        batch.stripped = (through > before).then_some(through);
        Ok(())
    }

    /// Erases some of what is to be forgotten, as soon as all that came before the order is stored in
    /// blocks that are closed.
    pub(super) fn forget(&mut self, db: &Database, batch: &mut Batch) -> Result<Touched, Error> {
        let is_settled = self.pending_events() == 0;
        let Some(forgetting) = &mut self.forgetting else { return Ok(Touched::default()) };
        if forgetting.is_new() && is_settled {
            forgetting.begin(self.last);
            self.begin_block();
        }
        // Borrowed again, for the block that began is another part of the writer.
        let Some(forgetting) = &mut self.forgetting else { return Ok(Touched::default()) };
        forgetting.slice(db, &mut self.counts, self.expiry.through(), batch)
    }

    /// Takes in what is to be imported, once.
    pub(super) fn import(&mut self, db: &Database, now: Now) -> Result<(), Error> {
        let Some(mut importing) = self.importing.take_if(|order| order.taken.is_none()) else {
            return Ok(());
        };
        let oldest = now.expiry.minus_ns(self.retention_ns);
        let chosen = View::new(db).and_then(|view| importing.choose(&view, oldest, now));
        if let Ok(chosen) = &chosen {
            let taken = chosen.iter().map(|at| {
                let (id, event) = importing.event(*at);
                (id, self.append_event(&event))
            });
            importing.taken = Some(taken.collect());
        }
        self.importing = Some(importing);
        chosen.map(drop)
    }

    /// Whether the last block is to be closed for what is to be forgotten.
    pub(super) fn forgets_anew(&self) -> bool {
        self.forgetting.as_ref().is_some_and(Forgetting::is_new)
    }

    /// Takes the row of what is to be forgotten out of its table.
    pub(super) fn forget_row(&mut self, publication: u32, state: State, batch: &mut Batch) -> bool {
        let Some(forgetting) = &mut self.forgetting else { return false };
        let mut eviction = Eviction { sweeper: &self.sweeper, publication, state, batch };
        forgetting.take_row(&mut self.counts, &mut eviction)
    }

    /// Looks again what the log takes: after the disk has failed nobody knows which commit the file has. What
    /// the commit that failed took out has expired, although it is not stored yet.
    pub(crate) fn measure(&mut self, db: &Database) -> Result<(), Error> {
        let (all, expired) = View::new(db)?.log_bytes(self.expiry.through())?;
        self.log_bytes = all;
        self.expiry.set_bytes(expired);
        Ok(())
    }

    /// What follows a durable commit for the log and for orders.
    pub(super) fn keep_up(&mut self, stored: Stored) {
        self.deletes_more = stored.deletes_more;
        self.log_bytes = (self.log_bytes + stored.added_bytes).saturating_sub(stored.freed_bytes);
        self.expiry.deleted(stored.deleted_bytes);
        self.shared.stats.log_bytes.set(self.log_bytes);
        self.tell();
    }

    /// Says of orders that are carried out, and stored if there was anything to store, that they are.
    pub(super) fn tell(&mut self) {
        if let Some(done) = self.importing.take_if(|order| order.taken.is_some()) {
            done.tell();
        }
        if let Some(done) = self.forgetting.take_if(|order| order.is_done()) {
            done.tell();
        }
    }

    /// Takes rows out of full tables.
    pub(super) fn make_room(
        &mut self,
        publication: u32,
        state: State,
        batch: &mut Batch,
    ) -> [Left; 3] {
        let mut eviction = Eviction { sweeper: &self.sweeper, publication, state, batch };
        let left = self.evictor.slice(&mut self.counts, &mut eviction);
        for (total, left) in self.counts.totals.evicted.iter_mut().zip(&left) {
            *total += left.events;
        }
        left
    }

    /// The times that rows may have.
    pub(super) fn span(&self, now: Now) -> Span {
        let newest = now.time.0.saturating_add(CLOCK_JUMP_NS);
        Span {
            oldest: now.expiry.minus_ns(self.retention_ns),
            newest: if now.is_sure { Time(newest) } else { Time(u64::MAX) },
        }
    }

    pub(super) fn note(&mut self, changed: Changed, aged: Aged, left: &[Left; 3], generation: u64) {
        if changed.sources || aged.sources || left[0] != Left::default() {
            self.changed.sources = generation;
        }
        if changed.numbers || aged.numbers || left[1] != Left::default() {
            self.changed.numbers = generation;
        }
        let stats = &self.shared.stats;
        stats.rows_expired.add(aged.rows);
        for (at, (left, table)) in
            left.iter().zip(["sources", "numbers", "user agents"]).enumerate()
        {
            let stat = &stats.events_evicted[at];
            if left.events > 0 && stat.get() == 0 {
                log::warn!(
                    "the table of {table} is full: for newcomers those leave it that were never \
                     proven and not seen for the longest time; their events stay in the log \
                     (sentrypeer_writer_rows_evicted_total counts them)"
                );
            }
            stat.add(left.events);
            for (stat, rows) in stats.rows_evicted[at].iter().zip(left.rows) {
                stat.add(rows);
            }
        }
    }
}
