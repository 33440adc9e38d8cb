//! `/api/v1/allow-list`: what is on it, one more, one less.

use sentrypeer_storage::event::Time;
use serde::{Deserialize, Serialize};

use super::{Added, AllowBook, AllowError, Entry, Origin, Subject};
use crate::exchange::Response;
use crate::limits::ALLOW_REASON_BYTES_MAX;
use crate::query::{Parameters, decoded};
use crate::timestamp::{self, Rfc3339};
use crate::v1;

/// An entry as it is shown.
#[derive(Serialize)]
struct Shown<'a> {
    entry: String,
    kind: &'static str,
    reason: &'a str,
    origin: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Rfc3339>,
}

impl<'a> Shown<'a> {
    fn of(entry: &'a Entry) -> Self {
        let kind = match entry.subject {
            Subject::Network(_) => "network",
            Subject::Number(_) => "number",
        };
        let (reason, origin) = (&*entry.reason, entry.origin.name());
        let expires = entry.expires.map(Rfc3339);
        Self { entry: entry.subject.to_string(), kind, reason, origin, expires }
    }
}

/// A page of the list, in the order of its text.
pub(crate) fn list(book: &dyn AllowBook, query: &str, now: Time) -> Response {
    #[derive(Serialize)]
    struct Answer<'a> {
        total: usize,
        entries: Vec<Shown<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    }
    let asked = Parameters::parse(query, &["limit", "cursor"]).and_then(|parameters| {
        let limit = v1::limit(&parameters)?;
        let after = parameters.value("cursor", "the \"next\" of a page", |t| Some(t.to_owned()))?;
        Ok((limit, after.unwrap_or_default()))
    });
    let (limit, after) = match asked {
        Ok(asked) => asked,
        Err(error) => return Response::error(400, &error.to_string()),
    };
    let all = book.entries(now);
    let mut entries: Vec<_> = all.iter().map(Shown::of).collect();
    entries.sort_by(|a, b| (&a.entry, a.origin).cmp(&(&b.entry, b.origin)));
    let total = entries.len();
    let from = entries.partition_point(|entry| entry.entry <= after);
    let mut entries = entries.split_off(from);
    // Entries of one text stay together, or a cursor would pass over some of them. There are three
    // origins, and one entry of each.
    let mut end = limit.min(entries.len());
    while end > 0 && entries.get(end).is_some_and(|next| next.entry == entries[end - 1].entry) {
        end += 1;
    }
    let is_last = end == entries.len();
    entries.truncate(end);
    let next = entries.last().filter(|_| !is_last).map(|last| last.entry.clone());
    Response::json(200, &Answer { total, entries, next })
}

/// A change that somebody asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'a> {
    /// The entry in a request's body.
    Add(&'a [u8]),
    /// The entry that a segment of the path names.
    Remove(&'a str),
}

/// Makes a change. Says what was changed, for the audit.
pub(crate) fn change(
    book: &dyn AllowBook,
    change: Change<'_>,
    now: Time,
) -> (Response, Option<String>) {
    let changed = match change {
        Change::Add(body) => add(book, body, now),
        Change::Remove(segment) => remove(book, segment),
    };
    match changed {
        Ok((response, audit)) => (response, Some(audit)),
        Err(refused) => (refused.response(), None),
    }
}

/// Why nothing was changed.
enum Refused {
    /// What was asked for is no entry.
    Request(String),
    /// The book did not do it.
    Book(AllowError),
}

impl Refused {
    fn response(&self) -> Response {
        let error = match self {
            Self::Request(reason) => return Response::error(400, reason),
            Self::Book(error) => error,
        };
        match error {
            AllowError::Full | AllowError::Configured => Response::error(409, &error.to_string()),
            AllowError::Unknown => Response::error(404, &error.to_string()),
            AllowError::Storage(_) => {
                log::error!("{error}");
                Response::error(503, "The change cannot be stored. The node's log says why.")
            }
        }
    }
}

/// An entry as it is sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    entry: String,
    reason: String,
    expires: Option<String>,
}

fn add(book: &dyn AllowBook, body: &[u8], now: Time) -> Result<(Response, String), Refused> {
    let entry = read(body, now).map_err(Refused::Request)?;
    let added = book.add(entry.clone()).map_err(Refused::Book)?;
    let (status, verb) = match added {
        Added::New => (201, "added"),
        Added::Replaced => (200, "replaced"),
    };
    let Entry { subject, reason, .. } = &entry;
    let end = entry.expires.map_or(String::new(), |at| format!(" until {}", Rfc3339(at)));
    let audit = format!("{verb} {subject} on the allow-list{end}: {reason}");
    Ok((Response::json(status, &Shown::of(&entry)), audit))
}

fn read(body: &[u8], now: Time) -> Result<Entry, String> {
    let sent: Sent = serde_json::from_slice(body).map_err(|_| {
        "That is no entry: {\"entry\": …, \"reason\": …, \"expires\": …}, the last a time or left out."
            .to_owned()
    })?;
    let subject = sent.entry.parse().map_err(|_| {
        "\"entry\" is neither an address, a prefix, a number nor the begin of one.".to_owned()
    })?;
    let is_text = !sent.reason.trim().is_empty() && !sent.reason.contains(is_order);
    if !is_text || sent.reason.len() > ALLOW_REASON_BYTES_MAX {
        return Err(format!(
            "\"reason\" must say in 1 to {ALLOW_REASON_BYTES_MAX} bytes of one line why."
        ));
    }
    let expires = sent.expires.map(|text| timestamp::read(&text).filter(|at| *at > now));
    let expires = expires.map(|at| {
        at.ok_or("\"expires\" is no time to come such as 2026-12-23T23:52:36Z (RFC 3339).")
    });
    let expires = expires.transpose()?;
    Ok(Entry { subject, reason: sent.reason, expires, origin: Origin::Added })
}

/// Whether a terminal or a log may take a character for an order: it ends a line, or turns the direction of
/// writing, so that an entry would read as another one.
fn is_order(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
        || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn remove(book: &dyn AllowBook, segment: &str) -> Result<(Response, String), Refused> {
    #[derive(Serialize)]
    struct Removed {
        removed: String,
    }
    let subject = std::str::from_utf8(&decoded(segment)).ok().and_then(|text| text.parse().ok());
    let subject: Subject = subject.ok_or(Refused::Book(AllowError::Unknown))?;
    book.remove(&subject).map_err(Refused::Book)?;
    let audit = format!("removed {subject} from the allow-list");
    Ok((Response::json(200, &Removed { removed: subject.to_string() }), audit))
}
