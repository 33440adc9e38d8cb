//! What somebody can send to wear a front down, and that dips are answered meanwhile.
//!
//! `examples/attack` does the same for longer, with more connections, and looks at times and memory.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use sentrypeer_http::counters::Incident;
use serde_json::Value;

use crate::client::Client;
use crate::requests::{Dice, Operation, operations};

/// What is attacked, and how hard.
#[derive(Clone, Copy)]
pub struct Aim {
    pub at: SocketAddr,
    /// Where the OpenAPI document is.
    pub api: SocketAddr,
    /// Connections of who opens many.
    pub connections: usize,
}

/// Tells an attacker whether to go on.
pub type GoesOn<'a> = &'a (dyn Fn() -> bool + Sync);

pub struct Attack {
    pub name: &'static str,
    /// What the API counts of it, at least.
    pub sign: Incident,
    /// What the dip lane counts of it; nothing where it is known not to be made for this.
    pub dip_sign: Option<Incident>,
    pub act: fn(Aim, GoesOn<'_>),
}

pub const ATTACKS: [Attack; 7] = [
    Attack {
        name: "slow heads",
        sign: Incident::SlowHead,
        // It has no time limit on a head: its connections are few instead.
        dip_sign: None,
        act: slow_heads,
    },
    Attack {
        name: "endless headers",
        sign: Incident::Broken,
        dip_sign: None,
        act: endless_headers,
    },
    Attack {
        name: "a body of 10 GB",
        sign: Incident::BadBody,
        dip_sign: Some(Incident::NotForThisLane),
        act: endless_body,
    },
    Attack {
        name: "asking without reading",
        sign: Incident::SlowReader,
        dip_sign: Some(Incident::LifeOver),
        act: asking_without_reading,
    },
    Attack {
        name: "malformed chunks",
        sign: Incident::BadBody,
        dip_sign: Some(Incident::NotForThisLane),
        act: malformed_chunks,
    },
    Attack {
        name: "requests in unread bodies",
        sign: Incident::RequestBody,
        dip_sign: Some(Incident::NotForThisLane),
        act: smuggling,
    },
    Attack {
        name: "random requests",
        sign: Incident::Unauthorized,
        dip_sign: Some(Incident::NotForThisLane),
        act: random_requests,
    },
];

/// Connections that send a byte of a head each second, and come again when they are ended.
fn slow_heads(aim: Aim, goes_on: GoesOn<'_>) {
    let mut streams: Vec<Option<TcpStream>> = (0..aim.connections).map(|_| None).collect();
    while goes_on() {
        for slot in &mut streams {
            let alive = slot.as_mut().is_some_and(|stream| stream.write_all(b"G").is_ok());
            if !alive {
                *slot = TcpStream::connect(aim.at).ok();
            }
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Sends one thing after another on one connection after another.
fn flood(aim: Aim, goes_on: GoesOn<'_>, first: &[u8], again: &[u8]) {
    while goes_on() {
        let Ok(mut stream) = TcpStream::connect(aim.at) else { continue };
        // A write that waits for ever would outlive the attack.
        let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
        let mut is_taken = stream.write_all(first).is_ok();
        while is_taken && goes_on() {
            is_taken = match stream.write(again) {
                Ok(sent) => sent > 0,
                // It stays there and lets the front wait.
                Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
            };
        }
    }
}

fn endless_headers(aim: Aim, goes_on: GoesOn<'_>) {
    let header = format!("X: {}\r\n", "x".repeat(1_000));
    flood(aim, goes_on, b"GET / HTTP/1.1\r\nHost: localhost\r\n", header.as_bytes());
}

fn endless_body(aim: Aim, goes_on: GoesOn<'_>) {
    let head =
        b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
          Content-Length: 10000000000\r\n\r\n";
    flood(aim, goes_on, head, &[b' '; 64 * 1024]);
}

/// A list on the API; on the dip lane, which has none, dips.
fn asking_without_reading(aim: Aim, goes_on: GoesOn<'_>) {
    let path = if aim.at == aim.api { "/ip-addresses" } else { "/ip-addresses/198.18.0.7" };
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    flood(aim, goes_on, request.as_bytes(), request.as_bytes());
}

fn malformed_chunks(aim: Aim, goes_on: GoesOn<'_>) {
    let head =
        b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
          Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    flood(aim, goes_on, head, b"fffffffffffffffff\r\nx\r\n-1\r\n");
}

/// Sends requests within the bodies of others. It is over if one of them is answered.
fn smuggling(aim: Aim, goes_on: GoesOn<'_>) {
    let inner = "GET /ip-addresses/198.18.0.7 HTTP/1.1\r\nHost: localhost\r\nX: ";
    let length = inner.len();
    let chunk = format!("{length:x}\r\n{inner}\r\n0\r\n\r\n");
    let ways = [
        format!("Content-Length: {length}\r\n\r\n{inner}"),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{inner}"),
        format!("Content-Length: +{length}\r\n\r\n{inner}"),
        format!("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n{chunk}"),
        format!("Transfer-Encoding: \x0bchunked\r\nContent-Length: {length}\r\n\r\n{inner}"),
        format!("Transfer-Encoding: chunked, identity\r\n\r\n{chunk}"),
        format!("Transfer-Encoding: chunked\r\n\r\n{chunk}"),
    ];
    let methods =
        ["GET /livez", "GET /numbers/1", "POST /numbers/1", "DELETE /api/v1/allow-list/x"];
    let mut n = 0;
    while goes_on() {
        let (method, way) = (methods[n % methods.len()], &ways[n / methods.len() % ways.len()]);
        n += 1;
        let behind = "\r\n\r\nGET /ip-addresses/198.18.0.7 HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let sent = format!("{method} HTTP/1.1\r\nHost: localhost\r\n{way}{behind}");
        let Ok(mut stream) = TcpStream::connect(aim.at) else { continue };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
        let _ = stream.write_all(sent.as_bytes());
        let mut answers = Vec::new();
        let _ = stream.read_to_end(&mut answers);
        let answers = String::from_utf8_lossy(&answers);
        assert!(!answers.contains("bad_actor_found"), "{sent} was run: {answers}");
    }
}

/// Sends what the OpenAPI document names, mostly right. It is over if there is a fault of the node's.
fn random_requests(aim: Aim, goes_on: GoesOn<'_>) {
    let mut fuzzer = Fuzzer::new(aim, 0x9e37_79b9_7f4a_7c15);
    while goes_on() {
        fuzzer.request();
    }
}

/// Sends random requests, one after the other.
pub struct Fuzzer {
    aim: Aim,
    operations: Vec<Operation>,
    dice: Dice,
    client: Option<Client>,
    /// Answers by the class of their status.
    pub answers: [u64; 6],
    /// Requests that the front ended the connection for instead.
    pub unanswered: u64,
}

impl Fuzzer {
    pub fn new(aim: Aim, seed: u64) -> Self {
        let document = Client::connect(aim.api).get("/openapi.json").body;
        let document: Value = serde_json::from_slice(&document).unwrap();
        let operations = operations(&document);
        Self { aim, operations, dice: Dice(seed), client: None, answers: [0; 6], unanswered: 0 }
    }

    pub fn request(&mut self) {
        let (method, target, text) = self.made();
        let at = self.aim.at;
        let client = self.client.get_or_insert_with(|| Client::connect(at));
        let sent = client.stream.get_mut().write_all(text.as_bytes());
        if target.starts_with("/api/v1/events/stream") {
            // It never ends, so its end is not waited for.
            self.client = None;
            return;
        }
        let Some(reply) = sent.ok().and_then(|()| client.reply_to(&method)) else {
            (self.client, self.unanswered) = (None, self.unanswered + 1);
            return;
        };
        // 503 with a time to come back is what there is when others ask for documents as well.
        let is_fault = reply.status >= 500 && reply.header("retry-after").is_none();
        assert!(!is_fault, "{}: {text}", reply.status);
        self.answers[usize::from(reply.status / 100)] += 1;
        if reply.header("connection").is_some() {
            self.client = None;
        }
    }

    /// Method, target and all of a request.
    fn made(&mut self) -> (String, String, String) {
        let dice = &mut self.dice;
        let operation = dice.pick(&self.operations);
        let (path, query) = operation.target(dice, &["x".to_owned()]);
        let target = if query.is_empty() { path } else { format!("{path}?{query}") };
        let host = if dice.roll(20) == 0 { dice.text() } else { "localhost".to_owned() };
        let method = match dice.roll(20) {
            0 => dice.pick(&["OPTIONS", "PUT", "TRACE", "x"]).to_string(),
            _ => operation.method.clone(),
        };
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, one_in) in
            [("Accept-Encoding", 3), ("If-None-Match", 9), ("Authorization", 9), ("Origin", 20)]
        {
            if dice.roll(one_in) == 0 {
                let value = match dice.roll(2) {
                    0 => *dice.pick(&["gzip", "br", "zstd", "*", "Bearer x", "Basic eDp4"]),
                    _ => &dice.text(),
                };
                text.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        let body = match dice.roll(4) {
            _ if method == "GET" && dice.roll(20) > 0 => String::new(),
            0 => format!("{{\"entry\": \"{}\", \"reason\": \"x\"}}", dice.text()),
            1 => dice.text(),
            _ => String::new(),
        };
        if !body.is_empty() {
            let media = dice.pick(&["application/json", "application/x-www-form-urlencoded"]);
            text.push_str(&format!("Content-Type: {media}\r\nContent-Length: {}\r\n", body.len()));
        }
        (method, target, format!("{text}\r\n{body}"))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use sentrypeer_http::Lane;
    use sentrypeer_http::front::{api, dip};

    use super::*;
    use crate::node::{Node, at, event, wait_until};

    /// Attacks a front until it has counted what is looked for; dips are answered on both fronts.
    fn dips_are_answered_under(name: &str, lane: Lane) {
        let attack = ATTACKS.iter().find(|attack| attack.name == name).unwrap();
        let mut node = Node::with(&[]);
        // Rows enough for a list that fills what is between here and there.
        let sources: Vec<_> =
            (0..4_000).map(|n| format!("198.18.{}.{}", n / 250, n % 250)).collect();
        node.push(sources.iter().map(|source| event(source, "", at(2))));
        let listeners = vec![TcpListener::bind("127.0.0.1:0").unwrap()];
        let api = api::serve(listeners, Arc::clone(&node.ctx)).unwrap();
        let dip = dip::serve("127.0.0.1:0".parse().unwrap(), Arc::clone(&node.ctx)).unwrap();
        let fronts = [api.addresses()[0], dip.address()];
        let sign = if lane == Lane::Api { Some(attack.sign) } else { attack.dip_sign };
        let aim = Aim { at: fronts[lane as usize], api: fronts[0], connections: 100 };
        let goes_on = AtomicBool::new(true);
        std::thread::scope(|scope| {
            let attacker = scope.spawn(|| (attack.act)(aim, &|| goes_on.load(Relaxed)));
            let mut dips = 0;
            wait_until("the attack is counted and dips are answered", || {
                for front in fronts {
                    let reply = Client::connect(front).get("/ip-addresses/198.18.0.7");
                    assert_eq!(reply.status, 200);
                }
                dips += 1;
                let counters = &node.ctx.counters;
                let is_counted = sign.is_none_or(|sign| counters.incidents(lane, sign) > 0);
                (is_counted && dips >= 20) || attacker.is_finished()
            });
            let was_over = attacker.is_finished();
            goes_on.store(false, Relaxed);
            attacker.join().unwrap();
            assert!(!was_over, "the attack was over by itself");
        });
        for lane in [Lane::Api, Lane::Dip] {
            wait_until("all connections have ended", || {
                node.ctx.counters.open_connections(lane) == 0
            });
        }
    }

    #[test]
    fn dips_are_answered_while_heads_come_slowly() {
        dips_are_answered_under("slow heads", Lane::Api);
        dips_are_answered_under("slow heads", Lane::Dip);
    }

    #[test]
    fn dips_are_answered_while_headers_never_end() {
        // The dip lane has no bound on a head but memory.
        dips_are_answered_under("endless headers", Lane::Api);
    }

    #[test]
    fn dips_are_answered_while_a_body_never_ends() {
        dips_are_answered_under("a body of 10 GB", Lane::Api);
        dips_are_answered_under("a body of 10 GB", Lane::Dip);
    }

    #[test]
    fn dips_are_answered_while_somebody_asks_and_does_not_read() {
        dips_are_answered_under("asking without reading", Lane::Api);
        dips_are_answered_under("asking without reading", Lane::Dip);
    }

    #[test]
    fn dips_are_answered_while_chunks_are_malformed() {
        dips_are_answered_under("malformed chunks", Lane::Api);
        dips_are_answered_under("malformed chunks", Lane::Dip);
    }

    #[test]
    fn requests_in_unread_bodies_are_not_run() {
        dips_are_answered_under("requests in unread bodies", Lane::Api);
        dips_are_answered_under("requests in unread bodies", Lane::Dip);
    }

    #[test]
    fn random_requests_over_a_socket_find_no_fault() {
        dips_are_answered_under("random requests", Lane::Api);
        dips_are_answered_under("random requests", Lane::Dip);
    }
}
