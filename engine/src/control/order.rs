//! Orders: what a subcommand has a node do. The words in which they go through the control socket,
//! and how they are carried out.
//!
//! An order is a line of words with one blank between them; what is not a letter, digit or plain sign
//! in a word is percent-encoded (RFC 3986, section 2.1):
//!
//! | line | what is done | document |
//! |---|---|---|
//! | `stats` | nothing | what is in the database |
//! | `backup PATH` | the database is copied into a new file | how many bytes it takes |
//! | `forget address ADDRESS`, `forget number NUMBER` | it is erased | what was erased |
//! | `import-place NAME` | nothing | how far the import of this name has got |
//! | `import NAME PLACE BYTES`, and then so many bytes | a [batch](mod@super::batch) is stored | what became of it |
//! | `events AFTER` | nothing | events of the log, see [`documents::Events`] |
//! | `token ...` | see [`tokens`](mod@super::tokens) | |
//! | `output ...` | see [`outputs`](mod@super::outputs) | |
//! | `peers ...` | see [`peers`](mod@super::peers) | |
//! | `allow ...` | see [`allow`](mod@super::allow) | |

use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use sentrypeer_storage::Store;
use sentrypeer_storage::event::{NUMBER_BYTES_MAX, Seq, SourceKey, Time};
use sentrypeer_storage::import::{Import, Imported};
use sentrypeer_storage::key::NumberKey;
use sentrypeer_storage::limits::IMPORT_NAME_BYTES_MAX;
use sentrypeer_storage::log::LogError;
use sentrypeer_storage::maintain::MaintainError;
use sentrypeer_storage::order::OrderError;
use sentrypeer_storage::query::Subject;
use serde_json::json;

use super::allow::AllowOrder;
use super::charge::Charge;
use super::outputs::OutputOrder;
use super::peers::PeerOrder;
use super::tokens::TokenOrder;
use super::{batch, documents, native};
use crate::limits::{CONTROL_BATCH_BYTES_MAX, FORGET_PATIENCE_S, IMPORT_PATIENCE_S};

/// What a node is to do.
#[derive(Debug)]
pub enum Order {
    /// Say what is in the database.
    Stats,
    /// Copy the database into this new file.
    Backup(PathBuf),
    /// Erase this source or number.
    Forget(Subject),
    /// Say how far the import of this name has got.
    ImportPlace(String),
    /// Take in these events.
    Import(Import),
    /// Give the events after this one.
    Events {
        /// The last one that the asker has.
        after: Seq,
    },
    /// Look after the API's tokens.
    Token(TokenOrder),
    /// Look after the outputs.
    Output(OutputOrder),
    /// Look after sharing with other nodes.
    Peers(PeerOrder),
    /// Look after the allow-list.
    Allow(AllowOrder),
}

/// Why an order was not carried out.
#[derive(Debug)]
pub struct Refusal {
    /// As of HTTP: 400 for an order that makes no sense, 503 for one that may be given again, 500
    /// for one that failed.
    pub status: u16,
    /// For people.
    pub why: String,
}

impl Refusal {
    pub(super) fn new(status: u16, why: &(impl ToString + ?Sized)) -> Self {
        Self { status, why: why.to_string() }
    }
}

impl From<OrderError> for Refusal {
    fn from(error: OrderError) -> Self {
        let status = if error == OrderError::TooLarge { 400 } else { 503 };
        Self::new(status, &error)
    }
}

impl From<LogError> for Refusal {
    fn from(error: LogError) -> Self {
        Self::new(if matches!(error, LogError::Closed) { 503 } else { 500 }, &error)
    }
}

impl From<MaintainError> for Refusal {
    fn from(error: MaintainError) -> Self {
        Self::new(if matches!(error, MaintainError::Closed) { 503 } else { 500 }, &error)
    }
}

/// What would break a line or a word.
const NOT_IN_WORDS: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// Text as one word of a line.
pub(super) fn word(bytes: &[u8]) -> String {
    percent_encode(bytes, NOT_IN_WORDS).to_string()
}

impl Order {
    /// The words of each kind of order, by [`Order::kind`].
    pub const KINDS: [&'static str; 10] = [
        "stats",
        "backup",
        "forget",
        "import-place",
        "import",
        "events",
        "token",
        "output",
        "peers",
        "allow",
    ];

    /// Which kind it is: a place in [`Order::KINDS`].
    #[must_use]
    pub fn kind(&self) -> usize {
        match self {
            Self::Stats => 0,
            Self::Backup(_) => 1,
            Self::Forget(_) => 2,
            Self::ImportPlace(_) => 3,
            Self::Import(_) => 4,
            Self::Events { .. } => 5,
            Self::Token(_) => 6,
            Self::Output(_) => 7,
            Self::Peers(_) => 8,
            Self::Allow(_) => 9,
        }
    }

    /// Its line, with the line end, and what comes behind it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut words = vec![Self::KINDS[self.kind()].to_owned()];
        let mut behind = Vec::new();
        match self {
            Self::Stats => {}
            Self::Backup(path) => words.push(word(path.as_os_str().as_bytes())),
            Self::Forget(Subject::Source(source)) => {
                words.extend(["address".to_owned(), source.ip().to_string()]);
            }
            Self::Forget(Subject::Number(number)) => {
                words.extend(["number".to_owned(), word(number.as_bytes())]);
            }
            Self::ImportPlace(name) => words.push(word(name.as_bytes())),
            Self::Import(import) => {
                let mut batch = batch::Encoder::default();
                import.events.iter().for_each(|(name, event)| batch.add(*name, event));
                behind = batch.finish();
                let numbers = [import.place.to_string(), behind.len().to_string()];
                words.push(word(import.name.as_bytes()));
                words.extend(numbers);
            }
            Self::Events { after } => words.push(after.0.to_string()),
            Self::Token(order) => words.extend(order.words()),
            Self::Output(order) => words.extend(order.words()),
            Self::Peers(order) => words.extend(order.words()),
            Self::Allow(order) => words.extend(order.words()),
        }
        let mut bytes = words.join(" ").into_bytes();
        bytes.push(b'\n');
        bytes.extend_from_slice(&behind);
        bytes
    }

    /// Understands a line, and reads what comes behind it.
    ///
    /// # Errors
    ///
    /// [`Refusal`] of what makes no sense or is too large.
    pub fn decode(line: &str, behind: &mut impl Read) -> Result<Self, Refusal> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["stats"] => Ok(Self::Stats),
            ["backup", path] => backup(path),
            ["forget", "address", address] => {
                let address = address.parse().map_err(|_| malformed("no such address"))?;
                Ok(Self::Forget(Subject::Source(SourceKey::of(address))))
            }
            ["forget", "number", number] => {
                let number = bytes(number, NUMBER_BYTES_MAX)?;
                Ok(Self::Forget(Subject::Number(NumberKey::of(&number))))
            }
            ["import-place", name] => Ok(Self::ImportPlace(text(name, IMPORT_NAME_BYTES_MAX)?)),
            ["import", name, place, length] => {
                let (name, place) = (text(name, IMPORT_NAME_BYTES_MAX)?, number(place)?);
                let length: u64 = number(length)?;
                if length > CONTROL_BATCH_BYTES_MAX as u64 {
                    return Err(malformed("the batch is too large"));
                }
                let mut batch = behind.take(length);
                let events = batch::decode(&mut batch).map_err(|e| Refusal::new(400, &e))?;
                if batch.limit() > 0 {
                    return Err(malformed("the batch breaks off"));
                }
                Ok(Self::Import(Import { name, place, events }))
            }
            ["events", after] => Ok(Self::Events { after: Seq(number(after)?) }),
            ["token", ref words @ ..] => TokenOrder::decode(words).map(Self::Token),
            ["output", ref words @ ..] => OutputOrder::decode(words).map(Self::Output),
            ["peers", ref words @ ..] => PeerOrder::decode(words).map(Self::Peers),
            ["allow", ref words @ ..] => AllowOrder::decode(words).map(Self::Allow),
            _ => Err(malformed("this version knows no such order")),
        }
    }

    /// Carries it out, and gives the document to answer with.
    ///
    /// # Errors
    ///
    /// [`Refusal`].
    pub fn carry_out(self, on: &Charge) -> Result<Vec<u8>, Refusal> {
        let store = &on.store;
        let value = match self {
            Self::Stats => documents::stats(&store.database_stats()?),
            Self::Backup(path) => json!({ "bytes": store.backup(&path)? }),
            Self::Forget(subject) => {
                let patience = Duration::from_secs(FORGET_PATIENCE_S);
                documents::forgotten(&store.forget(subject, patience)?)
            }
            Self::ImportPlace(name) => json!({ "place": store.import_place(&name)? }),
            Self::Import(import) => documents::imported(&take_in(store, import)?),
            Self::Events { after } => return documents::events(store, after).map_err(Into::into),
            Self::Token(order) => order.carry_out(&on.tokens)?,
            Self::Output(order) => order.carry_out(&on.outputs, store)?,
            Self::Peers(order) => order.carry_out(&on.peers)?,
            Self::Allow(order) => {
                let book = on.allow.as_deref();
                let book =
                    book.ok_or_else(|| malformed("no node runs that keeps an allow-list"))?;
                order.carry_out(book, Time::now())?
            }
        };
        Ok(value.to_string().into_bytes())
    }
}

fn take_in(store: &Store, mut import: Import) -> Result<Imported, Refusal> {
    let own = native::take_out(store, &mut import.events)?;
    let mut imported = store.import(import, Duration::from_secs(IMPORT_PATIENCE_S))?;
    imported.known += own;
    Ok(imported)
}

pub(super) fn malformed(why: &str) -> Refusal {
    Refusal::new(400, why)
}

pub(super) fn bytes(word: &str, max: usize) -> Result<Vec<u8>, Refusal> {
    let bytes: Vec<u8> = percent_decode_str(word).collect();
    let fits = (1..=max).contains(&bytes.len());
    if fits { Ok(bytes) } else { Err(malformed("a word is empty or too long")) }
}

fn backup(word: &str) -> Result<Order, Refusal> {
    let path = PathBuf::from(std::ffi::OsString::from_vec(bytes(word, usize::MAX)?));
    // The node's own working folder is not the asker's.
    if Path::is_absolute(&path) {
        Ok(Order::Backup(path))
    } else {
        Err(malformed("the path must begin with /"))
    }
}

/// A word that is text of at most so many bytes.
pub(super) fn text(word: &str, max: usize) -> Result<String, Refusal> {
    String::from_utf8(bytes(word, max)?).map_err(|_| malformed("a word is not UTF-8"))
}

pub(super) fn number(word: &str) -> Result<u64, Refusal> {
    word.parse().map_err(|_| malformed("a number was expected"))
}

#[cfg(test)]
mod tests {
    use sentrypeer_http::access::{Scope, Scopes};
    use sentrypeer_http::allow;
    use sentrypeer_storage::cursor::Begin;

    use super::*;
    use crate::control::tokens::NewToken;

    fn again(order: &Order) -> Order {
        let bytes = order.encode();
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        let (line, mut behind) = (std::str::from_utf8(&bytes[..end]).unwrap(), &bytes[end + 1..]);
        Order::decode(line, &mut behind).unwrap()
    }

    fn refused(line: &str, mut behind: &[u8]) -> u16 {
        Order::decode(line, &mut behind).unwrap_err().status
    }

    #[test]
    fn each_order_is_understood_as_it_was_meant() {
        let number = Subject::Number(NumberKey::of("100 %\u{fc}\n".as_bytes()));
        let source = Subject::Source(SourceKey::of("2001:db8::7".parse().unwrap()));
        let orders = [
            Order::Stats,
            Order::Backup(std::ffi::OsString::from_vec(b"/a b/100%/\xff\n".to_vec()).into()),
            Order::Forget(number),
            Order::Forget(source),
            Order::ImportPlace("a file".to_owned()),
            Order::Import(Import { name: "x y".to_owned(), place: 7, events: Vec::new() }),
            Order::Events { after: Seq(9) },
            Order::Token(TokenOrder::List),
            Order::Token(TokenOrder::Revoke("a b".to_owned())),
            Order::Token(TokenOrder::Make(NewToken {
                name: "pbx".to_owned(),
                scopes: Scopes::of([Scope::Read, Scope::Feed]),
                expires: Some(Time(7)),
                requests_per_s: None,
            })),
            Order::Output(OutputOrder::List),
            Order::Output(OutputOrder::Pause("webhook.2".to_owned())),
            Order::Output(OutputOrder::Resume("json-log".to_owned())),
            Order::Output(OutputOrder::Reset("a b".to_owned(), Begin::Oldest)),
            Order::Output(OutputOrder::Reset("x".to_owned(), Begin::Newest)),
            Order::Peers(PeerOrder::List),
            Order::Peers(PeerOrder::Pardon(sentrypeer_dht::wire::NodeKey([9; 32]))),
            Order::Allow(AllowOrder::List),
            Order::Allow(AllowOrder::Add(allow::Entry {
                subject: "2001:db8::/32".parse().unwrap(),
                reason: "100 % \u{fc}".to_owned(),
                expires: Some(Time(7)),
                origin: allow::Origin::Added,
            })),
            Order::Allow(AllowOrder::Remove("+44800*".parse().unwrap())),
        ];
        let mut kinds: Vec<usize> = orders.iter().map(Order::kind).collect();
        for order in &orders {
            assert_eq!(format!("{:?}", again(order)), format!("{order:?}"));
        }
        kinds.dedup();
        assert_eq!(kinds, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let long = "x".repeat(NUMBER_BYTES_MAX + 1);
        for line in [
            "",
            "frobnicate",
            "stats now",
            "backup",
            "backup relative/path",
            "forget address 300.0.0.1",
            "forget number ",
            "events x",
            "import-place ",
            "import x y 1",
            "output pause",
            "peers",
            "peers pardon 12",
            "output reset x middle",
            "token",
            "token make x",
            "token make x root - -",
            "token make x read - 4294967296",
            "allow",
            "allow add 192.0.2.1 -",
            "allow add alice - x",
            "allow add 192.0.2.1 soon x",
            "allow remove 192.0.2.1/33",
        ] {
            assert_eq!(refused(line, b""), 400, "{line:?}");
        }
        assert_eq!(refused(&format!("forget number {long}"), b""), 400);
        assert_eq!(refused(&format!("import x 1 {}", CONTROL_BATCH_BYTES_MAX + 1), b""), 400);
        assert_eq!(refused("import x 1 9", b"\x01"), 400, "cut");
        assert_eq!(refused("import x 1 2", b"\x01\x01"), 400, "an event that was cut");
    }
}
