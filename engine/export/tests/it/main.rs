//! What the outputs promise, with real receivers on this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first surprise")]

mod fail2ban;
mod harness;
mod http_server;
mod json_log;
mod killed;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "nats")]
mod nats_server;
mod orders;
mod slow;
#[cfg(feature = "sqlite")]
mod sqlite;
mod syslog;
mod webhook;
