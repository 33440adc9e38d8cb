//! Times as the files write them.
//!
//! SentryPeer 4.x prints the nanoseconds of a second as a plain number behind the dot, without its
//! leading zeros: `36.740127` is 740,127 ns after the 36th second, not 740 ms. What has nine digits reads
//! the same either way, and we always write nine. SQLite's own times (`created_at`) and RFC 3339 are
//! decimal fractions, as usual.

use jiff::Timestamp;
use jiff::civil::DateTime;
use sentrypeer_storage::event::Time;

use crate::zone::Zone;

/// The time of an event: `2026-11-23 23:52:36.740127093` in `zone`, its fraction a number of
/// nanoseconds, or RFC 3339 with an offset, where `zone` does not matter.
pub(crate) fn event_time(text: &str, zone: &Zone) -> Option<Time> {
    if text.as_bytes().get(10) == Some(&b'T') {
        return time(text.parse().ok()?);
    }
    let (local, fraction) = civil(text.trim())?;
    time(zone.timestamp(with_nanoseconds(local, integer(fraction)?)?)?)
}

/// The time at which SQLite wrote a row: `2026-11-23 23:52:36.740`, UTC.
pub(crate) fn created_at(text: &str) -> Option<Time> {
    let (utc, fraction) = civil(text.trim())?;
    time(Zone::default().timestamp(with_nanoseconds(utc, decimal(fraction)?)?)?)
}

/// `2026-11-23 23:52:36`, and what stands behind it.
fn civil(text: &str) -> Option<(DateTime, &str)> {
    let (civil, fraction) = text.split_at_checked("2026-11-23 23:52:36".len())?;
    let form = |(n, byte): (usize, u8)| match n {
        4 | 7 => byte == b'-',
        10 => byte == b' ',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    };
    if !civil.bytes().enumerate().all(form) {
        return None;
    }
    let small = |at: usize| civil[at..at + 2].parse::<i8>().ok();
    let year = civil[..4].parse().ok()?;
    let found = DateTime::new(year, small(5)?, small(8)?, small(11)?, small(14)?, small(17)?, 0);
    Some((found.ok()?, fraction))
}

fn with_nanoseconds(civil: DateTime, nanoseconds: i32) -> Option<DateTime> {
    civil.with().subsec_nanosecond(nanoseconds).build().ok()
}

/// `.740127` as 740,127.
fn integer(fraction: &str) -> Option<i32> {
    let Some(digits) = digits(fraction)? else { return Some(0) };
    digits.parse().ok()
}

/// `.740` as 740,000,000.
fn decimal(fraction: &str) -> Option<i32> {
    let Some(digits) = digits(fraction)? else { return Some(0) };
    format!("{digits:0<9}").parse().ok()
}

/// One to nine digits behind a dot; or nothing at all.
fn digits(fraction: &str) -> Option<Option<&str>> {
    if fraction.is_empty() {
        return Some(None);
    }
    let digits = fraction.strip_prefix('.')?;
    let right = (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    right.then_some(Some(digits))
}

fn time(at: Timestamp) -> Option<Time> {
    u64::try_from(at.as_nanosecond()).ok().map(Time)
}

#[cfg(test)]
mod tests {
    use sentrypeer_storage::utc::Utc;

    use super::*;

    fn read(text: &str, zone: &str) -> Option<String> {
        event_time(text, &zone.parse().unwrap()).map(|time| Utc(time).to_string())
    }

    #[test]
    fn a_fraction_of_an_event_is_a_number_of_nanoseconds() {
        for (text, time) in [
            ("2026-11-23 23:52:36.740127093", "2026-11-23 23:52:36.740127093"),
            ("2026-11-23 23:52:36.740127", "2026-11-23 23:52:36.000740127"),
            ("2026-11-23 23:52:36.000127", "2026-11-23 23:52:36.000000127"),
            ("2026-11-23 23:52:36.7", "2026-11-23 23:52:36.000000007"),
            (" 2026-11-23 23:52:36\n", "2026-11-23 23:52:36.000000000"),
        ] {
            assert_eq!(read(text, "UTC").as_deref(), Some(time), "{text}");
        }
    }

    #[test]
    fn a_fraction_of_sqlite_is_decimal_and_its_time_is_utc() {
        let time = created_at("2026-11-23 23:52:36.74").unwrap();
        assert_eq!(Utc(time).to_string(), "2026-11-23 23:52:36.740000000");
    }

    #[test]
    fn local_times_are_read_in_their_zone() {
        let text = "2026-07-01 12:00:00.000000005";
        assert_eq!(read(text, "+02:00").as_deref(), Some("2026-07-01 10:00:00.000000005"));
        assert_eq!(read(text, "-0330").as_deref(), Some("2026-07-01 15:30:00.000000005"));
    }

    #[test]
    fn a_time_with_an_offset_needs_no_zone() {
        let text = "2026-11-23T23:52:36.74+01:00";
        assert_eq!(read(text, "-05:00").as_deref(), Some("2026-11-23 22:52:36.740000000"));
    }

    #[test]
    fn what_is_no_time_is_not_read() {
        for text in [
            "",
            "NOT_FOUND",
            "2026-11-23",
            "2026-11-23 23:52",
            "2026-11-23 23:52:36.",
            "2026-11-23 23:52:36.1234567890",
            "2026-11-23 23:52:36,740",
            "2026-11-23 23:52:36 +01:00",
            "2026-13-23 23:52:36",
            "2026-02-29 23:52:36",
            "2026-11-23 24:00:00",
            "+026-11-23 23:52:36",
            "2026-11-23T23:52:36",
            "1969-12-31 23:59:59.5",
            "2026-11-23 23:52:3é",
        ] {
            assert_eq!(read(text, "UTC"), None, "{text}");
        }
    }
}
