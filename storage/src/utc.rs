//! Times as text.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::event::Time;

/// A time as the outside interfaces write it: `2026-11-23 23:52:36.740127093`, UTC, nine digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc(pub Time);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A u64 of nanoseconds ends in 2554, long before a Timestamp does.
        let at = Timestamp::from_nanosecond(i128::from(self.0.0)).unwrap_or(Timestamp::MAX);
        let civil = TimeZone::UTC.to_datetime(at);
        let (date, time) = (civil.date(), civil.time());
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        write!(f, "{:04}-{:02}-{:02} ", date.year(), date.month(), date.day())?;
        write!(f, "{hour:02}:{minute:02}:{second:02}.{:09}", time.subsec_nanosecond())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_nine_digits_and_keeps_leading_zeros() {
        assert_eq!(Utc(Time(0)).to_string(), "1970-01-01 00:00:00.000000000");
        let time = Time(1_795_477_956_000_127_093);
        assert_eq!(Utc(time).to_string(), "2026-11-23 23:52:36.000127093");
        let leap = Time(1_709_210_096_740_127_093);
        assert_eq!(Utc(leap).to_string(), "2024-02-29 12:34:56.740127093");
        assert_eq!(Utc(Time(u64::MAX)).to_string(), "2554-07-21 23:34:33.709551615");
    }
}
