//! Events as scanners send them, into a store.

use std::time::{Duration, Instant};

use sentrypeer_storage::arena::Arena;
use sentrypeer_storage::event::{
    Anomalies, Collected, EventRef, NumberKind, Time, Transport, Verification,
};
use sentrypeer_storage::intake::ShardIntake;

use crate::Failure;

/// Stores so many as fast as they are taken.
pub fn fill(intake: &mut ShardIntake, events: u64) -> Result<(), Failure> {
    let mut arena = intake.take().ok_or("no arena")?;
    for n in 0..events {
        let message = message(n);
        let event = event(n, &message);
        while arena.push(&event).is_err() {
            match intake.take() {
                Some(empty) => {
                    let full = std::mem::replace(&mut arena, empty);
                    if intake.hand_over(full) > 0 {
                        return Err("the writer has ended".into());
                    }
                }
                None => std::thread::sleep(Duration::from_micros(200)),
            }
        }
    }
    if intake.hand_over(arena) > 0 { Err("the writer has ended".into()) } else { Ok(()) }
}

/// Stores so many at a steady rate. Nobody waits for room here, as no shard does; how many found none.
pub fn feed(intake: &mut ShardIntake, events: u64, rate: u64) -> Result<u64, Failure> {
    let begin = Instant::now();
    let (mut done, mut lost) = (0, 0);
    while done < events {
        let due = (begin.elapsed().as_secs_f64() * rate as f64) as u64;
        let mut arena = None;
        while done < due.min(events) {
            lost += u64::from(!push(intake, &mut arena, done)?);
            done += 1;
        }
        if let Some(arena) = arena {
            hand_over(intake, arena)?;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(lost)
}

/// Whether there was room for it.
fn push(intake: &mut ShardIntake, arena: &mut Option<Arena>, n: u64) -> Result<bool, Failure> {
    let message = message(n);
    let event = event(n, &message);
    if arena.as_mut().is_some_and(|arena| arena.push(&event).is_ok()) {
        return Ok(true);
    }
    if let Some(full) = arena.take() {
        hand_over(intake, full)?;
    }
    *arena = intake.take();
    Ok(arena.as_mut().is_some_and(|arena| arena.push(&event).is_ok()))
}

fn hand_over(intake: &mut ShardIntake, arena: Arena) -> Result<(), Failure> {
    if intake.hand_over(arena) > 0 { Err("the writer has ended".into()) } else { Ok(()) }
}

/// About 500 bytes, as scanners send them.
fn message(n: u64) -> Vec<u8> {
    let id = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        "INVITE sip:+44207{:07}@203.0.113.5 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.0.{}.{}:5060;branch=z9hG4bK-{:x};rport\r\nMax-Forwards: 70\r\n\
         From: \"{}\" <sip:{}@203.0.113.5>;tag={:x}\r\nTo: <sip:{}@203.0.113.5>\r\n\
         Call-ID: {id:x}@10.0.0.1\r\nCSeq: {} INVITE\r\nContact: <sip:{}@10.0.0.1:5060>\r\n\
         User-Agent: friendly-scanner\r\nAccept: application/sdp\r\n\
         Allow: INVITE, ACK, CANCEL, OPTIONS, BYE\r\nContent-Length: 0\r\n\r\n",
        n % 10_000_000,
        id >> 3 & 255,
        id >> 17 & 255,
        id.rotate_left(17),
        n % 1000,
        id % 10_000,
        id >> 20,
        id % 100_000,
        id % 97,
        id % 10_000,
    )
    .into_bytes()
}

fn event(n: u64, message: &[u8]) -> EventRef<'_> {
    let agent = message.windows(16).position(|part| part == b"friendly-scanner").unwrap_or(0);
    EventRef {
        time: Time::now(),
        source: (std::net::Ipv4Addr::from_bits(0x0b00_0000 + (n % 10_000) as u32), 5060).into(),
        destination: "203.0.113.5:5060".parse().unwrap_or_else(|_| ([0, 0, 0, 0], 0).into()),
        transport: Transport::Udp,
        verification: Verification::Unverified,
        collected: Collected::Responsive,
        number_kind: NumberKind::Called,
        anomalies: Anomalies::default(),
        method: &message[..6],
        number: &message[11..24],
        user_agent: &message[agent..agent + 16],
        message,
    }
}
