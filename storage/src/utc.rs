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
        // Digit by digit: lists of a hundred thousand are made of these.
        let mut text = *b"0000-00-00 00:00:00.000000000";
        let mut put = |from: usize, to: usize, number: u32| digits(&mut text[from..to], number);
        put(0, 4, date.year().unsigned_abs().into());
        put(5, 7, date.month().unsigned_abs().into());
        put(8, 10, date.day().unsigned_abs().into());
        put(11, 13, time.hour().unsigned_abs().into());
        put(14, 16, time.minute().unsigned_abs().into());
        put(17, 19, time.second().unsigned_abs().into());
        put(20, 29, time.subsec_nanosecond().unsigned_abs());
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// The last digits of a number, as many as there is room for.
fn digits(room: &mut [u8], mut number: u32) {
    for place in room.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
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
