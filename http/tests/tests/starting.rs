//! What a node says before it knows anything.

use sentrypeer_http::{Lane, Request};
use sentrypeer_storage::Phase;

use crate::node::{Node, VERSION, at, request, wait_until};

fn node() -> Node {
    let node = Node::without_snapshot();
    wait_until("the database is refused", || node.ctx.store.phase() == Phase::Failed);
    node
}

#[test]
fn lists_dips_and_feeds_are_unavailable_and_never_empty() {
    let node = node();
    let paths = ["/", "/ip-addresses", "/ip-addresses/1.2.3.4", "/numbers", "/numbers/1"];
    let more = [
        "/api/v1/sources",
        "/countries",
        "/ip-addresses/ipset",
        "/ip-addresses/ipset?allow_empty=1",
        "/api/v1/check?ip=::1",
    ];
    let log = ["/api/v1/events", "/api/v1/events/00000000-0000-7000-8000-000000000001"];
    let feeds = [
        "/api/v1/feeds/nft?allow_empty=1",
        "/api/v1/feeds/misp/manifest.json",
        "/v1/decisions/stream",
        "/api/key/banned",
    ];
    for target in paths.into_iter().chain(more).chain(log).chain(feeds) {
        let answer = node.get(target, at(60));
        assert_eq!(answer.status, 503, "{target}");
        assert_eq!(answer.header("retry-after"), Some("1"), "{target}");
        let reason = "The database cannot be used. The node's log says why.\"}";
        assert!(answer.body.ends_with(reason), "{target}: {}", answer.body);
    }
    let dip = Request { lane: Lane::Dip, ..request("/ip-addresses/1.2.3.4") };
    assert_eq!(node.ask(dip).status, 503);
}

#[test]
fn health_says_why_in_the_form_of_4x() {
    let asked = Request { content_type: Some("application/json"), ..request("/health-check") };
    let answer = node().ask(asked);
    let expected = format!(
        "{{\"status\": \"failed\", \"message\": \"The database cannot be used. The node's log \
         says why.\", \"version\": \"{VERSION}\"}}"
    );
    assert_eq!(answer.pair(), (503, expected.as_str()));
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[test]
fn it_lives_but_is_not_ready_and_still_counts() {
    let node = node();
    assert_eq!(node.get("/livez", at(60)).pair(), (200, "ok\n"));
    assert_eq!(node.get("/readyz", at(60)).status, 503);
    let metrics = node.get("/metrics", at(60));
    assert!(metrics.body.contains("sentrypeer_phase{phase=\"failed\"} 1"));
    assert_eq!(node.get("/x", at(60)).status, 404);
}

#[test]
fn a_node_whose_writer_has_ended_is_not_well_although_it_still_answers() {
    let mut node = Node::with(&[]);
    node.end_writer();
    let asked = Request { accept: Some("application/json"), ..request("/health-check") };
    let answer = node.ask(asked);
    assert_eq!(answer.status, 503);
    assert!(
        answer.body.starts_with("{\"status\": \"stopped\", \"message\": \"The node is stopping.")
    );
    assert_eq!(node.get("/readyz", at(60)).status, 503);
    assert_eq!(node.get("/numbers", at(60)).status, 404);
}

#[test]
fn a_node_with_a_snapshot_is_ready() {
    let node = Node::with(&[]);
    assert_eq!(node.get("/readyz", at(60)).pair(), (200, "ready\n"));
}
