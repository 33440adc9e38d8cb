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
        "x",
    ]);
    let value = prop_oneof![
        ".{0,20}",
        "[0-9a-f:.%]{0,20}",
        Just("6".to_owned()),
        Just("1".to_owned()),
        Just("tls".to_owned()),
        Just("refresh".to_owned()),
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
        let json = response.content_type == Some("application/json");
        let body = response.body.into_bytes();
        prop_assert!(method == "GET" || lane == Lane::Dip || status == 404 || status == 405
            || status == 414 || body.is_empty());
        if json && !body.is_empty() {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
        }
    }
}
