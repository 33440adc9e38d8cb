//! A document's name changes exactly when the document does.

use sentrypeer_http::Request;
use sentrypeer_storage::event::Time;

use crate::node::{Answer, Node, at, event, proven, request};

fn asked(node: &Node, target: &str, etag: &str, now: Time) -> Answer {
    node.ask(Request { if_none_match: Some(etag), now, ..request(target) })
}

fn etag(node: &Node, target: &str, now: Time) -> String {
    node.get(target, now).header("etag").expect("an ETag").to_owned()
}

#[test]
fn who_has_the_document_is_told_so_without_a_body() {
    let node = Node::with(&[proven("198.18.0.7", "100", at(1))]);
    for target in ["/ip-addresses", "/numbers", "/ip-addresses/ipset"] {
        let name = etag(&node, target, at(60));
        let answer = asked(&node, target, &name, at(61));
        assert_eq!(answer.pair(), (304, ""), "{target}");
        assert_eq!(answer.header("etag"), Some(name.as_str()));
        assert_eq!(answer.header("content-type"), None);
        let list = format!("\"other\", {name}");
        assert_eq!(asked(&node, target, &list, at(61)).status, 304, "{target}");
        assert_eq!(asked(&node, target, "\"other\"", at(61)).status, 200, "{target}");
    }
}

#[test]
fn an_event_changes_the_lists_that_it_is_in_and_no_other() {
    let mut node = Node::with(&[event("198.18.0.7", "100", at(1))]);
    let (sources, numbers) =
        (etag(&node, "/ip-addresses", at(60)), etag(&node, "/numbers", at(60)));
    node.push([event("198.18.0.7", "", at(2))].into_iter());
    assert_eq!(asked(&node, "/ip-addresses", &sources, at(60)).status, 200);
    assert_eq!(asked(&node, "/numbers", &numbers, at(60)).status, 304);
}

#[test]
fn a_change_of_the_policy_on_a_quiet_node_changes_the_documents() {
    let node = Node::with(&[proven("198.18.0.7", "100", at(1))]);
    for target in ["/ip-addresses", "/numbers", "/ip-addresses/ipset"] {
        let name = etag(&node, target, at(60));
        node.set_policy(|_| {});
        assert_eq!(asked(&node, target, &name, at(60)).status, 200, "{target}");
    }
}

#[test]
fn an_entry_that_expires_changes_the_document_within_its_generation() {
    let node =
        Node::with(&[proven("198.18.0.7", "100", at(1)), proven("198.18.0.8", "200", at(1000))]);
    let later = at(7 * 86_400 + 500);
    for target in ["/ip-addresses", "/numbers", "/ip-addresses/ipset"] {
        let name = etag(&node, target, at(1001));
        let answer = asked(&node, target, &name, later);
        assert_eq!(answer.status, 200, "{target}");
        assert!(!answer.body.contains("198.18.0.7"), "{target}");
    }
}

#[test]
fn parameters_are_part_of_a_feeds_name() {
    let node = Node::with(&[proven("198.18.0.7", "100", at(1))]);
    let name = etag(&node, "/ip-addresses/ipset", at(60));
    for query in ["document=refresh", "set=other", "timeout=600", "min_verification=unverified"] {
        let target = format!("/ip-addresses/ipset?{query}");
        assert_eq!(asked(&node, &target, &name, at(60)).status, 200, "{query}");
    }
}

#[test]
fn a_feed_with_a_short_timeout_is_given_again_before_its_entries_are_gone() {
    let node = Node::with(&[proven("198.18.0.7", "100", at(1))]);
    let target = "/ip-addresses/ipset?timeout=600";
    let mut name = etag(&node, target, at(60));
    let mut loaded = 60;
    for now in (60..7_200).step_by(60) {
        let answer = asked(&node, target, &name, at(now));
        if answer.status == 200 {
            name = answer.header("etag").unwrap().to_owned();
            loaded = now;
        }
        assert!(now - loaded < 600, "at {now} the set has been empty since {}", loaded + 600);
    }
}
