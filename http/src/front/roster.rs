//! Which connections of the API wait for their client, and since when: one of those has to go when
//! there is no room for a new one.
//!
//! Otherwise whoever opens as many connections as there may be, and asks for nothing, would keep
//! everybody out until each has idled its time away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::limits::SEAT_TIME_MIN;

/// All open connections; there are no more than there may be.
#[derive(Debug, Default)]
pub(super) struct Roster {
    seats: Mutex<Seats>,
}

#[derive(Debug, Default)]
struct Seats {
    by_id: HashMap<u64, Entry>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    /// Requests that are being answered.
    busy: usize,
    /// Since when there is none.
    waits_since: Instant,
    leave: Arc<Notify>,
}

/// A connection's place on the roster; it is taken off when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    roster: Arc<Roster>,
    id: u64,
    leave: Arc<Notify>,
}

/// A request that is being answered, until its answer has been taken.
#[derive(Debug)]
pub(super) struct Busy {
    seat: Arc<Seat>,
}

impl Roster {
    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a connection on the roster.
    pub(super) fn enter(self: &Arc<Self>) -> Seat {
        let mut seats = self.seats();
        let (id, leave) = (seats.next, Arc::new(Notify::new()));
        seats.next += 1;
        let waits_since = Instant::now();
        seats.by_id.insert(id, Entry { busy: 0, waits_since, leave: Arc::clone(&leave) });
        Seat { roster: Arc::clone(self), id, leave }
    }

    /// Tells the connection that has waited longest to end, if there is one that has waited for long
    /// enough. Whether there was.
    pub(super) fn make_room(&self) -> bool {
        let mut seats = self.seats();
        let waiting = seats.by_id.iter_mut().filter(|(_, entry)| entry.busy == 0);
        let longest = waiting.min_by_key(|(_, entry)| entry.waits_since);
        let Some((_, entry)) = longest.filter(|(_, e)| e.waits_since.elapsed() >= SEAT_TIME_MIN)
        else {
            return false;
        };
        entry.leave.notify_one();
        // It is told once.
        entry.waits_since = Instant::now();
        true
    }
}

impl Seat {
    /// Returns when this connection has to go.
    pub(super) async fn must_leave(&self) {
        self.leave.notified().await;
    }

    /// Notes that a request has come.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        if let Some(entry) = self.roster.seats().by_id.get_mut(&self.id) {
            entry.busy += 1;
        }
        Busy { seat: Arc::clone(self) }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(entry) = self.seat.roster.seats().by_id.get_mut(&self.seat.id) {
            entry.busy -= 1;
            entry.waits_since = Instant::now();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.roster.seats().by_id.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, advance, timeout};

    use super::*;

    fn run(test: impl Future<Output = ()>) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap().block_on(test);
    }

    async fn has_to_go(seat: &Seat) -> bool {
        timeout(Duration::from_millis(1), seat.must_leave()).await.is_ok()
    }

    #[test]
    fn who_waits_longest_goes_and_nobody_who_is_being_answered_or_has_just_come() {
        run(async {
            let roster = Arc::new(Roster::default());
            let busy = Arc::new(roster.enter());
            let answering = busy.begin();
            advance(SEAT_TIME_MIN).await;
            let first = roster.enter();
            advance(SEAT_TIME_MIN / 2).await;
            let second = roster.enter();
            assert!(!roster.make_room());
            advance(SEAT_TIME_MIN).await;
            assert!(roster.make_room());
            assert!(has_to_go(&first).await && !has_to_go(&second).await);
            assert!(roster.make_room());
            assert!(has_to_go(&second).await && !has_to_go(&busy).await);
            drop(answering);
            assert!(!roster.make_room());
            advance(SEAT_TIME_MIN).await;
            drop((first, second));
            assert!(roster.make_room() && has_to_go(&busy).await);
            drop(busy);
            assert!(roster.seats().by_id.is_empty());
        });
    }
}
