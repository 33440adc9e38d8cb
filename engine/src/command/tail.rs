//! `tail`: the events of the running node as they come.
//!
//! The log is asked for what is new a few times a second: a reader that has gone away leaves nothing
//! behind in the node, and one that is slow holds up nothing.

use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::Duration;

use sentrypeer_export::syslog::is_order;
use sentrypeer_storage::event::{Seq, Verification};
use sentrypeer_storage::event_json::{self, Producer};
use sentrypeer_storage::log::StoredEvent;
use sentrypeer_storage::utc::Utc;
use serde_json::Value;

use super::keeper::by_node;
use super::terminal::escaped;
use super::{Failure, refusal_text};
use crate::config::Config;
use crate::control;
use crate::control::documents::Events;
use crate::control::order::Order;
use crate::limits::{CONTROL_BATCH_BYTES_MAX, TAIL_LOOK_MS};
use crate::outputs;

pub(super) fn run(config: &Config, json: bool) -> Result<(), Failure> {
    let (mut at, producer) = beginning(config)?;
    let is_terminal = io::stdout().is_terminal();
    let is_coloured = is_terminal && std::env::var_os("NO_COLOR").is_none();
    loop {
        let document = by_node(&config.db, &Order::Events { after: at })?;
        let some = Events::decode(&document).map_err(Failure::refused)?;
        let mut text = String::new();
        for event in &some.events {
            at = event.seq;
            match json {
                true if is_terminal => {
                    text.push_str(&escaped(&event_json::to_line(event, &producer)));
                }
                true => text.push_str(&event_json::to_line(event, &producer)),
                false => text.push_str(&line(event, is_coloured)),
            }
            text.push('\n');
        }
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        written.map_err(Failure::Output)?;
        if some.events.is_empty() {
            thread::sleep(Duration::from_millis(TAIL_LOOK_MS));
        }
    }
}

/// The last event that is there already, and whose events they are.
fn beginning(config: &Config) -> Result<(Seq, Producer), Failure> {
    let answer = control::request(&config.db, "/api/v1/status").map_err(Failure::Node)?;
    let answer = answer.ok_or_else(|| Failure::NoNode(config.db.display().to_string()))?;
    let is_ok = answer.status == 200;
    let document = answer.whole(CONTROL_BATCH_BYTES_MAX).map_err(Failure::Node)?;
    if !is_ok {
        return Err(Failure::Refused(refusal_text(&document)));
    }
    let status: Value = serde_json::from_slice(&document).map_err(Failure::refused)?;
    let last = status["last_event"].as_u64().unwrap_or(0);
    let node_id = status["node_id"].as_str().and_then(|id| id.parse().ok()).unwrap_or_default();
    Ok((Seq(last), outputs::producer(node_id)))
}

const RESET: &str = "\u{1b}[0m";
const DIM: &str = "\u{1b}[2m";
const BOLD: &str = "\u{1b}[1m";
/// Anybody may have sent it in another's name.
const YELLOW: &str = "\u{1b}[33m";
/// It is proven who sent it.
const RED: &str = "\u{1b}[31m";

/// An event on one line: when, who, how well proven, what, which number, by which program.
fn line(event: &StoredEvent, is_coloured: bool) -> String {
    let paint = |colour: &str, text: &str| match is_coloured {
        true => format!("{colour}{text}{RESET}"),
        false => text.to_owned(),
    };
    let proof = if event.verification >= Verification::ReturnPath { RED } else { YELLOW };
    let source = format!("{:<21}", event.source);
    let proven = format!("{:<11}", event.verification.name());
    [
        paint(DIM, &Utc(event.time).to_string()),
        format!("{:<3}", event.transport.name()),
        paint(proof, &source),
        paint(proof, &proven),
        format!("{:<9}", shown(&event.method)),
        paint(BOLD, &shown(&event.number)),
        shown(&event.user_agent),
    ]
    .join(" ")
    .trim_end()
    .to_owned()
}

/// What an attacker sent, without what a terminal takes for an order.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.is_empty() {
        return "-".to_owned();
    }
    text.chars().map(|c| if is_order(c) { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use sentrypeer_storage::event::{
        Anomalies, Collected, NumberKind, Seq, Time, Transport, Verification,
    };

    use super::*;

    fn event(verification: Verification, agent: &[u8]) -> StoredEvent {
        StoredEvent {
            seq: Seq(1),
            id: uuid::Uuid::nil(),
            time: Time(1_795_509_330_000_000_000),
            source: "198.18.0.7:5061".parse().unwrap(),
            destination: "192.0.2.1:5060".parse().unwrap(),
            transport: Transport::Tcp,
            verification,
            collected: Collected::Passive,
            number_kind: NumberKind::Called,
            anomalies: Anomalies::default(),
            method: b"INVITE".as_slice().into(),
            number: Box::default(),
            user_agent: agent.into(),
            message: Box::default(),
        }
    }

    #[test]
    fn an_event_is_a_line_and_colours_are_for_terminals() {
        let proven = event(Verification::Connected, b"sipsak");
        assert_eq!(
            line(&proven, false),
            "2026-11-24 08:35:30.000000000 TCP 198.18.0.7:5061       connected   INVITE    - sipsak"
        );
        assert!(line(&proven, true).contains("\u{1b}[31m198.18.0.7:5061"));
        let forged = event(Verification::Unverified, b"sipsak");
        assert!(line(&forged, true).contains("\u{1b}[33m198.18.0.7:5061"));
    }

    #[test]
    fn what_an_attacker_sent_cannot_write_to_the_terminal() {
        let hostile = event(Verification::Unverified, "\u{1b}[2Ja\nb\u{202e}c\u{9b}".as_bytes());
        assert!(line(&hostile, false).ends_with(" - ?[2Ja?b?c?"), "{:?}", line(&hostile, false));
    }
}
