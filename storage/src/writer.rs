//! Batches in, one commit out: the only thing that writes.
//!
//! `Writer` has no thread and no clock. `ingest` packs the events of an arena into a block and counts
//! them; `commit` stores what has come, durably, and then publishes it. A commit that fails is kept
//! as it is and made again by the next call; nothing may be ingested in between. The thread around it
//! is in `run.rs`.

use std::sync::Arc;
use std::time::Instant;

use redb::{Database, Error};

use crate::arena::Arena;
use crate::block::{Builder, Packed};
use crate::counts::{Changed, Counts};
use crate::event::{Seq, Time};
use crate::limits::{PENDING_PACKED_BYTES_MAX, TAIL_AGE_MAX_NS, TAIL_RAW_BYTES};
use crate::load::{Loaded, REPLAYED};
use crate::retain::{AgeOut, Aged, Expiry};
use crate::snapshot::Snapshot;
use crate::store::Shared;
use crate::sweep::Sweeper;
use crate::tables::{self, Batch, Origin, State};

pub use crate::open_error::OpenError;
pub use crate::run::{WriterThread, start};
pub use crate::store::{Gauge, Options, Phase, Store, WriterStats};

/// The writer of one database.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    origin: Origin,
    retention_ns: u64,
    /// What the last durable commit left.
    state: State,
    /// The last event that was ingested.
    last: Seq,
    counts: Counts,
    /// The publication in which something last changed, counted from the start of the process.
    tick: u32,
    changed: ChangedIn,
    /// The last block of the log. Its events may be stored already: it is written again with those
    /// that have come since, until it is large or old.
    builder: Builder,
    /// The first event of that block.
    first: Seq,
    /// Blocks before it that are not stored.
    packed: Vec<Packed>,
    packed_bytes: usize,
    pub(crate) sweeper: Sweeper,
    expiry: Expiry,
    age_out: AgeOut,
    prepared: Option<Prepared>,
}

/// A commit that has not succeeded yet.
struct Prepared {
    batch: Batch,
    snapshot: Option<Arc<Snapshot>>,
    /// The last block of the log will not be written again.
    closes: bool,
}

/// Generations in which something last changed.
#[derive(Clone, Copy)]
struct ChangedIn {
    sources: u64,
    numbers: u64,
    members: u64,
}

impl Writer {
    /// A writer that goes on where the database ended, and publishes what is in it.
    pub(crate) fn new(shared: Arc<Shared>, retention_ns: u64, loaded: Loaded, now: Time) -> Self {
        let Loaded { origin, mut state, counts, .. } = loaded;
        state.generation += 1;
        let generation = state.generation;
        let writer = Self {
            shared,
            origin,
            retention_ns,
            state,
            last: state.last,
            counts,
            tick: REPLAYED,
            changed: ChangedIn { sources: generation, numbers: generation, members: generation },
            builder: Builder::new(),
            first: Seq(state.last.0 + 1),
            packed: Vec::new(),
            packed_bytes: 0,
            sweeper: Sweeper::new(),
            expiry: Expiry::new(state.expired, retention_ns),
            age_out: AgeOut::default(),
            prepared: None,
        };
        writer.shared.publish(Arc::new(writer.snapshot(state, now)));
        writer
    }

    /// Packs and counts the events of an arena.
    pub(crate) fn ingest(&mut self, arena: &Arena) {
        debug_assert!(self.prepared.is_none(), "a failed commit must be made first");
        for raw in arena.raw() {
            let event = raw.event();
            self.last.0 += 1;
            self.builder.push(&raw, &event);
            self.counts.add(self.last, &event);
            if self.builder.is_full() {
                let packed = self.builder.pack(self.first);
                self.packed_bytes += packed.payload.len();
                self.packed.push(packed);
                self.begin_block();
            }
        }
    }

    fn begin_block(&mut self) {
        self.builder.clear();
        self.first = Seq(self.last.0 + 1);
    }

    /// Whether so much waits that the next commit should not wait for its time.
    pub(crate) fn is_laden(&self) -> bool {
        self.packed_bytes >= PENDING_PACKED_BYTES_MAX
    }

    /// Whether there is something to do at the next commit, and not only when something expires.
    pub(crate) fn is_busy(&self) -> bool {
        self.prepared.is_some()
            || self.pending_events() > 0
            || self.sweeper.is_active()
            || self.expiry.is_active()
            || self.age_out.is_active()
    }

    /// Events that are not stored durably.
    pub(crate) fn pending_events(&self) -> u64 {
        self.last.0 - self.state.last.0
    }

    /// Whether this is the database that the writer has written: the same one, as the last commit
    /// or the one that failed left it.
    pub(crate) fn knows(&self, db: &Database) -> Result<bool, Error> {
        let origin = tables::origin(db)?;
        let state = tables::View::new(db)?.state()?;
        let failed = self.prepared.as_ref().map(|prepared| prepared.batch.state.last);
        let known = state.last == self.state.last || Some(state.last) == failed;
        Ok(known && origin.database_id == self.origin.database_id)
    }

    /// Stores what has come and publishes it. Does nothing when there is nothing to do.
    ///
    /// # Errors
    ///
    /// When the database refuses. The next call makes the same commit again.
    pub(crate) fn commit(&mut self, db: &Database, now: Time) -> Result<(), Error> {
        if self.prepared.is_none() {
            self.prepared = self.prepare(db, now)?;
        }
        let Some(prepared) = &self.prepared else { return Ok(()) };
        let begin = Instant::now();
        tables::store(db, &prepared.batch)?;
        if let Some(prepared) = self.prepared.take() {
            self.finish(prepared, begin);
        }
        Ok(())
    }

    /// Decides what the commit changes. What can fail stands first and leaves nothing half done.
    fn prepare(&mut self, db: &Database, now: Time) -> Result<Option<Prepared>, Error> {
        let closed = Seq(self.state.watermark.0.min(self.first.0 - 1));
        self.expiry.take_out(db, &mut self.counts, closed, now)?;

        let mut state = State { last: self.last, expired: self.expiry.through(), ..self.state };
        let closes = self.close_tail(now);
        let mut batch = Batch { blocks: std::mem::take(&mut self.packed), ..Batch::default() };
        self.packed_bytes = 0;
        if self.pending_events() > 0 && !self.builder.is_empty() {
            batch.blocks.push(self.builder.pack(self.first));
        }
        let tick = self.tick.saturating_add(1);
        let changed = self.counts.apply(tick);
        let oldest = now.minus_ns(self.retention_ns);
        let aged = self.age_out.slice(&mut self.counts, oldest, tick, &mut batch.removed, now);
        let publishes = changed.any() || aged.any();
        if publishes {
            self.tick = tick;
            state.generation += 1;
            self.note(changed, aged, state.generation);
        }
        self.sweeper.slice(&self.counts, self.tick, &mut state, &mut batch.rows, now);
        if state == self.state && batch.is_empty() {
            return Ok(None);
        }
        batch.state = state;
        batch.totals = self.counts.totals.clone();
        let snapshot = publishes.then(|| Arc::new(self.snapshot(state, now)));
        Ok(Some(Prepared { batch, snapshot, closes }))
    }

    /// Whether the last block of the log is written for the last time. One that is only old, with
    /// nothing new in it, is left as it is stored.
    fn close_tail(&mut self, now: Time) -> bool {
        let age_max = TAIL_AGE_MAX_NS.min(self.retention_ns / 8);
        let is_old = self.builder.earliest().is_some_and(|at| now.minus_ns(age_max) > at);
        if is_old && self.pending_events() == 0 {
            self.begin_block();
            return false;
        }
        is_old || self.builder.message_bytes() >= TAIL_RAW_BYTES
    }

    fn note(&mut self, changed: Changed, aged: Aged, generation: u64) {
        if changed.sources || aged.sources {
            self.changed.sources = generation;
        }
        if changed.numbers || aged.numbers {
            self.changed.numbers = generation;
        }
        if changed.members || aged.sources {
            self.changed.members = generation;
        }
        let stats = &self.shared.stats;
        for (gauge, refused) in stats.rows_refused.iter().zip(changed.refused) {
            gauge.add(refused);
        }
        stats.rows_expired.add(aged.rows);
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
            totals: self.counts.totals.clone(),
            sources_changed: self.changed.sources,
            numbers_changed: self.changed.numbers,
            members_changed: self.changed.members,
        }
    }

    /// What follows a durable commit.
    fn finish(&mut self, prepared: Prepared, begin: Instant) {
        let Prepared { batch, snapshot, closes } = prepared;
        let stats = &self.shared.stats;
        let ns = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        stats.commits.add(1);
        stats.commit_ns_last.set(ns);
        stats.commit_ns_sum.add(ns);
        stats.commit_ns_max.max(ns);
        stats.events_stored.add(batch.state.last.0 - self.state.last.0);
        stats.events_expired.add(batch.state.expired.0 - self.state.expired.0);
        stats.blocks.add(batch.blocks.len() as u64);
        for block in &batch.blocks {
            stats.packed_bytes.add(block.payload.len() as u64);
            stats.raw_bytes.add(block.head.raw_bytes());
        }
        self.state = batch.state;
        if closes {
            self.begin_block();
        }
        if let Some(snapshot) = snapshot {
            self.shared.publish(snapshot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;
    use crate::event::EventRef;
    use crate::load;
    use crate::open::{self, Opening};
    use crate::recount::recount;
    use crate::testing::{START, event};
    use uuid::Uuid;

    /// A writer with its database in a folder of its own.
    struct Bench {
        folder: TempDir,
        options: Options,
        db: Option<Database>,
        writer: Writer,
        now: Time,
    }

    impl Bench {
        fn new(retention_ns: u64) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut options = Options::new(folder.path().join("test.redb"), Uuid::from_u128(1));
            options.retention_ns = retention_ns;
            let (db, writer) = Self::open(&options, START);
            Self { folder, options, db: Some(db), writer, now: START }
        }

        fn open(options: &Options, now: Time) -> (Database, Writer) {
            let db = open::open(options, Opening::First).unwrap();
            let loaded = load::load(&db).unwrap();
            let shared = Arc::new(Shared::new(options.node_id));
            let mut writer = Writer::new(shared, options.retention_ns, loaded, now);
            writer.sweeper.rows_max = 2;
            (db, writer)
        }

        fn ingest(&mut self, event: &EventRef<'_>) {
            let mut arena = Arena::new(0);
            arena.push(event).unwrap();
            self.writer.ingest(&arena);
        }

        fn commit(&mut self) {
            self.writer.commit(self.db.as_ref().unwrap(), self.now).unwrap();
        }

        /// A copy of the file as kill -9 would leave it now.
        fn killed(&self) -> PathBuf {
            let copy = self.folder.path().join("killed.redb");
            std::fs::copy(&self.options.path, &copy).unwrap();
            copy
        }

        /// Kill -9 and a new start.
        fn restart(&mut self) {
            let copy = self.killed();
            // Closing writes to the file, as kill -9 would not: so the copy takes its place.
            self.db = None;
            std::fs::rename(copy, &self.options.path).unwrap();
            let (db, writer) = Self::open(&self.options, self.now);
            (self.db, self.writer) = (Some(db), writer);
        }

        fn snapshot(&self) -> Arc<Snapshot> {
            Store(self.writer.shared.clone()).snapshot().unwrap()
        }
    }

    #[test]
    fn what_was_committed_is_there_after_a_kill_and_what_was_not_is_not() {
        let mut bench = Bench::new(u64::MAX);
        for n in 1..=5 {
            bench.ingest(&event(n));
        }
        bench.commit();
        bench.ingest(&event(6));
        bench.restart();
        let snapshot = bench.snapshot();
        assert_eq!(snapshot.through, Seq(5));
        assert_eq!((snapshot.sources.len(), snapshot.numbers.len()), (5, 1));
        assert_eq!(snapshot.totals.events(), 5);
        let recount = recount(&bench.killed()).unwrap();
        assert!(recount.is_exact(), "{recount:?}");
        assert_eq!((recount.events, recount.without_row), (5, [0; 3]));
    }
}
