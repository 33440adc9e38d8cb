//! How often somebody may do something: a token bucket that is one number.
//!
//! Kept is the time at which the bucket will be full again (the virtual scheduling form of ITU-T
//! I.371's generic cell rate algorithm): each event moves it on by one interval, and one that would
//! move it further ahead than the burst allows is refused.

use sentrypeer_storage::event::Time;

const NS_PER_S: u64 = 1_000_000_000;

/// A rate with a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Events a second in the long run; at least 1.
    pub per_s: u32,
    /// Events that may come at once; at least 1.
    pub burst: u32,
}

impl Rate {
    /// So many a second, and what two seconds have at once.
    #[must_use]
    pub fn with_double_burst(per_s: u32) -> Self {
        Self { per_s, burst: per_s.saturating_mul(2) }
    }

    fn interval_ns(self) -> u64 {
        NS_PER_S / u64::from(self.per_s.max(1))
    }
}

/// One bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    full_at: Time,
}

impl Bucket {
    /// Takes one event.
    ///
    /// # Errors
    ///
    /// The seconds after which one more is allowed, at least 1.
    pub(crate) fn take(&mut self, rate: Rate, now: Time) -> Result<(), u32> {
        let interval = rate.interval_ns();
        let full_at = self.full_at.0.max(now.0).saturating_add(interval);
        let ahead = full_at - now.0;
        let allowed = interval.saturating_mul(u64::from(rate.burst.max(1)));
        if ahead > allowed {
            let wait_s = (ahead - allowed).div_ceil(NS_PER_S).max(1);
            return Err(u32::try_from(wait_s).unwrap_or(u32::MAX));
        }
        self.full_at = Time(full_at);
        Ok(())
    }

    /// Whether it is as good as a new one.
    pub(crate) fn is_full(self, now: Time) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_s: 10, burst: 3 };

    #[test]
    fn a_burst_is_taken_at_once_and_then_the_rate_holds() {
        let mut bucket = Bucket::default();
        let start = Time(NS_PER_S);
        let taken = (0..10).filter(|_| bucket.take(RATE, start).is_ok()).count();
        assert_eq!(taken, 3);
        assert_eq!(bucket.take(RATE, start), Err(1));
        let tenth = Time(start.0 + NS_PER_S / 10);
        assert_eq!(bucket.take(RATE, tenth), Ok(()));
        assert!(bucket.take(RATE, tenth).is_err());
        assert!(!bucket.is_full(tenth));
        assert!(bucket.is_full(Time(start.0 + NS_PER_S)));
    }

    #[test]
    fn in_the_long_run_no_more_than_the_rate_comes_through() {
        let mut bucket = Bucket::default();
        let start = NS_PER_S;
        let taken = (0..100_000_u64)
            .filter(|n| bucket.take(RATE, Time(start + n * NS_PER_S / 1_000)).is_ok())
            .count();
        assert!((1_000..=1_003).contains(&taken), "{taken}");
    }

    #[test]
    fn a_clock_that_goes_back_neither_panics_nor_opens_the_bucket() {
        let mut bucket = Bucket::default();
        let late = Time(100 * NS_PER_S);
        while bucket.take(RATE, late).is_ok() {}
        assert!(bucket.take(RATE, Time(NS_PER_S)).is_err());
    }
}
