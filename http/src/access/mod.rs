//! Who may ask for what. Nothing here knows a socket, a file, a clock or a source of randomness.
//!
//! A *token* is 256 random bits that the operator makes, with a name, scopes and an end; kept is
//! only its hash (`token`, `book`). With it a client asks directly, or gets short-lived tokens for it
//! in the way of OAuth 2 (`oauth`, `issued`). `rules` decides: by the token or the client
//! certificate, by where the request came in, and by what of it a browser cannot forge.

mod book;
mod issued;
mod oauth;
mod rules;
mod scope;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use sentrypeer_storage::event::Time;

pub(crate) use book::Wanted;
pub use book::{Book, BookError, Record};
pub use oauth::answer as oauth_answer;
pub use rules::{Denial, Head, Line, Need};
pub use scope::{Scope, Scopes};
pub(crate) use token::hex;
pub use token::{RANDOM_BYTES, Secret};

use crate::limits::TOKEN_RATE;
use crate::pace::{Bucket, Rate};
use issued::Issued;

/// What the operator has set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What names the node has, beside `localhost` and every literal address: what a request's
    /// `Host` may be. Compared without case.
    pub hosts: Vec<String>,
    /// What a client certificate of the operator's CA may do.
    pub certificate_scopes: Scopes,
    /// Requests of one token, where it has no rate of its own.
    pub token_rate: Rate,
}

impl Default for Settings {
    fn default() -> Self {
        let certificate_scopes = Scopes::of([Scope::Read, Scope::Feed, Scope::Metrics]);
        Self { hosts: Vec::new(), certificate_scopes, token_rate: TOKEN_RATE }
    }
}

/// Everything that access is decided by. One for all connections.
#[derive(Debug, Default)]
pub struct Access {
    settings: Settings,
    book: ArcSwap<Book>,
    issued: Mutex<Issued>,
    /// One for each token that was used; those of tokens that have gone are forgotten with them.
    buckets: Mutex<HashMap<String, Bucket>>,
}

/// Who asks, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Somebody without a token.
    Nobody,
    /// The holder of a token, by its name.
    Token(Arc<Record>),
    /// The holder of a client certificate, by the beginning of its SHA-256.
    Certificate(Arc<str>),
}

/// Who asks, and what that may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who.
    pub who: Who,
    /// What.
    pub scopes: Scopes,
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nobody => f.write_str("nobody"),
            Self::Token(record) => write!(f, "token {}", record.name),
            Self::Certificate(digest) => write!(f, "certificate {digest}"),
        }
    }
}

impl Access {
    /// Access by these settings and tokens.
    #[must_use]
    pub fn new(settings: Settings, book: Book) -> Self {
        Self { settings, book: ArcSwap::from_pointee(book), ..Self::default() }
    }

    /// What was set.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes other tokens from now on. What was issued for one that has gone is worth nothing.
    pub fn set_book(&self, book: Book) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.retain(|id, _| book.get(id).is_some());
        drop(buckets);
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued.retain(|id| book.get(id).is_some());
        drop(issued);
        self.book.store(Arc::new(book));
    }

    /// The tokens that hold now.
    #[must_use]
    pub fn book(&self) -> Arc<Book> {
        self.book.load_full()
    }

    /// Whose token this is, and what it may do now.
    fn holder(&self, token: &str, now: Time) -> Option<Grant> {
        let book = self.book.load();
        if let Some(record) = book.find(token, now) {
            return Some(Grant { scopes: record.scopes, who: Who::Token(record) });
        }
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let (client, scopes) = issued.find(token, now)?;
        let record = book.get(client).filter(|record| !record.is_over(now))?;
        let scopes = scopes.and(record.scopes);
        Some(Grant { who: Who::Token(Arc::clone(record)), scopes })
    }

    /// A short-lived token of a client.
    fn issue(
        &self,
        client: &str,
        scopes: Scopes,
        expires: Time,
        random: &[u8; RANDOM_BYTES],
    ) -> Secret {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued.issue(client, scopes, expires, random)
    }

    /// Takes one request of a token.
    ///
    /// # Errors
    ///
    /// The seconds to wait for the next.
    fn take(&self, record: &Record, now: Time) -> Result<(), u32> {
        let rate = record.rate.unwrap_or(self.settings.token_rate);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(&record.id) {
            return bucket.take(rate, now);
        }
        buckets.entry(record.id.clone()).or_default().take(rate, now)
    }
}
