//! The objects of the answers.

use serde_json::{Map, Value, json};

/// An object: its members, each with its schema; those with a `?` may be left out.
fn object(members: &[(&str, Value)]) -> Value {
    let name = |name: &str| name.trim_end_matches('?').to_owned();
    let required: Vec<String> =
        members.iter().filter(|(n, _)| !n.ends_with('?')).map(|(n, _)| name(n)).collect();
    let properties: Map<String, Value> =
        members.iter().map(|(n, schema)| (name(n), schema.clone())).collect();
    json!({"type": "object", "required": required, "properties": properties})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn count() -> Value {
    json!({"type": "integer", "format": "int64", "minimum": 0})
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn word(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

/// The same, or `null`.
fn or_null(mut schema: Value) -> Value {
    schema["type"] = json!([schema["type"], "null"]);
    schema
}

fn yes_or_no() -> Value {
    json!({"type": "boolean"})
}

fn refer(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn list(of: impl Into<Value>) -> Value {
    let of: Value = of.into();
    json!({"type": "array", "items": of})
}

/// A list of the objects of another schema, with its total.
fn page(member: &str, of: &str) -> Value {
    object(&[
        ("total", count()),
        ("generation", count()),
        (member, list(refer(of))),
        ("next?", text()),
    ])
}

/// Whom a number is for, and the members that go before.
fn with_reading(members: &[(&str, Value)]) -> Value {
    let reading = [("e164?", text()), ("country?", text()), ("basis?", text())];
    object(&[members, &reading].concat())
}

/// All of them, by name.
pub(super) fn all() -> Value {
    let mut all = Map::new();
    for (name, schema) in of_the_node().into_iter().chain(of_4x()).chain(of_v1()).chain(of_feeds())
    {
        all.insert(name.to_owned(), schema);
    }
    Value::Object(all)
}

fn of_the_node() -> Vec<(&'static str, Value)> {
    vec![
        ("Any", json!({"type": "object"})),
        ("Status", status()),
        ("OutputStatus", output_status()),
        ("PeersStatus", peers_status()),
        ("Ok", object(&[("status", text())])),
        (
            "Health",
            object(&[
                ("status", text()),
                ("message", text()),
                ("version", text()),
                ("outputs?", list(refer("OutputStatus"))),
                ("peers?", refer("PeersStatus")),
            ]),
        ),
        ("Version", object(&[("name", text()), ("version", text())])),
        ("Refusal", object(&[("error", text())])),
        ("Nothing", json!({"type": "object"})),
        (
            "Problem",
            object(&[("type", text()), ("title", text()), ("status", count()), ("detail", text())]),
        ),
        (
            "Credentials",
            object(&[
                ("grant_type?", text()),
                ("client_id?", text()),
                ("client_secret?", text()),
                ("scope?", text()),
            ]),
        ),
        (
            "Issued",
            object(&[
                ("access_token", text()),
                ("token_type", text()),
                ("expires_in", count()),
                ("scope", text()),
            ]),
        ),
        ("Allowed", allowed()),
        (
            "AllowList",
            object(&[("total", count()), ("entries", list(refer("Allowed"))), ("next?", text())]),
        ),
        ("AllowAddition", object(&[("entry", text()), ("reason", text()), ("expires?", time())])),
        ("Removed", object(&[("removed", text())])),
        ("OauthError", object(&[("error", text()), ("error_description?", text())])),
    ]
}

/// How a node does. What is `null` is not known yet, or there is none of it.
fn status() -> Value {
    let known = || or_null(count());
    object(&[
        ("version", text()),
        ("node_id", json!({"type": "string", "format": "uuid"})),
        ("database", text()),
        ("phase", word(&["opening", "replaying", "ready", "degraded", "failed", "stopped"])),
        ("driver", text()),
        ("shards", count()),
        ("mode", word(&["responsive", "passive"])),
        ("listening", list(text())),
        ("events", known()),
        ("last_event", known()),
        ("sources", known()),
        ("numbers", known()),
        ("datagrams_received", count()),
        ("events_shed", count()),
        ("kernel_drops", count()),
        ("outputs", or_null(list(refer("OutputStatus")))),
        ("peers", json!({"oneOf": [refer("PeersStatus"), {"type": "null"}]})),
    ])
}

fn output_status() -> Value {
    object(&[
        ("name", text()),
        ("state", word(&["starting", "running", "failing", "paused", "ended"])),
        ("lag_events", count()),
        ("lag_s", count()),
        ("failures", count()),
    ])
}

/// While sharing starts there is its state alone.
fn peers_status() -> Value {
    object(&[
        ("state", word(&["starting", "running", "restarting"])),
        ("port?", count()),
        ("shares?", yes_or_no()),
        ("known?", count()),
        ("readable?", count()),
        ("listed_addresses?", count()),
        ("listed_numbers?", count()),
        ("is_lonely?", yes_or_no()),
        ("held?", or_null(text())),
    ])
}

fn allowed() -> Value {
    object(&[
        ("entry", text()),
        ("kind", text()),
        ("reason", text()),
        ("origin", text()),
        ("expires?", time()),
    ])
}

fn of_4x() -> Vec<(&'static str, Value)> {
    let seen = [("seen_last", text()), ("seen_count", text())];
    let origin = [("verification", text()), ("origin", text())];
    let counted = |name| object(&[&[(name, text())], &seen[..]].concat());
    let total = |total, member, of| object(&[(total, count()), (member, list(of))]);
    let address =
        object(&[&[("ip_address", text()), ("prefix?", text())], &seen[..], &origin[..]].concat());
    let number = with_reading(
        &[&[("called_number", text()), ("kinds", list(text()))], &seen[..], &origin[..]].concat(),
    );
    vec![
        ("BadActor", object(&[("bad_actor_found", text())])),
        ("PhoneNumber", with_reading(&[("phone_number_found", text())])),
        ("IpAddresses", total("ip_addresses_total", "ip_addresses", address)),
        ("CalledNumbers", total("called_numbers_total", "called_numbers", number)),
        ("CountryList", total("countries_total", "countries", counted("country"))),
        ("UserAgentList", total("user_agents_total", "user_agents", counted("user_agent"))),
        (
            "SipMethodList",
            total(
                "sip_methods_total",
                "sip_methods",
                object(&[("sip_method", text()), ("seen_count", text())]),
            ),
        ),
    ]
}

fn of_v1() -> Vec<(&'static str, Value)> {
    let seen = [("first_seen", time()), ("last_seen", time()), ("count", count())];
    let origin = [("verification", text()), ("origin", text())];
    let source = [
        ("address", text()),
        ("prefix?", text()),
        ("methods", list(text())),
        ("transports", list(text())),
        ("anomalies", list(text())),
        ("score", json!({"type": "number"})),
        ("blocked", yes_or_no()),
        ("blocked_until?", time()),
        ("why", text()),
    ];
    let number = [("number", text()), ("kinds", list(text())), ("allowed?", text())];
    let history = [("history?", refer("History"))];
    let agent = [("user_agent", text())];
    let counted = |name: &'static str| object(&[(name, text()), ("count", count())]);
    let totals = |member: &'static str, name| {
        object(&[("generation", count()), (member, list(counted(name)))])
    };
    let country = object(&[
        ("country", json!({"type": ["string", "null"]})),
        ("numbers", count()),
        ("count", count()),
        ("last_seen", time()),
    ]);
    vec![
        ("Source", object(&[&source[..], &seen[..], &origin[..]].concat())),
        ("OneSource", object(&[&source[..], &seen[..], &origin[..], &history].concat())),
        ("Sources", page("sources", "Source")),
        ("Number", with_reading(&[&number[..], &seen[..], &origin[..]].concat())),
        ("OneNumber", with_reading(&[&number[..], &seen[..], &origin[..], &history].concat())),
        ("Numbers", page("numbers", "Number")),
        ("UserAgent", object(&[&agent[..], &seen[..]].concat())),
        ("UserAgents", page("user_agents", "UserAgent")),
        ("Methods", totals("methods", "method")),
        ("Transports", totals("transports", "transport")),
        (
            "Countries",
            object(&[("total", count()), ("generation", count()), ("countries", list(country))]),
        ),
        ("CountedHour", object(&[("hour", time()), ("count", count())])),
        ("History", history_of_one()),
        ("Rollups", rollups()),
        ("Check", object(&[("ip?", check_of_ip()), ("number?", check_of_number())])),
        ("Event", event(&[])),
        ("WholeEvent", event(&[("message", text()), ("message_base64", text())])),
        (
            "Events",
            object(&[("events", list(refer("Event"))), ("damaged?", count()), ("next?", text())]),
        ),
    ]
}

fn history_of_one() -> Value {
    object(&[
        ("span", text()),
        ("since", time()),
        ("complete", yes_or_no()),
        ("hours", list(refer("CountedHour"))),
    ])
}

fn rollups() -> Value {
    let entry = object(&[("key", json!({"type": ["string", "null"]})), ("count", count())]);
    object(&[
        ("span", text()),
        ("since", time()),
        ("until", time()),
        ("events", count()),
        ("hours", list(refer("CountedHour"))),
        ("by?", text()),
        ("entries?", list(entry)),
        ("others?", count()),
    ])
}

fn event(more: &[(&str, Value)]) -> Value {
    let members = [
        ("id", json!({"type": "string", "format": "uuid"})),
        ("time", time()),
        ("source", text()),
        ("destination", text()),
        ("transport", text()),
        ("verification", text()),
        ("collected", text()),
        ("method?", text()),
        ("number?", text()),
        ("number_kind?", text()),
        ("user_agent?", text()),
        ("anomalies_observed", list(text())),
        ("anomalies_invalid", list(text())),
    ];
    with_reading(&[&members[..], more].concat())
}

/// What both halves of a check have when something was seen.
fn checked() -> [(&'static str, Value); 8] {
    let peers = [("voters", count()), ("seen_last", time()), ("until", time())];
    [
        ("peers?", object(&peers)),
        ("listed", yes_or_no()),
        ("allowed?", text()),
        ("verification?", text()),
        ("origin?", text()),
        ("seen_first?", time()),
        ("seen_last?", time()),
        ("seen_count?", count()),
    ]
}

fn check_of_ip() -> Value {
    let members = [
        ("address", text()),
        ("prefix?", text()),
        ("blocked", yes_or_no()),
        ("score?", json!({"type": "number"})),
    ];
    object(&[&members[..], &checked()[..]].concat())
}

fn check_of_number() -> Value {
    let members = [("number", text()), ("kinds?", list(text()))];
    with_reading(&[&members[..], &checked()[..]].concat())
}

fn of_feeds() -> Vec<(&'static str, Value)> {
    let decision = object(&[
        ("id", count()),
        ("origin", text()),
        ("type", text()),
        ("scope", text()),
        ("value", text()),
        ("duration", text()),
        ("scenario", text()),
    ]);
    vec![
        ("Decision", decision),
        (
            "Decisions",
            object(&[("new", list(refer("Decision"))), ("deleted", list(refer("Decision")))]),
        ),
        ("Banned", object(&[("ipaddress", list(text())), ("ID", text())])),
    ]
}
