//! How fast the SQLite output is: writes events as a live output would, and reads them back.
//!
//! `cargo run --release -p sentrypeer-archive --example honey -- FILE [EVENTS] [EVENTS IN A BATCH]`

use std::error::Error;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Instant;

use sentrypeer_archive::honey::{Form, HoneyFile, Move, SourceForm};
use sentrypeer_archive::import::{self, Options};
use sentrypeer_storage::event::{
    Anomalies, Collected, NumberKind, Seq, Time, Transport, Verification, event_id,
};
use sentrypeer_storage::log::StoredEvent;
use uuid::Uuid;

const NODE: Uuid = Uuid::from_u128(0x7c1a_3c52_5f0e_4a39_9d2b_6e0f_4f1b_8a10);
const SOURCES: u64 = 10_000;
const CURSOR: &str = "example";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let path = Path::new(arguments.get(1).ok_or("name a file")?);
    let events = arguments.get(2).map_or(Ok(1_000_000), |text| text.parse())?;
    let batch = arguments.get(3).map_or(Ok(1_000), |text| text.parse())?;
    write(path, events, batch)?;
    read(path)
}

fn write(path: &Path, events: u64, batch: u64) -> Result<(), Box<dyn Error>> {
    let mut file = HoneyFile::open(path, Form { node_id: NODE, source: SourceForm::Address })?;
    let mut at = file.cursor(CURSOR)?.unwrap_or_default().0;
    let end = at + events;
    let mut seconds = 0.0;
    while at < end {
        let next: Vec<StoredEvent> = (at + 1..=(at + batch).min(end)).map(event).collect();
        at += next.len() as u64;
        let begin = Instant::now();
        file.append(&next, Some(Move { name: CURSOR, to: Seq(at) }))?;
        seconds += begin.elapsed().as_secs_f64();
    }
    println!(
        "written: {events} events in batches of {batch}, {:.0} a second",
        events as f64 / seconds
    );

    let begin = Instant::now();
    let oldest = event(end - events / 2).time;
    let mut removed = 0;
    loop {
        let step = file.remove_before(oldest, 1_000)?;
        removed += step;
        if step < 1_000 {
            break;
        }
    }
    println!("removed: {removed}, {:.0} a second", removed as f64 / begin.elapsed().as_secs_f64());
    Ok(file.close()?)
}

fn read(path: &Path) -> Result<(), Box<dyn Error>> {
    let begin = Instant::now();
    let mut import = import::open(path, &Options::default())?;
    let read = import.by_ref().count();
    println!("read: {read}, {:.0} a second", read as f64 / begin.elapsed().as_secs_f64());
    println!("skipped: {}", import.finish()?.skipped);
    Ok(())
}

/// A message of a scanner that tries 10,000 numbers from 10,000 addresses.
fn event(seq: u64) -> StoredEvent {
    let mixed = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let time = Time(1_795_477_956_000_127_093 + seq * 1_000_003);
    let source = Ipv4Addr::from(0xc612_0000 + (mixed % SOURCES) as u32);
    let number = format!("00441904{:06}", mixed % 9_973);
    let message = format!(
        "INVITE sip:{number}@198.51.100.2 SIP/2.0\r\nVia: SIP/2.0/UDP {source}:5066;branch=z9hG4bK-{mixed}\r\n\
         From: <sip:100@198.51.100.2>;tag={mixed:x}\r\nTo: <sip:{number}@198.51.100.2>\r\n\
         Call-ID: {mixed:x}-{seq}@{source}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\
         Contact: <sip:100@{source}:5066>\r\nUser-Agent: friendly-scanner\r\nContent-Length: 0\r\n\r\n"
    );
    StoredEvent {
        seq: Seq(seq),
        id: event_id(NODE, Seq(seq), time),
        time,
        source: (source, 5066).into(),
        destination: "198.51.100.2:5060".parse().unwrap_or_else(|_| (source, 0).into()),
        transport: Transport::Udp,
        verification: Verification::Unverified,
        collected: Collected::Responsive,
        number_kind: NumberKind::Called,
        anomalies: Anomalies::default(),
        method: b"INVITE".as_slice().into(),
        number: number.into_bytes().into(),
        user_agent: b"friendly-scanner".as_slice().into(),
        message: message.into_bytes().into(),
    }
}
