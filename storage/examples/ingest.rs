//! Feeds messages as scanners send them through the intake and the writer onto a disk, as fast as they
//! go or at a given rate, and prints what it cost, beside a plain `write` and `fdatasync` of as many
//! bytes.
//!
//! ```text
//! cargo run --release -p sentrypeer-storage --example ingest -- [SECONDS] [RATE] [FOLDER] [SOURCES] [RETENTION_S] [SCANS]
//! ```
//!
//! `RATE` is events a second, 0 for as many as possible. With a retention of some seconds the size of the
//! file is printed as it goes, to see that space is used again. With `SCANS` a reader goes through the whole
//! log again and again meanwhile, so many thousand events a second.

#[path = "../pack/examples/mix/mod.rs"]
#[allow(dead_code, reason = "what the bench of the crate beside it prints is not needed here")]
mod mix;

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mix::{Message, Mix};
use sentrypeer_storage::event::{
    Anomalies, Collected, EventRef, NumberKind, Seq, Time, Transport, Verification,
};
use sentrypeer_storage::intake::{self, ShardIntake};
use sentrypeer_storage::{Options, Phase, Store};
use uuid::Uuid;

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let mut number = |default| args.next().map_or(Ok(default), |arg| arg.parse());
    let (seconds, rate) = (number(5)?, number(0)?);
    let folder = args.next().unwrap_or_else(|| ".".to_owned());
    let only: Option<u32> = args.next().map(|arg| arg.parse()).transpose()?;
    let retention_s: Option<u64> = args.next().map(|arg| arg.parse()).transpose()?;
    let scans: u64 = args.next().map_or(Ok(0), |arg| arg.parse())?;
    for sources in only.map_or(vec![10_000, 1_000_000], |only| vec![only]) {
        let messages = mix::messages(Mix::Short, sources.max(200_000) as usize, sources);
        let messages: Vec<Parsed> = messages.into_iter().map(Parsed::of).collect();
        let folder = tempfile::tempdir_in(&folder)?;
        let path = folder.path().join("ingest.redb");
        Load { seconds, rate, sources, retention_s, scans }.run(&messages, &path)?;
        reopen(&path)?;
    }
    Ok(())
}

struct Load {
    seconds: u64,
    rate: u64,
    sources: u32,
    retention_s: Option<u64>,
    scans: u64,
}

impl Load {
    fn run(&self, messages: &[Parsed], path: &Path) -> Result<(), Failure> {
        let (mut shards, writer_end) = intake::channel(1);
        let mut intake = shards.remove(0);
        let mut options = Options::new(path, Uuid::new_v4());
        if let Some(seconds) = self.retention_s {
            options.retention_ns = seconds * 1_000_000_000;
        }
        let (store, thread) = sentrypeer_storage::start(options, writer_end);
        while store.phase() != Phase::Ready {
            if thread.is_finished() {
                return Ok(thread.join()?);
            }
            std::thread::yield_now();
        }
        let begin = Instant::now();
        let mut feeder = Feeder {
            store: &store,
            begin,
            sent: 0,
            waits: 0,
            due: VecDeque::new(),
            seen_ms: Vec::new(),
        };
        let ends = AtomicBool::new(false);
        let scanned = std::thread::scope(|scope| {
            let scanner = scope.spawn(|| scan(&store, self.scans, &ends));
            feeder.send(self, messages, &mut intake, path);
            ends.store(true, Ordering::Relaxed);
            scanner.join()
        });
        let cpu = ["writer", "packer", "committer", "ingest"].map(|name| (name, cpu_ns(name)));
        drop(intake);
        let (sent, waits, mut seen_ms) = (feeder.sent, feeder.waits, feeder.seen_ms);
        thread.join()?;
        let elapsed = begin.elapsed();
        println!("{} sources: {sent} sent, {waits} waits for an arena", self.sources);
        report(&store, path, elapsed, &cpu)?;
        if self.scans > 0 {
            println!("  {} events scanned meanwhile", scanned.unwrap_or(0));
        }
        seen_ms.sort_unstable();
        if let [.., longest] = seen_ms[..] {
            let at = |part: usize| seen_ms[seen_ms.len() * part / 100];
            println!(
                "  seen by readers after {} ms (median), {} ms (p99), {longest} ms (longest)",
                at(50),
                at(99)
            );
        }
        floor(&store, path, elapsed)
    }
}

/// Reads the log from its begin to its end, again and again, `scans` thousand events a second. How many
/// it were.
fn scan(store: &Store, scans: u64, ends: &AtomicBool) -> u64 {
    let (mut after, mut scanned) = (Seq(0), 0);
    while scans > 0 && !ends.load(Ordering::Relaxed) {
        let read = store.log().and_then(|log| log.since(after, 1000).ok()).unwrap_or_default();
        scanned += read.len() as u64;
        after = read.last().map_or(Seq(0), |event| event.seq);
        std::thread::sleep(Duration::from_micros(1_000_000 / scans));
    }
    scanned
}

struct Feeder<'a> {
    store: &'a Store,
    begin: Instant,
    sent: u64,
    waits: u64,
    /// How many had been sent when.
    due: VecDeque<(u64, Instant)>,
    seen_ms: Vec<u64>,
}

impl Feeder<'_> {
    /// Sends until the time is over.
    fn send(&mut self, load: &Load, messages: &[Parsed], intake: &mut ShardIntake, path: &Path) {
        let (end, mut told) = (self.begin + Duration::from_secs(load.seconds), Instant::now());
        // One that counts among those that may exist: the channel has room for no other.
        let mut arena = intake.take().unwrap_or_default();
        let mut handed = Instant::now();
        while Instant::now() < end {
            self.watch();
            if load.retention_s.is_some() && told.elapsed() >= Duration::from_secs(10) {
                told = Instant::now();
                let bytes = std::fs::metadata(path).map_or(0, |found| found.blocks() * 512);
                println!("  {:3.0} s: {} MiB", self.begin.elapsed().as_secs_f64(), bytes >> 20);
            }
            let ahead = self.begin.elapsed().as_micros() as u64 * load.rate / 1_000_000;
            let is_early = load.rate > 0 && self.sent >= ahead;
            if is_early || handed.elapsed() >= Duration::from_millis(20) {
                // As a shard does: an arena goes when it is 20 ms old.
                if !arena.is_empty()
                    && handed.elapsed() >= Duration::from_millis(20)
                    && let Some(empty) = intake.take()
                {
                    assert_eq!(intake.hand_over(std::mem::replace(&mut arena, empty)), 0);
                    handed = Instant::now();
                }
                if is_early {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
            }
            let time = Time::now();
            for _ in 0..100 {
                let message = &messages[self.sent as usize % messages.len()];
                while arena.push(&message.event(time)).is_err() {
                    if let Some(empty) = intake.take() {
                        let full = std::mem::replace(&mut arena, empty);
                        assert_eq!(intake.hand_over(full), 0, "the writer has ended");
                        handed = Instant::now();
                    } else {
                        self.waits += 1;
                        std::thread::sleep(Duration::from_micros(200));
                    }
                }
                self.sent += 1;
            }
            self.due.push_back((self.sent, Instant::now()));
        }
        assert_eq!(intake.hand_over(arena), 0, "the writer has ended");
    }

    /// Notes how long events took until a snapshot had them.
    fn watch(&mut self) {
        let shown = self.store.snapshot().map_or(0, |snapshot| snapshot.totals.events());
        while let Some((_, sent)) = self.due.pop_front_if(|(count, _)| *count <= shown) {
            self.seen_ms.push(sent.elapsed().as_millis() as u64);
        }
    }
}

/// A message, and where its fields are: to find them is the work of a shard, and not measured here.
struct Parsed {
    message: Message,
    number: Range<usize>,
    user_agent: Range<usize>,
    number_kind: NumberKind,
}

impl Parsed {
    fn of(message: Message) -> Self {
        let bytes = &message.bytes[..];
        let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let user = line.windows(4).position(|part| part == b"sip:").map(|at| at + 4);
        let at = line.iter().position(|byte| *byte == b'@');
        let number = user.zip(at).filter(|(from, to)| from <= to);
        let agent = bytes.windows(12).position(|part| part == b"User-Agent: ").map(|at| at + 12);
        let agent = agent.map_or(0..0, |at| at..at + message.user_agent.len());
        let is_call = message.method == "INVITE";
        Self {
            number: number.map_or(0..0, |(from, to)| from..to),
            user_agent: agent,
            number_kind: if is_call { NumberKind::Called } else { NumberKind::Account },
            message,
        }
    }

    fn event(&self, time: Time) -> EventRef<'_> {
        let bytes = &self.message.bytes[..];
        EventRef {
            time,
            source: self.message.source,
            destination: self.message.destination,
            transport: Transport::Udp,
            verification: Verification::Unverified,
            collected: Collected::Responsive,
            number_kind: self.number_kind,
            anomalies: Anomalies::default(),
            method: &bytes[..self.message.method.len()],
            number: &bytes[self.number.clone()],
            user_agent: &bytes[self.user_agent.clone()],
            message: bytes,
        }
    }
}

fn report(
    store: &Store,
    path: &Path,
    elapsed: Duration,
    cpu: &[(&str, u64); 4],
) -> Result<(), Failure> {
    let stats = store.stats();
    let stored = stats.events_stored.get().max(1);
    let each = |sum: u64| sum as f64 / stored as f64;
    println!(
        "  {stored} stored in {:.1} s: {:.0} events/s",
        elapsed.as_secs_f64(),
        stored as f64 / elapsed.as_secs_f64()
    );
    let threads = cpu.map(|(name, ns)| format!("{name} {:.0} ns", each(ns)));
    println!("  CPU an event: {} (the last one is the feeder)", threads.join(", "));
    println!(
        "  an event: {:.0} B raw, {:.1} B packed, {:.1} B of allocated pages with all rows; file of {} MiB",
        each(stats.raw_bytes.get()),
        each(stats.packed_bytes.get()),
        each(std::fs::metadata(path)?.blocks() * 512),
        std::fs::metadata(path)?.len() >> 20
    );
    println!(
        "  {} commits, mean {:.0} ms, longest {:.0} ms",
        stats.commits.get(),
        stats.commit_ns_sum.get() as f64 / stats.commits.get().max(1) as f64 / 1e6,
        stats.commit_ns_max.get() as f64 / 1e6
    );
    if let Some(snapshot) = store.snapshot() {
        let (sources, numbers) = (snapshot.sources.len(), snapshot.numbers.len());
        println!("  {sources} sources and {numbers} numbers known");
    }
    Ok(())
}

/// As many bytes as the blocks had, written and synced as often.
fn floor(store: &Store, path: &Path, elapsed: Duration) -> Result<(), Failure> {
    let stats = store.stats();
    let commits = stats.commits.get().max(1);
    let bytes = vec![7; (stats.packed_bytes.get() / commits) as usize];
    let mut file = File::create(path.with_extension("floor"))?;
    let begin = Instant::now();
    for _ in 0..commits {
        file.write_all(&bytes)?;
        file.sync_data()?;
    }
    let took = begin.elapsed();
    println!(
        "  write and fdatasync of as many bytes: {:.1} s, the database took {:.1} times as long",
        took.as_secs_f64(),
        elapsed.as_secs_f64() / took.as_secs_f64()
    );
    Ok(())
}

/// How long a start takes with what is there.
fn reopen(path: &Path) -> Result<(), Failure> {
    let begin = Instant::now();
    let (shards, writer_end) = intake::channel(1);
    let (store, thread) = sentrypeer_storage::start(Options::new(path, Uuid::new_v4()), writer_end);
    while store.snapshot().is_none() && !thread.is_finished() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let replayed = store.stats().replay_events.get();
    println!("  opened again in {:?}, {replayed} events replayed", begin.elapsed());
    drop(shards);
    Ok(thread.join()?)
}

/// CPU time of the thread of this name, in ns.
fn cpu_ns(name: &str) -> u64 {
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let read = |file| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if read("comm").trim() == name {
            let stat = read("schedstat");
            return stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
        }
    }
    0
}
