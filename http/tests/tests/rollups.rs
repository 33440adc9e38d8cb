//! `/api/v1/rollups`, and the history of one source and one number.

use sentrypeer_http::limits::PAGE_ROWS_MAX;
use sentrypeer_storage::event::Time;
use sentrypeer_storage::rollup::Hour;
use serde_json::{Value, json};

use crate::node::{NS_PER_S, Node, event, proven, wait_until};

const HOUR_NS: u64 = 3_600 * NS_PER_S;

fn get(node: &Node, target: &str, now: Time) -> Value {
    let answer = node.get(target, now);
    assert_eq!(answer.status, 200, "{target}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// The time in the middle of an hour that is `hours` before the one that is under way.
fn before(now: Time, hours: u64) -> Time {
    Time(Hour::of(now).begin().0 - hours * HOUR_NS + HOUR_NS / 2)
}

/// A node with six events of five hours: hours are counted by the machine's clock, so these are near it.
fn seen(now: Time) -> Node {
    let node = Node::with(&[
        proven("198.18.0.7", "+442071234567", before(now, 600)),
        proven("198.18.0.7", "+442071234567", before(now, 100)),
        event("198.18.0.7", "0046500729221", before(now, 20)),
        event("198.18.0.7", "100", before(now, 20)),
        event("2a00:1450:1:2::9", "+442071234567", before(now, 2)),
        event("198.18.0.9", "+442071234567", before(now, 1)),
    ]);
    wait_until("the hours are stored", || {
        get(&node, "/api/v1/rollups?span=30d", now)["events"] == 6
    });
    node
}

fn entries(node: &Node, query: &str, now: Time) -> (Value, Value) {
    let answer = get(node, &format!("/api/v1/rollups?{query}"), now);
    (answer["entries"].clone(), answer["others"].clone())
}

fn entry(key: &str, count: u64) -> Value {
    json!({"key": key, "count": count})
}

#[test]
fn a_span_has_the_events_of_its_hours_and_no_other() {
    let now = Time::now();
    let node = seen(now);
    for (span, events, hours) in [("1h", 1, 1), ("24h", 4, 3), ("7d", 5, 4), ("30d", 6, 5)] {
        let answer = get(&node, &format!("/api/v1/rollups?span={span}"), now);
        assert_eq!((&answer["span"], &answer["events"]), (&json!(span), &json!(events)), "{span}");
        assert_eq!(answer["hours"].as_array().unwrap().len(), hours, "{span}");
        assert_eq!(answer["entries"], Value::Null);
    }
    assert_eq!(get(&node, "/api/v1/rollups", now)["span"], "24h");
}

#[test]
fn events_are_told_apart_by_what_is_asked_for_the_most_frequent_first() {
    let now = Time::now();
    let node = seen(now);
    let by = |query: &str| entries(&node, query, now);
    let sources =
        json!([entry("198.18.0.7", 2), entry("198.18.0.9", 1), entry("2a00:1450:1:2::/64", 1)]);
    assert_eq!(by("by=source"), (sources, json!(0)));
    assert_eq!(by("by=source&limit=1"), (json!([entry("198.18.0.7", 2)]), json!(2)));
    let numbers = json!([entry("+442071234567", 4), entry("0046500729221", 1), entry("100", 1)]);
    assert_eq!(by("by=number&span=30d"), (numbers, json!(0)));
    let countries = json!([entry("GB", 4), {"key": null, "count": 1}, entry("SE", 1)]);
    assert_eq!(by("by=country&span=30d"), (countries, json!(0)));
    let all = |key: &str| (json!([entry(key, 6)]), json!(0));
    assert_eq!(by("by=user_agent&span=30d"), all("friendly-scanner"));
    assert_eq!(by("by=destination&span=30d"), all("192.0.2.1:5060"));
    assert_eq!(by("by=method&span=30d"), all("INVITE"));
    let transports = json!([entry("UDP", 4), entry("TCP", 2)]);
    assert_eq!(by("by=transport&span=30d"), (transports, json!(0)));
    let levels = (json!([entry("unverified", 4)]), json!(2));
    assert_eq!(by("by=verification&span=30d&limit=1"), levels);
}

#[test]
fn one_source_and_one_number_have_their_history() {
    let now = Time::now();
    let node = seen(now);
    let counts = |target: &str| {
        let history = get(&node, target, now)["history"].clone();
        assert_eq!(history["complete"], true);
        let hours = history["hours"].as_array().unwrap();
        hours.iter().map(|hour| hour["count"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(counts("/api/v1/sources/198.18.0.7"), [2]);
    assert_eq!(counts("/api/v1/sources/198.18.0.7?history=30d"), [1, 1, 2]);
    assert_eq!(counts("/api/v1/sources/2a00:1450:1:2::5?history=1h"), Vec::<u64>::new());
    assert_eq!(counts("/api/v1/numbers/+44%2020%207123-4567?history=7d"), [1, 1, 1]);
    let without = get(&node, "/api/v1/sources/198.18.0.7?history=none", now);
    assert_eq!(without["history"], Value::Null);
}

#[test]
fn what_is_no_span_is_refused() {
    let node = Node::with(&[proven("198.18.0.7", "1", Time::now())]);
    for target in [
        "/api/v1/rollups?span=2h",
        "/api/v1/rollups?by=port",
        "/api/v1/rollups?limit=0",
        &format!("/api/v1/rollups?limit={}", PAGE_ROWS_MAX + 1),
        "/api/v1/sources/198.18.0.7?history=1y",
        "/api/v1/numbers/1?span=1h",
    ] {
        let answer = node.get(target, Time::now());
        assert_eq!(answer.status, 400, "{target}");
        assert!(answer.body.contains("parameter"), "{target}: {}", answer.body);
    }
}
