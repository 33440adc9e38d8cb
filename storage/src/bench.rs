//! A writer of the tests: with its database in a folder of its own, killed and started at will.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use redb::Database;
use tempfile::TempDir;
use uuid::Uuid;

use crate::aggregate::Row;
use crate::arena::Arena;
use crate::batch::{self, Batch};
use crate::event::{EventRef, Seq, SourceKey, Time};
use crate::key::{AgentKey, Key, NumberKey};
use crate::limits::NS_PER_S;
use crate::load;
use crate::log::{Log, StoredEvent};
use crate::open::{self, Opening};
use crate::repeat::Repeat;
use crate::shed::Load;
use crate::snapshot::{Snapshot, Table};
use crate::store::{Options, Shared, Store};
use crate::testing::START;
use crate::writer::Writer;

/// A writer with its database in a folder of its own, and everything that it was given.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) options: Options,
    pub(crate) db: Option<Arc<Database>>,
    pub(crate) writer: Writer,
    pub(crate) now: Time,
    pub(crate) given: Vec<StoredEvent>,
    /// Those of them that are repeats, with what they count.
    pub(crate) repeats: BTreeMap<Seq, u64>,
    pub(crate) committed: usize,
    /// A commit that has begun, and how much had been given by then.
    pub(crate) under_way: Option<(Arc<Batch>, usize)>,
    /// Rows that each table is meant for.
    pub(crate) rows_max: Option<usize>,
}

impl Bench {
    pub(crate) fn new(retention_ns: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new(folder.path().join("test.redb"), Uuid::from_u128(1));
        options.retention_ns = retention_ns;
        let (db, writer) = Self::open(&options, START);
        let (db, now, given) = (Some(db), START, Vec::new());
        let repeats = BTreeMap::new();
        let (committed, under_way, rows_max) = (0, None, None);
        Self { folder, options, db, writer, now, given, repeats, committed, under_way, rows_max }
    }

    /// The same with tables that are soon full.
    pub(crate) fn with_rows(rows_max: usize) -> Self {
        let mut bench = Self { rows_max: Some(rows_max), ..Self::new(u64::MAX) };
        bench.limit_rows();
        bench
    }

    pub(crate) fn limit_rows(&mut self) {
        let Some(max) = self.rows_max else { return };
        let counts = &mut self.writer.counts;
        (counts.sources.max, counts.numbers.max, counts.agents.max) = (max, max, max);
    }

    pub(crate) fn open(options: &Options, now: Time) -> (Arc<Database>, Writer) {
        let db = Arc::new(open::open(options, Opening::First).unwrap());
        let loaded = load::load(&db).unwrap();
        let shared = Arc::new(Shared::new(options.node_id));
        shared.set_database(Some(db.clone()));
        let mut writer = Writer::new(shared, options, loaded, now);
        writer.sweeper.rows_max = 2;
        (db, writer)
    }

    pub(crate) fn ingest(&mut self, event: &EventRef<'_>) {
        let mut arena = Arena::new(0);
        arena.push(event).unwrap();
        self.writer.ingest(&arena, Load::Light);
        let seq = Seq(self.given.len() as u64 + 1);
        self.given.push(StoredEvent::new(self.options.node_id, seq, event));
    }

    /// So many messages like `event`, without number and user agent, of which only the count is kept.
    pub(crate) fn ingest_repeat(&mut self, event: &EventRef<'_>, count: u64) {
        let mut arena = Arena::new(0);
        let first = event.time.minus_ns(NS_PER_S);
        arena.push_repeat(&Repeat { count, first, ..Repeat::of(event) }).unwrap();
        self.writer.ingest(&arena, Load::Light);
        let seq = Seq(self.given.len() as u64 + 1);
        self.repeats.insert(seq, count);
        let bare = EventRef { number: b"", user_agent: b"", message: b"", ..*event };
        self.given.push(StoredEvent::new(self.options.node_id, seq, &bare));
    }

    /// How many messages the first `records` of the log stand for.
    pub(crate) fn weight(&self, records: usize) -> u64 {
        let repeats = self.repeats.range(..=Seq(records as u64));
        records as u64 + repeats.map(|(_, count)| count - 1).sum::<u64>()
    }

    /// Begins a commit. What is ingested from now on comes with the one after it.
    pub(crate) fn begin_commit(&mut self) {
        self.end_commit();
        let begun = self.writer.begin_commit(self.db.as_ref().unwrap(), self.now).unwrap();
        self.under_way = begun.map(|batch| (batch, self.given.len()));
    }

    /// Ends the commit that is under way, if one is.
    pub(crate) fn end_commit(&mut self) {
        let Some((batch, given)) = self.under_way.take() else { return };
        let stored = batch::store(self.db.as_ref().unwrap(), &batch).unwrap();
        self.writer.end_commit(stored);
        self.committed = given;
    }

    /// Stores the commit that is under way, if one is, and the writer does not learn of it.
    pub(crate) fn store_unheard(&mut self) {
        let Some((batch, given)) = self.under_way.take() else { return };
        batch::store(self.db.as_ref().unwrap(), &batch).unwrap();
        self.committed = given;
    }

    pub(crate) fn commit(&mut self) {
        self.end_commit();
        self.writer.commit(self.db.as_ref().unwrap(), self.now).unwrap();
        self.committed = self.given.len();
    }

    /// The last block is not added to any more.
    pub(crate) fn close_block(&mut self) {
        assert_eq!(self.committed, self.given.len());
        self.writer.begin_block();
    }

    /// The same when imports have come that it was not given.
    pub(crate) fn close_block_of_imports(&mut self) {
        assert_eq!(self.writer.pending_events(), 0);
        self.writer.begin_block();
    }

    /// Commits until nothing is left to do.
    pub(crate) fn settle(&mut self) {
        loop {
            self.now.0 += 3 * NS_PER_S;
            self.commit();
            if !self.writer.is_busy() && self.writer.publication == self.writer.sweeper.swept() {
                break;
            }
        }
    }

    /// A copy of the file as kill -9 would leave it now.
    pub(crate) fn killed(&self) -> PathBuf {
        let copy = self.folder.path().join("killed.redb");
        std::fs::copy(&self.options.path, &copy).unwrap();
        copy
    }

    /// Kill -9 and a new start. What was not committed has never been.
    pub(crate) fn restart(&mut self) {
        let copy = self.killed();
        // Closing writes to the file, which kill -9 would not: so the copy takes its place.
        self.writer.shared.set_database(None);
        self.db = None;
        self.under_way = None;
        std::fs::rename(copy, &self.options.path).unwrap();
        let (db, writer) = Self::open(&self.options, self.now);
        (self.db, self.writer) = (Some(db), writer);
        self.limit_rows();
        self.given.truncate(self.committed);
        self.repeats.retain(|seq, _| seq.0 <= self.committed as u64);
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Store(self.writer.shared.clone()).snapshot().unwrap()
    }

    pub(crate) fn log(&self) -> Log {
        Log::new(self.writer.shared.clone())
    }

    /// Every row counts exactly the committed events of its key that it should.
    pub(crate) fn check(&self) {
        let snapshot = self.snapshot();
        let expired = self.writer.state.expired;
        let events = &self.given[..self.committed];
        assert_eq!(snapshot.through, Seq(self.committed as u64));
        assert_eq!(snapshot.totals.events(), self.weight(self.committed));
        let of = |event: &StoredEvent| self.repeats.get(&event.seq).copied().unwrap_or(1);
        assert_eq!(snapshot.totals.expired, expired.0);
        let oldest = self.now.minus_ns(self.options.retention_ns);
        let by = |event: &StoredEvent| Some(SourceKey::of(event.source.ip()));
        check_table(&snapshot.sources, events, (by, of), expired, oldest);
        let by =
            |event: &StoredEvent| (!event.number.is_empty()).then(|| NumberKey::of(&event.number));
        check_table(&snapshot.numbers, events, (by, of), expired, oldest);
        let by = |event: &StoredEvent| {
            (!event.user_agent.is_empty()).then(|| AgentKey::of(&event.user_agent))
        };
        check_table(&snapshot.agents, events, (by, of), expired, oldest);
    }
}

fn check_table<K: Key + std::fmt::Debug, R: Row>(
    table: &Table<K, R>,
    events: &[StoredEvent],
    (key_of, count_of): (impl Fn(&StoredEvent) -> Option<K>, impl Fn(&StoredEvent) -> u64),
    expired: Seq,
    oldest: Time,
) {
    let mut by_key: BTreeMap<K, Vec<&StoredEvent>> = BTreeMap::new();
    for event in events {
        if let Some(key) = key_of(event) {
            by_key.entry(key).or_default().push(event);
        }
    }
    for (key, events) in &by_key {
        let Some(row) = table.get(key) else {
            let last = events.iter().map(|event| event.time).max().unwrap();
            assert!(last < oldest, "{key:?} has no row");
            continue;
        };
        let seen = row.seen();
        let counts = |event: &&&StoredEvent| event.seq >= seen.since && event.seq > expired;
        let counted: Vec<_> = events.iter().filter(counts).collect();
        let count: u64 = counted.iter().map(|event| count_of(event)).sum();
        assert_eq!(seen.count, count, "{key:?}");
        assert!(counted.iter().all(|event| seen.first <= event.time && event.time <= seen.last));
    }
    assert!(table.iter().all(|(key, _)| by_key.contains_key(key)));
}

/// All that readers can see of a table.
pub(crate) fn seen_in<K: Key, R: Row>(table: &Table<K, R>) -> BTreeMap<K, (u64, Time, Time)> {
    let seen = |row: &R| (row.seen().count, row.seen().first, row.seen().last);
    table.iter().map(|(key, row)| (key.clone(), seen(row))).collect()
}
