//! A SIP parser for what is broken: bytes in, fields and anomalies out (RFC 3261).
//!
//! A honeypot collects what is broken, so nothing is refused here: [`parse()`] reads every field that
//! can be read, and says what was wrong with the rest.
//!
//! ```text
//! bytes of a datagram ────────────► parse ──► Message ──► fields, called number, anomalies
//! bytes of a stream ──► Framer ──►  parse ──►    │
//!                                                └──► Reply::write ──► bytes of an answer
//! ```
//!
//! ```
//! use sentrypeer_sip::{Anomaly, parse};
//!
//! let datagram = b"INVITE sip:%2B46500729221@192.0.2.1 SIP/2.0\r\n\
//!     v: SIP/2.0/UDP 203.0.113.9:5071;branch=z9hG4bK-1\r\n\
//!     f: \"scan\" <sip:100@192.0.2.1>;tag=a1\r\n\
//!     t: <sip:0046500729221@192.0.2.1>\r\n\
//!     i: 7041\r\n\
//!     CSeq: 1 INVITE\r\n\
//!     Contact: <sip:100@203.0.113.9:5071\r\n\
//!     l: 0\r\n\r\n";
//! let message = parse(datagram);
//!
//! // What the bytes say, where they stand: nothing was copied.
//! assert_eq!(message.method(), b"INVITE");
//! assert_eq!(message.from_user(), Some(&b"100"[..]));
//! assert_eq!(message.via_host(), Some(&b"203.0.113.9"[..]));
//!
//! // The number that was called, its escapes decoded.
//! let mut buf = [0; sentrypeer_sip::limits::NUMBER_BYTES_MAX];
//! assert_eq!(message.called_number(&mut buf).0, b"+46500729221");
//!
//! // What is wrong: the Contact's bracket is not closed, and there is no Max-Forwards.
//! let found = message.all_anomalies();
//! assert_eq!(found.invalid, Anomaly::AngleOpen.bit());
//! assert_eq!(found.observed, Anomaly::MaxForwardsMissing.bit());
//! ```
//!
//! What holds everywhere in this crate:
//!
//! - A [`Message`] borrows the bytes that it was parsed from. Nothing is copied, nothing is
//!   allocated ([`frame`] owns its buffer, and [`reply`] writes into the caller's).
//! - The scan goes over the head once, and keeps where the known headers are. What is inside them
//!   is taken apart when somebody asks, each value in one walk: [`Uri`], [`Address`], [`Via`],
//!   [`Credentials`], [`Session`].
//! - Every input costs time in proportion to its length, and no input panics.
//! - Bytes are neither UTF-8 nor text. No clock, no sockets, no `unsafe`, no state but the framer's.
//! - It needs `memchr` and nothing else.
//!
//! To read the source: `bytes`, `class`, `name`, `header`, `start_line`, `parse`, `message` for the
//! scan; then `uri`, `via`, `number`, `digest` and `session` for what is inside; `anomaly`, `check`,
//! `grammar` and `plain` for what can be wrong; `frame` for streams; `reply` for answers. Bounds are in
//! [`limits`].
#![forbid(unsafe_code)]

mod anomaly;
mod bytes;
mod check;
mod class;
mod digest;
pub mod frame;
mod grammar;
mod header;
pub mod limits;
mod message;
mod name;
mod number;
mod parse;
mod plain;
pub mod reply;
mod session;
mod start_line;
mod uri;
mod via;

pub use anomaly::{Anomalies, Anomaly};
pub use digest::Credentials;
pub use frame::{Frame, Framer};
pub use header::{Headers, List, Params};
pub use message::{CSeq, Kind, Looks, Message};
pub use name::Name;
pub use number::NumberKind;
pub use parse::parse;
pub use reply::{NoReply, Reply};
pub use session::{Connection, Media, Session};
pub use uri::{Address, Scheme, Uri};
pub use via::Via;
