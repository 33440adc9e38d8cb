//! The API front: hyper on a runtime of its own, so that nothing here runs on a shard's thread.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context as Task, Poll};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use sentrypeer_storage::event::Time;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::FrontError;
use super::paced::Paced;
use crate::context::Context;
use crate::counters::Incident;
use crate::exchange::{Body, Chunks, Lane, Request, Response};
use crate::limits::{
    ACCEPT_PAUSE, API_CONNECTIONS_MAX, API_DOCUMENT_THREADS, API_DOCUMENT_WAIT_MAX, API_FEEDS_MAX,
    API_LISTS_MAX, API_WORKERS, CONNECTION_TIME_MAX, DRAIN_TIME_MAX, HTTP1_BUFFER_BYTES_MAX,
    REQUEST_HEAD_BYTES_MAX, REQUEST_HEADERS_MAX, RETRY_AFTER_S,
};
use crate::routes::{Route, finished, handle};

/// The running front. Dropping it cuts every connection; [`Front::stop`] is kinder.
#[derive(Debug)]
pub struct Front {
    /// Taken when the front stops; a runtime may only be dropped with a bound on the wait.
    runtime: Option<Runtime>,
    stopping: watch::Sender<bool>,
    connections: Arc<Semaphore>,
    addresses: Vec<SocketAddr>,
}

/// What every connection shares.
#[derive(Clone)]
struct Shared {
    ctx: Arc<Context>,
    connections: Arc<Semaphore>,
    lists: Arc<Semaphore>,
    feeds: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

/// Serves the API on `listeners`, which are bound already, until it is stopped.
///
/// # Errors
///
/// Where the threads or a listener's registration are refused by the kernel.
pub fn serve(listeners: Vec<TcpListener>, ctx: Arc<Context>) -> Result<Front, FrontError> {
    let runtime = runtime().map_err(FrontError::Start)?;
    let (stopping, stop_seen) = watch::channel(false);
    let connections = Arc::new(Semaphore::new(API_CONNECTIONS_MAX));
    let shared = Shared {
        ctx,
        connections: Arc::clone(&connections),
        lists: Arc::new(Semaphore::new(API_LISTS_MAX)),
        feeds: Arc::new(Semaphore::new(API_FEEDS_MAX)),
        stopping: stop_seen,
    };
    let mut addresses = Vec::new();
    let entered = runtime.enter();
    for listener in listeners {
        addresses.push(listener.local_addr().map_err(FrontError::Start)?);
        listener.set_nonblocking(true).map_err(FrontError::Start)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(FrontError::Start)?;
        runtime.spawn(accept(listener, shared.clone()));
    }
    drop(entered);
    Ok(Front { runtime: Some(runtime), stopping, connections, addresses })
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

async fn accept(listener: tokio::net::TcpListener, shared: Shared) {
    let mut stopping = shared.stopping.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        let counters = &shared.ctx.counters;
        let Ok((stream, _)) = accepted else {
            counters.happened(Lane::Api, Incident::AcceptFailed);
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&shared.connections).try_acquire_owned() else {
            counters.happened(Lane::Api, Incident::RefusedConnection);
            continue;
        };
        counters.opened(Lane::Api);
        tokio::spawn(connection(stream, shared.clone(), permit));
    }
}

/// Counts a connection for as long as it lives, however it ends.
struct Open {
    ctx: Arc<Context>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.ctx.counters.closed(Lane::Api);
    }
}

async fn connection(stream: TcpStream, shared: Shared, permit: OwnedSemaphorePermit) {
    let _open = Open { ctx: Arc::clone(&shared.ctx), _permit: permit };
    // Without it an answer of two segments waits for the peer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let mut stopping = shared.stopping.clone();
    let ctx = Arc::clone(&shared.ctx);
    let io = TokioIo::new(Paced::new(stream, Arc::clone(&ctx)));
    let service = service_fn(move |request| answer(shared.clone(), request));
    let serving = http1_builder().serve_connection(io, service);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        ended = serving.as_mut() => return count_end(&ctx, &ended),
        _ = stopping.wait_for(|stop| *stop) => {}
        () = sleep(CONNECTION_TIME_MAX) => ctx.counters.happened(Lane::Api, Incident::LifeOver),
    }
    serving.as_mut().graceful_shutdown();
    let _ = timeout(DRAIN_TIME_MAX, serving).await;
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

fn count_end(ctx: &Context, ended: &hyper::Result<()>) {
    // What `Paced` ended has been counted there, and a peer that just leaves is nothing.
    if ended.as_ref().is_err_and(|e| e.is_parse() || e.is_incomplete_message()) {
        ctx.counters.happened(Lane::Api, Incident::Broken);
    }
}

async fn answer(
    shared: Shared,
    request: http::Request<Incoming>,
) -> Result<http::Response<FrontBody>, Infallible> {
    let (head, body) = request.into_parts();
    if !body.is_end_stream() {
        shared.ctx.counters.happened(Lane::Api, Incident::RequestBody);
        return Ok(refuse_body(&shared.ctx, &head));
    }
    // Who reads lists slowly keeps no firewall from its feed.
    let documents = match Route::of(head.uri.path()) {
        Route::Ipset => Arc::clone(&shared.feeds),
        route if route.walks_a_table() => Arc::clone(&shared.lists),
        _ => return Ok(into_http(route(&shared.ctx, &head), None)),
    };
    let Ok(Ok(permit)) = timeout(API_DOCUMENT_WAIT_MAX, documents.acquire_owned()).await else {
        shared.ctx.counters.happened(Lane::Api, Incident::Busy);
        return Ok(into_http(busy(&shared.ctx, &head), None));
    };
    let ctx = Arc::clone(&shared.ctx);
    let asked = head.clone();
    let response = tokio::task::spawn_blocking(move || route(&ctx, &asked)).await;
    let response = response.unwrap_or_else(|_| failed(&shared.ctx, &head));
    Ok(into_http(response, Some(permit)))
}

fn route(ctx: &Context, head: &Parts) -> Response {
    let request = Request {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or(""),
        content_type: text_of(&head.headers, &CONTENT_TYPE),
        accept: text_of(&head.headers, &http::header::ACCEPT),
        if_none_match: text_of(&head.headers, &http::header::IF_NONE_MATCH),
        now: Time::now(),
        lane: Lane::Api,
    };
    handle(ctx, &request)
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Refuses a request because of its body or, where the method would not work anyway, because of that.
/// The connection ends with it, so that the body cannot be taken for the next request.
fn refuse_body(ctx: &Context, head: &Parts) -> http::Response<FrontBody> {
    let response = if head.method == Method::GET || head.method == Method::HEAD {
        by_front(ctx, head, Response::error(413, "Requests have no body here."))
    } else {
        route(ctx, head)
    };
    let mut response = into_http(response, None);
    response.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn busy(ctx: &Context, head: &Parts) -> Response {
    let response = Response::error(503, "Too many documents are being sent. Ask again soon.");
    by_front(ctx, head, response.with_retry_after(RETRY_AFTER_S))
}

fn failed(ctx: &Context, head: &Parts) -> Response {
    by_front(ctx, head, Response::error(500, "This is a fault of the node. Its log says more."))
}

/// An answer that the router does not give.
fn by_front(ctx: &Context, head: &Parts, response: Response) -> Response {
    finished(ctx, Lane::Api, Route::of(head.uri.path()), response)
}

fn into_http(
    response: Response,
    permit: Option<OwnedSemaphorePermit>,
) -> http::Response<FrontBody> {
    let mut headers = HeaderMap::with_capacity(8);
    for (name, value) in response.headers() {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            headers.insert(name, value);
        }
    }
    if let Body::Empty { length: Some(length) } = response.body {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = match response.body {
        Body::Empty { .. } => FrontBody::Bytes(Bytes::new()),
        Body::Bytes(bytes) => FrontBody::Bytes(bytes.into()),
        Body::Chunks(chunks) => FrontBody::Chunks { chunks, _permit: permit },
    };
    let mut answer = http::Response::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer
}

/// A body as hyper takes it.
enum FrontBody {
    Bytes(Bytes),
    /// The permit is given back when the last slice is gone, or the reader is.
    Chunks {
        chunks: Chunks,
        _permit: Option<OwnedSemaphorePermit>,
    },
}

impl HttpBody for FrontBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _task: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match self.get_mut() {
            Self::Bytes(bytes) if bytes.is_empty() => None,
            Self::Bytes(bytes) => Some(std::mem::take(bytes)),
            Self::Chunks { chunks, .. } => chunks.next().map(Bytes::from),
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Bytes(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Chunks { .. } => SizeHint::default(),
        }
    }
}
