//! Orders about the allow-list.
//!
//! | line | what is done | document |
//! |---|---|---|
//! | `allow list` | nothing | every entry |
//! | `allow add ENTRY EXPIRES REASON` | it is added; `-` for no end (ns since 1970) | it |
//! | `allow remove ENTRY` | one that was added goes | what it was about |

use sentrypeer_export::syslog::is_order;
use sentrypeer_http::allow::{Added, AllowBook, AllowError, Entry, Origin, Subject};
use sentrypeer_http::limits::ALLOW_REASON_BYTES_MAX;
use sentrypeer_storage::event::{NUMBER_BYTES_MAX, Time};
use sentrypeer_storage::utc::Utc;
use serde_json::{Value, json};

use super::order::{Refusal, malformed, number, text, word};

/// What is to be done with the allow-list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowOrder {
    /// Show it.
    List,
    /// Add an entry.
    Add(Entry),
    /// Take one away that was added.
    Remove(Subject),
}

/// What stands for no end.
const NONE: &str = "-";

impl AllowOrder {
    /// Its words, behind `allow`.
    pub(super) fn words(&self) -> Vec<String> {
        match self {
            Self::List => vec!["list".to_owned()],
            Self::Add(entry) => vec![
                "add".to_owned(),
                word(entry.subject.to_string().as_bytes()),
                entry.expires.map_or_else(|| NONE.to_owned(), |end| end.0.to_string()),
                word(entry.reason.as_bytes()),
            ],
            Self::Remove(subject) => {
                vec!["remove".to_owned(), word(subject.to_string().as_bytes())]
            }
        }
    }

    /// Understands the words behind `allow`.
    pub(super) fn decode(words: &[&str]) -> Result<Self, Refusal> {
        match *words {
            ["list"] => Ok(Self::List),
            ["add", entry, expires, reason] => Ok(Self::Add(Entry {
                subject: subject(entry)?,
                reason: text(reason, ALLOW_REASON_BYTES_MAX)?,
                expires: (expires != NONE).then(|| number(expires)).transpose()?.map(Time),
                origin: Origin::Added,
            })),
            ["remove", entry] => subject(entry).map(Self::Remove),
            _ => Err(malformed("this version knows no such order about the allow-list")),
        }
    }

    /// Carries it out.
    ///
    /// # Errors
    ///
    /// [`Refusal`].
    pub fn carry_out(self, book: &dyn AllowBook, now: Time) -> Result<Value, Refusal> {
        match self {
            Self::List => {
                let mut entries = book.entries(now);
                entries
                    .sort_by_cached_key(|entry| (entry.subject.to_string(), entry.origin.name()));
                Ok(json!({ "entries": entries.iter().map(document).collect::<Vec<_>>() }))
            }
            Self::Add(entry) => {
                check(&entry, now)?;
                let document = document(&entry);
                let verb = match book.add(entry.clone())? {
                    Added::New => "added",
                    Added::Replaced => "replaced",
                };
                let end = entry.expires.map_or(String::new(), |end| format!(" until {}", Utc(end)));
                let Entry { subject, reason, .. } = entry;
                log::info!(target: "audit", "operator: {verb} {subject} on the allow-list{end}: {reason}");
                Ok(document)
            }
            Self::Remove(subject) => {
                book.remove(&subject)?;
                log::info!(target: "audit", "operator: removed {subject} from the allow-list");
                Ok(json!({ "removed": subject.to_string() }))
            }
        }
    }
}

impl From<AllowError> for Refusal {
    fn from(error: AllowError) -> Self {
        let status = match error {
            AllowError::Full | AllowError::Configured => 409,
            AllowError::Unknown => 404,
            AllowError::Storage(_) => 500,
        };
        Self::new(status, &error)
    }
}

/// Whether it may be added, as of the API.
fn check(entry: &Entry, now: Time) -> Result<(), Refusal> {
    let Entry { reason, expires, .. } = entry;
    let is_text = !reason.trim().is_empty() && !reason.contains(is_order);
    if !is_text || reason.len() > ALLOW_REASON_BYTES_MAX {
        let why =
            format!("the reason must say in 1 to {ALLOW_REASON_BYTES_MAX} bytes of one line why");
        return Err(malformed(&why));
    }
    if expires.is_some_and(|end| end <= now) {
        return Err(malformed("the entry would be over already; name a time to come"));
    }
    Ok(())
}

fn document(entry: &Entry) -> Value {
    json!({
        "entry": entry.subject.to_string(),
        "reason": entry.reason,
        "origin": entry.origin.name(),
        "expires": entry.expires.map(|end| Utc(end).to_string()),
    })
}

fn subject(word: &str) -> Result<Subject, Refusal> {
    // A begin of a number has its `*` besides.
    let text = text(word, NUMBER_BYTES_MAX + 1)?;
    text.parse().map_err(|error: sentrypeer_http::allow::NotASubject| malformed(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(reason: &str, expires: Option<u64>) -> Entry {
        let subject = "192.0.2.1".parse().unwrap();
        Entry {
            subject,
            reason: reason.to_owned(),
            expires: expires.map(Time),
            origin: Origin::Added,
        }
    }

    #[test]
    fn what_the_api_would_refuse_is_refused() {
        let long = "x".repeat(ALLOW_REASON_BYTES_MAX + 1);
        for (reason, expires) in [
            ("", None),
            (" ", None),
            ("a\nb", None),
            (&long, None),
            ("x", Some(7)),
            ("x", Some(6)),
            ("a\u{202e}b", None),
            ("a\u{2028}b", None),
        ] {
            assert_eq!(
                check(&entry(reason, expires), Time(7)).unwrap_err().status,
                400,
                "{reason}"
            );
        }
        assert!(check(&entry("x", Some(8)), Time(7)).is_ok());
        assert!(check(&entry(&long[1..], None), Time(7)).is_ok());
    }
}
