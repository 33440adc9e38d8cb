//! A feed in the core format of MISP: one event that is always the same and whose attributes are the
//! entries, and the manifest that leads to it.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use uuid::Uuid;

use super::format::{Facts, Place};
use super::list::Entry;
use super::stix::id_of;
use super::tabular::push_json;
use crate::timestamp::Rfc3339;

const NS_PER_S: u64 = 1_000_000_000;
const INFO: &str = "Sources of SIP attacks, seen by sentrypeer";

/// The id of a node's event.
pub(super) fn event_id(node: Uuid) -> Uuid {
    id_of(node, "misp event")
}

#[derive(Serialize)]
struct Organisation {
    name: &'static str,
    uuid: String,
}

/// What manifest and event say alike.
#[derive(Serialize)]
pub(super) struct Described {
    info: &'static str,
    date: String,
    timestamp: String,
    analysis: &'static str,
    threat_level_id: &'static str,
    #[serde(rename = "Orgc")]
    organisation: Organisation,
}

impl Described {
    fn of(facts: &Facts) -> Self {
        Self {
            info: INFO,
            date: Rfc3339(facts.now).to_string().chars().take(10).collect(),
            timestamp: (facts.now.0 / NS_PER_S).to_string(),
            // Complete, and of medium threat.
            analysis: "2",
            threat_level_id: "2",
            organisation: Organisation {
                name: "sentrypeer",
                uuid: id_of(facts.node_id, "misp organisation").to_string(),
            },
        }
    }
}

/// `manifest.json`
pub(super) fn manifest(facts: &Facts) -> BTreeMap<String, Described> {
    [(event_id(facts.node_id).to_string(), Described::of(facts))].into()
}

pub(super) fn head(out: &mut String, facts: &Facts) {
    let mut described = String::new();
    push_json(&mut described, &Described::of(facts));
    // The event's members are those of the manifest and more, in one object.
    let members = described.strip_suffix('}').unwrap_or(&described);
    let id = event_id(facts.node_id);
    // Writing into a String does not fail.
    let _ = write!(
        out,
        "{{\"Event\": {members}, \"uuid\": \"{id}\", \"published\": true, \
         \"distribution\": \"0\", \"Attribute\": ["
    );
}

pub(super) fn entry(out: &mut String, facts: &Facts, entry: &Entry, place: &Place) {
    #[derive(Serialize)]
    struct Attribute {
        uuid: String,
        r#type: &'static str,
        category: &'static str,
        to_ids: bool,
        value: String,
        timestamp: String,
        first_seen: Rfc3339,
        last_seen: Rfc3339,
        comment: String,
    }
    let Some(known) = place.known else { return };
    let value = entry.network();
    let attribute = Attribute {
        uuid: id_of(facts.node_id, &format!("misp {value}")).to_string(),
        r#type: "ip-src",
        category: "Network activity",
        to_ids: true,
        timestamp: (known.last.0 / NS_PER_S).to_string(),
        first_seen: Rfc3339(known.first),
        last_seen: Rfc3339(known.last),
        comment: format!("events: {}, {}", known.count, known.verification.name()),
        value,
    };
    out.push_str(if place.index == 0 { "\n" } else { ",\n" });
    push_json(out, &attribute);
}

pub(super) fn tail(out: &mut String) {
    out.push_str("]}}\n");
}
