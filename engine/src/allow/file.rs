//! The file of what was added to the allow-list, beside the database: JSON, written whole or not at all.
//!
//! One process writes it at a time: the node while it runs, told through its API or its control socket;
//! `sentrypeer allow` itself where none runs.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sentrypeer_export::syslog::is_order;
use sentrypeer_http::allow::{Entry, Origin};
use sentrypeer_http::limits::ALLOW_REASON_BYTES_MAX;
use sentrypeer_storage::event::Time;
use sentrypeer_storage::identity::{beside, write_whole};
use serde_json::{Map, Value, json};

use crate::limits::{ALLOW_ADDED_BYTES_MAX, ALLOW_ADDED_MAX};

/// What the file says that it is.
const VERSION: u64 = 1;

/// Why what was added cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AllowFileError {
    /// The file cannot be read.
    #[error(
        "{}: cannot read what was added to the allow-list: {source}; its owner must be the node's user",
        path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "{}: {what}; put back what \"sentrypeer allow\" wrote, or remove the file to begin again without \
         what was added",
        path.display()
    )]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// Where what was added to a database's allow-list is.
#[must_use]
pub fn path(database: &Path) -> PathBuf {
    beside(database, "allow")
}

/// Reads the entries. Where there is no file there are none.
///
/// # Errors
///
/// See [`AllowFileError`].
pub fn load(path: &Path) -> Result<Vec<Entry>, AllowFileError> {
    let fail = |source| AllowFileError::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.map_err(fail)?,
    };
    let mut bytes = Vec::new();
    file.take(ALLOW_ADDED_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(fail)?;
    let entries = if bytes.len() > ALLOW_ADDED_BYTES_MAX {
        Err(format!("it has more than {ALLOW_ADDED_BYTES_MAX} bytes"))
    } else {
        read(&bytes)
    };
    entries.map_err(|what| AllowFileError::Content { path: path.to_owned(), what })
}

/// Writes the entries; they are on the disk when this returns.
///
/// # Errors
///
/// See [`write_whole`].
pub(super) fn save(path: &Path, entries: &[Entry]) -> io::Result<()> {
    write_whole(path, text(entries).as_bytes())
}

/// The file's text, an entry a line.
fn text(entries: &[Entry]) -> String {
    let lines: Vec<String> = entries.iter().map(|entry| line(entry).to_string()).collect();
    format!("{{\"version\":{VERSION},\"entries\":[\n{}\n]}}\n", lines.join(",\n"))
}

fn line(entry: &Entry) -> Value {
    let mut value = json!({ "entry": entry.subject.to_string(), "reason": entry.reason });
    if let Some(Time(end_ns)) = entry.expires {
        value["expires_ns"] = end_ns.into();
    }
    value
}

/// Understands the file's text.
fn read(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if value["version"] != VERSION {
        return Err(format!("it is not of version {VERSION}, the only one that is known here"));
    }
    let entries = value["entries"].as_array().ok_or("it has no entries")?;
    if entries.len() > ALLOW_ADDED_MAX {
        return Err(format!("it has more than {ALLOW_ADDED_MAX} entries"));
    }
    let (mut read, mut seen) = (Vec::with_capacity(entries.len()), HashSet::new());
    for (at, value) in entries.iter().enumerate() {
        let entry = value.as_object().and_then(entry);
        let entry = entry.filter(|entry| seen.insert(entry.subject.to_string()));
        read.push(entry.ok_or_else(|| format!("entry {} is none, or there twice", at + 1))?);
    }
    Ok(read)
}

/// A reason without what a terminal or a log takes for an order. What was stored with it is no reason not to
/// start.
pub(super) fn plain(reason: &str) -> String {
    reason.chars().map(|letter| if is_order(letter) { '?' } else { letter }).collect()
}

fn entry(value: &Map<String, Value>) -> Option<Entry> {
    let is_known = |name: &String| ["entry", "reason", "expires_ns"].contains(&name.as_str());
    let reason = value.get("reason")?.as_str()?;
    let is_text = reason.len() <= ALLOW_REASON_BYTES_MAX && !reason.contains(char::is_control);
    let expires = match value.get("expires_ns") {
        Some(end_ns) => Some(Time(end_ns.as_u64()?)),
        None => None,
    };
    let subject = value.get("entry")?.as_str()?.parse().ok()?;
    let entry = Entry { subject, reason: plain(reason), expires, origin: Origin::Added };
    (is_text && value.keys().all(is_known)).then_some(entry)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sentrypeer_storage::event::NUMBER_BYTES_MAX;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            entries in prop::collection::vec((any::<u32>(), "[^\\p{C}\u{2028}\u{2029}]{0,60}", any::<Option<u64>>()), 0..9),
        ) {
            let entry = |(number, reason, end): (u32, String, Option<u64>)| Entry {
                subject: match number % 3 {
                    0 => format!("{}/{}", std::net::Ipv4Addr::from_bits(number), number % 33),
                    1 => format!("+{number}*"),
                    _ => number.to_string(),
                }
                .parse()
                .unwrap(),
                reason,
                expires: end.map(Time),
                origin: Origin::Added,
            };
            let mut entries: Vec<Entry> = entries.into_iter().map(entry).collect();
            let mut seen = HashSet::new();
            entries.retain(|entry| seen.insert(entry.subject.to_string()));
            prop_assert_eq!(read(text(&entries).as_bytes()), Ok(entries));
        }

        #[test]
        fn anything_else_is_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&bytes).is_err());
        }
    }

    #[test]
    fn a_full_list_fits_the_file() {
        let longest = |number: usize| Entry {
            subject: format!("{}{number:07}*", "7".repeat(NUMBER_BYTES_MAX - 7)).parse().unwrap(),
            reason: "\"".repeat(ALLOW_REASON_BYTES_MAX),
            expires: Some(Time(u64::MAX)),
            origin: Origin::Added,
        };
        let text = text(&(0..ALLOW_ADDED_MAX).map(longest).collect::<Vec<_>>());
        assert!(text.len() <= ALLOW_ADDED_BYTES_MAX, "{}", text.len());
        assert_eq!(read(text.as_bytes()).unwrap().len(), ALLOW_ADDED_MAX);
    }

    #[test]
    fn a_reason_orders_nobodys_terminal() {
        let text = r#"{"version":1,"entries":[{"entry":"1","reason":"a\u202eb\u2028c"}]}"#;
        assert_eq!(read(text.as_bytes()).unwrap()[0].reason, "a?b?c");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_and_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder.path().join("s.redb"));
        for (text, what) in [
            ("", "EOF"),
            ("[]", "version 1"),
            (r#"{"version":2,"entries":[]}"#, "version 1"),
            (r#"{"version":1}"#, "no entries"),
            (r#"{"version":1,"entries":[{"entry":"1.2.3.4"}]}"#, "entry 1 is none"),
            (r#"{"version":1,"entries":[{"entry":"x","reason":""}]}"#, "entry 1 is none"),
            (r#"{"version":1,"entries":[{"entry":"1","reason":"\n"}]}"#, "entry 1 is none"),
            (r#"{"version":1,"entries":[{"entry":"1","reason":"","expires_ns":-1}]}"#, "is none"),
            (r#"{"version":1,"entries":[{"entry":"1","reason":"","until":1}]}"#, "is none"),
            (
                r#"{"version":1,"entries":[{"entry":"1","reason":""},{"entry":"1","reason":"a"}]}"#,
                "entry 2 is none, or there twice",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = load(&path).unwrap_err().to_string();
            assert!(error.contains(what) && error.contains("s.redb.allow: "), "{text}: {error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
