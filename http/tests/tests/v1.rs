//! `/api/v1`: pages, filters, and single entries.

use sentrypeer_http::{Lane, Request, Response};
use sentrypeer_storage::event::{EventRef, NumberKind, Transport};
use sentrypeer_storage::policy::AllowList;
use serde_json::{Value, json};

use crate::node::{Answer, Node, at, event, proven, request};

fn json_of(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    serde_json::from_str(&answer.body).unwrap()
}

fn get(node: &Node, target: &str) -> Value {
    json_of(&node.get(target, at(60)))
}

/// The members `name` of the entries in `list`.
fn members(answer: &Value, list: &str, name: &str) -> Vec<Value> {
    let entries = answer[list].as_array().unwrap();
    entries.iter().map(|entry| entry[name].clone()).collect()
}

fn seen() -> Node {
    let register = EventRef {
        method: b"REGISTER",
        number_kind: NumberKind::Account,
        user_agent: b"\"\xff\x00",
        ..event("198.18.0.9", "100", at(3))
    };
    Node::with(&[
        event("198.18.0.7", "+442071234567", at(1)),
        proven("198.18.0.7", "+442071234567", at(2)),
        register,
        proven("2a00:1450:1:2::9", "0046500729221", at(4)),
    ])
}

#[test]
fn a_source_has_everything_that_is_known_about_it() {
    let source = get(&seen(), "/api/v1/sources/198.18.0.7");
    let expected = json!({
        "address": "198.18.0.7",
        "first_seen": "2026-11-23T23:52:37.740127093Z",
        "last_seen": "2026-11-23T23:52:38.740127093Z",
        "count": 2,
        "verification": "connected",
        "origin": "own",
        "methods": ["INVITE"],
        "transports": ["UDP", "TCP"],
        "anomalies": [],
        "score": 1.585,
        "blocked": true,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&source[name], value, "{name}");
    }
    assert!(source["blocked_until"].as_str().unwrap().starts_with("2026-11-30T23:52:3"));
}

#[test]
fn a_source_says_why_it_is_not_blocked() {
    let node = seen();
    let why = |ip: &str| {
        let source = get(&node, &format!("/api/v1/sources/{ip}"));
        assert_eq!(source["blocked"], false, "{ip}");
        source["why"].as_str().unwrap().to_owned()
    };
    assert!(why("198.18.0.9").starts_with("not proven"));
    node.set_policy(|policy| {
        let prefixes = ["198.18.0.7".parse().unwrap()];
        policy.allow = AllowList::new([], true).with_prefixes(prefixes);
        policy.score_threshold = 1.5;
    });
    assert!(why("198.18.0.7").starts_with("never blocked: the allow-list"));
    assert!(why("2a00:1450:1:2::ffff").starts_with("the score has fallen below 1.5"));
    assert_eq!(node.get("/api/v1/sources/198.18.0.8", at(60)).status, 404);
    assert_eq!(node.get("/api/v1/sources/x", at(60)).status, 400);
}

#[test]
fn a_private_source_that_may_be_blocked_for_a_test_is_not_said_to_be_held_back() {
    let node = Node::with(&[proven("10.0.0.7", "", at(1))]);
    node.set_policy(|policy| policy.score_threshold = 1.5);
    let source = get(&node, "/api/v1/sources/10.0.0.7");
    assert_eq!(source["why"], "the score has fallen below 1.5");
}

#[test]
fn sources_are_filtered_by_all_that_is_asked_for() {
    let node = seen();
    let addresses = |query: &str| {
        let answer = get(&node, &format!("/api/v1/sources?{query}"));
        let found = members(&answer, "sources", "address");
        assert_eq!(answer["total"], found.len());
        found.iter().map(|a| a.as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(addresses(""), "2a00:1450:1:2::9 198.18.0.9 198.18.0.7");
    assert_eq!(addresses("order=asc"), "198.18.0.7 198.18.0.9 2a00:1450:1:2::9");
    assert!(addresses("sort=count").starts_with("198.18.0.7 "));
    assert_eq!(addresses("verification=connected"), "2a00:1450:1:2::9 198.18.0.7");
    assert_eq!(addresses("method=REGISTER"), "198.18.0.9");
    assert_eq!(addresses("transport=TCP&prefix=198.18.0.0/15"), "198.18.0.7");
    assert_eq!(addresses("prefix=2a00::/16"), "2a00:1450:1:2::9");
    assert_eq!(addresses("min_count=2"), "198.18.0.7");
    assert_eq!(addresses("blocked=0"), "198.18.0.9");
    assert_eq!(addresses("since=2026-11-23T23:52:39.740127093Z"), "2a00:1450:1:2::9 198.18.0.9");
    assert_eq!(addresses("until=2026-11-24T00:52:38.740127093%2B01:00"), "198.18.0.7");
    assert_eq!(addresses("since=2027-01-01T00:00:00Z"), "");
}

#[test]
fn sources_by_user_agent_are_refused_with_the_way_to_their_events() {
    let node = seen();
    let answer = node.get("/api/v1/sources?user_agent=friendly", at(60));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem: Value = serde_json::from_str(&answer.body).unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert_eq!((answer.status, &problem["status"]), (400, &json!(400)));
    assert!(detail.contains("/api/v1/events?user_agent="), "{detail}");
    // Where it leads there is what was asked for.
    let events = get(&node, "/api/v1/events?user_agent=friendly");
    assert_eq!(members(&events, "events", "source").len(), 3);
}

#[test]
fn what_is_not_understood_is_a_problem_that_names_it() {
    let node = seen();
    for (target, named) in [
        ("/api/v1/sources?limit=0", "limit"),
        ("/api/v1/sources?since=yesterday", "since"),
        ("/api/v1/sources?cursor=x", "cursor"),
        ("/api/v1/sources?colour=red", "colour"),
        ("/api/v1/sources?prefix=1.2.3", "prefix"),
        ("/api/v1/numbers?country=gb", "country"),
        ("/api/v1/numbers?kind=x", "kind"),
        ("/api/v1/user-agents?sort=name", "sort"),
        ("/api/v1/events?source=::1&number=1", "number"),
        ("/api/v1/events?transport=SCTP", "transport"),
        ("/api/v1/countries?x=1", "x"),
        ("/api/v1/check?x=1", "x"),
    ] {
        let answer = node.get(target, at(60));
        assert_eq!(answer.status, 400, "{target}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{target}");
        let problem: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((&problem["status"], &problem["title"]), (&400.into(), &"Bad Request".into()));
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("\"{named}\"")), "{target}: {detail}");
    }
    for target in ["/api/v1/nothing", "/api/v1/sources/1.2.3.4/x"] {
        let answer = node.get(target, at(60));
        assert_eq!(answer.status, 404, "{target}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{target}");
    }
}

/// The addresses of every page, and how many there were.
fn walk(node: &Node, query: &str, mut between: impl FnMut()) -> (Vec<String>, usize) {
    let (mut found, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let answer = get(node, &format!("/api/v1/sources?{query}{cursor}"));
        let page = members(&answer, "sources", "address");
        found.extend(page.iter().map(|address| address.as_str().unwrap().to_owned()));
        pages += 1;
        let Some(next) = answer["next"].as_str() else { return (found, pages) };
        cursor = format!("&cursor={next}");
        between();
    }
}

#[test]
fn the_pages_together_are_the_list_also_where_many_were_seen_at_once() {
    let addresses: Vec<String> = (0..250).map(|n| format!("198.18.1.{n}")).collect();
    let events =
        addresses.iter().map(|source| event(source, "", at(u64::from(source.len() as u32))));
    let node = Node::with(&events.collect::<Vec<_>>());
    let whole = walk(&node, "limit=1000", || {}).0;
    assert_eq!(whole.len(), 250);
    for order in ["sort=last&order=desc", "sort=first&order=asc", "sort=count"] {
        let all = walk(&node, &format!("limit=1000&{order}"), || {}).0;
        for limit in [1, 7, 125, 249, 250] {
            let (found, pages) = walk(&node, &format!("limit={limit}&{order}"), || {});
            assert_eq!(found, all, "{order} {limit}");
            assert_eq!(pages, 250_usize.div_ceil(limit), "{order} {limit}");
        }
    }
}

#[test]
fn pages_by_first_sight_miss_nothing_while_the_table_changes() {
    let addresses: Vec<String> = (0..100).map(|n| format!("198.18.1.{n}")).collect();
    let mut node = Node::with(&[]);
    node.push(addresses.iter().enumerate().map(|(n, source)| event(source, "", at(n as u64))));
    let node = std::cell::RefCell::new(node);
    let mut round = 0;
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let target = format!("/api/v1/sources?limit=9&sort=first&order=asc{cursor}");
        let answer = get(&node.borrow(), &target);
        let page = members(&answer, "sources", "address");
        found.extend(page.iter().map(|address| address.as_str().unwrap().to_owned()));
        let Some(next) = answer["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
        // Everybody is seen again, and somebody before all others of the next page is new.
        let newcomer = format!("198.18.2.{round}");
        let again = addresses.iter().map(|source| event(source, "", at(1_000 + round)));
        node.borrow_mut().push(again.chain([event(&newcomer, "", at(0))]));
        round += 1;
    }
    let met: Vec<_> = found.iter().filter(|address| address.starts_with("198.18.1.")).collect();
    assert_eq!(met, addresses.iter().collect::<Vec<_>>());
}

#[test]
fn numbers_have_their_target_and_are_found_by_country_and_prefix() {
    let node = seen();
    let numbers = |query: &str| {
        let answer = get(&node, &format!("/api/v1/numbers?{query}"));
        members(&answer, "numbers", "number")
    };
    assert_eq!(numbers(""), ["0046500729221", "100", "+442071234567"]);
    assert_eq!(numbers("country=GB"), ["+442071234567"]);
    assert_eq!(numbers("country=SE&kind=called"), ["0046500729221"]);
    assert_eq!(numbers("kind=account"), ["100"]);
    assert_eq!(numbers("prefix=%2B44%20(20)"), ["+442071234567"]);
    assert_eq!(numbers("verification=tls"), Vec::<Value>::new());
    let number = get(&node, "/api/v1/numbers/+44%20(20)%207123-4567");
    assert_eq!(number["e164"], "+442071234567");
    assert_eq!((&number["count"], &number["country"]), (&2.into(), &"GB".into()));
    assert_eq!(node.get("/api/v1/numbers/1", at(60)).status, 404);
}

#[test]
fn user_agents_methods_transports_and_countries_are_counted() {
    let node = seen();
    let agents = get(&node, "/api/v1/user-agents?sort=count");
    assert_eq!(members(&agents, "user_agents", "user_agent")[0], "friendly-scanner");
    assert_eq!(members(&agents, "user_agents", "count"), [3, 1]);
    let methods = get(&node, "/api/v1/methods");
    let found = methods["methods"].as_array().unwrap();
    assert!(found.contains(&json!({"method": "INVITE", "count": 3})));
    assert!(found.contains(&json!({"method": "REGISTER", "count": 1})));
    let transports = get(&node, "/api/v1/transports");
    assert_eq!(members(&transports, "transports", "count"), [2, 2, 0]);
    let countries = get(&node, "/api/v1/countries");
    assert_eq!(
        members(&countries, "countries", "country"),
        [json!("GB"), Value::Null, json!("SE")]
    );
    assert_eq!(get(&node, "/api/v1/version")["version"], crate::node::VERSION);
}

#[test]
fn what_4x_promised_is_there_in_its_manner() {
    let node = seen();
    let body = |target: &str| node.get(target, at(60)).body;
    assert_eq!(
        body("/countries"),
        concat!(
            r#"{"countries_total": 2, "countries": ["#,
            r#"{"country": "SE", "seen_last": "2026-11-23 23:52:40.740127093", "seen_count": "1"}, "#,
            r#"{"country": "GB", "seen_last": "2026-11-23 23:52:38.740127093", "seen_count": "2"}]}"#
        )
    );
    assert_eq!(
        body("/sip-methods"),
        concat!(
            r#"{"sip_methods_total": 2, "sip_methods": [{"sip_method": "INVITE", "#,
            r#""seen_count": "3"}, {"sip_method": "REGISTER", "seen_count": "1"}]}"#
        )
    );
    assert!(body("/user-agents").starts_with(concat!(
        r#"{"user_agents_total": 2, "user_agents": [{"user_agent": "friendly-scanner", "#,
        r#""seen_last": "2026-11-23 23:52:40.740127093", "seen_count": "3"}"#
    )));
    let empty = Node::with(&[]);
    for target in ["/countries", "/user-agents", "/sip-methods"] {
        assert_eq!(empty.get(target, at(60)).status, 404, "{target}");
    }
}

#[test]
fn events_come_newest_first_by_page_and_one_has_its_message() {
    let node = seen();
    let answer = get(&node, "/api/v1/events");
    let times = members(&answer, "events", "time");
    assert_eq!(times.len(), 4);
    assert!(times.windows(2).all(|pair| pair[0].as_str() > pair[1].as_str()));
    let newest = &answer["events"][0];
    assert_eq!(newest["source"], "[2a00:1450:1:2::9]:5060");
    assert_eq!(newest["e164"], "+46500729221");
    let id = newest["id"].as_str().unwrap();
    let whole = get(&node, &format!("/api/v1/events/{id}"));
    assert_eq!(whole["message"], "INVITE sip:100@192.0.2.1 SIP/2.0\r\n\r\n");
    assert_eq!(whole["message_base64"], "SU5WSVRFIHNpcDoxMDBAMTkyLjAuMi4xIFNJUC8yLjANCg0K");
    assert_eq!(whole["id"], id);
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(&node, &format!("/api/v1/events?limit=3{cursor}"));
        found.extend(members(&page, "events", "time"));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(found, times);
}

#[test]
fn events_are_filtered_and_an_id_of_another_node_is_none_of_ours() {
    let node = seen();
    let count = |query: &str| {
        get(&node, &format!("/api/v1/events?{query}"))["events"].as_array().unwrap().len()
    };
    assert_eq!(count("source=198.18.0.7"), 2);
    assert_eq!(count("number=100"), 1);
    assert_eq!(count("method=REGISTER&transport=UDP"), 1);
    assert_eq!(count("verification=connected"), 2);
    assert_eq!(count("user_agent=friendly"), 3);
    assert_eq!(count("since=2026-11-23T23:52:40Z"), 1);
    let answer = get(&node, "/api/v1/events?limit=1");
    let id = answer["events"][0]["id"].as_str().unwrap();
    let other = format!("{}f{}", &id[..20], &id[21..]);
    assert_ne!(other, id);
    assert_eq!(node.get(&format!("/api/v1/events/{other}"), at(60)).status, 404);
    assert_eq!(node.get("/api/v1/events/x", at(60)).status, 400);
    assert_eq!(node.get("/api/v1/events/00000000-0000-7000-8000-00000000ffff", at(60)).status, 404);
}

#[test]
fn each_content_coding_is_a_document_of_its_own() {
    let node = seen();
    fn ask(node: &Node, coding: &str, etag: Option<&str>) -> Response {
        let asked = Request {
            accept_encoding: Some(coding),
            if_none_match: etag,
            lane: Lane::Api,
            ..request("/ip-addresses")
        };
        sentrypeer_http::handle(&node.ctx, &asked)
    }
    let mut etags = Vec::new();
    for coding in ["gzip", "br", "zstd", "identity"] {
        let response = ask(&node, coding, None);
        let named = response.headers().find(|(name, _)| *name == "Content-Encoding");
        let expected = Some(coding).filter(|coding| *coding != "identity");
        assert_eq!(named.map(|(_, value)| value.into_owned()).as_deref(), expected);
        let etag = response.etag.clone().unwrap();
        assert_eq!(ask(&node, coding, Some(&etag)).status, 304, "{coding}");
        etags.push(etag);
    }
    assert_eq!(ask(&node, "gzip", Some(&etags[1])).status, 200);
    etags.sort();
    etags.dedup();
    assert_eq!(etags.len(), 4);
}

#[test]
fn text_from_the_network_stays_inside_its_string() {
    let hostile = EventRef {
        user_agent: b"\"}]\\ \xff\x00\x1b[2J",
        number_kind: NumberKind::Called,
        transport: Transport::Tls,
        ..event("198.18.0.7", "\"}],\"x\":1", at(1))
    };
    let node = Node::with(&[hostile]);
    for target in ["/api/v1/numbers", "/api/v1/user-agents", "/api/v1/events", "/user-agents"] {
        let answer = get(&node, target);
        assert!(answer.get("x").is_none(), "{target}");
    }
}
