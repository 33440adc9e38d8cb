//! Points in time on the command line.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sentrypeer_storage::event::Time;

/// A point in time: `2026-11-24T08:35:30Z` (RFC 3339), `2026-11-24` (its beginning, UTC), or so long
/// ago: `90m`, `24h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// This one.
    At(Time),
    /// So many seconds before the present.
    Ago {
        /// Seconds.
        seconds: u64,
    },
}

/// A text that names no point in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a time (2026-11-24T08:35:30Z), a day (2026-11-24), or how long ago (90m, 24h, 7d)")]
pub struct NoTime;

const NS_PER_S: u64 = 1_000_000_000;

impl When {
    /// The point in time, when the present is `now`.
    #[must_use]
    pub fn time(self, now: Time) -> Time {
        match self {
            Self::At(time) => time,
            Self::Ago { seconds } => now.minus_ns(seconds.saturating_mul(NS_PER_S)),
        }
    }
}

impl When {
    /// The point in time, when the present is `now` and what is meant lies ahead: `90d` is then in 90 days.
    #[must_use]
    pub fn time_to_come(self, now: Time) -> Time {
        match self {
            Self::At(time) => time,
            Self::Ago { seconds } => Time(now.0.saturating_add(seconds.saturating_mul(NS_PER_S))),
        }
    }
}

impl FromStr for When {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<Self, NoTime> {
        let ago = ago(text).map(|seconds| Self::Ago { seconds });
        let day = || Some(text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
        // A date alone is no RFC 3339 time, but is read as a local one elsewhere.
        let at = || text.parse::<Timestamp>().ok().or_else(day);
        ago.or_else(|| Some(Self::At(time(at()?)?))).ok_or(NoTime)
    }
}

fn time(timestamp: Timestamp) -> Option<Time> {
    u64::try_from(timestamp.as_nanosecond()).ok().map(Time)
}

fn ago(text: &str) -> Option<u64> {
    let unit = match text.as_bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = is_number.then(|| digits.parse().ok())??;
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_795_509_330_000_000_000);

    fn at(text: &str) -> Option<u64> {
        text.parse::<When>().ok().map(|when| when.time(NOW).0 / NS_PER_S)
    }

    #[test]
    fn times_days_and_how_long_ago_are_understood() {
        let now_s = NOW.0 / NS_PER_S;
        assert_eq!(at("2026-11-24T08:35:30Z"), Some(1_795_509_330));
        assert_eq!(at("2026-11-24T09:35:30+01:00"), Some(1_795_509_330));
        assert_eq!(at("2026-11-24"), Some(1_795_478_400));
        assert_eq!(at("90m"), Some(now_s - 5_400));
        assert_eq!(at("24h"), at("1d"));
        assert_eq!(at("0s"), Some(now_s));
        assert_eq!(at("99999999999d"), Some(0));
    }

    #[test]
    fn how_long_from_now_is_written_as_how_long_ago() {
        let at = |text: &str| text.parse::<When>().unwrap().time_to_come(NOW).0 / NS_PER_S;
        assert_eq!(at("1d"), NOW.0 / NS_PER_S + 86_400);
        assert_eq!(at("2026-11-24"), 1_795_478_400);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "h", "-1h", "1w", "yesterday", "2026-13-01", "1960-01-01", "1.5h", "2026"]
        {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
