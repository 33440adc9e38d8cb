//! The engine of `sentrypeer`: a SIP honeypot that lets bad actors try to make phone calls, keeps
//! the address that they came from and the number that they tried to call, and hands both to
//! whatever can block them.
//!
//! # The map
//!
//! Cores push, one writer commits, everything else reads. A *shard* ([`shard`]) is one thread on one
//! core; it owns its sockets ([`net`]), reads messages ([`sip`]), decides about answers
//! ([`honeypot`]) and appends events to its *arena* ([`recorder`]). Full arenas go over a bounded channel to the
//! one writer (the crate `sentrypeer-storage`), which commits them and publishes snapshots. The
//! fronts (`sentrypeer-http`) and the control socket ([`control`]) answer from snapshots; [`outputs`]
//! (`sentrypeer-export`) read the log; [`peers`] (`sentrypeer-dht`) share it. Subcommands ([`command`]) and the [`firewall`] agent ask over the
//! control socket.
//!
//! Around them: [`config`] reads the settings, and [`reload`] those that change while the node runs. [`node`] starts and
//! ends everything, by [`startup`] (what is looked at and opened before the first message), [`shards`] (the threads) and
//! [`fronts`] (the API and the dip lane, which [`guard`] protects by TLS and tokens). [`allow`] keeps what is never
//! acted on. [`counters`] are what the shards count; [`metrics`] and [`context`] show it, and all that the fronts
//! answer from.
//!
//! # Invariants
//!
//! - [`sip`] and [`honeypot`] are pure: no sockets, no clock, no allocation for a message.
//! - A shard never waits for anybody. What it cannot hand over it sheds, and counts.
//! - What is answered has been recorded: without room for the event there is no answer.
//! - An event is copied once between the wire and the arena.
//! - Only [`net`] names the two drivers' libraries; only `net/syscall/` is unsafe.
//! - Every bound is a constant in a `limits.rs`: [`limits`], [`sip::limits`], `config/limits.rs`.
//!
//! # In which order to read
//!
//! [`recorder`] first (the path of one message), [`shard`], then [`sip`] and [`honeypot`], then [`net::udp`] and
//! [`net::stream`], then one driver ([`net::poll`] is the shorter one), and [`node`] at the end: how
//! everything is started and ended.
#![deny(unsafe_code)]

pub mod allow;
pub mod command;
pub mod config;
pub mod context;
pub mod control;
pub mod counters;
pub mod firewall;
pub mod fronts;
pub mod guard;
pub mod honeypot;
pub mod limits;
pub mod logging;
pub mod metrics;
pub mod net;
pub mod node;
pub mod outputs;
pub mod peers;
pub mod recorder;
pub mod reload;
pub mod shard;
pub mod shards;
pub mod startup;

pub use sentrypeer_sip as sip;
