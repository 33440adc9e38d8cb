//! Ten thousand connections that say nothing, and then very little: what that costs everybody else.
//! It prints figures and decides nothing, so it only runs when it is asked for:
//! `cargo test --release -p sentrypeer-engine --test it crowd -- --ignored --nocapture`.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{DRIVERS, Node, await_that, plan, request, telephone};
use crate::streams::connect_from;

const CONNECTIONS: usize = 10_000;
const SOURCES: usize = 100;

/// Requests over UDP for one figure.
const PROBES: usize = 5_000;

/// Times from a request over UDP to its answer, sorted.
fn latencies(node: &Node) -> Vec<Duration> {
    let socket = telephone([127, 0, 0, 1]);
    socket.connect(node.udp.unwrap()).unwrap();
    let text = request("OPTIONS", "100", "crowd", "UDP");
    let mut times: Vec<Duration> = (0..PROBES)
        .map(|_| {
            let asked = Instant::now();
            socket.send(text.as_bytes()).unwrap();
            socket.recv(&mut [0; 2_048]).unwrap();
            asked.elapsed()
        })
        .collect();
    times.sort_unstable();
    times
}

fn resident_kib(node: &Node) -> u64 {
    let path = format!("/proc/{}/status", node.child.id());
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn report(what: &str, node: &Node) {
    let times = latencies(node);
    println!(
        "{what:<28} p50 {:>7.1} us   p99 {:>7.1} us   resident {:>6.1} MiB",
        times[PROBES / 2].as_secs_f64() * 1e6,
        times[PROBES * 99 / 100].as_secs_f64() * 1e6,
        resident_kib(node) as f64 / 1_024.0,
    );
}

fn crowd(node: &Node) -> Vec<TcpStream> {
    let from = |i: usize| SocketAddr::from(([127, 10, 0, 1 + (i % SOURCES) as u8], 0));
    (0..CONNECTIONS).map(|i| connect_from(from(i), node.tcp.unwrap())).collect()
}

/// Writes a message on every connection, byte by byte, until `stop`; gives how many bytes it was.
fn drip(held: &[TcpStream], stop: &AtomicBool) -> usize {
    let head = b"OPTIONS sip:1@x SIP/2.0\r\nX: ";
    let mut bytes = 0;
    for at in 0.. {
        let byte = [head.get(at).copied().unwrap_or(b'x')];
        for mut stream in held {
            if stop.load(Ordering::Relaxed) {
                return bytes;
            }
            bytes += usize::from(stream.write(&byte).is_ok());
        }
    }
    bytes
}

#[test]
#[ignore = "it measures, and takes half a minute"]
fn ten_thousand_connections_that_are_idle_and_then_slow() {
    let _ = sentrypeer::net::raise_descriptor_limit();
    for driver in DRIVERS {
        let rates = ["source", "network", "total"].map(|of| format!("--answer-rate-{of}=0"));
        let driver_flag = format!("--driver={driver}");
        let node = plan(&[&driver_flag, &rates[0], &rates[1], &rates[2], "--shards=4"]).start();
        println!("{driver}:");
        report("  before", &node);
        let held = crowd(&node);
        let accepted = || node.metric("sentrypeer_connections_accepted_total");
        await_that(|| accepted() >= CONNECTIONS as u64, "all to be accepted");
        report("  10,000 idle connections", &node);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let dripping = scope.spawn(|| drip(&held, &stop));
            report("  each a byte at a time", &node);
            let slow = || node.metric("sentrypeer_connections_closed_total");
            await_that(|| slow() >= CONNECTIONS as u64 / 2, "the slow ones to be closed");
            report("  half of them closed", &node);
            stop.store(true, Ordering::Relaxed);
            println!("  {} bytes were dripped", dripping.join().unwrap());
        });
        drop(held);
        let closed = || node.metric("sentrypeer_connections_closed_total");
        await_that(|| closed() >= CONNECTIONS as u64, "all to be gone");
        report("  after", &node);
        assert!(node.stop().success());
    }
}
