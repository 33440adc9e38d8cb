//! Events as they go through the control socket: to a node that imports them, from one that exports
//! them.
//!
//! A batch is a byte, the version of the format, which is 1, and then the events one after the other, numbers little-endian: what
//! the event is called (16 bytes), its place in the log (8), its time (8), source and destination (16
//! bytes of address, IPv4 mapped, and 2 of port, each), transport, verification, collected, kind of
//! number (1 each), anomalies observed and invalid (8 each), the lengths of method, number, user agent
//! and message (2 each), and these four.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use sentrypeer_storage::event::{
    Anomalies, Collected, METHOD_BYTES_MAX, NUMBER_BYTES_MAX, NumberKind, Seq, Time, Transport,
    USER_AGENT_BYTES_MAX, Verification,
};
use sentrypeer_storage::limits::IMPORT_EVENTS_MAX;
use sentrypeer_storage::log::StoredEvent;
use uuid::Uuid;

/// The version of the format: node and subcommand may be of different versions.
const VERSION: u8 = 1;

/// An event and what it is called.
pub type Named = (Uuid, StoredEvent);

/// What is wrong with a batch.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// It is of another version.
    #[error("the batch has version {0}, and this program reads version {VERSION}")]
    Version(u8),
    /// It has more events than may come at once.
    #[error("the batch has more than {IMPORT_EVENTS_MAX} events")]
    TooMany,
    /// A value means nothing.
    #[error("the batch is malformed: {0}")]
    Value(&'static str),
    /// It cannot be read.
    #[error("the batch breaks off: {0}")]
    Read(#[from] io::Error),
}

/// A batch being put together.
#[derive(Debug)]
pub struct Encoder(Vec<u8>);

impl Default for Encoder {
    fn default() -> Self {
        Self(vec![VERSION])
    }
}

impl Encoder {
    /// Adds an event. What is longer than an event may be is cut.
    pub fn add(&mut self, name: Uuid, event: &StoredEvent) {
        let out = &mut self.0;
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&event.seq.0.to_le_bytes());
        out.extend_from_slice(&event.time.0.to_le_bytes());
        for address in [event.source, event.destination] {
            let ip = match address.ip() {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            out.extend_from_slice(&ip.octets());
            out.extend_from_slice(&address.port().to_le_bytes());
        }
        let codes = [
            event.transport as u8,
            event.verification as u8,
            event.collected as u8,
            event.number_kind as u8,
        ];
        out.extend_from_slice(&codes);
        out.extend_from_slice(&event.anomalies.observed.to_le_bytes());
        out.extend_from_slice(&event.anomalies.invalid.to_le_bytes());
        let texts = [&event.method, &event.number, &event.user_agent, &event.message];
        let length = |text: &[u8]| u16::try_from(text.len()).unwrap_or(u16::MAX);
        texts.iter().for_each(|text| out.extend_from_slice(&length(text).to_le_bytes()));
        texts.iter().for_each(|text| out.extend_from_slice(&text[..usize::from(length(text))]));
    }

    /// How long it is by now, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// The batch.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a batch to its end.
///
/// # Errors
///
/// [`Malformed`].
pub fn decode(mut from: impl Read) -> Result<Vec<Named>, Malformed> {
    let [version] = array(&mut from)?;
    if version != VERSION {
        return Err(Malformed::Version(version));
    }
    let mut events = Vec::new();
    while let Some(event) = decode_event(&mut from)? {
        if events.len() == IMPORT_EVENTS_MAX {
            return Err(Malformed::TooMany);
        }
        events.push(event);
    }
    Ok(events)
}

/// The next event; none at the end of the batch.
fn decode_event(from: &mut impl Read) -> Result<Option<Named>, Malformed> {
    let mut name = [0; 16];
    if from.read(&mut name[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut name[1..])?;
    let seq = Seq(u64::from_le_bytes(array(from)?));
    let time = Time(u64::from_le_bytes(array(from)?));
    let (source, destination) = (decode_address(from)?, decode_address(from)?);
    let codes: [u8; 4] = array(from)?;
    let observed = u64::from_le_bytes(array(from)?);
    let invalid = u64::from_le_bytes(array(from)?);
    let mut lengths = [0; 4];
    for length in &mut lengths {
        *length = usize::from(u16::from_le_bytes(array(from)?));
    }
    let most = [METHOD_BYTES_MAX, NUMBER_BYTES_MAX, USER_AGENT_BYTES_MAX];
    if lengths.iter().zip(most).any(|(length, max)| *length > max) {
        return Err(Malformed::Value("a text is too long"));
    }
    let event = StoredEvent {
        seq,
        id: Uuid::from_bytes(name),
        time,
        source,
        destination,
        transport: Transport::from_code(codes[0]).ok_or(Malformed::Value("transport"))?,
        verification: Verification::from_code(codes[1]).ok_or(Malformed::Value("verification"))?,
        collected: collected(codes[2])?,
        number_kind: number_kind(codes[3])?,
        anomalies: Anomalies { observed, invalid },
        method: text(from, lengths[0])?,
        number: text(from, lengths[1])?,
        user_agent: text(from, lengths[2])?,
        message: text(from, lengths[3])?,
    };
    Ok(Some((event.id, event)))
}

fn decode_address(from: &mut impl Read) -> Result<SocketAddr, Malformed> {
    let ip = Ipv6Addr::from(array::<16>(from)?).to_canonical();
    Ok(SocketAddr::new(ip, u16::from_le_bytes(array(from)?)))
}

fn collected(code: u8) -> Result<Collected, Malformed> {
    let all = [Collected::Passive, Collected::Responsive];
    all.into_iter().find(|known| *known as u8 == code).ok_or(Malformed::Value("collected"))
}

fn number_kind(code: u8) -> Result<NumberKind, Malformed> {
    let all = [NumberKind::None, NumberKind::Called, NumberKind::Account];
    all.into_iter().find(|known| *known as u8 == code).ok_or(Malformed::Value("kind of number"))
}

fn array<const N: usize>(from: &mut impl Read) -> Result<[u8; N], Malformed> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A text whose length is bounded by its two bytes.
fn text(from: &mut impl Read, length: usize) -> Result<Box<[u8]>, Malformed> {
    let mut bytes = vec![0; length].into_boxed_slice();
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events() -> impl Strategy<Value = Vec<Named>> {
        let ip = prop_oneof![
            any::<[u8; 4]>().prop_map(IpAddr::from),
            any::<[u8; 16]>().prop_map(|ip| Ipv6Addr::from(ip).to_canonical()),
        ];
        let address = (ip, any::<u16>()).prop_map(SocketAddr::from);
        let text = |max| prop::collection::vec(any::<u8>(), 0..max).prop_map(Vec::into_boxed_slice);
        let head = (any::<u128>(), any::<u64>(), any::<u64>(), address.clone(), address);
        let codes = (0..3_usize, 0..5_usize, any::<bool>(), 0..3_u8, any::<u64>(), any::<u64>());
        let texts = (text(33), text(129), text(257), text(3_000));
        let event = (head, codes, texts).prop_map(|(head, codes, texts)| {
            let (name, seq, time, source, destination) = head;
            let name = Uuid::from_u128(name);
            let event = StoredEvent {
                seq: Seq(seq),
                id: name,
                time: Time(time),
                source,
                destination,
                transport: Transport::ALL[codes.0],
                verification: Verification::ALL[codes.1],
                collected: if codes.2 { Collected::Responsive } else { Collected::Passive },
                number_kind: number_kind(codes.3).unwrap(),
                anomalies: Anomalies { observed: codes.4, invalid: codes.5 },
                method: texts.0,
                number: texts.1,
                user_agent: texts.2,
                message: texts.3,
            };
            (name, event)
        });
        prop::collection::vec(event, 0..5)
    }

    fn encode(events: &[Named]) -> Vec<u8> {
        let mut batch = Encoder::default();
        events.iter().for_each(|(name, event)| batch.add(*name, event));
        batch.finish()
    }

    proptest! {
        #[test]
        fn what_was_put_in_comes_out(events in events()) {
            prop_assert_eq!(decode(&encode(&events)[..]).unwrap(), events);
        }

        #[test]
        fn a_batch_that_was_cut_or_changed_is_an_error_or_a_batch_and_never_a_panic(
            events in events(),
            cut in any::<prop::sample::Index>(),
            change in any::<u8>(),
        ) {
            let mut bytes = encode(&events);
            let at = cut.index(bytes.len());
            let _ = decode(&bytes[..at]);
            bytes[at] = change;
            let _ = decode(&bytes[..]);
        }
    }

    #[test]
    fn another_version_and_too_many_events_are_refused() {
        assert!(matches!(decode(&[2][..]), Err(Malformed::Version(2))));
        assert!(matches!(decode(&[][..]), Err(Malformed::Read(_))));
        let event = StoredEvent {
            seq: Seq(1),
            id: Uuid::nil(),
            time: Time(1),
            source: "192.0.2.1:5060".parse().unwrap(),
            destination: "192.0.2.2:5060".parse().unwrap(),
            transport: Transport::Udp,
            verification: Verification::Unverified,
            collected: Collected::Passive,
            number_kind: NumberKind::None,
            anomalies: Anomalies { observed: 0, invalid: 0 },
            method: Box::default(),
            number: Box::default(),
            user_agent: Box::default(),
            message: Box::default(),
        };
        let many = vec![(Uuid::nil(), event); IMPORT_EVENTS_MAX];
        assert_eq!(decode(&encode(&many)[..]).unwrap().len(), IMPORT_EVENTS_MAX);
        let more = [many.as_slice(), &many[..1]].concat();
        assert!(matches!(decode(&encode(&more)[..]), Err(Malformed::TooMany)));
    }
}
