//! Feeds varied SIP-like messages of about 500 bytes through the intake and the writer onto a disk,
//! as fast as they go or at a given rate, and prints what it cost.
//!
//! ```text
//! cargo run --release -p sentrypeer-storage --example ingest -- [SECONDS] [RATE] [FOLDER] [SOURCES]
//! ```
//!
//! `RATE` is events a second, 0 for as many as possible.

use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use sentrypeer_storage::event::{
    Anomalies, Collected, EventRef, NumberKind, Time, Transport, Verification,
};
use sentrypeer_storage::intake::{self, ShardIntake};
use sentrypeer_storage::{Options, Phase, Store};
use uuid::Uuid;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let mut number = |default| args.next().map_or(Ok(default), |arg| arg.parse());
    let (seconds, rate) = (number(5)?, number(0)?);
    let folder = args.next().unwrap_or_else(|| ".".to_owned());
    let only: Option<u32> = args.next().map(|arg| arg.parse()).transpose()?;
    let messages = Messages::new();
    println!("zstd alone, 1 MiB blocks of the same messages: {} ns an event", messages.zstd_ns()?);
    for sources in only.map_or(vec![1_000, 1_000_000], |only| vec![only]) {
        let folder = tempfile::tempdir_in(&folder)?;
        let path = folder.path().join("ingest.redb");
        Load { seconds, rate, sources }.run(&messages, &path)?;
        reopen(&path)?;
    }
    Ok(())
}

struct Load {
    seconds: u64,
    rate: u64,
    sources: u32,
}

impl Load {
    fn run(&self, messages: &Messages, path: &Path) -> Result<(), Failure> {
        let (mut shards, writer_end) = intake::channel(1);
        let mut intake = shards.remove(0);
        let (store, thread) =
            sentrypeer_storage::start(Options::new(path, Uuid::new_v4()), writer_end);
        while store.phase() != Phase::Ready {
            if thread.is_finished() {
                return Ok(thread.join()?);
            }
            std::thread::yield_now();
        }
        let idle_mb = resident_mb();
        let begin = Instant::now();
        let (sent, waits) = self.send(messages, &mut intake, begin);
        let cpu = writer_cpu_ns();
        let peak_mb = resident_mb();
        drop(intake);
        thread.join()?;
        println!("{} sources: {sent} sent, {waits} waits for an arena", self.sources);
        report(&store, path, begin.elapsed(), cpu)?;
        println!("  resident: {idle_mb} MB before, {peak_mb} MB at the end of the load");
        Ok(())
    }

    /// Sends until the time is over; how many, and how often there was no arena.
    fn send(&self, messages: &Messages, intake: &mut ShardIntake, begin: Instant) -> (u64, u64) {
        let end = begin + Duration::from_secs(self.seconds);
        let (mut sent, mut waits) = (0u64, 0u64);
        let mut random = 88_172_645_463_325_252u64;
        // One that counts among those that may exist: the channel has room for no other.
        let mut arena = intake.take().unwrap_or_default();
        while Instant::now() < end {
            let due = begin.elapsed().as_micros() as u64 * self.rate / 1_000_000;
            if self.rate > 0 && sent >= due {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            let time = Time::now();
            for _ in 0..100 {
                random = next(random);
                let event = messages.event(random, self.sources, time);
                while arena.push(&event).is_err() {
                    if let Some(empty) = intake.take() {
                        let full = std::mem::replace(&mut arena, empty);
                        assert_eq!(intake.hand_over(full), 0, "the writer has ended");
                    } else {
                        waits += 1;
                        std::thread::sleep(Duration::from_micros(200));
                    }
                }
                sent += 1;
            }
        }
        assert_eq!(intake.hand_over(arena), 0, "the writer has ended");
        (sent, waits)
    }
}

fn report(store: &Store, path: &Path, elapsed: Duration, cpu: u64) -> Result<(), Failure> {
    let stats = store.stats();
    let stored = stats.events_stored.get().max(1);
    let each = |sum: u64| sum as f64 / stored as f64;
    println!(
        "  {stored} stored in {:.1} s: {:.0} events/s; writer {:.0} ns CPU an event",
        elapsed.as_secs_f64(),
        stored as f64 / elapsed.as_secs_f64(),
        each(cpu)
    );
    println!(
        "  an event: {:.0} B raw, {:.1} B packed, {:.1} B of allocated pages with all rows",
        each(stats.raw_bytes.get()),
        each(stats.packed_bytes.get()),
        each(std::fs::metadata(path)?.blocks() * 512)
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

fn next(mut random: u64) -> u64 {
    random ^= random << 13;
    random ^= random >> 7;
    random ^ random << 17
}

/// CPU time of the thread named `writer`, in ns.
fn writer_cpu_ns() -> u64 {
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let read = |file| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if read("comm").trim() == "writer" {
            let stat = read("schedstat");
            return stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
        }
    }
    0
}

fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Messages as scanners send them: a few tools with their habits, and random tags, ids and numbers.
struct Messages {
    texts: Vec<Message>,
}

struct Message {
    bytes: Vec<u8>,
    number: std::ops::Range<usize>,
    agent: std::ops::Range<usize>,
    method: usize,
    kind: NumberKind,
}

impl Messages {
    fn new() -> Self {
        let mut random = 2_463_534_242u64;
        let texts = (0..20_000u64).map(|_| {
            random = next(random);
            Self::message(random)
        });
        Self { texts: texts.collect() }
    }

    /// What zstd level 1 alone takes for one of these messages on this machine now, in ns.
    fn zstd_ns(&self) -> Result<u64, Failure> {
        let mut zstd = zstd::bulk::Compressor::new(1)?;
        let mut blocks = vec![Vec::new()];
        for message in &self.texts {
            if blocks.last().is_some_and(|block| block.len() >= 1 << 20) {
                blocks.push(Vec::new());
            }
            if let Some(block) = blocks.last_mut() {
                block.extend_from_slice(&message.bytes);
            }
        }
        let begin = Instant::now();
        for _ in 0..5 {
            for block in &blocks {
                zstd.compress(block)?;
            }
        }
        Ok(begin.elapsed().as_nanos() as u64 / (5 * self.texts.len() as u64))
    }

    fn message(random: u64) -> Message {
        let agents =
            ["friendly-scanner", "sipcli/v1.8", "pplsip", "VaxSIPUserAgent/3.1", "sipsak 0.9.7"];
        let agent = agents[(random >> 7) as usize % agents.len()];
        let method = ["INVITE", "REGISTER", "OPTIONS", "INVITE"][(random >> 11) as usize % 4];
        let number = format!(
            "{}{}",
            ["00", "+", "9011", ""][(random >> 13) as usize % 4],
            random % 4_000_000_000
        );
        let id = random.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (tag, branch) = (id >> 20, id.rotate_left(17));
        let head = format!("{method} sip:{number}@203.0.113.5 SIP/2.0\r\n");
        let mut text = format!(
            "{head}Via: SIP/2.0/UDP 10.0.{}.{}:5060;branch=z9hG4bK-{branch:x};rport\r\n\
             Max-Forwards: 70\r\nFrom: \"{}\" <sip:{}@203.0.113.5>;tag={tag:x}\r\n\
             To: <sip:{number}@203.0.113.5>\r\nCall-ID: {id:x}@10.0.0.1\r\nCSeq: {} {method}\r\n\
             Contact: <sip:{}@10.0.0.1:5060>\r\nUser-Agent: ",
            random >> 3 & 255,
            random >> 17 & 255,
            random % 1000,
            random % 10_000,
            random % 97,
            random % 10_000,
        );
        let agent_at = text.len();
        text.push_str(agent);
        text.push_str("\r\nAccept: application/sdp\r\nAllow: INVITE, ACK, CANCEL, OPTIONS, BYE\r\nContent-Length: 0\r\n\r\n");
        let number_at = method.len() + 5;
        Message {
            bytes: text.into_bytes(),
            number: number_at..number_at + number.len(),
            agent: agent_at..agent_at + agent.len(),
            method: method.len(),
            kind: if method == "INVITE" { NumberKind::Called } else { NumberKind::Account },
        }
    }

    fn event(&self, random: u64, sources: u32, time: Time) -> EventRef<'_> {
        let message = &self.texts[(random >> 33) as usize % self.texts.len()];
        let source = 0x0b00_0000 + (random % u64::from(sources)) as u32;
        EventRef {
            time,
            source: (Ipv4Addr::from_bits(source), 5060).into(),
            destination: (Ipv4Addr::new(203, 0, 113, 5), 5060).into(),
            transport: Transport::Udp,
            verification: Verification::Unverified,
            collected: Collected::Responsive,
            number_kind: message.kind,
            anomalies: Anomalies::default(),
            method: &message.bytes[..message.method],
            number: &message.bytes[message.number.clone()],
            user_agent: &message.bytes[message.agent.clone()],
            message: &message.bytes,
        }
    }
}
