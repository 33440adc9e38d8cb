//! Batches in, one commit out: the only thing that writes.
//!
//! `Writer` has no thread, and is told what time it is: it looks at a clock itself only to measure how
//! long a commit takes. `ingest` packs the events of an arena into a block and counts
//! them; `commit` stores what has come, durably, and then publishes it. A commit that fails is kept
//! as it is and made again by the next call.
//!
//! A commit has two halves. `begin_commit` decides what is stored, `end_commit` publishes it when it is.
//! What is ingested in between comes with the next one: so the batch can be stored on another thread,
//! and nobody waits for the disk. Only while an order is carried out nothing may be ingested in between.
//! The threads around it are in `run.rs` and `committer.rs`.

mod ingest;
mod upkeep;

use std::sync::Arc;
use std::time::Instant;

use redb::{Database, Error};

use crate::arena::Arena;
use crate::batch::{self, Batch, Stored};
use crate::clock::Now;
use crate::counts::Counts;
use crate::event::{Seq, Time};
use crate::evict::{Evictor, Left};
use crate::forget::{Forgetting, Touched};
use crate::import::Importing;
use crate::limits::ROLLUP_HOURS_MAX;
use crate::load::{Loaded, REPLAYED};
use crate::packing::{Open, Packing};
use crate::peers::Peers;
use crate::repeat::Repeats;
use crate::retain::{AgeOut, Expiry};
use crate::rollup::Hour;
use crate::shed::Heavy;
use crate::snapshot::Snapshot;
use crate::store::{Options, Shared};
use crate::strip::Stripper;
use crate::sweep::Sweeper;
use crate::tables::{self, Origin, State};

/// The writer of one database.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    origin: Origin,
    retention_ns: u64,
    /// What the last durable commit left.
    pub(crate) state: State,
    /// The last generation that was published, or is to be with the next commit.
    generation: u64,
    /// The last event that was ingested.
    last: Seq,
    /// Events that are stored, with those that repeats stand for.
    stored: u64,
    pub(crate) counts: Counts,
    /// The publication in which something last changed, counted from the start of the process.
    pub(crate) publication: u32,
    changed: ChangedIn,
    /// The last block of the log. Its events may be stored already: it is written again with those
    /// that have come since, until it is large or old.
    open: Open,
    /// Blocks before it that are not stored.
    packing: Packing,
    pub(crate) sweeper: Sweeper,
    pub(crate) expiry: Expiry,
    age_out: AgeOut,
    evictor: Evictor,
    heavy: Heavy,
    /// What [`Writer::ingest`] makes repeats in, and what it lays out records in; both empty otherwise.
    repeats: Repeats,
    scratch: Arena,
    stripper: Stripper,
    /// What the blocks take in the file, in bytes, and what they may.
    log_bytes: u64,
    log_bytes_max: u64,
    /// The least by which the log was too large since the start.
    excess_least: u64,
    rollup_hours: u32,
    /// The order that is being carried out.
    forgetting: Option<Forgetting>,
    importing: Option<Importing>,
    /// What other nodes say, and what they say since that was published.
    peers: Arc<Peers>,
    peers_next: Option<Arc<Peers>>,
    /// Whether there are more blocks to delete than the last commit did.
    deletes_more: bool,
    prepared: Option<Prepared>,
}

/// A commit that has not succeeded yet.
struct Prepared {
    batch: Arc<Batch>,
    snapshot: Option<Arc<Snapshot>>,
    begun: Instant,
    /// The last block of the log will not be written again.
    closes: bool,
}

/// Generations in which something last changed.
#[derive(Clone, Copy)]
struct ChangedIn {
    sources: u64,
    numbers: u64,
}

impl Writer {
    /// A writer that goes on where the database ended, and publishes what is in it.
    pub(crate) fn new(shared: Arc<Shared>, options: &Options, loaded: Loaded, now: Time) -> Self {
        let Loaded {
            origin,
            state,
            counts,
            cursors,
            peers,
            stripped,
            log_bytes: (log_bytes, expired_bytes),
            ..
        } = loaded;
        let retention_ns = options.retention_ns;
        shared.cursors.load(cursors);
        // A new one although nothing is new: the policy may be another than in the last process. The
        // first commit stores it, or the next process would give it too.
        let generation = state.generation + 1;
        let writer = Self {
            shared,
            origin,
            retention_ns,
            state,
            generation,
            last: state.last,
            stored: counts.totals.events(),
            counts,
            publication: REPLAYED,
            changed: ChangedIn { sources: generation, numbers: generation },
            open: Open { first: Seq(state.last.0 + 1), ..Open::default() },
            packing: Packing::new(),
            sweeper: Sweeper::new(),
            expiry: Expiry::new(state.expired, expired_bytes, retention_ns),
            age_out: AgeOut::default(),
            evictor: Evictor::default(),
            heavy: Heavy::default(),
            repeats: Repeats::default(),
            scratch: Arena::default(),
            stripper: Stripper::new(stripped, options.messages_ns),
            log_bytes,
            log_bytes_max: options.log_bytes_max,
            excess_least: u64::MAX,
            rollup_hours: options.rollup_hours.min(ROLLUP_HOURS_MAX),
            forgetting: None,
            importing: None,
            peers: Arc::new(peers),
            peers_next: None,
            deletes_more: false,
            prepared: None,
        };
        let shown = State { generation, ..state };
        writer.shared.publish(Arc::new(writer.snapshot(shown, now)));
        writer
    }

    /// Whether there is something to do at the next commit, and not only when something expires.
    pub(crate) fn is_busy(&self) -> bool {
        self.prepared.is_some()
            || self.pending_events() > 0
            || self.generation > self.state.generation
            || self.sweeper.is_active()
            || self.expiry.is_active()
            || self.age_out.is_active()
            || self.deletes_more
            || self.forgetting.is_some()
            || self.importing.is_some()
            || self.peers_next.is_some()
            || self.stripper.is_active()
            || self.shared.cursors.has_changed()
    }

    /// Events that are not stored durably, with those that repeats stand for.
    pub(crate) fn pending_events(&self) -> u64 {
        self.counts.totals.events() - self.stored
    }

    /// How far the rows are stored: when two commits leave it as it is, they are all stored, or as far as
    /// they will be.
    pub(crate) fn swept_through(&self) -> (Seq, Seq, usize) {
        (self.state.watermark, self.state.swept, self.sweeper.done())
    }

    /// Whether this is the database that the writer has written: the same one, as the last commit
    /// or the one that failed left it.
    pub(crate) fn knows(&self, db: &Database) -> Result<bool, Error> {
        let origin = tables::origin(db)?;
        let state = crate::view::View::new(db)?.state()?;
        let failed = self.prepared.as_ref().map(|prepared| prepared.batch.state.last);
        let known = state.last == self.state.last || Some(state.last) == failed;
        Ok(known && origin.database_id == self.origin.database_id)
    }

    /// Stores what has come and publishes it. Does nothing when there is nothing to do.
    ///
    /// # Errors
    ///
    /// When the database refuses. The next call makes the same commit again.
    pub(crate) fn commit(&mut self, db: &Database, now: impl Into<Now>) -> Result<(), Error> {
        if let Some(batch) = self.begin_commit(db, now)? {
            let stored = batch::store(db, &batch)?;
            self.end_commit(stored);
        }
        Ok(())
    }

    /// What is to be stored: the commit that failed, if one did, else what has come. `None` when there is
    /// nothing to do.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub(crate) fn begin_commit(
        &mut self,
        db: &Database,
        now: impl Into<Now>,
    ) -> Result<Option<Arc<Batch>>, Error> {
        if self.prepared.is_none() {
            self.prepared = self.prepare(db, now.into())?;
        }
        let Some(prepared) = &mut self.prepared else {
            self.tell();
            return Ok(None);
        };
        prepared.begun = Instant::now();
        Ok(Some(prepared.batch.clone()))
    }

    /// The commit that was begun is stored durably: it is published.
    pub(crate) fn end_commit(&mut self, stored: Stored) {
        if let Some(prepared) = self.prepared.take() {
            self.finish(prepared);
        }
        self.keep_up(stored);
    }

    /// Decides what the commit changes. What can fail stands first and leaves nothing half done.
    fn prepare(&mut self, db: &Database, now: Now) -> Result<Option<Prepared>, Error> {
        let closed = Seq(self.state.watermark.0.min(self.open.first.0 - 1));
        let mut batch = Batch::default();
        let touched = self.prepare_old(db, closed, now, &mut batch)?;

        let (expired, generation) = (self.expiry.through(), self.generation);
        let mut state = State { last: self.last, expired, generation, ..self.state };
        let closes = self.close_tail(now.time) || self.forgets_anew();
        self.pack_tail(closes);
        let publishes = self.prepare_rows(touched, &mut state, &mut batch, now);
        let (mut packed, kept) = self.packing.finish();
        batch.blocks.append(&mut packed);
        if let Some(kept) = kept {
            self.open = kept;
        }
        if let Some(importing) = &self.importing
            && let Some(taken) = &importing.taken
        {
            batch.imported.clone_from(taken);
            batch.import = Some((importing.import.name.clone(), importing.import.place));
        }
        batch.cursors = self.shared.cursors.take_changed();
        if state == self.state && batch.is_empty() && !self.deletes_more {
            return Ok(None);
        }
        batch.state = state;
        batch.totals = self.counts.totals.clone();
        batch.time = now.expiry;
        let snapshot = publishes.then(|| Arc::new(self.snapshot(state, now.time)));
        Ok(Some(Prepared { batch: Arc::new(batch), snapshot, begun: Instant::now(), closes }))
    }

    /// What becomes of what is stored already.
    fn prepare_old(
        &mut self,
        db: &Database,
        closed: Seq,
        now: Now,
        batch: &mut Batch,
    ) -> Result<Touched, Error> {
        // First, for it may count in hours that are not in memory.
        self.import(db, now)?;
        self.counts.rollups.complete(db)?;
        let is_bare = self.stripper.through() >= closed;
        // Messages go first. But where more comes than goes with them, events go too.
        let excess = self.excess_bytes();
        self.excess_least = self.excess_least.min(excess);
        let grown = excess - self.excess_least;
        let excess = if is_bare { excess } else { grown.saturating_sub(self.log_bytes_max / 8) };
        self.expiry.take_out(db, &mut self.counts, closed, now, excess)?;
        if self.forgetting.is_some() {
            return self.forget(db, batch);
        }
        self.strip(db, closed, now, batch)?;
        Ok(Touched::default())
    }

    /// Makes the tables of the next generation. Whether there is one.
    fn prepare_rows(
        &mut self,
        touched: Touched,
        state: &mut State,
        batch: &mut Batch,
        now: Now,
    ) -> bool {
        let publication = self.publication.saturating_add(1);
        let changed = self.counts.apply(publication);
        let has_hours = touched.hours;
        touched.write(&self.counts, state, &mut batch.rows);
        let span = self.span(now);
        let (counts, removed) = (&mut self.counts, &mut batch.removed);
        let aged = self.age_out.slice(counts, span, publication, removed, now.time);
        let forgot = self.forget_row(publication, *state, batch);
        let left = self.make_room(publication, *state, batch);
        let has_left = forgot || left != [Left::default(); 3];
        batch.peers = self.take_peers(now.time);
        let publishes =
            changed.any() || aged.any() || has_left || state.expired > self.state.expired;
        let publishes = publishes || batch.peers.is_some();
        if publishes {
            self.publication = publication;
            state.generation += 1;
            self.generation = state.generation;
            self.note(changed, aged, &left, state.generation);
            if forgot || batch.peers.is_some() {
                (self.changed.sources, self.changed.numbers) = (state.generation, state.generation);
            }
        }
        let rows = &mut batch.rows;
        let swept = self.sweeper.slice(&self.counts, self.publication, state, rows, now.time);
        if swept || has_hours {
            batch.rollups = self.counts.rollups.write_changed(state.last, now.time);
            batch.rollups_from = Hour::of(now.expiry).0.saturating_sub(self.rollup_hours);
        }
        publishes
    }

    fn snapshot(&self, state: State, now: Time) -> Snapshot {
        Snapshot {
            database_id: self.origin.database_id,
            node_id: self.shared.node_id,
            generation: state.generation,
            through: state.last,
            time: now,
            sources: self.counts.sources.table.clone(),
            numbers: self.counts.numbers.table.clone(),
            agents: self.counts.agents.table.clone(),
            peers: self.peers.clone(),
            totals: self.counts.totals.clone(),
            sources_changed: self.changed.sources,
            numbers_changed: self.changed.numbers,
        }
    }

    /// What follows a durable commit.
    fn finish(&mut self, prepared: Prepared) {
        let Prepared { batch, snapshot, begun, closes } = prepared;
        let stats = &self.shared.stats;
        let ns = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        stats.commits.add(1);
        stats.commit_ns_last.set(ns);
        stats.commit_ns_sum.add(ns);
        stats.commit_ns_max.max(ns);
        let stored = batch.totals.events();
        stats.events_stored.add(stored - self.stored);
        self.stored = stored;
        stats.events_expired.add(batch.state.expired.0 - self.state.expired.0);
        stats.blocks.add(batch.blocks.len() as u64);
        for block in &batch.blocks {
            stats.packed_bytes.add(block.payload.len() as u64);
            stats.raw_bytes.add(block.head.raw_bytes());
        }
        self.state = batch.state;
        if let Some(forgetting) = self.forgetting.as_mut().filter(|order| closes && order.is_new())
        {
            forgetting.begin(self.state.last);
        }
        if let Some(snapshot) = snapshot {
            self.shared.publish(snapshot);
        }
    }
}

#[cfg(test)]
mod tests;
