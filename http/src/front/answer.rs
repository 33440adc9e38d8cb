//! One request on the API front: may it be asked now, and what does the router say?

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use http::header::{self, HeaderMap, HeaderName};
use http::request::Parts;
use http::{HeaderValue, Method, Version};
use http_body::Body as _;
use hyper::body::{Bytes, Incoming};
use sentrypeer_storage::event::Time;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::admission::Place;
use super::body::{FrontBody, Kept, into_http};
use super::live::{Live, Streams};
use super::pulse::{Beat, Pulse};
use super::roster::Seat;
use crate::access::{Access, Denial, Grant, Head, Line};
use crate::allow::AllowBook;
use crate::context::Context;
use crate::counters::Incident;
use crate::endpoint::{Endpoint, Route, Work};
use crate::exchange::{EVENT_STREAM, Lane, Request, Response};
use crate::limits::{
    API_DOCUMENT_WAIT_MAX, API_FEEDS_MAX, API_LISTS_MAX, API_LISTS_PREPARED_MAX, API_STREAMS_MAX,
    RETRY_AFTER_S,
};
use crate::routes::{finished, handle};
use crate::v1::stream::Tail;

/// What all connections share to answer from.
#[derive(Clone)]
pub(super) struct Answering {
    pub(super) ctx: Arc<Context>,
    pub(super) access: Arc<Access>,
    pub(super) allow: Option<Arc<dyn AllowBook>>,
    lists: Arc<Semaphore>,
    /// Of the lists, those that are prepared now.
    prepared: Arc<Semaphore>,
    feeds: Arc<Semaphore>,
    seats: Arc<Semaphore>,
    streams: Streams,
}

/// An answer, the live stream that is its body if it is one, and its place among the documents.
type Routed = (Response, Option<Live>, Option<OwnedSemaphorePermit>);

/// The connection that a request came on.
pub(super) struct Caller {
    pub(super) place: Arc<Place>,
    pub(super) seat: Arc<Seat>,
    pub(super) line: Line,
    /// On HTTP/2 only.
    pub(super) pulse: Option<Arc<Pulse>>,
}

/// A refusal, or what else ends a request early.
pub(super) type Early = Box<Response>;

impl Answering {
    pub(super) fn new(
        ctx: Arc<Context>,
        access: Arc<Access>,
        allow: Option<Arc<dyn AllowBook>>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self {
            ctx,
            access,
            allow,
            lists: semaphore(API_LISTS_MAX),
            prepared: semaphore(API_LISTS_PREPARED_MAX),
            feeds: semaphore(API_FEEDS_MAX),
            seats: semaphore(API_STREAMS_MAX),
            streams: Streams { reading: semaphore(1), stopping },
        }
    }

    /// Answers a request. There is always an answer.
    pub(super) async fn answer(
        self: Arc<Self>,
        caller: Arc<Caller>,
        request: http::Request<Incoming>,
    ) -> Result<http::Response<FrontBody>, Infallible> {
        let begun = Instant::now();
        let busy = Some(caller.seat.begin());
        let beat = caller.pulse.as_ref().map(Pulse::begin);
        let (parts, body) = request.into_parts();
        let ends = !body.is_end_stream() && parts.version < Version::HTTP_2;
        let (response, live, permit) = match self.early(&caller, &parts, body).await {
            Some(response) => (by_front(&self.ctx, &parts, *response), None, None),
            None => self.routed(&parts, beat.as_ref()).await,
        };
        let endpoint = Route::of(parts.uri.path()).endpoint;
        self.ctx.counters.took(Lane::Api, endpoint, response.status, begun.elapsed());
        let mut response = into_http(response, live, Kept { _permit: permit, beat, _busy: busy });
        if ends {
            // So that what is left of a body cannot be taken for the next request.
            response.headers_mut().insert(header::CONNECTION, CLOSE);
        }
        Ok(response)
    }

    /// What is answered without the router: refusals, requests for tokens, and the allow-list.
    async fn early(&self, caller: &Caller, parts: &Parts, body: Incoming) -> Option<Early> {
        let now = Time::now();
        if let Err(wait_s) = caller.place.request(now) {
            self.happened(Incident::TooManyRequests);
            return Some(Box::new(too_many_requests(wait_s)));
        }
        let head = head_of(parts);
        let grant = match self.judge(caller, &head, parts, now) {
            Ok(grant) => grant,
            Err(denial) => {
                self.happened(incident_of(&denial));
                return Some(Box::new(denied(&denial)));
            }
        };
        let route = Route::of(parts.uri.path());
        let takes_body = route.takes_body(head.method);
        if !route.has(head.method) || !body.is_end_stream() && !takes_body {
            return self.refuse_body(parts, &body);
        }
        let bytes = match takes_body {
            true => self.whole(body).await,
            false => Ok(Bytes::new()),
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(refused) => return Some(refused),
        };
        match route.endpoint {
            Endpoint::OauthToken => Some(Box::new(self.token(caller, &head, &bytes, now))),
            Endpoint::AllowList | Endpoint::AllowEntry => {
                let from = format!("{} ({})", caller.place.peer(), grant.who);
                Some(Box::new(self.allow_list(from, parts, bytes, now).await))
            }
            _ => None,
        }
    }

    pub(super) fn happened(&self, what: Incident) {
        self.ctx.counters.happened(Lane::Api, what);
    }

    /// Whether who asks may ask for this. A method that the path does not have is left to the router,
    /// which says which it has.
    fn judge(
        &self,
        caller: &Caller,
        head: &Head<'_>,
        parts: &Parts,
        now: Time,
    ) -> Result<Grant, Denial> {
        let route = Route::of(parts.uri.path());
        // HTTP/1.0 need not name a host, and no browser speaks it.
        if head.host.is_some() || parts.version > Version::HTTP_10 {
            self.access.knows_host(head)?;
        }
        let need = route.spec().need;
        let grant = self.access.who(&caller.line, head, need, now)?;
        if route.has(head.method) {
            self.access.allows(&grant, head, need)?;
        }
        Ok(grant)
    }

    /// Refuses a request because of its body, if it has one that nobody takes. Where the method does
    /// not work anyway, the router says so.
    fn refuse_body(&self, parts: &Parts, body: &Incoming) -> Option<Early> {
        if body.is_end_stream() {
            return None;
        }
        self.happened(Incident::RequestBody);
        let reads = parts.method == Method::GET || parts.method == Method::HEAD;
        let refuses = reads || Route::of(parts.uri.path()).has(parts.method.as_str());
        refuses.then(|| Box::new(Response::error(413, "Requests have no body here.")))
    }

    /// What the router answers.
    async fn routed(&self, parts: &Parts, beat: Option<&Beat>) -> Routed {
        // Who reads lists slowly keeps no firewall from its feed.
        let work = Route::of(parts.uri.path()).spec().work;
        let documents = match work {
            Work::Feed => Arc::clone(&self.feeds),
            Work::List => Arc::clone(&self.lists),
            Work::Apart => return (self.apart(parts, None).await, None, None),
            Work::Little => return (route(&self.ctx, parts), None, None),
            Work::Stream => return self.stream(parts).await,
        };
        let Ok(Ok(permit)) = timeout(API_DOCUMENT_WAIT_MAX, documents.acquire_owned()).await else {
            self.happened(Incident::Busy);
            return (busy(&self.ctx, parts), None, None);
        };
        beat.into_iter().for_each(Beat::moved);
        let turn = match work {
            // Nobody closes it; without a turn the list would only come sooner.
            Work::List => Arc::clone(&self.prepared).acquire_owned().await.ok(),
            _ => None,
        };
        (self.apart(parts, turn).await, None, Some(permit))
    }

    /// A live stream, which has its place for as long as it lasts.
    async fn stream(&self, parts: &Parts) -> Routed {
        if parts.method != Method::GET {
            return (route(&self.ctx, parts), None, None);
        }
        let Ok(permit) = Arc::clone(&self.seats).try_acquire_owned() else {
            self.happened(Incident::Busy);
            return (busy(&self.ctx, parts), None, None);
        };
        let (ctx, asked) = (Arc::clone(&self.ctx), parts.clone());
        let opened = spawn_blocking(move || {
            let last = single(&asked.headers, &HeaderName::from_static("last-event-id"));
            Tail::open(&ctx, asked.uri.query().unwrap_or(""), last)
        });
        let (tail, first) = match opened.await {
            Ok(Ok(opened)) => opened,
            Ok(Err(refused)) => return (by_front(&self.ctx, parts, *refused), None, None),
            Err(_) => return (failed(&self.ctx, parts), None, None),
        };
        let head = Response::text(200, EVENT_STREAM, Vec::new())
            .with("Cache-Control", "no-store")
            // A proxy that gathers an answer before it hands it on would hand on nothing.
            .with("X-Accel-Buffering", "no");
        let live = Live::new(Arc::clone(&self.ctx), self.streams.clone(), tail, first);
        (by_front(&self.ctx, parts, head), Some(live), Some(permit))
    }

    /// What the router answers, made on a thread where it keeps nobody waiting. A `turn` ends with that, also
    /// where nobody waits for the answer any more.
    async fn apart(&self, parts: &Parts, turn: Option<OwnedSemaphorePermit>) -> Response {
        let (ctx, asked) = (Arc::clone(&self.ctx), parts.clone());
        let response = spawn_blocking(move || {
            let _turn = turn;
            route(&ctx, &asked)
        })
        .await;
        response.unwrap_or_else(|_| failed(&self.ctx, parts))
    }
}

fn incident_of(denial: &Denial) -> Incident {
    match denial {
        Denial::NoHost | Denial::ForeignHost => Incident::ForeignHost,
        Denial::NoToken | Denial::BadToken => Incident::Unauthorized,
        Denial::LacksScope(_) | Denial::ForeignOrigin | Denial::NotJson => Incident::Forbidden,
        Denial::TooOften { .. } => Incident::TooManyRequests,
    }
}

fn denied(denial: &Denial) -> Response {
    let response = Response::error(denial.status(), &denial.to_string());
    if let Denial::TooOften { wait_s } = denial {
        return response.with_retry_after(*wait_s);
    }
    match denial.challenge() {
        Some(challenge) => response.with("WWW-Authenticate", challenge),
        None => response,
    }
}

/// What access is decided by.
fn head_of(parts: &Parts) -> Head<'_> {
    let headers = &parts.headers;
    let route = Route::of(parts.uri.path());
    // Clients of APIBAN show their token in the path.
    let key = match route.endpoint {
        Endpoint::ApiBan | Endpoint::ApiBanAfter => Some(route.part()),
        _ => single(headers, &HeaderName::from_static("x-api-key")),
    };
    Head {
        method: parts.method.as_str(),
        host: host_of(parts),
        origin: single(headers, &header::ORIGIN),
        content_type: single(headers, &header::CONTENT_TYPE),
        authorization: single(headers, &header::AUTHORIZATION),
        api_key: key,
    }
}

/// The one host that a request names, in its target or its header; if in both, the same.
fn host_of(parts: &Parts) -> Option<&str> {
    let target = parts.uri.authority().map(http::uri::Authority::as_str);
    match (target, single(&parts.headers, &header::HOST)) {
        (Some(target), Some(header)) => target.eq_ignore_ascii_case(header).then_some(target),
        (target, header) => target.or(header),
    }
}

/// The value of a header. One that is there twice, or is no text, is good for nothing.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    Some(value.to_str().ok().filter(|_| values.next().is_none()).unwrap_or(""))
}

const CLOSE: HeaderValue = HeaderValue::from_static("close");

fn route(ctx: &Context, head: &Parts) -> Response {
    let request = Request {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or(""),
        content_type: text_of(&head.headers, &header::CONTENT_TYPE),
        accept: text_of(&head.headers, &header::ACCEPT),
        accept_encoding: text_of(&head.headers, &header::ACCEPT_ENCODING),
        if_none_match: text_of(&head.headers, &header::IF_NONE_MATCH),
        now: Time::now(),
        lane: Lane::Api,
    };
    handle(ctx, &request)
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn too_many_requests(wait_s: u32) -> Response {
    let reason = "There are more requests from this address than it may send.";
    Response::error(429, reason).with_retry_after(wait_s)
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
