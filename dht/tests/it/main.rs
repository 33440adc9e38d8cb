//! What the crate promises to others: its wire format, its behaviour in a network.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[cfg(feature = "opendht")]
mod crash;
mod drowned;
#[cfg(feature = "opendht")]
mod flood;
mod network;
#[cfg(feature = "opendht")]
mod node;
#[cfg(feature = "opendht")]
mod service;
mod simulation;
mod vectors;
