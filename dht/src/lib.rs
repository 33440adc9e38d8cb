//! Sharing between nodes over OpenDHT.
//!
//! What is here: the record that SentryPeer 4.x publishes, read and written within bounds
//! ([`record`]), and the proof that the library in this binary is the one that it was built for
//! ([`linked`]). What is not here yet: a node. Nothing opens a socket, starts a thread or reads the
//! clock, so nothing is published and nothing is received.
//!
//! - With the feature `opendht` (on by default) OpenDHT's C library is linked. Without it the crate
//!   builds everywhere, and [`linked()`] says that the library is not there.
//! - Every line of `unsafe` is in `ffi.rs`, each with its reason; the rest of the crate denies it.
//! - What comes from another node is hostile until it is read: [`record::Record::read`] is the only
//!   way in, and it bounds every member.
//!
//! Read `limits.rs`, then `record.rs`, then `linked.rs` with `ffi.rs`.

#![deny(unsafe_code)]

pub mod book;
pub mod bootstrap;
pub mod epoch;
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
pub mod publisher;
pub mod quorum;
pub mod reader;
pub mod record;
pub mod rules;
pub mod saved;
pub mod selection;
#[cfg(feature = "opendht")]
pub mod service;
pub mod session;
pub mod state;
pub mod status;
#[cfg(test)]
mod testing;
pub mod trust;
pub mod wire;

pub use linked::{Linked, linked};
