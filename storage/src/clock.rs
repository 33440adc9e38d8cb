//! Which time expiry goes by, when the system's clock jumps.
//!
//! Expiry destroys, so it must not believe a clock that was set wrong for a minute: a machine without
//! a battery starts in 1970, a bad time server says 2036. As long as the clock goes on from where it
//! was, expiry goes by it. After a jump it goes by the earlier of two times, the clock's and the one that
//! it would have without the jump, until the new time has stood for [`CLOCK_BELIEF`]. Nothing else waits:
//! events carry the clock's time, and readers compare with it.
//!
//! A start is no jump, if the clock is not before the last commit, and not so far behind it that
//! everything would expire at once.

use std::time::Duration;

use crate::event::Time;
use crate::limits::{CLOCK_BELIEF, CLOCK_JUMP_NS};

/// What time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    /// By the system's clock.
    pub(crate) time: Time,
    /// For expiry.
    pub(crate) expiry: Time,
    /// Whether the clock is believed, so that what is later than it must be wrong.
    pub(crate) is_sure: bool,
}

impl From<Time> for Now {
    /// A time that nobody doubts.
    fn from(time: Time) -> Self {
        Self { time, expiry: time, is_sure: true }
    }
}

/// Watches the system's clock beside one that cannot be set.
#[derive(Debug)]
pub(crate) struct Clock {
    /// The last time that was believed, and when that was.
    believed: Time,
    at: Duration,
    /// The other time that the clock has shown since, and since when.
    doubted: Option<(Time, Duration)>,
}

impl Clock {
    /// `last` is when something was last stored, `retention_ns` what a node may be switched off for,
    /// `steady` the time of a clock that cannot be set.
    pub(crate) fn new(last: Time, retention_ns: u64, time: Time, steady: Duration) -> Self {
        let goes_on = time.0.saturating_add(CLOCK_JUMP_NS) >= last.0
            && (last == Time(0) || time.0.saturating_sub(last.0) < retention_ns);
        let believed = if goes_on { time } else { last };
        Self { believed, at: steady, doubted: None }
    }

    /// The time, and what to make of it.
    pub(crate) fn now(&mut self, time: Time, steady: Duration) -> Now {
        let expected = later(self.believed, steady.saturating_sub(self.at)).0;
        // A clock that jumps again shows a time that has to stand for itself.
        let doubted = self.doubted.filter(|(shown, since)| {
            let goes_on = later(*shown, steady.saturating_sub(*since));
            time.0.abs_diff(goes_on.0) <= CLOCK_JUMP_NS
        });
        let doubted = match doubted {
            _ if time.0.abs_diff(expected) <= CLOCK_JUMP_NS => None,
            None => {
                log::warn!(
                    "the system's clock has jumped by {} s: nothing is deleted because of its new \
                     time before that has stood for {} h",
                    (i128::from(time.0) - i128::from(expected)) / 1_000_000_000,
                    CLOCK_BELIEF.as_secs() / 3600
                );
                Some((time, steady))
            }
            Some((_, since)) if steady.saturating_sub(since) >= CLOCK_BELIEF => None,
            doubted => doubted,
        };
        self.doubted = doubted;
        if doubted.is_none() {
            (self.believed, self.at) = (time, steady);
            return time.into();
        }
        Now { time, expiry: time.min(Time(expected)), is_sure: false }
    }
}

fn later(time: Time, by: Duration) -> Time {
    Time(time.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{NS_PER_S, RETENTION_NS};

    const DAY_NS: u64 = 86_400 * NS_PER_S;
    const START: Time = Time(20_000 * DAY_NS);

    fn at(days: u64) -> Time {
        Time(START.0 + days * DAY_NS)
    }

    fn clock() -> Clock {
        Clock::new(START, RETENTION_NS, START, Duration::ZERO)
    }

    fn hours(n: u64) -> Duration {
        Duration::from_secs(3600 * n)
    }

    #[test]
    fn a_clock_that_goes_on_is_believed_also_when_it_is_corrected() {
        let mut clock = clock();
        for n in 1..100 {
            let time = Time(START.0 + n * 3600 * NS_PER_S + (n % 3) * 60 * NS_PER_S);
            assert_eq!(clock.now(time, hours(n)), time.into());
        }
    }

    #[test]
    fn a_clock_that_jumps_ahead_expires_nothing_until_it_has_stood_for_a_day() {
        let mut clock = clock();
        let wrong = clock.now(at(3650), hours(1));
        assert_eq!((wrong.time, wrong.is_sure), (at(3650), false));
        assert_eq!(wrong.expiry, Time(START.0 + 3600 * NS_PER_S));
        let back = Time(START.0 + 2 * 3600 * NS_PER_S);
        assert_eq!(clock.now(back, hours(2)), back.into());
        assert!(!clock.now(at(3650), hours(3)).is_sure);
        assert!(!clock.now(Time(at(3650).0 + 23 * 3600 * NS_PER_S), hours(26)).is_sure);
        assert!(clock.now(at(3651), hours(27)).is_sure);
    }

    #[test]
    fn a_clock_that_jumps_again_has_to_stand_anew() {
        let mut clock = clock();
        let slow = |n: u64| Time(START.0 + (n - 2) * 3600 * NS_PER_S);
        assert!(!clock.now(slow(2), hours(2)).is_sure);
        assert!(!clock.now(slow(23), hours(23)).is_sure);
        assert!(!clock.now(at(3650), hours(27)).is_sure, "believed the moment that it came");
        assert!(!clock.now(at(3651), hours(27 + 23)).is_sure);
        assert!(clock.now(Time(at(3651).0 + 3600 * NS_PER_S), hours(27 + 25)).is_sure);
    }

    #[test]
    fn a_clock_that_jumps_back_is_the_one_that_expiry_goes_by() {
        let mut clock = clock();
        let early = Time(1000);
        assert_eq!(clock.now(early, hours(1)), Now { time: early, expiry: early, is_sure: false });
        let right = Time(START.0 + 2 * 3600 * NS_PER_S);
        assert_eq!(clock.now(right, hours(2)), right.into());
    }

    #[test]
    fn a_start_is_believed_unless_everything_would_expire_or_time_went_back() {
        for (last, time, sure) in [
            (Time(0), at(0), true),
            (at(0), at(6), true),
            (at(0), at(8), false),
            (at(1), at(0), false),
        ] {
            let mut clock = Clock::new(last, RETENTION_NS, time, hours(5));
            let now = clock.now(time, hours(5));
            assert_eq!(now.is_sure, sure, "{last:?} {time:?}");
            assert_eq!(now.expiry, if sure { time } else { time.min(last) });
        }
    }
}
