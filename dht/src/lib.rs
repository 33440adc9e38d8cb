//! Sharing between nodes over OpenDHT.
//!
//! Nodes tell each other which addresses misbehave and which numbers are called. You get others' data
//! if you share yours, and nothing is acted on that not enough nodes with a history say, or one that
//! the operator trusts. `docs/peer-protocol.md` is the protocol byte by byte.
//!
//! - Nearly all of it is pure: no clock, no socket, no file. Time, randomness and what was found are
//!   arguments. Only [`service`], [`node`] and [`state`] touch the outside.
//! - With the feature `opendht` (on by default) OpenDHT's C library is linked. Without it the crate
//!   builds everywhere, has no [`service`] and no [`node`], and [`linked()`] says so.
//! - `unsafe` is in `ffi.rs` and `receive_buffer.rs`, each line with its reason; the rest denies it.
//! - What comes from another node is hostile until it is read: [`wire`] and [`record`] are the only
//!   ways in, and everything behind them has a bound in [`limits`].
//! - What peers say never becomes an event of our own, and is never told again.
//!
//! Read `limits.rs`; [`wire`] and [`keys`] for what is told; [`ledger`], [`grants`], [`quorum`] (with
//! `ballot.rs`), [`trust`] and [`book`] for what is made of it; [`selection`], [`publisher`] and
//! [`reader`] for what goes out and in; [`session`] for when; [`service`] for who does it. [`legacy`]
//! and [`record`] are the format of SentryPeer 4.x.

#![deny(unsafe_code)]

mod ballot;
pub mod book;
pub mod bootstrap;
pub mod epoch;
mod epoch_read;
#[cfg(feature = "opendht")]
mod ffi;
pub mod grants;
pub mod keys;
pub mod ledger;
pub mod legacy;
pub mod limits;
mod linked;
#[cfg(feature = "opendht")]
pub mod node;
#[cfg(feature = "opendht")]
mod operations;
pub mod publisher;
pub mod quorum;
pub mod reader;
#[cfg(feature = "opendht")]
mod receive_buffer;
pub mod record;
pub mod rules;
pub mod saved;
pub mod selection;
#[cfg(feature = "opendht")]
pub mod service;
pub mod session;
mod standing;
pub mod state;
pub mod status;
#[cfg(test)]
mod testing;
pub mod trust;
pub mod wire;

pub use linked::{Linked, linked};
