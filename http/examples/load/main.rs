//! How many dips a second each front answers beside a constant answer, and how long they take, also
//! while events are stored: `cargo run --release -p sentrypeer-http --example load [SOURCES [ROUNDS]]`.
//!
//! Client and server share the machine, so a figure alone says little. The constant answer and the dips
//! take turns, for a busy machine is busy for all of them, and what is printed is the median of the
//! rounds with the least and the most. The client is one thread, as wrk would be, and what it computes
//! is taken off where the front's own time is shown.

#[expect(dead_code, clippy::unwrap_used, reason = "it is made for the tests")]
#[path = "../../tests/tests/node.rs"]
mod node;

mod asker;
mod pour;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sentrypeer_http::front::{api, dip};

use crate::asker::{Asked, CONNECTIONS, Pace, ask};
use crate::node::{Node, at, proven};
use crate::pour::pour;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const TIME: Duration = Duration::from_secs(2);
/// Different requests of a kind, made before any is sent; each goes to another row.
const REQUESTS: u32 = 1 << 15;
const FIRST: u32 = 0x1400_0000;
/// What the times of dips are measured at beside full speed: a busy site.
const PACE: Pace = Pace::PerSecond(10_000);
const EVENTS_PER_S: u64 = 100_000;

/// What is asked for.
#[derive(Clone, Copy)]
enum Ask {
    Constant,
    Address,
    Number,
}

impl Ask {
    fn name(self) -> &'static str {
        match self {
            Self::Constant => "/health-check",
            Self::Address => "/ip-addresses/{ip}",
            Self::Number => "/numbers/{n}",
        }
    }

    fn requests(self, rows: u32) -> Vec<Vec<u8>> {
        let path = |n: u32| {
            let row = n.wrapping_mul(0x9e37_79b1) % rows;
            match self {
                Self::Constant => "/health-check".to_owned(),
                Self::Address => format!("/ip-addresses/{}", Ipv4Addr::from(FIRST + row)),
                Self::Number => format!("/numbers/+44{row}"),
            }
        };
        let request = |n| format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", path(n)).into();
        (0..REQUESTS).map(request).collect()
    }
}

/// The median of some figures, with the least and the most.
fn middle(mut figures: Vec<f64>) -> String {
    figures.sort_by(f64::total_cmp);
    let (least, most) = (figures[0], figures[figures.len() - 1]);
    let decimals = if most < 100.0 { 2 } else { 0 };
    let half = figures[figures.len() / 2];
    format!("{half:.decimals$} ({least:.decimals$}–{most:.decimals$})")
}

/// The requests of each kind.
struct Requests([Vec<Vec<u8>>; 3]);

impl Requests {
    fn of(&self, what: Ask) -> &[Vec<u8>] {
        &self.0[what as usize]
    }
}

/// Dips at full speed, each between two constant answers.
fn in_turns(address: SocketAddr, requests: &Requests, rounds: usize) -> Result<(), Failure> {
    let run = |what| ask(address, requests.of(what), Pace::Full, TIME);
    let (mut constants, mut before) = (vec![run(Ask::Constant)?], 0);
    let mut dips = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (kind, what) in [Ask::Address, Ask::Number].into_iter().enumerate() {
            let asked = run(what)?;
            constants.push(run(Ask::Constant)?);
            let beside = (constants[before].per_s() + constants[before + 1].per_s()) / 2.0;
            dips[kind].push((asked.per_s() / beside, asked));
            before += 1;
        }
    }
    let line = |what: Ask, asked: Vec<&Asked>, ratios: String| {
        let of =
            |value: fn(&Asked) -> f64| middle(asked.iter().map(|asked| value(asked)).collect());
        let (name, per_s, p99) =
            (what.name(), of(Asked::per_s), of(|asked| asked.percentile_ms(99.0)));
        println!("| {name} | {per_s} | {ratios} | {p99} | {} |", of(Asked::front_us));
    };
    println!(
        "| full speed | answers/s | of the constant | p99, ms | front's CPU, µs |\n|---|---|---|---|---|"
    );
    line(Ask::Constant, constants.iter().collect(), String::new());
    for (what, dips) in [Ask::Address, Ask::Number].into_iter().zip(&dips) {
        let ratios = middle(dips.iter().map(|(ratio, _)| *ratio).collect());
        line(what, dips.iter().map(|(_, asked)| asked).collect(), ratios);
    }
    Ok(())
}

/// Dips at a pace.
fn paced(address: SocketAddr, requests: &Requests, rounds: usize) -> Result<(), Failure> {
    println!("| {PACE} | answers/s | p50, ms | p99, ms | longest, ms |\n|---|---|---|---|---|");
    for what in [Ask::Constant, Ask::Address, Ask::Number] {
        let asked = (0..rounds).map(|_| ask(address, requests.of(what), PACE, TIME));
        let asked = asked.collect::<Result<Vec<_>, _>>()?;
        let of = |value: fn(&Asked) -> f64| middle(asked.iter().map(value).collect());
        let [half, most, longest] = [
            |a: &Asked| a.percentile_ms(50.0),
            |a: &Asked| a.percentile_ms(99.0),
            |a: &Asked| a.percentile_ms(100.0),
        ]
        .map(of);
        println!("| {} | {} | {half} | {most} | {longest} |", what.name(), of(Asked::per_s));
    }
    Ok(())
}

fn filled(rows: u32) -> Node {
    let mut node = Node::with(&[]);
    let texts: Vec<(String, String)> =
        (0..rows).map(|n| (Ipv4Addr::from(FIRST + n).to_string(), format!("+44{n}"))).collect();
    node.push(texts.iter().map(|(source, number)| proven(source, number, at(1))));
    node
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |usual: u32| arguments.next().map_or(Ok(usual), |text| text.parse());
    let (rows, rounds) = (argument(1_000_000)?.max(1), argument(5)?.max(1) as usize);
    let mut node = filled(rows);
    let ctx = Arc::clone(&node.ctx);
    let api = api::serve(vec![TcpListener::bind("127.0.0.1:0")?], Arc::clone(&ctx))?;
    let lane = dip::serve("127.0.0.1:0".parse()?, Arc::clone(&ctx))?;
    let requests =
        Requests([Ask::Constant, Ask::Address, Ask::Number].map(|what| what.requests(rows)));
    println!(
        "{rows} sources and numbers, {CONNECTIONS} connections, {rounds} rounds of {} s",
        TIME.as_secs()
    );
    let measure = |of: &str| {
        for (front, address) in [("API", api.addresses()[0]), ("dip lane", lane.address())] {
            println!("\n{front}{of}");
            in_turns(address, &requests, rounds)?;
            paced(address, &requests, rounds)?;
        }
        Ok(())
    };
    measure("")?;
    let stop = AtomicBool::new(false);
    let (measured, poured) = std::thread::scope(|scope| {
        let pouring = scope.spawn(|| pour(&mut node, rows, EVENTS_PER_S, &stop));
        let measured: Result<(), Failure> = measure(", while events are stored");
        stop.store(true, Relaxed);
        (measured, pouring.join())
    });
    println!("\n{}", poured.map_err(|_| "the events could not be poured")?);
    measured
}
