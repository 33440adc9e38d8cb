//! Each answer of COMPAT's table, byte by byte.

use sentrypeer_http::{Lane, Request};
use sentrypeer_storage::event::{EventRef, NumberKind, Time, Verification};
use sentrypeer_storage::policy::AllowList;

use crate::node::{Answer, Node, VERSION, at, event, proven, request};

fn seen() -> Node {
    Node::with(&[
        event("198.18.0.7", "+442071234567", at(1)),
        proven("198.18.0.7", "+442071234567", at(2)),
        event("2a00:1450:1:2::9", "00*11#", at(3)),
    ])
}

#[test]
fn the_list_of_addresses_has_the_form_of_4x_newest_first() {
    let answer = seen().get("/ip-addresses", at(60));
    let expected = concat!(
        r#"{"ip_addresses_total": 2, "ip_addresses": ["#,
        r#"{"ip_address": "2a00:1450:1:2::9", "seen_last": "2026-11-23 23:52:39.740127093", "#,
        r#""seen_count": "1", "verification": "unverified", "origin": "own", "#,
        r#""prefix": "2a00:1450:1:2::/64"}, "#,
        r#"{"ip_address": "198.18.0.7", "seen_last": "2026-11-23 23:52:38.740127093", "#,
        r#""seen_count": "2", "verification": "connected", "origin": "own"}]}"#
    );
    assert_eq!(answer.pair(), (200, expected));
}

#[test]
fn the_list_of_numbers_has_the_form_of_4x() {
    let answer = seen().get("/numbers", at(60));
    let expected = concat!(
        r#"{"called_numbers_total": 2, "called_numbers": ["#,
        r#"{"called_number": "00*11#", "seen_last": "2026-11-23 23:52:39.740127093", "#,
        r##""seen_count": "1", "kinds": ["called"], "verification": "unverified", "##,
        r#""origin": "own"}, "#,
        r#"{"called_number": "+442071234567", "seen_last": "2026-11-23 23:52:38.740127093", "#,
        r#""seen_count": "2", "kinds": ["called"], "verification": "connected", "#,
        r#""origin": "own", "e164": "+442071234567", "country": "GB", "basis": "plus"}]}"#
    );
    assert_eq!(answer.pair(), (200, expected));
}

#[test]
fn an_address_is_found_unknown_or_no_address() {
    let node = seen();
    let body = |target: &str| {
        let answer = node.get(target, at(60));
        (answer.status, answer.body)
    };
    let found = |ip| (200, format!("{{\"bad_actor_found\": \"{ip}\"}}"));
    let unknown = (404, r#"{"message": "No bad actor found"}"#.to_owned());
    let invalid = (400, r#"{"error": "The request data was invalid"}"#.to_owned());
    assert_eq!(body("/ip-addresses/198.18.0.7"), found("198.18.0.7"));
    assert_eq!(body("/ip-addresses/::ffff:198.18.0.7"), found("198.18.0.7"));
    assert_eq!(body("/ip-addresses/2a00:1450:1:2:ffff::1"), found("2a00:1450:1:2:ffff::1"));
    assert_eq!(body("/ip-addresses/2a00%3A1450:1:2::9"), found("2a00:1450:1:2::9"));
    assert_eq!(body("/ip-addresses/198.18.0.8"), unknown);
    for bad in ["1.2.3", "1.2.3.4.5", "01.2.3.4", "x", "%00", "1.2.3.4%20", "fe80::1%25eth0"] {
        assert_eq!(body(&format!("/ip-addresses/{bad}")), invalid, "{bad}");
    }
}

#[test]
fn every_ipv6_address_that_is_listed_is_found_and_none_else() {
    let sources = [
        "2a00:1450:1:2::9",
        "2a00:1450:1:2:ffff::1",
        "2a00:1450:1:3::1",
        "::ffff:192.0.2.7",
        "64:ff9b::c000:207",
        "2001:db8::1",
        "fd00::1",
        "::1",
    ];
    let events: Vec<_> = sources.iter().map(|source| proven(source, "", at(1))).collect();
    let node = Node::with(&events);
    for test_addresses in [true, false] {
        node.set_policy(|policy| policy.allow = AllowList::new([], test_addresses));
        let body = node.get("/ip-addresses", at(60)).body;
        let list: serde_json::Value = serde_json::from_str(&body).unwrap();
        let listed: Vec<(&str, Option<&str>)> = list["ip_addresses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| (entry["ip_address"].as_str().unwrap(), entry["prefix"].as_str()))
            .collect();
        assert_eq!(listed.len(), if test_addresses { 7 } else { 3 }, "{body}");
        for source in sources {
            let check = node.get(&format!("/api/v1/check?ip={source}"), at(60)).body;
            let check: serde_json::Value = serde_json::from_str(&check).unwrap();
            let (address, prefix) =
                (check["ip"]["address"].as_str().unwrap(), check["ip"]["prefix"].as_str());
            let is_listed = listed.iter().any(|(ip, of)| match prefix {
                Some(_) => *of == prefix,
                None => *ip == address,
            });
            let dip = node.get(&format!("/ip-addresses/{source}"), at(60)).status;
            assert_eq!(dip, if is_listed { 200 } else { 404 }, "{source}: {body}");
            assert_eq!(check["ip"]["listed"].as_bool(), Some(is_listed), "{source}");
        }
    }
}

#[test]
fn a_number_is_found_with_its_plus_and_its_signs_or_is_unknown() {
    let node = seen();
    let body = |target: &str| {
        let answer = node.get(target, at(60));
        (answer.status, answer.body)
    };
    let found = |number| {
        let reading = r#""e164": "+442071234567", "country": "GB", "basis": "plus""#;
        (200, format!("{{\"phone_number_found\": \"{number}\", {reading}}}"))
    };
    let unread = (200, r##"{"phone_number_found": "00*11#"}"##.to_owned());
    let unknown = (404, r#"{"message": "No phone number found"}"#.to_owned());
    assert_eq!(body("/numbers/+442071234567"), found("+442071234567"));
    assert_eq!(body("/numbers/%2B442071234567"), found("+442071234567"));
    assert_eq!(body("/numbers/+44(20)7123-4567"), found("+44(20)7123-4567"));
    assert_eq!(body("/numbers/00*11%23"), unread);
    assert_eq!(body("/numbers/442071234567"), unknown);
    assert_eq!(body("/numbers/12345678901234567890"), unknown);
    assert_eq!(body("/numbers/%ff%00"), unknown);
}

#[test]
fn empty_lists_are_not_found() {
    let node = Node::with(&[]);
    let answer = node.get("/ip-addresses", at(60));
    assert_eq!(answer.pair(), (404, r#"{"message": "No bad actors found"}"#));
    let answer = node.get("/numbers", at(60));
    assert_eq!(answer.pair(), (404, r#"{"message": "No phone numbers found"}"#));
}

#[test]
fn health_is_json_for_a_request_that_says_json_and_a_page_otherwise() {
    let node = Node::with(&[]);
    let json = format!(
        "{{\"status\": \"OK\", \"message\": \"Hello from SentryPeer!\", \"version\": \"{VERSION}\"}}"
    );
    let asked = Request { content_type: Some("application/json"), ..request("/health-check") };
    let answer = node.ask(asked);
    assert_eq!(answer.pair(), (200, json.as_str()));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let accepts = Request { accept: Some("application/json"), ..request("/health-check") };
    assert_eq!(node.ask(accepts).pair(), (200, json.as_str()));
    let browser = Some("text/html,application/json;q=0.9,*/*;q=0.8");
    for accept in [None, Some("*/*"), browser] {
        let answer = node.ask(Request { accept, ..request("/health-check") });
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(answer.body.contains("Hello from SentryPeer!"));
    }
}

#[test]
fn the_root_and_other_paths_answer_as_in_4x() {
    let node = seen();
    assert_eq!(node.get("/", at(60)).pair(), (200, r#"{"status": "OK"}"#));
    let unknown = r#"{"error": "The requested resource could not be found."}"#;
    for path in ["/x", "/ip-addresses/", "/ip-addresses/198.18.0.7/", "/numbers/1/2", "//", "*"] {
        assert_eq!(node.get(path, at(60)).pair(), (404, unknown), "{path}");
    }
}

#[test]
fn every_answer_names_the_program_and_only_paths_of_4x_are_open_to_any_origin() {
    let node = seen();
    let of_4x =
        ["/", "/health-check", "/ip-addresses", "/ip-addresses/1", "/numbers", "/numbers/1"];
    let others = ["/api/v1/check", "/metrics", "/ip-addresses/ipset", "/livez", "/readyz", "/x"];
    for path in of_4x.into_iter().chain(others) {
        let answer = node.get(path, at(60));
        assert_eq!(answer.header("x-powered-by"), Some("SentryPeer"), "{path}");
        assert_eq!(answer.header("x-sentrypeer-version"), Some(VERSION), "{path}");
        assert!(answer.header("content-type").is_some(), "{path}");
        let origin = answer.header("access-control-allow-origin");
        assert_eq!(origin, of_4x.contains(&path).then_some("*"), "{path}");
    }
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let node = seen();
    for path in ["/", "/health-check", "/ip-addresses", "/ip-addresses/1", "/metrics", "/x"] {
        let got = node.get(path, at(60));
        let head = node.ask(Request { method: "HEAD", ..request(path) });
        assert_eq!(head.status, got.status, "{path}");
        assert_eq!(head.headers, got.headers, "{path}");
        assert!(head.body.is_empty(), "{path}");
    }
}

#[test]
fn other_methods_are_refused_with_what_works() {
    let node = seen();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", "TRACE", ""] {
        let answer = node.ask(Request { method, ..request("/ip-addresses") });
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
}

#[test]
fn what_is_on_the_allow_list_is_nowhere() {
    let node = seen();
    node.set_policy(|policy| {
        let own = ["198.18.0.7", "2a00:1450:1:2::1"].map(|ip| ip.parse().unwrap());
        policy.allow = AllowList::new(own, false);
    });
    assert_eq!(node.get("/ip-addresses", at(60)).status, 404);
    assert_eq!(node.get("/ip-addresses/198.18.0.7", at(60)).status, 404);
    let answer = node.get("/api/v1/check?ip=198.18.0.7", at(60));
    assert_eq!(
        answer.pair(),
        (
            200,
            concat!(
                r#"{"ip": {"address": "198.18.0.7", "listed": false, "blocked": false, "#,
                r#""allowed": "this node's own address"}}"#
            )
        )
    );
}

/// Whether each output that something acts on names the source, or the number that it called.
fn acted_on(node: &Node, ip: &str, number: &str) -> [bool; 7] {
    let get = |path: &str| node.get(path, at(60));
    let check: serde_json::Value =
        serde_json::from_str(&get(&format!("/api/v1/check?ip={ip}&number={number}")).body).unwrap();
    let family = if ip.contains(':') { 6 } else { 4 };
    let feed = get(&format!("/ip-addresses/ipset?family={family}&allow_empty=1")).body;
    [
        get("/ip-addresses").body.contains(&format!("\"{ip}\"")),
        get(&format!("/ip-addresses/{ip}")).status == 200,
        check["ip"]["listed"] == true || check["ip"]["blocked"] == true,
        feed.lines().any(|line| line.starts_with("add ") && line.contains(&ip[..8])),
        get("/numbers").body.contains(&format!("\"{number}\"")),
        get(&format!("/numbers/{number}")).status == 200,
        check["number"]["listed"] == true,
    ]
}

#[test]
fn no_acting_output_names_an_address_a_prefix_or_a_number_that_the_operator_lists() {
    let cases: [(&str, &str, &[&str], &[&str]); 4] = [
        ("198.18.0.7", "00442071234567", &["198.18.0.7"], &["+442071234567"]),
        ("198.18.9.9", "+44800123456", &["198.18.0.0/16"], &["+44800*"]),
        ("2a00:1450:1:2::9", "7000", &["2a00:1450:1:2:ffff::1"], &["70*"]),
        ("2a00:1450:7::1", "911", &["2a00:1450::/32"], &[]),
    ];
    for (ip, number, addresses, numbers) in cases {
        let events = [proven(ip, number, at(1)), proven("198.51.100.1", "+46500729221", at(2))];
        let node = Node::with(&events);
        let emergency = numbers.is_empty();
        let [sources @ .., c, d, e] = acted_on(&node, ip, number);
        assert_eq!((sources, [c, d, e]), ([true; 4], [!emergency; 3]), "{ip} {number}");
        node.set_policy(|policy| {
            policy.allow = AllowList::new([], true)
                .with_prefixes(addresses.iter().map(|text| text.parse().unwrap()))
                .with_numbers(numbers.iter().map(|text| text.parse().unwrap()));
        });
        assert_eq!(acted_on(&node, ip, number), [false; 7], "{ip} {number}");
        assert_eq!(acted_on(&node, "198.51.100.1", "+46500729221"), [true; 7]);
        let check = node.get(&format!("/api/v1/check?ip={ip}&number={number}"), at(60)).body;
        assert!(check.contains("\"allowed\": \"the allow-list ("), "{check}");
        let reason = if emergency { "an emergency number" } else { "the allow-list" };
        assert!(check.contains(&format!("\"allowed\": \"{reason}\"")), "{check}");
        let kept = node.ctx.store.snapshot().unwrap();
        assert_eq!((kept.sources.len(), kept.numbers.len()), (2, 2), "it is no longer recorded");
    }
}

#[test]
fn what_was_seen_longer_ago_than_the_retention_is_not_listed() {
    let node = seen();
    let week = 7 * 86_400;
    let only_last = node.get("/ip-addresses", Time(at(week + 3).0 - 1));
    assert!(only_last.body.starts_with(r#"{"ip_addresses_total": 1, "#));
    assert_eq!(node.get("/ip-addresses", at(week + 3)).status, 404);
    assert_eq!(node.get("/numbers/00*11%23", at(week + 3)).status, 404);
}

fn check(query: &str) -> Answer {
    seen().get(&format!("/api/v1/check?{query}"), at(3))
}

#[test]
fn check_says_what_is_known_and_whether_it_is_blocked() {
    let expected = concat!(
        r#"{"ip": {"address": "198.18.0.7", "listed": true, "blocked": true, "#,
        r#""verification": "connected", "origin": "own", "#,
        r#""seen_first": "2026-11-23T23:52:37.740127093Z", "#,
        r#""seen_last": "2026-11-23T23:52:38.740127093Z", "seen_count": 2, "score": 1.585}}"#
    );
    assert_eq!(check("ip=198.18.0.7").pair(), (200, expected));
    let unproven = check("ip=2a00:1450:1:2::9").body;
    assert!(
        unproven.contains(r#""prefix": "2a00:1450:1:2::/64", "listed": true, "blocked": false"#)
    );
    let unknown = r#"{"ip": {"address": "198.18.0.8", "listed": false, "blocked": false}}"#;
    assert_eq!(check("ip=198.18.0.8").pair(), (200, unknown));
}

#[test]
fn check_takes_a_number_alone_or_beside_an_address() {
    let expected = concat!(
        r#"{"number": {"number": "+442071234567", "listed": true, "#,
        r#""verification": "connected", "origin": "own", "#,
        r#""seen_first": "2026-11-23T23:52:37.740127093Z", "#,
        r#""seen_last": "2026-11-23T23:52:38.740127093Z", "seen_count": 2, "kinds": ["called"], "#,
        r#""e164": "+442071234567", "country": "GB", "basis": "plus"}}"#
    );
    assert_eq!(check("number=+442071234567").pair(), (200, expected));
    let both = check("ip=198.18.0.8&number=%2B1").body;
    let expected = concat!(
        r#"{"ip": {"address": "198.18.0.8", "listed": false, "blocked": false}, "#,
        r#""number": {"number": "+1", "listed": false}}"#
    );
    assert_eq!(both, expected);
    let unseen = check("number=981046500729221").body;
    let expected = concat!(
        r#"{"number": {"number": "981046500729221", "listed": false, "#,
        r#""e164": "+46500729221", "country": "SE", "basis": "prefix"}}"#
    );
    assert_eq!(unseen, expected);
    let satellite = check("number=00881612345678").body;
    assert!(satellite.contains(r#""e164": "+881612345678", "basis": "prefix"}"#), "{satellite}");
}

#[test]
fn check_names_what_it_does_not_understand() {
    let neither = concat!(
        r#"{"type": "about:blank", "title": "Bad Request", "status": 400, "#,
        r#""detail": "Ask for ip=, number=, or both."}"#
    );
    assert_eq!(check("").pair(), (400, neither));
    assert_eq!(check("number=").pair(), (400, neither));
    assert!(check("ip=1.2.3").body.contains(r#"\"ip\": \"1.2.3\" is not an IP address"#));
    assert_eq!(check("ips=1.2.3.4").status, 400);
}

#[test]
fn a_number_that_was_tried_as_an_account_says_so() {
    let register = EventRef {
        number_kind: NumberKind::Account,
        verification: Verification::Tls,
        ..event("198.18.0.7", "100", at(1))
    };
    let node = Node::with(&[register]);
    assert!(node.get("/numbers", at(2)).body.contains(r#""kinds": ["account"]"#));
}

#[test]
fn text_from_the_network_stays_inside_its_string() {
    let node = Node::with(&[event("198.18.0.7", "\"},\u{0}\n<b>", at(1))]);
    let body = node.get("/numbers", at(2)).body;
    assert!(body.contains(r#""called_number": "\"},\u0000\n<b>""#), "{body}");
}

#[test]
fn the_status_is_what_the_engine_says() {
    let answer = Node::with(&[]).ask(Request { lane: Lane::Control, ..request("/api/v1/status") });
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&answer.body).unwrap(),
        crate::node::status()
    );
}

#[test]
fn metrics_count_events_and_requests_and_end_with_those_of_the_engine() {
    let node = seen();
    node.get("/ip-addresses/198.18.0.9", at(60));
    let answer = node.get("/metrics", at(60));
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "sentrypeer_info{version=\"9.8.7\"} 1",
        "# TYPE sentrypeer_events_by_transport_total counter",
        "sentrypeer_events_by_transport_total{transport=\"UDP\"} 2",
        "sentrypeer_events_by_method_total{method=\"INVITE\"} 3",
        "sentrypeer_snapshot_rows{table=\"sources\"} 2",
        "sentrypeer_writer_events_stored_total 3",
        concat!(
            r#"sentrypeer_http_requests_total{lane="api",route="/ip-addresses/{ip}","#,
            r#"status="4xx"} 1"#
        ),
    ] {
        assert!(answer.body.lines().any(|l| l == line), "{line} is not in\n{}", answer.body);
    }
    assert!(answer.body.ends_with("# engine\n"));
    assert!(!answer.body.contains("198.18"));
}

#[test]
fn metrics_have_help_and_type_once_before_their_samples() {
    let body = seen().get("/metrics", at(60)).body;
    let mut declared: Vec<String> = Vec::new();
    for line in body.lines().filter(|line| *line != "# engine") {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().unwrap().to_owned();
            assert!(!declared.contains(&name), "{name} twice");
            declared.push(name);
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            assert_eq!(declared.last().map(String::as_str), Some(name));
            assert!(name.starts_with("sentrypeer_"));
            assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
        }
    }
}
