//! Load as carriers make it before they believe anything: sipp places calls, registers and pings, and
//! what it says is held against what the node counted.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::node::{Node, Place, Running, free_port};
use crate::plot::Curve;

/// Addresses that a row with many comes from.
const ADDRESSES: u32 = 200;
/// How long calls may take after the last was begun, in seconds.
const TAIL_S: u64 = 60;
/// What limits the answers to one address is off: all calls of a row come from few.
const UNLIMITED: [&str; 6] =
    ["--answer-rate-source", "0", "--answer-rate-network", "0", "--answer-rate-total", "0"];

/// How sipp sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// UDP from one address.
    Udp,
    /// UDP from 200 addresses.
    UdpFromMany,
    /// One TCP connection.
    Tcp,
    /// A TCP connection for each call.
    TcpEach,
    /// One connection through a TLS tunnel.
    Tls,
}

/// One row: some scenarios at once, each at a rate.
pub struct Row {
    /// What it is.
    pub name: &'static str,
    /// How it is sent.
    pub way: Way,
    /// Scenario, and calls of it a second.
    pub scenarios: &'static [(&'static str, u32)],
    /// Whether the node's own limits of answers are left on.
    pub limits: bool,
}

/// All rows, in order.
pub const ROWS: [Row; 9] = [
    Row {
        name: "registration storm",
        way: Way::Udp,
        scenarios: &[("register", 1_500)],
        limits: false,
    },
    Row { name: "flood of calls", way: Way::Udp, scenarios: &[("call", 1_500)], limits: false },
    Row { name: "option pings", way: Way::Udp, scenarios: &[("options", 3_000)], limits: false },
    Row {
        name: "mixed, 200 addresses",
        way: Way::UdpFromMany,
        scenarios: &[("register", 400), ("call", 400), ("options", 800)],
        limits: false,
    },
    Row { name: "calls", way: Way::Tcp, scenarios: &[("call", 500)], limits: false },
    Row {
        name: "calls, a connection each",
        way: Way::TcpEach,
        scenarios: &[("call", 200)],
        limits: false,
    },
    Row {
        name: "mixed",
        way: Way::Tcp,
        scenarios: &[("register", 200), ("call", 200), ("options", 400)],
        limits: false,
    },
    Row {
        name: "calls, through a tunnel",
        way: Way::Tls,
        scenarios: &[("call", 200)],
        limits: false,
    },
    Row {
        name: "calls, the default limits",
        way: Way::Udp,
        scenarios: &[("call", 8)],
        limits: true,
    },
];

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Udp | Self::UdpFromMany => "UDP",
            Self::Tcp | Self::TcpEach => "TCP",
            Self::Tls => "TLS",
        }
    }
}

/// Messages that a call of a scenario sends, if none is sent again.
fn messages(scenario: &str) -> u64 {
    match scenario {
        "call" => 3,
        "register" => 2,
        _ => 1,
    }
}

/// What sipp says in the end of one scenario.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// Calls that went as they should.
    pub good: u64,
    /// Calls that did not.
    pub failed: u64,
    /// Messages that were sent again.
    pub again: u64,
    /// Seconds since the start, and calls that ended well in the second before.
    pub course: Vec<(f64, f64)>,
}

impl Said {
    /// From the file of statistics that sipp writes: names, then a line each second.
    ///
    /// None if it has not the columns that are known.
    #[must_use]
    pub fn read(csv: &str) -> Option<Self> {
        let mut lines = csv.lines();
        let names: Vec<&str> = lines.next()?.split(';').collect();
        let column = |name: &str| names.iter().position(|known| *known == name);
        let [good, failed, again] =
            ["SuccessfulCall(C)", "FailedCall(C)", "Retransmissions(C)"].map(column);
        let (period, elapsed) = (column("SuccessfulCall(P)")?, column("ElapsedTime(C)")?);
        let mut said = Self::default();
        for line in lines {
            let values: Vec<&str> = line.split(';').collect();
            let number = |column: usize| values.get(column)?.parse::<u64>().ok();
            let seconds =
                values.get(elapsed)?.split(':').filter_map(|part| part.parse::<f64>().ok());
            let seconds = seconds.fold(0.0, |sum, part| sum * 60.0 + part);
            said.course.push((seconds, number(period)? as f64));
            said.good = number(good?)?;
            said.failed = number(failed?)?;
            said.again = number(again?)?;
        }
        Some(said)
    }
}

/// What came of a row.
pub struct Outcome {
    /// All scenarios together.
    pub said: Said,
    /// Calls that were to be made.
    pub calls: u64,
    /// Messages that they take, if none is sent again.
    pub messages: u64,
    /// Events that the node stored.
    pub stored: f64,
    /// Answers that the node withheld.
    pub withheld: f64,
    /// What is wrong.
    pub faults: Vec<String>,
}

impl Outcome {
    fn judge(&mut self, limits: bool) {
        let Said { good, failed, again, .. } = self.said;
        if good != self.calls || failed != 0 {
            self.faults.push(format!("{good} of {} calls went well, {failed} failed", self.calls));
        }
        let (least, most) = (self.messages as f64, (self.messages + again) as f64);
        if !(least..=most).contains(&self.stored) {
            self.faults.push(format!(
                "{} events are stored of {} messages and {again} sent again",
                self.stored, self.messages
            ));
        }
        if self.withheld > 0.0 && !limits {
            self.faults.push(format!("{} answers were withheld", self.withheld));
        }
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self, row: &Row) -> Value {
        json!({
            "row": row.name, "transport": row.way.name(), "calls": self.calls, "good": self.said.good,
            "failed": self.said.failed, "sent_again": self.said.again, "messages": self.messages,
            "stored": self.stored, "withheld": self.withheld, "faults": self.faults,
        })
    }
}

/// How to load.
pub struct Load {
    /// Where the programs are.
    pub place: Place,
    /// The folder of the scenarios.
    pub scenarios: PathBuf,
    /// How long calls are begun in each row.
    pub seconds: u32,
    /// Tenths of each row's rate: 10 is all of it.
    pub tenths: u32,
}

impl Load {
    /// Runs a row on a node of its own.
    ///
    /// # Errors
    ///
    /// If the node or sipp cannot be run.
    pub fn run(&self, row: &Row) -> io::Result<(Outcome, Curve)> {
        let limits: &[&str] = if row.limits { &[] } else { &UNLIMITED };
        // The scenario registers with one password, as a phone does; the node's own default is the third.
        let mut node = Node::start(&self.place, &[&["-r", "--register-tries=1"], limits].concat())?;
        let folder = tempfile::tempdir()?;
        let tunnel = (row.way == Way::Tls).then(|| Tunnel::open(node.sip + 1)).transpose()?;
        let target = tunnel.as_ref().map_or(node.sip, |tunnel| tunnel.port);
        write_addresses(&folder.path().join("addresses.csv"))?;
        let mut running = Vec::new();
        for (scenario, rate) in row.scenarios {
            let rate = at(*rate, self.tenths);
            let sipp = self.sipp(row.way, scenario, rate, target, folder.path())?;
            running.push((*scenario, rate, sipp));
        }
        let mut outcome = Outcome {
            said: Said::default(),
            calls: 0,
            messages: 0,
            stored: 0.0,
            withheld: 0.0,
            faults: Vec::new(),
        };
        for (scenario, rate, sipp) in running {
            self.add(scenario, rate, sipp, folder.path(), &mut outcome)?;
        }
        outcome.stored = node.settle(outcome.messages as f64)?.stored;
        outcome.withheld = node.metrics()?.sum("sentrypeer_replies_unsent_total")?;
        outcome.judge(row.limits);
        drop(tunnel);
        node.process.stop()?;
        let points = std::mem::take(&mut outcome.said.course);
        let name = format!("{} ({})", row.name, row.way.name());
        Ok((outcome, Curve { plot: "load-test", name, points }))
    }

    fn sipp(
        &self,
        way: Way,
        scenario: &str,
        rate: u32,
        port: u16,
        folder: &Path,
    ) -> io::Result<Running> {
        let statistics = folder.join(format!("{scenario}.csv"));
        let mut command = Command::new("sipp");
        command
            .current_dir(folder)
            .arg("-sf")
            .arg(fs::canonicalize(&self.scenarios)?.join(format!("{scenario}.xml")))
            .args(["-s", "0046500729221", "-i", "127.0.0.1", "-nostdin", "-trace_stat", "-fd", "1"])
            .args(["-l", "20000", "-max_socket", "4000"])
            .args(["-r".to_owned(), rate.to_string()])
            .args(["-m".to_owned(), (rate * self.seconds).to_string()])
            .args(["-timeout".to_owned(), (u64::from(self.seconds) + TAIL_S).to_string()])
            .arg("-stf")
            .arg(statistics);
        match way {
            Way::Udp => command.args(["-t", "u1"]),
            Way::UdpFromMany => {
                command.args(["-t", "ui", "-ip_field", "0", "-inf", "addresses.csv"])
            }
            Way::Tcp | Way::Tls => command.args(["-t", "t1"]),
            Way::TcpEach => command.args(["-t", "tn"]),
        };
        let screen = fs::File::create(folder.join(format!("{scenario}.screen")))?;
        let child = command
            .arg(format!("127.0.0.1:{port}"))
            .stdout(screen.try_clone()?)
            .stderr(screen)
            .stdin(Stdio::null())
            .spawn();
        Ok(Running(child.map_err(|error| io::Error::other(format!("sipp: {error}")))?))
    }

    /// Waits for one sipp, and adds what it says.
    fn add(
        &self,
        scenario: &str,
        rate: u32,
        mut sipp: Running,
        folder: &Path,
        outcome: &mut Outcome,
    ) -> io::Result<()> {
        let status = sipp.0.wait()?;
        if !status.success() {
            outcome.faults.push(format!("sipp, scenario {scenario}: {status}"));
        }
        let csv = fs::read_to_string(folder.join(format!("{scenario}.csv")))?;
        let said = Said::read(&csv).ok_or_else(|| {
            io::Error::other("sipp's statistics have other columns than are known")
        })?;
        let calls = u64::from(rate * self.seconds);
        outcome.calls += calls;
        outcome.messages += calls * messages(scenario);
        outcome.said.good += said.good;
        outcome.said.failed += said.failed;
        outcome.said.again += said.again;
        outcome.said.course = together(&outcome.said.course, &said.course);
        Ok(())
    }
}

/// So many tenths of a rate, and at least 1.
fn at(rate: u32, tenths: u32) -> u32 {
    (rate * tenths / 10).max(1)
}

/// Two courses as one: what ended well in the same second is added up.
fn together(one: &[(f64, f64)], other: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut seconds = BTreeMap::new();
    for (second, calls) in one.iter().chain(other) {
        *seconds.entry(second.round() as u64).or_default() += *calls;
    }
    seconds.into_iter().map(|(second, calls)| (second as f64, calls)).collect()
}

fn write_addresses(file: &Path) -> io::Result<()> {
    let lines = (1..=ADDRESSES).map(|host| format!("127.2.0.{host}\n"));
    fs::write(file, std::iter::once("SEQUENTIAL\n".to_owned()).chain(lines).collect::<String>())
}

/// TLS in front of a plain connection: distributions build sipp without it.
struct Tunnel {
    port: u16,
    _process: Running,
}

impl Tunnel {
    fn open(tls: u16) -> io::Result<Self> {
        let port = free_port()?;
        let child = Command::new("socat")
            .arg(format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork"))
            .arg(format!("OPENSSL:127.0.0.1:{tls},verify=0"))
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| io::Error::other(format!("socat: {error}")))?;
        let process = Running(child);
        for _ in 0..250 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(Self { port, _process: process });
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(io::Error::other("the tunnel does not open"))
    }
}

/// A line of the report.
#[must_use]
pub fn line(row: &Row, tenths: u32, outcome: &Outcome) -> String {
    let rates: Vec<String> = row
        .scenarios
        .iter()
        .map(|(scenario, rate)| format!("{scenario} {}/s", at(*rate, tenths)))
        .collect();
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        row.name,
        row.way.name(),
        rates.join(", "),
        outcome.calls,
        outcome.said.good,
        outcome.said.failed,
        outcome.said.again,
        outcome.stored,
        outcome.withheld,
        if outcome.faults.is_empty() { "ok".to_owned() } else { outcome.faults.join("; ") }
    )
}

/// The head of the report's table.
pub const HEAD: &str = "| load | by | rate | calls | good | failed | sent again | events stored | answers withheld | |\n|---|---|---|---|---|---|---|---|---|---|";

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "ElapsedTime(C);SuccessfulCall(P);SuccessfulCall(C);FailedCall(C);Retransmissions(C);\n\
                       00:00:01;400;400;0;0;\n00:01:02;500;900;1;7;\n";

    #[test]
    fn the_statistics_are_read_by_the_names_of_their_columns() {
        let said = Said::read(CSV).unwrap();
        assert_eq!((said.good, said.failed, said.again), (900, 1, 7));
        assert_eq!(said.course, [(1.0, 400.0), (62.0, 500.0)]);
        assert_eq!(Said::read("a;b\n1;2\n"), None);
    }

    #[test]
    fn what_ends_well_in_the_same_second_is_added_up() {
        let one = [(1.0, 400.0), (2.0, 300.0), (2.0, 7.0)];
        assert_eq!(together(&one, &[(2.0, 10.0)]), [(1.0, 400.0), (2.0, 317.0)]);
    }

    fn outcome(good: u64, stored: f64, withheld: f64) -> Outcome {
        let said = Said { good, again: 5, ..Said::default() };
        Outcome { said, calls: 100, messages: 300, stored, withheld, faults: Vec::new() }
    }

    #[test]
    fn what_sipp_says_is_held_against_what_was_stored() {
        let faults = |mut outcome: Outcome, limits| {
            outcome.judge(limits);
            outcome.faults.len()
        };
        assert_eq!(faults(outcome(100, 300.0, 0.0), false), 0);
        assert_eq!(faults(outcome(100, 305.0, 0.0), false), 0, "some were sent again");
        assert_eq!(faults(outcome(100, 306.0, 0.0), false), 1, "more than were sent");
        assert_eq!(faults(outcome(100, 299.0, 0.0), false), 1, "one is missing");
        assert_eq!(faults(outcome(99, 300.0, 0.0), false), 1);
        assert_eq!(faults(outcome(100, 300.0, 3.0), false), 1);
        assert_eq!(faults(outcome(100, 300.0, 3.0), true), 0, "the limits are on");
    }

    #[test]
    fn every_scenario_is_there() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        for (scenario, _) in ROWS.iter().flat_map(|row| row.scenarios) {
            let text = fs::read_to_string(folder.join(format!("{scenario}.xml"))).unwrap();
            let sent = text.matches("<send").count() as u64;
            assert_eq!(sent, messages(scenario), "{scenario}");
        }
    }
}
