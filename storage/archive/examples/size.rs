//! What events take on the disk: in the database of this program, and in the table that SentryPeer 4.x
//! writes them to, with its indexes. The same messages, as scanners send them.
//!
//! `cargo run --release -p sentrypeer-archive --example size -- [EVENTS] [SOURCES] [FOLDER]`

#[path = "../../pack/examples/mix/mod.rs"]
#[allow(dead_code, reason = "what the bench of another crate prints is not needed here")]
mod mix;

use std::error::Error;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use mix::{Message, Mix};
use rusqlite::{Connection, params};
use sentrypeer_storage::event::{
    Anomalies, Collected, EventRef, NumberKind, Seq, Time, Transport, Verification, event_id,
};
use sentrypeer_storage::{Options, intake};
use uuid::Uuid;

const NODE: Uuid = Uuid::from_u128(0x7c1a_3c52_5f0e_4a39_9d2b_6e0f_4f1b_8a10);

/// When the first came: 2026-11-24.
const START: u64 = 1_795_477_956_000_127_093;

/// The table of SentryPeer 4.x and its indexes.
const HONEY: &str = "
    CREATE TABLE honey (honey_id INTEGER PRIMARY KEY, event_timestamp TEXT, event_uuid TEXT,
        collected_method TEXT, source_ip TEXT, called_number TEXT, transport_type TEXT, method TEXT,
        user_agent TEXT, sip_message TEXT, created_by_node_id TEXT,
        created_at DATETIME DEFAULT CURRENT_TIMESTAMP);
    CREATE INDEX source_ip_index ON honey (source_ip);
    CREATE INDEX called_number_index ON honey (called_number);
    CREATE INDEX event_uuid_index ON honey (event_uuid);";

const ROW: &str = "INSERT INTO honey (event_timestamp, event_uuid, collected_method, source_ip,
    called_number, transport_type, method, user_agent, sip_message, created_by_node_id)
    VALUES (strftime('%Y-%m-%d %H:%M:%f', ?1 / 1e9, 'unixepoch') || '000000', ?2, 'responsive', ?3,
        ?4, 'UDP', ?5, ?6, ?7, ?8)";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse());
    let (events, sources) = (number(1_000_000)?, number(10_000)?);
    let folder = tempfile::tempdir_in(arguments.next().unwrap_or_else(|| ".".to_owned()))?;
    let messages = mix::messages(Mix::Short, 200_000.max(sources) as usize, sources);
    let messages: Vec<Parsed> = messages.into_iter().map(Parsed::of).collect();
    let all = || (0..u64::from(events)).map(|n| messages[n as usize % messages.len()].event(n));
    let raw: usize = all().map(|event| event.message.len()).sum();
    let each = |bytes: u64| bytes as f64 / f64::from(events);
    println!(
        "{events} events from {sources} sources, {:.0} bytes of message each",
        each(raw as u64)
    );
    let (honey, ours) = (folder.path().join("honey.db"), folder.path().join("ours.redb"));
    store(&ours, all())?;
    let ours = std::fs::metadata(ours)?.blocks() * 512;
    println!("ours: {:.1} bytes of allocated pages each, rows and all", each(ours));
    insert(&honey, all())?;
    let honey = std::fs::metadata(honey)?.blocks() * 512;
    println!(
        "SQLite: {:.1} bytes each, {:.1} times as much",
        each(honey),
        each(honey) / each(ours)
    );
    Ok(())
}

/// Stores the events as a node does, and ends in order.
fn store<'a>(path: &Path, all: impl Iterator<Item = EventRef<'a>>) -> Result<(), Box<dyn Error>> {
    let (mut shards, writer) = intake::channel(1);
    let (_store, thread) = sentrypeer_storage::start(Options::new(path, NODE), writer);
    let mut arena = shards[0].take().ok_or("no arena")?;
    for event in all {
        while arena.push(&event).is_err() {
            match shards[0].take() {
                Some(empty) => {
                    let full = std::mem::replace(&mut arena, empty);
                    assert_eq!(shards[0].hand_over(full), 0, "the writer has ended");
                }
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
    assert_eq!(shards[0].hand_over(arena), 0, "the writer has ended");
    drop(shards);
    Ok(thread.join()?)
}

fn insert<'a>(path: &Path, all: impl Iterator<Item = EventRef<'a>>) -> Result<(), Box<dyn Error>> {
    let mut file = Connection::open(path)?;
    file.execute_batch(HONEY)?;
    let transaction = file.transaction()?;
    let node = NODE.to_string();
    let mut row = transaction.prepare(ROW)?;
    for (seq, event) in (1..).zip(all) {
        let id = event_id(NODE, Seq(seq), event.time).to_string();
        let text = String::from_utf8_lossy;
        row.execute(params![
            event.time.0 as f64,
            id,
            event.source.to_string(),
            text(event.number),
            text(event.method),
            text(event.user_agent),
            text(event.message),
            node,
        ])?;
    }
    drop(row);
    transaction.commit()?;
    file.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// A message, and where its fields are.
struct Parsed {
    message: Message,
    number: Range<usize>,
    user_agent: Range<usize>,
}

impl Parsed {
    fn of(message: Message) -> Self {
        let bytes = &message.bytes[..];
        let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let user = line.windows(4).position(|part| part == b"sip:").map(|at| at + 4);
        let at = line.iter().position(|byte| *byte == b'@');
        let number = user.zip(at).filter(|(from, to)| from <= to);
        let agent = bytes.windows(12).position(|part| part == b"User-Agent: ").map(|at| at + 12);
        let user_agent = agent.map_or(0..0, |at| at..at + message.user_agent.len());
        Self { number: number.map_or(0..0, |(from, to)| from..to), user_agent, message }
    }

    /// The event number `n`, as 10,000 a second come.
    fn event(&self, n: u64) -> EventRef<'_> {
        let bytes = &self.message.bytes[..];
        let method = self.message.method.as_bytes();
        EventRef {
            time: Time(START + n * 100_003),
            source: self.message.source,
            destination: self.message.destination,
            transport: Transport::Udp,
            verification: Verification::Unverified,
            collected: Collected::Responsive,
            number_kind: NumberKind::Called,
            anomalies: Anomalies::default(),
            method: &bytes[..method.len()],
            number: &bytes[self.number.clone()],
            user_agent: &bytes[self.user_agent.clone()],
            message: bytes,
        }
    }
}
