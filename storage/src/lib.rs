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
mod load;
pub mod log;
pub mod method;
pub mod number;
mod open;
mod open_error;
mod overlay;
pub mod policy;
pub mod recount;
mod retain;
mod run;
pub mod snapshot;
mod store;
mod sweep;
mod tables;
#[cfg(test)]
mod testing;
pub mod utc;
pub mod writer;

pub use open_error::OpenError;
pub use store::{Gauge, Options, Phase, Store, WriterStats};
pub use writer::{WriterThread, start};
