//! The packet sockets. Two drivers, [`uring`] and [`poll`], wait for readiness in their own way and
//! then run the same code: [`udp`] for datagrams, [`streams`] for connections. [`outlet`] and
//! [`limiter`] decide what may be sent to whom over UDP.

pub mod limiter;
pub mod listen;
pub mod lobby;
pub mod outlet;
pub mod poll;
pub mod proxy;
pub mod roster;
pub mod stream;
pub mod streams;
pub mod syscall;
pub mod tls;
pub mod udp;
pub mod uring;

use std::fmt;
use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::limits::MEMLOCK_BYTES_MIN;

/// What a socket's turn ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing waits any more.
    Done,
    /// Nothing waits any more, but at this rate something will in a moment: a nap of
    /// [`crate::limits::NAP_US`] is cheaper than waking up for every datagram.
    Soon,
    /// The turn was over before the socket was empty.
    More,
    /// Nothing can be done now, whatever readiness says; look again after so many milliseconds.
    Later(u64),
}

/// How a shard waits for its sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring, by glommio.
    Uring,
    /// epoll, by mio.
    Poll,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uring => "uring",
            Self::Poll => "poll",
        })
    }
}

/// Why io_uring cannot be used here.
#[derive(Debug, thiserror::Error)]
pub enum UringRefused {
    /// The kernel, or what it runs under, forbids it.
    #[error("the kernel refuses io_uring ({0})")]
    Kernel(#[source] io::Error),
    /// Too little memory may be locked.
    #[error(
        "only {limit} bytes of memory may be locked, and io_uring wants {MEMLOCK_BYTES_MIN} (ulimit -l)"
    )]
    LockedMemory {
        /// The limit in force, in bytes.
        limit: u64,
    },
}

/// Asks whether the io_uring driver can work, before anything of it is touched; raises the
/// locked-memory limit as far as it may.
///
/// # Errors
///
/// Why it cannot.
pub fn uring_usable() -> Result<(), UringRefused> {
    syscall::probe_io_uring().map_err(UringRefused::Kernel)?;
    let (soft, hard) =
        getrlimit(Resource::RLIMIT_MEMLOCK).map_err(|e| UringRefused::Kernel(e.into()))?;
    if soft < hard && setrlimit(Resource::RLIMIT_MEMLOCK, hard, hard).is_ok() {
        return locked_memory(hard);
    }
    locked_memory(soft)
}

fn locked_memory(limit: u64) -> Result<(), UringRefused> {
    if limit < MEMLOCK_BYTES_MIN { Err(UringRefused::LockedMemory { limit }) } else { Ok(()) }
}

/// Raises the limit of open descriptors as far as it may, and says what it is now.
#[must_use]
pub fn raise_descriptor_limit() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 0 };
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_locked_memory_limit_is_told_with_its_value() {
        let error = locked_memory(65_536).unwrap_err().to_string();
        assert!(error.contains("65536") && error.contains("ulimit -l"), "{error}");
        assert!(locked_memory(MEMLOCK_BYTES_MIN).is_ok());
    }
}
