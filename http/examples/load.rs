//! How many dips a second each front answers beside a constant answer, and how long they take:
//! `cargo run --release -p sentrypeer-http --example load [SOURCES]`.
//!
//! Client and server share the machine, so a figure alone says little; the ratio of two lines of one
//! run does. The rounds take turns, for a busy machine is busy for all of them.

#[expect(dead_code, clippy::unwrap_used, reason = "it is made for the tests")]
#[path = "../tests/tests/node.rs"]
mod node;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sentrypeer_http::front::{api, dip};

use crate::node::{Node, at, proven};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const CONNECTIONS: u32 = 16;
const TIME: Duration = Duration::from_secs(2);
const ROUNDS: u32 = 3;
const FIRST: u32 = 0x1400_0000;

/// What is asked for.
#[derive(Clone, Copy)]
enum Ask {
    Constant,
    Address(u32),
    Number(u32),
}

impl Ask {
    fn name(self) -> &'static str {
        match self {
            Self::Constant => "/health-check",
            Self::Address(_) => "/ip-addresses/{ip}",
            Self::Number(_) => "/numbers/{n}",
        }
    }

    /// The `n`th request, which goes to another row each time.
    fn request(self, n: u32) -> String {
        let path = match self {
            Self::Constant => "/health-check".to_owned(),
            Self::Address(rows) => {
                format!(
                    "/ip-addresses/{}",
                    Ipv4Addr::from(FIRST + n.wrapping_mul(0x9e37_79b1) % rows)
                )
            }
            Self::Number(rows) => format!("/numbers/+44{}", n.wrapping_mul(0x9e37_79b1) % rows),
        };
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    }
}

/// Reads one answer. Whether the connection goes on.
fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<bool, Failure> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Err("the front ended the connection".into());
        }
        filled += read;
        let text = std::str::from_utf8(&buffer[..filled])?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        let of = |name: &str| {
            let mut found = lines.clone().filter(|(n, _)| n.eq_ignore_ascii_case(name));
            found.next().map(|(_, value)| value.trim())
        };
        if body.len() >= of("content-length").ok_or("no length")?.parse()? {
            return match head.as_bytes().get(9..12) {
                Some(b"200") => Ok(of("connection").is_none()),
                _ => Err(head.to_owned().into()),
            };
        }
    }
}

/// Asks for [`TIME`], and gives the time that each answer took, in ns.
fn ask(address: SocketAddr, ask: Ask, from: u32) -> Result<Vec<u32>, Failure> {
    let (mut buffer, mut took) = (vec![0; 64 * 1024], Vec::with_capacity(1 << 16));
    let connect = || -> Result<TcpStream, Failure> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    let (mut stream, mut n, begun) = (connect()?, from, Instant::now());
    while begun.elapsed() < TIME {
        let request = ask.request(n);
        n = n.wrapping_add(CONNECTIONS);
        let sent = Instant::now();
        stream.write_all(request.as_bytes())?;
        let goes_on = answer(&mut stream, &mut buffer)?;
        took.push(u32::try_from(sent.elapsed().as_nanos()).unwrap_or(u32::MAX));
        if !goes_on {
            stream = connect()?;
        }
    }
    Ok(took)
}

/// Answers a second, and the 99th percentile of their times.
fn load(address: SocketAddr, what: Ask) -> Result<(u64, Duration), Failure> {
    let asking: Vec<_> =
        (0..CONNECTIONS).map(|n| std::thread::spawn(move || ask(address, what, n))).collect();
    let mut took = Vec::new();
    for thread in asking {
        took.extend(thread.join().map_err(|_| "a client failed")??);
    }
    let place = (took.len() * 99 / 100).min(took.len() - 1);
    let (_, p99, _) = took.select_nth_unstable(place);
    let p99 = Duration::from_nanos(u64::from(*p99));
    Ok((took.len() as u64 / TIME.as_secs(), p99))
}

fn main() -> Result<(), Failure> {
    let rows = std::env::args().nth(1).map_or(Ok(1_000_000), |rows| rows.parse())?;
    let mut node = Node::with(&[]);
    let texts: Vec<(String, String)> =
        (0..rows).map(|n| (Ipv4Addr::from(FIRST + n).to_string(), format!("+44{n}"))).collect();
    node.push(texts.iter().map(|(source, number)| proven(source, number, at(1))));
    drop(texts);
    let api = api::serve(vec![TcpListener::bind("127.0.0.1:0")?], Arc::clone(&node.ctx))?;
    let dip = dip::serve("127.0.0.1:0".parse()?, Arc::clone(&node.ctx))?;
    println!("{rows} sources and numbers, {CONNECTIONS} connections, {} s a round", TIME.as_secs());
    for round in 1..=ROUNDS {
        for (front, address) in [("API", api.addresses()[0]), ("dip lane", dip.address())] {
            let (constant, p99) = load(address, Ask::Constant)?;
            println!("{round}. {front} {}: {constant}/s, p99 {p99:?}", Ask::Constant.name());
            for what in [Ask::Address(rows), Ask::Number(rows)] {
                let (dips, p99) = load(address, what)?;
                let ratio = dips as f64 / constant as f64;
                println!("{round}. {front} {}: {dips}/s ({ratio:.2}), p99 {p99:?}", what.name());
            }
        }
    }
    Ok(())
}
