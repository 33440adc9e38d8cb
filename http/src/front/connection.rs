//! One connection of the API front, from its first byte to its last.

use std::sync::Arc;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::admission::Place;
use super::answer::{Answering, Caller};
use super::paced::Paced;
use super::pulse::Pulse;
use super::roster::Seat;
use super::tls::{self, Tls};
use crate::access::Line;
use crate::context::Context;
use crate::counters::Incident;
use crate::exchange::Lane;
use crate::limits::{
    CONNECTION_TIME_MAX, DRAIN_TIME_MAX, H2_FRAME_BYTES_MAX, H2_PING_PERIOD, H2_PING_TIME_MAX,
    H2_RESETS_MAX, H2_SEND_BUFFER_BYTES_MAX, H2_STREAMS_MAX, H2_WINDOW_BYTES, HANDSHAKE_TIME_MAX,
    HTTP1_BUFFER_BYTES_MAX, REQUEST_HEAD_BYTES_MAX, REQUEST_HEADERS_MAX,
};

/// What a connection holds for as long as it lives, however it ends.
pub(super) struct Open {
    ctx: Arc<Context>,
    place: Arc<Place>,
    seat: Arc<Seat>,
    _permit: OwnedSemaphorePermit,
}

impl Open {
    pub(super) fn new(
        ctx: Arc<Context>,
        place: Place,
        seat: Seat,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        ctx.counters.opened(Lane::Api);
        Self { ctx, place: Arc::new(place), seat: Arc::new(seat), _permit: permit }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.ctx.counters.closed(Lane::Api);
    }
}

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) answering: Answering,
    pub(super) tls: Option<Arc<Tls>>,
    /// Whether the front is open to whoever reaches it.
    pub(super) insecure: bool,
    pub(super) stopping: watch::Receiver<bool>,
}

impl Serving {
    /// Serves a connection over TCP, with TLS if there is any.
    pub(super) async fn tcp(self, stream: TcpStream, open: Open) {
        // Without it an answer of two segments waits for the peer's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.tls.clone() else { return self.http1(stream, open, None).await };
        let counters = &open.ctx.counters;
        let handshake = TlsAcceptor::from(tls.config()).accept(stream);
        let shaken = tokio::select! {
            shaken = timeout(HANDSHAKE_TIME_MAX, handshake) => shaken,
            () = open.seat.must_leave() => return,
        };
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) => return counters.happened(Lane::Api, Incident::Handshake),
            Err(_) => return counters.happened(Lane::Api, Incident::SlowHandshake),
        };
        let session = stream.get_ref().1;
        let certificate = session.peer_certificates().and_then(<[_]>::first).map(tls::name_of);
        if tls::is_h2(session.alpn_protocol()) {
            self.http2(stream, open, certificate).await;
        } else {
            self.http1(stream, open, certificate).await;
        }
    }

    fn caller(
        &self,
        open: &Open,
        certificate: Option<Arc<str>>,
        pulse: Option<Arc<Pulse>>,
    ) -> Caller {
        let local = open.place.peer().is_local();
        let line = Line { local, open: self.insecure, certificate };
        let (place, seat) = (Arc::clone(&open.place), Arc::clone(&open.seat));
        Caller { place, seat, line, pulse }
    }

    /// Serves HTTP/1 on a stream.
    pub(super) async fn http1<S>(self, stream: S, open: Open, certificate: Option<Arc<str>>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let caller = Arc::new(self.caller(&open, certificate, None));
        let Self { answering, mut stopping, .. } = self;
        // Each request takes these two along; what they hold is shared by all connections, and
        // counting its users anew for each request is what workers would wait for each other with.
        let answering = Arc::new(answering);
        let ctx = Arc::clone(&open.ctx);
        let io = TokioIo::new(Paced::http1(stream, Arc::clone(&ctx)));
        let service = service_fn(move |r| Arc::clone(&answering).answer(Arc::clone(&caller), r));
        let mut serving = std::pin::pin!(http1_builder().serve_connection(io, service));
        tokio::select! {
            ended = serving.as_mut() => return count_end(&ctx, &ended),
            _ = stopping.wait_for(|stop| *stop) => {}
            // Somebody else needs the room: there is no time for good manners.
            () = open.seat.must_leave() => return,
            () = sleep(CONNECTION_TIME_MAX) => {
                ctx.counters.happened(Lane::Api, Incident::LifeOver);
            }
        }
        serving.as_mut().graceful_shutdown();
        let _ = timeout(DRAIN_TIME_MAX, serving).await;
    }

    /// Serves HTTP/2 on a stream.
    async fn http2<S>(self, stream: S, open: Open, certificate: Option<Arc<str>>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let pulse = Pulse::new();
        let caller = Arc::new(self.caller(&open, certificate, Some(Arc::clone(&pulse))));
        let Self { answering, mut stopping, .. } = self;
        let answering = Arc::new(answering);
        let ctx = Arc::clone(&open.ctx);
        let io = TokioIo::new(Paced::http2(stream, Arc::clone(&ctx)));
        let service = service_fn(move |r| Arc::clone(&answering).answer(Arc::clone(&caller), r));
        let mut serving = std::pin::pin!(http2_builder().serve_connection(io, service));
        tokio::select! {
            ended = serving.as_mut() => return count_end(&ctx, &ended),
            _ = stopping.wait_for(|stop| *stop) => {}
            // Somebody else needs the room: there is no time for good manners.
            () = open.seat.must_leave() => return,
            why = pulse.ends() => ctx.counters.happened(Lane::Api, why),
            () = sleep(CONNECTION_TIME_MAX) => {
                ctx.counters.happened(Lane::Api, Incident::LifeOver);
            }
        }
        serving.as_mut().graceful_shutdown();
        let _ = timeout(DRAIN_TIME_MAX, serving).await;
    }
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // `Paced` tells an idle connection from a slow head; hyper's timer does not.
        .header_read_timeout(None)
        .max_headers(REQUEST_HEADERS_MAX)
        .max_header_size(REQUEST_HEAD_BYTES_MAX)
        .max_buf_size(HTTP1_BUFFER_BYTES_MAX)
        // A client may close its half once it has asked.
        .half_close(true);
    builder
}

fn http2_builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS_MAX)
        // What a peer may open and reset again before it is told to go (CVE-2023-44487), and how
        // many errors of its own making it may cause.
        .max_pending_accept_reset_streams(H2_RESETS_MAX)
        .max_local_error_reset_streams(H2_RESETS_MAX)
        .max_header_list_size(u32::try_from(REQUEST_HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .max_send_buf_size(H2_SEND_BUFFER_BYTES_MAX)
        .max_frame_size(H2_FRAME_BYTES_MAX)
        .initial_stream_window_size(H2_WINDOW_BYTES)
        .initial_connection_window_size(H2_WINDOW_BYTES)
        .keep_alive_interval(H2_PING_PERIOD)
        .keep_alive_timeout(H2_PING_TIME_MAX);
    builder
}

fn count_end(ctx: &Context, ended: &hyper::Result<()>) {
    let Err(error) = ended else { return };
    // What `Paced` ended has been counted there, and a peer that just leaves is nothing.
    let broken = error.is_parse() || error.is_incomplete_message() || is_abuse(error);
    if broken {
        ctx.counters.happened(Lane::Api, Incident::Broken);
    }
}

/// Whether an HTTP/2 connection ended because of what the peer sent. hyper hands such an error on as
/// it is, and everything of the transport as an error of input and output.
fn is_abuse(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|source| {
        source.downcast_ref::<h2::Error>().is_some_and(|error| !error.is_io())
    })
}
