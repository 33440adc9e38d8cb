//! The API front: hyper on a runtime of its own, so that nothing here runs on a shard's thread.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use sentrypeer_storage::event::Time;
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::FrontError;
use super::admission::Admission;
use super::answer::Answering;
use super::connection::{Open, Serving};
use super::peer::Peer;
use super::roster::Roster;
use super::setup::{Bound, Setup, SocketFile, UnixSocket};
use crate::allow::AllowBook;
use crate::context::Context;
use crate::counters::Incident;
use crate::exchange::Lane;
use crate::limits::{
    ACCEPT_PAUSE, API_CONNECTIONS_MAX, API_DOCUMENT_THREADS, API_WORKERS, DRAIN_TIME_MAX,
    SEAT_WAIT_MAX,
};

/// The running front. Dropping it cuts every connection; [`Front::stop`] is kinder.
#[derive(Debug)]
pub struct Front {
    /// Taken when the front stops; a runtime may only be dropped with a bound on the wait.
    runtime: Option<Runtime>,
    stopping: watch::Sender<bool>,
    connections: Arc<Semaphore>,
    addresses: Vec<SocketAddr>,
    sockets: Vec<SocketFile>,
}

/// What every listener shares.
#[derive(Clone)]
struct Shared {
    ctx: Arc<Context>,
    connections: Arc<Semaphore>,
    admission: Arc<Admission>,
    roster: Arc<Roster>,
    serving: Serving,
}

/// Serves the API without TLS on `listeners`, which are bound already, until it is stopped. The
/// caller has made sure that they may be open to whoever reaches them.
///
/// # Errors
///
/// Where the threads or a listener's registration are refused by the kernel.
pub fn serve(listeners: Vec<TcpListener>, ctx: Arc<Context>) -> Result<Front, FrontError> {
    let bound = Bound { tcp: listeners, unix: Vec::new() };
    serve_with(Setup { bound, insecure: true, ..Setup::default() }, ctx)
}

/// Serves the API as `setup` says, until it is stopped. The allow-list can be neither read nor changed.
///
/// # Errors
///
/// Where the threads or a listener's registration are refused by the kernel.
pub fn serve_with(setup: Setup, ctx: Arc<Context>) -> Result<Front, FrontError> {
    serve_all(setup, None, ctx)
}

/// The same, with the allow-list, which is read and changed in `book`.
///
/// # Errors
///
/// Where the threads or a listener's registration are refused by the kernel.
pub fn serve_with_allow_list(
    setup: Setup,
    book: Arc<dyn AllowBook>,
    ctx: Arc<Context>,
) -> Result<Front, FrontError> {
    serve_all(setup, Some(book), ctx)
}

fn serve_all(
    setup: Setup,
    allow: Option<Arc<dyn AllowBook>>,
    ctx: Arc<Context>,
) -> Result<Front, FrontError> {
    let runtime = runtime()?;
    let (stopping, stop_seen) = watch::channel(false);
    let connections = Arc::new(Semaphore::new(API_CONNECTIONS_MAX));
    let answering = Answering::new(Arc::clone(&ctx), setup.access, allow, stop_seen.clone());
    let shared = Shared {
        ctx,
        connections: Arc::clone(&connections),
        admission: Admission::new(setup.limits),
        roster: Arc::default(),
        serving: Serving {
            answering,
            tls: setup.tls,
            insecure: setup.insecure,
            stopping: stop_seen,
        },
    };
    let (mut addresses, mut sockets) = (Vec::new(), Vec::new());
    let entered = runtime.enter();
    for listener in setup.bound.tcp {
        addresses.push(listener.local_addr()?);
        listener.set_nonblocking(true)?;
        let listening = Listening::Tcp(tokio::net::TcpListener::from_std(listener)?);
        runtime.spawn(listening.serve(shared.clone()));
    }
    for (listener, file) in setup.bound.unix.into_iter().map(UnixSocket::into_parts) {
        sockets.push(file);
        let listening = Listening::Unix(tokio::net::UnixListener::from_std(listener)?);
        runtime.spawn(listening.serve(shared.clone()));
    }
    drop(entered);
    Ok(Front { runtime: Some(runtime), stopping, connections, addresses, sockets })
}

fn runtime() -> io::Result<Runtime> {
    let made = AtomicUsize::new(0);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(API_WORKERS)
        .max_blocking_threads(API_DOCUMENT_THREADS)
        .thread_name_fn(move || format!("api-{}", made.fetch_add(1, Relaxed)))
        .enable_io()
        .enable_time()
        .build()
}

impl Front {
    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The Unix sockets on which it listens.
    pub fn sockets(&self) -> impl Iterator<Item = &Path> {
        self.sockets.iter().map(SocketFile::path)
    }

    /// Takes no more connections and requests, lets the answers that are under way end for at most
    /// [`DRAIN_TIME_MAX`], and cuts what is left.
    pub fn stop(mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        self.stopping.send_replace(true);
        let all = u32::try_from(API_CONNECTIONS_MAX).unwrap_or(u32::MAX);
        runtime.block_on(async {
            // Every connection holds one permit: all of them are there when all have ended.
            let _ = timeout(DRAIN_TIME_MAX, self.connections.acquire_many(all)).await;
        });
        runtime.shutdown_timeout(Duration::from_millis(10));
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A socket that takes connections.
enum Listening {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

/// A connection that was taken.
enum Accepted {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

impl Listening {
    async fn accept(&self) -> io::Result<(Accepted, Peer)> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                (Accepted::Tcp(stream), Peer::at(address.ip()))
            }
            Self::Unix(listener) => (Accepted::Unix(listener.accept().await?.0), Peer::Unix),
        })
    }

    /// Takes connections until the front stops.
    async fn serve(self, shared: Shared) {
        let mut stopping = shared.serving.stopping.clone();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop) => return,
                accepted = self.accept() => accepted,
            };
            let Ok((accepted, peer)) = accepted else {
                shared.accept_failed().await;
                continue;
            };
            let Some(open) = shared.admit(peer).await else { continue };
            let serving = shared.serving.clone();
            match accepted {
                Accepted::Tcp(stream) => tokio::spawn(serving.tcp(stream, open)),
                Accepted::Unix(stream) => tokio::spawn(serving.http1(stream, open, None)),
            };
        }
    }
}

impl Shared {
    async fn accept_failed(&self) {
        self.ctx.counters.happened(Lane::Api, Incident::AcceptFailed);
        sleep(ACCEPT_PAUSE).await;
    }

    /// Lets a connection in, unless this peer has as many as it may, or there are as many as there may
    /// be and all of them are being answered.
    async fn admit(&self, peer: Peer) -> Option<Open> {
        let counters = &self.ctx.counters;
        let Some(place) = self.admission.enter(peer, Time::now()) else {
            counters.happened(Lane::Api, Incident::RefusedAddress);
            return None;
        };
        let Some(permit) = self.room().await else {
            counters.happened(Lane::Api, Incident::RefusedConnection);
            return None;
        };
        Some(Open::new(Arc::clone(&self.ctx), place, self.roster.enter(), permit))
    }

    /// Room for one more connection, if need be that of one that waits.
    async fn room(&self) -> Option<OwnedSemaphorePermit> {
        let connections = Arc::clone(&self.connections);
        if let Ok(permit) = connections.try_acquire_owned() {
            return Some(permit);
        }
        if !self.roster.make_room() {
            return None;
        }
        self.ctx.counters.happened(Lane::Api, Incident::Displaced);
        let acquired = Arc::clone(&self.connections).acquire_owned();
        timeout(SEAT_WAIT_MAX, acquired).await.ok()?.ok()
    }
}
