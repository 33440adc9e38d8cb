//! The soak itself: rounds of traffic, each with a mishap, and what is found.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::account::{Books, growth};
use super::clock::Clock;
use super::disk::Disk;
use super::hostile;
use super::plan::{Mishap, mishap, rounds};
use super::report::Report;
use super::webhook::Receiver;
use crate::machine;
use crate::node::{Node, Place};
use crate::plot::Curve;

/// How long the node may take to take in what was sent.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);
/// Between two messages of a connection: some hundred messages a second in all.
const PAUSE: &str = "--pause-ms=10";
/// How long a clock that was set may go unnoticed.
const CLOCK_NOTICED: Duration = Duration::from_secs(2);

/// How to soak.
#[derive(Clone, Debug)]
pub struct Soak {
    /// Where the programs are.
    pub place: Place,
    /// How long in all.
    pub minutes: f64,
    /// How long one round is.
    pub round_seconds: f64,
    /// Good datagrams a second.
    pub pps: u32,
}

/// A node with what is around it.
struct Scene<'a> {
    soak: &'a Soak,
    node: Node,
    disk: Disk,
    clock: Option<Clock>,
    receiver: Receiver,
    report: Report,
    begin: Instant,
    /// Datagrams sent to the node since it was started; none after it was killed in the middle.
    sent: Option<f64>,
    /// Commits of this life that failed, when it was looked at last.
    commit_errors: f64,
    /// Memory of this life, and the most of each life before it, in MB.
    memory: f64,
    lives: Vec<f64>,
    /// Descriptors at the end of each round.
    descriptors: Vec<usize>,
}

/// Runs all rounds.
///
/// # Errors
///
/// If it cannot be done at all: a program is missing, or the node does not come back.
pub fn run(soak: &Soak) -> io::Result<Report> {
    let mut scene = Scene::set(soak)?;
    let count = rounds(soak.minutes, soak.round_seconds);
    for round in 0..count {
        scene.round(round)?;
    }
    scene.end()
}

impl<'a> Scene<'a> {
    fn set(soak: &'a Soak) -> io::Result<Self> {
        let disk = Disk::mount(&soak.place.folder.join("soak"))?;
        let mut report = Report::default();
        let mut place = Place { folder: soak.place.folder.join("soak"), ..soak.place.clone() };
        let clock = Clock::new(&soak.place.folder)?;
        match &clock {
            Some(clock) => place.environment.extend(clock.environment()),
            None => report.skipped.push("clock jumps: libfaketime is not installed".to_owned()),
        }
        if !disk.is_own {
            report.skipped.push("full disk: no file system may be mounted here".to_owned());
        }
        let receiver = Receiver::start()?;
        let log = place.folder.join("events.json").display().to_string();
        let arguments = ["-r", "--shards=2", "--log-size-max-mb=16", "-j", "-l", &log];
        let url = receiver.url();
        let node = Node::start(&place, &[&arguments[..], &["-w", &url]].concat())?;
        report.counts.lives = 1;
        Ok(Self {
            soak,
            node,
            disk,
            clock,
            receiver,
            report,
            begin: Instant::now(),
            sent: Some(0.0),
            commit_errors: 0.0,
            memory: 0.0,
            lives: Vec::new(),
            descriptors: Vec::new(),
        })
    }

    fn round(&mut self, round: usize) -> io::Result<()> {
        let mishap = mishap(round);
        let ends = Arc::new(AtomicBool::new(false));
        let hostile = {
            let (ends, sip) = (Arc::clone(&ends), self.node.sip);
            let http = [self.node.api, self.node.dip];
            thread::spawn(move || hostile::attack(sip, http, round as u64, &ends))
        };
        let senders = self.senders()?;
        thread::sleep(Duration::from_secs_f64(self.soak.round_seconds / 3.0));
        self.begin_mishap(mishap, round)?;
        let mut good = 0.0;
        for (name, sender) in senders {
            let output = sender.wait_with_output()?;
            let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            match said["sent"].as_f64() {
                Some(sent) => good += sent,
                None if name == "blast" => return Err(io::Error::other("blast said nothing")),
                None => {}
            }
        }
        ends.store(true, Ordering::Relaxed);
        let ended = |_| io::Error::other("the attacker panicked");
        let hostile = hostile.join().map_err(ended)?? as f64;
        self.report.counts.datagrams += good + hostile;
        self.report.counts.hostile += hostile;
        self.sent = self.sent.map(|sent| sent + good + hostile);
        self.end_mishap(mishap)?;
        self.check(round, mishap)?;
        if mishap == Mishap::Restarted {
            self.wait_for_outputs()?;
            self.restart()?;
            // So that it does not fill the disk.
            self.move_log(round)?;
        }
        self.report.counts.rounds += 1;
        Ok(())
    }

    /// Those who talk as phones do, for as long as a round.
    fn senders(&self) -> io::Result<Vec<(&'static str, Child)>> {
        let seconds = format!("--seconds={}", self.soak.round_seconds);
        let target = |port: u16| format!("--target=127.0.0.1:{port}");
        let pps = format!("--pps={}", self.soak.pps);
        let (plain, tls) = (target(self.node.sip), target(self.node.sip + 1));
        let calls: [(&str, Vec<&str>); 3] = [
            ("blast", vec![&plain, &pps, &seconds, "--sources=10000", "--numbers=5000"]),
            ("connect", vec![&plain, &seconds, "--connections=4", "--messages=20", PAUSE]),
            ("connect", vec![&tls, &seconds, "--connections=2", "--messages=5", "--tls", PAUSE]),
        ];
        let start = |(name, arguments): (&'static str, Vec<&str>)| {
            let child = Command::new(self.soak.place.programs.join(name))
                .args(arguments)
                .stdout(Stdio::piped())
                // A node that is killed ends their connections, which they say.
                .stderr(Stdio::null())
                .spawn()
                .map_err(|error| io::Error::other(format!("{name}: {error}")))?;
            Ok((name, child))
        };
        calls.into_iter().map(start).collect()
    }

    fn begin_mishap(&mut self, mishap: Mishap, round: usize) -> io::Result<()> {
        match mishap {
            Mishap::None | Mishap::Restarted => {}
            Mishap::Hangup => self.node.process.signal(Signal::SIGHUP),
            Mishap::ReceiverGone => self.receiver.go(),
            Mishap::DiskFull => self.disk.fill()?,
            Mishap::LogMoved => self.move_log(round)?,
            Mishap::ClockAhead => self.set_clock(1)?,
            Mishap::ClockBack => self.set_clock(0)?,
            Mishap::Killed => {
                self.node.process.0.kill()?;
                self.node.process.0.wait()?;
                self.sent = None;
                self.begin_life()?;
            }
        }
        Ok(())
    }

    fn end_mishap(&mut self, mishap: Mishap) -> io::Result<()> {
        match mishap {
            Mishap::ReceiverGone => self.receiver.come_back(),
            Mishap::DiskFull => {
                self.disk.free();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Moves the JSON log away and looks at its lines. It is not kept: it would fill the disk.
    fn move_log(&mut self, round: usize) -> io::Result<()> {
        let (log, moved) = (self.log(), self.log().with_extension(format!("{round}")));
        if std::fs::rename(&log, &moved).is_ok() {
            self.check_lines(&moved)?;
            std::fs::remove_file(moved)?;
        }
        Ok(())
    }

    fn log(&self) -> std::path::PathBuf {
        self.soak.place.folder.join("soak/events.json")
    }

    fn set_clock(&self, hours: u32) -> io::Result<()> {
        if let Some(clock) = &self.clock {
            clock.set_hours(hours)?;
            thread::sleep(CLOCK_NOTICED);
        }
        Ok(())
    }

    fn begin_life(&mut self) -> io::Result<()> {
        // A life in which nobody looked says nothing.
        self.lives.extend(Some(std::mem::take(&mut self.memory)).filter(|&mb| mb > 0.0));
        self.report.counts.commit_errors += std::mem::take(&mut self.commit_errors);
        self.report.counts.lives += 1;
        self.node.restart()
    }

    /// Stops it in order, looks through its database, and starts it again.
    fn restart(&mut self) -> io::Result<()> {
        self.node.process.stop()?;
        self.check_end_of_log()?;
        self.check_database()?;
        self.begin_life()?;
        self.sent = Some(0.0);
        Ok(())
    }

    /// Waits until everything is settled, and looks at the books, the memory and the descriptors.
    fn check(&mut self, round: usize, mishap: Mishap) -> io::Result<()> {
        let books = self.settled()?;
        let pid = self.node.process.pid();
        let memory = machine::resident_bytes(pid)? as f64 / 1e6;
        self.memory = self.memory.max(memory);
        self.descriptors.push(machine::descriptors(pid)?);
        let at = self.begin.elapsed().as_secs_f64();
        let name = format!("life {}", self.report.counts.lives);
        self.report.curves.push(Curve { plot: "memory", name, points: vec![(at, memory)] });
        let faults = self.sent.map_or_else(Vec::new, |sent| books.faults(sent));
        eprintln!(
            "{at:6.0} s  round {round:3} {mishap:12?} {:8.0} datagrams taken, {:7.0} events given up, {memory:5.1} MB{}",
            books.datagrams,
            books.shed + books.lost,
            if faults.is_empty() { "" } else { "  FAULT" }
        );
        self.report
            .faults
            .extend(faults.into_iter().map(|fault| format!("round {round}: {fault}")));
        self.commit_errors = books.commit_errors;
        if mishap == Mishap::Restarted {
            let counts = &mut self.report.counts;
            counts.stored += books.stored;
            counts.shed += books.shed + books.lost;
            counts.dropped += books.dropped;
        }
        Ok(())
    }

    /// The books, once they are right, or when that takes too long: what is on its way from a shard to the
    /// writer is not wrong yet.
    fn settled(&self) -> io::Result<Books> {
        let end = Instant::now() + PATIENCE;
        loop {
            let books = self.books()?;
            let is_right = match self.sent {
                Some(sent) => books.faults(sent).is_empty(),
                None => books.stored + books.lost == books.recorded,
            };
            if is_right || Instant::now() > end {
                return Ok(books);
            }
            thread::sleep(LOOK);
        }
    }

    fn books(&self) -> io::Result<Books> {
        let metrics = self.node.metrics()?;
        let of = |name: &str| metrics.sum(&format!("sentrypeer_{name}"));
        Ok(Books {
            datagrams: of("datagrams_received_total")?,
            dropped: of("kernel_drops_total")?,
            recorded: of("events_recorded_total")? + of("events_counted_total")?,
            shed: of("events_shed_total")?,
            stream_messages: of("stream_messages_total")?,
            stored: of("writer_events_stored_total")?,
            lost: of("writer_events_lost_total")?,
            commit_errors: of("writer_commit_errors_total")?,
        })
    }

    /// Waits until every output has handed on all that there is.
    fn wait_for_outputs(&mut self) -> io::Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let lag = self.node.metrics()?.sum("sentrypeer_output_lag_events")?;
            if lag == 0.0 {
                return Ok(());
            }
            if Instant::now() > end {
                self.report.faults.push(format!("the outputs are still {lag} events behind"));
                return Ok(());
            }
            thread::sleep(LOOK);
        }
    }

    /// Counts everything in the database again; the node is stopped.
    fn check_database(&mut self) -> io::Result<()> {
        let output = Command::new(self.soak.place.programs.join("sentrypeer"))
            .args(["db", "check"])
            .arg(self.node.folder.path().join("bench.redb"))
            .output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            self.report.faults.push(format!("the database is not what it should be: {said}"));
        }
        Ok(())
    }

    /// Every line of a JSON log must be an object of its own. The last may be half there while the node
    /// writes.
    fn check_lines(&mut self, log: &Path) -> io::Result<()> {
        let torn = torn_lines(&std::fs::read(log)?);
        if torn > 0 {
            self.report.faults.push(format!("{torn} lines of the JSON log are torn"));
        }
        Ok(())
    }

    /// The JSON log of a node that was stopped in order ends with a whole line. There is none if nothing came
    /// since it was moved.
    fn check_end_of_log(&mut self) -> io::Result<()> {
        if !self.log().exists() {
            return Ok(());
        }
        let text = std::fs::read(self.log())?;
        if text.last().is_some_and(|&byte| byte != b'\n') {
            self.report.faults.push("the JSON log ends in the middle of a line".to_owned());
        }
        Ok(())
    }

    fn end(mut self) -> io::Result<Report> {
        self.restart()?;
        self.report.faults.extend(growth(&self.lives));
        let log = self.log();
        if log.exists() {
            self.check_lines(&log)?;
        }
        let (first, last) = (self.descriptors.first(), self.descriptors.last());
        if let (Some(&first), Some(&last)) = (first, last) {
            self.report.counts.descriptors = [first, last];
            if last > first + DESCRIPTORS_MORE {
                let fault = format!("descriptors grew from {first} to {last}");
                self.report.faults.push(fault);
            }
        }
        self.report.counts.memory_mb = self.lives.last().copied().unwrap_or(0.0);
        self.report.counts.webhook_requests = self.receiver.requests();
        if self.receiver.requests() == 0 {
            self.report.faults.push("the webhook's receiver never got anything".to_owned());
        }
        self.node.process.stop()?;
        Ok(self.report)
    }
}

/// Descriptors that may be more in the end: connections that are just being closed.
const DESCRIPTORS_MORE: usize = 12;

/// Lines that are no JSON, of those that have ended.
fn torn_lines(log: &[u8]) -> usize {
    let ended = &log[..log.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1)];
    let lines = ended.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.filter(|line| serde_json::from_slice::<Value>(line).is_err()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_has_ended_and_is_no_json_is_torn() {
        assert_eq!(torn_lines(b"{}\n{\"a\":1}\n"), 0);
        assert_eq!(torn_lines(b"{}\n{\"a\":{}\n{}\n"), 1, "two lines in one");
        assert_eq!(torn_lines(b"{}\n{\"a\":"), 0, "somebody writes it");
        assert_eq!(torn_lines(b""), 0);
    }
}
