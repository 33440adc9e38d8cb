//! Writing changed rows, a bounded number with each commit.
//!
//! A *sweep* goes once through all tables, in the order in which rows are stored, and writes every
//! row that has changed since the sweep before it began. A row that is skipped has not changed since
//! then, so an earlier sweep has written all that it counts. When a sweep ends, every stored row
//! therefore includes its key's events up to the one at which the sweep began: that becomes the
//! watermark. And none includes an event that had expired by then, so those may be deleted.

use crate::aggregate::Row;
use crate::batch::RowWrite;
use crate::bucket::Bucket;
use crate::counts::{Counts, Gathered};
use crate::event::{Seq, Time};
use crate::key::Key;
use crate::limits::{BUCKETS, STOP_SWEEP_ROWS_MAX, SWEEP_INTERVAL_NS, SWEEP_ROWS_MAX};
use crate::row_bytes::encode_row;
use crate::tables::{RowTable, State, row_key};

/// Where the sweeping is.
pub(crate) struct Sweeper {
    active: Option<Sweep>,
    /// The publication at which the last sweep began. Rows that last changed in it or before are
    /// stored.
    swept: u32,
    begun: Time,
    /// Rows that one commit writes, about.
    pub(crate) rows_max: usize,
    /// Whether the next sweep begins as soon as there is something for it.
    hurries: bool,
}

/// One sweep.
#[derive(Clone, Copy)]
struct Sweep {
    /// The publication, the last event and the last expired event when it began.
    publication: u32,
    last: Seq,
    expired: Seq,
    /// How many buckets of tables it has gone through.
    done: usize,
}

/// Buckets of all tables.
const ALL_BUCKETS: usize = 3 * BUCKETS;

impl Sweeper {
    pub(crate) fn new() -> Self {
        Self { active: None, swept: 0, begun: Time(0), rows_max: SWEEP_ROWS_MAX, hurries: false }
    }

    /// From now on sweeps follow each other, in larger slices: the process ends, and what is swept now is not
    /// replayed at the next start.
    pub(crate) fn hurry(&mut self) {
        self.rows_max = self.rows_max.max(STOP_SWEEP_ROWS_MAX);
        self.hurries = true;
    }

    /// How many buckets the sweep that has begun has gone through.
    pub(crate) fn done(&self) -> usize {
        self.active.map_or(0, |sweep| sweep.done)
    }

    /// Whether a sweep has begun and not ended.
    pub(crate) fn is_active(&self) -> bool {
        self.active.is_some()
    }

    /// The publication at which the last finished sweep began.
    #[cfg(test)]
    pub(crate) fn swept(&self) -> u32 {
        self.swept
    }

    /// Adds the next rows to a commit that leaves `state`, and moves the watermark when a sweep ends.
    /// A bucket is not interrupted, so it may be some thousand rows more than [`SWEEP_ROWS_MAX`]. What
    /// is in the commit already counts, but for a quarter: no flood may hold up the watermark. Whether a
    /// sweep has ended.
    pub(crate) fn slice(
        &mut self,
        counts: &Counts,
        publication: u32,
        state: &mut State,
        rows: &mut Vec<RowWrite>,
        now: Time,
    ) -> bool {
        let is_time = self.hurries || now.0.abs_diff(self.begun.0) >= SWEEP_INTERVAL_NS;
        let is_due = publication > self.swept && is_time;
        if self.active.is_none() && is_due {
            self.begun = now;
            self.active =
                Some(Sweep { publication, last: state.last, expired: state.expired, done: 0 });
        }
        let Some(mut sweep) = self.active else { return false };
        let rows_max = self.rows_max.max(rows.len() + self.rows_max / 4);
        while rows.len() < rows_max && sweep.done < ALL_BUCKETS {
            match sweep.done / BUCKETS {
                0 => self.bucket(&counts.sources, RowTable::Sources, &sweep, state, rows),
                1 => self.bucket(&counts.numbers, RowTable::Numbers, &sweep, state, rows),
                _ => self.bucket(&counts.agents, RowTable::Agents, &sweep, state, rows),
            }
            sweep.done += 1;
        }
        self.active = Some(sweep);
        if sweep.done == ALL_BUCKETS {
            state.watermark = sweep.last;
            state.swept = sweep.expired;
            self.swept = sweep.publication;
            self.active = None;
        }
        self.active.is_none()
    }

    /// The changed rows of the bucket that the sweep has come to.
    fn bucket<K: Key, R: Row>(
        &self,
        of: &Gathered<K, R>,
        table: RowTable,
        sweep: &Sweep,
        state: &State,
        rows: &mut Vec<RowWrite>,
    ) {
        let at = sweep.done % BUCKETS;
        let bucket = of.table.bucket(at);
        // Where a row has left a full table since the sweep began, all is stored that it is to store.
        if bucket.stored < sweep.publication {
            self.write_changed(bucket, table, at, state, rows);
        }
    }

    /// The rows of bucket `at` that have changed since they were last stored.
    pub(crate) fn write_changed<K: Key, R: Row>(
        &self,
        bucket: &Bucket<K, R>,
        table: RowTable,
        at: usize,
        state: &State,
        rows: &mut Vec<RowWrite>,
    ) {
        let stored = self.swept.max(bucket.stored);
        if bucket.publication <= stored {
            return;
        }
        let changed = bucket.iter().filter(|(_, row)| row.publication() > stored);
        rows.extend(changed.map(|(key, row)| RowWrite {
            table,
            key: row_key(at as u16, key.as_bytes()),
            row: encode_row(row, state.expired, state.last),
        }));
    }
}
