//! The open connections of the dip lane, by their descriptors.
//!
//! What can only be done from outside may_minihttp is done with a connection's descriptor, which
//! the crate hands over as the "id" of its service: shutting down the reading side makes the crate
//! read the end of the stream once it has answered what it had. The service is dropped before the
//! stream is, so while its entry is here the descriptor is that connection's and no other's.

use std::collections::HashMap;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use nix::sys::socket::{Shutdown, shutdown};
use sentrypeer_storage::event::Time;

use super::descriptors::Spares;
use crate::context::Context;
use crate::counters::Incident;
use crate::exchange::Lane;
use crate::limits::{
    DIP_CONNECTIONS_MAX, DIP_DESCRIPTOR_PERIOD, DIP_IDLE_TIME_MAX, DIP_SWEEP_PERIOD,
};

/// Ends connections that have been idle for too long and looks after the spare descriptors, until
/// the front is dropped.
pub(super) fn sweep(connections: &Connections, spares: &Spares, stopped: &Receiver<()>) {
    let mut swept = Instant::now();
    while stopped.recv_timeout(DIP_DESCRIPTOR_PERIOD) == Err(RecvTimeoutError::Timeout) {
        spares.look();
        if swept.elapsed() >= DIP_SWEEP_PERIOD {
            swept = Instant::now();
            connections.end_idle(Time::now());
        }
    }
}

/// The open connections: descriptor, and the time of the last request in nanoseconds.
#[derive(Debug)]
pub(super) struct Connections {
    ctx: Arc<Context>,
    /// `None` once the front is closed.
    open: Mutex<Option<HashMap<RawFd, Arc<AtomicU64>>>>,
}

impl Connections {
    pub(super) fn new(ctx: Arc<Context>) -> Self {
        Self { ctx, open: Mutex::new(Some(HashMap::new())) }
    }

    fn with_open<T>(
        &self,
        act: impl FnOnce(&mut Option<HashMap<RawFd, Arc<AtomicU64>>>) -> T,
    ) -> T {
        act(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a connection in, unless there are as many as are allowed.
    pub(super) fn enter(&self, fd: RawFd) -> Option<Arc<AtomicU64>> {
        let used = Arc::new(AtomicU64::new(Time::now().0));
        let entered = self.with_open(|open| {
            let open = open.as_mut().filter(|open| open.len() < DIP_CONNECTIONS_MAX)?;
            open.insert(fd, Arc::clone(&used));
            Some(())
        });
        match entered {
            Some(()) => self.ctx.counters.opened(Lane::Dip),
            None => self.ctx.counters.happened(Lane::Dip, Incident::RefusedConnection),
        }
        entered.map(|()| used)
    }

    pub(super) fn leave(&self, fd: RawFd) {
        self.with_open(|open| open.as_mut().map(|open| open.remove(&fd)));
        self.ctx.counters.closed(Lane::Dip);
    }

    fn end_idle(&self, now: Time) {
        let idle_ns = u64::try_from(DIP_IDLE_TIME_MAX.as_nanos()).unwrap_or(u64::MAX);
        let oldest = now.minus_ns(idle_ns).0;
        self.with_open(|open| {
            for (fd, _) in open.iter().flatten().filter(|(_, used)| used.load(Relaxed) < oldest) {
                self.ctx.counters.happened(Lane::Dip, Incident::Idle);
                end(*fd, Shutdown::Both);
            }
        });
    }

    pub(super) fn close(&self) {
        self.with_open(|open| {
            for fd in open.take().iter().flatten().map(|(fd, _)| *fd) {
                end(fd, Shutdown::Both);
            }
        });
    }
}

/// Shuts a side of a connection down. A peer that has left already is what was wanted.
pub(super) fn end(fd: RawFd, side: Shutdown) {
    let _ = shutdown(fd, side);
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_connection_without_a_request_for_long_is_ended_and_a_busy_one_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || {
            let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (peer, listener.accept().unwrap().0)
        };
        let (mut idle_peer, idle) = connect();
        let (busy_peer, busy) = connect();
        let ctx = Context::of_nothing();
        let connections = Connections::new(Arc::clone(&ctx));
        let _idle_used = connections.enter(idle.as_raw_fd()).unwrap();
        let busy_used = connections.enter(busy.as_raw_fd()).unwrap();
        let later = Time(Time::now().0 + DIP_IDLE_TIME_MAX.as_nanos() as u64 + 1);
        busy_used.store(later.0, Relaxed);
        connections.end_idle(later);
        assert_eq!(idle_peer.read(&mut [0]).unwrap(), 0);
        busy_peer.set_nonblocking(true).unwrap();
        assert_eq!(busy_peer.peek(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(ctx.counters.incidents(Lane::Dip, Incident::Idle), 1);
    }
}
