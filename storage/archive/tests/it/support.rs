//! Events to write, and what reads files back.

use std::path::Path;

use proptest::prelude::*;
use sentrypeer_archive::export::{Format, Writer};
use sentrypeer_archive::import::{self, Item, Options};
use sentrypeer_archive::imported::{Imported, Skipped, Summary};
use sentrypeer_storage::event::{
    Anomalies, Anomaly, Collected, NumberKind, Seq, Time, Transport, Verification, event_id,
};
use sentrypeer_storage::event_json::Producer;
use sentrypeer_storage::log::StoredEvent;
use uuid::Uuid;

pub const NODE: Uuid = Uuid::from_u128(0x7c1a_3c52_5f0e_4a39_9d2b_6e0f_4f1b_8a10);

pub fn producer() -> Producer {
    Producer { app_name: "sentrypeer".into(), app_version: "1.2.3".into(), node_id: NODE }
}

/// The event with this number, and everything that an event can have.
pub fn event(seq: u64) -> StoredEvent {
    let time = Time(1_795_477_956_000_127_093 + seq * 1_000_000_007);
    StoredEvent {
        seq: Seq(seq),
        id: event_id(NODE, Seq(seq), time),
        time,
        source: format!("203.0.113.{}:5066", seq % 250).parse().unwrap(),
        destination: "198.51.100.2:5060".parse().unwrap(),
        transport: Transport::Udp,
        verification: Verification::ReturnPath,
        collected: Collected::Responsive,
        number_kind: NumberKind::Called,
        anomalies: Anomalies { observed: Anomaly::Folded.bit(), invalid: Anomaly::AngleOpen.bit() },
        method: b"INVITE".as_slice().into(),
        number: b"+46500729221".as_slice().into(),
        user_agent: b"friendly-scanner".as_slice().into(),
        message: b"INVITE sip:+46500729221@h SIP/2.0\r\n\r\n".as_slice().into(),
    }
}

/// Any event that there can be.
pub fn any_event() -> impl Strategy<Value = StoredEvent> {
    let bytes = |max: usize| prop::collection::vec(any::<u8>(), 0..max);
    let addresses =
        (any::<std::net::IpAddr>(), any::<u16>(), any::<std::net::IpAddr>(), any::<u16>());
    let texts = (bytes(33), bytes(129), bytes(257), bytes(2000));
    (any::<(u64, u32)>(), addresses, texts, (0..3usize, any::<bool>(), 0..1u64 << 20)).prop_map(
        |((time, seq), (from, from_port, to, to_port), (method, number, agent, message), rest)| {
            let (seq, time) = (Seq(u64::from(seq) + 1), Time(time));
            let kind = if number.is_empty() { NumberKind::None } else { NumberKind::Account };
            StoredEvent {
                seq,
                id: event_id(NODE, seq, time),
                time,
                source: (from.to_canonical(), from_port).into(),
                destination: (to.to_canonical(), to_port).into(),
                transport: Transport::ALL[rest.0],
                verification: Verification::Unverified,
                collected: if rest.1 { Collected::Responsive } else { Collected::Passive },
                number_kind: kind,
                anomalies: Anomalies { observed: rest.2 & 0x3ff, invalid: rest.2 >> 10 & 0x3ff },
                method: method.into(),
                number: number.into(),
                user_agent: agent.into(),
                message: message.into(),
            }
        },
    )
}

/// The events in a format, in memory.
pub fn written(format: Format, events: &[StoredEvent]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(format, &mut out, producer()).unwrap();
    for event in events {
        writer.write(event).unwrap();
    }
    assert_eq!(writer.finish().unwrap(), events.len() as u64);
    out
}

/// All of a file.
pub fn read(path: &Path, options: &Options) -> (Vec<Item>, Summary) {
    let mut import = import::open(path, options).unwrap();
    let items: Vec<Item> = import.by_ref().collect();
    (items, import.finish().unwrap())
}

/// The events of a file in which there is nothing else.
pub fn events(path: &Path, options: &Options) -> Vec<Imported> {
    let (items, summary) = read(path, options);
    assert_eq!(summary.skipped.total(), 0, "{}", summary.skipped);
    items.into_iter().map(Result::unwrap).collect()
}

/// From each place of a file the rest is read, no more and no less.
pub fn resumes_everywhere(path: &Path, options: &Options) {
    let (items, _) = read(path, options);
    assert!(items.len() > 2, "a file with something in it");
    for (n, item) in items.iter().enumerate() {
        let rest = Options { after: place(item), ..options.clone() };
        assert_eq!(read(path, &rest).0, items[n + 1..], "after {item:?}");
    }
}

pub fn place(item: &Item) -> u64 {
    match item {
        Ok(event) => event.place,
        Err(Skipped { place, .. }) => *place,
    }
}

/// What the file formats keep of a text: U+FFFD for what is no UTF-8, and nothing for `NOT_FOUND`,
/// which is how they write nothing.
pub fn kept(bytes: &[u8], bytes_max: usize) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    if text == "NOT_FOUND" {
        return Vec::new();
    }
    text[..text.floor_char_boundary(bytes_max)].as_bytes().to_vec()
}
