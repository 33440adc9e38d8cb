//! Figures, not tests: `cargo test --release -p sentrypeer-http --test tests measure -- --ignored
//! --nocapture`.

use std::time::Instant;

use sentrypeer_http::handle;

use crate::node::{Node, at, proven, request};

fn node(sources: u32) -> Node {
    let mut node = Node::with(&[]);
    let addresses: Vec<String> =
        (0..sources).map(|n| std::net::Ipv4Addr::from(0x1400_0000 + n).to_string()).collect();
    node.push(
        addresses.iter().map(|source| proven(source, "", at(u64::from(source.len() as u32)))),
    );
    node
}

fn measure(node: &Node, target: &str) {
    for _ in 0..3 {
        let begun = Instant::now();
        let mut response = handle(&node.ctx, &request(target));
        let prepared = begun.elapsed();
        let first = match &mut response.body {
            sentrypeer_http::Body::Chunks(chunks) => chunks.next().map_or(0, |chunk| chunk.len()),
            _ => 0,
        };
        let first_at = begun.elapsed();
        let rest: usize = match response.body {
            sentrypeer_http::Body::Chunks(chunks) => chunks.map(|chunk| chunk.len()).sum(),
            other => other.into_bytes().len(),
        };
        let bytes = first + rest;
        let all = begun.elapsed();
        println!("{target}: {bytes} B, prepared {prepared:?}, first {first_at:?}, all {all:?}");
    }
}

#[test]
#[ignore = "measures"]
fn measure_lists_and_feeds() {
    let small = node(100_000);
    measure(&small, "/ip-addresses");
    drop(small);
    let large = node(1_000_000);
    measure(&large, "/ip-addresses");
    measure(&large, "/ip-addresses/ipset");
    let etag = handle(&large.ctx, &request("/ip-addresses/ipset")).etag.unwrap();
    let begun = Instant::now();
    let held =
        sentrypeer_http::Request { if_none_match: Some(&etag), ..request("/ip-addresses/ipset") };
    println!("304 of it: {} in {:?}", handle(&large.ctx, &held).status, begun.elapsed());
    let begun = Instant::now();
    const DIPS: u32 = 1_000_000;
    for n in 0..DIPS {
        let ip = format!("/ip-addresses/{}", std::net::Ipv4Addr::from(0x1400_0000 + n * 7 % DIPS));
        assert_eq!(handle(&large.ctx, &request(&ip)).status, 200);
    }
    println!("a dip among 1,000,000: {:?}", begun.elapsed() / DIPS);
}
