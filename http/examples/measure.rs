//! What lists, feeds and dips cost: `cargo run --release -p sentrypeer-http --example measure`.

#[expect(dead_code, clippy::unwrap_used, clippy::expect_used, reason = "it is made for the tests")]
#[path = "../tests/tests/client.rs"]
mod client;
#[expect(dead_code, clippy::unwrap_used, reason = "it is made for the tests")]
#[path = "../tests/tests/node.rs"]
mod node;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sentrypeer_http::front::{api, dip};
use sentrypeer_http::handle;

use crate::client::Client;
use crate::node::{Node, at, proven, request, wait_until};

type Failure = Box<dyn std::error::Error>;

fn node(sources: u32) -> Node {
    let mut node = Node::with(&[]);
    let addresses: Vec<String> =
        (0..sources).map(|n| std::net::Ipv4Addr::from(0x1400_0000 + n).to_string()).collect();
    node.push(
        addresses.iter().map(|source| proven(source, "", at(u64::from(source.len() as u32)))),
    );
    node
}

/// What this thread has computed so far: the time on the clock also holds what others computed.
fn cpu() -> Result<Duration, Failure> {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let ns = schedstat.split(' ').next().ok_or("schedstat is empty")?;
    Ok(Duration::from_nanos(ns.parse()?))
}

fn measure(node: &Node, target: &str) -> Result<(), Failure> {
    for _ in 0..3 {
        let before = resident_kib()?;
        let (begun, cpu_begun) = (Instant::now(), cpu()?);
        let response = handle(&node.ctx, &request(target));
        let (mut first, mut bytes, mut most) = (begun.elapsed(), 0, before);
        match response.body {
            sentrypeer_http::Body::Chunks(chunks) => {
                for (n, chunk) in chunks.enumerate() {
                    bytes += chunk.len();
                    if n == 0 {
                        first = begun.elapsed();
                    }
                    if n % 64 == 0 {
                        most = most.max(resident_kib()?);
                    }
                }
            }
            other => bytes = other.into_bytes().len(),
        }
        let (all, cpu_all) = (begun.elapsed(), cpu()? - cpu_begun);
        println!(
            "{target}: {bytes} B, first in {first:?}, whole in {all:?} ({cpu_all:?} of CPU), {} KiB \
             more at most",
            most - before
        );
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    lists_and_feeds()?;
    fronts()
}

fn lists_and_feeds() -> Result<(), Failure> {
    let small = node(100_000);
    measure(&small, "/ip-addresses")?;
    drop(small);
    let large = node(1_000_000);
    measure(&large, "/ip-addresses")?;
    measure(&large, "/ip-addresses/ipset")?;
    for format in ["nft", "plain", "csv", "stix"] {
        measure(&large, &format!("/api/v1/feeds/{format}"))?;
    }
    measure(&large, "/api/v1/sources?limit=100")?;
    let etag = handle(&large.ctx, &request("/ip-addresses/ipset")).etag.ok_or("no ETag")?;
    let begun = cpu()?;
    let held =
        sentrypeer_http::Request { if_none_match: Some(&etag), ..request("/ip-addresses/ipset") };
    let status = handle(&large.ctx, &held).status;
    println!("304 of it: {status} in {:?} of CPU", cpu()? - begun);
    let begun = cpu()?;
    const DIPS: u32 = 1_000_000;
    for n in 0..DIPS {
        let ip = format!("/ip-addresses/{}", std::net::Ipv4Addr::from(0x1400_0000 + n * 7 % DIPS));
        assert_eq!(handle(&large.ctx, &request(&ip)).status, 200);
    }
    println!("a dip among 1,000,000: {:?} of CPU", (cpu()? - begun) / DIPS);
    Ok(())
}

/// Resident memory of this process, in KiB.
fn resident_kib() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}

/// Dips per second over so many connections that each wait for their answer.
fn dips_per_s(address: SocketAddr, connections: u32) -> Result<u64, Failure> {
    const TIME: Duration = Duration::from_secs(2);
    let asking: Vec<_> = (0..connections)
        .map(|n| {
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                let (begun, mut dips) = (Instant::now(), 0);
                while begun.elapsed() < TIME {
                    let ip = std::net::Ipv4Addr::from(0x1400_0000 + (dips * 7 + n) % 1_000);
                    let reply = client.get(&format!("/ip-addresses/{ip}"));
                    assert_eq!(reply.status, 200);
                    if reply.header("connection").is_some() {
                        client = Client::connect(address);
                    }
                    dips += 1;
                }
                u64::from(dips)
            })
        })
        .collect();
    let mut dips = 0;
    for thread in asking {
        dips += thread.join().map_err(|_| "a client failed")?;
    }
    Ok(dips / TIME.as_secs())
}

fn fronts() -> Result<(), Failure> {
    let node = node(1_000);
    let before = resident_kib()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let api = api::serve(vec![listener], Arc::clone(&node.ctx))?;
    let with_api = resident_kib()?;
    let dip = dip::serve("127.0.0.1:0".parse()?, Arc::clone(&node.ctx))?;
    let with_dip = resident_kib()?;
    println!("idle: API {} KiB, dip lane {} KiB", with_api - before, with_dip - with_api);
    for connections in [1, 16] {
        let (api, dip) =
            (dips_per_s(api.addresses()[0], connections)?, dips_per_s(dip.address(), connections)?);
        println!("{connections} connections: API {api}/s, dip lane {dip}/s");
    }
    println!("after: {} KiB more", resident_kib()? - with_dip);
    let clients: Vec<Client> = (0..200).map(|_| Client::connect(dip.address())).collect();
    let open = || node.ctx.counters.open_connections(sentrypeer_http::Lane::Dip);
    wait_until("all are open", || open() == 200);
    println!("with 200 dip connections: {} KiB more", resident_kib()? - with_dip);
    drop(clients);
    Ok(())
}
