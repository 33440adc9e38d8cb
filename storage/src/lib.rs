//! Events, the log, aggregates, snapshots, retention and block policy of sentrypeer.
//!
//! Shards push arenas of raw events into the intake; one writer thread packs them into blocks, counts
//! them per source, number and user agent, stores both in one durable commit about every 200 ms, and
//! then publishes an immutable generation. Everything else reads: a generation (who is bad now), or
//! the log with a cursor (what happened since).
//!
//! ```text
//! shard ─ arena ─► intake ─► writer ─► tables (redb): blocks, rows, state
//!                              │
//!                              └─► snapshot ─► blocklist (policy, now) ─► every output
//! ```
//!
//! What holds everywhere:
//!
//! - Nothing here knows a network. Only `run` asks what time it is; everything else is told, and
//!   `writer` and `load` can be tested without a clock. Only `open`, `identity` and what is inside
//!   redb touch files, and only `writer` changes the database.
//! - A reader never waits for the writer, nor the writer for a reader.
//! - Counts are exact after a crash: `docs/storage.md` has the invariants, `recount` proves them.
//! - Whether anything may act on an address is decided in [`blocklist`] alone.
//! - Every bound is in [`limits`], and what it turns away is counted.
//!
//! To read it: [`event`], [`repeat`], [`arena`], [`intake`]; [`block`] and `tables` for what is stored;
//! [`aggregate`], [`snapshot`] and `counts` for what is known; `writer`, `shed`, `sweep`, `retain` and `evict`
//! for how it changes, `load` for how it starts, `run` for the thread; [`policy`], [`allow`] and [`blocklist`]
//! for what is made of it.

#![forbid(unsafe_code)]

pub mod aggregate;
pub mod allow;
pub mod arena;
mod arrival;
mod batch;
#[cfg(test)]
mod bench;
pub mod block;
pub mod blocklist;
mod bucket;
mod clock;
mod committer;
mod counts;
pub mod cursor;
mod distinct;
pub mod event;
pub mod event_json;
mod evict;
pub mod filter;
mod forget;
mod head;
pub mod identity;
pub mod import;
pub mod intake;
#[cfg(test)]
mod interplay;
pub mod key;
pub mod limits;
mod load;
pub mod log;
pub mod maintain;
pub mod method;
pub mod number;
mod number_row;
mod open;
mod open_error;
pub mod order;
mod overlay;
mod pack;
mod packing;
pub mod peers;
mod places;
pub mod policy;
#[cfg(test)]
mod power;
pub mod prefix;
mod proofs;
pub mod query;
pub mod recount;
pub mod repeat;
mod retain;
mod rewrite;
pub mod rollup;
mod row_bytes;
mod run;
mod shed;
pub mod snapshot;
mod sorted;
mod source_row;
mod store;
mod strip;
mod sweep;
mod tables;
#[cfg(test)]
mod testing;
mod top;
mod totals;
mod unpacked;
pub mod utc;
mod view;
mod writer;
mod writer_thread;

pub use open_error::OpenError;
pub use run::start;
pub use store::{Options, Phase, Stat, Store, WriterStats};
pub use writer_thread::{WriterError, WriterThread};
