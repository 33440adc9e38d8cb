//! Each feed byte by byte, and what every feed has.

use sentrypeer_storage::event::Time;
use sentrypeer_storage::policy::AllowList;
use serde_json::Value;

use crate::node::{Answer, Node, at, event, proven};

/// Three sources to block, one that is not proven, and one on the allow-list.
fn node() -> Node {
    let node = Node::with(&[
        proven("198.18.0.7", "100", at(1)),
        proven("198.18.0.7", "100", at(2)),
        proven("203.0.113.200", "100", at(1)),
        proven("2a00:1450:1:2::9", "", at(2)),
        event("198.18.0.8", "", at(1)),
        proven("198.18.0.9", "", at(1)),
    ]);
    node.set_policy(|policy| {
        policy.allow = AllowList::new([], true).with_prefixes(["198.18.0.9".parse().unwrap()]);
    });
    node
}

const FORMATS: [&str; 12] = [
    "plain",
    "pf",
    "csv",
    "jsonl",
    "nft",
    "nft-json",
    "mikrotik",
    "firewalld",
    "rpz",
    "dnsbl",
    "stix",
    "misp",
];

fn feed(node: &Node, target: &str) -> Answer {
    node.get(&format!("/api/v1/feeds/{target}"), at(3))
}

/// Compares with a file of `tests/golden`; with `SENTRYPEER_GOLDEN=write` writes it anew, to be looked
/// at before it is committed.
fn is_golden(name: &str, document: &str) {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("SENTRYPEER_GOLDEN").is_some() {
        std::fs::write(&path, document).unwrap();
    }
    assert_eq!(document, std::fs::read_to_string(&path).unwrap(), "{name}");
}

/// The document with what changes from run to run: the generation, and so the hash over it.
fn settled(document: &str, generation: u64) -> String {
    let text = document.replace(&format!("generation {generation}"), "generation GENERATION");
    text.replace(&format!("\"generation\": {generation}"), "\"generation\": GENERATION")
}

#[test]
fn every_feed_is_as_its_golden_file() {
    let node = node();
    let generation = node.ctx.store.snapshot().unwrap().generation;
    for format in FORMATS {
        let answer = feed(&node, format);
        assert_eq!(answer.status, 200, "{format}: {}", answer.body);
        let mut text = settled(&answer.body, generation);
        if ["rpz", "dnsbl", "stix"].contains(&format) {
            // Serial, hash and id of the bundle come from the generation.
            let kept = |line: &&str| {
                !["GENERATION", "bundle--", "SOA"].iter().any(|part| line.contains(part))
            };
            text = text.lines().filter(kept).map(|line| format!("{line}\n")).collect();
        }
        is_golden(&format!("feed.{format}"), &text);
    }
}

#[test]
fn only_what_is_to_be_blocked_is_in_any_feed() {
    let node = node();
    for format in FORMATS {
        for query in ["", "?min_verification=unverified"] {
            let body = feed(&node, &format!("{format}{query}")).body;
            assert!(!body.contains("198.18.0.9") && !body.contains("9.0.18.198"), "{format}");
            let unproven = body.contains("198.18.0.8") || body.contains("8.0.18.198");
            assert_eq!(unproven, !query.is_empty(), "{format}");
        }
    }
}

#[test]
fn a_feed_that_would_be_empty_is_refused_unless_that_is_wanted() {
    let node = Node::with(&[event("198.18.0.8", "", at(1))]);
    for format in FORMATS {
        let refused = feed(&node, format);
        assert_eq!(refused.status, 409, "{format}");
        assert!(refused.body.contains("allow_empty=1"), "{format}");
        assert_eq!(feed(&node, &format!("{format}?allow_empty=1")).status, 200, "{format}");
    }
}

#[test]
fn the_trailer_has_the_count_and_the_hash_of_all_before_it() {
    let node = node();
    for format in ["plain", "pf", "csv", "nft", "mikrotik", "firewalld", "rpz", "dnsbl", "jsonl"] {
        let body = feed(&node, format).body;
        let at = body.trim_end().rfind('\n').unwrap() + 1;
        let (before, trailer) = body.split_at(at);
        let digest = ring::digest::digest(&ring::digest::SHA256, before.as_bytes());
        let hash: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(trailer.contains(&hash), "{format}: {trailer}");
        // A set of firewalld has one family.
        let entries = if format == "firewalld" { 2 } else { 3 };
        let counted = trailer.contains(&format!("{entries} entries"))
            || trailer.contains(&format!("\"entries\": {entries}"));
        assert!(counted, "{format}: {trailer}");
    }
    assert_eq!(feed(&node, "stix").header("x-sentrypeer-entries"), Some("3"));
}

#[test]
fn entries_are_chosen_by_family_count_age_and_score() {
    let node = node();
    let lines = |query: &str| {
        let body = feed(&node, &format!("plain?{query}")).body;
        let lines = body.lines().filter(|line| !line.starts_with('#'));
        lines.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(lines(""), "198.18.0.7 203.0.113.200 2a00:1450:1:2::/64");
    assert_eq!(lines("family=4"), "198.18.0.7 203.0.113.200");
    assert_eq!(lines("family=6"), "2a00:1450:1:2::/64");
    assert_eq!(lines("min_count=2"), "198.18.0.7");
    assert_eq!(lines("max_age=1"), "198.18.0.7 2a00:1450:1:2::/64");
    assert_eq!(lines("limit=1"), "198.18.0.7");
    let cut = feed(&node, "plain?limit=1").body;
    assert!(cut.contains("; 2 with the lowest scores left out"), "{cut}");
}

#[test]
fn what_is_not_understood_is_named() {
    let node = node();
    for (query, named) in [
        ("plain?family=5", "family"),
        ("firewalld?family=all", "family"),
        ("csv?limit=0", "limit"),
        ("nft?name=a;b", "name"),
        ("nft?timeout=0", "timeout"),
        ("pf?x=1", "x"),
    ] {
        let answer = feed(&node, query);
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.body.contains(named), "{query}");
    }
    let unknown = feed(&node, "iptables");
    assert_eq!(unknown.status, 404);
    assert!(unknown.body.contains("nft-json"));
}

#[test]
fn json_feeds_are_json() {
    let node = node();
    for format in ["nft-json", "stix", "misp"] {
        for query in ["", "?allow_empty=1&min_count=99", "?limit=1"] {
            let body = feed(&node, &format!("{format}{query}")).body;
            assert!(serde_json::from_str::<Value>(&body).is_ok(), "{format}{query}: {body}");
        }
    }
    let lines = feed(&node, "jsonl").body;
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
}

#[test]
fn a_misp_server_finds_the_event_by_its_manifest() {
    let node = node();
    let manifest: Value = serde_json::from_str(&feed(&node, "misp/manifest.json").body).unwrap();
    let (id, described) = manifest.as_object().unwrap().iter().next().unwrap();
    let event: Value = serde_json::from_str(&feed(&node, &format!("misp/{id}.json")).body).unwrap();
    let event = &event["Event"];
    assert_eq!((&event["uuid"], &event["info"]), (&id.as_str().into(), &described["info"]));
    assert_eq!(event["Attribute"].as_array().unwrap().len(), 3);
    assert_eq!(feed(&node, "misp/other.json").status, 404);
}

#[test]
fn a_feed_has_a_name_that_changes_with_it() {
    let mut node = node();
    let ask = |node: &Node, etag: Option<&str>, now: Time| {
        let request = crate::node::request("/api/v1/feeds/nft");
        node.ask(sentrypeer_http::Request { if_none_match: etag, now, ..request })
    };
    let etag = ask(&node, None, at(3)).header("etag").unwrap().to_owned();
    assert_eq!(ask(&node, Some(&etag), at(4)).status, 304);
    node.push([proven("198.18.0.10", "", at(3))].into_iter());
    assert_eq!(ask(&node, Some(&etag), at(4)).status, 200);
}

#[test]
fn a_bouncer_of_crowdsec_gets_what_is_new_and_what_is_taken_back() {
    let node = node();
    let ask = |query: &str| -> Value {
        let answer = node.get(&format!("/v1/decisions/stream{query}"), at(3));
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    };
    let values = |list: &Value| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|decision| decision["value"].as_str().unwrap().to_owned()).collect()
    };
    let all = ask("?startup=true");
    assert_eq!(values(&all["new"]), ["198.18.0.7", "203.0.113.200", "2a00:1450:1:2::/64"]);
    assert_eq!(values(&all["deleted"]), ["198.18.0.9"]);
    let first = &all["new"][0];
    assert_eq!((&first["type"], &first["scope"]), (&"ban".into(), &"Ip".into()));
    assert_eq!((&first["origin"], &first["duration"]), (&"own".into(), &"604799s".into()));
    assert_eq!(all["deleted"][0]["duration"], "-1s");
    assert_eq!(values(&ask("?startup=false&scopes=range")["new"]), ["2a00:1450:1:2::/64"]);
    assert_eq!(values(&ask("?origins=lists")["new"]), Vec::<String>::new());
}

#[test]
fn a_client_of_apiban_gets_all_once_and_then_what_came_after() {
    let mut node = node();
    let ask = |node: &Node, after: &str| -> (Vec<String>, String) {
        let answer = node.get(&format!("/api/key/banned{after}"), at(3));
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        let list = answer["ipaddress"].as_array().unwrap().iter();
        let list = list.map(|ip| ip.as_str().unwrap().to_owned()).collect();
        (list, answer["ID"].as_str().unwrap().to_owned())
    };
    let (first, id) = ask(&node, "");
    assert_eq!(first, ["203.0.113.200", "198.18.0.7"]);
    assert_eq!(ask(&node, "/100").0, first);
    let after = format!("/{id}");
    assert_eq!(ask(&node, &after), (vec!["no new bans".to_owned()], "none".to_owned()));
    let sources: Vec<String> =
        (0..600).map(|n| format!("198.18.{}.{}", 4 + n / 200, n % 200)).collect();
    node.push(
        sources.iter().map(|source| proven(source, "", at(2 + u64::from(source.len() > 12)))),
    );
    let (mut found, mut after) = (Vec::new(), after);
    loop {
        let (list, id) = ask(&node, &after);
        if id == "none" {
            break;
        }
        found.extend(list);
        after = format!("/{id}");
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 600 - sources.iter().filter(|source| source.len() <= 12).count());
}

#[test]
fn a_delta_has_what_was_seen_since_and_what_is_taken_back() {
    let node = node();
    let delta =
        |query: &str| node.get(&format!("/ip-addresses/ipset?document=delta{query}"), at(3)).body;
    let whole = delta("");
    assert!(whole.contains("add sentrypeer 198.18.0.7 timeout 604799 -exist\n"), "{whole}");
    assert!(whole.contains("del sentrypeer 198.18.0.9 -exist\n"), "{whole}");
    assert!(whole.contains("# 2 added, 1 taken back, "), "{whole}");
    assert!(!whole.contains("create") && !whole.contains("flush"), "{whole}");
    let since = delta("&since=2026-11-23T23:52:38Z");
    assert!(since.contains("# 1 added, 1 taken back, "), "{since}");
    assert!(delta("&family=6").contains("add sentrypeer6 2a00:1450:1:2:: timeout"), "{since}");
}
