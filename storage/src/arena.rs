//! A shard's buffer of raw events on its way to the writer.
//!
//! An event is copied here once, straight from the receive buffer, and nothing is allocated for it.
//! Each event is a head of [`HEADER_BYTES`] bytes, all numbers little-endian, and its *blob*:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | time, ns |
//! | 8 + 8 | anomalies, observed and invalid |
//! | 16 + 2 | source address (IPv4 as IPv4-mapped IPv6) and port |
//! | 16 + 2 | destination address and port |
//! | 1, 1, 1, 1 | transport, verification, collected, kind of number |
//! | 4 | length of the blob |
//! | 4 | length of the message, with which the blob begins |
//! | 3 × (4 + 2) | where in the blob the method, the number and the user agent are, and how long |
//!
//! A [`Repeat`] has the same head and no blob: its `last` is the time, its `count` and `first` stand in the
//! place of the anomalies, the code of its method in that of `collected`, and 255 in that of the
//! kind.
//!
//! A field that the parser borrowed from the message unchanged is only pointed at; any other is
//! appended to the blob.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::event::{
    Anomalies, Collected, EventRef, MESSAGE_BYTES_MAX, METHOD_BYTES_MAX, NUMBER_BYTES_MAX,
    NumberKind, Time, Transport, USER_AGENT_BYTES_MAX, Verification,
};
use crate::limits::ARENA_BYTES;
use crate::method::Method;
use crate::repeat::{Record, Repeat};

/// Length of an event's head, in bytes.
pub const HEADER_BYTES: usize = 90;

/// The arena has no room for the event. Hand it over and take another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the arena is full")]
pub struct Full;

/// A buffer of raw events. It grows up to [`ARENA_BYTES`] and keeps what it has when it is cleared.
#[derive(Debug, Default)]
pub struct Arena {
    bytes: Vec<u8>,
    count: usize,
    pub(crate) shard: u16,
}

impl Arena {
    /// An empty arena of a shard, without memory yet.
    #[must_use]
    pub fn new(shard: u16) -> Self {
        Self { shard, ..Self::default() }
    }

    /// Copies an event in. Fields longer than the maxima of [`crate::event`] are cut there.
    ///
    /// # Errors
    ///
    /// [`Full`] when there is no room for it; the arena is unchanged then. An empty arena has room
    /// for any event.
    pub fn push(&mut self, event: &EventRef<'_>) -> Result<(), Full> {
        let message = clip(event.message, MESSAGE_BYTES_MAX);
        let mut blob_len = message.len();
        let mut place = |field: &[u8]| {
            let at = offset_in(message, field);
            let offset = at.unwrap_or(blob_len);
            blob_len += if at.is_some() { 0 } else { field.len() };
            Place { offset: offset as u32, len: field.len() as u16, appended: at.is_none() }
        };
        let method = clip(event.method, METHOD_BYTES_MAX);
        let number = clip(event.number, NUMBER_BYTES_MAX);
        let agent = clip(event.user_agent, USER_AGENT_BYTES_MAX);
        let places = [place(method), place(number), place(agent)];
        if self.bytes.len() + HEADER_BYTES + blob_len > ARENA_BYTES {
            return Err(Full);
        }
        self.bytes.extend_from_slice(&head(event, blob_len, message.len(), &places));
        self.bytes.extend_from_slice(message);
        for (place, field) in places.iter().zip([method, number, agent]) {
            if place.appended {
                self.bytes.extend_from_slice(field);
            }
        }
        self.count += 1;
        Ok(())
    }

    /// Copies a repeat in.
    ///
    /// # Errors
    ///
    /// [`Full`] when there is no room for it; the arena is unchanged then.
    pub fn push_repeat(&mut self, repeat: &Repeat) -> Result<(), Full> {
        if self.bytes.len() + HEADER_BYTES > ARENA_BYTES {
            return Err(Full);
        }
        let mut head = [0; HEADER_BYTES];
        let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &repeat.last.0.to_le_bytes());
        put(ANOMALIES, &repeat.count.to_le_bytes());
        put(ANOMALIES + 8, &repeat.first.0.to_le_bytes());
        put(SOURCE, &octets(repeat.source));
        let [transport, verification] = [repeat.transport as u8, repeat.verification as u8];
        put(CODES, &[transport, verification, repeat.method as u8, REPEAT]);
        self.bytes.extend_from_slice(&head);
        self.count = self.count.saturating_add(usize::try_from(repeat.count).unwrap_or(usize::MAX));
        Ok(())
    }

    /// Whether there is no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many events there are, with those that repeats stand for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// How many bytes they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Removes all events and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// The events, in the order in which they were pushed, without repeats.
    pub fn iter(&self) -> impl Iterator<Item = EventRef<'_>> {
        self.records().filter_map(|record| match record {
            Record::Event(event) => Some(event),
            Record::Repeat(_) => None,
        })
    }

    /// Events and repeats, in the order in which they were pushed.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.raw().map(|raw| raw.record())
    }

    /// The events with their blobs, as they lie there.
    pub(crate) fn raw(&self) -> impl Iterator<Item = RawEvent<'_>> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let (head, tail) = rest.split_first_chunk::<HEADER_BYTES>()?;
            let blob_len = u32_at(head, BLOB_LEN) as usize;
            let (blob, tail) = tail.split_at_checked(blob_len)?;
            rest = tail;
            Some(RawEvent { head, blob })
        })
    }
}

/// Where a field lies in a blob.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    offset: u32,
    len: u16,
    appended: bool,
}

fn clip(field: &[u8], max: usize) -> &[u8] {
    &field[..field.len().min(max)]
}

/// Where `field` lies in `message`, if it is a part of that very memory. Comparing addresses as
/// numbers says so without looking at a byte; a field that only looks the same is appended.
fn offset_in(message: &[u8], field: &[u8]) -> Option<usize> {
    if field.is_empty() {
        return Some(0);
    }
    let offset = (field.as_ptr() as usize).checked_sub(message.as_ptr() as usize)?;
    (offset.checked_add(field.len())? <= message.len()).then_some(offset)
}

const ANOMALIES: usize = 8;
const SOURCE: usize = 24;
const DESTINATION: usize = 42;
const CODES: usize = 60;
const BLOB_LEN: usize = 64;
const MESSAGE_LEN: usize = 68;
const PLACES: usize = 72;
const PLACE_BYTES: usize = 6;
/// What stands where an event has the kind of its number.
const REPEAT: u8 = u8::MAX;
const _: () = assert!(PLACES + 3 * PLACE_BYTES == HEADER_BYTES);

fn head(
    event: &EventRef<'_>,
    blob_len: usize,
    message_len: usize,
    places: &[Place; 3],
) -> [u8; HEADER_BYTES] {
    let mut head = [0; HEADER_BYTES];
    let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &event.time.0.to_le_bytes());
    put(ANOMALIES, &event.anomalies.observed.to_le_bytes());
    put(ANOMALIES + 8, &event.anomalies.invalid.to_le_bytes());
    for (at, address) in [(SOURCE, event.source), (DESTINATION, event.destination)] {
        put(at, &octets(address.ip()));
        put(at + 16, &address.port().to_le_bytes());
    }
    let kind = event.number_kind as u8;
    put(CODES, &[event.transport as u8, event.verification as u8, event.collected as u8, kind]);
    put(BLOB_LEN, &(blob_len as u32).to_le_bytes());
    put(MESSAGE_LEN, &(message_len as u32).to_le_bytes());
    for (n, place) in places.iter().enumerate() {
        put(PLACES + n * PLACE_BYTES, &place.offset.to_le_bytes());
        put(PLACES + n * PLACE_BYTES + 4, &place.len.to_le_bytes());
    }
    head
}

/// Sixteen bytes that sort like addresses: IPv4 is IPv4-mapped.
pub(crate) fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn u16_at(head: &[u8; HEADER_BYTES], at: usize) -> u16 {
    u16::from_le_bytes([head[at], head[at + 1]])
}

fn u32_at(head: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
}

fn u64_at(head: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from(u32_at(head, at)) | u64::from(u32_at(head, at + 4)) << 32
}

fn address_at(head: &[u8; HEADER_BYTES], at: usize) -> SocketAddr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&head[at..at + 16]);
    SocketAddr::new(IpAddr::V6(Ipv6Addr::from(octets)).to_canonical(), u16_at(head, at + 16))
}

/// One event as it lies in an arena. Only [`Arena::push`] writes these bytes, so every code is known
/// and every place is inside the blob; what could not be is read as empty.
#[derive(Clone, Copy)]
pub(crate) struct RawEvent<'a> {
    head: &'a [u8; HEADER_BYTES],
    /// The message and what is appended to it.
    pub(crate) blob: &'a [u8],
}

impl<'a> RawEvent<'a> {
    /// Length of the message, with which the blob begins.
    pub(crate) fn message_len(&self) -> usize {
        u32_at(self.head, MESSAGE_LEN) as usize
    }

    /// Offset and length in the blob of the method (0), the number (1) and the user agent (2).
    pub(crate) fn place(&self, field: usize) -> (usize, usize) {
        let at = PLACES + field * PLACE_BYTES;
        (u32_at(self.head, at) as usize, usize::from(u16_at(self.head, at + 4)))
    }

    pub(crate) fn record(&self) -> Record<'a> {
        let [transport, verification, method, kind] = [0, 1, 2, 3].map(|n| self.head[CODES + n]);
        if kind != REPEAT {
            return Record::Event(self.event());
        }
        Record::Repeat(Repeat {
            source: address_at(self.head, SOURCE).ip(),
            transport: Transport::from_code(transport).unwrap_or(Transport::Udp),
            verification: Verification::from_code(verification).unwrap_or_default(),
            method: Method::from_code(method).unwrap_or(Method::None),
            count: u64_at(self.head, ANOMALIES),
            first: Time(u64_at(self.head, ANOMALIES + 8)),
            last: Time(u64_at(self.head, 0)),
        })
    }

    fn field(&self, field: usize) -> &'a [u8] {
        let (offset, len) = self.place(field);
        self.blob.get(offset..offset + len).unwrap_or_default()
    }

    pub(crate) fn event(&self) -> EventRef<'a> {
        let [transport, verification, collected, kind] = [0, 1, 2, 3].map(|n| self.head[CODES + n]);
        EventRef {
            time: Time(u64_at(self.head, 0)),
            source: address_at(self.head, SOURCE),
            destination: address_at(self.head, DESTINATION),
            transport: Transport::from_code(transport).unwrap_or(Transport::Udp),
            verification: Verification::from_code(verification).unwrap_or_default(),
            collected: collected_from_code(collected),
            number_kind: kind_from_code(kind),
            anomalies: Anomalies {
                observed: u64_at(self.head, ANOMALIES),
                invalid: u64_at(self.head, ANOMALIES + 8),
            },
            method: self.field(0),
            number: self.field(1),
            user_agent: self.field(2),
            message: self.blob.get(..self.message_len()).unwrap_or_default(),
        }
    }
}

pub(crate) fn collected_from_code(code: u8) -> Collected {
    if code == Collected::Responsive as u8 { Collected::Responsive } else { Collected::Passive }
}

pub(crate) fn kind_from_code(code: u8) -> NumberKind {
    [NumberKind::Called, NumberKind::Account]
        .into_iter()
        .find(|kind| *kind as u8 == code)
        .unwrap_or(NumberKind::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"INVITE sip:%2B100@192.0.2.1 SIP/2.0\r\nUser-Agent: scan\r\n\r\n";

    fn event(message: &[u8]) -> EventRef<'_> {
        EventRef {
            time: Time(1_795_000_000_123_456_789),
            source: "198.51.100.7:5061".parse().unwrap(),
            destination: "[2001:db8::1]:5060".parse().unwrap(),
            transport: Transport::Tls,
            verification: Verification::Tls,
            collected: Collected::Responsive,
            number_kind: NumberKind::Called,
            anomalies: Anomalies { observed: 1 << 40, invalid: 3 },
            method: message.get(..6).unwrap_or_default(),
            number: b"+100",
            user_agent: b"",
            message,
        }
    }

    #[test]
    fn an_event_comes_out_as_it_went_in() {
        let mut arena = Arena::new(3);
        let first = event(MESSAGE);
        let second = EventRef { message: b"", method: b"", ..first };
        arena.push(&first).unwrap();
        arena.push(&second).unwrap();
        assert_eq!(arena.iter().collect::<Vec<_>>(), [first, second]);
        assert_eq!(arena.len(), 2);
        arena.clear();
        assert!(arena.is_empty() && arena.iter().next().is_none());
    }

    #[test]
    fn a_field_that_is_part_of_the_message_is_not_stored_twice() {
        let mut arena = Arena::new(0);
        arena.push(&event(MESSAGE)).unwrap();
        assert_eq!(arena.bytes(), HEADER_BYTES + MESSAGE.len() + "+100".len());
    }

    #[test]
    fn too_long_fields_are_cut() {
        let long = vec![b'x'; 70_000];
        let mut arena = Arena::new(0);
        arena
            .push(&EventRef {
                method: &long,
                number: &long,
                user_agent: b"other memory",
                ..event(&long)
            })
            .unwrap();
        let out = arena.iter().next().unwrap();
        assert_eq!(out.method.len(), METHOD_BYTES_MAX);
        assert_eq!(out.number.len(), NUMBER_BYTES_MAX);
        assert_eq!(out.message.len(), MESSAGE_BYTES_MAX);
        assert_eq!(out.user_agent, b"other memory");
    }

    #[test]
    fn a_field_that_reaches_over_the_cut_of_its_message_is_whole() {
        let long: Vec<u8> = (0..70_000u32).map(|n| n as u8).collect();
        let number = &long[65_500..65_600];
        let mut arena = Arena::new(0);
        arena.push(&EventRef { number, ..event(&long) }).unwrap();
        assert_eq!(arena.iter().next().unwrap().number, number);
    }

    #[test]
    fn a_full_arena_refuses_and_stays_as_it_was() {
        let big = vec![0; MESSAGE_BYTES_MAX];
        let mut arena = Arena::new(0);
        while arena.push(&event(&big)).is_ok() {}
        let (len, bytes) = (arena.len(), arena.bytes());
        assert_eq!(len, 3);
        assert_eq!(arena.push(&event(&big)), Err(Full));
        assert_eq!((arena.len(), arena.bytes()), (len, bytes));
        assert!(bytes <= ARENA_BYTES);
        arena.push(&event(MESSAGE)).unwrap();
    }
}
