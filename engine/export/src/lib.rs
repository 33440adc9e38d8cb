//! The outputs of sentrypeer: each reads the log of events and hands it to one receiver.
//!
//! ```text
//! log ─ Reader (cursor) ─► Task: wait, read, filter ─► Output::send ─► receiver
//!                            ▲   cursor moves only then ◄── it has them durably
//!                            └── Handle: pause, resume, reset, reopen, status
//! ```
//!
//! What holds everywhere:
//!
//! - An output has a thread and a cursor of its own. It may lag, stop, fail and come back: it holds up
//!   neither a shard, nor the writer, nor another output.
//! - A cursor moves only when the receiver has the events as durably as its protocol can say. So after
//!   a failure or a kill some events come again, and none is missing that retention has not taken.
//! - What the log keeps of an attacker is text to the receiver, never structure: it can end no line,
//!   string or field.
//! - An address on the allow-list is in no output that something acts on (syslog). Records keep it, and
//!   say so.
//! - Secrets are in no error, no status and no log line.
//! - Nothing here writes to the database or knows a SIP socket. Every bound is in [`limits`].
//!
//! To read it: [`output`] for the family and its settings, `task` for the one loop, [`handle`] and [`status`] for
//! what can be asked and ordered; then one file or folder for each receiver.

#![forbid(unsafe_code)]

mod backoff;
mod batch;
pub mod filter;
pub mod handle;
pub mod json_log;
pub mod limits;
pub mod line;
mod lines_file;
#[cfg(feature = "nats")]
pub mod nats;
pub mod output;
mod outputs;
pub mod secret;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod status;
pub mod syslog;
mod task;
mod tls;
pub mod webhook;

pub use outputs::{Outputs, StartError};
