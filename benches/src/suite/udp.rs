//! Datagrams: how many a second are stored with nothing lost, and what each costs, beside a bare loop
//! that throws away (`sink`) and one that does the least that storing takes (`floor`).

use std::io;
use std::time::Duration;

use super::{Bench, Found, number, tell};
use crate::figure::Figure;
use crate::machine::{self, Processors};
use crate::node::{Node, free_port};
use crate::plot::Curve;
use crate::table::{Goal, Limit, Row};

/// Bytes of every message.
const BYTES: u32 = 500;
/// Messages that the sender's kernel cuts out of one send.
const SEGMENTS: u32 = 32;
/// The rungs of the ladder, in packets a second.
const RUNGS: [u64; 12] = [
    50_000, 100_000, 150_000, 200_000, 250_000, 300_000, 350_000, 400_000, 500_000, 600_000,
    700_000, 800_000,
];
/// The rate at which the CPU of a message is told.
const CPU_RATE: u64 = 300_000;
/// Best that SentryPeer 4 stores.
const BEFORE: f64 = 919.0;
/// Part of the wanted rate that a sender must reach; below it, it is the sender that is measured.
const SENDER_PART: f64 = 0.95;

/// What is sent, and what receives it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Receiver<'a> {
    Program { driver: &'a str },
    Floor,
    Sink,
}

/// What came of one load.
struct Trial {
    sent: f64,
    /// Packets a second that were really sent.
    rate: f64,
    /// Stored, or received by what does not store.
    kept: f64,
    cpu_us_each: f64,
    /// CPU of each thread of the program for a message, in ns.
    threads: Vec<(String, f64)>,
    busy: Option<String>,
}

impl Trial {
    fn is_whole(&self) -> bool {
        self.kept >= self.sent
    }
}

/// The ladders and the CPU of a message.
///
/// # Errors
///
/// If a program cannot be started, or does not do what it must.
pub fn measure(bench: &Bench) -> io::Result<Found> {
    let mut found = Found::default();
    most(bench, &mut found)?;
    cpu(bench, &mut found)?;
    Ok(found)
}

/// The most that is stored with nothing lost.
fn most(bench: &Bench, found: &mut Found) -> io::Result<()> {
    for driver in &bench.drivers {
        for sources in [1, 1_000, 1_000_000] {
            let (mut program, mut floor, mut sink) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..bench.repeats {
                program.push(climb(bench, Receiver::Program { driver }, sources, found)?);
                floor.push(climb(bench, Receiver::Floor, sources, found)?);
                sink.push(climb(bench, Receiver::Sink, sources, found)?);
            }
            let Some(figure) = Figure::of(&program) else { continue };
            let what = format!("stored with nothing lost, {sources} sources, {driver}");
            let beside = Limit::of("floor pipeline", &program, &floor);
            let row = Row::new("UDP", what.clone(), "/s", figure).beside(beside);
            found.rows.push(row.wanted(Goal::RatioAtLeast(0.7)));
            let sink = Limit::of("bare sink", &program, &sink);
            let row =
                Row::new("UDP", format!("{what}, beside the sink"), "/s", figure).beside(sink);
            let before = figure.median / BEFORE;
            let row = row.noted(format!("{before:.0} times SentryPeer 4"));
            found.rows.push(row.wanted(Goal::AtLeast(400_000.0)));
        }
    }
    Ok(())
}

/// Climbs the ladder until something is lost or the sender does not keep up, and gives the rate of the
/// last trial with nothing lost.
fn climb(
    bench: &Bench,
    receiver: Receiver<'_>,
    sources: u32,
    found: &mut Found,
) -> io::Result<f64> {
    let (mut best, mut points) = (0.0, Vec::new());
    for rung in RUNGS {
        let trial = trial(bench, receiver, sources, rung)?;
        tell(format_args!(
            "{receiver:?}, {sources} sources: {rung}/s wanted, {:.0}/s sent, {:.2} % kept, {:.2} us each{}",
            trial.rate,
            100.0 * trial.kept / trial.sent.max(1.0),
            trial.cpu_us_each,
            trial.busy.as_ref().map_or_else(String::new, |busy| format!(" ({busy})")),
        ));
        points.push((trial.rate, trial.cpu_us_each));
        if !trial.is_whole() {
            break;
        }
        best = trial.rate;
        if trial.rate < rung as f64 * SENDER_PART {
            break;
        }
    }
    let name = match receiver {
        Receiver::Program { driver } => format!("program, {driver}, {sources} sources"),
        Receiver::Floor => format!("floor, {sources} sources"),
        Receiver::Sink => format!("sink, {sources} sources"),
    };
    found.curves.push(Curve { plot: "udp-cpu", name, points });
    Ok(best)
}

/// What a message costs at a steady rate, from the wire to the disk.
fn cpu(bench: &Bench, found: &mut Found) -> io::Result<()> {
    for driver in &bench.drivers {
        let (mut program, mut floor, mut sink) = (Vec::new(), Vec::new(), Vec::new());
        let (mut stages, mut note) = (Vec::new(), String::new());
        for _ in 0..bench.repeats {
            let trial = trial(bench, Receiver::Program { driver }, 1_000, CPU_RATE)?;
            note = remark(&trial);
            program.push(trial.cpu_us_each);
            stages.push(trial.threads);
            floor.push(self::trial(bench, Receiver::Floor, 1_000, CPU_RATE)?.cpu_us_each);
            sink.push(self::trial(bench, Receiver::Sink, 1_000, CPU_RATE)?.cpu_us_each);
        }
        let Some(figure) = Figure::of(&program) else { continue };
        let what = format!("CPU from wire to durable at 300,000/s, {driver}");
        let beside = Limit::of("floor pipeline", &program, &floor);
        let row = Row::new("UDP", what.clone(), "us", figure).beside(beside);
        found.rows.push(row.wanted(Goal::AtMost(2.5)).noted(note));
        let beside = Limit::of("bare sink", &program, &sink);
        found
            .rows
            .push(Row::new("UDP", format!("{what}, beside the sink"), "us", figure).beside(beside));
        for name in ["shard", "writer", "packer", "committer"] {
            let of = |threads: &Vec<(String, f64)>| {
                threads
                    .iter()
                    .filter(|(own, _)| own.starts_with(name))
                    .map(|(_, ns)| ns)
                    .sum::<f64>()
            };
            let figures: Vec<f64> = stages.iter().map(of).collect();
            // A thread that is not there has no row.
            if let Some(figure) = Figure::of(&figures).filter(|figure| figure.median > 0.0) {
                let what = format!("of it the {name}, {driver}");
                found.rows.push(Row::new("UDP", what, "ns", figure));
            }
        }
    }
    Ok(())
}

/// What to know of a trial: that it was not at the rate, not whole, or not alone.
fn remark(trial: &Trial) -> String {
    let mut remarks = Vec::new();
    if trial.rate < CPU_RATE as f64 * SENDER_PART {
        remarks.push(format!("the sender reached only {:.0}/s", trial.rate));
    }
    if !trial.is_whole() {
        remarks.push(format!("{:.2} % kept", 100.0 * trial.kept / trial.sent.max(1.0)));
    }
    remarks.extend(trial.busy.clone());
    remarks.join("; ")
}

/// One load on one receiver, in a process of its own.
fn trial(bench: &Bench, receiver: Receiver<'_>, sources: u32, rate: u64) -> io::Result<Trial> {
    match receiver {
        Receiver::Program { driver } => {
            let driver = format!("--driver={driver}");
            let mut node = Node::start(&bench.place, &["--shards=1", &driver])?;
            let pid = node.process.pid();
            let (before, cpu) = (Processors::now(), machine::cpu(pid)?);
            let said = blast(bench, node.sip, sources, rate)?;
            let sent = number(&said, "sent")?;
            let kept = node.settle(sent)?.stored;
            let took = machine::cpu(pid)?.saturating_sub(cpu);
            let threads = machine::threads(pid)?;
            let threads = threads.into_iter().map(|(name, t)| (name, t.as_nanos() as f64 / sent));
            let threads = threads.collect();
            let busy = Processors::now().busy_since(before, took + sender_cpu(&said));
            node.process.stop()?;
            Trial::of(&said, kept, took, threads, busy)
        }
        Receiver::Floor | Receiver::Sink => bare(bench, receiver, sources, rate),
    }
}

fn bare(bench: &Bench, receiver: Receiver<'_>, sources: u32, rate: u64) -> io::Result<Trial> {
    let folder = tempfile::tempdir_in(&bench.place.folder)?;
    let port = free_port()?;
    let mut arguments =
        vec![format!("--listen=127.0.0.1:{port}"), format!("--cores={}", bench.core)];
    let name = if receiver == Receiver::Floor { "floor" } else { "sink" };
    if receiver == Receiver::Floor {
        arguments.push(format!("--file={}", folder.path().join("floor").display()));
    }
    let listener = bench.listen(name, &arguments)?;
    let before = Processors::now();
    let said = blast(bench, port, sources, rate)?;
    let end = listener.end()?;
    let took = Duration::from_micros(number(&end, "cpu_us")? as u64);
    let busy = Processors::now().busy_since(before, took + sender_cpu(&said));
    Trial::of(&said, number(&end, "packets")?, took, Vec::new(), busy)
}

impl Trial {
    fn of(
        said: &serde_json::Value,
        kept: f64,
        cpu: Duration,
        threads: Vec<(String, f64)>,
        busy: Option<String>,
    ) -> io::Result<Self> {
        let sent = number(said, "sent")?;
        let rate = number(said, "pps")?;
        let cpu_us_each = cpu.as_secs_f64() * 1e6 / sent.max(1.0);
        Ok(Self { sent, rate, kept, cpu_us_each, threads, busy })
    }
}

fn sender_cpu(said: &serde_json::Value) -> Duration {
    Duration::from_micros(said["cpu_us"].as_u64().unwrap_or(0))
}

fn blast(bench: &Bench, port: u16, sources: u32, rate: u64) -> io::Result<serde_json::Value> {
    bench.say(
        "blast",
        &[
            format!("--target=127.0.0.1:{port}"),
            format!("--pps={rate}"),
            format!("--seconds={}", bench.seconds),
            format!("--sources={sources}"),
            "--numbers=1000".to_owned(),
            format!("--bytes={BYTES}"),
            format!("--segments={SEGMENTS}"),
        ],
    )
}
