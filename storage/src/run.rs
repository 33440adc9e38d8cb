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
mod tests;
