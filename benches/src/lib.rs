//! What the benches of sentrypeer are made of.
//!
//! `scripts/bench` starts the program and, in turn and on the same cores, `sink`, a bare loop that
//! receives and throws away; `blast` sends both the same paced load from a process of its own. What
//! the program costs is told as a ratio to what the sink costs in the same run, because absolute
//! figures move with the machine.
//!
//! - [`messages`] are what the parser is measured with.
//! - [`request`] writes the SIP requests, [`pace`] says how many are due: both pure.
//! - [`mmsg`] sends and receives many datagrams in one system call. Its file holds every unsafe line.
//! - `src/bin/` holds the two programs, `benches/` the bench of the parser.
//!
//! Nothing here sends to another machine: [`request::loopback`] is the only way to a target.

#![deny(unsafe_code)]

pub mod messages;
pub mod mmsg;
pub mod pace;
pub mod request;
