//! The HTTP side of `sentrypeer`: what a PBX asks before a call, what a firewall loads, what a
//! person looks up, and how the node does.
//!
//! # The map
//!
//! ```text
//!  front/api.rs ────┐ (hyper: the API, streams)
//!  front/dip.rs ────┼─ Request ──► routes.rs ──► Response ─► back to the front, which only writes
//!  control socket ──┘                │            (headers, and a body: bytes, or slices that are
//!  (engine)                          │             made while they are sent)
//!                                    ├─ health.rs    /  /health-check  /livez  /readyz
//!                                    ├─ listing.rs   /ip-addresses  /numbers
//!                                    ├─ lookup.rs    /ip-addresses/{ip}  /numbers/{number}
//!                                    ├─ check.rs     /api/v1/check
//!                                    ├─ feed/        /ip-addresses/ipset
//!                                    └─ metrics.rs   /metrics
//! ```
//!
//! # What holds everywhere
//!
//! - The router is a function: of the request, one snapshot, one policy and `now`. It reads no
//!   clock and no socket, and no request makes it panic.
//! - A request sees one generation from its first byte to its last.
//! - Nothing here changes anything: no request has a body, and only `GET` and `HEAD` work.
//! - What is acted on is decided by `storage`'s blocklist, never here.
//! - Documents print typed addresses. Text from the network appears in JSON strings and nowhere
//!   else.
//! - Before the replay has ended there is no list, no dip and no feed, but 503: an empty feed
//!   would flush a firewall.
//! - Every bound is in [`limits`], and when one is hit, [`counters`] says so.
//!
//! # Reading order
//!
//! [`exchange`], [`routes`], `lookup`, `listing`, `etag`, `feed/ipset`, then the fronts. What
//! clients see is described in `docs/api.md`.

#![forbid(unsafe_code)]

pub mod access;
mod check;
mod coding;
pub mod context;
mod counted;
pub mod counters;
pub mod endpoint;
mod etag;
pub mod exchange;
mod feed;
pub mod front;
mod health;
mod json;
pub mod limits;
mod listing;
mod lookup;
pub mod metrics;
pub mod pace;
mod query;
pub mod routes;
mod timestamp;
pub mod token_file;
mod v1;

pub use context::Context;
pub use exchange::{Body, Lane, Request, Response};
pub use routes::handle;
