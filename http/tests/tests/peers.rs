//! What other nodes say, where it is shown and acted on.

use std::sync::Arc;

use sentrypeer_storage::event::{SourceKey, Time};
use sentrypeer_storage::key::NumberKey;
use sentrypeer_storage::peers::{PeerRow, Peers};
use sentrypeer_storage::policy::AllowList;
use sentrypeer_storage::utc::Utc;

use crate::node::{Answer, NS_PER_S, Node, at, event, proven, wait_until};

fn node() -> Node {
    let node = Node::with(&[
        proven("198.18.0.7", "100", at(1)),
        event("198.18.0.8", "", at(1)),
        proven("203.0.113.200", "", at(1)),
    ]);
    let row = |until| row(at(1), until);
    let named = [
        ("198.18.0.7", at(9000)),
        ("198.18.0.8", at(9000)),
        ("198.18.0.50", at(9000)),
        ("198.18.0.51", at(2)),
    ];
    let named = named.map(|(ip, until)| (SourceKey::of(ip.parse().unwrap()), row(until)));
    let numbers = vec![(NumberKey::of(b"+4420"), row(at(9000)))];
    tell(&node, named.to_vec(), numbers);
    node
}

fn row(last: Time, until: Time) -> PeerRow {
    PeerRow { until, last, voters: 3, by_trusted: false, weight: 2.0, told: Time(0) }
}

/// Has peers say this, and nothing else.
fn tell(node: &Node, sources: Vec<(SourceKey, PeerRow)>, numbers: Vec<(NumberKey, PeerRow)>) {
    let all = sources.len();
    node.ctx.store.set_peers(Arc::new(Peers::new(sources, numbers))).unwrap();
    wait_until("peers are published", || {
        node.ctx.store.snapshot().is_some_and(|found| found.peers.sources().len() == all)
    });
}

/// `at(10)`.
const NOW: Time = Time(crate::node::START.0 + 10 * NS_PER_S);

fn json(answer: &Answer) -> serde_json::Value {
    serde_json::from_str(&answer.body).unwrap()
}

#[test]
fn a_feed_has_what_peers_agree_on_marked_as_theirs() {
    let node = node();
    let csv = node.get("/api/v1/feeds/csv", NOW).body;
    let origins: Vec<_> = csv
        .lines()
        .filter(|line| line.starts_with("198.18.") || line.starts_with("203."))
        .map(|line| (line.split(',').next().unwrap(), line.rsplit(',').next().unwrap()))
        .collect();
    assert_eq!(
        origins,
        [
            ("198.18.0.7", "own"),
            ("198.18.0.8", "peer"),
            ("198.18.0.50", "peer"),
            ("203.0.113.200", "own")
        ]
    );
    let strict = node.get("/api/v1/feeds/plain?min_verification=connected", NOW).body;
    assert!(!strict.contains("198.18.0.50") && strict.contains("198.18.0.7"), "{strict}");
    let ipset = node.get("/ip-addresses/ipset", NOW).body;
    assert!(ipset.contains("198.18.0.50") && !ipset.contains("198.18.0.51"), "{ipset}");
    let decisions = json(&node.get("/v1/decisions/stream?startup=true&origins=peer", NOW));
    let values: Vec<_> =
        decisions["new"].as_array().unwrap().iter().map(|new| new["value"].clone()).collect();
    assert_eq!(values, ["198.18.0.8", "198.18.0.50"]);
    assert_eq!(decisions["deleted"].as_array().unwrap().len(), 0);
}

#[test]
fn a_dip_finds_what_peers_agree_on_until_it_lapses() {
    let node = node();
    let found = |target: &str, now| node.get(target, now).status == 200;
    assert!(found("/ip-addresses/198.18.0.50", NOW));
    assert!(!found("/ip-addresses/198.18.0.50", at(9000)));
    assert!(!found("/ip-addresses/198.18.0.51", NOW));
    assert!(found("/numbers/+4420", NOW) && !found("/numbers/+4421", NOW));
    let check = json(&node.get("/api/v1/check?ip=198.18.0.50&number=%2B4420", NOW));
    assert_eq!((&check["ip"]["listed"], &check["ip"]["blocked"]), (&true.into(), &true.into()));
    assert_eq!(check["ip"]["peers"]["voters"], 3);
    assert!(check["ip"].get("origin").is_none(), "this node has not seen it: {check}");
    assert_eq!(check["number"]["peers"]["until"], check["ip"]["peers"]["until"]);
}

#[test]
fn a_delta_has_what_peers_say_and_takes_back_what_was_allowed_since() {
    let node = node();
    // Nine seconds after the start.
    let target = "/ip-addresses/ipset?document=delta&since=2026-11-23T23:52:45Z";
    let delta = node.get(target, NOW).body;
    assert!(!delta.contains("add sentrypeer 198.18.0.7 "), "seen before: {delta}");
    let delta = node.get("/ip-addresses/ipset?document=delta", NOW).body;
    assert!(delta.contains("add sentrypeer 198.18.0.50 "), "{delta}");
    node.set_policy(|policy| {
        let mine = ["198.18.0.50".parse().unwrap()];
        policy.allow = AllowList::new([], true).with_prefixes(mine);
    });
    let delta = node.get(target, NOW).body;
    assert!(delta.contains("del sentrypeer 198.18.0.50 -exist"), "{delta}");
    assert!(!delta.contains("add sentrypeer 198.18.0.50 "), "{delta}");
}

fn rfc3339(time: Time) -> String {
    format!("{}Z", Utc(time)).replace(' ', "T")
}

#[test]
fn a_delta_has_what_peers_say_only_if_it_was_told_since() {
    let node = node();
    let key = SourceKey::of("198.18.0.50".parse().unwrap());
    let told = node.ctx.store.snapshot().unwrap().peers.source(&key).unwrap().told;
    let delta = |since: Time| {
        let since = rfc3339(since);
        node.get(&format!("/ip-addresses/ipset?document=delta&since={since}"), NOW).body
    };
    assert!(delta(told).contains("add sentrypeer 198.18.0.50 "));
    let later = delta(Time(told.0 + 1));
    assert!(!later.contains("198.18.0.50"), "{later}");
    assert!(later.contains("add sentrypeer 198.18.0.8 "), "what was hidden by an own row: {later}");
}

#[test]
fn a_delta_begins_before_the_generation_of_the_one_before_it() {
    let node = node();
    let published = node.ctx.store.snapshot().unwrap().time;
    let now = Time(published.0 + 3600 * NS_PER_S);
    let delta = node.get("/ip-addresses/ipset?document=delta", now).body;
    let as_of = rfc3339(published.minus_ns(10 * NS_PER_S));
    assert!(delta.trim_end().ends_with(&format!("as of {as_of}")), "{as_of}: {delta}");
}

#[test]
fn an_unspecified_address_is_not_taken_back_for_no_set_can_hold_it() {
    let node = Node::with(&[proven("::1", "", at(1))]);
    tell(&node, vec![(SourceKey::of("::1".parse().unwrap()), row(at(1), at(9000)))], Vec::new());
    node.set_policy(|policy| {
        let mine = ["::/64".parse().unwrap()];
        policy.allow = AllowList::new([], true).with_prefixes(mine);
    });
    let delta = node.get("/ip-addresses/ipset?document=delta&family=6", NOW).body;
    assert!(delta.contains("# 0 added, 0 taken back, ") && !delta.contains("del "), "{delta}");
}

#[test]
fn a_set_has_room_for_what_peers_say() {
    let node = node();
    let key = |n: u16| {
        let [high, low] = n.to_be_bytes();
        SourceKey::of([198, 19, high, low].into())
    };
    tell(&node, (0..5000).map(|n| (key(n), row(at(1), at(9000)))).collect(), Vec::new());
    let ipset = node.get("/ip-addresses/ipset", NOW).body;
    assert!(ipset.starts_with("create sentrypeer hash:ip family inet hashsize 4096 "), "{ipset}");
}

#[test]
fn a_feed_has_another_name_when_peers_take_the_place_of_an_entry() {
    let node = Node::with(&[proven("198.18.0.7", "", at(1))]);
    let key = SourceKey::of("198.18.0.7".parse().unwrap());
    let week = 7 * 86_400;
    tell(&node, vec![(key, row(at(5000), at(2 * week)))], Vec::new());
    // Within one hour of the clock.
    let ask = |now| {
        let answer = node.get("/api/v1/feeds/csv", now);
        let line = answer.body.lines().find(|line| line.starts_with("198.18.0.7")).unwrap();
        let origin = line.rsplit(',').next().unwrap().to_owned();
        (origin, answer.header("etag").unwrap().to_owned())
    };
    let (before, after) = (ask(at(week - 9)), ask(at(week + 9)));
    assert_eq!((before.0.as_str(), after.0.as_str()), ("own", "peer"));
    assert_ne!(before.1, after.1);
}
