//! The writer's thread on disks that refuse, stall and come back.

use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, io};

use redb::backends::FileBackend;
use redb::{BackendError, Builder, StorageBackend};
use uuid::Uuid;

use super::*;
use crate::event::{EventRef, Seq, SourceKey};
use crate::filter::Subject;
use crate::intake::{self, ShardIntake};
use crate::order::Order;
use crate::recount::recount;
use crate::repeat::Repeats;
use crate::testing::event;

/// A disk that can be told to refuse writes, as a full one does.
#[derive(Debug)]
struct Flaky {
    file: FileBackend,
    is_full: Arc<AtomicBool>,
    stalls: Arc<AtomicBool>,
    /// Whether somebody waits because it stalls.
    is_awaited: Arc<AtomicBool>,
}

impl Flaky {
    fn check(&self) -> io::Result<()> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl StorageBackend for Flaky {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        while self.stalls.load(Ordering::SeqCst) {
            self.is_awaited.store(true, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(1));
        }
        self.check()?;
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.file.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
    fn try_lock_range(&self, a: Bound<u64>, b: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(a, b)
    }
    fn unlock_range(&self, a: Bound<u64>, b: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(a, b)
    }
}

/// Opens a file on a disk that is full, stalls, and says that somebody waits as these say.
fn flaky(flags: [Arc<AtomicBool>; 3]) -> Opener {
    Box::new(move |options: &Options, opening| {
        drop(open::open(options, opening)?);
        let file = fs::OpenOptions::new().read(true).write(true).open(&options.path).unwrap();
        let file = FileBackend::new(file).unwrap();
        let [is_full, stalls, is_awaited] = flags.clone();
        Builder::new()
            .create_with_backend(Flaky { file, is_full, stalls, is_awaited })
            .map_err(|error| open::open_error(&options.path, error.into()))
    })
}

struct Bench {
    folder: tempfile::TempDir,
    options: Options,
    is_full: Arc<AtomicBool>,
    stalls: Arc<AtomicBool>,
    is_awaited: Arc<AtomicBool>,
    shards: Vec<ShardIntake>,
    store: Store,
    thread: WriterThread,
    sent: u64,
}

impl Bench {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::new(folder.path().join("test.redb"), Uuid::from_u128(1));
        let [is_full, stalls, is_awaited] = [(); 3].map(|()| Arc::new(AtomicBool::new(false)));
        let opener = flaky([is_full.clone(), stalls.clone(), is_awaited.clone()]);
        let (shards, writer) = intake::channel(2);
        let (store, thread) = start_with(options.clone(), writer, opener);
        let sent = 0;
        let bench =
            Self { folder, options, is_full, stalls, is_awaited, shards, store, thread, sent };
        bench.wait(|store| store.phase() == Phase::Ready);
        bench
    }

    /// Waits for a condition; that it never comes is a failure of the test.
    fn wait(&self, is_met: impl Fn(&Store) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !is_met(&self.store) {
            assert!(Instant::now() < deadline, "phase {:?}", self.store.phase());
            std::thread::yield_now();
        }
    }

    fn send(&mut self) {
        let shard = &mut self.shards[self.sent as usize % 2];
        let mut arena = shard.take().unwrap();
        for n in 0..10 {
            arena.push(&event(n)).unwrap();
        }
        assert_eq!(shard.hand_over(arena), 0);
        self.sent += 10;
    }

    /// Waits until a shard has an arena again.
    fn wait_for_arena(&mut self, arena: &mut Option<Arena>) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while arena.is_none() {
            assert!(Instant::now() < deadline, "no arena has come back");
            std::thread::yield_now();
            *arena = self.shards[0].take();
        }
    }

    /// Sends something, and has the disk stall in the middle of the commit that stores it.
    fn stall_in_a_commit(&mut self) {
        self.send();
        self.wait_until_all_is_seen();
        self.stalls.store(true, Ordering::SeqCst);
        self.send();
        self.wait(|_| self.is_awaited.load(Ordering::SeqCst));
    }

    /// Stops, and counts everything again: it must be what was sent, and nothing else.
    fn stop_and_recount(self) -> Store {
        let (_folder, options, store, sent) = self.stop();
        let recount = recount(&options.path).unwrap();
        assert!(recount.is_exact() && recount.events == sent, "{recount:?}");
        store
    }

    fn wait_until_all_is_seen(&self) {
        let sent = Seq(self.sent);
        self.wait(|store| store.snapshot().is_some_and(|snapshot| snapshot.through == sent));
    }

    fn stop(self) -> (tempfile::TempDir, Options, Store, u64) {
        let (folder, options, store, sent, ended) = self.end();
        ended.unwrap();
        (folder, options, store, sent)
    }

    fn end(self) -> (tempfile::TempDir, Options, Store, u64, Result<(), WriterError>) {
        let Self { folder, options, shards, store, thread, sent, .. } = self;
        drop(shards);
        let ended = thread.join();
        assert_eq!(store.phase(), Phase::Stopped);
        (folder, options, store, sent, ended)
    }
}

#[test]
fn everything_that_was_handed_over_is_stored_when_the_shards_have_gone() {
    let mut bench = Bench::start();
    for _ in 0..20 {
        bench.send();
    }
    let (_folder, options, store, sent) = bench.stop();
    assert_eq!(store.snapshot().unwrap().through, Seq(sent));
    assert_eq!(store.stats().events_stored.get(), sent);
    assert!(store.log().is_none());
    let recount = recount(&options.path).unwrap();
    assert!(recount.is_exact() && recount.events == sent, "{recount:?}");
}

#[test]
fn what_ended_in_order_is_not_replayed() {
    let mut bench = Bench::start();
    for _ in 0..20 {
        bench.send();
    }
    let (_folder, options, _, sent) = bench.stop();
    let (shards, writer) = intake::channel(1);
    let (store, thread) = start(options, writer);
    drop(shards);
    thread.join().unwrap();
    assert_eq!(store.snapshot().unwrap().through, Seq(sent));
    assert_eq!(store.stats().replay_events.get(), 0);
}

#[test]
fn a_disk_that_refuses_writes_loses_nothing_that_found_room_and_is_used_again() {
    let mut bench = Bench::start();
    bench.send();
    bench.wait_until_all_is_seen();
    bench.is_full.store(true, Ordering::SeqCst);
    bench.send();
    bench.wait(|store| store.phase() == Phase::Degraded);
    bench.send();
    let shown = bench.store.snapshot().unwrap().through;
    assert_eq!(shown, Seq(10), "what is published stays, and nothing else is");
    bench.wait(|store| store.stats().commit_errors.get() >= 2);
    bench.is_full.store(false, Ordering::SeqCst);
    bench.wait_until_all_is_seen();
    assert_eq!(bench.store.phase(), Phase::Ready);
    assert_eq!(bench.store.log().unwrap().since(Seq(0), 100).unwrap().len(), 30);
    assert_eq!(bench.stop_and_recount().stats().events_lost.get(), 0);
}

/// What comes in 800 ms at 100,000 events a second waits in memory, whole.
#[test]
fn a_disk_that_stalls_for_a_while_loses_nothing() {
    let mut bench = Bench::start();
    bench.send();
    bench.wait_until_all_is_seen();
    bench.stalls.store(true, Ordering::SeqCst);
    let message = [b'x'; 500];
    let mut arena = bench.shards[0].take().unwrap();
    for n in 0..80_000u64 {
        let event = EventRef { message: &message, ..event(n as u8) };
        if arena.push(&event).is_err() {
            let empty = bench.shards[0].take().expect("there is room");
            let full = std::mem::replace(&mut arena, empty);
            assert_eq!(bench.shards[0].hand_over(full), 0);
            arena.push(&event).unwrap();
        }
    }
    assert_eq!(bench.shards[0].hand_over(arena), 0);
    bench.sent += 80_000;
    bench.stalls.store(false, Ordering::SeqCst);
    bench.wait_until_all_is_seen();
    let stats = bench.store.stats();
    assert_eq!((stats.messages_shed.get(), stats.events_repeated.get()), (0, 0));
    bench.stop_and_recount();
}

#[test]
fn what_comes_while_the_disk_is_slow_is_taken_for_the_next_commit() {
    let mut bench = Bench::start();
    bench.stall_in_a_commit();
    let mut arenas: Vec<_> = std::iter::from_fn(|| bench.shards[0].take()).collect();
    assert!(arenas.iter_mut().all(|arena| arena.push(&event(1)).is_ok()));
    bench.sent += arenas.len() as u64;
    assert!(arenas.into_iter().all(|arena| bench.shards[0].hand_over(arena) == 0));
    let mut arena = None;
    bench.wait_for_arena(&mut arena);
    let shown = bench.store.snapshot().unwrap().through;
    assert_eq!(shown, Seq(10), "nothing is published that is not durable");
    bench.stalls.store(false, Ordering::SeqCst);
    bench.wait_until_all_is_seen();
    bench.stop_and_recount();
}

#[test]
fn what_came_while_a_commit_failed_is_stored_after_it() {
    let mut bench = Bench::start();
    bench.stall_in_a_commit();
    bench.send();
    bench.is_full.store(true, Ordering::SeqCst);
    bench.stalls.store(false, Ordering::SeqCst);
    bench.wait(|store| store.phase() == Phase::Degraded);
    bench.send();
    bench.is_full.store(false, Ordering::SeqCst);
    bench.wait_until_all_is_seen();
    assert_eq!(bench.stop_and_recount().stats().events_lost.get(), 0);
}

#[test]
fn the_process_can_end_while_the_disk_refuses_writes_and_what_is_lost_is_counted() {
    let mut bench = Bench::start();
    bench.send();
    bench.wait_until_all_is_seen();
    bench.is_full.store(true, Ordering::SeqCst);
    bench.send();
    bench.wait(|store| store.phase() == Phase::Degraded);
    bench.send();
    let (_folder, options, store, _, ended) = bench.end();
    let error = ended.unwrap_err();
    assert!(matches!(error, WriterError::Lost { events: 20, .. }), "{error}");
    assert!(error.to_string().ends_with("20 events are lost"), "{error}");
    assert_eq!(store.stats().events_lost.get(), 20);
    let recount = recount(&options.path).unwrap();
    assert!(recount.is_exact() && recount.events == 10, "{recount:?}");
}

/// What the writer's thread has, without the thread.
struct Unthreaded {
    _folder: tempfile::TempDir,
    is_full: Arc<AtomicBool>,
    shards: Vec<ShardIntake>,
    serving: Serving,
}

impl Unthreaded {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::new(folder.path().join("test.redb"), Uuid::from_u128(1));
        let [is_full, stalls, is_awaited] = [(); 3].map(|()| Arc::new(AtomicBool::new(false)));
        let opener = flaky([is_full.clone(), stalls, is_awaited]);
        let (shards, intake) = intake::channel(1);
        let shared = Arc::new(Shared::new(options.node_id));
        let mut running = Running { shared: shared.clone(), options, intake, opener };
        let (db, loaded) = running.open().unwrap();
        let clock = Clock::new(loaded.time, running.options.retention_ns, Time::now(), steady());
        let writer = Writer::new(shared, &running.options, loaded, Time::now());
        let (committer, db) = (Committer::new(), Some(Arc::new(db)));
        let serving = Serving { running, writer, committer, clock, db, spared: 0 };
        Self { _folder: folder, is_full, shards, serving }
    }

    /// An arena with so many events of one source, whose messages are large.
    fn arena(&mut self, events: u64) -> Arena {
        let mut arena = self.shards[0].take().unwrap();
        for _ in 0..events {
            arena.push(&EventRef { message: &[b'x'; 500], ..event(1) }).unwrap();
        }
        arena
    }

    /// Makes a commit that fails, up to where that is known and nobody has looked.
    fn fail_to_commit(&mut self) {
        self.is_full.store(true, Ordering::SeqCst);
        self.serving.commit_ahead_surely().unwrap();
        let committer = &self.serving.committer;
        while committer.outcome().is_some_and(crossbeam_channel::Receiver::is_empty) {
            std::thread::yield_now();
        }
    }
}

#[test]
fn an_arena_in_hand_when_a_commit_has_failed_is_among_what_is_lost() {
    let mut writing = Unthreaded::new();
    let (first, in_hand) = (writing.arena(3), writing.arena(4));
    writing.serving.ingest(first);
    writing.fail_to_commit();
    let Unthreaded { mut serving, shards, .. } = writing;
    drop(shards);
    let ended = serving.take(Ok(in_hand));
    assert!(matches!(ended, Err(WriterError::Lost { events: 7, .. })), "{ended:?}");
    assert_eq!(serving.running.shared.stats.events_lost.get(), 7);
}

#[test]
fn what_came_after_a_commit_that_failed_is_forgotten_too() {
    let mut writing = Unthreaded::new();
    // So much that the commit closes the block.
    let (large, later) = (writing.arena(200), writing.arena(5));
    writing.serving.ingest(large);
    writing.fail_to_commit();
    writing.serving.ingest(later);
    let subject = Subject::Source(SourceKey::of(event(1).source.ip()));
    let (done, told) = crossbeam_channel::bounded(1);
    let store = Store(writing.serving.running.shared.clone());
    store.0.set_phase(Phase::Ready);
    store.order(Order::Forget(subject, done)).unwrap();
    writing.is_full.store(false, Ordering::SeqCst);
    assert!(!writing.serving.take(Err(RecvTimeoutError::Timeout)).unwrap());
    let deadline = Instant::now() + Duration::from_secs(120);
    while told.is_empty() {
        assert!(Instant::now() < deadline, "the order is not carried out");
        writing.serving.commit_ahead_surely().unwrap();
        writing.serving.settle_surely().unwrap();
    }
    assert_eq!(told.recv().unwrap().events, 205);
    assert_eq!(store.log().unwrap().since(Seq(0), 1000).unwrap(), Vec::new());
}

#[test]
fn what_a_shard_only_counted_is_stored_with_its_next_arena() {
    let mut bench = Bench::start();
    let mut repeats = Repeats::default();
    let mut arenas: Vec<_> = std::iter::from_fn(|| bench.shards[0].take()).collect();
    assert!(arenas.iter_mut().all(|arena| arena.push(&event(1)).is_ok()));
    assert!(bench.shards[0].take().is_none());
    assert!((0..1000).all(|n| repeats.add(&event(n as u8 % 3))));
    bench.sent = arenas.len() as u64;
    assert!(arenas.into_iter().all(|arena| bench.shards[0].hand_over(arena) == 0));
    let mut arena = None;
    bench.wait_for_arena(&mut arena);
    repeats.drain_into(arena.as_mut().unwrap());
    assert!(repeats.is_empty());
    assert_eq!(bench.shards[0].hand_over(arena.unwrap()), 0);
    let (_folder, options, store, sent) = bench.stop();
    assert_eq!(store.snapshot().unwrap().totals.events(), sent + 1000);
    let recount = recount(&options.path).unwrap();
    assert!(recount.is_exact() && recount.events == sent + 1000, "{recount:?}");
}

#[test]
fn a_panic_of_the_writer_is_an_error_and_not_passed_on() {
    let (_shards, intake) = intake::channel(1);
    let options = Options::new("/nowhere/test.redb", Uuid::from_u128(1));
    let opener = |_: &Options, _| panic!("this panic is part of the test");
    let (store, thread) = start_with(options, intake, Box::new(opener));
    assert!(matches!(thread.join(), Err(WriterError::Panicked)));
    assert_eq!(store.phase(), Phase::Failed);
}

#[test]
fn a_second_writer_of_the_same_file_fails_and_says_why() {
    let bench = Bench::start();
    let (mut shards, writer) = intake::channel(1);
    let mut arena = shards[0].take().unwrap();
    arena.push(&event(1)).unwrap();
    let _ = shards[0].hand_over(arena);
    let (store, thread) = start(bench.options.clone(), writer);
    assert!(matches!(thread.join(), Err(WriterError::Open(OpenError::InUse { .. }))));
    assert_eq!(store.phase(), Phase::Failed);
    assert_eq!(store.stats().events_lost.get(), 1);
    assert!(store.snapshot().is_none() && store.log().is_none());
    bench.stop();
}
