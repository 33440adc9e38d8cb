//! One request on the API front: may it be asked now, and what does the router say?

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use http::request::Parts;
use http::{HeaderValue, Method, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use sentrypeer_storage::event::Time;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::admission::Place;
use super::body::{FrontBody, Kept, into_http};
use super::pulse::{Beat, Pulse};
use crate::context::Context;
use crate::counters::Incident;
use crate::exchange::{Lane, Request, Response};
use crate::limits::{API_DOCUMENT_WAIT_MAX, API_FEEDS_MAX, API_LISTS_MAX, RETRY_AFTER_S};
use crate::routes::{Route, finished, handle};

/// What all connections share to answer from.
#[derive(Clone)]
pub(super) struct Answering {
    pub(super) ctx: Arc<Context>,
    lists: Arc<Semaphore>,
    feeds: Arc<Semaphore>,
}

/// The connection that a request came on.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) place: Arc<Place>,
    /// On HTTP/2 only.
    pub(super) pulse: Option<Arc<Pulse>>,
}

impl Answering {
    pub(super) fn new(ctx: Arc<Context>) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self { ctx, lists: semaphore(API_LISTS_MAX), feeds: semaphore(API_FEEDS_MAX) }
    }

    /// Answers a request. There is always an answer.
    pub(super) async fn answer(
        self,
        caller: Caller,
        request: http::Request<Incoming>,
    ) -> Result<http::Response<FrontBody>, Infallible> {
        let beat = caller.pulse.as_ref().map(Pulse::begin);
        let (head, body) = request.into_parts();
        let ends = !body.is_end_stream() && head.version < Version::HTTP_2;
        let (response, permit) = self.response(&caller, &head, &body, beat.as_ref()).await;
        let mut response = into_http(response, Kept { _permit: permit, beat });
        if ends {
            // So that what is left of a body cannot be taken for the next request.
            response.headers_mut().insert(http::header::CONNECTION, CLOSE);
        }
        Ok(response)
    }

    async fn response(
        &self,
        caller: &Caller,
        head: &Parts,
        body: &Incoming,
        beat: Option<&Beat>,
    ) -> (Response, Option<OwnedSemaphorePermit>) {
        if let Err(wait_s) = caller.place.request(Time::now()) {
            self.ctx.counters.happened(Lane::Api, Incident::TooManyRequests);
            return (by_front(&self.ctx, head, too_many_requests(wait_s)), None);
        }
        if !body.is_end_stream() {
            self.ctx.counters.happened(Lane::Api, Incident::RequestBody);
            return (refuse_body(&self.ctx, head), None);
        }
        // Who reads lists slowly keeps no firewall from its feed.
        let documents = match Route::of(head.uri.path()) {
            Route::Ipset => Arc::clone(&self.feeds),
            route if route.walks_a_table() => Arc::clone(&self.lists),
            _ => return (route(&self.ctx, head), None),
        };
        let Ok(Ok(permit)) = timeout(API_DOCUMENT_WAIT_MAX, documents.acquire_owned()).await else {
            self.ctx.counters.happened(Lane::Api, Incident::Busy);
            return (busy(&self.ctx, head), None);
        };
        beat.into_iter().for_each(Beat::moved);
        let (ctx, asked) = (Arc::clone(&self.ctx), head.clone());
        let response = tokio::task::spawn_blocking(move || route(&ctx, &asked)).await;
        (response.unwrap_or_else(|_| failed(&self.ctx, head)), Some(permit))
    }
}

const CLOSE: HeaderValue = HeaderValue::from_static("close");

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
fn refuse_body(ctx: &Context, head: &Parts) -> Response {
    if head.method == Method::GET || head.method == Method::HEAD {
        by_front(ctx, head, Response::error(413, "Requests have no body here."))
    } else {
        route(ctx, head)
    }
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
