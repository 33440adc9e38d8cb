//! The API front over real sockets.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sentrypeer_http::Lane;
use sentrypeer_http::counters::Incident;
use sentrypeer_http::front::api::{Front, serve};
use sentrypeer_http::limits::{API_CONNECTIONS_MAX, DRAIN_TIME_MAX};
use sentrypeer_storage::event::Time;

use crate::client::Client;
use crate::node::{NS_PER_S, Node, VERSION, event, proven, wait_until};

/// A node with events of a moment ago, served on a free port.
fn served() -> (Node, Front, SocketAddr) {
    let now = Time::now().minus_ns(NS_PER_S);
    let node = Node::with(&[event("198.18.0.7", "+44", now), proven("198.18.0.8", "100", now)]);
    let front = serve(vec![TcpListener::bind("127.0.0.1:0").unwrap()], Arc::clone(&node.ctx));
    let front = front.unwrap();
    let address = front.addresses()[0];
    (node, front, address)
}

fn happened(node: &Node, what: Incident) -> u64 {
    node.ctx.counters.incidents(Lane::Api, what)
}

#[test]
fn an_answer_has_its_headers_and_body_and_the_connection_stays() {
    let (_node, _front, address) = served();
    let mut client = Client::connect(address);
    for _ in 0..3 {
        let reply = client.get("/ip-addresses/198.18.0.7");
        assert_eq!(reply.status, 200);
        assert_eq!(reply.body, b"{\"bad_actor_found\": \"198.18.0.7\"}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert_eq!(reply.header("x-powered-by"), Some("SentryPeer"));
        assert_eq!(reply.header("x-sentrypeer-version"), Some(VERSION));
    }
}

#[test]
fn a_list_is_streamed_whole_and_not_again_to_who_has_it() {
    let (mut node, _front, address) = served();
    let now = Time::now().minus_ns(NS_PER_S);
    let sources: Vec<String> =
        (0..5_000).map(|n| format!("198.19.{}.{}", n / 250, n % 250)).collect();
    node.push(sources.iter().map(|source| event(source, "", now)));
    let mut client = Client::connect(address);
    let reply = client.get("/ip-addresses");
    assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
    let list: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(list["ip_addresses_total"], 5_002);
    assert_eq!(list["ip_addresses"].as_array().unwrap().len(), 5_002);
    let etag = reply.header("etag").unwrap();
    let again =
        format!("GET /ip-addresses HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {etag}\r\n\r\n");
    client.send(again.as_bytes());
    let reply = client.reply();
    assert_eq!((reply.status, reply.header("content-length")), (304, None));
    assert_eq!(client.get("/livez").status, 200);
}

#[test]
fn head_sends_the_headers_of_get_and_nothing_behind_them() {
    let (_node, _front, address) = served();
    let mut client = Client::connect(address);
    let got = client.get("/ip-addresses/198.18.0.7");
    client.send(b"HEAD /ip-addresses/198.18.0.7 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = client.reply_to("HEAD").unwrap();
    assert_eq!(head.status, 200);
    let names = |headers: &[(String, String)]| {
        let mut kept = headers.to_vec();
        kept.retain(|(name, _)| name != "date");
        kept.sort();
        kept
    };
    assert_eq!(names(&head.headers), names(&got.headers));
    client.send(b"HEAD /ip-addresses HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = client.reply_to("HEAD").unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, None));
    assert_eq!(client.get("/livez").body, b"ok\n");
}

#[test]
fn another_method_gets_405_and_what_works() {
    let (_node, _front, address) = served();
    let mut client = Client::connect(address);
    client.send(b"DELETE /ip-addresses HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let reply = client.reply();
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn a_body_is_refused_and_never_taken_for_a_request() {
    let (node, _front, address) = served();
    let smuggled = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let length = smuggled.len();
    for framing in [format!("Content-Length: {length}"), "Transfer-Encoding: chunked".to_owned()] {
        let mut client = Client::connect(address);
        let request =
            format!("GET /numbers HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n{smuggled}");
        client.send(request.as_bytes());
        let reply = client.reply();
        assert_eq!(reply.status, 413, "{framing}");
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert!(client.ends(), "{framing}");
    }
    assert_eq!(happened(&node, Incident::RequestBody), 2);
}

#[test]
fn a_method_that_does_not_work_is_refused_as_such_whatever_its_body() {
    let (node, _front, address) = served();
    let smuggled = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let length = smuggled.len();
    for (path, status, origin) in
        [("/numbers", 405, Some("*")), ("/api/v1/check", 405, None), ("/x", 404, None)]
    {
        let mut client = Client::connect(address);
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
        client.send(format!("{head}{smuggled}").as_bytes());
        let reply = client.reply();
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.header("allow"), (status == 405).then_some("GET, HEAD"), "{path}");
        assert_eq!(reply.header("access-control-allow-origin"), origin, "{path}");
        let is_v1 = path.starts_with("/api/v1/");
        let json = if is_v1 { "application/problem+json" } else { "application/json" };
        assert_eq!(reply.header("content-type"), Some(json), "{path}");
        assert_eq!(reply.header("x-powered-by"), Some("SentryPeer"), "{path}");
        assert_eq!(reply.header("x-sentrypeer-version"), Some(VERSION), "{path}");
        assert_eq!(reply.header("connection"), Some("close"), "{path}");
        assert!(client.ends(), "{path}");
    }
    assert_eq!(happened(&node, Incident::RequestBody), 3);
}

#[test]
fn answers_are_timed_by_route_and_status() {
    let (_node, _front, address) = served();
    let mut client = Client::connect(address);
    for path in ["/livez", "/livez", "/numbers/1"] {
        client.get(path);
    }
    let metrics = String::from_utf8(client.get("/metrics").body).unwrap();
    let name = "sentrypeer_http_request_seconds";
    let live = "lane=\"api\",route=\"/livez\",status=\"2xx\"";
    let number = "lane=\"api\",route=\"/numbers/{number}\",status=\"4xx\"";
    for line in [
        format!("# TYPE {name} histogram"),
        format!("{name}_bucket{{{live},le=\"+Inf\"}} 2"),
        format!("{name}_count{{{live}}} 2"),
        format!("{name}_count{{{number}}} 1"),
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    let counts = metrics.lines().filter(|line| line.starts_with(&format!("{name}_bucket{{{live}")));
    let counts: Vec<u64> = counts.map(|l| l.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    assert!(counts.windows(2).all(|pair| pair[0] <= pair[1]), "{counts:?}");
}

#[test]
fn what_is_not_http_and_what_is_too_long_ends_the_connection() {
    let (_node, _front, address) = served();
    let endless = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(100));
    for (bytes, status) in [("\0\x01\x02\r\n\r\n", 400), (&endless, 431), (&many, 431)] {
        let mut client = Client::connect(address);
        client.send(bytes.as_bytes());
        assert_eq!(client.reply().status, status);
        assert!(client.ends());
    }
    let mut client = Client::connect(address);
    assert_eq!(client.get(&format!("/{}", "x".repeat(4_000))).status, 404);
    assert_eq!(client.get(&format!("/numbers/{}", "1".repeat(5_000))).status, 414);
}

#[test]
fn requests_sent_at_once_are_answered_in_order() {
    let (_node, _front, address) = served();
    let mut client = Client::connect(address);
    let paths = ["/livez", "/ip-addresses/198.18.0.7", "/x", "/readyz"];
    for path in paths {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    }
    let statuses: Vec<u16> = paths.iter().map(|_| client.reply().status).collect();
    assert_eq!(statuses, [200, 200, 404, 200]);
}

#[test]
fn a_client_that_closes_its_half_still_gets_its_answer() {
    let (_node, _front, address) = served();
    let mut client = Client::connect(address);
    client.send(b"GET /ip-addresses HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.stream.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.reply().status, 200);
    assert!(client.ends());
}

#[test]
fn one_connection_too_many_takes_the_place_of_one_that_waits_for_long() {
    let (node, _front, address) = served();
    let open = |node: &Node| node.ctx.counters.open_connections(Lane::Api);
    let mut clients = Vec::new();
    for _ in 0..API_CONNECTIONS_MAX {
        clients.push(Client::connect(address));
    }
    wait_until("all are taken", || open(&node) >= API_CONNECTIONS_MAX as u64);
    let mut tried = 0;
    wait_until("one has waited for long enough", || {
        tried += 1;
        let mut client = Client::connect(address);
        let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
        client.stream.get_mut().write_all(request).is_ok()
            && client.reply_to("GET").is_some_and(|reply| reply.status == 200)
    });
    let [refused, displaced] =
        [Incident::RefusedConnection, Incident::Displaced].map(|what| happened(&node, what));
    assert_eq!((refused + displaced, displaced), (tried, 1));
    let gone = clients.iter_mut().filter(|client| {
        client.stream.get_ref().set_nonblocking(true).unwrap();
        matches!(client.stream.get_ref().peek(&mut [0]), Ok(0))
    });
    assert_eq!(gone.count(), 1);
    clients.clear();
    wait_until("all have ended", || open(&node) == 0);
    assert_eq!(Client::connect(address).get("/livez").status, 200);
}

#[test]
fn an_answer_that_is_under_way_ends_and_idle_connections_close_when_it_stops() {
    let (mut node, front, address) = served();
    let now = Time::now().minus_ns(NS_PER_S);
    let sources: Vec<String> = (0..2_000)
        .map(|n| format!("198.{}.{}.{}", 100 + n / 62_500, n / 250 % 250, n % 250))
        .collect();
    node.push(sources.iter().map(|source| event(source, "", now)));
    let mut idle = Client::connect(address);
    assert_eq!(idle.get("/livez").status, 200);
    let mut reading = Client::connect(address);
    reading.send(b"GET /ip-addresses HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let first = reading.stream.get_ref().peek(&mut [0]).unwrap();
    assert_eq!(first, 1);
    let stopping = std::thread::spawn(move || front.stop());
    let reply = reading.reply();
    assert!(serde_json::from_slice::<serde_json::Value>(&reply.body).is_ok());
    assert!(reading.ends() && idle.ends());
    stopping.join().unwrap();
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn a_reader_that_does_not_read_does_not_hold_up_the_end() {
    let (mut node, front, address) = served();
    let now = Time::now().minus_ns(NS_PER_S);
    let sources: Vec<String> = (0..100_000)
        .map(|n| format!("198.{}.{}.{}", 100 + n / 62_500, n / 250 % 250, n % 250))
        .collect();
    node.push(sources.iter().map(|source| event(source, "", now)));
    let mut client = Client::connect(address);
    client.send(b"GET /ip-addresses HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.stream.get_ref().peek(&mut [0]).unwrap(), 1);
    let begun = Instant::now();
    front.stop();
    // Far above the bound: what matters is that it does not wait for the reader.
    assert!(begun.elapsed() < DRAIN_TIME_MAX + Duration::from_secs(30));
    let _ = client.stream.get_mut().flush();
}
