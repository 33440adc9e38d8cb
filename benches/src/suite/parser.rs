//! The parser, by its own bench, beside other loops over the same messages.

use std::io;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Bench, Found};
use crate::figure::Figure;
use crate::table::{Goal, Limit, Row};

/// What each is wanted to be: ns, or a ratio to httparse.
fn goal(name: &str) -> Option<Goal> {
    match name {
        "sip, spans only" => Some(Goal::RatioAtMost(1.0)),
        "sip, all fields, anomalies of the scan" => Some(Goal::AtMost(400.0)),
        "sip, that with deep checks, once an event" => Some(Goal::AtMost(1_000.0)),
        _ => None,
    }
}

/// The bench of the parser.
///
/// # Errors
///
/// If it cannot be built or run.
pub fn measure(_: &Bench) -> io::Result<Found> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["bench", "--quiet", "-p", "sentrypeer-benches", "--bench", "sip", "--", "messages"])
        .arg("--json")
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("the bench of the parser: {}", output.status)));
    }
    let works: Value = serde_json::from_slice(&output.stdout)?;
    let of = |name: &str| {
        let work = works.as_array()?.iter().find(|work| work["name"] == name)?;
        let repeats = work["ns"].as_array()?.iter().filter_map(Value::as_f64);
        Some(repeats.collect::<Vec<f64>>())
    };
    let httparse = of("httparse, header block only").unwrap_or_default();
    let mut found = Found::default();
    for work in works.as_array().into_iter().flatten() {
        let Some(name) = work["name"].as_str() else { continue };
        let repeats = of(name).unwrap_or_default();
        let Some(figure) = Figure::of(&repeats) else { continue };
        let row = Row::new("parser", name, "ns", figure);
        let row = row.beside(Limit::of("httparse, headers only", &repeats, &httparse));
        found.rows.push(match goal(name) {
            Some(goal) => row.wanted(goal),
            None => row,
        });
    }
    Ok(found)
}
