//! One match of path and method. A pure function of request, snapshot, policy and `now`.

use std::sync::Arc;

use sentrypeer_storage::policy::Policy;
use sentrypeer_storage::snapshot::Snapshot;

use crate::context::Context;
use crate::endpoint::{Endpoint, Route};
use crate::exchange::{Body, Lane, Request, Response};
use crate::limits::{DIP_BODY_BYTES_MAX, RETRY_AFTER_S, TARGET_BYTES_MAX};
use crate::{check, coding, counted, feed, health, listing, lookup, metrics, openapi, v1};

/// What a request sees: one generation and one policy from start to end.
pub(crate) struct View {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) policy: Arc<Policy>,
}

/// Answers a request. Never panics, whatever the request says.
#[must_use]
pub fn handle(ctx: &Context, request: &Request<'_>) -> Response {
    let route = Route::of(request.path);
    let response = match request.lane {
        Lane::Dip => dip_answer(ctx, route, request),
        Lane::Api | Lane::Control => answer(ctx, route, request),
    };
    let mut response = finished(ctx, request.lane, route, response);
    if request.lane == Lane::Api {
        response = coding::coded(response, request.coding());
    }
    if request.method == "HEAD" { response.without_body() } else { response }
}

/// The answer with what every answer has, also one that a front gives by itself. It is counted.
pub(crate) fn finished(
    ctx: &Context,
    lane: Lane,
    route: Route<'_>,
    mut response: Response,
) -> Response {
    if route.is_v1() {
        response = response.with_problem();
    }
    response.any_origin = ctx.any_origin && route.spec().is_of_4x;
    response.version = ctx.version;
    ctx.counters.request(lane, route.endpoint, response.status);
    response
}

/// The dip lane's few questions; anything else is misdirected (RFC 9110, section 15.5.20).
fn dip_answer(ctx: &Context, route: Route<'_>, request: &Request<'_>) -> Response {
    if request.method != "GET" || !route.spec().is_dip {
        return misdirected();
    }
    let response = answer(ctx, route, request);
    match &response.body {
        Body::Bytes(bytes) if bytes.len() <= DIP_BODY_BYTES_MAX => response,
        _ => misdirected(),
    }
}

/// What the dip lane says to what it does not take.
pub(crate) fn misdirected() -> Response {
    Response::error(
        421,
        "The dip lane answers GET of /ip-addresses/{ip}, /numbers/{number}, /api/v1/check and \
         /health-check, without a body. Ask the API.",
    )
}

fn answer(ctx: &Context, route: Route<'_>, request: &Request<'_>) -> Response {
    if request.path.len() + request.query.len() > TARGET_BYTES_MAX {
        return Response::error(414, "The path and query are too long.");
    }
    match request.method {
        _ if route.is_unknown() => unknown(),
        method if !route.has(method) => {
            let methods = route.spec().methods;
            let works = methods.replace(", ", " and ");
            Response::error(405, &format!("Only {works} works here.")).with_allow(methods)
        }
        _ => get(ctx, route, request),
    }
}

/// The words are those of 4.x.
fn unknown() -> Response {
    Response::error(404, "The requested resource could not be found.")
}

/// Routes that answer while the database is being opened come first; the rest needs a snapshot.
fn get(ctx: &Context, route: Route<'_>, request: &Request<'_>) -> Response {
    match route.endpoint {
        Endpoint::Live => return health::live(),
        Endpoint::Ready => return health::ready(ctx),
        Endpoint::Metrics => return metrics::metrics(ctx, request.now),
        Endpoint::Status => return Response::json(200, &(ctx.status)()),
        Endpoint::Version => return v1::version(ctx),
        Endpoint::OpenApi => return openapi::document(ctx),
        Endpoint::Docs => return openapi::page(ctx),
        Endpoint::HealthCheck => return health::check(ctx, request),
        // Only the API front knows who asks, and can wait.
        Endpoint::OauthToken
        | Endpoint::V1EventStream
        | Endpoint::AllowList
        | Endpoint::AllowEntry => return unknown(),
        _ => {}
    }
    let Some(snapshot) = ctx.store.snapshot() else { return starting(ctx) };
    let view = View { snapshot, policy: (ctx.policy)() };
    known(ctx, &view, route, request)
}

/// What is answered from a snapshot.
fn known(ctx: &Context, view: &View, route: Route<'_>, request: &Request<'_>) -> Response {
    let part = route.part();
    match route.endpoint {
        Endpoint::Root => health::root(),
        Endpoint::IpAddresses => listing::sources(view, request),
        Endpoint::Ipset => feed::ipset::document(view, request),
        Endpoint::IpAddress => lookup::source(view, part, request.now),
        Endpoint::Numbers => listing::numbers(view, request),
        Endpoint::Number => lookup::number(view, part, request.now),
        Endpoint::Countries => counted::countries(view, request),
        Endpoint::UserAgents => counted::user_agents(view, request),
        Endpoint::SipMethods => counted::methods(view),
        Endpoint::Check => check::check(view, request),
        Endpoint::V1Sources => v1::sources::list(view, request),
        Endpoint::V1Source => v1::sources::one(ctx, view, part, request),
        Endpoint::V1Numbers => v1::numbers::list(view, request),
        Endpoint::V1Number => v1::numbers::one(ctx, view, part, request),
        Endpoint::V1UserAgents => v1::agents::list(view, request),
        Endpoint::V1Methods => v1::totals::methods(view),
        Endpoint::V1Transports => v1::totals::transports(view),
        Endpoint::V1Countries => v1::totals::countries(view, request),
        Endpoint::V1Rollups => v1::rollups::answer(ctx, request),
        Endpoint::V1Events => v1::events::list(ctx, request),
        Endpoint::V1Event => v1::events::one(ctx, part),
        Endpoint::Feed => feed::answer(view, part, request),
        Endpoint::FeedMisp => feed::misp_file(view, part, request),
        Endpoint::CrowdSec => feed::crowdsec::stream(view, request),
        Endpoint::ApiBan | Endpoint::ApiBanAfter => {
            feed::apiban::banned(view, route.parts[1], request)
        }
        Endpoint::HealthCheck
        | Endpoint::Live
        | Endpoint::Ready
        | Endpoint::Metrics
        | Endpoint::Status
        | Endpoint::Version
        | Endpoint::OpenApi
        | Endpoint::Docs
        | Endpoint::OauthToken
        | Endpoint::V1EventStream
        | Endpoint::AllowList
        | Endpoint::AllowEntry
        | Endpoint::V1Unknown
        | Endpoint::Unknown => unknown(),
    }
}

/// Until the replay has ended nobody may take "unknown" for "harmless", nor an empty feed for the
/// truth.
pub(crate) fn starting(ctx: &Context) -> Response {
    Response::error(503, health::why_not_ready(ctx.store.phase())).with_retry_after(RETRY_AFTER_S)
}
