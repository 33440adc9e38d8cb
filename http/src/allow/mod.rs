//! The operator's allow-list: reading it, and changing it while the node runs.
//!
//! The list itself is kept by the program above, which gives it as an [`AllowBook`]. What is on it
//! counts for every document from the moment that a change returns, for the book makes a new policy.

mod answer;

use std::fmt;
use std::str::FromStr;

use sentrypeer_storage::event::Time;
use sentrypeer_storage::policy::NumberPattern;
use sentrypeer_storage::prefix::Prefix;

pub(crate) use answer::{Change, change, list};

/// What an entry is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An address, or a network of them.
    Network(Prefix),
    /// A number, or what numbers begin with.
    Number(NumberPattern),
}

/// A text that is neither an address nor a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither an address, a prefix, a number nor the begin of one")]
pub struct NotASubject;

impl FromStr for Subject {
    type Err = NotASubject;

    /// What reads as an address is one: `10.0.0.7` is never a number.
    fn from_str(text: &str) -> Result<Self, NotASubject> {
        if let Ok(prefix) = text.parse() {
            return Ok(Self::Network(prefix));
        }
        text.parse().map(Self::Number).map_err(|_| NotASubject)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(prefix) => prefix.fmt(f),
            Self::Number(pattern) => pattern.fmt(f),
        }
    }
}

/// Where an entry stands, and so where it can be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the configuration.
    Configuration,
    /// In the file that the configuration names.
    File,
    /// It was added while the node ran.
    Added,
}

impl Origin {
    /// One word for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::File => "file",
            Self::Added => "added",
        }
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What nothing may act on.
    pub subject: Subject,
    /// Why, in the words of who added it, at most [`crate::limits::ALLOW_REASON_BYTES_MAX`] bytes without
    /// control characters; empty where nobody said.
    pub reason: String,
    /// When it ends; `None` for one that stays.
    pub expires: Option<Time>,
    /// Where it stands.
    pub origin: Origin,
}

/// What became of a new entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is new.
    New,
    /// It took the place of an added entry with the same subject.
    Replaced,
}

/// Why the list was not changed. Except for the last the texts are what the client reads.
#[derive(Debug, thiserror::Error)]
pub enum AllowError {
    /// As many entries were added as there may be.
    #[error("The allow-list is full. Remove an entry, or put it into the configuration.")]
    Full,
    /// There is no such entry.
    #[error("There is no such entry on the allow-list.")]
    Unknown,
    /// The entry stands in the configuration or its file.
    #[error("That entry stands in the node's configuration, and is removed there.")]
    Configured,
    /// It cannot be stored.
    #[error("the allow-list cannot be stored: {0}")]
    Storage(#[source] std::io::Error),
}

/// The allow-list of a running node, for all who read and change it. A change is durable and part of the
/// policy, with a higher [`revision`](sentrypeer_storage::policy::Policy::revision), before it returns.
/// Calls may block on the disk, and come from several threads.
pub trait AllowBook: fmt::Debug + Send + Sync {
    /// Every entry that holds at `now`, whatever its origin, in any order.
    fn entries(&self, now: Time) -> Vec<Entry>;

    /// Adds an entry, whose origin is [`Origin::Added`]. The book sees to it that it ends when it says.
    ///
    /// # Errors
    ///
    /// [`AllowError::Full`] and [`AllowError::Storage`]; nothing has changed then.
    fn add(&self, entry: Entry) -> Result<Added, AllowError>;

    /// Removes an entry that was added.
    ///
    /// # Errors
    ///
    /// [`AllowError::Unknown`], [`AllowError::Configured`] and [`AllowError::Storage`]; nothing has
    /// changed then.
    fn remove(&self, subject: &Subject) -> Result<(), AllowError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_as_an_address_is_one_and_what_is_shown_is_read_again() {
        for (text, shown, is_network) in [
            ("10.0.0.7", "10.0.0.7/32", true),
            ("2001:db8::/32", "2001:db8::/32", true),
            ("+44 20 7123-4567", "+442071234567", false),
            ("+44800*", "+44800*", false),
            ("7000", "7000", false),
            ("10.0.0.7.1", "100071", false),
        ] {
            let subject: Subject = text.parse().unwrap();
            assert_eq!(subject.to_string(), shown);
            assert_eq!(matches!(subject, Subject::Network(_)), is_network, "{text}");
            assert_eq!(shown.parse(), Ok(subject));
        }
        for bad in ["", "*", "alice", "10.0.0.7/33", "1/2"] {
            assert_eq!(bad.parse::<Subject>(), Err(NotASubject), "{bad}");
        }
    }
}
