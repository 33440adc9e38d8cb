//! How many packets are due. The clock is an argument.

use std::time::Duration;

/// A steady rate.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Packets per second. 0 is as fast as it goes.
    pub pps: u64,
    /// Most packets to send at once.
    pub batch: usize,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Send this many.
    Send(usize),
    /// Nothing is due; sleep for this long.
    Sleep(Duration),
}

/// Longest sleep. It keeps slow rates even and lets a stop be noticed.
const SLEEP_MAX: Duration = Duration::from_millis(1);

impl Pace {
    /// What is due `elapsed` after the start, when `sent` have gone.
    ///
    /// A sender that fell behind catches up in whole batches, so that the load as a whole is what
    /// was asked for.
    #[must_use]
    pub fn turn(self, elapsed: Duration, sent: u64) -> Turn {
        if self.pps == 0 {
            return Turn::Send(self.batch);
        }
        let due = elapsed.as_nanos() * u128::from(self.pps) / 1_000_000_000;
        let due = u64::try_from(due).unwrap_or(u64::MAX).saturating_sub(sent);
        let batch_time = Duration::from_nanos(self.batch as u64 * 1_000_000_000 / self.pps);
        match usize::try_from(due).unwrap_or(usize::MAX) {
            due if due >= self.batch => Turn::Send(self.batch),
            // Slower than a batch a millisecond: what is due goes out, or a rate of 10 would burst.
            due if due > 0 && batch_time > SLEEP_MAX => Turn::Send(due),
            _ => Turn::Sleep((batch_time / 2).min(SLEEP_MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends at `pps` for a second by a clock that only sleeping moves.
    fn sent_in_a_second(pps: u64) -> u64 {
        let pace = Pace { pps, batch: 32 };
        let (mut now, mut sent) = (Duration::ZERO, 0);
        while now < Duration::from_secs(1) {
            match pace.turn(now, sent) {
                Turn::Send(due) => sent += due as u64,
                Turn::Sleep(time) => now += time.max(Duration::from_nanos(1)),
            }
        }
        sent
    }

    #[test]
    fn a_rate_is_kept_within_a_batch() {
        for pps in [10, 1_000, 31_999, 100_000, 700_000] {
            let sent = sent_in_a_second(pps);
            assert!(sent.abs_diff(pps) <= 32, "{sent} at {pps}");
        }
    }

    #[test]
    fn one_that_fell_behind_catches_up_in_whole_batches() {
        let pace = Pace { pps: 100_000, batch: 32 };
        assert_eq!(pace.turn(Duration::from_secs(1), 0), Turn::Send(32));
        assert_eq!(pace.turn(Duration::from_secs(1), 99_968), Turn::Send(32));
        assert!(matches!(pace.turn(Duration::from_secs(1), 99_969), Turn::Sleep(_)));
    }

    #[test]
    fn a_slow_rate_does_not_wait_for_a_batch() {
        let pace = Pace { pps: 10, batch: 32 };
        assert_eq!(pace.turn(Duration::from_millis(100), 0), Turn::Send(1));
        assert!(matches!(pace.turn(Duration::from_millis(150), 1), Turn::Sleep(_)));
    }

    #[test]
    fn no_rate_is_as_fast_as_it_goes() {
        assert_eq!(Pace { pps: 0, batch: 8 }.turn(Duration::ZERO, u64::MAX), Turn::Send(8));
    }
}
