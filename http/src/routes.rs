//! One match of path and method. A pure function of request, snapshot, policy and `now`.

use std::sync::Arc;

use sentrypeer_storage::policy::Policy;
use sentrypeer_storage::snapshot::Snapshot;

use crate::access::{Need, Scope};
use crate::context::Context;
use crate::exchange::{Body, Lane, Request, Response};
use crate::limits::{DIP_BODY_BYTES_MAX, RETRY_AFTER_S, TARGET_BYTES_MAX};
use crate::{check, feed, health, listing, lookup, metrics};

/// What a path asks for. Parts of the path are as sent, percent-encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `/`
    Root,
    /// `/health-check`
    HealthCheck,
    /// `/livez`
    Live,
    /// `/readyz`
    Ready,
    /// `/metrics`
    Metrics,
    /// `/ip-addresses`
    IpAddresses,
    /// `/ip-addresses/ipset`
    Ipset,
    /// `/ip-addresses/{ip}`
    IpAddress(&'a str),
    /// `/numbers`
    Numbers,
    /// `/numbers/{number}`
    Number(&'a str),
    /// `/api/v1/check`
    Check,
    /// `/api/v1/status`
    Status,
    /// `/oauth2/token`
    OauthToken,
    /// Anything else.
    Unknown,
}

impl<'a> Route<'a> {
    /// The labels of the routes in `/metrics`, in the order of [`Route::index`].
    pub(crate) const NAMES: [&'static str; 14] = [
        "/",
        "/health-check",
        "/livez",
        "/readyz",
        "/metrics",
        "/ip-addresses",
        "/ip-addresses/ipset",
        "/ip-addresses/{ip}",
        "/numbers",
        "/numbers/{number}",
        "/api/v1/check",
        "/api/v1/status",
        "/oauth2/token",
        "other",
    ];

    /// The route of a path. A path matches whole: one slash more is another path.
    #[must_use]
    pub fn of(path: &'a str) -> Self {
        match path {
            "/" => Self::Root,
            "/health-check" => Self::HealthCheck,
            "/livez" => Self::Live,
            "/readyz" => Self::Ready,
            "/metrics" => Self::Metrics,
            "/ip-addresses" => Self::IpAddresses,
            "/ip-addresses/ipset" => Self::Ipset,
            "/numbers" => Self::Numbers,
            "/api/v1/check" => Self::Check,
            "/api/v1/status" => Self::Status,
            "/oauth2/token" => Self::OauthToken,
            _ => Self::of_segment(path),
        }
    }

    fn of_segment(path: &'a str) -> Self {
        let segment = |prefix| {
            let rest: &'a str = path.strip_prefix(prefix)?;
            (!rest.is_empty() && !rest.contains('/')).then_some(rest)
        };
        match (segment("/ip-addresses/"), segment("/numbers/")) {
            (Some(ip), _) => Self::IpAddress(ip),
            (_, Some(number)) => Self::Number(number),
            (None, None) => Self::Unknown,
        }
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Root => 0,
            Self::HealthCheck => 1,
            Self::Live => 2,
            Self::Ready => 3,
            Self::Metrics => 4,
            Self::IpAddresses => 5,
            Self::Ipset => 6,
            Self::IpAddress(_) => 7,
            Self::Numbers => 8,
            Self::Number(_) => 9,
            Self::Check => 10,
            Self::Status => 11,
            Self::OauthToken => 12,
            Self::Unknown => 13,
        }
    }

    /// Whether the answer walks a whole table, so that a front had better not prepare it between
    /// two dips.
    #[must_use]
    pub fn walks_a_table(self) -> bool {
        matches!(self, Self::IpAddresses | Self::Ipset | Self::Numbers)
    }

    /// What who asks must be allowed.
    #[must_use]
    pub fn need(self) -> Need {
        match self {
            Self::Live | Self::Ready | Self::OauthToken => Need::Nothing,
            Self::Ipset => Need::Scope(Scope::Feed),
            Self::Metrics | Self::Status => Need::Scope(Scope::Metrics),
            _ => Need::Scope(Scope::Read),
        }
    }

    /// The methods that the path has, as in `Allow`.
    #[must_use]
    pub fn methods(self) -> &'static str {
        match self {
            Self::OauthToken => "POST",
            _ => "GET, HEAD",
        }
    }

    /// Whether the path has this method.
    #[must_use]
    pub fn has(self, method: &str) -> bool {
        self.methods().split(", ").any(|has| has == method)
    }

    /// Whether SentryPeer 4.x has this path too. Pages of any origin may read those, as there.
    fn is_of_4x(self) -> bool {
        matches!(
            self,
            Self::Root
                | Self::HealthCheck
                | Self::IpAddresses
                | Self::IpAddress(_)
                | Self::Numbers
                | Self::Number(_)
        )
    }

    fn is_on_the_dip_lane(self) -> bool {
        matches!(self, Self::IpAddress(_) | Self::Number(_) | Self::Check | Self::HealthCheck)
    }
}

/// What a request sees: one generation and one policy from start to end.
pub(crate) struct View {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) policy: Arc<Policy>,
}

/// Answers a request. Never panics, whatever the request says.
#[must_use]
pub fn handle(ctx: &Context, request: &Request<'_>) -> Response {
    let route = Route::of(request.path);
    let mut response = match request.lane {
        Lane::Dip => dip_answer(ctx, route, request),
        Lane::Api | Lane::Control => answer(ctx, route, request),
    };
    if request.method == "HEAD" {
        response = response.without_body();
    }
    finished(ctx, request.lane, route, response)
}

/// The answer with what every answer has, also one that a front gives by itself. It is counted.
pub(crate) fn finished(
    ctx: &Context,
    lane: Lane,
    route: Route<'_>,
    mut response: Response,
) -> Response {
    response.any_origin = ctx.any_origin && route.is_of_4x();
    response.version = ctx.version;
    ctx.counters.request(lane, route.index(), response.status);
    response
}

/// The dip lane's few questions; anything else is misdirected (RFC 9110, section 15.5.20).
fn dip_answer(ctx: &Context, route: Route<'_>, request: &Request<'_>) -> Response {
    if request.method != "GET" || !route.is_on_the_dip_lane() {
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
        _ if route == Route::Unknown => unknown(),
        method if !route.has(method) => {
            let methods = route.methods();
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
    match route {
        Route::Live => return health::live(),
        Route::Ready => return health::ready(ctx),
        Route::Metrics => return metrics::metrics(ctx),
        Route::Status => return Response::json(200, &(ctx.status)()),
        Route::HealthCheck => return health::check(ctx, request),
        // Only the API front knows who asks.
        Route::OauthToken | Route::Unknown => return unknown(),
        _ => {}
    }
    let Some(snapshot) = ctx.store.snapshot() else { return starting(ctx) };
    let view = View { snapshot, policy: (ctx.policy)() };
    match route {
        Route::Root => health::root(),
        Route::IpAddresses => listing::sources(&view, request),
        Route::Ipset => feed::ipset::document(&view, request),
        Route::IpAddress(ip) => lookup::source(&view, ip, request.now),
        Route::Numbers => listing::numbers(&view, request),
        Route::Number(number) => lookup::number(&view, number, request.now),
        Route::Check => check::check(&view, request),
        Route::HealthCheck
        | Route::Live
        | Route::Ready
        | Route::Metrics
        | Route::Status
        | Route::OauthToken
        | Route::Unknown => unknown(),
    }
}

/// Until the replay has ended nobody may take "unknown" for "harmless", nor an empty feed for the
/// truth.
fn starting(ctx: &Context) -> Response {
    Response::error(503, health::why_not_ready(ctx.store.phase())).with_retry_after(RETRY_AFTER_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_matches_whole() {
        for path in ["", "//", "/ip-addresses/", "/ip-addresses/1.2.3.4/", "/numbers//", "/x"] {
            assert_eq!(Route::of(path), Route::Unknown, "{path}");
        }
        assert_eq!(Route::of("/numbers/+44%2F1"), Route::Number("+44%2F1"));
    }

    #[test]
    fn every_route_has_its_own_label() {
        let paths = Route::NAMES.map(|name| name.replace("{ip}", "::1").replace("{number}", "1"));
        for (index, path) in paths.iter().enumerate() {
            assert_eq!(Route::of(path).index(), index, "{path}");
        }
    }
}
