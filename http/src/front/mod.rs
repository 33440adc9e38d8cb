//! The sockets: the API on [`api`], the dip lane on [`dip`]. Both only carry requests to the
//! router and its answers back.
//!
//! The API: `setup` says where it listens and whether that is safe, `api` accepts, `admission` says
//! who has had enough, `roster` who has to go, `connection` speaks TLS, HTTP/1 and HTTP/2 within the limits, `paced` and
//! `pulse` end what stalls, `answer` asks the router, `change` does what it cannot, `body` hands its answer to hyper, `live` waits for what a
//! live stream has next.

mod admission;
mod answer;
pub mod api;
mod body;
mod change;
mod connection;
pub mod dip;
mod live;
mod paced;
mod peer;
mod pulse;
mod roster;
pub mod setup;
pub mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use admission::AddressLimits;
pub use peer::Peer;

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
    /// Other machines reach the API's address, and nothing keeps strangers out.
    #[error(
        "API: {address} can be reached from other machines, and {missing}; or ask by name for an \
         API that is open to everybody who reaches it (insecure_api), or listen on a loopback \
         address such as 127.0.0.1:8082"
    )]
    Unprotected {
        /// What was asked for.
        address: SocketAddr,
        /// What is missing.
        missing: &'static str,
    },
    /// An address of the API is taken or not ours.
    #[error("API: cannot listen on {address}: {source}; stop what uses it, or choose another")]
    ApiListen {
        /// What was asked for.
        address: SocketAddr,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// A Unix socket of the API cannot be made.
    #[error(
        "API: cannot listen on the Unix socket {}: {source}; its folder must be there and writable, \
         its path short, and nothing else may be in its place",
        path.display()
    )]
    UnixListen {
        /// What was asked for.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The threads could not be started.
    #[error("API: cannot start: {0}; more threads or descriptors may have to be allowed")]
    Start(#[source] std::io::Error),
}
