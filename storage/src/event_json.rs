//! The one rendering of an event as JSON: the object that SentryPeer 4.x writes, all values strings.
//! The log's has the [`Target`] behind it where the number has one: whoever gets an event from
//! another node can read the number alone.
//!
//! What an attacker sent goes in as text: bytes that are no UTF-8 become U+FFFD, and everything that
//! JSON does not allow in a string is escaped.

use std::borrow::Cow;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::event::{Anomalies, Anomaly};
use crate::log::StoredEvent;
use crate::number::Target;
use crate::utc::Utc;

/// What stands for a value that the message did not have.
pub const NOT_FOUND: &str = "NOT_FOUND";

/// What all events of a node have in common.
#[derive(Clone, Debug)]
pub struct Producer {
    /// Name of the program.
    pub app_name: Cow<'static, str>,
    /// Its version.
    pub app_version: Cow<'static, str>,
    /// The node that collected the events.
    pub node_id: Uuid,
}

/// The event as a JSON object with exactly the keys of SentryPeer 4.x, in its order when
/// serialised by [`to_line`].
#[must_use]
pub fn to_value(event: &StoredEvent, producer: &Producer) -> Value {
    let members = members(event, producer);
    Value::Object(members.into_iter().map(|(k, v)| (k.into(), v.into())).collect::<Map<_, _>>())
}

/// The event as one line of JSON, without the newline: the members of [`to_value`], then
/// `called_number_e164` (`+46500729221`) and `called_number_country` (ISO 3166-1 alpha-2) if the
/// number has a reading, and a country; then `anomalies_observed` and `anomalies_invalid`, the names
/// of what was odd and of what was wrong with commas between them, if anything was.
#[must_use]
pub fn to_line(event: &StoredEvent, producer: &Producer) -> String {
    let mut line = String::with_capacity(event.message.len() * 5 / 4 + 512);
    line.push('{');
    let members = members(event, producer).into_iter().chain(target(event)).chain(anomalies(event));
    for (n, (key, value)) in members.enumerate() {
        line.push_str(if n == 0 { "\"" } else { ",\"" });
        line.push_str(key);
        line.push_str("\":");
        line.push_str(&Value::from(value).to_string());
    }
    line.push('}');
    line
}

fn members(event: &StoredEvent, producer: &Producer) -> [(&'static str, String); 13] {
    [
        ("app_name", producer.app_name.to_string()),
        ("app_version", producer.app_version.to_string()),
        ("event_timestamp", Utc(event.time).to_string()),
        ("event_uuid", event.id.to_string()),
        ("created_by_node_id", producer.node_id.to_string()),
        ("collected_method", event.collected.name().to_owned()),
        ("transport_type", event.transport.name().to_owned()),
        ("source_ip", event.source.ip().to_string()),
        ("destination_ip", event.destination.ip().to_string()),
        ("called_number", text(&event.number)),
        ("sip_method", text(&event.method)),
        ("sip_user_agent", text(&event.user_agent)),
        ("sip_message", text(&event.message)),
    ]
}

fn anomalies(event: &StoredEvent) -> impl Iterator<Item = (&'static str, String)> {
    let Anomalies { observed, invalid } = event.anomalies;
    let names = |set: u64| {
        let found = Anomaly::ALL.into_iter().filter(|anomaly| anomaly.bit() & set != 0);
        found.map(Anomaly::name).collect::<Vec<_>>().join(",")
    };
    let members = [("anomalies_observed", names(observed)), ("anomalies_invalid", names(invalid))];
    members.into_iter().filter(|(_, names)| !names.is_empty())
}

fn target(event: &StoredEvent) -> impl Iterator<Item = (&'static str, String)> {
    let target = Target::read(&event.number);
    let country = target.and_then(|target| target.country());
    let e164 = target.map(|target| ("called_number_e164", target.to_string()));
    e164.into_iter().chain(country.map(|country| ("called_number_country", country.to_owned())))
}

fn text(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return NOT_FOUND.to_owned();
    }
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{
        Anomalies, Collected, NumberKind, Seq, Time, Transport, Verification, event_id,
    };

    fn producer() -> Producer {
        Producer {
            app_name: "sentrypeer".into(),
            app_version: "1.2.3".into(),
            node_id: Uuid::from_u128(7),
        }
    }

    fn event(message: &[u8]) -> StoredEvent {
        StoredEvent {
            seq: Seq(1),
            id: event_id(Uuid::from_u128(7), Seq(1), Time(0)),
            time: Time(1_795_477_956_740_127_093),
            source: "[2a00::7]:5061".parse().unwrap(),
            destination: "144.21.55.36:5060".parse().unwrap(),
            transport: Transport::Udp,
            verification: Verification::Unverified,
            collected: Collected::Responsive,
            number_kind: NumberKind::Called,
            anomalies: Anomalies::default(),
            method: b"INVITE".as_slice().into(),
            number: b"+100".as_slice().into(),
            user_agent: b"".as_slice().into(),
            message: message.into(),
        }
    }

    #[test]
    fn an_event_has_the_keys_and_forms_of_sentrypeer_4() {
        let line = to_line(&event(b"INVITE sip:a SIP/2.0\r\n\r\n"), &producer());
        let id = event(b"").id;
        let expected = format!(
            concat!(
                r#"{{"app_name":"sentrypeer","app_version":"1.2.3","#,
                r#""event_timestamp":"2026-11-23 23:52:36.740127093","event_uuid":"{}","#,
                r#""created_by_node_id":"00000000-0000-0000-0000-000000000007","#,
                r#""collected_method":"responsive","transport_type":"UDP","#,
                r#""source_ip":"2a00::7","destination_ip":"144.21.55.36","#,
                r#""called_number":"+100","sip_method":"INVITE","#,
                r#""sip_user_agent":"NOT_FOUND","sip_message":"INVITE sip:a SIP/2.0\r\n\r\n"}}"#
            ),
            id
        );
        assert_eq!(line, expected);
    }

    #[test]
    fn what_was_odd_and_what_was_wrong_are_in_the_log_by_name() {
        let anomalies = Anomalies {
            observed: Anomaly::Folded.bit() | Anomaly::ViaSeveral.bit(),
            invalid: Anomaly::AngleOpen.bit(),
        };
        let line = to_line(&StoredEvent { anomalies, ..event(b"") }, &producer());
        let end = r#","anomalies_observed":"folded,via-several","anomalies_invalid":"angle-open"}"#;
        assert!(line.ends_with(end), "{line}");
    }

    #[test]
    fn a_number_that_can_be_read_has_its_target_in_the_log_and_not_in_what_is_shared() {
        let dialled = |number: &[u8]| StoredEvent { number: number.into(), ..event(b"") };
        let line = to_line(&dialled(b"981046500729221"), &producer());
        let target = r#","called_number_e164":"+46500729221","called_number_country":"SE"}"#;
        assert!(line.ends_with(target), "{line}");
        let satellite = to_line(&dialled(b"+881612345678"), &producer());
        assert!(satellite.ends_with(r#","called_number_e164":"+881612345678"}"#), "{satellite}");
        let shared = to_value(&dialled(b"981046500729221"), &producer());
        assert_eq!(shared.as_object().unwrap().len(), 13);
    }

    proptest! {
        #[test]
        fn any_bytes_give_one_line_of_valid_json(message: Vec<u8>) {
            let line = to_line(&event(&message), &producer());
            prop_assert!(!line.contains(['\n', '\r']));
            let back: Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(&back, &to_value(&event(&message), &producer()));
            prop_assert!(back.as_object().unwrap().values().all(Value::is_string));
        }
    }
}
