//! The writer's thread: the real clock, the channel, and what happens when the disk fails.
//!
//! While a commit is stored, what comes is taken for the next one; when that is due, and the disk is not
//! ready, the thread waits.
//!
//! While the disk refuses writes, the batch that it refused stays in memory and nothing more is
//! taken, so the shards run out of arenas and count what they lose. The file is opened again about
//! once a second, and the batch is stored then.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use redb::Database;

use crate::arena::Arena;
use crate::batch::Stored;
use crate::clock::{Clock, Now};
use crate::committer::Committer;
use crate::event::Time;
use crate::intake::WriterIntake;
use crate::limits::{
    COMMIT_INTERVAL, IDLE_INTERVAL, RETRY_INTERVAL, RETRY_LOG_INTERVAL, STOP_PATIENCE,
    STOP_RETRY_INTERVAL, STOP_SWEEP_PATIENCE,
};
use crate::load::{self, Loaded};
use crate::open::{self, Opening};
use crate::open_error::OpenError;
use crate::shed::Load;
use crate::store::{Options, Phase, Shared, Store};
use crate::writer::Writer;
use crate::writer_thread::{WriterError, WriterThread};

/// Opens the database and stores what comes, on a thread of its own. Returns at once.
#[must_use]
pub fn start(options: Options, intake: WriterIntake) -> (Store, WriterThread) {
    start_with(options, intake, Box::new(open::open))
}

/// How the file is opened: a test puts a disk that fails in between.
pub(crate) type Opener = Box<dyn FnMut(&Options, Opening) -> Result<Database, OpenError> + Send>;

pub(crate) fn start_with(
    options: Options,
    intake: WriterIntake,
    opener: Opener,
) -> (Store, WriterThread) {
    let shared = Arc::new(Shared::new(options.node_id));
    let store = Store(shared.clone());
    let path = options.path.clone();
    let running = Running { shared, options, intake, opener };
    let thread = std::thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || running.run())
        .map_err(|error| {
            store.0.set_phase(Phase::Failed);
            OpenError::Io { path, reason: format!("no thread can be started: {error}") }
        });
    (store, WriterThread { thread })
}

/// What the thread has until the database is open.
struct Running {
    shared: Arc<Shared>,
    options: Options,
    intake: WriterIntake,
    opener: Opener,
}

/// Says that the writer has failed unless it ended otherwise: also when it panics.
struct FailedUnless(Arc<Shared>);

impl Drop for FailedUnless {
    fn drop(&mut self) {
        self.0.set_database(None);
        if Store(self.0.clone()).phase() != Phase::Stopped {
            self.0.set_phase(Phase::Failed);
        }
        // Whoever waits for an order learns that nobody is there to carry it out.
        while self.0.orders.1.try_recv().is_ok() {}
    }
}

impl Running {
    fn run(mut self) -> Result<(), WriterError> {
        let _ended = FailedUnless(self.shared.clone());
        let (db, loaded) = self.open().inspect_err(|_| {
            self.shared.stats.events_lost.add(self.intake.drain_count());
        })?;
        let db = Arc::new(db);
        let retention_ns = self.options.retention_ns;
        let clock = Clock::new(loaded.time, retention_ns, Time::now(), steady());
        // Before the first snapshot: who sees that can read the log, too.
        self.shared.set_database(Some(db.clone()));
        let writer = Writer::new(self.shared.clone(), &self.options, loaded, Time::now());
        self.shared.set_phase(Phase::Ready);
        let shared = self.shared.clone();
        let committer = Committer::new();
        let serving = Serving { running: self, writer, committer, clock, db: Some(db), spared: 0 };
        let ended = serving.serve();
        shared.set_phase(Phase::Stopped);
        ended
    }

    fn open(&mut self) -> Result<(Database, Loaded), OpenError> {
        let db = (self.opener)(&self.options, Opening::First)?;
        self.shared.set_phase(Phase::Replaying);
        let begin = Instant::now();
        let loaded =
            load::load(&db).map_err(|error| open::open_error(&self.options.path, error))?;
        let stats = &self.shared.stats;
        stats.replay_events.set(loaded.replayed);
        stats.replay_ns.set(u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX));
        log::debug!(
            "{}: {} sources, {} numbers; {} events counted again in {} ms",
            self.options.path.display(),
            loaded.counts.sources.table.len(),
            loaded.counts.numbers.table.len(),
            loaded.replayed,
            begin.elapsed().as_millis()
        );
        Ok((db, loaded))
    }
}

/// The time of a clock that nobody can set.
fn steady() -> Duration {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    BEGIN.get_or_init(Instant::now).elapsed()
}

/// What the thread has while it works.
struct Serving {
    running: Running,
    writer: Writer,
    committer: Committer,
    clock: Clock,
    /// `None` while the disk fails.
    db: Option<Arc<Database>>,
    /// Arenas that are still to be stored whole, for they waited while the disk refused writes, and not
    /// because there is too much of them.
    spared: usize,
}

impl Serving {
    /// Takes arenas and commits them until nobody can send more.
    fn serve(mut self) -> Result<(), WriterError> {
        let mut last = Instant::now();
        loop {
            let received = self.receive(last + self.pause());
            let is_over = self.take(received)?;
            if is_over {
                self.settle_surely()?;
                self.commit_surely()?;
                self.sweep();
                return Ok(());
            }
            let is_order = self.writer.takes_orders() && !self.running.shared.orders.1.is_empty();
            if last.elapsed() >= self.pause() || self.writer.is_laden() || is_order {
                last = Instant::now();
                self.settle_surely()?;
                self.commit_ahead_surely()?;
            }
        }
    }

    /// Ingests what has come, and ends the commit that has been stored meanwhile. Whether nobody can send more.
    ///
    /// In this order: where the commit has failed the process may end before it is made, and then only what
    /// was ingested is counted as lost. While a commit is under way events may be ingested.
    fn take(&mut self, received: Result<Arena, RecvTimeoutError>) -> Result<bool, WriterError> {
        let is_over = matches!(received, Err(RecvTimeoutError::Disconnected));
        if let Ok(arena) = received {
            self.ingest(arena);
        }
        if let Some(stored) = self.committer.poll() {
            self.end_surely(stored)?;
        }
        Ok(is_over)
    }

    /// How long it waits from one commit to the next.
    fn pause(&self) -> Duration {
        if self.writer.is_busy() { COMMIT_INTERVAL } else { IDLE_INTERVAL }
    }

    /// The next arena. The wait for it ends when a commit has been stored, or an order can be taken on.
    fn receive(&self, deadline: Instant) -> Result<Arena, RecvTimeoutError> {
        let intake = &self.running.intake;
        if let Some(outcome) = self.committer.outcome() {
            return intake.receive(deadline, Some(outcome));
        }
        let orders = self.writer.takes_orders().then_some(&self.running.shared.orders.1);
        intake.receive(deadline, orders)
    }

    fn ingest(&mut self, arena: Arena) {
        let load = self.load(&arena);
        self.writer.ingest(&arena, load);
        self.running.intake.give_back(arena);
    }

    /// Stores the rows that have changed, as far as there is time. What fails here is lost to nobody: the next
    /// start replays it.
    fn sweep(&mut self) {
        let begin = Instant::now();
        self.writer.sweeper.hurry();
        let mut before = None;
        while begin.elapsed() < STOP_SWEEP_PATIENCE && before != Some(self.writer.swept_through()) {
            before = Some(self.writer.swept_through());
            if let Err(error) = self.commit() {
                let path = self.running.options.path.display();
                log::warn!(
                    "{path}: the rows cannot be written: {error}; the next start takes longer"
                );
                return;
            }
        }
    }

    fn load(&mut self, arena: &Arena) -> Load {
        if self.spared > 0 {
            self.spared -= 1;
            return Load::Light;
        }
        self.running.intake.load(arena)
    }

    /// Begins a commit, and waits for its end only if nothing may be ingested before it.
    fn commit_ahead_surely(&mut self) -> Result<(), WriterError> {
        self.take_order();
        if !self.writer.may_run_ahead() {
            return self.commit_surely();
        }
        // While the disk fails nobody comes here.
        let Some(db) = self.db.clone() else { return self.commit_surely() };
        let now = self.clock.now(Time::now(), steady());
        match self.writer.begin_commit(&db, now) {
            Ok(None) => Ok(()),
            Ok(Some(batch)) => match self.committer.begin(&db, batch) {
                None => Ok(()),
                Some(stored) => {
                    drop(db);
                    self.end_surely(stored)
                }
            },
            Err(error) => {
                drop(db);
                self.end_surely(Err(error))
            }
        }
    }

    /// Waits for the commit that is under way.
    fn settle_surely(&mut self) -> Result<(), WriterError> {
        match self.committer.wait() {
            Some(stored) => self.end_surely(stored),
            None => Ok(()),
        }
    }

    /// Publishes what was stored; what was not is stored, however long the disk refuses.
    fn end_surely(&mut self, stored: Result<Stored, redb::Error>) -> Result<(), WriterError> {
        match stored {
            Ok(stored) => {
                self.writer.end_commit(stored);
                Ok(())
            }
            Err(error) => {
                self.close();
                self.recover(&error.to_string())
            }
        }
    }

    /// Commits, however long the disk refuses. An error when the process ended meanwhile and the
    /// rest is lost.
    fn commit_surely(&mut self) -> Result<(), WriterError> {
        match self.commit() {
            Ok(()) => Ok(()),
            Err(error) => self.recover(&error),
        }
    }

    /// Makes the commit that failed, however long that takes. An error when the process ended meanwhile and
    /// the rest is lost.
    fn recover(&mut self, error: &str) -> Result<(), WriterError> {
        self.running.shared.set_phase(Phase::Degraded);
        let path = self.running.options.path.display();
        log::error!(
            "{path}: cannot be written: {error}; events wait in memory, and what does not fit there \
             is dropped and counted; trying again every second"
        );
        self.try_again()?;
        self.spared = self.running.intake.waiting();
        self.running.shared.set_phase(Phase::Ready);
        log::info!("{}: can be written again", self.running.options.path.display());
        Ok(())
    }

    fn take_order(&mut self) {
        if self.writer.takes_orders()
            && let Ok(order) = self.running.shared.orders.1.try_recv()
        {
            self.writer.take_order(order);
        }
    }

    fn commit(&mut self) -> Result<(), String> {
        self.take_order();
        let now = self.clock.now(Time::now(), steady());
        let result = match &self.db {
            Some(db) => self.writer.commit(db, now).map_err(|error| error.to_string()),
            None => self.reopen(now),
        };
        if result.is_err() {
            self.close();
        }
        result
    }

    /// After a failed write redb refuses everything until the file is opened again.
    fn close(&mut self) {
        self.running.shared.stats.commit_errors.add(1);
        self.running.shared.set_database(None);
        self.db = None;
    }

    /// Opens the file again and makes the commit that failed.
    fn reopen(&mut self, now: Now) -> Result<(), String> {
        let running = &mut self.running;
        let db = (running.opener)(&running.options, Opening::Again)
            .map_err(|error| error.to_string())?;
        match self.writer.knows(&db) {
            Ok(true) => {}
            Ok(false) => return Err("it is not the file that was open before".to_owned()),
            Err(error) => return Err(error.to_string()),
        }
        let measured = self.writer.measure(&db);
        measured.and_then(|()| self.writer.commit(&db, now)).map_err(|error| error.to_string())?;
        let db = Arc::new(db);
        running.shared.set_database(Some(db.clone()));
        self.db = Some(db);
        Ok(())
    }

    /// Tries until the commit has succeeded, or the process ends and patience with it.
    fn try_again(&mut self) -> Result<(), WriterError> {
        let mut logged = Instant::now();
        let mut ends: Option<Instant> = None;
        loop {
            match ends {
                None if self.running.intake.is_over_within(RETRY_INTERVAL) => {
                    ends = Some(Instant::now() + STOP_PATIENCE);
                }
                None => {}
                Some(end) if Instant::now() >= end => return Err(self.give_up()),
                Some(_) => std::thread::sleep(STOP_RETRY_INTERVAL),
            }
            let Err(error) = self.commit() else { return Ok(()) };
            if logged.elapsed() >= RETRY_LOG_INTERVAL {
                logged = Instant::now();
                let path = self.running.options.path.display();
                log::error!("{path}: still cannot be written: {error}");
            }
        }
    }

    fn give_up(&self) -> WriterError {
        let events = self.writer.pending_events() + self.running.intake.drain_count();
        self.running.shared.stats.events_lost.add(events);
        WriterError::Lost { path: self.running.options.path.clone(), events }
    }
}

#[cfg(test)]
mod tests {
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
        let (_folder, options, store, sent) = bench.stop();
        assert_eq!(store.stats().events_lost.get(), 0);
        let recount = recount(&options.path).unwrap();
        assert!(recount.is_exact() && recount.events == sent, "{recount:?}");
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
        let (_folder, options, _, sent) = bench.stop();
        let recount = recount(&options.path).unwrap();
        assert!(recount.is_exact() && recount.events == sent, "{recount:?}");
    }

    #[test]
    fn what_comes_while_the_disk_is_slow_is_taken_for_the_next_commit() {
        let mut bench = Bench::start();
        bench.send();
        bench.wait_until_all_is_seen();
        bench.stalls.store(true, Ordering::SeqCst);
        bench.send();
        bench.wait(|_| bench.is_awaited.load(Ordering::SeqCst));
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
        let (_folder, options, _, sent) = bench.stop();
        let recount = recount(&options.path).unwrap();
        assert!(recount.is_exact() && recount.events == sent, "{recount:?}");
    }

    #[test]
    fn what_came_while_a_commit_failed_is_stored_after_it() {
        let mut bench = Bench::start();
        bench.send();
        bench.wait_until_all_is_seen();
        bench.stalls.store(true, Ordering::SeqCst);
        bench.send();
        bench.wait(|_| bench.is_awaited.load(Ordering::SeqCst));
        bench.send();
        bench.is_full.store(true, Ordering::SeqCst);
        bench.stalls.store(false, Ordering::SeqCst);
        bench.wait(|store| store.phase() == Phase::Degraded);
        bench.send();
        bench.is_full.store(false, Ordering::SeqCst);
        bench.wait_until_all_is_seen();
        let (_folder, options, store, sent) = bench.stop();
        assert_eq!(store.stats().events_lost.get(), 0);
        let recount = recount(&options.path).unwrap();
        assert!(recount.is_exact() && recount.events == sent, "{recount:?}");
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
            let clock =
                Clock::new(loaded.time, running.options.retention_ns, Time::now(), steady());
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
}
