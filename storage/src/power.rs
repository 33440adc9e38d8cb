//! Loss of power at any moment: a disk that keeps what was synced, and of the rest whatever it likes.
//!
//! A run is recorded write by write. Then the file is made again as it may be found after power was lost
//! before each sync, and after the last: with everything that had been synced, and of what was written
//! since all, nothing, or some. Each of these files must open, with all that had been published by then
//! and exact counts.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use proptest::prelude::*;
use redb::{Builder, Database, StorageBackend};
use uuid::Uuid;

use crate::arena::Arena;
use crate::batch;
use crate::bench::seen_in;
use crate::event::{EventRef, Seq, SourceKey, Time, Verification};
use crate::limits::{CACHE_BYTES, NS_PER_S};
use crate::load;
use crate::recount::recount;
use crate::shed::Load;
use crate::snapshot::{BucketKey, Snapshot};
use crate::store::{Options, Shared, Store};
use crate::tables::{self, Origin};
use crate::testing::{START, event};
use crate::writer::Writer;

/// What a disk was told.
#[derive(Clone, Debug)]
enum Told {
    Write(u64, Vec<u8>),
    Length(u64),
    Sync,
}

/// A disk in memory that remembers everything that it was told.
#[derive(Clone, Debug, Default)]
struct Recorder(Arc<Mutex<(Vec<u8>, Vec<Told>)>>);

impl Recorder {
    fn with<T>(&self, act: impl FnOnce(&mut Vec<u8>, &mut Vec<Told>) -> T) -> T {
        let mut disk = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (bytes, told) = &mut *disk;
        act(bytes, told)
    }

    fn told(&self) -> Vec<Told> {
        self.with(|_, told| told.clone())
    }
}

impl StorageBackend for Recorder {
    fn len(&self) -> io::Result<u64> {
        self.with(|bytes, _| Ok(bytes.len() as u64))
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|bytes, _| {
            let at = offset as usize;
            out.copy_from_slice(&bytes[at..at + out.len()]);
            Ok(())
        })
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|bytes, told| {
            bytes.resize(len as usize, 0);
            told.push(Told::Length(len));
            Ok(())
        })
    }
    fn sync_data(&self) -> io::Result<()> {
        self.with(|_, told| {
            told.push(Told::Sync);
            Ok(())
        })
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|bytes, told| {
            let at = offset as usize;
            bytes[at..at + data.len()].copy_from_slice(data);
            told.push(Told::Write(offset, data.to_vec()));
            Ok(())
        })
    }
    fn close(&self) -> io::Result<()> {
        Ok(())
    }
}

/// What was published, and how much the disk had been told by then.
struct Published {
    told: usize,
    snapshot: Arc<Snapshot>,
}

/// One source before, between and after the slices of a sweep of two rows, others around it, and events
/// that expire. What one more source sends comes while the commit is stored.
fn run(steps: &[(u8, u64)], retention_ns: u64) -> (Recorder, Vec<Published>) {
    let disk = Recorder::default();
    let db = Builder::new().create_with_backend(disk.clone()).unwrap();
    let origin = Origin { database_id: Uuid::from_u128(1), bucket_key: BucketKey([5, 6]) };
    tables::initialise(&db, origin).unwrap();
    let mut published = Vec::new();
    let mut now = START;
    let mut options = Options::new("nowhere", Uuid::from_u128(2));
    options.retention_ns = retention_ns;
    let shared = Arc::new(Shared::new(options.node_id));
    let mut writer = Writer::new(shared.clone(), &options, load::load(&db).unwrap(), now);
    writer.sweeper.rows_max = 2;
    for (source, wait) in steps {
        let mut arena = Arena::new(0);
        for source in [*source, 3, source + 7] {
            let verification = Verification::ALL[usize::from(source % 5)];
            arena.push(&EventRef { time: now, verification, ..event(source) }).unwrap();
        }
        writer.ingest(&arena, Load::Light);
        now.0 += wait * NS_PER_S;
        let batch = writer.begin_commit(&db, now).unwrap().unwrap();
        arena.clear();
        arena.push(&EventRef { time: now, ..event(source + 14) }).unwrap();
        writer.ingest(&arena, Load::Light);
        writer.end_commit(batch::store(&db, &batch).unwrap());
        let snapshot = Store(shared.clone()).snapshot().unwrap();
        published.push(Published { told: disk.told().len(), snapshot });
    }
    // As after a loss of power: the end of the process writes nothing any more.
    std::mem::forget(db);
    (disk, published)
}

/// The file when power was lost after `told`, of which what was not synced stays as `stays` says.
fn image(told: &[Told], mut stays: impl FnMut() -> bool) -> Vec<u8> {
    let synced = told.iter().rposition(|told| matches!(told, Told::Sync)).unwrap_or(0);
    let mut bytes = Vec::new();
    for (at, told) in told.iter().enumerate() {
        match told {
            Told::Length(len) => bytes.resize(*len as usize, 0),
            Told::Write(offset, data) if at < synced || stays() => {
                let end = *offset as usize + data.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*offset as usize..end].copy_from_slice(data);
            }
            Told::Write(..) | Told::Sync => {}
        }
    }
    bytes
}

/// Opens the file, and holds it against what had been published.
fn check(path: &Path, bytes: &[u8], published: Option<&Published>, retention_ns: u64) {
    std::fs::write(path, bytes).unwrap();
    let recounted = recount(path).unwrap();
    assert!(recounted.is_exact(), "{recounted:?}");
    let Some(Published { snapshot, .. }) = published else { return };
    assert!(recounted.last >= snapshot.through, "what was published is not there");
    let file = redb::backends::FileBackend::new(
        std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap(),
    );
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    let db: Database = builder.create_with_backend(file.unwrap()).unwrap();
    let loaded = load::load(&db).unwrap();
    if loaded.state.last == snapshot.through && loaded.state.expired.0 == snapshot.totals.expired {
        let oldest = snapshot.time.minus_ns(retention_ns);
        let (mut found, mut shown) =
            (counts_in(&loaded.counts.sources.table, oldest), counts_in(&snapshot.sources, oldest));
        let keys = found.keys().filter(|key| came_back(&found, &shown, key, oldest));
        let again: Vec<_> = keys.copied().collect();
        for key in again {
            let (found, shown) = (found.remove(&key).unwrap(), shown.remove(&key).unwrap());
            assert!(found.0 >= shown.0 && found.2 == shown.2, "{key:?}");
        }
        assert_eq!(found, shown);
    }
    assert!(loaded.state.last >= Seq(snapshot.through.0));
}

type Counted = BTreeMap<SourceKey, (u64, Time, Time)>;

/// Whether a row had left for its age before its source came back: then it may count again what it did
/// before, until that expires.
fn came_back(found: &Counted, shown: &Counted, key: &SourceKey, oldest: Time) -> bool {
    let first = found[key].1;
    first < oldest && shown.get(key).is_some_and(|shown| shown.1 > first)
}

/// Counts of the sources that have any: a row whose events have all expired, or that is too old, may be
/// there or not.
fn counts_in(
    table: &crate::snapshot::Table<SourceKey, crate::aggregate::SourceRow>,
    oldest: Time,
) -> Counted {
    seen_in(table)
        .into_iter()
        .filter(|(_, (count, _, last))| *count > 0 && *last >= oldest)
        .collect()
}

fn lose_power_everywhere(steps: &[(u8, u64)], retention_ns: u64, seed: u64) {
    let (disk, published) = run(steps, retention_ns);
    let told = disk.told();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("power.redb");
    let first = published[0].told;
    let syncs = (0..told.len()).filter(|at| matches!(told[*at], Told::Sync) && *at >= first);
    let mut random = seed | 1;
    for at in syncs.chain([told.len()]) {
        let known = published.iter().rfind(|published| published.told <= at);
        for kind in 0..4 {
            let stays = || {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                kind == 1 || (kind > 1 && random >> 63 == 1)
            };
            check(&path, &image(&told[..at], stays), known, retention_ns);
        }
    }
}

#[test]
fn no_loss_of_power_takes_what_was_published_or_makes_a_count_wrong() {
    let steps: Vec<_> = (0..14u8).map(|n| (n % 4, 1 + u64::from(n % 3))).collect();
    lose_power_everywhere(&steps, u64::MAX, 7);
}

#[test]
fn no_loss_of_power_where_a_source_comes_back_makes_a_count_wrong() {
    let steps = [(2, 4), (5, 2), (2, 5), (0, 4), (2, 5), (5, 3)];
    lose_power_everywhere(&steps, 15 * NS_PER_S, 5_806_126_018_444_256_000);
}

#[test]
fn no_loss_of_power_while_events_expire_makes_a_count_wrong() {
    let steps: Vec<_> = (0..14u8).map(|n| (n % 4, 5)).collect();
    lose_power_everywhere(&steps, 20 * NS_PER_S, 9);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn no_loss_of_power_in_any_run_makes_a_count_wrong(
        steps in prop::collection::vec((0..6u8, 0..6u64), 1..12),
        expires: bool,
        seed: u64,
    ) {
        lose_power_everywhere(&steps, if expires { 15 * NS_PER_S } else { u64::MAX }, seed);
    }
}
