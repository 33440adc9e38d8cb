//! Retention, in bounded slices: what leaves the log, and what leaves the tables.
//!
//! **Events.** [`Expiry`] takes whole blocks, oldest first, once their latest event is older than the
//! retention: their events are taken out of the counts in memory, and `expired` moves up to their
//! last. The block itself is deleted later, when a sweep that began after that has ended, so that no
//! stored row includes any of its events. Why this is exact after a crash: a stored row counts its
//! key's events from `since` to `through`, and nothing else; a start adds events after `through` and
//! takes out those from `since` up to `expired`, and all of the latter are still in the log, because
//! only what no stored row includes is deleted. Expiry never passes the watermark, so no event is
//! both added and taken out.
//!
//! **Rows.** [`AgeOut`] removes a row from memory and from the database, in one commit, when its key
//! was last seen before the retention: all its events are older, so it counts for nothing. A key that
//! comes back begins a new row, whose `since` keeps events of the old one that are still in a block
//! from being taken out of it.
//!
//! Nothing here is needed for correctness of what readers see: they compare with `now` themselves.
//!
//! Times in the future, from a clock that was wrong, keep nothing: a block has arrived before the one
//! after it, and a row that was last seen in the future was last seen now.

use redb::{Database, Error};

use crate::aggregate::Row;
use crate::arrival::{Arrival, Arrivals};
use crate::bucket::Span;
use crate::clock::Now;
use crate::counts::{Counts, Gathered};
use crate::event::{Seq, Time};
use crate::key::Key;
use crate::limits::{
    AGE_OUT_BUCKETS_MAX, AGE_OUT_INTERVAL_NS, AGE_OUT_ROWS_MAX, BUCKETS, EXPIRE_BLOCKS_MAX,
};
use crate::load::{expire_block, readable};
use crate::tables::{RowTable, row_key};
use crate::view::{View, stored_bytes};

/// Takes expired blocks out of the counts.
pub(crate) struct Expiry {
    /// Events up to this one are out.
    through: Seq,
    retention_ns: u64,
    /// When the block after that had arrived, once it is known.
    next: Time,
    is_active: bool,
    /// See [`Expiry::bytes`].
    bytes: u64,
    arrivals: Arrivals,
}

impl Expiry {
    /// `bytes` is what the blocks up to `through` take.
    pub(crate) fn new(through: Seq, bytes: u64, retention_ns: u64) -> Self {
        let arrivals = Arrivals::default();
        Self { through, retention_ns, next: Time(0), is_active: false, bytes, arrivals }
    }

    /// The last event that is out.
    pub(crate) fn through(&self) -> Seq {
        self.through
    }

    /// Whether more has expired than was taken out.
    pub(crate) fn is_active(&self) -> bool {
        self.is_active
    }

    /// What blocks that are out and not deleted yet take in the file, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What they take is known anew.
    pub(crate) fn set_bytes(&mut self, bytes: u64) {
        self.bytes = bytes;
    }

    /// So many bytes of blocks have been deleted.
    pub(crate) fn deleted(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Takes out some of the blocks that end at or before `closed` and have expired, and the oldest others
    /// as long as the log is `excess` bytes too large. When it fails,
    /// each block is out or not, as [`Expiry::through`] says.
    pub(crate) fn take_out(
        &mut self,
        db: &Database,
        counts: &mut Counts,
        closed: Seq,
        now: Now,
        mut excess: u64,
    ) -> Result<(), Error> {
        self.is_active = false;
        let oldest = now.expiry.minus_ns(self.retention_ns);
        if self.through >= closed || (self.next >= oldest && excess == 0) {
            return Ok(());
        }
        let view = View::new(db)?;
        for _ in 0..EXPIRE_BLOCKS_MAX {
            let Some(head) = view.head_after(self.through)? else { return Ok(()) };
            if head.last() > closed {
                return Ok(());
            }
            self.next = match self.arrivals.of(&view, &head, now)? {
                Arrival::By(time) => time,
                Arrival::Unknown | Arrival::Later if excess > 0 => Time(0),
                Arrival::Unknown => return Ok(()),
                Arrival::Later => break,
            };
            if self.next >= oldest && excess == 0 {
                return Ok(());
            }
            let bytes = stored_bytes(&head);
            excess = excess.saturating_sub(bytes);
            if let Some(block) = readable(view.block(&head)?, &head.first) {
                expire_block(counts, &block);
            }
            counts.totals.expired += u64::from(head.count);
            self.bytes += bytes;
            self.through = head.last();
            self.next = Time(0);
        }
        self.is_active = true;
        Ok(())
    }
}

/// What [`AgeOut::slice`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Aged {
    /// Sources left, or their proof lapsed.
    pub(crate) sources: bool,
    /// Numbers left, or their proof lapsed.
    pub(crate) numbers: bool,
    /// Anything else did.
    other: bool,
    /// Rows that left.
    pub(crate) rows: u64,
}

impl Aged {
    pub(crate) fn any(&self) -> bool {
        self.sources || self.numbers || self.other
    }
}

/// Goes through the tables about once a second and removes rows that have expired.
#[derive(Default)]
pub(crate) struct AgeOut {
    begun: Time,
    /// How many buckets of tables this pass has gone through; `None` between two passes.
    done: Option<usize>,
}

impl AgeOut {
    /// Whether a pass has begun and not ended.
    pub(crate) fn is_active(&self) -> bool {
        self.done.is_some()
    }

    /// Removes some of the rows that were last seen before the span, and adds their stored keys to
    /// `removed`.
    pub(crate) fn slice(
        &mut self,
        counts: &mut Counts,
        span: Span,
        publication: u32,
        removed: &mut Vec<(RowTable, Vec<u8>)>,
        now: Time,
    ) -> Aged {
        if self.done.is_none() {
            if now.0.abs_diff(self.begun.0) < AGE_OUT_INTERVAL_NS {
                return Aged::default();
            }
            self.begun = now;
        }
        let begin = removed.len();
        let mut slice = Slice {
            span,
            publication,
            at: self.done.unwrap_or(0),
            buckets_left: AGE_OUT_BUCKETS_MAX,
        };
        let sources = slice.table(&mut counts.sources, RowTable::Sources, removed);
        let numbers = slice.table(&mut counts.numbers, RowTable::Numbers, removed);
        let other = slice.table(&mut counts.agents, RowTable::Agents, removed);
        let is_done = slice.at == 3 * BUCKETS;
        self.done = (!is_done).then_some(slice.at);
        Aged { sources, numbers, other, rows: (removed.len() - begin) as u64 }
    }
}

/// One call of [`AgeOut::slice`].
struct Slice {
    span: Span,
    publication: u32,
    /// The next bucket, counted over all tables.
    at: usize,
    /// Buckets that may still be made anew.
    buckets_left: usize,
}

impl Slice {
    /// Goes on in this table, if the next bucket is in it. Whether a row changed.
    fn table<K: Key, R: Row>(
        &mut self,
        of: &mut Gathered<K, R>,
        table: RowTable,
        removed: &mut Vec<(RowTable, Vec<u8>)>,
    ) -> bool {
        let end = (table as usize + 1) * BUCKETS;
        let mut replaced = Vec::new();
        let mut changed = false;
        while self.at < end && self.buckets_left > 0 && removed.len() < AGE_OUT_ROWS_MAX {
            let at = self.at % BUCKETS;
            let bucket = of.table.bucket(at);
            if !bucket.is_within(self.span) {
                let (bucket, keys) = bucket.aged(self.span, self.publication);
                changed |= bucket.publication == self.publication;
                removed.extend(keys.iter().map(|key| (table, row_key(at as u16, key.as_bytes()))));
                replaced.push((at, bucket));
                self.buckets_left -= 1;
            }
            self.at += 1;
        }
        of.table = of.table.with_buckets(replaced);
        changed
    }
}
