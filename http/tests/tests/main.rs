//! The router by its answers, the fronts over real sockets, the feed with the real tool.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod access;
mod allow;
mod api;
mod attacks;
mod certificate;
mod client;
mod described;
mod dip;
mod etag;
mod feeds;
mod fuzz;
mod go;
mod golden;
mod ipset;
mod limits;
mod monitoring;
mod node;
mod openapi;
mod peers;
mod python;
mod requests;
mod rollups;
mod starting;
mod stream;
mod stream_h2;
mod tls;
mod tools;
mod v1;
