//! A million sources and a million numbers: what they take in memory, and how fast they are looked up
//! and gone through. Then the newest events of addresses and numbers in a log of so many events.
//!
//! ```text
//! cargo run --release -p sentrypeer-storage --example million -- [EVENTS] [SOURCES] [FOLDER]
//! ```
//!
//! Another process stores the events and is killed as soon as all of them are; opening begins there: first by
//! a process that finds nothing of the file in the page cache, and is killed when it has opened it, and then
//! with the page cache as that leaves it.

use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use sentrypeer_storage::event::{
    Anomalies, Collected, EventRef, NumberKind, Seq, SourceKey, Time, Transport, Verification,
};
use sentrypeer_storage::intake;
use sentrypeer_storage::key::NumberKey;
use sentrypeer_storage::log::Log;
use sentrypeer_storage::query::{Query, Subject};
use sentrypeer_storage::recount::recount;
use sentrypeer_storage::{Options, Store};
use uuid::Uuid;

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error>;

/// Subjects that are looked for.
const SEARCHES: u64 = 25;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1).peekable();
    if args.next_if(|arg| arg == "fill").is_some() {
        let [events, sources] = [args.next(), args.next()].map(|arg| arg?.parse().ok());
        let path = args.next().ok_or("no path")?;
        return fill(Path::new(&path), events.ok_or("no number")?, sources.ok_or("no number")?);
    }
    if args.next_if(|arg| arg == "open").is_some() {
        return open_and_wait(Path::new(&args.next().ok_or("no path")?));
    }
    let mut number = |default| args.next().map_or(Ok(default), |arg| arg.parse());
    let (events, sources): (u64, u64) = (number(1_000_000)?, number(1_000_000)?);
    let folder = tempfile::tempdir_in(args.next().unwrap_or_else(|| ".".to_owned()))?;
    let path = folder.path().join("million.redb");
    fill_and_kill(&path, events, sources)?;
    let bytes = std::fs::metadata(&path)?.blocks() * 512;
    println!("{:.1} B of disk an event", bytes as f64 / events as f64);
    forget_pages(&path)?;
    print!("with a cold page cache: {}", first_line_of(&["open"], &path)?);
    look(&path, sources)?;
    let recount = recount(&path)?;
    println!("recount: {} events, exact: {}", recount.events, recount.is_exact());
    Ok(())
}

/// Opens the database and waits until it is there.
fn open(path: &Path) -> (Store, Vec<intake::ShardIntake>, sentrypeer_storage::WriterThread) {
    let (shards, end) = intake::channel(1);
    let (store, thread) = sentrypeer_storage::start(Options::new(path, Uuid::from_u128(1)), end);
    while store.snapshot().is_none() && !thread.is_finished() {
        std::thread::sleep(Duration::from_millis(1));
    }
    (store, shards, thread)
}

fn source(n: u64) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0b00_0000 + n as u32)
}

fn fill(path: &Path, events: u64, sources: u64) -> Result<(), Failure> {
    let (store, mut shards, thread) = open(path);
    let mut arena = shards[0].take().ok_or("no arena")?;
    let begin = Instant::now();
    for n in 0..events {
        let who = n.wrapping_mul(0x9e37_79b1) % sources;
        let number = format!("00{}", 441_000_000_000 + who);
        let message = format!(
            "INVITE sip:{number}@203.0.113.5 SIP/2.0\r\nVia: SIP/2.0/UDP {}:5060;branch=z9hG4bK{n:x}\r\n\
             From: <sip:100@203.0.113.5>;tag={n:x}\r\nTo: <sip:{number}@203.0.113.5>\r\n\
             Call-ID: {n:x}@x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
            source(who)
        );
        let event = EventRef {
            time: Time::now(),
            source: (source(who), 5060).into(),
            destination: (Ipv4Addr::new(203, 0, 113, 5), 5060).into(),
            transport: Transport::Udp,
            verification: Verification::ReturnPath,
            collected: Collected::Responsive,
            number_kind: NumberKind::Called,
            anomalies: Anomalies::default(),
            method: &message.as_bytes()[..6],
            number: &message.as_bytes()[11..11 + number.len()],
            user_agent: b"",
            message: message.as_bytes(),
        };
        while arena.push(&event).is_err() {
            // No more than a few under way: what waits is not what is measured.
            while store.stats().events_stored.get() + 100_000 < n {
                std::thread::sleep(Duration::from_millis(5));
            }
            let Some(empty) = shards[0].take() else { continue };
            assert_eq!(shards[0].hand_over(std::mem::replace(&mut arena, empty)), 0);
        }
    }
    assert_eq!(shards[0].hand_over(arena), 0);
    while store.stats().events_stored.get() < events {
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("{events} events in {:.1} s", begin.elapsed().as_secs_f64());
    drop(thread);
    loop {
        std::thread::park();
    }
}

/// Has a process store the events, and kills it.
fn fill_and_kill(path: &Path, events: u64, sources: u64) -> Result<(), Failure> {
    let arguments = ["fill", &events.to_string(), &sources.to_string()];
    print!("{}", first_line_of(&arguments, path)?);
    Ok(())
}

/// Starts this program, and kills it when it has written a line.
fn first_line_of(arguments: &[&str], path: &Path) -> Result<String, Failure> {
    let mut child = std::process::Command::new(std::env::current_exe()?)
        .args(arguments)
        .arg(path)
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let stdout = child.stdout.take().ok_or("no output")?;
    BufReader::new(stdout).read_line(&mut line)?;
    child.kill()?;
    child.wait()?;
    Ok(line)
}

/// Has the kernel drop what it has of the file in its page cache.
fn forget_pages(path: &Path) -> Result<(), Failure> {
    let file = std::fs::File::open(path)?;
    file.sync_all()?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    Ok(())
}

fn open_and_wait(path: &Path) -> Result<(), Failure> {
    let begin = Instant::now();
    let (store, _shards, _thread) = open(path);
    let replayed = store.stats().replay_events.get();
    println!("opened after a kill in {:?}, {replayed} events replayed", begin.elapsed());
    loop {
        std::thread::park();
    }
}

fn look(path: &Path, sources: u64) -> Result<(), Failure> {
    let begin = Instant::now();
    let (store, shards, thread) = open(path);
    let replayed = store.stats().replay_events.get();
    println!("opened after a kill in {:?}, {replayed} events replayed", begin.elapsed());
    let snapshot = store.snapshot().ok_or("not open")?;
    println!("{} sources, {} numbers", snapshot.sources.len(), snapshot.numbers.len());
    let at_once = resident_mb();
    std::thread::sleep(Duration::from_secs(3));
    println!("resident: {at_once} MB, three seconds later {} MB", resident_mb());
    let mut random = 88_172_645_463_325_252u64;
    let keys: Vec<_> = (0..1_000_000)
        .map(|_| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % sources
        })
        .collect();
    let begin = Instant::now();
    for n in &keys {
        black_box(snapshot.sources.get(&SourceKey::of(source(*n).into())));
    }
    println!("lookup of a source: {} ns", begin.elapsed().as_nanos() as usize / keys.len());
    let begin = Instant::now();
    let sum: u64 = snapshot.sources.iter().map(|(_, row)| row.seen.count).sum();
    println!("all sources: {:?} ({} events)", begin.elapsed(), black_box(sum));
    let log = store.log().ok_or("not open")?;
    let of = |n| Subject::Source(SourceKey::of(source(n).into()));
    searches(&log, "a source", sources, of)?;
    let of = |n| Subject::Number(NumberKey::of(format!("00{}", 441_000_000_000 + n).as_bytes()));
    searches(&log, "a number", sources, of)?;
    drop(shards);
    Ok(thread.join()?)
}

/// The newest hundred events of some subjects.
fn searches(
    log: &Log,
    what: &str,
    subjects: u64,
    of: impl Fn(u64) -> Subject,
) -> Result<(), Failure> {
    let (mut found, mut times) = (0, Vec::new());
    for n in 0..SEARCHES {
        let begin = Instant::now();
        found += search(log, of(n * (subjects / SEARCHES)))?;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    let (median, last) = (times[times.len() / 2], times.len() - 1);
    println!(
        "the newest 100 events of {what}: {median:?} (median of {SEARCHES}; {:?} to {:?}), {} found on average",
        times[0],
        times[last],
        found as u64 / SEARCHES
    );
    Ok(())
}

/// The newest hundred, over as many calls as it takes. How many there are.
fn search(log: &Log, subject: Subject) -> Result<usize, Failure> {
    let mut query = Query { subject: Some(subject), ..Query::default() };
    let mut found = 0;
    loop {
        query.max_events = 100 - found;
        let page = log.find(&query)?;
        found += page.events.len();
        query.before = page.before.unwrap_or(Seq(0));
        if found >= 100 || page.before.is_none() {
            return Ok(found);
        }
    }
}

fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}
