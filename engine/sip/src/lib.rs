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
//! What holds everywhere in this module:
//!
//! - A [`Message`] borrows the bytes that it was parsed from. Nothing is copied, nothing is
//!   allocated ([`frame`] owns its buffer, and [`reply`] writes into the caller's).
//! - The scan goes over the head once, and keeps where the known headers are. What is inside them
//!   is taken apart when somebody asks, each value in one walk.
//! - Every input costs time in proportion to its length, and no input panics.
//! - Bytes are neither UTF-8 nor text. No clock, no sockets, no `unsafe`, no state but the framer's.
//!
//! Read `bytes`, `name`, `header`, `start_line`, `parse`, `message` for the scan; then `uri`,
//! `via` and `number` for what is inside; `anomaly` and `check` for what can be wrong; `frame` for
//! streams; `reply` for answers. Bounds are in `limits`.
#![forbid(unsafe_code)]

mod anomaly;
mod bytes;
mod check;
mod class;
mod digest;
pub mod frame;
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
