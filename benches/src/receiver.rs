//! The receiving socket of the bare loops.

use std::io;
use std::net::{SocketAddrV4, UdpSocket};
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::Pid;
use socket2::{Domain, Socket, Type};

/// How long a socket must be quiet before a stop flag is looked at.
const QUIET: Duration = Duration::from_millis(100);

/// One of the sockets that share the port, with as large a buffer as the kernel gives.
///
/// # Errors
///
/// What the kernel says.
pub fn shared(listen: SocketAddrV4, buffer_bytes: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_reuse_port(true)?;
    if setsockopt(&socket, sockopt::RcvBufForce, &buffer_bytes).is_err() {
        socket.set_recv_buffer_size(buffer_bytes)?;
    }
    socket.set_read_timeout(Some(QUIET))?;
    socket.bind(&listen.into())?;
    Ok(socket.into())
}

/// Keeps this thread on a core.
///
/// # Errors
///
/// If there is no such core for us.
pub fn pin(core: usize) -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &cores)?)
}

/// Whether an error of receiving means that nothing came, or that a signal did.
#[must_use]
pub fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}
