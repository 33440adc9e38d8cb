//! The HTTP side of `sentrypeer`: what a PBX asks before a call, what a firewall loads, what a
//! person looks up, and how the node does.
//!
//! # The map
//!
//! ```text
//!  front/api.rs ─ access/ ─┐ (hyper: the API, streams; who may ask for what)
//!  front/dip.rs ───────────┼─ Request ──► routes.rs ──► Response ─► back to the front, which only
//!  control socket ─────────┘                │            writes (headers, and a body: bytes, or
//!  (engine)                                 │            slices that are made while they are sent)
//!                                           ├─ health.rs    /  /health-check  /livez  /readyz
//!                                           ├─ listing.rs   /ip-addresses  /numbers
//!                                           ├─ lookup.rs    /ip-addresses/{ip}  /numbers/{number}
//!                                           ├─ counted.rs   /countries  /user-agents  /sip-methods
//!                                           ├─ check.rs     /api/v1/check
//!                                           ├─ v1/          the rest of /api/v1: what is known
//!                                           ├─ feed/        what to block, in many formats
//!                                           ├─ allow/       /api/v1/allow-list
//!                                           ├─ metrics.rs   /metrics
//!                                           └─ openapi/     /openapi.json  /docs
//! ```
//!
//! # What holds everywhere
//!
//! - The router is a function: of the request, one snapshot, one policy and `now`. It reads no
//!   clock and no socket, and no request makes it panic.
//! - A request sees one generation from its first byte to its last.
//! - There is one table of paths, [`endpoint`]: router, access, `/metrics` and the OpenAPI document
//!   read it, and nothing else knows a path.
//! - Nothing here changes what is known but the allow-list, which is changed where it is kept. The
//!   only requests with a body are that for a token, and that for an entry of the allow-list.
//! - What is acted on is decided by `storage`'s blocklist, never here.
//! - Documents print typed addresses. Text from the network appears in JSON strings and nowhere
//!   else.
//! - Before the replay has ended there is no list, no dip and no feed, but 503: an empty feed
//!   would flush a firewall.
//! - Every bound is in [`limits`], and when one is hit, [`counters`] says so.
//!
//! # Reading order
//!
//! [`exchange`], [`endpoint`], [`routes`], `lookup`, `listing`, `etag`, `coding`, `v1/page`,
//! `feed/list` and `feed/document`, [`access`], then the fronts. What clients see is described in
//! `docs/api.md`.

#![forbid(unsafe_code)]

pub mod access;
pub mod allow;
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
mod latency;
pub mod limits;
mod listing;
mod lookup;
pub mod metrics;
mod openapi;
pub mod pace;
mod query;
pub mod routes;
mod timestamp;
pub mod token_file;
mod v1;

pub use context::Context;
pub use exchange::{Body, Lane, Request, Response};
pub use routes::handle;
