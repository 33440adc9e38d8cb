//! The program as its users meet it: started as a process, fed real traffic, asked over its real
//! interfaces, stopped and killed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod allow;
mod archive;
mod crash;
mod crowd;
mod database;
mod drivers;
mod export;
mod fail2ban;
mod firewall;
mod fleet;
mod forged;
mod front_ends;
mod guarded;
mod harness;
mod lifecycle;
mod manual;
mod many_addresses;
mod odd;
mod outputs;
mod packaging;
mod peers;
mod sharing;
mod sipp;
mod streams;
