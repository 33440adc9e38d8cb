//! `/openapi.json` says what the router does.

use std::collections::BTreeSet;

use sentrypeer_http::endpoint::{Endpoint, SPECS};
use sentrypeer_storage::event::{EventRef, NumberKind};
use serde_json::{Value, json};

use crate::node::{Node, at, event, proven};

pub fn document(node: &Node) -> Value {
    let answer = node.get("/openapi.json", at(60));
    assert_eq!(answer.status, 200);
    serde_json::from_str(&answer.body).unwrap()
}

fn seen() -> Node {
    let account = EventRef {
        method: b"REGISTER",
        number_kind: NumberKind::Account,
        ..event("198.18.0.9", "100", at(3))
    };
    Node::with(&[
        proven("198.18.0.7", "+442071234567", at(2)),
        account,
        proven("2a00:1450:1:2::9", "0046500729221", at(4)),
        event("198.18.0.9", "+881612345678", at(5)),
    ])
}

#[test]
fn it_has_every_path_with_its_methods_and_no_other() {
    let node = seen();
    let document = document(&node);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], crate::node::VERSION);
    let mut found = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            found.insert((path.clone(), method.to_uppercase()));
        }
    }
    let is_path = |endpoint| ![Endpoint::Unknown, Endpoint::V1Unknown].contains(&endpoint);
    let expected: BTreeSet<_> = SPECS
        .iter()
        .filter(|spec| is_path(spec.endpoint))
        .flat_map(|spec| spec.methods.split(", ").map(|m| (spec.pattern.to_owned(), m.to_owned())))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn every_operation_has_its_own_id_and_every_reference_leads_somewhere() {
    let node = seen();
    let document = document(&node);
    let mut ids = BTreeSet::new();
    for operations in document["paths"].as_object().unwrap().values() {
        for operation in operations.as_object().unwrap().values().filter(|o| o.is_object()) {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()));
        }
    }
    assert!(ids.len() > 60, "{}", ids.len());
    each_reference(&document, &mut |reference| {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    });
}

fn each_reference(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::Object(members) => {
            members.get("$ref").and_then(Value::as_str).into_iter().for_each(&mut *each);
            members.values().for_each(|value| each_reference(value, each));
        }
        Value::Array(values) => values.iter().for_each(|value| each_reference(value, each)),
        _ => {}
    }
}

/// The parameters of a path's query: name, and a value that fits the schema.
fn queries(document: &Value, path: &str) -> Vec<(String, String)> {
    let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
    let described = parameters.iter().map(|parameter| {
        let reference = parameter["$ref"].as_str().unwrap();
        document.pointer(reference.strip_prefix('#').unwrap()).unwrap()
    });
    described.map(|p| (p["name"].as_str().unwrap().to_owned(), example(p))).collect()
}

fn example(parameter: &Value) -> String {
    let schema = &parameter["schema"];
    let word = schema["enum"].get(0).and_then(Value::as_str);
    let by_name = match parameter["name"].as_str().unwrap() {
        "method" => Some("INVITE"),
        "country" => Some("GB"),
        "ip" | "source" => Some("198.18.0.7"),
        "prefix" => Some("198.18.0.0/15"),
        "set" | "name" => Some("x"),
        "cursor" => Some("77"),
        _ => None,
    };
    let by_type = match (schema["type"].as_str().unwrap(), schema["format"].as_str()) {
        ("integer", _) => "5",
        (_, Some("date-time")) => "2026-11-23T00:00:00Z",
        _ => "x",
    };
    word.or(by_name).unwrap_or(by_type).to_owned()
}

#[test]
fn every_parameter_that_it_names_is_known_and_none_is_left_out() {
    let node = seen();
    let document = document(&node);
    for spec in SPECS.iter().filter(|spec| spec.methods.contains("GET")) {
        if [Endpoint::Unknown, Endpoint::V1Unknown].contains(&spec.endpoint) {
            continue;
        }
        let path = real(spec.pattern);
        let queries = queries(&document, spec.pattern);
        for (name, value) in &queries {
            let answer = node.get(&format!("{path}?{name}={value}"), at(60));
            // A page's cursor has a form of its own.
            let fits = answer.status != 400 || (name == "cursor" && answer.body.contains("cursor"));
            assert!(fits, "{path}?{name}={value}: {}", answer.body);
        }
        let refused = node.get(&format!("{path}?no-such=1"), at(60));
        let Some(known) = refused.body.split("known are: ").nth(1) else { continue };
        let known = known.split(['"', '\\']).next().unwrap();
        let known: BTreeSet<&str> = known.split(", ").collect();
        // Bouncers send more than can change anything.
        let idle = ["scenarios_containing", "scenarios_not_containing", "dedup", "type"];
        let known: BTreeSet<&str> =
            known.into_iter().filter(|name| !idle.contains(name) && *name != "none").collect();
        let named: BTreeSet<&str> = queries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(named, known, "{path}");
    }
}

#[test]
fn the_page_for_people_is_allowed_its_own_style_and_nothing_else() {
    let node = Node::with(&[]);
    let answer = node.get("/docs", at(60));
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    let style = answer.body.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = ring::digest::digest(&ring::digest::SHA256, style.as_bytes());
    let hash = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, hash);
    let policy = answer.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with(&format!("default-src 'none'; style-src 'sha256-{hash}';")),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
}

/// A path that a pattern fits and that finds something.
fn real(pattern: &str) -> String {
    let pattern = pattern.replace("{ip}", "198.18.0.7").replace("{number}", "+442071234567");
    pattern.replace("{format}", "csv").replace("{file}", "manifest.json").replace("{key}", "k")
}

/// Whether a value is as its schema says. Members that the schema does not name are no breach of it in
/// JSON Schema, but of our promise to name them all.
pub fn fits(document: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
        return fits(document, schema, value, place);
    }
    if let Some(kinds) = schema["oneOf"].as_array() {
        let is_null = |kind: &&Value| kind["type"] == "null";
        let kind = kinds.iter().find(|kind| is_null(kind) == value.is_null());
        return fits(document, kind.unwrap_or_else(|| panic!("{place}: {value}")), value, place);
    }
    if let Some(words) = schema["enum"].as_array().filter(|_| value.is_string()) {
        assert!(words.contains(value), "{place}: {value} is none of {words:?}");
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        kind => vec![kind.as_str().unwrap()],
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() && !kinds.contains(&"number") => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(kinds.contains(&kind), "{place}: {kind} is none of {kinds:?}");
    for item in value.as_array().into_iter().flatten() {
        fits(document, &schema["items"], item, &format!("{place}[]"));
    }
    let (Some(members), Some(properties)) = (value.as_object(), schema["properties"].as_object())
    else {
        return;
    };
    for name in schema["required"].as_array().unwrap() {
        assert!(members.contains_key(name.as_str().unwrap()), "{place} has no {name}");
    }
    for (name, member) in members {
        let place = format!("{place}.{name}");
        let schema = properties.get(name).unwrap_or_else(|| panic!("{place} is not described"));
        fits(document, schema, member, &place);
    }
}

#[test]
fn answers_are_as_their_schemas_say() {
    let node = seen();
    let document = document(&node);
    let event = node.get("/api/v1/events?limit=1", at(60)).body;
    let event: Value = serde_json::from_str(&event).unwrap();
    let id = event["events"][0]["id"].as_str().unwrap();
    for (pattern, described) in document["paths"].as_object().unwrap() {
        let success = &described["get"]["responses"]["200"]["content"]["application/json"];
        // The router does not know the allow-list: its answers are looked at in `allow`.
        if success.is_null() || ["/health-check", "/api/v1/allow-list"].contains(&&**pattern) {
            continue;
        }
        for target in targets(pattern, id) {
            let answer = node.get(&target, at(60));
            assert_eq!(answer.status, 200, "{target}: {}", answer.body);
            let value: Value = serde_json::from_str(&answer.body).unwrap();
            fits(&document, &success["schema"], &value, &target);
        }
    }
    let problem = node.get("/api/v1/check", at(60)).body;
    let schema = &document["components"]["schemas"]["Problem"];
    fits(&document, schema, &serde_json::from_str(&problem).unwrap(), "a problem");
    let refusal = node.get("/ip-addresses/x", at(60)).body;
    let schema = &document["components"]["schemas"]["Refusal"];
    fits(&document, schema, &serde_json::from_str(&refusal).unwrap(), "a refusal");
}

/// The names before a colon in the part of the engine's source that makes the status.
fn said_by_the_engine() -> BTreeSet<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/src/context.rs");
    let source = std::fs::read_to_string(path).unwrap();
    let source = source.split("#[cfg(test)]").next().unwrap();
    let before_colon = source.split("\":").filter_map(|text| text.rsplit('"').next());
    let is_name =
        |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    before_colon.filter(is_name).map(str::to_owned).collect()
}

#[test]
fn the_status_is_described_member_by_member() {
    let document = document(&seen());
    let schemas = &document["components"]["schemas"];
    let mut described = BTreeSet::new();
    for name in ["Status", "OutputStatus", "PeersStatus"] {
        described.extend(schemas[name]["properties"].as_object().unwrap().keys().cloned());
    }
    assert_eq!(said_by_the_engine(), described);
    // As it is without outputs, with some, and while sharing starts or goes on.
    let output =
        json!({"name": "json-log", "state": "failing", "lag_events": 7, "lag_s": 9, "failures": 1});
    let running = json!({
        "state": "running", "port": 4222, "shares": true, "known": 3, "readable": 2,
        "listed_addresses": 9, "listed_numbers": 0, "is_lonely": false, "held": null,
    });
    for (outputs, peers) in [
        (Value::Null, Value::Null),
        (json!([output]), json!({"state": "starting"})),
        (json!([output, output]), running),
    ] {
        let mut status = crate::node::status();
        (status["outputs"], status["peers"]) = (outputs.clone(), peers.clone());
        fits(&document, &schemas["Status"], &status, "/api/v1/status");
        let mut health = json!({"status": "OK", "message": "x", "version": "1.2.3"});
        if !outputs.is_null() {
            (health["outputs"], health["peers"]) = (outputs, peers);
        }
        fits(&document, &schemas["Health"], &health, "/health-check");
    }
}

fn targets(pattern: &str, event: &str) -> Vec<String> {
    match pattern {
        "/api/v1/check" => vec![
            "/api/v1/check?ip=198.18.0.7&number=%2B442071234567".to_owned(),
            "/api/v1/check?ip=2a00:1450:1:2::1&number=1".to_owned(),
            "/api/v1/check?ip=127.0.0.1&number=112".to_owned(),
        ],
        "/api/v1/events/{id}" => vec![format!("/api/v1/events/{event}")],
        "/api/v1/rollups" => ["", "?by=country", "?by=source&span=1h&limit=1"]
            .map(|query| format!("/api/v1/rollups{query}"))
            .into(),
        "/api/{key}/banned/{id}" => vec!["/api/k/banned/1".to_owned()],
        "/api/v1/sources" => {
            vec!["/api/v1/sources".to_owned(), "/api/v1/sources?limit=1".to_owned()]
        }
        _ => vec![real(pattern)],
    }
}
