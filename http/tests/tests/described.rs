//! Random requests by somebody who has read `/openapi.json` have an answer each.

use sentrypeer_http::{Lane, Request, handle};
use sentrypeer_storage::event::EventRef;
use serde_json::Value;

use crate::node::{Node, at, event, proven};
use crate::openapi::document;
use crate::requests::{Dice, operations};

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
