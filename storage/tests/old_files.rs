//! Files of earlier versions open, and everything in them is there.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::path::PathBuf;

use sentrypeer_storage::event::{Seq, SourceKey};
use sentrypeer_storage::recount::recount;
use sentrypeer_storage::{Options, Phase, Store, WriterThread, intake};
use tempfile::TempDir;
use uuid::Uuid;

/// A copy of a stored file.
fn unpacked(name: &str) -> (TempDir, PathBuf) {
    let packed = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(name);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.redb");
    let bytes = zstd::stream::decode_all(std::fs::File::open(packed).unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn open(path: &PathBuf) -> (Store, WriterThread) {
    let (shards, end) = intake::channel(1);
    // Without a shard the writer ends as soon as the database is open.
    drop(shards);
    let (store, thread) = sentrypeer_storage::start(Options::new(path, Uuid::from_u128(1)), end);
    while !thread.is_finished() {
        std::thread::yield_now();
    }
    assert_eq!(store.phase(), Phase::Stopped);
    (store, thread)
}

/// Written by the version before cursors: 500 events of 100 sources, of every third event connected,
/// one second apart from 2096 on; and 5 repeats of 2 events each, of 198.51.100.7.
#[test]
fn a_file_of_schema_1_opens_with_all_its_events_and_counts() {
    let (_folder, path) = unpacked("schema-1.redb.zst");
    let before = std::fs::read(&path).unwrap();
    let recounted = recount(&path).unwrap();
    assert!(recounted.is_exact(), "{recounted:?}");
    assert_eq!((recounted.events, recounted.rows), (510, [100, 50, 1]));
    assert_eq!(before, std::fs::read(&path).unwrap(), "a recount changes nothing");
    for _ in 0..2 {
        let (store, thread) = open(&path);
        let snapshot = store.snapshot().unwrap();
        thread.join().unwrap();
        assert_eq!((snapshot.through, snapshot.totals.events()), (Seq(505), 510));
        let source = SourceKey::of("198.51.100.7".parse().unwrap());
        assert_eq!(snapshot.sources.get(&source).unwrap().seen.count, 5 + 10);
    }
    assert!(recount(&path).unwrap().is_exact());
}
