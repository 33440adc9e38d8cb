//! What the outputs promise, with real receivers on this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first surprise")]

mod fail2ban;
mod harness;
mod http_server;
mod json_log;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "nats")]
mod nats_server;
mod orders;
#[cfg(feature = "sqlite")]
mod sqlite;
mod syslog;
mod webhook;
