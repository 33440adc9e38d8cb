//! What several tests begin with.

use std::net::{IpAddr, Ipv4Addr};

use sentrypeer_storage::event::{
    Collected, EventRef, NumberKind, SourceKey, Time, Transport, Verification,
};
use sentrypeer_storage::snapshot::Snapshot;
use uuid::Uuid;

use crate::keys::Identity;
use crate::wire::body::Body;
use crate::wire::source::{SeenRecord, SourceRecord};

/// One of a few identities.
pub fn identity(which: u8) -> Identity {
    Identity::from_seed(&[which; 32])
}

/// A body of so many addresses, each with methods of its own.
pub fn body_of(records: u32) -> Body {
    let record = |n: u32| SourceRecord {
        source: SourceKey::of(Ipv4Addr::from(0x0100_0000 + n * 4099).into()),
        seen: SeenRecord {
            minute: 28_800_000 + n % 500,
            count_log2: 2,
            verification: Verification::Connected,
        },
        methods: n as u16 & 0x3fff,
    };
    Body::sources((0..records).map(record).collect())
}

/// An address.
pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A record of an address that was proven at this time.
pub fn source_record(address: &str, at_s: u64) -> SourceRecord {
    SourceRecord {
        source: SourceKey::of(ip(address)),
        seen: SeenRecord {
            minute: (at_s / 60) as u32,
            count_log2: 1,
            verification: Verification::ReturnPath,
        },
        methods: 1,
    }
}

/// An event of our own.
#[derive(Clone, Copy)]
pub struct Seen {
    pub source: &'static str,
    pub verification: Verification,
    pub number: &'static str,
    pub method: &'static str,
    pub at_s: u64,
}

/// What is known after these events.
pub fn snapshot(seen: &[Seen]) -> Snapshot {
    let events = seen.iter().map(|seen| EventRef {
        time: Time(seen.at_s * 1_000_000_000),
        source: seen.source.parse().unwrap(),
        destination: "192.0.2.1:5060".parse().unwrap(),
        transport: Transport::Udp,
        verification: seen.verification,
        collected: Collected::Responsive,
        number_kind: match seen.method {
            _ if seen.number.is_empty() => NumberKind::None,
            "INVITE" => NumberKind::Called,
            _ => NumberKind::Account,
        },
        anomalies: Default::default(),
        method: seen.method.as_bytes(),
        number: seen.number.as_bytes(),
        user_agent: b"",
        message: b"",
    });
    let now = Time(seen.iter().map(|seen| seen.at_s).max().unwrap_or(0) * 1_000_000_000);
    Snapshot::of_events(Uuid::nil(), Uuid::nil(), events, now)
}

/// An event as the log gives it back.
pub fn stored_event(
    source: &str,
    verification: Verification,
    n: u64,
) -> sentrypeer_storage::log::StoredEvent {
    use sentrypeer_storage::event::{Seq, event_id};
    let time = Time((1_795_478_400 + n) * 1_000_000_000);
    sentrypeer_storage::log::StoredEvent {
        seq: Seq(n),
        id: event_id(Uuid::nil(), Seq(n), time),
        time,
        source: source.parse().unwrap(),
        destination: "198.51.100.2:5060".parse().unwrap(),
        transport: Transport::Tcp,
        verification,
        collected: Collected::Responsive,
        number_kind: NumberKind::Called,
        anomalies: Default::default(),
        method: b"INVITE".as_slice().into(),
        number: b"+442071234567".as_slice().into(),
        user_agent: b"friendly-scanner".as_slice().into(),
        message: b"INVITE sip:+442071234567@198.51.100.2 SIP/2.0\r\n\r\n".as_slice().into(),
    }
}
