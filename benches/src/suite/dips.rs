//! Dips and documents of a node that knows a million addresses: how many a second beside a constant
//! answer of the same front, alone and while events are stored.

use std::io;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::{Bench, Found, number, tell};
use crate::figure::Figure;
use crate::machine;
use crate::node::Node;
use crate::table::{Goal, Limit, Row};

/// Sources and numbers that the node knows.
const ROWS: u32 = 1_000_000;
/// How they are sent; slowly enough that nothing is lost.
const FILL_RATE: u32 = 100_000;
/// What SentryPeer 4 answers, in requests a second.
const BEFORE: f64 = 6_138.0;
const CONSTANT: &str = "/health-check";
const PATHS: [&str; 2] = ["/ip-addresses/{ip}", "/numbers/{n}"];

/// Memory of a million of each, and the dips.
///
/// # Errors
///
/// If a program cannot be started, or does not do what it must.
pub fn measure(bench: &Bench) -> io::Result<Found> {
    let mut found = Found::default();
    let mut node = Node::start(&bench.place, &["--shards=1"])?;
    let before = machine::resident_bytes(node.process.pid())?;
    fill(bench, &node)?;
    memory(&node, before, &mut found)?;
    for (front, port) in [("dip lane", node.dip), ("API", node.api)] {
        dips(bench, front, port, false, &mut found)?;
    }
    let flood = flood(bench, &node)?;
    dips(bench, "dip lane", node.dip, true, &mut found)?;
    drop(flood);
    documents(&node, bench.repeats, &mut found)?;
    node.process.stop()?;
    Ok(found)
}

fn blast(bench: &Bench, node: &Node, count: Option<u32>) -> Command {
    let mut blast = Command::new(bench.program("blast"));
    blast
        .arg(format!("--target=127.0.0.1:{}", node.sip))
        .arg(format!("--pps={FILL_RATE}"))
        .args(["--seconds=3600", "--bytes=500"])
        .args([format!("--sources={ROWS}"), format!("--numbers={ROWS}")]);
    if let Some(count) = count {
        blast.arg(format!("--count={count}"));
    }
    blast
}

fn fill(bench: &Bench, node: &Node) -> io::Result<()> {
    let status = blast(bench, node, Some(ROWS)).stdout(std::process::Stdio::null()).status()?;
    let fate = node.settle(f64::from(ROWS))?;
    if !status.success() || fate.stored < f64::from(ROWS) {
        return Err(io::Error::other(format!("not all of the rows are there: {fate:?}")));
    }
    Ok(())
}

fn flood(bench: &Bench, node: &Node) -> io::Result<crate::node::Running> {
    let child = blast(bench, node, None).stdout(std::process::Stdio::null()).spawn()?;
    Ok(crate::node::Running(child))
}

fn memory(node: &Node, before: u64, found: &mut Found) -> io::Result<()> {
    let pid = node.process.pid();
    // What was freed goes back to the system within a second or two.
    thread::sleep(Duration::from_secs(3));
    let after = machine::resident_bytes(pid)?;
    let mb = Figure::once((after - before.min(after)) as f64 / 1e6);
    let what = "a million sources and numbers, more resident";
    let note = format!("{} MB in all, the log's and the fronts' too", after / 1_000_000);
    found.rows.push(Row::new("memory", what, "MB", mb).noted(note));
    Ok(())
}

fn dips(
    bench: &Bench,
    front: &'static str,
    port: u16,
    flooded: bool,
    found: &mut Found,
) -> io::Result<()> {
    let (mut constants, mut p99) = (Vec::new(), [Vec::new(), Vec::new()]);
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..bench.repeats {
        constants.push(number(&ask(bench, port, CONSTANT)?, "per_second")?);
        for (i, path) in PATHS.iter().enumerate() {
            let said = ask(bench, port, path)?;
            rates[i].push(number(&said, "per_second")?);
            p99[i].push(number(&said, "p99_us")? / 1_000.0);
        }
    }
    for ((path, rates), p99) in PATHS.iter().zip(&rates).zip(&p99) {
        let (Some(rate), Some(p99)) = (Figure::of(rates), Figure::of(p99)) else { continue };
        let during =
            if flooded { format!(" while {FILL_RATE} events/s come") } else { String::new() };
        let what = format!("{path}, {front}{during}");
        tell(format_args!("{what}: {}/s, p99 {} ms", rate.text(), p99.text()));
        let beside = Limit::of("constant answer", rates, &constants);
        let note = format!("{:.0} times SentryPeer 4", rate.median / BEFORE);
        let rate = Row::new("HTTP", what.clone(), "/s", rate).beside(beside).noted(note);
        let p99 = Row::new("HTTP", format!("{what}, p99"), "ms", p99);
        let goal = Goal::AtMost(if flooded { 3.0 } else { 1.0 });
        found.rows.push(if flooded { rate } else { rate.wanted(Goal::RatioAtLeast(0.8)) });
        found.rows.push(p99.wanted(goal));
    }
    Ok(())
}

fn ask(bench: &Bench, port: u16, path: &str) -> io::Result<serde_json::Value> {
    let arguments = [
        format!("--target=127.0.0.1:{port}"),
        format!("--path={path}"),
        format!("--rows={ROWS}"),
        format!("--seconds={}", bench.seconds),
    ];
    bench.say("dips", &arguments)
}

/// A document and what is wanted: ms to the first byte, and to the last.
const DOCUMENTS: [(&str, &str, f64, f64); 2] = [
    ("ipset of a million", "/ip-addresses/ipset?min_verification=unverified", 50.0, 700.0),
    ("the 4.x list of a million", "/ip-addresses", f64::INFINITY, f64::INFINITY),
];

fn documents(node: &Node, repeats: u32, found: &mut Found) -> io::Result<()> {
    for (name, path, first_goal, whole_goal) in DOCUMENTS {
        let (mut first, mut whole) = (Vec::new(), Vec::new());
        for _ in 0..repeats {
            let times = fetch(node, path)?;
            first.push(times[0] * 1_000.0);
            whole.push(times[1] * 1_000.0);
        }
        for (what, times, goal) in [("first byte", first, first_goal), ("whole", whole, whole_goal)]
        {
            let Some(figure) = Figure::of(&times) else { continue };
            let row = Row::new("HTTP", format!("{name}, {what}"), "ms", figure);
            found.rows.push(if goal.is_finite() { row.wanted(Goal::AtMost(goal)) } else { row });
        }
    }
    Ok(())
}

/// Seconds until the first byte and until the last.
fn fetch(node: &Node, path: &str) -> io::Result<[f64; 2]> {
    let url = format!("http://127.0.0.1:{}{path}", node.api);
    let output = Command::new("curl")
        .args(["-fsS", "--max-time", "60", "-o", "/dev/null"])
        .args(["-w", "%{time_starttransfer} %{time_total}", &url])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let times: Vec<f64> = text.split(' ').filter_map(|time| time.parse().ok()).collect();
    match (output.status.success(), times[..].try_into()) {
        (true, Ok(times)) => Ok(times),
        _ => Err(io::Error::other(format!("{url}: {}", String::from_utf8_lossy(&output.stderr)))),
    }
}
