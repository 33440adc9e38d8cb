//! Times as RFC 3339 and HTTP write them.

use std::fmt;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use sentrypeer_storage::event::Time;
use serde::{Serialize, Serializer};

/// A time as under `/api/v1`: `2026-11-23T23:52:36.740127093Z` (RFC 3339).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rfc3339(pub(crate) Time);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.9}", timestamp(self.0))
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads a time of RFC 3339. What is before 1970 is 1970, and what is after 2554 is the end.
pub(crate) fn read(text: &str) -> Option<Time> {
    let at: Timestamp = text.parse().ok()?;
    let ns = at.as_nanosecond().max(0);
    Some(Time(u64::try_from(ns).unwrap_or(u64::MAX)))
}

/// A time as in the headers of HTTP (RFC 9110, section 5.6.7).
pub(crate) fn http_date(time: Time) -> String {
    let printed = DateTimePrinter::new().timestamp_to_rfc9110_string(&timestamp(time));
    // Only years beyond 9999 cannot be printed.
    printed.unwrap_or_default()
}

fn timestamp(time: Time) -> Timestamp {
    // A u64 of nanoseconds ends in 2554, long before a Timestamp does.
    Timestamp::from_nanosecond(i128::from(time.0)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_is_written_and_in_other_zones() {
        let time = Time(1_795_477_956_000_127_093);
        assert_eq!(Rfc3339(time).to_string(), "2026-11-23T23:52:36.000127093Z");
        assert_eq!(read("2026-11-23T23:52:36.000127093Z"), Some(time));
        assert_eq!(read("2026-11-24T01:52:36.000127093+02:00"), Some(time));
        assert_eq!(read("1960-01-01T00:00:00Z"), Some(Time(0)));
        assert_eq!(read("9000-01-01T00:00:00Z"), Some(Time(u64::MAX)));
        for bad in ["", "yesterday", "2026-11-23", "1795477956", "2026-11-23T23:52:36"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(Rfc3339(Time(u64::MAX)).to_string(), "2554-07-21T23:34:33.709551615Z");
    }

    #[test]
    fn a_header_has_whole_seconds() {
        let time = Time(1_795_477_956_999_000_000);
        assert_eq!(http_date(time), "Mon, 23 Nov 2026 23:52:36 GMT");
    }
}
