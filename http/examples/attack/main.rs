//! What the fronts stand, and what a dip costs meanwhile:
//!
//! ```text
//! cargo run --release -p sentrypeer-http --example attack             every attack for ten seconds
//! cargo run --release -p sentrypeer-http --example attack -- random   a million random requests
//! ```
//!
//! Attackers are processes of their own, so the memory that is printed is the node's and that of the
//! client that dips. They share the machine with it, though, and give way to it (`nice`): their own
//! computing is no part of what they do to a node that they reach over a network.

#[expect(dead_code, clippy::unwrap_used, reason = "it is made for the tests")]
#[path = "../../tests/tests/attacks.rs"]
mod attacks;
#[expect(dead_code, clippy::unwrap_used, clippy::expect_used, reason = "it is made for the tests")]
#[path = "../../tests/tests/client.rs"]
mod client;
#[expect(dead_code, clippy::unwrap_used, reason = "it is made for the tests")]
#[path = "../../tests/tests/node.rs"]
mod node;
#[expect(clippy::unwrap_used, dead_code, reason = "it is made for the tests")]
#[path = "../../tests/tests/requests.rs"]
mod requests;

mod dips;

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sentrypeer_http::Lane;
use sentrypeer_http::counters::Incident;
use sentrypeer_http::front::{api, dip};

use crate::attacks::{ATTACKS, Aim, Attack, Fuzzer};
use crate::dips::{Watched, watched};
use crate::node::{Node, at, proven};

type Failure = Box<dyn std::error::Error>;

/// How long each attack lasts: longer than every time limit that it runs into.
const TIME: Duration = Duration::from_secs(12);
const SOURCES: u32 = 100_000;
/// Processes of an attack, and the connections of one that opens many.
const ATTACKERS: usize = 3;
const CONNECTIONS: usize = 1_000;
/// Random requests in all.
const RANDOM_REQUESTS: u64 = 1_000_000;

fn main() -> Result<(), Failure> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most.min(16_384), most)?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => all(),
        ["random"] => random(),
        ["send", name, at, api, seed] => send(name, at.parse()?, api.parse()?, seed.parse()?),
        _ => Err("say nothing, or random".into()),
    }
}

/// What one attacker does, until it is ended, or has sent its share of random requests.
fn send(name: &str, at: SocketAddr, api: SocketAddr, seed: u64) -> Result<(), Failure> {
    let aim = Aim { at, api, connections: CONNECTIONS };
    if let Some(attack) = ATTACKS.iter().find(|attack| attack.name == name) {
        (attack.act)(aim, &|| true);
        return Ok(());
    }
    let mut fuzzer = Fuzzer::new(aim, seed);
    for _ in 0..RANDOM_REQUESTS / ATTACKERS as u64 {
        fuzzer.request();
    }
    let Fuzzer { answers, unanswered, .. } = fuzzer;
    println!("answers by class of status {answers:?}, {unanswered} connections ended instead");
    Ok(())
}

/// The attackers, which end with this.
struct Attackers(Vec<Child>);

impl Attackers {
    fn begin(name: &str, number: usize, aim: Aim) -> Result<Self, Failure> {
        let (at, api) = (aim.at.to_string(), aim.api.to_string());
        let mut attackers = Self(Vec::new());
        for n in 0..number {
            let seed = (0x9e37_79b9 * (n as u64 + 1)).to_string();
            let mut command = Command::new("nice");
            command.args(["-n", "19"]).arg(std::env::current_exe()?);
            command.args(["send", name, &at, &api, &seed]).stdin(Stdio::null());
            attackers.0.push(command.spawn()?);
        }
        Ok(attackers)
    }

    /// How those ended that did so by themselves.
    fn ended(&mut self) -> Result<Vec<ExitStatus>, Failure> {
        let ended: Result<Vec<_>, _> = self.0.iter_mut().map(Child::try_wait).collect();
        Ok(ended?.into_iter().flatten().collect())
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A node with both of its fronts.
struct Served {
    node: Node,
    api: api::Front,
    dip: dip::Front,
}

impl Served {
    fn new(sources: u32) -> Result<Self, Failure> {
        let mut node = Node::with(&[]);
        let address = |n: u32| std::net::Ipv4Addr::from(0x1400_0000 + n).to_string();
        let addresses: Vec<String> = (0..sources).map(address).collect();
        node.push(addresses.iter().map(|source| proven(source, "+442071234567", at(1))));
        let api = api::serve(vec![TcpListener::bind("127.0.0.1:0")?], Arc::clone(&node.ctx))?;
        let dip = dip::serve("127.0.0.1:0".parse()?, Arc::clone(&node.ctx))?;
        Ok(Self { node, api, dip })
    }

    fn fronts(&self) -> [SocketAddr; 2] {
        [self.api.addresses()[0], self.dip.address()]
    }

    fn incidents(&self, lane: Lane) -> [u64; Incident::ALL.len()] {
        Incident::ALL.map(|what| self.node.ctx.counters.incidents(lane, what))
    }

    /// What happened on a lane since.
    fn happened_since(&self, lane: Lane, before: [u64; Incident::ALL.len()]) -> String {
        let changes = before.into_iter().zip(self.incidents(lane)).zip(Incident::ALL);
        let shown = changes.filter(|((was, is), _)| is > was);
        let shown = shown.map(|((was, is), what)| format!("{} {}", is - was, what.name()));
        shown.collect::<Vec<_>>().join(", ")
    }
}

fn all() -> Result<(), Failure> {
    let served = Served::new(SOURCES)?;
    println!("{SOURCES} sources, {ATTACKERS} attackers, {} s each\n", TIME.as_secs());
    Watched::print_head();
    under(&served, None, Lane::Api)?;
    for attack in &ATTACKS {
        under(&served, Some(attack), Lane::Api)?;
    }
    for attack in ATTACKS.iter().filter(|attack| attack.name != "endless headers") {
        under(&served, Some(attack), Lane::Dip)?;
    }
    Ok(())
}

/// Dips on both fronts while one of them is attacked.
fn under(served: &Served, attack: Option<&Attack>, lane: Lane) -> Result<(), Failure> {
    let fronts = served.fronts();
    let aim = Aim { at: fronts[lane as usize], api: fronts[0], connections: CONNECTIONS };
    let (name, number) = attack.map_or(("nobody", 0), |attack| (attack.name, ATTACKERS));
    let before = served.incidents(lane);
    let mut attackers = Attackers::begin(name, number, aim)?;
    let begun = Instant::now();
    let watched = watched(fronts, &|| begun.elapsed() < TIME)?;
    let ended = attackers.ended()?;
    drop(attackers);
    watched.print(&format!("{name}, {}", lane.name()), &served.happened_since(lane, before));
    // None ends by itself but for a fault that it found.
    if ended.is_empty() { Ok(()) } else { Err(format!("{name} ended: {ended:?}").into()) }
}

/// A million random requests on the API.
fn random() -> Result<(), Failure> {
    // Lists are short, or the requests would take an hour.
    let served = Served::new(1_000)?;
    let fronts = served.fronts();
    Watched::print_head();
    let before = served.incidents(Lane::Api);
    let aim = Aim { at: fronts[0], api: fronts[0], connections: 0 };
    let mut attackers = Attackers::begin("a share of the requests", ATTACKERS, aim)?;
    let over = AtomicBool::new(false);
    let (watched, ended) = std::thread::scope(|scope| {
        let watching = scope
            .spawn(|| watched(fronts, &|| !over.load(Relaxed)).map_err(|error| error.to_string()));
        let ended = loop {
            match attackers.ended() {
                Ok(ended) if ended.len() < ATTACKERS => {}
                ended => break ended,
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        over.store(true, Relaxed);
        (watching.join(), ended)
    });
    let watched: Watched = watched.map_err(|_| "the client failed")??;
    let name = format!("{RANDOM_REQUESTS} random requests, api");
    watched.print(&name, &served.happened_since(Lane::Api, before));
    if ended?.iter().all(ExitStatus::success) { Ok(()) } else { Err("a fault was found".into()) }
}
