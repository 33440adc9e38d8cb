//! How fast each output catches up with a log, alone and with all of them on while 100,000 events a second come in,
//! and the CPU time that an event takes it.
//!
//! ```text
//! cargo run --release -p sentrypeer-export --example catch_up -- [EVENTS] [FOLDER] [OUTPUT]
//! ```
//!
//! Receivers are threads of this process, or processes; their time is not counted, but they need the same processors.

mod events;
mod receivers;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sentrypeer_export::Outputs;
use sentrypeer_export::filter::Filter;
use sentrypeer_export::output::{Receiver, Settings};
use sentrypeer_storage::cursor::Begin;
use sentrypeer_storage::event::{Seq, Time};
use sentrypeer_storage::event_json::Producer;
use sentrypeer_storage::intake::{self, ShardIntake};
use sentrypeer_storage::policy::{AllowList, Policy};
use sentrypeer_storage::{Options, Store, WriterThread};
use uuid::Uuid;

use receivers::{Measured, Receivers};

/// Why the measurement ends early.
pub type Failure = Box<dyn std::error::Error>;

/// What comes in while all outputs are on, in events a second.
const INTAKE: u64 = 100_000;

/// An empty database with one shard.
struct Node {
    store: Store,
    intake: ShardIntake,
    thread: WriterThread,
}

impl Node {
    fn new(folder: &Path) -> Result<Self, Failure> {
        let (mut shards, writer_end) = intake::channel(1);
        let options = Options::new(folder.join("db.redb"), Uuid::new_v4());
        let (store, thread) = sentrypeer_storage::start(options, writer_end);
        while store.snapshot().is_none() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { store, intake: shards.remove(0), thread })
    }

    fn stored(&self) -> u64 {
        self.store.snapshot().map_or(0, |snapshot| snapshot.through.0)
    }

    fn await_stored(&self, events: u64) {
        while self.stored() < events {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn end(self) -> Result<(), Failure> {
        drop(self.intake);
        Ok(self.thread.join()?)
    }
}

/// What was seen of an output that ran beside all others.
struct Beside {
    /// Events a second while they came in.
    during: f64,
    /// How long after the last had come in it had handed on all.
    after: Duration,
    cpu_ns: u64,
}

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let events: u64 = args.next().map_or(Ok(500_000), |events| events.parse())?;
    let folder = args.next().unwrap_or_else(|| ".".to_owned());
    let only = args.next();
    let beside = match only {
        None => together(tempfile::tempdir_in(&folder)?.path(), events)?,
        Some(_) => HashMap::new(),
    };
    let folder = tempfile::tempdir_in(folder)?;
    let mut node = Node::new(folder.path())?;
    events::fill(&mut node.intake, events)?;
    node.await_stored(events);
    println!("{:14} {:>9} {:>9} {:>7} | with all on:", "alone", "events/s", "must show", "CPU ns");
    let receivers = Receivers::new(folder.path())?;
    for one in receivers.all {
        if only.as_deref().is_none_or(|only| one.name.starts_with(only)) {
            let beside = beside.get(one.name);
            measure(&node.store, one, events, beside)?;
        }
    }
    node.end()
}

/// All usual outputs at once, while events come in.
fn together(folder: &Path, events: u64) -> Result<HashMap<&'static str, Beside>, Failure> {
    let mut node = Node::new(folder)?;
    let receivers = Receivers::new(folder)?;
    let usual = receivers.all.iter().filter(|one| one.is_usual);
    let outputs = usual.map(|one| (one.name, one.receiver.clone()));
    let (names, outputs) = start(&node.store, outputs.collect())?;
    let begin = Instant::now();
    let lost = events::feed(&mut node.intake, events, INTAKE)?;
    let took = begin.elapsed();
    let cursors: Vec<u64> = outputs.status(Time::now()).iter().map(|one| one.cursor.0).collect();
    node.await_stored(events - lost);
    let ended = Instant::now();
    let rate = events as f64 / took.as_secs_f64();
    println!("{events} events came in, {rate:.0} a second; {} stored, {lost} lost", node.stored());
    let mut beside = HashMap::new();
    while beside.len() < names.len() {
        for (n, status) in outputs.status(Time::now()).iter().enumerate() {
            fail_if_stuck(status)?;
            if status.cursor.0 >= events - lost && !beside.contains_key(names[n]) {
                let during = cursors[n] as f64 / took.as_secs_f64();
                let cpu_ns = cpu_ns(names[n]) / events;
                beside.insert(names[n], Beside { during, after: ended.elapsed(), cpu_ns });
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let still = outputs.stop(Duration::from_secs(10));
    node.end()?;
    if still.is_empty() { Ok(beside) } else { Err(format!("{still:?} did not end").into()) }
}

fn fail_if_stuck(status: &sentrypeer_export::status::Status) -> Result<(), Failure> {
    match &status.last_error {
        Some(error) if status.failures > 20 => Err(error.text.clone().into()),
        _ => Ok(()),
    }
}

fn start(
    store: &Store,
    outputs: Vec<(&'static str, Receiver)>,
) -> Result<(Vec<&'static str>, Outputs), Failure> {
    let producer = Producer {
        app_name: "sentrypeer".into(),
        app_version: "0.0.0".into(),
        node_id: Uuid::from_u128(1),
    };
    let policy = Arc::new(Policy { allow: AllowList::new([], true), ..Policy::default() });
    let names = outputs.iter().map(|(name, _)| *name).collect();
    let settings = outputs.into_iter().map(|(name, receiver)| Settings {
        name: name.to_owned(),
        begin: Begin::Oldest,
        filter: Filter::default(),
        receiver,
    });
    let outputs = Outputs::start(store, producer, move || policy.clone(), settings.collect())?;
    Ok((names, outputs))
}

/// Lets one output catch up alone, and prints its row.
fn measure(
    store: &Store,
    one: Measured,
    events: u64,
    beside: Option<&Beside>,
) -> Result<(), Failure> {
    let begin = Instant::now();
    let (_, outputs) = start(store, vec![(one.name, one.receiver)])?;
    loop {
        let status = outputs.status(Time::now()).remove(0);
        fail_if_stuck(&status)?;
        if status.cursor >= Seq(events) {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let rate = events as f64 / begin.elapsed().as_secs_f64();
    let must_show = one.must_show.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
    let mark =
        if one.must_show.is_some_and(|limit| rate < limit as f64) { "  TOO SLOW" } else { "" };
    let beside = beside.map_or_else(String::new, |beside| {
        let Beside { during, after, cpu_ns } = beside;
        format!(
            "{during:.0} events/s, all {:.1} s after the last, {cpu_ns} ns",
            after.as_secs_f64()
        )
    });
    let cpu = cpu_ns(one.name) / events;
    println!("{:14} {rate:9.0} {must_show:>9} {cpu:7} | {beside}{mark}", one.name);
    let still = outputs.stop(Duration::from_secs(10));
    if still.is_empty() { Ok(()) } else { Err(format!("{still:?} did not end").into()) }
}

/// CPU time of the thread of this name, in ns.
fn cpu_ns(name: &str) -> u64 {
    let name: String = name.chars().take(15).collect();
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let read = |file| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if read("comm").trim() == name {
            let stat = read("schedstat");
            return stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
        }
    }
    0
}
