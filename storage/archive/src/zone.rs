//! The time zone in which a file's local times are.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// A time zone. Its texts: one of the tz database (`Europe/London`), which must be installed on this
/// machine; an offset (`+01:00`, `-0330`, `+1`); `local`, that of this machine; `UTC`, the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

/// A text that names no time zone here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no time zone {0:?} is known here; write a name of the tz database (Europe/London; the package \
     tzdata must be installed), an offset (+01:00), local, or UTC"
)]
pub struct ZoneError(String);

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, ZoneError> {
        let unknown = || ZoneError(text.to_owned());
        if text == "local" {
            return TimeZone::try_system().map(Self).map_err(|_| unknown());
        }
        if text.starts_with(['+', '-']) {
            let minutes = offset_minutes(text).ok_or_else(unknown)?;
            return Self::fixed_minutes(minutes).ok_or_else(unknown);
        }
        TimeZone::get(text).map(Self).map_err(|_| unknown())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.0.iana_name() {
            return f.write_str(name);
        }
        match self.0.to_fixed_offset() {
            Ok(offset) => {
                let minutes = offset.seconds() / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
            Err(_) => f.write_str("local"),
        }
    }
}

impl Zone {
    /// The zone that is always `minutes` east of UTC, if there is such an offset.
    pub(crate) fn fixed_minutes(minutes: i32) -> Option<Self> {
        let offset = Offset::from_seconds(minutes.checked_mul(60)?).ok()?;
        Some(Self(TimeZone::fixed(offset)))
    }

    /// When it was `local` there. A local time that was there twice (clocks were put back) is the
    /// first of the two; one that never was (clocks were put forward) is read as if they had not been.
    pub(crate) fn timestamp(&self, local: DateTime) -> Option<Timestamp> {
        self.0.to_ambiguous_timestamp(local).compatible().ok()
    }
}

/// `+01:00`, `+0100`, `+01` and `+1`, in minutes.
fn offset_minutes(text: &str) -> Option<i32> {
    let (sign, digits) = text.split_at_checked(1)?;
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "00"),
    };
    let right = matches!(hours.len(), 1 | 2) && minutes.len() == 2;
    if !right || !hours.bytes().chain(minutes.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = (hours.parse::<i32>().ok()?, minutes.parse::<i32>().ok()?);
    let ahead = if minutes < 60 { hours * 60 + minutes } else { return None };
    Some(if sign == "-" { -ahead } else { ahead })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(text: &str) -> Option<i32> {
        let zone = text.parse::<Zone>().ok()?;
        Some(zone.0.to_fixed_offset().ok()?.seconds() / 60)
    }

    #[test]
    fn an_offset_can_be_written_in_the_usual_ways() {
        for (text, expected) in [
            ("+01:00", 60),
            ("+1", 60),
            ("+1:30", 90),
            ("-0330", -210),
            ("+05", 300),
            ("-00:30", -30),
            ("UTC", 0),
        ] {
            assert_eq!(minutes(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_zone_is_refused_with_what_to_write() {
        for text in [
            "",
            "+",
            "-",
            "+:30",
            "+123",
            "+1:5",
            "+26:00",
            "+aa:bb",
            "+01:60",
            "+é",
            "+éé",
            "Mars/Olympus",
        ] {
            let error = text.parse::<Zone>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")) && error.contains("+01:00"), "{error}");
        }
    }

    #[test]
    fn a_zone_has_a_name() {
        for (text, name) in [("+1", "+01:00"), ("-0330", "-03:30"), ("UTC", "UTC")] {
            assert_eq!(text.parse::<Zone>().unwrap().to_string(), name);
        }
        assert_eq!(Zone::default().to_string(), "UTC");
    }
}
