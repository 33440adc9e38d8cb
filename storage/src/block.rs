//! The packed block of events, as stored: version 3. Versions 1 and 2, of earlier programs, are read.
//!
//! A block is a head of [`HEAD_BYTES`] bytes and a payload. All numbers are little-endian.
//!
//! | offset | bytes | head |
//! |---|---|---|
//! | 0 | 3 | `SPB` |
//! | 3 | 1 | version: 3; 1, or 2 where there are repeats |
//! | 4 | 4 | CRC-32 (IEEE) of the head from offset 8 and of the payload |
//! | 8 | 8 | sequence number of the first event; the others follow without gaps |
//! | 16 | 4 | number of events, 1 to [`BLOCK_EVENTS_MAX`](crate::limits::BLOCK_EVENTS_MAX) |
//! | 20 | 4 | length of the columns, at most [`BLOCK_COLUMNS_MAX`] |
//! | 24 | 4 | length of the packed columns |
//! | 28 | 4 | length of the messages, at most [`BLOCK_MESSAGES_MAX`](crate::limits::BLOCK_MESSAGES_MAX) |
//! | 32 | 4 | length of the packed messages |
//! | 36 | 4 | 0 |
//! | 40 | 8 | earliest time, ns since 1970 UTC |
//! | 48 | 8 | latest time |
//!
//! The payload is the packed columns, one zstd frame, and then the packed messages, so that what is asked
//! about times or addresses need not unpack the messages. In version 3 they are packed as the crate
//! `sentrypeer-pack` says: as differences, from which those that are asked for can be taken alone. In
//! versions 1 and 2 they are one zstd frame.
//!
//! The columns begin with the length of each, 4 bytes, in the order of this table. `v` is a number in
//! 7-bit groups, lowest first, the top bit set in all but the last.
//!
//! | column | for each event |
//! |---|---|
//! | time | v: difference to the event before it (to 0 for the first), wrapping, zigzag |
//! | flags | bits 0-1 transport - 1, bit 2 responsive, bits 3-5 verification, bit 6 source is IPv6, bit 7 destination is IPv6 |
//! | kind | bits 0-1 kind of number, bit 2 there are anomalies |
//! | source | 4 or 16 bytes |
//! | source port | 2 bytes |
//! | destination | 4 or 16 bytes |
//! | destination port | 2 bytes |
//! | anomalies | only if flagged: v observed, v invalid |
//! | message length | v |
//! | appended length | v: bytes after the message that are not part of it |
//! | places | for method, number and user agent: v length, and unless that is 0, v offset |
//!
//! Versions 2 and 3 have one column more, `repeat`. A [`Repeat`](crate::repeat::Repeat) has only these: time (of the last message), flags,
//! kind (8 and nothing else), source, and in `repeat` v count, v time of the last less that of the first,
//! and the code of its method (1 byte).
//!
//! What was erased has only time (that of the one before it), flags (0) and kind (16 and nothing else). It
//! is in versions 2 and 3.
//!
//! The messages are one after the other, each followed by its appended bytes; offsets count from the
//! begin of the message.
//!
//! Reading is safe with any bytes: it gives the events or [`Damaged`], never a panic, and takes less
//! memory than 4 MiB and the payload.

use sentrypeer_pack::{Decoder, unpack_zstd};

use crate::event::{EventRef, Seq, SourceKey};
use crate::head::Version;
use crate::limits::BLOCK_COLUMNS_MAX;
use crate::places::{Place, Places, Reader, up_to_last_of};
use crate::repeat::Record;

pub use crate::head::{Damaged, HEAD_BYTES, Head};
pub use crate::pack::{Builder, Packed, Packer};

/// Most bytes that one event adds to the columns: three numbers of up to 10 bytes, 38 fixed bytes,
/// and eight lengths of up to 3 bytes.
pub const EVENT_COLUMNS_MAX: usize = 3 * 10 + 38 + 8 * 3;

pub(crate) const COLUMNS: usize = 12;
pub(crate) const TIME: usize = 0;
pub(crate) const FLAGS: usize = 1;
pub(crate) const KIND: usize = 2;
pub(crate) const SOURCE: usize = 3;
pub(crate) const SOURCE_PORT: usize = 4;
pub(crate) const DESTINATION: usize = 5;
pub(crate) const DESTINATION_PORT: usize = 6;
pub(crate) const ANOMALIES: usize = 7;
pub(crate) const MESSAGE_LEN: usize = 8;
pub(crate) const APPENDED_LEN: usize = 9;
pub(crate) const PLACES: usize = 10;
pub(crate) const REPEAT: usize = 11;

/// Bytes of the lengths with which the columns begin, at most.
pub(crate) const COLUMN_TABLE_BYTES: usize = COLUMNS * 4;
const _: () = assert!(COLUMN_TABLE_BYTES + 38 < BLOCK_COLUMNS_MAX / 100);

pub(crate) const FLAG_RESPONSIVE: u8 = 1 << 2;
pub(crate) const FLAG_SOURCE_V6: u8 = 1 << 6;
pub(crate) const FLAG_DESTINATION_V6: u8 = 1 << 7;
pub(crate) const KIND_ANOMALIES: u8 = 1 << 2;
pub(crate) const KIND_REPEAT: u8 = 1 << 3;
pub(crate) const KIND_ERASED: u8 = 1 << 4;

/// Some of the events of a block: which of its records they are, and what its columns say of them.
type Picked = Vec<(u32, Place)>;

/// An unpacked block.
#[derive(Debug)]
pub struct Block {
    head: Head,
    columns: Vec<u8>,
    messages: Vec<u8>,
    /// The events that were wanted, if not all were. Then there are no other records, and no columns.
    picked: Option<Picked>,
}

impl Block {
    /// Unpacks a block.
    ///
    /// # Errors
    ///
    /// [`Damaged`].
    pub fn unpack(head: &Head, payload: &[u8]) -> Result<Self, Damaged> {
        let (head, columns, messages) = columns_of(head, payload)?;
        let messages = match head.version {
            Version::Differences => unpack_all(&head, &columns, messages)?,
            Version::Events | Version::Repeats => unpack(messages, head.messages as usize)?,
        };
        Ok(Self { head, columns, messages, picked: None })
    }

    /// Unpacks only the events of a block that `wants` wants, by what is known of them without their
    /// message, method, number and user agent; all that it wants are of `source`, if that is given. Other records are not in the block then; in a block of
    /// version 1 or 2 all are.
    pub(crate) fn unpack_some(
        head: &Head,
        payload: &[u8],
        source: Option<SourceKey>,
        wants: impl FnMut(&EventRef<'_>) -> bool,
    ) -> Result<Self, Damaged> {
        if head.version != Version::Differences {
            return Self::unpack(head, payload);
        }
        let (head, columns, messages) = columns_of(head, payload)?;
        let count = match source {
            Some(source) => up_to_last_of(&columns, &head, source.ip())?,
            None => head.count,
        };
        let (messages, picked) = unpack_wanted(&head, count, &columns, messages, wants)?;
        Ok(Self { head, columns: Vec::new(), messages, picked: Some(picked) })
    }

    /// Unpacks a block whose payload directly follows its head.
    ///
    /// # Errors
    ///
    /// [`Damaged`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let (head, payload) = bytes.split_at_checked(HEAD_BYTES).ok_or(Damaged("no block head"))?;
        Self::unpack(&Head::parse(head)?, payload)
    }

    /// The block's head.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The events in their order, without repeats. After an error there are no more.
    pub fn events(&self) -> impl Iterator<Item = Result<(Seq, EventRef<'_>), Damaged>> {
        self.records().filter_map(|record| match record {
            Ok((seq, Record::Event(event))) => Some(Ok((seq, event))),
            Ok((_, Record::Repeat(_))) => None,
            Err(damaged) => Some(Err(damaged)),
        })
    }

    /// Events and repeats in their order; what was erased is missing. After an error there are no more.
    pub fn records(&self) -> impl Iterator<Item = Result<(Seq, Record<'_>), Damaged>> {
        let picked = self.picked.as_deref().unwrap_or_default();
        let all = if self.picked.is_some() { 0 } else { self.head.count };
        self.picked_records(picked).chain(self.all_records(all))
    }

    fn picked_records<'a>(
        &'a self,
        picked: &'a [(u32, Place)],
    ) -> impl Iterator<Item = Result<(Seq, Record<'a>), Damaged>> {
        let mut messages = &self.messages[..];
        picked.iter().map(move |(number, place)| {
            let event = place.fill(&mut messages).ok_or(WRONG_COLUMNS)?;
            Ok((Seq(self.head.first.0 + u64::from(*number)), Record::Event(event)))
        })
    }

    fn all_records(
        &self,
        mut left: u32,
    ) -> impl Iterator<Item = Result<(Seq, Record<'_>), Damaged>> {
        let mut reader = Reader::new(&self.columns, self.head.version.columns(), &self.messages);
        let mut seq = self.head.first;
        std::iter::from_fn(move || {
            loop {
                left = left.checked_sub(1)?;
                let here = seq;
                seq.0 += 1;
                let read = match &mut reader {
                    Ok(reader) => reader.record().ok_or(WRONG_COLUMNS),
                    Err(damaged) => Err(damaged.clone()),
                };
                match read {
                    Ok(Some(record)) => return Some(Ok((here, record))),
                    Ok(None) => {}
                    Err(damaged) => {
                        left = 0;
                        return Some(Err(damaged));
                    }
                }
            }
        })
    }
}

const WRONG_COLUMNS: Damaged = Damaged("a block with wrong columns");
const NOT_UNPACKED: Damaged = Damaged("a block that does not unpack");

/// The checked head of a block, its columns, and its messages as they are packed.
fn columns_of<'a>(head: &Head, payload: &'a [u8]) -> Result<(Head, Vec<u8>, &'a [u8]), Damaged> {
    let head = head.check()?;
    if payload.len() != head.payload_bytes() {
        return Err(Damaged("a block of the wrong length"));
    }
    if head.checksum(payload) != head.crc {
        return Err(Damaged("a block with a wrong checksum"));
    }
    let (columns, messages) = payload.split_at(head.columns_packed as usize);
    let columns = unpack(columns, head.columns as usize)?;
    Ok((head, columns, messages))
}

/// All messages, one after the other.
fn unpack_all(head: &Head, columns: &[u8], packed: &[u8]) -> Result<Vec<u8>, Damaged> {
    let mut messages = Vec::new();
    let mut decoder = decoder(head, packed, head.count as usize)?;
    for place in Places::new(columns, head.version.columns(), head.count)? {
        let Some(place) = place? else { continue };
        let unpacked = decoder.next(place.blob_len, &place.endpoints(), &mut messages);
        unpacked.map_err(|_| NOT_UNPACKED)?;
    }
    Ok(messages)
}

/// The messages that are wanted of the first `count` records, one after the other, and their places.
fn unpack_wanted(
    head: &Head,
    count: u32,
    columns: &[u8],
    packed: &[u8],
    mut wants: impl FnMut(&EventRef<'_>) -> bool,
) -> Result<(Vec<u8>, Picked), Damaged> {
    // How long each message is up to the next that is wanted, for what lies between must be passed over.
    let (mut lengths, mut picked) = (Vec::with_capacity(count as usize), Vec::new());
    for (number, place) in (0..).zip(Places::new(columns, head.version.columns(), count)?) {
        let Some(place) = place? else { continue };
        let is_wanted = wants(&place.event);
        lengths.push((place.blob_len, is_wanted));
        if is_wanted {
            picked.push((number, place));
        }
    }
    let mut messages = Vec::new();
    if picked.is_empty() {
        return Ok((messages, picked));
    }
    let mut decoder = decoder(head, packed, head.count as usize)?;
    let mut places = picked.iter().peekable();
    for (blob_len, is_wanted) in lengths {
        let unpacked = if is_wanted {
            let Some((_, place)) = places.next() else { break };
            decoder.next(blob_len, &place.endpoints(), &mut messages)
        } else if places.peek().is_some() {
            decoder.skip(blob_len)
        } else {
            // What comes after the last that is wanted need not be looked at.
            break;
        };
        unpacked.map_err(|_| NOT_UNPACKED)?;
    }
    Ok((messages, picked))
}

fn decoder<'a>(head: &Head, packed: &'a [u8], messages: usize) -> Result<Decoder<'a>, Damaged> {
    Decoder::new(packed, messages, head.messages as usize).map_err(|_| NOT_UNPACKED)
}

fn unpack(packed: &[u8], len: usize) -> Result<Vec<u8>, Damaged> {
    // The head was checked: this is less than 4 MiB.
    let mut raw = vec![0; len];
    (unpack_zstd(packed, &mut raw) == Some(len)).then_some(raw).ok_or(NOT_UNPACKED)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr, SocketAddr};

    use proptest::prelude::*;

    use super::*;
    use crate::arena::Arena;
    use crate::event::{Anomalies, Collected, NumberKind, Time, Transport, Verification};
    use crate::head::Version;
    use crate::limits::BLOCK_EVENTS_MAX;
    use crate::log::StoredEvent;
    use crate::repeat::Repeat;
    use crate::testing;

    fn packed(events: &[StoredEvent], first: Seq) -> Packed {
        let mut builder = Builder::new();
        for event in events {
            let mut arena = Arena::new(0);
            arena.push(&event.event()).unwrap();
            arena.raw().for_each(|raw| builder.push(&raw, &raw.event()));
        }
        builder.pack(first, &mut Packer::new())
    }

    fn bytes_of(packed: &Packed) -> Vec<u8> {
        [&packed.head.to_bytes()[..], &packed.payload].concat()
    }

    fn any_address() -> impl Strategy<Value = SocketAddr> {
        (any::<bool>(), any::<u32>(), any::<u128>(), any::<u16>()).prop_map(
            |(v6, four, sixteen, port)| {
                let ip = if v6 {
                    IpAddr::V6(Ipv6Addr::from_bits(sixteen)).to_canonical()
                } else {
                    IpAddr::from(four.to_be_bytes())
                };
                SocketAddr::new(ip, port)
            },
        )
    }

    fn any_event() -> impl Strategy<Value = StoredEvent> {
        let bytes = |max| prop::collection::vec(any::<u8>(), 0..max);
        (
            (any::<u64>(), any_address(), any_address(), 0..3usize, 0..5usize, 0..3usize),
            (any::<bool>(), any::<u64>(), 0..4u64),
            (bytes(32usize), bytes(128), bytes(256), bytes(2000)),
        )
            .prop_map(|(a, b, c)| StoredEvent {
                seq: Seq(0),
                id: uuid::Uuid::nil(),
                time: Time(a.0),
                source: a.1,
                destination: a.2,
                transport: Transport::ALL[a.3],
                verification: Verification::ALL[a.4],
                collected: if b.0 { Collected::Responsive } else { Collected::Passive },
                number_kind: [NumberKind::None, NumberKind::Called, NumberKind::Account][a.5],
                anomalies: Anomalies { observed: b.1, invalid: b.2 },
                method: c.0.into(),
                number: c.1.into(),
                user_agent: c.2.into(),
                message: c.3.into(),
            })
    }

    /// Reads everything that there is to read.
    fn read(block: &Block) -> Result<usize, Damaged> {
        block.events().try_fold(0, |n, event| event.map(|_| n + 1))
    }

    proptest! {
        #[test]
        fn events_come_out_of_a_block_as_they_went_in(
            events in prop::collection::vec(any_event(), 1..40),
            first in 1..u64::MAX / 2,
        ) {
            let packed = packed(&events, Seq(first));
            let block = Block::decode(&bytes_of(&packed)).unwrap();
            prop_assert_eq!(block.head(), &packed.head);
            let times = events.iter().map(|event| event.time);
            prop_assert_eq!(Some(packed.head.earliest), times.clone().min());
            prop_assert_eq!(Some(packed.head.latest), times.max());
            for (n, (read, written)) in block.events().zip(&events).enumerate() {
                let (seq, event) = read.unwrap();
                prop_assert_eq!(seq, Seq(first + n as u64));
                prop_assert_eq!(event, written.event());
            }
            prop_assert_eq!(block.events().count(), events.len());
        }

        #[test]
        fn the_events_of_a_source_are_those_that_a_walk_finds(
            mut events in prop::collection::vec(any_event(), 1..40),
            are_v4: bool,
            which: prop::sample::Index,
        ) {
            for event in events.iter_mut().filter(|_| are_v4) {
                event.source = ([192, 0, 2, event.source.port() as u8 % 4], 5060).into();
            }
            let wanted = SourceKey::of(which.get(&events).source.ip());
            let is_of = |event: &EventRef<'_>| SourceKey::of(event.source.ip()) == wanted;
            let Packed { head, payload, .. } = packed(&events, Seq(1));
            let some = Block::unpack_some(&head, &payload, Some(wanted), is_of).unwrap();
            let all = Block::unpack(&head, &payload).unwrap();
            let found: Vec<_> = some.events().map(Result::unwrap).collect();
            let mut expected: Vec<_> = all.events().map(Result::unwrap).collect();
            expected.retain(|(_, event)| is_of(event));
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn events_and_repeats_of_a_block_read_back_in_their_order(
            records in prop::collection::vec((any_event(), any::<bool>(), 1..u64::MAX, any::<u64>()), 1..20),
        ) {
            let mut builder = Builder::new();
            let mut arena = Arena::new(0);
            for (event, is_repeat, count, span) in &records {
                arena.clear();
                if *is_repeat {
                    let first = event.time.minus_ns(*span);
                    let repeat = Repeat { count: *count, first, ..Repeat::of(&event.event()) };
                    arena.push_repeat(&repeat).unwrap();
                } else {
                    arena.push(&event.event()).unwrap();
                }
                arena.raw().for_each(|raw| match raw.record() {
                    Record::Event(event) => builder.push(&raw, &event),
                    Record::Repeat(repeat) => builder.push_repeat(&repeat),
                });
            }
            let bytes = bytes_of(&builder.pack(Seq(7), &mut Packer::new()));
            prop_assert_eq!(bytes[3], 3);
            let block = Block::decode(&bytes).unwrap();
            let mut seq = Seq(7);
            for (read, (event, is_repeat, count, span)) in block.records().zip(&records) {
                let expected = if *is_repeat {
                    let first = event.time.minus_ns(*span);
                    Record::Repeat(Repeat { count: *count, first, ..Repeat::of(&event.event()) })
                } else {
                    Record::Event(event.event())
                };
                prop_assert_eq!(read.unwrap(), (seq, expected));
                seq.0 += 1;
            }
            prop_assert_eq!(seq.0, 7 + records.len() as u64);
            let events = records.iter().filter(|(_, is_repeat, ..)| !is_repeat).count();
            prop_assert_eq!(block.events().count(), events);
        }

        #[test]
        fn any_bytes_give_events_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(Block::decode(&bytes).is_err());
        }

        #[test]
        fn any_change_of_a_block_is_noticed(
            events in prop::collection::vec(any_event(), 1..4),
            place in any::<prop::sample::Index>(),
            bit in 0..8u8,
        ) {
            let mut bytes = bytes_of(&packed(&events, Seq(9)));
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            prop_assert!(Block::decode(&bytes).is_err());
        }

        /// A block with a right checksum, as a malicious writer would make it.
        #[test]
        fn hostile_columns_and_messages_never_panic(
            columns in prop::collection::vec(any::<u8>(), 0..600),
            lengths in prop::array::uniform12(0..60u32),
            version in prop::sample::select(vec![Version::Events, Version::Repeats]),
            messages in prop::collection::vec(any::<u8>(), 0..600),
            count in 1..100u32,
        ) {
            let lengths = &lengths[..version.columns()];
            let mut table: Vec<u8> = lengths.iter().flat_map(|n| n.to_le_bytes()).collect();
            table.extend(columns);
            let payload = [
                zstd::bulk::compress(&table, 1).unwrap(),
                zstd::bulk::compress(&messages, 1).unwrap(),
            ];
            let mut head = Head {
                version,
                first: Seq(1),
                count,
                earliest: Time(0),
                latest: Time(0),
                columns: table.len() as u32,
                columns_packed: payload[0].len() as u32,
                messages: messages.len() as u32,
                messages_packed: payload[1].len() as u32,
                crc: 0,
            };
            let payload = payload.concat();
            head.crc = head.checksum(&payload);
            let block = Block::unpack(&head, &payload).unwrap();
            let _ = read(&block);
        }
    }

    #[test]
    fn a_head_that_claims_too_much_is_refused_before_memory_is_taken() {
        let mut head =
            packed(&[StoredEvent::new(uuid::Uuid::nil(), Seq(1), &testing::event(1))], Seq(1)).head;
        head.messages = u32::MAX;
        assert!(Head::parse(&head.to_bytes()).is_err());
        assert!(Block::unpack(&head, &[]).is_err());
    }

    #[test]
    fn a_frame_that_unpacks_to_more_than_the_head_says_is_refused() {
        let zeros = vec![0; 8 << 20];
        let bomb = zstd::bulk::compress(&zeros, 19).unwrap();
        let mut head =
            packed(&[StoredEvent::new(uuid::Uuid::nil(), Seq(1), &testing::event(1))], Seq(1)).head;
        (head.columns, head.columns_packed) = (100, bomb.len() as u32);
        (head.messages, head.messages_packed) = (0, 0);
        head.crc = head.checksum(&bomb);
        assert_eq!(
            Block::unpack(&head, &bomb).err(),
            Some(Damaged("a block that does not unpack"))
        );
    }

    #[test]
    fn a_block_of_empty_messages_is_full_at_some_time() {
        let mut builder = Builder::new();
        let mut arena = Arena::new(0);
        let empty = EventRef { method: b"", number: b"", user_agent: b"", ..testing::event(1) };
        arena.push(&EventRef { message: b"", ..empty }).unwrap();
        let raw = arena.raw().next().unwrap();
        while !builder.is_full() {
            builder.push(&raw, &raw.event());
        }
        assert_eq!(builder.len() as usize, BLOCK_EVENTS_MAX);
        assert!(builder.column_bytes() <= BLOCK_COLUMNS_MAX);
    }
}
