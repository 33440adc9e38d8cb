//! Formats with one line for each entry.

use std::fmt::Write;

use serde::Serialize;

use super::format::Place;
use super::list::{Entry, Known};
use crate::json;
use crate::timestamp::Rfc3339;

// Writing into a String does not fail, so its result is passed over in this file.

/// An address, or a network.
pub(super) fn plain(out: &mut String, entry: &Entry) {
    out.push_str(&entry.network());
    out.push('\n');
}

/// RFC 4180, but for the line ends, which are those of Unix.
pub(super) fn csv_head(out: &mut String) {
    out.push_str(
        "address,prefix_length,first_seen,last_seen,expires,count,verification,score,origin\n",
    );
}

pub(super) fn csv(out: &mut String, entry: &Entry, place: &Place) {
    let Some(known) = place.known else { return };
    let (Entry { ip, prefix_len, .. }, Known { count, score, .. }) = (entry, known);
    let (first, last) = (Rfc3339(known.first), Rfc3339(known.last));
    let (expires, level) = (Rfc3339(entry.expires), known.verification.name());
    let _ = writeln!(
        out,
        "{ip},{prefix_len},{first},{last},{expires},{count},{level},{score:.3},{}",
        known.origin.name()
    );
}

pub(super) fn json_line(out: &mut String, entry: &Entry, place: &Place) {
    #[derive(Serialize)]
    struct Line {
        address: String,
        prefix_length: u8,
        first_seen: Rfc3339,
        last_seen: Rfc3339,
        expires: Rfc3339,
        count: u64,
        verification: &'static str,
        score: f64,
        origin: &'static str,
    }
    let Some(known) = place.known else { return };
    let line = Line {
        address: entry.ip.to_string(),
        prefix_length: entry.prefix_len,
        first_seen: Rfc3339(known.first),
        last_seen: Rfc3339(known.last),
        expires: Rfc3339(entry.expires),
        count: known.count,
        verification: known.verification.name(),
        score: (known.score * 1e3).round() / 1e3,
        origin: known.origin.name(),
    };
    push_json(out, &line);
    out.push('\n');
}

/// Appends a value as JSON.
pub(super) fn push_json(out: &mut String, value: &impl Serialize) {
    out.push_str(&String::from_utf8_lossy(&json::to_vec(value)));
}
