//! Whether the node lives, and whether it is ready.

use sentrypeer_storage::Phase;
use serde::Serialize;

use crate::context::Context;
use crate::exchange::{HTML, Request, Response, TEXT};
use crate::limits::RETRY_AFTER_S;

/// The members of 4.x's answer, in their order.
#[derive(Serialize)]
struct Health<'a> {
    status: &'a str,
    message: &'a str,
    version: &'a str,
    /// How the node's outputs are doing, as `/api/v1/status` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<serde_json::Value>,
    /// How sharing is doing, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    peers: Option<serde_json::Value>,
}

const GREETING: &str = "Hello from SentryPeer!";

/// The greeting while the disk refuses writes: the node is up, but somebody should look.
const DEGRADED: &str = "Hello from SentryPeer! The disk refuses writes: what is known is served, \
                        what is new waits in memory.";

/// `/`
pub(crate) fn root() -> Response {
    #[derive(Serialize)]
    struct Root {
        status: &'static str,
    }
    Response::json(200, &Root { status: "OK" })
}

/// `/health-check`
pub(crate) fn check(ctx: &Context, request: &Request<'_>) -> Response {
    let (code, status, message) = state(ctx.store.phase(), ctx.store.snapshot().is_some());
    let response = in_either_form(ctx, request, code, status, message);
    if code == 503 { response.with_retry_after(RETRY_AFTER_S) } else { response }
}

/// The status code, 4.x's status and the message for a node in this phase, with or without anything
/// to show.
fn state(phase: Phase, is_known: bool) -> (u16, &'static str, &'static str) {
    match phase {
        Phase::Opening | Phase::Replaying | Phase::Ready if is_known => (200, "OK", GREETING),
        Phase::Degraded if is_known => (200, "OK", DEGRADED),
        _ => (503, status_name(phase), why_not_ready(phase)),
    }
}

fn in_either_form(
    ctx: &Context,
    request: &Request<'_>,
    code: u16,
    status: &str,
    message: &str,
) -> Response {
    if wants_json(request) {
        let node = (ctx.status)();
        let part = |name: &str| node.get(name).cloned().filter(|part| !part.is_null());
        let (outputs, peers) = (part("outputs"), part("peers"));
        let version = ctx.version;
        return Response::json(code, &Health { status, message, version, outputs, peers });
    }
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><title>SentryPeer</title></head>\
         <body><h1>{message}</h1><p>Version {version}, status {status}.</p></body></html>\n",
        version = ctx.version,
    );
    Response::text(code, HTML, page)
}

/// 4.x decides by the *request's* `Content-Type`. A client that accepts JSON and no page means the
/// same.
fn wants_json(request: &Request<'_>) -> bool {
    let accepts = |media| {
        let accept = request.accept.unwrap_or("");
        accept.split(',').any(|range| is_media_type(range, media))
    };
    request.content_type.is_some_and(|value| is_media_type(value, "application/json"))
        || (accepts("application/json") && !accepts("text/html"))
}

/// Whether a header's value is this media type, whatever its parameters (RFC 9110, section 8.3.1).
fn is_media_type(value: &str, media: &str) -> bool {
    value.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(media))
}

/// `/livez`: the process answers.
pub(crate) fn live() -> Response {
    Response::text(200, TEXT, "ok\n")
}

/// `/readyz`: ask here whether to send traffic.
pub(crate) fn ready(ctx: &Context) -> Response {
    let phase = ctx.store.phase();
    let serving = matches!(phase, Phase::Ready | Phase::Degraded);
    if !serving || ctx.store.snapshot().is_none() {
        return Response::text(503, TEXT, format!("{}\n", why_not_ready(phase)));
    }
    Response::text(200, TEXT, format!("{}\n", status_name(phase)))
}

/// One word for a phase.
pub(crate) fn status_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Opening | Phase::Replaying => "starting",
        Phase::Ready => "ready",
        Phase::Degraded => "degraded",
        Phase::Failed => "failed",
        Phase::Stopped => "stopped",
    }
}

/// Why there is nothing to show.
pub(crate) fn why_not_ready(phase: Phase) -> &'static str {
    match phase {
        Phase::Opening => "Starting: the database is being opened.",
        Phase::Replaying => "Starting: the log is being replayed.",
        Phase::Ready | Phase::Degraded => "Starting: nothing has been published yet.",
        Phase::Failed => "The database cannot be used. The node's log says why.",
        Phase::Stopped => "The node is stopping.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_ok_only_while_something_is_served_and_says_when_the_disk_refuses_writes() {
        assert_eq!(state(Phase::Ready, true), (200, "OK", GREETING));
        let (code, status, message) = state(Phase::Degraded, true);
        assert_eq!((code, status), (200, "OK"));
        assert!(message.starts_with(GREETING) && message.contains("disk refuses writes"));
        for (phase, is_known) in
            [(Phase::Failed, true), (Phase::Stopped, true), (Phase::Ready, false)]
        {
            assert_eq!(state(phase, is_known).0, 503, "{phase:?}");
        }
    }

    #[test]
    fn a_media_type_is_compared_without_case_and_parameters() {
        assert!(is_media_type("Application/JSON; charset=utf-8", "application/json"));
        assert!(!is_media_type("application/jsonp", "application/json"));
        assert!(!is_media_type("", "application/json"));
    }
}
