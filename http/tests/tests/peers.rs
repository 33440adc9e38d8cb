//! What other nodes say, where it is shown and acted on.

use std::sync::Arc;

use sentrypeer_storage::event::{SourceKey, Time};
use sentrypeer_storage::key::NumberKey;
use sentrypeer_storage::peers::{PeerRow, Peers};
use sentrypeer_storage::policy::AllowList;

use crate::node::{Answer, Node, at, event, proven, wait_until};

fn node() -> Node {
    let node = Node::with(&[
        proven("198.18.0.7", "100", at(1)),
        event("198.18.0.8", "", at(1)),
        proven("203.0.113.200", "", at(1)),
    ]);
    let (last, told) = (at(1), at(0));
    let row = |until| PeerRow { until, last, voters: 3, by_trusted: false, weight: 2.0, told };
    let named = [
        ("198.18.0.7", at(9000)),
        ("198.18.0.8", at(9000)),
        ("198.18.0.50", at(9000)),
        ("198.18.0.51", at(2)),
    ];
    let named = named.map(|(ip, until)| (SourceKey::of(ip.parse().unwrap()), row(until)));
    let numbers = vec![(NumberKey::of(b"+4420"), row(at(9000)))];
    node.ctx.store.set_peers(Arc::new(Peers::new(named.to_vec(), numbers))).unwrap();
    wait_until("peers are published", || {
        node.ctx.store.snapshot().is_some_and(|found| found.peers.sources().len() == 4)
    });
    node
}

/// `at(10)`.
const NOW: Time = Time(crate::node::START.0 + 10 * crate::node::NS_PER_S);

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
    assert!(delta.contains("add sentrypeer 198.18.0.50 "), "{delta}");
    assert!(!delta.contains("add sentrypeer 198.18.0.7 "), "seen before: {delta}");
    node.set_policy(|policy| {
        let mine = ["198.18.0.50".parse().unwrap()];
        policy.allow = AllowList::new([], true).with_prefixes(mine);
    });
    let delta = node.get(target, NOW).body;
    assert!(delta.contains("del sentrypeer 198.18.0.50 -exist"), "{delta}");
    assert!(!delta.contains("add sentrypeer 198.18.0.50 "), "{delta}");
}
