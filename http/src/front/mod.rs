//! The sockets: the API on [`api`], the dip lane on [`dip`]. Both only carry requests to the
//! router and its answers back.

pub mod api;
pub mod dip;
mod paced;

use std::net::SocketAddr;

/// Why a front could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// The dip lane has no limits of its own, so only this machine may reach it.
    #[error(
        "dip lane: {address} can be reached from other machines; give a loopback address such as \
         127.0.0.1:8083, or \"none\" to leave it out"
    )]
    NotLoopback {
        /// What was asked for.
        address: SocketAddr,
    },
    /// The address is taken or not ours.
    #[error("dip lane: cannot listen on {address}: {source}; stop what uses it, or choose another")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The threads could not be started.
    #[error("API: cannot start: {0}; more threads or descriptors may have to be allowed")]
    Start(#[source] std::io::Error),
}
