//! What the API stands, and what a dip costs meanwhile:
//! `cargo run --release -p sentrypeer-http --example attack`.
//!
//! Attackers, node and the client that dips share one machine, so the times hold what they take from
//! each other.

#[expect(dead_code, clippy::unwrap_used, clippy::expect_used, reason = "it is made for the tests")]
#[path = "../tests/tests/client.rs"]
mod client;
#[expect(dead_code, clippy::unwrap_used, reason = "it is made for the tests")]
#[path = "../tests/tests/node.rs"]
mod node;

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sentrypeer_http::Lane;
use sentrypeer_http::counters::Incident;
use sentrypeer_http::front::{api, dip};

use crate::client::Client;
use crate::node::{Node, at, proven};

type Failure = Box<dyn std::error::Error>;

/// How long each attack lasts.
const TIME: Duration = Duration::from_secs(10);
const SOURCES: u32 = 100_000;

/// An attack: so many threads, each of which does this until it is told to stop.
struct Attack {
    name: &'static str,
    threads: usize,
    act: fn(SocketAddr, &AtomicBool),
}

const ATTACKS: [Attack; 6] = [
    Attack { name: "nobody", threads: 0, act: |_, _| {} },
    Attack { name: "3,000 slow heads", threads: 3, act: slow_heads },
    Attack { name: "endless headers", threads: 2, act: endless_headers },
    Attack { name: "endless body", threads: 2, act: endless_body },
    Attack { name: "asking without reading", threads: 2, act: asking_without_reading },
    Attack { name: "malformed chunks", threads: 2, act: malformed_chunks },
];

fn main() -> Result<(), Failure> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most.min(16_384), most)?;
    let node = filled();
    let api = api::serve(vec![TcpListener::bind("127.0.0.1:0")?], Arc::clone(&node.ctx))?;
    let dip = dip::serve("127.0.0.1:0".parse()?, Arc::clone(&node.ctx))?;
    for attack in &ATTACKS {
        under(attack, &node, api.addresses()[0], dip.address())?;
    }
    Ok(())
}

fn filled() -> Node {
    let mut node = Node::with(&[]);
    let address = |n: u32| std::net::Ipv4Addr::from(0x1400_0000 + n).to_string();
    let addresses: Vec<String> = (0..SOURCES).map(address).collect();
    node.push(addresses.iter().map(|source| proven(source, "", at(1))));
    node
}

/// Dips on both fronts while the API is attacked.
fn under(attack: &Attack, node: &Node, api: SocketAddr, dip: SocketAddr) -> Result<(), Failure> {
    let before = incidents(node);
    let rss = resident_mb()?;
    let stop = AtomicBool::new(false);
    let (on_api, on_dip, anew) = std::thread::scope(|scope| {
        for _ in 0..attack.threads {
            scope.spawn(|| (attack.act)(api, &stop));
        }
        let dips = [api, dip].map(|front| scope.spawn(move || dips(front)));
        let anew = scope.spawn(move || dips_on_new_connections(api));
        let [on_api, on_dip] = dips.map(|thread| thread.join().unwrap_or_default());
        let anew = anew.join().unwrap_or_default();
        stop.store(true, Relaxed);
        (on_api, on_dip, anew)
    });
    println!("{}: {rss} MB before, {} MB after", attack.name, resident_mb()?);
    println!("  dips on one connection of the API: {}", Figures::of(on_api));
    println!("  dips on new connections of the API: {}", Figures::of(anew));
    println!("  dips on the dip lane: {}", Figures::of(on_dip));
    for (what, (was, is)) in Incident::ALL.iter().zip(before.into_iter().zip(incidents(node))) {
        if is > was {
            println!("  {}: {}", what.name(), is - was);
        }
    }
    Ok(())
}

fn incidents(node: &Node) -> Vec<u64> {
    Incident::ALL.map(|what| node.ctx.counters.incidents(Lane::Api, what)).to_vec()
}

fn resident_mb() -> Result<u64, Failure> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split(' ').nth(1).ok_or("statm is short")?.parse()?;
    Ok(pages * 4_096 / 1_000_000)
}

/// How long each dip took; nothing for one that failed.
type Times = Vec<Option<Duration>>;

const DIP: &str = "/ip-addresses/20.0.0.7";

fn dips(front: SocketAddr) -> Times {
    let mut client = Client::connect(front);
    let (mut times, begun) = (Times::new(), Instant::now());
    while begun.elapsed() < TIME {
        let asked = Instant::now();
        let reply = client.get(DIP);
        times.push((reply.status == 200).then(|| asked.elapsed()));
        if reply.header("connection").is_some() {
            client = Client::connect(front);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    times
}

fn dips_on_new_connections(front: SocketAddr) -> Times {
    let (mut times, begun) = (Times::new(), Instant::now());
    while begun.elapsed() < TIME {
        let asked = Instant::now();
        let mut client = Client::connect(front);
        let request = format!("GET {DIP} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let sent = client.stream.get_mut().write_all(request.as_bytes()).is_ok();
        let reply = sent.then(|| client.reply_to("GET")).flatten();
        times.push(reply.map(|_| asked.elapsed()));
        std::thread::sleep(Duration::from_millis(10));
    }
    times
}

struct Figures {
    all: usize,
    failed: usize,
    sorted: Vec<Duration>,
}

impl Figures {
    fn of(times: Times) -> Self {
        let all = times.len();
        let mut sorted: Vec<Duration> = times.into_iter().flatten().collect();
        sorted.sort_unstable();
        Self { all, failed: all - sorted.len(), sorted }
    }

    fn percentile(&self, percent: usize) -> Duration {
        let place = self.sorted.len() * percent / 100;
        self.sorted.get(place.min(self.sorted.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [half, most, longest] = [50, 99, 100].map(|percent| self.percentile(percent));
        let Self { all, failed, .. } = self;
        write!(f, "{all}, {failed} failed, p50 {half:?}, p99 {most:?}, longest {longest:?}")
    }
}

/// A thousand connections that send a byte of a head each second, and come again when they are ended.
fn slow_heads(api: SocketAddr, stop: &AtomicBool) {
    let mut streams: Vec<Option<TcpStream>> = (0..1_000).map(|_| None).collect();
    while !stop.load(Relaxed) {
        for slot in &mut streams {
            let alive = slot.as_mut().is_some_and(|stream| stream.write_all(b"G").is_ok());
            if !alive {
                *slot = TcpStream::connect(api).ok();
            }
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Sends one thing after another on one connection after another.
fn flood(api: SocketAddr, stop: &AtomicBool, first: &[u8], again: &[u8]) {
    while !stop.load(Relaxed) {
        let Ok(mut stream) = TcpStream::connect(api) else { continue };
        // A write that waits for ever would outlive the attack.
        let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
        let mut goes_on = stream.write_all(first).is_ok();
        while goes_on && !stop.load(Relaxed) {
            goes_on = stream.write_all(again).is_ok();
        }
    }
}

fn endless_headers(api: SocketAddr, stop: &AtomicBool) {
    let header = format!("X: {}\r\n", "x".repeat(1_000));
    flood(api, stop, b"GET / HTTP/1.1\r\nHost: localhost\r\n", header.as_bytes());
}

fn endless_body(api: SocketAddr, stop: &AtomicBool) {
    let head =
        b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Content-Length: 10000000000\r\n\r\n";
    flood(api, stop, head, &[b' '; 64 * 1024]);
}

fn asking_without_reading(api: SocketAddr, stop: &AtomicBool) {
    let request = b"GET /ip-addresses HTTP/1.1\r\nHost: localhost\r\n\r\n";
    flood(api, stop, request, request);
}

fn malformed_chunks(api: SocketAddr, stop: &AtomicBool) {
    let head =
        b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    flood(api, stop, head, b"fffffffffffffffff\r\nx\r\n-1\r\n");
}
