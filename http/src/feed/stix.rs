//! A bundle of STIX 2.1 (OASIS, June 2021): the node as an identity, and an indicator for each entry.
//!
//! The same address has the same id in every bundle of a node, so who takes bundles again and again
//! has one indicator that changes.

use std::fmt::Write;
use std::net::IpAddr;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use sentrypeer_storage::event::Time;
use serde::Serialize;
use uuid::{Builder, Uuid};

use super::format::{Facts, Place};
use super::list::Entry;
use super::tabular::push_json;
use crate::timestamp::Rfc3339;

/// A UUID of version 5 (RFC 9562, section 5.5): the same for the same node and name.
pub(super) fn id_of(node: Uuid, name: &str) -> Uuid {
    let hashed = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[node.as_bytes(), name.as_bytes()].concat());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hashed.as_ref()[..16]);
    Builder::from_sha1_bytes(bytes).into_uuid()
}

fn identity(facts: &Facts) -> String {
    format!("identity--{}", id_of(facts.node_id, "identity"))
}

/// Times have milliseconds where an object was made or changed (STIX 2.1, section 3.2).
fn millis(time: Time) -> String {
    let text = Rfc3339(time).to_string();
    // Nine digits and a Z, of which six digits go.
    text.get(..text.len().saturating_sub(7)).map_or(text.clone(), |kept| format!("{kept}Z"))
}

/// The identity never changes, so it has one time for ever.
pub(super) fn head(out: &mut String, facts: &Facts) {
    let bundle = id_of(facts.node_id, &format!("bundle {}", facts.generation));
    let identity = identity(facts);
    // Writing into a String does not fail.
    let _ = write!(
        out,
        "{{\"type\": \"bundle\", \"id\": \"bundle--{bundle}\", \"objects\": [\n{{\"type\": \
         \"identity\", \"spec_version\": \"2.1\", \"id\": \"{identity}\", \"created\": \
         \"1970-01-01T00:00:00.000Z\", \"modified\": \"1970-01-01T00:00:00.000Z\", \"name\": \"sentrypeer\", \
         \"identity_class\": \"system\"}}"
    );
}

pub(super) fn entry(out: &mut String, facts: &Facts, entry: &Entry, place: &Place) {
    #[derive(Serialize)]
    struct Indicator {
        r#type: &'static str,
        spec_version: &'static str,
        id: String,
        created_by_ref: String,
        created: String,
        modified: String,
        name: String,
        indicator_types: [&'static str; 1],
        pattern: String,
        pattern_type: &'static str,
        valid_from: String,
        valid_until: String,
    }
    let Some(known) = place.known else { return };
    let network = entry.network();
    let kind = match entry.ip {
        IpAddr::V4(_) => "ipv4-addr",
        IpAddr::V6(_) => "ipv6-addr",
    };
    let indicator = Indicator {
        r#type: "indicator",
        spec_version: "2.1",
        id: format!("indicator--{}", id_of(facts.node_id, &network)),
        created_by_ref: identity(facts),
        created: millis(known.first),
        modified: millis(known.last),
        name: format!("SIP attacks from {network}"),
        indicator_types: ["malicious-activity"],
        pattern: format!("[{kind}:value = '{network}']"),
        pattern_type: "stix",
        valid_from: millis(known.first),
        valid_until: millis(entry.expires),
    };
    out.push_str(",\n");
    push_json(out, &indicator);
}

pub(super) fn tail(out: &mut String) {
    out.push_str("]}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_milliseconds() {
        assert_eq!(millis(Time(1_795_477_956_740_127_093)), "2026-11-23T23:52:36.740Z");
    }

    #[test]
    fn an_id_is_of_version_5_and_the_same_for_the_same_thing() {
        let node = Uuid::from_u128(7);
        let id = id_of(node, "198.18.0.7");
        assert_eq!(id.get_version_num(), 5);
        assert_eq!(id, id_of(node, "198.18.0.7"));
        assert_ne!(id, id_of(node, "198.18.0.8"));
        // Against RFC 9562, appendix A.4: the DNS namespace and www.example.com.
        let dns = "6ba7b810-9dad-11d1-80b4-00c04fd430c8".parse().unwrap();
        let expected = "2ed6657d-e927-568b-95e1-2665a8aea6a2";
        assert_eq!(id_of(dns, "www.example.com").to_string(), expected);
    }
}
