//! The writer's thread: the real clock, the channel, and what happens when the disk fails.
//!
//! While the disk refuses writes, the batch that it refused stays in memory and nothing more is
//! taken, so the shards run out of arenas and count what they lose. The file is opened again about
//! once a second, and the batch is stored then.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::RecvTimeoutError;
use redb::Database;

use crate::event::Time;
use crate::intake::WriterIntake;
use crate::limits::{
    COMMIT_INTERVAL, IDLE_INTERVAL, RETRY_INTERVAL, RETRY_LOG_INTERVAL, STOP_PATIENCE,
    STOP_RETRY_INTERVAL,
};
use crate::load::{self, Loaded};
use crate::open::{self, Opening};
use crate::open_error::OpenError;
use crate::store::{Options, Phase, Shared, Store};
use crate::writer::Writer;

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

/// The writer's thread. It ends when all shards' ends of the intake are dropped, after a last
/// durable commit, or when the database cannot be opened.
#[derive(Debug)]
pub struct WriterThread {
    thread: Result<JoinHandle<Result<(), OpenError>>, OpenError>,
}

impl WriterThread {
    /// Whether it has ended, so that [`WriterThread::join`] returns at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().map_or(true, JoinHandle::is_finished)
    }

    /// Waits for the end. A panic of the thread is passed on.
    ///
    /// # Errors
    ///
    /// Why the database could not be opened.
    pub fn join(self) -> Result<(), OpenError> {
        match self.thread?.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
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
    }
}

impl Running {
    fn run(mut self) -> Result<(), OpenError> {
        let _ended = FailedUnless(self.shared.clone());
        let (db, loaded) = self.open().inspect_err(|_| {
            self.shared.stats.events_lost.add(self.intake.drain_count());
        })?;
        let db = Arc::new(db);
        let retention_ns = self.options.retention_ns;
        let writer = Writer::new(self.shared.clone(), retention_ns, loaded, Time::now());
        self.shared.set_database(Some(db.clone()));
        self.shared.set_phase(Phase::Ready);
        let shared = self.shared.clone();
        Serving { running: self, writer, db: Some(db) }.serve();
        shared.set_phase(Phase::Stopped);
        Ok(())
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
        log::info!(
            "{}: {} sources, {} numbers; {} events counted again in {:?}",
            self.options.path.display(),
            loaded.counts.sources.table.len(),
            loaded.counts.numbers.table.len(),
            loaded.replayed,
            begin.elapsed()
        );
        Ok((db, loaded))
    }
}

/// What the thread has while it works.
struct Serving {
    running: Running,
    writer: Writer,
    /// `None` while the disk fails.
    db: Option<Arc<Database>>,
}

impl Serving {
    /// Takes arenas and commits them until nobody can send more.
    fn serve(mut self) {
        let mut last = Instant::now();
        loop {
            let pause = if self.writer.is_busy() { COMMIT_INTERVAL } else { IDLE_INTERVAL };
            match self.running.intake.receive(last + pause) {
                Ok(arena) => {
                    self.writer.ingest(&arena);
                    self.running.intake.give_back(arena);
                    if last.elapsed() < COMMIT_INTERVAL && !self.writer.is_laden() {
                        continue;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.commit_surely();
                    return;
                }
            }
            last = Instant::now();
            if !self.commit_surely() {
                return;
            }
        }
    }

    /// Commits, however long the disk refuses. `false` when the process ended meanwhile and the rest
    /// is lost.
    fn commit_surely(&mut self) -> bool {
        let Err(error) = self.commit() else { return true };
        self.running.shared.set_phase(Phase::Degraded);
        let path = self.running.options.path.display();
        log::error!(
            "{path}: cannot be written: {error}; events wait in memory, and what does not fit there \
             is dropped and counted; trying again every second"
        );
        let recovered = self.recover();
        if recovered {
            self.running.shared.set_phase(Phase::Ready);
            log::info!("{}: can be written again", self.running.options.path.display());
        }
        recovered
    }

    fn commit(&mut self) -> Result<(), String> {
        let result = match &self.db {
            Some(db) => self.writer.commit(db, Time::now()).map_err(|error| error.to_string()),
            None => self.reopen(),
        };
        if result.is_err() {
            // After a failed write redb refuses everything until the file is opened again.
            self.running.shared.stats.commit_errors.add(1);
            self.running.shared.set_database(None);
            self.db = None;
        }
        result
    }

    /// Opens the file again and makes the commit that failed.
    fn reopen(&mut self) -> Result<(), String> {
        let running = &mut self.running;
        let db = (running.opener)(&running.options, Opening::Again)
            .map_err(|error| error.to_string())?;
        match self.writer.knows(&db) {
            Ok(true) => {}
            Ok(false) => return Err("it is not the file that was open before".to_owned()),
            Err(error) => return Err(error.to_string()),
        }
        self.writer.commit(&db, Time::now()).map_err(|error| error.to_string())?;
        let db = Arc::new(db);
        running.shared.set_database(Some(db.clone()));
        self.db = Some(db);
        Ok(())
    }

    /// Tries until the commit has succeeded, or the process ends and patience with it.
    fn recover(&mut self) -> bool {
        let mut logged = Instant::now();
        let mut ends: Option<Instant> = None;
        loop {
            match ends {
                None if self.running.intake.is_over_within(RETRY_INTERVAL) => {
                    ends = Some(Instant::now() + STOP_PATIENCE);
                }
                None => {}
                Some(end) if Instant::now() >= end => {
                    self.give_up();
                    return false;
                }
                Some(_) => std::thread::sleep(STOP_RETRY_INTERVAL),
            }
            let Err(error) = self.commit() else { return true };
            if logged.elapsed() >= RETRY_LOG_INTERVAL {
                logged = Instant::now();
                let path = self.running.options.path.display();
                log::error!("{path}: still cannot be written: {error}");
            }
        }
    }

    fn give_up(&self) {
        let lost = self.writer.pending_events() + self.running.intake.drain_count();
        self.running.shared.stats.events_lost.add(lost);
        log::error!(
            "{}: still cannot be written, and the process ends: {lost} events are lost",
            self.running.options.path.display()
        );
    }
}
