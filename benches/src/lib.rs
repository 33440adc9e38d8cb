//! What the benches of sentrypeer are made of.
//!
//! `bench` (called by `scripts/bench`) measures everything and prints one table. It starts the program
//! and, in turn and on the same cores, what does nothing but the least that is necessary: each row of
//! the table has such a limit beside it, because absolute figures move with the machine and ratios of
//! one run do not.
//!
//! - [`figure`] and [`table`] are what is printed, [`plot`] what is drawn; pure.
//! - [`suite`] has the parts of the table, a file each. [`node`] starts the program, [`machine`] asks
//!   the kernel.
//! - `src/bin/` holds the senders and what is measured beside the program, each a process of its own:
//!   `blast` and `ask` send over UDP, `connect` over TCP and TLS, `dips` over HTTP; `sink` receives and
//!   throws away, `floor` packs and writes too, `echo` gives back.
//! - [`load`] loads a node with sipp (`scripts/load-test`).
//! - [`soak`] lets a node run for hours while everything goes wrong (`scripts/soak`).
//! - [`messages`] are what the parser is measured with, by `benches/sip.rs`.
//! - [`request`] writes the SIP requests, [`pace`] says how many are due, [`latency`] counts times:
//!   pure.
//! - [`mmsg`] sends and receives many datagrams in one system call. Its file holds every unsafe line.
//!
//! Nothing here sends to another machine: [`request::loopback`] is the only way to a target.

#![deny(unsafe_code)]

pub mod any_certificate;
pub mod figure;
pub mod latency;
pub mod load;
pub mod machine;
pub mod messages;
pub mod mmsg;
pub mod node;
pub mod pace;
pub mod plot;
pub mod receiver;
pub mod request;
pub mod soak;
pub mod suite;
pub mod table;

/// How a program ends that looks whether all is well: with success if it is; what kept it from looking is
/// said with its name.
#[must_use]
pub fn exit_code(program: &str, is_well: std::io::Result<bool>) -> std::process::ExitCode {
    use std::process::ExitCode;
    match is_well {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}
