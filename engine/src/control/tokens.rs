//! Orders about the API's tokens. The secret of a new one is in the answer, and nowhere else.
//!
//! | line | what is done | document |
//! |---|---|---|
//! | `token list` | nothing | every token, without its secret |
//! | `token make NAME SCOPES EXPIRES RATE` | one is made; `-` for no end (ns since 1970) and no rate | it, with its secret |
//! | `token revoke NAME` | it goes | it |

use sentrypeer_http::access::{Record, Scopes};
use sentrypeer_http::limits::TOKEN_NAME_BYTES_MAX;
use sentrypeer_http::token_file::TokenError;
use sentrypeer_storage::event::Time;
use sentrypeer_storage::utc::Utc;
use serde_json::{Value, json};

use super::order::{self, Refusal, malformed, number, word};
use crate::guard::Tokens;

/// A token that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// What the operator calls it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Scopes,
    /// When it ends.
    pub expires: Option<Time>,
    /// Its own rate of requests.
    pub requests_per_s: Option<u32>,
}

/// What is to be done with tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenOrder {
    /// Show them.
    List,
    /// Make one.
    Make(NewToken),
    /// Take one away, by its name or its id.
    Revoke(String),
}

/// What stands for nothing.
const NONE: &str = "-";

impl TokenOrder {
    /// Its words, behind `token`.
    pub(super) fn words(&self) -> Vec<String> {
        let or_none = |value: Option<String>| value.unwrap_or_else(|| NONE.to_owned());
        match self {
            Self::List => vec!["list".to_owned()],
            Self::Make(new) => vec![
                "make".to_owned(),
                word(new.name.as_bytes()),
                word(new.scopes.to_string().as_bytes()),
                or_none(new.expires.map(|time| time.0.to_string())),
                or_none(new.requests_per_s.map(|rate| rate.to_string())),
            ],
            Self::Revoke(name) => vec!["revoke".to_owned(), word(name.as_bytes())],
        }
    }

    /// Understands the words behind `token`.
    pub(super) fn decode(words: &[&str]) -> Result<Self, Refusal> {
        match *words {
            ["list"] => Ok(Self::List),
            ["make", name, scopes, expires, rate] => {
                let scopes = Scopes::from_names(&text(scopes)?);
                let expires = (expires != NONE).then(|| number(expires)).transpose()?;
                let rate = (rate != NONE).then(|| number(rate)).transpose()?;
                let rate = rate.map(u32::try_from).transpose();
                Ok(Self::Make(NewToken {
                    name: text(name)?,
                    scopes: scopes.ok_or_else(|| malformed("no such scope"))?,
                    expires: expires.map(Time),
                    requests_per_s: rate.map_err(|_| malformed("the rate is too large"))?,
                }))
            }
            ["revoke", name] => Ok(Self::Revoke(text(name)?)),
            _ => Err(malformed("this version knows no such order about tokens")),
        }
    }

    /// Carries it out.
    ///
    /// # Errors
    ///
    /// [`Refusal`].
    pub fn carry_out(&self, tokens: &Tokens) -> Result<Value, Refusal> {
        match self {
            Self::List => {
                let book = tokens.list()?;
                Ok(json!({ "tokens": book.iter().map(document).collect::<Vec<_>>() }))
            }
            Self::Make(new) => {
                let (secret, record) = tokens.make(new)?;
                let mut document = document(&record);
                document["token"] = secret.text().into();
                Ok(document)
            }
            Self::Revoke(name) => Ok(document(&*tokens.revoke(name)?)),
        }
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        let status = if matches!(error, TokenError::Refused(_)) { 400 } else { 500 };
        Self { status, why: error.to_string() }
    }
}

fn document(record: &Record) -> Value {
    json!({
        "id": record.id,
        "name": record.name,
        "scopes": record.scopes.iter().map(sentrypeer_http::access::Scope::name).collect::<Vec<_>>(),
        "created": Utc(record.created).to_string(),
        "expires": record.expires.map(|end| Utc(end).to_string()),
        "is_over": record.is_over(Time::now()),
        "requests_per_s": record.rate.map(|rate| rate.per_s),
    })
}

/// A name, or the names of scopes.
fn text(word: &str) -> Result<String, Refusal> {
    order::text(word, 4 * TOKEN_NAME_BYTES_MAX)
}
