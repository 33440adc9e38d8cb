//! Random requests by somebody who has read `/openapi.json`: right in most, and wrong in some.

use sentrypeer_http::{Lane, Request, handle};
use sentrypeer_storage::event::EventRef;
use serde_json::Value;

use crate::node::{Node, at, event, proven};
use crate::openapi::document;

/// Numbers that look random, the same in every run (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % sides
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.roll(all.len())]
    }

    /// Bytes that mean something somewhere, percent-encoded where a target needs it.
    fn text(&mut self) -> String {
        const PIECES: [&str; 24] = [
            "198.18.0.7",
            "2a00:1:2:3::9",
            "::",
            "0",
            "1",
            "+44",
            "%2B44",
            "-1",
            "*",
            "%00",
            "%ff",
            "%",
            "tls",
            "INVITE",
            "24h",
            "none",
            "18446744073709551616",
            "1e9",
            "/",
            "%2F",
            "..",
            "2026-11-23T23:52:36Z",
            "ld0-",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ];
        (0..1 + self.roll(3)).map(|_| *self.pick(&PIECES)).collect()
    }
}

/// An operation of the document.
struct Operation {
    method: String,
    path: String,
    /// The names of its parameters, and values that their schemas allow.
    query: Vec<(String, Vec<String>)>,
    statuses: Vec<String>,
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if method == "parameters" {
                continue;
            }
            let parameters = operation["parameters"].as_array().unwrap().iter().map(|parameter| {
                let reference = parameter["$ref"].as_str().unwrap().strip_prefix('#').unwrap();
                let parameter = document.pointer(reference).unwrap();
                (parameter["name"].as_str().unwrap().to_owned(), values(&parameter["schema"]))
            });
            found.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                query: parameters.collect(),
                statuses: operation["responses"].as_object().unwrap().keys().cloned().collect(),
            });
        }
    }
    found
}

fn values(schema: &Value) -> Vec<String> {
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
    }
    let bounds = [&schema["minimum"], &schema["maximum"], &schema["default"]];
    let bounds = bounds.into_iter().filter(|bound| bound.is_u64()).map(Value::to_string);
    let known = match schema["format"].as_str() {
        Some("date-time") => vec!["2026-11-23T23:52:40Z", "1970-01-01T00:00:00Z"],
        _ if schema["type"] == "integer" => vec!["1", "7"],
        _ => vec!["198.18.0.7", "198.18.0.0/15", "+442071234567", "GB", "INVITE", "friendly", "x"],
    };
    bounds.chain(known.into_iter().map(str::to_owned)).collect()
}

/// What stands in paths.
const PARTS: [&str; 7] =
    ["198.18.0.7", "+442071234567", "csv", "nft", "stix", "misp", "manifest.json"];

impl Operation {
    /// Path and query of a request.
    fn target(&self, dice: &mut Dice, ids: &[String]) -> (String, String) {
        let mut path = String::new();
        for segment in self.path.split_inclusive('/') {
            let (name, slash) = segment.strip_suffix('/').map_or((segment, ""), |name| (name, "/"));
            let part: &str = match name.strip_prefix('{') {
                None => name,
                Some(_) if dice.roll(3) == 0 => &dice.text(),
                Some("id}") => dice.pick::<String>(ids),
                Some(_) => dice.pick::<&str>(&PARTS),
            };
            path.push_str(part);
            path.push_str(slash);
        }
        let mut query = Vec::new();
        for (name, values) in &self.query {
            if dice.roll(4) == 0 {
                let value = if dice.roll(4) == 0 { dice.text() } else { dice.pick(values).clone() };
                query.push(format!("{name}={value}"));
            }
        }
        if dice.roll(20) == 0 {
            query.push(format!("{}={}", dice.text(), dice.text()));
        }
        (path, query.join("&"))
    }
}

/// Memory that the process has, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A node that has something for every path.
fn seen() -> Node {
    let mut node = Node::with(&[]);
    let sources: Vec<String> =
        (0..300).map(|n| format!("198.18.{}.{}", n / 250, n % 250)).collect();
    node.push(sources.iter().enumerate().flat_map(|(n, source)| {
        let first = proven(source, ["+442071234567", "0046500729221", "100"][n % 3], at(n as u64));
        let odd =
            EventRef { method: b"\xff", user_agent: b"\"\r\n\x00", ..event("2a00::1", "+", at(9)) };
        [first, odd]
    }));
    node
}

/// Makes so many requests. No answer is a fault of ours, each has a status that the document has, and what
/// says that it is JSON is.
fn ask(requests: u32) -> u64 {
    let node = seen();
    let document = document(&node);
    let operations = operations(&document);
    let answer: Value =
        serde_json::from_str(&node.get("/api/v1/events?limit=9", at(400)).body).unwrap();
    let ids =
        answer["events"].as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap().to_owned());
    let ids: Vec<String> = ids.collect();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut warm, mut most, mut found) = (0, 0, 0);
    for n in 0..requests {
        let operation = dice.pick(&operations);
        let (path, query) = operation.target(&mut dice, &ids);
        let codings = [None, Some("gzip"), Some("br"), Some("zstd, gzip;q=0.1"), Some("*;q=0")];
        let request = Request {
            method: &operation.method,
            path: &path,
            query: &query,
            content_type: None,
            accept: None,
            accept_encoding: *dice.pick(&codings),
            if_none_match: *dice.pick(&[None, Some("*"), Some("\"x\"")]),
            now: at(400),
            lane: *dice.pick(&Lane::ALL),
        };
        let lane = request.lane;
        let response = handle(&node.ctx, &request);
        let (status, code) = (response.status, response.status.to_string());
        let told = format!("{} {path}?{query} on {lane:?}: {status}", operation.method);
        assert!(status < 500, "{told}");
        // What went wrong has the schema of `default`.
        let described = status >= 400 || operation.statuses.contains(&code);
        assert!(described, "{told}, not one of {:?}", operation.statuses);
        found += u32::from(status == 200);
        let is_json = response.content_type.is_some_and(|media| media.ends_with("json"))
            && response.headers().all(|(name, _)| name != "Content-Encoding");
        let body = response.body.into_bytes();
        if is_json && !body.is_empty() && !path.ends_with("jsonl") {
            assert!(serde_json::from_slice::<Value>(&body).is_ok(), "{told}");
        }
        if n % 1_024 == 0 {
            let now = resident_kib();
            // What the first thousands of requests take is taken once.
            warm = if n <= requests / 4 { now } else { warm };
            most = most.max(now.saturating_sub(warm));
        }
    }
    assert!(found > requests / 10, "only {found} of {requests} requests found something");
    println!("{requests} requests, {found} answered with 200, {most} KiB more at most");
    most
}

#[test]
fn thousands_of_requests_by_the_document_have_an_answer_each() {
    ask(8_000);
}

#[test]
#[ignore = "takes minutes: a million requests, and looks at the memory"]
fn a_million_requests_by_the_document_have_an_answer_each_and_take_no_more_memory() {
    let most = ask(1_000_000);
    assert!(most < 64 * 1024, "{most} KiB more");
}
