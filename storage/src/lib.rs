//! Events, the log, aggregates, snapshots, retention and block policy of sentrypeer.
pub mod aggregate;
pub mod arena;
pub mod block;
pub mod blocklist;
mod counts;
pub mod event;
pub mod event_json;
pub mod identity;
pub mod intake;
pub mod key;
pub mod limits;
pub mod log;
pub mod method;
pub mod number;
mod open_error;
pub mod policy;
pub mod snapshot;
mod store;
#[cfg(test)]
mod testing;
pub mod utc;
mod writer;

pub use open_error::OpenError;
pub use store::{Gauge, Options, Phase, Store, WriterStats};
pub use writer::{WriterThread, start};
