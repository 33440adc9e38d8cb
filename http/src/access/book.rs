//! The tokens that the operator has made.

use std::sync::Arc;

use sentrypeer_storage::event::Time;
use serde::{Deserialize, Serialize};

use super::scope::Scopes;
use super::token::{Hash, RANDOM_BYTES, Secret, hex, parts, unhex};
use crate::limits::{TOKEN_NAME_BYTES_MAX, TOKENS_MAX};
use crate::pace::Rate;

const NS_PER_S: u64 = 1_000_000_000;

/// One token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Sixteen hexadecimal digits.
    pub id: String,
    /// What the operator calls it; no two have the same. As an OAuth 2 client, its id.
    pub name: String,
    /// What it may be used for.
    pub scopes: Scopes,
    /// When it was made, to the second.
    pub created: Time,
    /// When it ends; `None`: when it is revoked.
    pub expires: Option<Time>,
    /// Its own rate of requests.
    pub rate: Option<Rate>,
    hash: Hash,
}

impl Record {
    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self, now: Time) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

/// Why a token cannot be made or revoked, or the tokens not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// The name is of no use.
    #[error(
        "\"{0}\" is no name for a token: give 1 to {TOKEN_NAME_BYTES_MAX} letters, digits, \".\", \
         \"_\" or \"-\""
    )]
    Name(String),
    /// There is one of this name.
    #[error("there is a token \"{0}\" already: revoke it first, or choose another name")]
    Taken(String),
    /// It could be used for nothing.
    #[error("the token would have no scope: give some of read, feed, write, metrics")]
    NoScope,
    /// There is no room for another.
    #[error("there are {TOKENS_MAX} tokens, and no more are kept: revoke some")]
    Full,
    /// No token has this name or id.
    #[error("there is no token \"{0}\"")]
    Unknown(String),
    /// The text is not what [`Book::to_json`] writes.
    #[error("not a list of tokens: {0}")]
    Text(String),
}

/// All tokens, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    records: Vec<Arc<Record>>,
}

/// What a token is to be.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a str,
    pub(crate) scopes: Scopes,
    pub(crate) expires: Option<Time>,
    pub(crate) rate: Option<Rate>,
}

impl Book {
    /// Adds a token of these random bytes. The secret is nowhere but in what is returned.
    pub(crate) fn make(
        &mut self,
        wanted: &Wanted<'_>,
        random: &[u8; RANDOM_BYTES],
        now: Time,
    ) -> Result<(Secret, Arc<Record>), BookError> {
        let name = wanted.name;
        if !is_name(name) {
            return Err(BookError::Name(name.to_owned()));
        }
        if self.named(name).is_some() {
            return Err(BookError::Taken(name.to_owned()));
        }
        if wanted.scopes.is_empty() {
            return Err(BookError::NoScope);
        }
        if self.records.len() >= TOKENS_MAX {
            return Err(BookError::Full);
        }
        let (secret, kept) = Secret::new(random);
        let record = Arc::new(Record {
            id: kept.id,
            name: name.to_owned(),
            scopes: wanted.scopes,
            created: whole_seconds(now),
            expires: wanted.expires.map(whole_seconds),
            rate: wanted.rate,
            hash: kept.hash,
        });
        self.records.push(Arc::clone(&record));
        Ok((secret, record))
    }

    /// Takes a token away, by its name or its id.
    pub(crate) fn revoke(&mut self, which: &str) -> Result<Arc<Record>, BookError> {
        let is = |record: &Arc<Record>| record.name == which || record.id == which;
        let at = self.records.iter().position(is);
        let at = at.ok_or_else(|| BookError::Unknown(which.to_owned()))?;
        Ok(self.records.remove(at))
    }

    /// All of them, also those that have ended.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().map(|record| &**record)
    }

    /// Whether there is one that opens something now.
    #[must_use]
    pub fn opens_anything(&self, now: Time) -> bool {
        self.iter().any(|record| !record.is_over(now))
    }

    /// The token of this id.
    pub(super) fn get(&self, id: &str) -> Option<&Arc<Record>> {
        self.records.iter().find(|record| record.id == id)
    }

    fn named(&self, name: &str) -> Option<&Arc<Record>> {
        self.records.iter().find(|record| record.name == name)
    }

    /// The token of this text, if it has not ended.
    pub(super) fn find(&self, text: &str, now: Time) -> Option<Arc<Record>> {
        let (id, secret) = parts(text)?;
        let record = self.get(id)?;
        (record.hash.is_of(secret) && !record.is_over(now)).then(|| Arc::clone(record))
    }

    /// The token that an OAuth 2 client is: its id is the token's name or id, its secret the token.
    pub(super) fn client(&self, id: &str, secret: &str, now: Time) -> Option<Arc<Record>> {
        self.find(secret, now).filter(|record| record.name == id || record.id == id)
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=TOKEN_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

fn whole_seconds(time: Time) -> Time {
    Time(time.0 / NS_PER_S * NS_PER_S)
}

/// The book as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    tokens: Vec<KeptRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptRecord {
    id: String,
    name: String,
    scopes: Scopes,
    created_s: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_s: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requests_per_s: Option<u32>,
    sha256: String,
}

/// The form of the text. Another one would have another number.
const VERSION: u32 = 1;

impl Book {
    /// The text that [`Book::from_json`] reads.
    #[must_use]
    pub fn to_json(&self) -> String {
        let tokens = self.iter().map(KeptRecord::of).collect();
        let kept = Kept { version: VERSION, tokens };
        // Text and numbers, whose writing into memory does not fail.
        let mut text = serde_json::to_string_pretty(&kept).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads what [`Book::to_json`] wrote.
    ///
    /// # Errors
    ///
    /// [`BookError::Text`], and what may not be in a book.
    pub fn from_json(text: &str) -> Result<Self, BookError> {
        let kept: Kept = serde_json::from_str(text).map_err(|e| BookError::Text(e.to_string()))?;
        if kept.version != VERSION {
            return Err(BookError::Text(format!("version {} is not known", kept.version)));
        }
        if kept.tokens.len() > TOKENS_MAX {
            return Err(BookError::Full);
        }
        let mut book = Self::default();
        for kept in kept.tokens {
            let record = kept.record()?;
            if book.named(&record.name).is_some() || book.get(&record.id).is_some() {
                return Err(BookError::Taken(record.name));
            }
            book.records.push(Arc::new(record));
        }
        Ok(book)
    }
}

impl KeptRecord {
    fn of(record: &Record) -> Self {
        Self {
            id: record.id.clone(),
            name: record.name.clone(),
            scopes: record.scopes,
            created_s: record.created.0 / NS_PER_S,
            expires_s: record.expires.map(|end| end.0 / NS_PER_S),
            requests_per_s: record.rate.map(|rate| rate.per_s),
            sha256: hex(&record.hash.0),
        }
    }

    fn record(self) -> Result<Record, BookError> {
        let text = |what: &str| BookError::Text(format!("token \"{}\": {what}", self.name));
        let hash = unhex(&self.sha256).ok_or_else(|| text("no SHA-256"))?;
        unhex::<8>(&self.id).ok_or_else(|| text("no id"))?;
        if !is_name(&self.name) {
            return Err(BookError::Name(self.name));
        }
        let time = |seconds: u64| Time(seconds.saturating_mul(NS_PER_S));
        Ok(Record {
            created: time(self.created_s),
            expires: self.expires_s.map(time),
            rate: self.requests_per_s.map(Rate::with_double_burst),
            hash: Hash(hash),
            id: self.id,
            name: self.name,
            scopes: self.scopes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::scope::Scope;
    use super::*;

    const NOW: Time = Time(1_795_477_956 * NS_PER_S);

    fn wanted(name: &str) -> Wanted<'_> {
        Wanted { name, scopes: Scopes::of([Scope::Read]), expires: None, rate: None }
    }

    #[test]
    fn a_token_opens_until_it_ends_or_is_revoked() {
        let mut book = Book::default();
        assert!(!book.opens_anything(NOW));
        let end = Time(NOW.0 + 10 * NS_PER_S);
        let ending = Wanted { expires: Some(end), ..wanted("pbx") };
        let (secret, record) = book.make(&ending, &[1; RANDOM_BYTES], NOW).unwrap();
        let find = |book: &Book, now| book.find(secret.text(), now);
        assert_eq!(find(&book, NOW), Some(record));
        assert_eq!(find(&book, Time(end.0 - 1)).unwrap().name, "pbx");
        assert!(find(&book, end).is_none() && !book.opens_anything(end));
        let other = Secret::new(&[2; RANDOM_BYTES]).0;
        assert!(book.find(other.text(), NOW).is_none());
        book.revoke("pbx").unwrap();
        assert!(find(&book, NOW).is_none());
        assert_eq!(book.revoke("pbx"), Err(BookError::Unknown("pbx".into())));
    }

    #[test]
    fn what_is_kept_is_read_again_and_holds_no_secret() {
        let mut book = Book::default();
        let rate = Some(Rate::with_double_burst(5));
        let full = Wanted { expires: Some(Time(NOW.0 + 1)), rate, ..wanted("a.b-c_d") };
        let (secret, _) = book.make(&full, &[1; RANDOM_BYTES], NOW).unwrap();
        book.make(&wanted("other"), &[2; RANDOM_BYTES], NOW).unwrap();
        let text = book.to_json();
        assert_eq!(Book::from_json(&text).unwrap(), book);
        assert!(!text.contains(parts(secret.text()).unwrap().1));
    }

    #[test]
    fn what_cannot_be_a_token_is_named() {
        let mut book = Book::default();
        for name in ["", "a b", "a\n", "ä", &"x".repeat(TOKEN_NAME_BYTES_MAX + 1)] {
            let refused = book.make(&wanted(name), &[0; RANDOM_BYTES], NOW);
            assert_eq!(refused.unwrap_err(), BookError::Name(name.to_owned()));
        }
        let none = Wanted { scopes: Scopes::default(), ..wanted("a") };
        assert_eq!(book.make(&none, &[0; RANDOM_BYTES], NOW).unwrap_err(), BookError::NoScope);
        book.make(&wanted("a"), &[0; RANDOM_BYTES], NOW).unwrap();
        let again = book.make(&wanted("a"), &[1; RANDOM_BYTES], NOW).unwrap_err();
        assert_eq!(again, BookError::Taken("a".into()));
    }

    #[test]
    fn there_are_only_so_many() {
        let mut book = Book::default();
        for number in 0..=TOKENS_MAX {
            let mut random = [0; RANDOM_BYTES];
            random[..8].copy_from_slice(&(number as u64).to_be_bytes());
            let made = book.make(&wanted(&format!("t{number}")), &random, NOW);
            assert_eq!(made.is_ok(), number < TOKENS_MAX);
        }
    }

    #[test]
    fn a_text_that_was_tampered_with_is_refused() {
        let mut book = Book::default();
        book.make(&wanted("a"), &[1; RANDOM_BYTES], NOW).unwrap();
        let good = book.to_json();
        for (from, to) in
            [("\"version\": 1", "\"version\": 2"), ("\"a\"", "\"a b\""), ("read", "root")]
        {
            assert!(Book::from_json(&good.replace(from, to)).is_err(), "{to}");
        }
        for bad in ["", "{}", "[]", "null"] {
            assert!(Book::from_json(bad).is_err(), "{bad}");
        }
    }
}
