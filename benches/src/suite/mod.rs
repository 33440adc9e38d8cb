//! The parts of the table, a file each.

pub mod dips;
pub mod latency;
pub mod parser;
pub mod size;
pub mod storage;
pub mod streams;
pub mod udp;

use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::node::{Place, Running};
use crate::plot::Curve;
use crate::table::Row;

/// How to measure.
#[derive(Clone, Debug)]
pub struct Bench {
    /// Where programs and databases lie.
    pub place: Place,
    /// Turns of each measurement.
    pub repeats: u32,
    /// Length of one trial, in seconds.
    pub seconds: f64,
    /// The drivers to measure.
    pub drivers: Vec<String>,
    /// The core that the bare loops are kept on: where the program's one shard is.
    pub core: usize,
}

/// What a part found: rows for the table, and curves to draw.
#[derive(Default)]
pub struct Found {
    /// For the table.
    pub rows: Vec<Row>,
    /// For the plots.
    pub curves: Vec<Curve>,
}

/// A part of the table.
pub struct Part {
    /// Its name on the command line.
    pub name: &'static str,
    /// What measures it.
    pub measure: fn(&Bench) -> io::Result<Found>,
}

/// All parts, in the order of the table.
pub const PARTS: &[Part] = &[
    Part { name: "size", measure: size::measure },
    Part { name: "parser", measure: parser::measure },
    Part { name: "udp", measure: udp::measure },
    Part { name: "latency", measure: latency::measure },
    Part { name: "streams", measure: streams::measure },
    Part { name: "dips", measure: dips::measure },
    Part { name: "storage", measure: storage::measure },
];

impl Bench {
    fn program(&self, name: &str) -> PathBuf {
        self.place.programs.join(name)
    }

    /// Runs one of our senders until it ends, and reads the line of JSON that it says.
    fn say(&self, name: &str, arguments: &[String]) -> io::Result<Value> {
        let output = Command::new(self.program(name))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| io::Error::other(format!("{name}: {error}")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!("{name}: {}: {}", output.status, said.trim())));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Starts one of our receivers and waits until it listens.
    fn listen(&self, name: &str, arguments: &[String]) -> io::Result<Listener> {
        let mut process = Running(
            Command::new(self.program(name))
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .map_err(|error| io::Error::other(format!("{name}: {error}")))?,
        );
        let stdout = process.0.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut said = BufReader::new(stdout);
        said.read_line(&mut String::new())?;
        Ok(Listener { process, said })
    }
}

/// One of our receivers.
struct Listener {
    process: Running,
    said: BufReader<std::process::ChildStdout>,
}

impl Listener {
    /// Asks it to end, and reads what it says then.
    fn end(mut self) -> io::Result<Value> {
        self.process.signal(nix::sys::signal::Signal::SIGTERM);
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        // Not asked again: to be asked twice is to be told to end at once.
        self.process.wait()?;
        if line.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&line)?) }
    }
}

/// A member of what a program said.
fn number(said: &Value, name: &str) -> io::Result<f64> {
    said[name].as_f64().ok_or_else(|| io::Error::other(format!("{name} is missing in {said}")))
}

/// Tells how it goes to whoever waits.
fn tell(what: std::fmt::Arguments<'_>) {
    eprintln!("  {what}");
}
