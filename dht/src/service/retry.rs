//! When OpenDHT is started again after it has ended. The clock is an argument.

use std::time::{Duration, Instant};

use crate::limits::{RESTART_PAUSE, RESTART_PAUSE_MAX};

/// When OpenDHT is started again.
pub(super) struct Retry {
    pub(super) at: Instant,
    pause: Duration,
    pub(super) times: u64,
    pub(super) started: Instant,
}

impl Retry {
    pub(super) fn new(now: Instant) -> Self {
        Self { at: now, pause: RESTART_PAUSE, times: 0, started: now }
    }

    /// That it has ended, or did not start: the pause until the next try. Each is twice as long as the
    /// one before, until it has run longer than the longest: one that starts and ends at once is no better
    /// than one that does not start.
    pub(super) fn failed(&mut self, now: Instant, has_run: bool) -> Duration {
        if has_run && now.saturating_duration_since(self.started) >= RESTART_PAUSE_MAX {
            self.pause = RESTART_PAUSE;
        }
        let pause = self.pause;
        self.at = now + pause;
        self.pause = (pause * 2).min(RESTART_PAUSE_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_as_soon_as_it_starts_is_tried_less_and_less_often() {
        let mut now = Instant::now();
        let mut retry = Retry::new(now);
        let mut fail = |ran: Duration| {
            (retry.started, now) = (now, now + ran);
            retry.failed(now, true)
        };
        let pauses = [0; 3].map(|_| fail(Duration::ZERO));
        assert_eq!(pauses, [1, 2, 4].map(|times| RESTART_PAUSE * times));
        (0..9).for_each(|_| _ = fail(Duration::ZERO));
        assert_eq!(fail(Duration::ZERO), RESTART_PAUSE_MAX);
        assert_eq!(fail(RESTART_PAUSE_MAX), RESTART_PAUSE, "that was a good run");
    }
}
