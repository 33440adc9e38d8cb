//! The record that SentryPeer 4.x publishes, and that a node which wants to be seen by it publishes
//! too: one JSON object of thirteen strings, as plain bytes, under the key `bad_actors`.
//!
//! Reading is lenient about what does not matter (other members, their order, `ip:port` for an
//! address, a text for a time) and strict about what does: the size, the thirteen strings, the two
//! ids, the address. Nothing in a record is proven, not even who sent it.

use std::borrow::Cow;
use std::ffi::CStr;
use std::net::{IpAddr, SocketAddr};

use sentrypeer_storage::event::canonical;
use sentrypeer_storage::event_json::{self, Producer};
use sentrypeer_storage::log::StoredEvent;
use serde::Deserialize;
use uuid::Uuid;

use crate::limits::{
    METHOD_BYTES_MAX, NUMBER_BYTES_MAX, PLAIN_MEMBER_BYTES_MAX, RECORD_READ_BYTES_MAX,
    USER_AGENT_BYTES_MAX,
};

/// The key that SentryPeer 4.x publishes under.
pub const KEY: &CStr = c"bad_actors";

/// Where [`KEY`] lies in the DHT: the SHA-1 of its name.
pub const KEY_HASH: [u8; 20] = [
    0x14, 0xd3, 0x01, 0x43, 0x33, 0x0e, 0x2e, 0x0e, 0x92, 0x2e, 0xd4, 0x02, 0x8a, 0x60, 0xff, 0x96,
    0xa5, 0x98, 0x00, 0xad,
];

/// One event as another node tells it.
///
/// Its destination and its message are not kept: a peer has no business telling us either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The program that made the record.
    pub app_name: String,
    /// Its version.
    pub app_version: String,
    /// When the event was. 4.x writes local time without saying which, so it stays a text.
    pub time: String,
    /// The event.
    pub event_id: Uuid,
    /// The node that says so.
    pub node_id: Uuid,
    /// `passive` or `responsive`, by its own account.
    pub collected: String,
    /// `UDP`, `TCP` or `TLS`, by its own account.
    pub transport: String,
    /// Who sent the message. IPv4-mapped addresses are IPv4 here.
    pub source: IpAddr,
    /// The number that was called; at most [`NUMBER_BYTES_MAX`] bytes of it.
    pub number: String,
    /// The SIP method; at most [`METHOD_BYTES_MAX`] bytes of it.
    pub method: String,
    /// The user agent; at most [`USER_AGENT_BYTES_MAX`] bytes of it.
    pub user_agent: String,
}

/// Why a record was not read. All of them are the other node's doing.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is longer than any honest record.
    #[error("{bytes} bytes, where {RECORD_READ_BYTES_MAX} are the most")]
    TooLarge {
        /// Its length in bytes.
        bytes: usize,
    },
    /// It is not a JSON object whose thirteen members are there once each and are strings.
    #[error("not the thirteen strings: {0}")]
    Json(#[from] serde_json::Error),
    /// An id is not a UUID in its usual form, with hyphens.
    #[error("{member} is not a UUID")]
    Id {
        /// The member's name.
        member: &'static str,
    },
    /// The source is neither an address nor an address with a port.
    #[error("source_ip is not an address")]
    Source,
    /// A member that has a short, fixed form is long.
    #[error("{member} is longer than {PLAIN_MEMBER_BYTES_MAX} bytes")]
    TooLong {
        /// The member's name.
        member: &'static str,
    },
}

/// Members that 4.x demands, and that are sent empty, because none of them is anybody's business:
/// where our sensor is, what was said to it, and by which software.
const WITHHELD: [&str; 3] = ["destination_ip", "sip_message", "sip_user_agent"];

/// The object on the wire. Members that are not named here are skipped without being kept.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    app_name: Cow<'a, str>,
    #[serde(borrow)]
    app_version: Cow<'a, str>,
    #[serde(borrow)]
    event_timestamp: Cow<'a, str>,
    #[serde(borrow)]
    event_uuid: Cow<'a, str>,
    #[serde(borrow)]
    created_by_node_id: Cow<'a, str>,
    #[serde(borrow)]
    collected_method: Cow<'a, str>,
    #[serde(borrow)]
    transport_type: Cow<'a, str>,
    #[serde(borrow)]
    source_ip: Cow<'a, str>,
    #[serde(borrow, rename = "destination_ip")]
    _destination_ip: Cow<'a, str>,
    #[serde(borrow)]
    called_number: Cow<'a, str>,
    #[serde(borrow)]
    sip_method: Cow<'a, str>,
    #[serde(borrow)]
    sip_user_agent: Cow<'a, str>,
    #[serde(borrow, rename = "sip_message")]
    _sip_message: Cow<'a, str>,
}

impl Record {
    /// Reads what another node published.
    ///
    /// # Errors
    ///
    /// When it is larger than [`RECORD_READ_BYTES_MAX`], lacks one of the thirteen strings, or
    /// holds no usable id or address. What an attacker wrote (number, method, user agent) is never
    /// a reason to refuse: it is cut to the length that our own events keep.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.len() > RECORD_READ_BYTES_MAX {
            return Err(Refused::TooLarge { bytes: bytes.len() });
        }
        let wire: Wire<'_> = serde_json::from_slice(bytes)?;
        Ok(Self {
            event_id: id("event_uuid", &wire.event_uuid)?,
            node_id: id("created_by_node_id", &wire.created_by_node_id)?,
            source: source(plain("source_ip", &wire.source_ip)?)?,
            app_name: plain("app_name", &wire.app_name)?.to_owned(),
            app_version: plain("app_version", &wire.app_version)?.to_owned(),
            time: plain("event_timestamp", &wire.event_timestamp)?.to_owned(),
            collected: plain("collected_method", &wire.collected_method)?.to_owned(),
            transport: plain("transport_type", &wire.transport_type)?.to_owned(),
            number: cut(&wire.called_number, NUMBER_BYTES_MAX).to_owned(),
            method: cut(&wire.sip_method, METHOD_BYTES_MAX).to_owned(),
            user_agent: cut(&wire.sip_user_agent, USER_AGENT_BYTES_MAX).to_owned(),
        })
    }
}

/// What we publish of an event of our own. Whether it may be published at all is for the caller to
/// decide, by policy; that nothing private is in it is decided here.
#[must_use]
pub fn write(event: &StoredEvent, producer: &Producer) -> Vec<u8> {
    let mut value = event_json::to_value(event, producer);
    for member in WITHHELD {
        value[member] = "".into();
    }
    value.to_string().into_bytes()
}

/// A member that has a short, fixed form.
fn plain<'a>(member: &'static str, text: &'a str) -> Result<&'a str, Refused> {
    if text.len() > PLAIN_MEMBER_BYTES_MAX { Err(Refused::TooLong { member }) } else { Ok(text) }
}

/// A UUID in the one form that 4.x accepts: 36 characters with hyphens (RFC 9562, section 4).
fn id(member: &'static str, text: &str) -> Result<Uuid, Refused> {
    const HYPHENATED_BYTES: usize = 36;
    if text.len() != HYPHENATED_BYTES {
        return Err(Refused::Id { member });
    }
    Uuid::try_parse(text).map_err(|_| Refused::Id { member })
}

/// An address, or what 4.x writes: an address with the port that it came from.
fn source(text: &str) -> Result<IpAddr, Refused> {
    let address = text.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|s| s.ip()));
    address.map(canonical).map_err(|_| Refused::Source)
}

/// The first `bytes_max` bytes of `text`, or a few less where a character would be cut in two.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use sentrypeer_storage::event::{
        Anomalies, Collected, NumberKind, Seq, Time, Transport, Verification, event_id,
    };

    use super::*;
    use crate::limits::RECORD_WRITTEN_BYTES_MAX;

    const EVENT: &str = "019ab0e4-6b8a-7c3e-8f10-2b0b6a1c9d77";
    const NODE: &str = "7c1a3c52-5f0e-4a39-9d2b-6e0f4f1b8a10";

    /// A record such as 4.x publishes, with members replaced or added by `change`.
    fn published(change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> Vec<u8> {
        let mut value = serde_json::json!({
            "app_name": "sentrypeer", "app_version": "v4.0.6",
            "event_timestamp": "2026-11-23 23:52:36.740127093",
            "event_uuid": EVENT, "created_by_node_id": NODE,
            "collected_method": "responsive", "transport_type": "UDP",
            "source_ip": "203.0.113.7:5066", "destination_ip": "198.51.100.2",
            "called_number": "+442071234567", "sip_method": "OPTIONS",
            "sip_user_agent": "friendly-scanner", "sip_message": "OPTIONS sip:100@198.51.100.2",
        });
        change(value.as_object_mut().unwrap());
        serde_json::to_vec(&value).unwrap()
    }

    /// The same with `member` set to `value`.
    fn with(member: &str, value: impl Into<serde_json::Value>) -> Vec<u8> {
        published(|members| {
            members.insert(member.to_owned(), value.into());
        })
    }

    #[test]
    fn what_4_x_publishes_is_read() {
        let record = Record::read(&published(|_| ())).unwrap();
        assert_eq!(record.event_id.to_string(), EVENT);
        assert_eq!(record.node_id.to_string(), NODE);
        assert_eq!(record.source, "203.0.113.7".parse::<IpAddr>().unwrap());
        assert_eq!(record.number, "+442071234567");
        assert_eq!(record.user_agent, "friendly-scanner");
    }

    #[test]
    fn members_that_nobody_knows_are_no_reason_to_refuse() {
        let bytes = with("sentrypeer2", serde_json::json!({"shares": [1, null, {}]}));
        assert!(Record::read(&bytes).is_ok());
    }

    #[test]
    fn every_one_of_the_thirteen_must_be_there_and_be_a_string() {
        let whole: serde_json::Value = serde_json::from_slice(&published(|_| ())).unwrap();
        let names: Vec<&String> = whole.as_object().unwrap().keys().collect();
        assert_eq!(names.len(), 13);
        for name in names {
            let without = published(|members| drop(members.remove(name)));
            assert!(matches!(Record::read(&without), Err(Refused::Json(_))), "{name} missing");
            assert!(matches!(Record::read(&with(name, 1)), Err(Refused::Json(_))), "{name} is 1");
        }
    }

    #[test]
    fn an_id_that_is_not_a_uuid_is_refused() {
        for wrong in ["", "1", "019ab0e46b8a7c3e8f102b0b6a1c9d77", &format!("{{{EVENT}}}")] {
            for member in ["event_uuid", "created_by_node_id"] {
                let read = Record::read(&with(member, wrong));
                assert!(matches!(read, Err(Refused::Id { .. })), "{member} {wrong}");
            }
        }
    }

    #[test]
    fn a_source_may_have_a_port_and_must_be_an_address() {
        let source = |text: &str| Record::read(&with("source_ip", text)).map(|r| r.source);
        for (text, address) in [
            ("203.0.113.9", "203.0.113.9"),
            ("203.0.113.9:5060", "203.0.113.9"),
            ("[2001:db8::5]:5060", "2001:db8::5"),
            ("2001:db8::5", "2001:db8::5"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
        ] {
            assert_eq!(source(text).unwrap().to_string(), address);
        }
        for wrong in ["", "NOT_FOUND", "203.0.113", "203.0.113.9:99999", "example.org"] {
            assert!(matches!(source(wrong), Err(Refused::Source)), "{wrong}");
        }
    }

    #[test]
    fn a_record_larger_than_any_honest_one_is_refused_unread() {
        let bytes = with("sip_message", "x".repeat(RECORD_READ_BYTES_MAX));
        assert!(matches!(Record::read(&bytes), Err(Refused::TooLarge { .. })));
    }

    #[test]
    fn the_largest_record_of_4_x_fits() {
        let bytes = published(|members| {
            for member in ["sip_message", "sip_user_agent"] {
                members.insert(member.into(), "\u{1}".repeat(1024).into());
            }
        });
        let record = Record::read(&bytes).unwrap();
        assert_eq!(record.user_agent.len(), USER_AGENT_BYTES_MAX);
    }

    #[test]
    fn what_an_attacker_wrote_is_cut_between_characters() {
        let record = Record::read(&with("called_number", format!("1{}", "é".repeat(200)))).unwrap();
        assert_eq!(record.number.len(), NUMBER_BYTES_MAX - 1);
        assert!(record.number.ends_with('é'));
    }

    #[test]
    fn a_long_member_of_a_fixed_form_is_refused() {
        let read = Record::read(&with("event_timestamp", "2".repeat(65)));
        assert!(matches!(read, Err(Refused::TooLong { member: "event_timestamp" })));
    }

    #[test]
    fn junk_is_refused_and_nothing_else_happens() {
        let deep = "[".repeat(RECORD_READ_BYTES_MAX);
        for junk in ["", "null", "[]", "{}", "{\"app_name\":", "\u{0}", deep.as_str()] {
            assert!(matches!(Record::read(junk.as_bytes()), Err(Refused::Json(_))), "{junk:.20}");
        }
        let whole = published(|_| ());
        for length in 0..whole.len() {
            assert!(Record::read(&whole[..length]).is_err(), "cut to {length}");
        }
    }

    fn own_event(method: &[u8], number: &[u8]) -> (StoredEvent, Producer) {
        let node_id: Uuid = NODE.parse().unwrap();
        let time = Time(1_795_477_956_740_127_093);
        let event = StoredEvent {
            seq: Seq(9),
            id: event_id(node_id, Seq(9), time),
            time,
            source: "203.0.113.7:5066".parse().unwrap(),
            destination: "198.51.100.2:5060".parse().unwrap(),
            transport: Transport::Tcp,
            verification: Verification::Connected,
            collected: Collected::Responsive,
            number_kind: NumberKind::Called,
            anomalies: Anomalies::default(),
            method: method.into(),
            number: number.into(),
            user_agent: b"friendly-scanner".as_slice().into(),
            message: b"INVITE sip:+442071234567@198.51.100.2 SIP/2.0\r\n\r\n".as_slice().into(),
        };
        let app = (Cow::Borrowed("sentrypeer"), Cow::Borrowed("0.1.0"));
        (event, Producer { app_name: app.0, app_version: app.1, node_id })
    }

    #[test]
    fn what_we_publish_can_be_read_and_tells_what_4_x_wants_to_know() {
        let (event, producer) = own_event(b"INVITE", b"+442071234567");
        let record = Record::read(&write(&event, &producer)).unwrap();
        assert_eq!((record.event_id, record.node_id), (event.id, producer.node_id));
        assert_eq!(record.source, event.source.ip());
        assert_eq!((record.number.as_str(), record.method.as_str()), ("+442071234567", "INVITE"));
        assert_eq!(record.time, "2026-11-23 23:52:36.740127093");
        assert_eq!((record.transport.as_str(), record.collected.as_str()), ("TCP", "responsive"));
    }

    #[test]
    fn what_we_publish_names_no_sensor_and_repeats_no_message() {
        let (event, producer) = own_event(b"INVITE", b"+442071234567");
        let text = String::from_utf8(write(&event, &producer)).unwrap();
        for private in ["198.51.100.2", "SIP/2.0", "friendly-scanner", "5066"] {
            assert!(!text.contains(private), "{private} in {text}");
        }
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value.as_object().unwrap().len(), 13);
        assert!(WITHHELD.iter().all(|member| value[member] == ""));
    }

    #[test]
    fn the_worst_that_an_attacker_writes_stays_within_bounds() {
        for byte in [0, b'"', b'\\', 0xff, b'x'] {
            let (method, number) = ([byte; METHOD_BYTES_MAX], [byte; NUMBER_BYTES_MAX]);
            let (event, producer) = own_event(&method, &number);
            let bytes = write(&event, &producer);
            assert!(bytes.len() <= RECORD_WRITTEN_BYTES_MAX, "{} bytes", bytes.len());
            assert!(Record::read(&bytes).is_ok());
        }
    }
}
