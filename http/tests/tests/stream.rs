//! `/api/v1/events/stream` over real sockets.

use std::io::{BufRead, Read};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use sentrypeer_http::Lane;
use sentrypeer_http::counters::Incident;
use sentrypeer_http::front::api::{Front, serve};
use sentrypeer_http::front::dip;
use sentrypeer_http::limits::{API_STREAMS_MAX, STREAM_EVENTS_MAX};
use sentrypeer_storage::event::EventRef;
use serde_json::Value;

use crate::client::Client;
use crate::node::{Node, at, event, proven, wait_until};

const TARGET: &str = "/api/v1/events/stream";

fn served(node: &Node) -> (Front, SocketAddr) {
    let listeners = vec![TcpListener::bind("127.0.0.1:0").unwrap()];
    let front = serve(listeners, Arc::clone(&node.ctx)).unwrap();
    let address = front.addresses()[0];
    (front, address)
}

/// A live stream as a browser reads it.
struct Stream {
    client: Client,
    buffer: String,
    /// The id that was given last: what a browser sends as `Last-Event-ID`.
    last_id: String,
}

impl Stream {
    fn open(address: SocketAddr, query: &str, last: Option<&str>) -> Self {
        let mut client = Client::connect(address);
        let last = last.map_or(String::new(), |last| format!("Last-Event-ID: {last}\r\n"));
        let head = format!("GET {TARGET}{query} HTTP/1.1\r\nHost: localhost\r\n{last}\r\n");
        client.send(head.as_bytes());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(client.stream.read_line(&mut head).unwrap(), 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.to_lowercase().contains("content-type: text/event-stream\r\n"), "{head}");
        let mut stream = Self { client, buffer: String::new(), last_id: String::new() };
        let retry = stream.message().unwrap();
        assert!(retry[0].starts_with("retry: "), "{retry:?}");
        stream
    }

    /// The lines of the next message; nothing at the end of the answer.
    fn message(&mut self) -> Option<Vec<String>> {
        loop {
            if let Some((message, rest)) = self.buffer.split_once("\n\n") {
                let lines: Vec<_> = message.lines().map(str::to_owned).collect();
                self.buffer = rest.to_owned();
                let id = lines.iter().find_map(|line| line.strip_prefix("id: "));
                id.into_iter().for_each(|id| id.clone_into(&mut self.last_id));
                return Some(lines);
            }
            let mut size = String::new();
            self.client.stream.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            self.client.stream.read_exact(&mut chunk).unwrap();
            if size == 0 {
                return None;
            }
            self.buffer.push_str(std::str::from_utf8(&chunk[..size]).unwrap());
        }
    }

    /// The next event, whatever else comes before it.
    fn event(&mut self) -> Value {
        loop {
            let lines = self.message().expect("the stream goes on");
            let data = lines.iter().find_map(|line| line.strip_prefix("data: "));
            if let Some(data) = data {
                assert!(lines.iter().all(|line| !line.starts_with("event: ")), "{lines:?}");
                return serde_json::from_str(data).unwrap();
            }
        }
    }

    fn events(&mut self, number: usize) -> Vec<Value> {
        (0..number).map(|_| self.event()).collect()
    }
}

/// What the list of events shows for a query, the oldest first.
fn listed(node: &Node, query: &str) -> Vec<Value> {
    let answer = node.get(&format!("/api/v1/events?limit=1000&{query}"), at(60));
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    let mut events = answer["events"].as_array().unwrap().clone();
    events.reverse();
    events
}

#[test]
fn events_come_as_they_are_stored_and_none_from_before() {
    let mut node = Node::with(&[event("198.18.0.7", "1", at(1))]);
    let (_front, address) = served(&node);
    let mut stream = Stream::open(address, "", None);
    wait_until("it is open", || node.ctx.counters.open_streams() == 1);
    // The stream says where it begins before anything else.
    assert!(stream.message().unwrap().iter().any(|line| line.starts_with("id: ")));
    node.push([event("198.18.0.8", "2", at(2)), proven("198.18.0.9", "3", at(3))].into_iter());
    assert_eq!(stream.events(2), listed(&node, "")[1..]);
}

#[test]
fn who_comes_back_with_the_last_id_gets_every_event_once() {
    let numbers: Vec<String> = (0..STREAM_EVENTS_MAX * 2 + 7).map(|n| n.to_string()).collect();
    let mut node = Node::with(&[]);
    let (_front, address) = served(&node);
    let first = Stream::open(address, "", None).message().unwrap();
    let begin = first.iter().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    node.push(numbers.iter().map(|number| event("198.18.0.7", number, at(2))));
    let (mut last, mut found) = (begin, Vec::new());
    for some in [3, STREAM_EVENTS_MAX, numbers.len() - STREAM_EVENTS_MAX - 3] {
        let mut stream = Stream::open(address, "", Some(&last));
        let events = stream.events(some);
        found.extend(events.iter().map(|event| event["number"].as_str().unwrap().to_owned()));
        last = stream.last_id;
    }
    assert_eq!(found, numbers);
    let after = format!("?after={last}");
    node.push([event("198.18.0.7", "the last", at(3))].into_iter());
    assert_eq!(Stream::open(address, &after, None).event()["number"], "the last");
}

#[test]
fn who_had_events_of_another_database_gets_all_of_this_one() {
    let node = Node::with(&[event("198.18.0.7", "1", at(1)), event("198.18.0.8", "2", at(2))]);
    let (_front, address) = served(&node);
    let mut stream = Stream::open(address, "", Some("00000000-1"));
    assert_eq!(stream.events(2), listed(&node, ""));
}

#[test]
fn a_filter_shows_what_the_list_of_events_shows() {
    let options = EventRef { method: b"OPTIONS", ..event("198.18.0.8", "", at(2)) };
    let agent = EventRef { user_agent: b"sipvicious", ..event("2a00:1:2:3::9", "3", at(3)) };
    let end = EventRef { method: b"BYE", ..proven("198.18.0.7", "+44 20", at(9)) };
    let events = [event("198.18.0.7", "+4420", at(1)), options, agent, end];
    let node = Node::with(&events);
    let (_front, address) = served(&node);
    for query in [
        "source=198.18.0.7",
        "source=2a00:1:2:3:4::5",
        "number=+44-20",
        "method=OPTIONS",
        "transport=TCP",
        "verification=connected",
        "user_agent=vicious",
        "method=INVITE&source=198.18.0.7",
    ] {
        let expected = listed(&node, query);
        assert!(!expected.is_empty(), "{query}");
        let mut stream = Stream::open(address, &format!("?after=00000000-0&{query}"), None);
        assert_eq!(stream.events(expected.len()), expected, "{query}");
        // Nothing else is in it before the stream says that it has looked at everything.
        let end = format!("-{}", events.len());
        while !stream.last_id.ends_with(&end) {
            let lines = stream.message().unwrap();
            assert!(lines.iter().all(|line| !line.starts_with("data: ")), "{query}: {lines:?}");
        }
    }
}

#[test]
fn a_stream_that_nobody_reads_holds_up_no_commit_and_one_too_many_is_told_to_come_back() {
    let mut node = Node::with(&[]);
    let (_front, address) = served(&node);
    let mut streams: Vec<_> =
        (0..API_STREAMS_MAX).map(|_| Stream::open(address, "", None)).collect();
    let reply = Client::connect(address).get(TARGET);
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    assert_eq!(node.ctx.counters.incidents(Lane::Api, Incident::Busy), 1);
    // More than all buffers between here and there hold. `push` waits until it is published.
    let agent = [b'x'; 250];
    node.push(
        (0..40_000).map(|_| EventRef { user_agent: &agent, ..event("198.18.0.7", "", at(2)) }),
    );
    streams.truncate(1);
    wait_until("the places of those that have gone are free", || {
        node.ctx.counters.open_streams() <= 1
    });
    Stream::open(address, "", None);
    assert_eq!(streams[0].event()["user_agent"].as_str().unwrap().len(), agent.len());
}

#[test]
fn what_is_no_id_or_no_filter_is_refused_and_only_get_works() {
    let node = Node::with(&[]);
    let (_front, address) = served(&node);
    let mut client = Client::connect(address);
    for query in ["?after=x", "?limit=1", "?source=x", "?source=1.2.3.4&number=1"] {
        let reply = client.get(&format!("{TARGET}{query}"));
        assert_eq!(reply.status, 400, "{query}");
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    }
    let head = format!("GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 7\r\n\r\n");
    client.send(head.as_bytes());
    assert_eq!(client.reply().status, 400);
    client.send(format!("HEAD {TARGET} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    let reply = client.reply_to("HEAD").unwrap();
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET")));
    let lane = dip::serve("127.0.0.1:0".parse().unwrap(), Arc::clone(&node.ctx)).unwrap();
    assert_eq!(Client::connect(lane.address()).get(TARGET).status, 421);
}

#[test]
fn a_stream_ends_in_good_order_when_the_front_stops() {
    let node = Node::with(&[]);
    let (front, address) = served(&node);
    let mut stream = Stream::open(address, "", None);
    front.stop();
    while stream.message().is_some() {}
}
