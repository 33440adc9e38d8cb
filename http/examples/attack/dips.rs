//! The client that dips during an attack, and what it saw.

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::client::Client;

/// How long each dip took; nothing for one that failed.
type Times = Vec<Option<Duration>>;

const DIP: &str = "/ip-addresses/20.0.0.7";

/// What was seen during an attack.
pub struct Watched {
    /// Dips on one connection of the API, on one of the dip lane, and on a new one of the API each.
    dips: [Figures; 3],
    before_mb: u64,
    most_mb: u64,
    after_mb: u64,
}

impl Watched {
    pub fn print_head() {
        println!(
            "| attack, on | dips on the API: p50, p99, longest, ms | on the dip lane | on new \
             connections of the API | memory, MB: before, most, after | counted |\n\
             |---|---|---|---|---|---|"
        );
    }

    pub fn print(&self, name: &str, counted: &str) {
        let [api, dip, anew] = &self.dips;
        let Self { before_mb, most_mb, after_mb, .. } = self;
        println!(
            "| {name} | {api} | {dip} | {anew} | {before_mb}, {most_mb}, {after_mb} | {counted} |"
        );
    }
}

/// Dips on both fronts, and looks at the memory of this process, for as long as it `goes_on`.
pub fn watched(
    [api, dip]: [SocketAddr; 2],
    goes_on: &(dyn Fn() -> bool + Sync),
) -> Result<Watched, Failure> {
    let before_mb = resident_mb()?;
    std::thread::scope(|scope| {
        let dips = [
            scope.spawn(move || dips(api, goes_on, Duration::from_millis(1))),
            scope.spawn(move || dips(dip, goes_on, Duration::from_millis(1))),
            scope.spawn(move || dips_on_new_connections(api, goes_on)),
        ];
        let mut most_mb = before_mb;
        while goes_on() {
            most_mb = most_mb.max(resident_mb()?);
            std::thread::sleep(Duration::from_millis(20));
        }
        let [api, dip, anew] = dips.map(|thread| thread.join().map(Figures::of));
        let failed = |_| "a client of dips failed";
        let dips = [api.map_err(failed)?, dip.map_err(failed)?, anew.map_err(failed)?];
        Ok(Watched { dips, before_mb, most_mb, after_mb: resident_mb()? })
    })
}

/// The time of a dip on a connection, which is left out when it has ended.
fn dip(client: &mut Option<Client>, front: SocketAddr) -> Option<Duration> {
    let asked = Instant::now();
    let connection = client.get_or_insert_with(|| Client::connect(front));
    let request = format!("GET {DIP} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let sent = connection.stream.get_mut().write_all(request.as_bytes());
    let reply = sent.ok().and_then(|()| connection.reply_to("GET"));
    let took = asked.elapsed();
    if reply.as_ref().is_none_or(|reply| reply.header("connection").is_some()) {
        *client = None;
    }
    reply.filter(|reply| reply.status == 200).map(|_| took)
}

fn dips(front: SocketAddr, goes_on: &dyn Fn() -> bool, pause: Duration) -> Times {
    let (mut client, mut times) = (None, Times::new());
    while goes_on() {
        times.push(dip(&mut client, front));
        std::thread::sleep(pause);
    }
    times
}

fn dips_on_new_connections(front: SocketAddr, goes_on: &dyn Fn() -> bool) -> Times {
    let mut times = Times::new();
    while goes_on() {
        times.push(dip(&mut None, front));
        std::thread::sleep(Duration::from_millis(10));
    }
    times
}

struct Figures {
    all: usize,
    failed: usize,
    sorted: Vec<Duration>,
}

impl Figures {
    fn of(times: Times) -> Self {
        let all = times.len();
        let mut sorted: Vec<Duration> = times.into_iter().flatten().collect();
        sorted.sort_unstable();
        Self { all, failed: all - sorted.len(), sorted }
    }

    fn percentile_ms(&self, percent: usize) -> f64 {
        let place = (self.sorted.len() * percent / 100).min(self.sorted.len().saturating_sub(1));
        self.sorted.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [half, most, longest] = [50, 99, 100].map(|percent| self.percentile_ms(percent));
        write!(f, "{half:.2}, {most:.2}, {longest:.1}")?;
        match self.failed {
            0 => Ok(()),
            failed => write!(f, "; {failed} of {} failed", self.all),
        }
    }
}

fn resident_mb() -> Result<u64, Failure> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split(' ').nth(1).ok_or("statm is short")?.parse()?;
    Ok(pages * 4_096 / 1_000_000)
}
