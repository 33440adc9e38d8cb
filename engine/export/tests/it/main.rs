//! What the outputs promise, with real receivers on this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first surprise")]

mod harness;
mod json_log;
mod orders;
mod syslog;
