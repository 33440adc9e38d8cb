//! How long an answer takes over UDP, at some parts of the most that is answered and stored.

use std::io;

use super::{Bench, Found, number, tell};
use crate::figure::Figure;
use crate::node::Node;
use crate::plot::Curve;
use crate::table::{Goal, Row};

/// What is asked for, in requests a second, until not every one is answered and stored.
const RUNGS: [u64; 9] =
    [25_000, 50_000, 75_000, 100_000, 125_000, 150_000, 175_000, 200_000, 250_000];
/// Parts of the most at which the answers are timed.
const PARTS: [u64; 3] = [10, 50, 80];
/// Part of the wanted rate that the sender must reach.
const SENDER_PART: f64 = 0.95;

/// The most that is answered, and how long it takes.
///
/// # Errors
///
/// If a program cannot be started, or does not do what it must.
pub fn measure(bench: &Bench) -> io::Result<Found> {
    let mut found = Found::default();
    for driver in &bench.drivers {
        let mut best = Vec::new();
        for _ in 0..bench.repeats {
            best.push(climb(bench, driver)?);
        }
        let Some(most) = Figure::of(&best) else { continue };
        let what = format!("answered and stored with nothing lost, {driver}");
        let row = Row::new("UDP, answering", what, "/s", most);
        found.rows.push(row.wanted(Goal::AtLeast(150_000.0)));
        times(bench, driver, most.median, &mut found)?;
    }
    Ok(found)
}

fn times(bench: &Bench, driver: &str, most: f64, found: &mut Found) -> io::Result<()> {
    const NAMES: [&str; 3] = ["p50_us", "p99_us", "p999_us"];
    for part in PARTS {
        let mut times: [Vec<f64>; 3] = Default::default();
        for _ in 0..bench.repeats {
            let said = ask(bench, driver, (most as u64 * part / 100).max(1))?.0;
            for (name, times) in NAMES.iter().zip(&mut times) {
                times.push(number(&said, name)?);
            }
        }
        let mut points = Vec::new();
        for (name, times) in ["p50", "p99", "p99.9"].iter().zip(&times) {
            let Some(figure) = Figure::of(times) else { continue };
            points.push((points.len() as f64, figure.median));
            let what = format!("answer, {name}, at {part} % of the most, {driver}");
            let row = Row::new("UDP, answering", what, "us", figure);
            let is_wanted = *name == "p99" && part == 50;
            found.rows.push(if is_wanted { row.wanted(Goal::AtMost(1_000.0)) } else { row });
        }
        let name = format!("{driver}, {part} % of the most");
        found.curves.push(Curve { plot: "reply-latency", name, points });
    }
    Ok(())
}

/// The most that is answered and stored with nothing lost, in requests a second.
fn climb(bench: &Bench, driver: &str) -> io::Result<f64> {
    let mut best = 0.0;
    for rung in RUNGS {
        let (said, stored) = ask(bench, driver, rung)?;
        let (sent, answered) = (number(&said, "sent")?, number(&said, "answered")?);
        let rate = sent / bench.seconds;
        tell(format_args!(
            "{driver}: {rung}/s wanted, {rate:.0}/s sent, {:.2} % answered, {:.2} % stored, p99 {} us",
            100.0 * answered / sent.max(1.0),
            100.0 * stored / sent.max(1.0),
            said["p99_us"]
        ));
        if answered < sent || stored < sent {
            break;
        }
        best = rate;
        if rate < rung as f64 * SENDER_PART {
            break;
        }
    }
    Ok(best)
}

/// What the sender said, and how many were stored.
fn ask(bench: &Bench, driver: &str, rate: u64) -> io::Result<(serde_json::Value, f64)> {
    let driver = format!("--driver={driver}");
    let mut node = Node::start(&bench.place, &ANSWERING.map(|a| a.unwrap_or(&driver)))?;
    // A batch a millisecond at most: a sender that bursts would be timed with its own burst.
    let batch = (rate / 10_000).clamp(1, 32);
    let said = bench.say(
        "ask",
        &[
            format!("--target=127.0.0.1:{}", node.sip),
            format!("--pps={rate}"),
            format!("--seconds={}", bench.seconds),
            format!("--batch={batch}"),
        ],
    )?;
    let stored = node.settle(number(&said, "sent")?)?.stored;
    node.process.stop()?;
    Ok((said, stored))
}

/// A node that answers everybody as often as he asks; `None` is the driver.
const ANSWERING: [Option<&str>; 9] = [
    Some("-r"),
    Some("--shards=1"),
    Some("--answer-rate-source"),
    Some("0"),
    Some("--answer-rate-network"),
    Some("0"),
    Some("--answer-rate-total"),
    Some("0"),
    None,
];
