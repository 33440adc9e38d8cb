//! What can be ordered of an output, and asked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sentrypeer_storage::cursor::{Begin, Cursor};
use sentrypeer_storage::event::{Seq, Time};

use crate::batch::Failure;
use crate::limits::FAILURE_LOG_INTERVAL;
use crate::status::{LastError, State, Status};

/// One output, for whoever looks after it. Cheap to clone; orders are obeyed by the output's thread
/// between two batches.
#[derive(Clone, Debug)]
pub struct Handle(pub(crate) Arc<Shared>);

impl Handle {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Hands nothing on until [`Handle::resume`], or the next start of the program.
    pub fn pause(&self) {
        self.0.order(|orders| orders.paused = true);
    }

    /// Goes on after a pause; after a failure at once.
    pub fn resume(&self) {
        self.0.order(|orders| {
            orders.paused = false;
            orders.hurry = true;
        });
    }

    /// Begins again with the oldest event of the log, or with the next that comes.
    pub fn reset(&self, to: Begin) {
        self.0.order(|orders| {
            orders.reset = Some(to);
            orders.hurry = true;
        });
    }

    /// Closes what it has open and opens it again by its name: the file of the JSON log, a connection.
    pub fn reopen(&self) {
        self.0.order(|orders| orders.reopen = true);
    }

    pub(crate) fn stop(&self) {
        self.0.order(|orders| orders.stop = true);
    }

    /// How it is doing, when `through` is the last event that is stored.
    #[must_use]
    pub fn status(&self, through: Seq, now: Time) -> Status {
        self.0.status(through, now)
    }
}

/// What its thread is told.
#[derive(Debug, Default)]
struct Orders {
    stop: bool,
    paused: bool,
    reopen: bool,
    /// Ends the pause after a failure.
    hurry: bool,
    reset: Option<Begin>,
}

/// What one look at the orders says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Stop,
    GoOn { reopen: bool, reset: Option<Begin> },
}

/// What its thread has done.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sent: AtomicU64,
    pub(crate) filtered: AtomicU64,
    pub(crate) set_aside: AtomicU64,
    pub(crate) failures: AtomicU64,
}

impl Counts {
    pub(crate) fn add(counter: &AtomicU64, more: usize) {
        counter.fetch_add(more as u64, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Seen {
    state: State,
    cursor: Cursor,
    /// Time of the last event that was done with.
    last_event: Time,
    last_error: Option<LastError>,
    /// When a failure was last logged.
    logged: Option<Instant>,
    /// Whether the log's last line of this output is a failure.
    is_said_to_fail: bool,
}

impl Seen {
    fn new() -> Self {
        Self {
            state: State::Starting,
            cursor: Cursor::default(),
            last_event: Time(0),
            last_error: None,
            logged: None,
            is_said_to_fail: false,
        }
    }

    /// Whether a failure gets a line. A receiver that takes and refuses in turn, or refuses in ever other
    /// words, would fill the log: the status has each of its failures.
    fn says_failure(&mut self, now: Instant) -> bool {
        if self.logged.is_some_and(|when| now.duration_since(when) < FAILURE_LOG_INTERVAL) {
            return false;
        }
        self.logged = Some(now);
        self.is_said_to_fail = true;
        true
    }

    /// Whether a success gets a line: one for each line of a failure.
    fn says_success(&mut self) -> bool {
        std::mem::take(&mut self.is_said_to_fail)
    }
}

/// What an output's thread and its handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    name: String,
    kind: &'static str,
    target: String,
    orders: Mutex<Orders>,
    changed: Condvar,
    pub(crate) counts: Counts,
    seen: Mutex<Seen>,
}

/// A panic elsewhere leaves these plain values whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(name: String, kind: &'static str, target: String) -> Self {
        Self {
            name,
            kind,
            target,
            orders: Mutex::default(),
            changed: Condvar::new(),
            counts: Counts::default(),
            seen: Mutex::new(Seen::new()),
        }
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut lock(&self.orders));
        self.changed.notify_all();
    }

    /// What it is to do now; waits while it is to pause.
    pub(crate) fn told(&self) -> Told {
        let mut orders = lock(&self.orders);
        while orders.paused && !orders.stop && orders.reset.is_none() {
            self.set_state(State::Paused);
            orders = self.changed.wait(orders).unwrap_or_else(PoisonError::into_inner);
            self.set_state(State::Running);
        }
        orders.hurry = false;
        if orders.stop {
            return Told::Stop;
        }
        Told::GoOn { reopen: std::mem::take(&mut orders.reopen), reset: orders.reset.take() }
    }

    /// Whether it is to do nothing more, now or at all.
    pub(crate) fn is_held(&self) -> bool {
        let orders = lock(&self.orders);
        orders.stop || orders.paused
    }

    /// Does nothing for so long, unless there is an order that cannot wait.
    pub(crate) fn rest(&self, pause: Duration) {
        let orders = lock(&self.orders);
        let rests = |orders: &mut Orders| !(orders.stop || orders.paused || orders.hurry);
        drop(self.changed.wait_timeout_while(orders, pause, rests));
    }

    pub(crate) fn set_state(&self, state: State) {
        lock(&self.seen).state = state;
    }

    pub(crate) fn note_cursor(&self, cursor: Cursor) {
        lock(&self.seen).cursor = cursor;
    }

    pub(crate) fn note_event(&self, time: Time) {
        lock(&self.seen).last_event = time;
    }

    /// Counts a failure, and logs it unless one was just logged.
    pub(crate) fn note_failure(&self, failure: &Failure, at: Time) {
        Counts::add(&self.counts.failures, 1);
        let mut seen = lock(&self.seen);
        seen.state = State::Failing;
        seen.last_error = Some(LastError { at, text: failure.text.clone() });
        if seen.says_failure(Instant::now()) {
            log::warn!("output {}: {}; will try again", self.name, failure.text);
        }
    }

    /// All is well; says so if the log has it that it is not.
    pub(crate) fn note_success(&self) {
        let mut seen = lock(&self.seen);
        seen.state = State::Running;
        if seen.says_success() {
            log::info!("output {}: works again", self.name);
        }
    }

    fn status(&self, through: Seq, now: Time) -> Status {
        let seen = lock(&self.seen);
        let lag_events = through.0.saturating_sub(seen.cursor.at.0);
        let age = now.0.saturating_sub(seen.last_event.0) / 1_000_000_000;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Status {
            name: self.name.clone(),
            kind: self.kind,
            target: self.target.clone(),
            state: seen.state,
            cursor: seen.cursor.at,
            missed: seen.cursor.missed,
            lag_events,
            lag_s: if lag_events == 0 || seen.last_event == Time(0) { 0 } else { age },
            sent: count(&self.counts.sent),
            filtered: count(&self.counts.filtered),
            set_aside: count(&self.counts.set_aside),
            failures: count(&self.counts.failures),
            last_error: seen.last_error.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_that_alternates_gets_two_lines_an_interval() {
        let (mut seen, begin) = (Seen::new(), Instant::now());
        assert!(!seen.says_success());
        assert!(seen.says_failure(begin) && seen.says_success());
        for second in 0..59 {
            assert!(!seen.says_failure(begin + Duration::from_secs(second)));
            assert!(!seen.says_success());
        }
        assert!(seen.says_failure(begin + FAILURE_LOG_INTERVAL) && seen.says_success());
    }
}
