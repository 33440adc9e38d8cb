//! Events that come while dips are asked.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use sentrypeer_storage::event::EventRef;

use crate::FIRST;
use crate::node::{Node, at, proven};

/// How often events are handed over: a shard does so when its arena is full or 20 ms old.
const TICK: Duration = Duration::from_millis(10);
/// Sources that the events are of: a few scanners send most of what comes.
const BUSY_SOURCES: u64 = 10_000;

/// What became of the events.
pub struct Poured {
    came: u64,
    /// Events for which there was no arena.
    no_room: u64,
    /// What the writer kept only the row or the count of.
    shed: u64,
    stored: u64,
    took: Duration,
}

impl fmt::Display for Poured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_s = |events: u64| events as f64 / self.took.as_secs_f64();
        let Self { came, no_room, shed, stored, .. } = *self;
        write!(
            f,
            "events: {:.0}/s came, {:.0}/s were stored; {no_room} found no arena, {shed} of {came} \
             were not kept whole",
            per_s(came),
            per_s(stored)
        )
    }
}

/// Stores so many events a second until it is told to stop.
pub fn pour(node: &mut Node, rows: u32, per_s: u64, stop: &AtomicBool) -> Poured {
    let stats = |node: &Node| {
        let stats = node.ctx.store.stats();
        (stats.events_stored.get(), stats.messages_shed.get() + stats.events_repeated.get())
    };
    let (before, begun) = (stats(node), Instant::now());
    let (mut came, mut no_room) = (0, 0);
    while !stop.load(Relaxed) {
        let due = begun.elapsed().as_millis() as u64 * per_s / 1_000;
        no_room += hand_over(node, rows, came..due.max(came));
        came = due.max(came);
        std::thread::sleep(TICK);
    }
    let after = stats(node);
    let (stored, shed) = (after.0 - before.0, after.1 - before.1);
    Poured { came, no_room, shed, stored, took: begun.elapsed() }
}

/// Hands over the events of these numbers, and says how many found no room.
fn hand_over(node: &mut Node, rows: u32, which: std::ops::Range<u64>) -> u64 {
    let (intake, mut arena, mut no_room) = (&mut node.intakes[0], None, 0);
    for n in which {
        let row = (n.wrapping_mul(0x9e37_79b1) % BUSY_SOURCES.min(rows.into())) as u32;
        let (source, number) = (Ipv4Addr::from(FIRST + row).to_string(), format!("+44{row}"));
        let message = format!(
            "INVITE sip:{number}@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP {source}:5060;branch=z9hG4bK-{n}\r\n\
             From: <sip:100@192.0.2.1>;tag={n}\r\nTo: <sip:{number}@192.0.2.1>\r\nCall-ID: {n}@{source}\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:100@{source}:5060>\r\nUser-Agent: friendly-scanner\r\n\
             Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        let event = EventRef { message: message.as_bytes(), ..proven(&source, &number, at(2)) };
        let is_full = arena.as_mut().is_some_and(|arena: &mut sentrypeer_storage::arena::Arena| {
            arena.push(&event).is_err()
        });
        if !is_full && arena.is_some() {
            continue;
        }
        arena.take().into_iter().for_each(|full| no_room += intake.hand_over(full) as u64);
        arena = intake.take();
        let is_kept = arena.as_mut().is_some_and(|arena| arena.push(&event).is_ok());
        no_room += u64::from(!is_kept);
    }
    arena.into_iter().for_each(|rest| no_room += intake.hand_over(rest) as u64);
    no_room
}
