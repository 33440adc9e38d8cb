//! No request makes the router panic.

use std::sync::OnceLock;

use proptest::prelude::*;
use sentrypeer_http::{Lane, Request, handle};
use sentrypeer_storage::event::Time;

use crate::node::{Node, at, event, proven};

fn node() -> &'static Node {
    static NODE: OnceLock<Node> = OnceLock::new();
    NODE.get_or_init(|| {
        Node::with(&[event("198.18.0.7", "+44", at(1)), proven("2a00::1", "100", at(2))])
    })
}

fn path() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "/",
        "/ip-addresses",
        "/ip-addresses/",
        "/ip-addresses/ipset",
        "/numbers",
        "/numbers/",
        "/api/v1/check",
        "/api/v1/sources",
        "/api/v1/sources/",
        "/api/v1/numbers",
        "/api/v1/numbers/",
        "/api/v1/user-agents",
        "/api/v1/countries",
        "/api/v1/events",
        "/api/v1/events/",
        "/api/v1/feeds/",
        "/api/v1/feeds/nft",
        "/api/v1/feeds/stix",
        "/api/v1/feeds/misp/",
        "/v1/decisions/stream",
        "/api/",
        "/openapi.json",
        "/countries",
        "/user-agents",
        "/health-check",
        "/metrics",
    ]);
    prop_oneof![".*", (known, ".{0,40}").prop_map(|(known, rest)| format!("{known}{rest}"))]
}

fn query() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "ip",
        "number",
        "document",
        "family",
        "set",
        "timeout",
        "min_verification",
        "allow_empty",
        "limit",
        "sort",
        "order",
        "cursor",
        "since",
        "until",
        "prefix",
        "country",
        "min_count",
        "max_age",
        "name",
        "startup",
        "x",
    ]);
    let value = prop_oneof![
        ".{0,20}",
        "[0-9a-f:.%]{0,20}",
        Just("6".to_owned()),
        Just("1".to_owned()),
        Just("tls".to_owned()),
        Just("refresh".to_owned()),
        Just("last".to_owned()),
        Just("2026-11-23T23:52:36Z".to_owned()),
        "[lfc][da][0-9a-f]{0,20}-[0-9a-f]{0,20}",
    ];
    let pair = (name, value).prop_map(|(name, value)| format!("{name}={value}"));
    prop_oneof![".*", prop::collection::vec(pair, 0..5).prop_map(|pairs| pairs.join("&"))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_request_line_has_an_answer(
        method in prop_oneof!["GET", "HEAD", "[A-Z]{0,8}", ".*"],
        path in path(),
        query in query(),
        header in prop::option::of(".*"),
        now: u64,
        lane in prop::sample::select(Lane::ALL.to_vec()),
    ) {
        let header = header.as_deref();
        let request = Request {
            method: &method,
            path: &path,
            query: &query,
            content_type: header,
            accept: header,
            accept_encoding: header,
            if_none_match: header,
            now: Time(now),
            lane,
        };
        let response = handle(&node().ctx, &request);
        let dip = [200, 400, 404, 414, 421];
        let any = [200, 304, 400, 404, 405, 409, 414];
        let status = response.status;
        let expected = if lane == Lane::Dip { dip.as_slice() } else { any.as_slice() };
        prop_assert!(expected.contains(&status), "{status}");
        let json = response.content_type.is_some_and(|is| is.ends_with("json"))
            && response.headers().all(|(name, _)| name != "Content-Encoding");
        let body = response.body.into_bytes();
        prop_assert!(method == "GET" || lane == Lane::Dip || status == 404 || status == 405
            || status == 414 || body.is_empty());
        if json && !body.is_empty() {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
        }
    }
}
