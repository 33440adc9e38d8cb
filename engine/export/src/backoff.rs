//! How long to leave a receiver alone that has failed.

use std::time::Duration;

use crate::limits::{BACKOFF_FIRST, BACKOFF_MAX, RETRY_AFTER_MAX};

/// Doubles with each failure in a row.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Something worked.
    pub(crate) fn succeed(&mut self) {
        self.failures = 0;
    }

    /// The pause after one more failure: half of it by `random`, so that many nodes do not come back to
    /// one receiver together. What the receiver asked for is obeyed where it is longer.
    pub(crate) fn fail(&mut self, asked: Option<Duration>, random: u32) -> Duration {
        let doubled = BACKOFF_FIRST.saturating_mul(1 << self.failures.min(16)).min(BACKOFF_MAX);
        self.failures = self.failures.saturating_add(1);
        let jitter = doubled.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0);
        let own = doubled / 2 + jitter;
        asked.map_or(own, |asked| own.max(asked.min(RETRY_AFTER_MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_start_again_after_a_success() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..40).map(|_| backoff.fail(None, u32::MAX)).collect();
        assert_eq!(pauses[0], BACKOFF_FIRST);
        assert_eq!(pauses[1], 2 * BACKOFF_FIRST);
        assert!(pauses.is_sorted());
        assert_eq!(pauses[39], BACKOFF_MAX);
        backoff.succeed();
        assert_eq!(backoff.fail(None, 0), BACKOFF_FIRST / 2, "half of it is left to chance");
    }

    #[test]
    fn a_receiver_may_ask_for_more_but_not_for_ever() {
        let mut backoff = Backoff::default();
        let asked = Duration::from_secs(30);
        assert_eq!(backoff.fail(Some(asked), 0), asked);
        assert_eq!(backoff.fail(Some(Duration::MAX), 0), RETRY_AFTER_MAX);
    }
}
