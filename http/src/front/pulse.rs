//! What an HTTP/2 connection is doing: whether it asks, and whether each answer is being taken.
//!
//! Bytes say nothing about it: a peer can send pings for ever, and take one answer while it lets
//! others lie. So requests and answers are watched, and the connection's task looks at them once in
//! a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::{Instant, sleep};

use crate::counters::Incident;
use crate::limits::{IDLE_TIME_MAX, PULSE_PERIOD, WRITE_STALL_MAX};

/// The pulse of one connection.
#[derive(Debug)]
pub(super) struct Pulse {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the last answer ended, or the connection began.
    rested: Instant,
    /// When each answer that is under way last moved. There are no more than streams.
    moved: HashMap<u64, Instant>,
    next: u64,
}

/// One answer that is under way, from the request's head to its last byte.
#[derive(Debug)]
pub(super) struct Beat {
    pulse: Arc<Pulse>,
    id: u64,
}

impl Pulse {
    pub(super) fn new() -> Arc<Self> {
        let state = State { rested: Instant::now(), moved: HashMap::new(), next: 0 };
        Arc::new(Self { state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request.
    pub(super) fn begin(self: &Arc<Self>) -> Beat {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.moved.insert(id, Instant::now());
        Beat { pulse: Arc::clone(self), id }
    }

    /// Returns when the connection had better end, with the reason.
    pub(super) async fn ends(&self) -> Incident {
        loop {
            sleep(PULSE_PERIOD).await;
            if let Some(why) = self.why_end(Instant::now()) {
                return why;
            }
        }
    }

    fn why_end(&self, now: Instant) -> Option<Incident> {
        let state = self.state();
        let is_over = |since: Instant, most| now.saturating_duration_since(since) >= most;
        if state.moved.values().any(|moved| is_over(*moved, WRITE_STALL_MAX)) {
            return Some(Incident::SlowReader);
        }
        let idle = state.moved.is_empty() && is_over(state.rested, IDLE_TIME_MAX);
        idle.then_some(Incident::Idle)
    }
}

impl Beat {
    /// The reader has room for more, so it took what it had.
    pub(super) fn moved(&self) {
        if let Some(moved) = self.pulse.state().moved.get_mut(&self.id) {
            *moved = Instant::now();
        }
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        let mut state = self.pulse.state();
        state.moved.remove(&self.id);
        state.rested = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn run(test: impl Future<Output = ()>) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap().block_on(test);
    }

    #[test]
    fn one_answer_that_lies_ends_the_connection_though_others_move() {
        run(async {
            let pulse = Pulse::new();
            let (lying, moving) = (pulse.begin(), pulse.begin());
            for _ in 0..4 {
                advance(WRITE_STALL_MAX / 4).await;
                moving.moved();
            }
            assert_eq!(pulse.why_end(Instant::now()), Some(Incident::SlowReader));
            drop(lying);
            assert_eq!(pulse.why_end(Instant::now()), None);
        });
    }

    #[test]
    fn who_asks_for_nothing_is_ended() {
        run(async {
            let pulse = Pulse::new();
            drop(pulse.begin());
            advance(IDLE_TIME_MAX - PULSE_PERIOD).await;
            assert_eq!(pulse.why_end(Instant::now()), None);
            assert_eq!(pulse.ends().await, Incident::Idle);
        });
    }
}
