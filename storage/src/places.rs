//! Reading the columns of a block; `block.rs` has their layout.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use sentrypeer_pack::Endpoints;

use crate::arena::{collected_from_code, kind_from_code};
use crate::block::{
    ANOMALIES, APPENDED_LEN, COLUMNS, DESTINATION, FLAG_DESTINATION_V6, FLAG_SOURCE_V6, FLAGS,
    KIND, KIND_ANOMALIES, KIND_ERASED, KIND_REPEAT, MESSAGE_LEN, PLACES, REPEAT, SOURCE, TIME,
};
use crate::event::{Anomalies, EventRef, Time, Transport, Verification};
use crate::head::{Damaged, Head};
use crate::limits::BLOCK_MESSAGES_MAX;
use crate::method::Method;
use crate::repeat::{Record, Repeat};

/// Where a message is among those of its block, and what the columns say of its event.
#[derive(Debug)]
pub(crate) struct Place {
    /// Its fields and its message are empty.
    pub(crate) event: EventRef<'static>,
    message_len: usize,
    /// Bytes of the message, and of those that are appended to it.
    pub(crate) blob_len: usize,
    /// Where in these method, number and user agent are, and how long.
    pub(crate) fields: [(usize, usize); 3],
}

impl Place {
    pub(crate) fn endpoints(&self) -> Endpoints {
        Endpoints { source: self.event.source, destination: self.event.destination }
    }

    /// The event with its message and its fields, which are what `messages` begins with.
    pub(crate) fn fill<'a>(&self, messages: &mut &'a [u8]) -> Option<EventRef<'a>> {
        let (blob, rest) = messages.split_at_checked(self.blob_len)?;
        *messages = rest;
        let part = |(offset, len): (usize, usize)| blob.get(offset..offset.checked_add(len)?);
        let [method, number, user_agent] = self.fields.map(part);
        Some(EventRef {
            method: method?,
            number: number?,
            user_agent: user_agent?,
            message: blob.get(..self.message_len)?,
            ..self.event
        })
    }
}

/// The places of all messages of a block, in their order; `None` where there is none.
pub(crate) struct Places<'a> {
    reader: Reader<'a>,
    left: u32,
}

impl<'a> Places<'a> {
    /// Of a block of `count` records with so many columns.
    pub(crate) fn new(columns: &'a [u8], number: usize, count: u32) -> Result<Self, Damaged> {
        Ok(Self { reader: Reader::new(columns, number, b"")?, left: count })
    }
}

impl Iterator for Places<'_> {
    /// An error where the columns end too soon; then there are no more.
    type Item = Result<Option<Place>, Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let place = self.reader.place().ok_or(Damaged("a block with wrong columns"));
        if place.is_err() {
            self.left = 0;
        }
        Some(place)
    }
}

/// How many of a block's records there are up to the last that is of this source, if the columns of
/// flags, kinds and sources alone say so: they do where all addresses are IPv4 and nothing was erased.
/// Else all.
pub(crate) fn up_to_last_of(packed: &[u8], head: &Head, source: IpAddr) -> Result<u32, Damaged> {
    let (columns, count) = (Reader::new(packed, head.version.columns(), b"")?.columns, head.count);
    let is_v6 = |flags: &u8| flags & FLAG_SOURCE_V6 != 0;
    let is_erased = |kind: &u8| kind & KIND_ERASED != 0;
    let (sources, rest) = columns[SOURCE].as_chunks::<4>();
    let is_plain = sources.len() == count as usize && rest.is_empty();
    let IpAddr::V4(wanted) = source else { return Ok(count) };
    if !is_plain || columns[FLAGS].iter().any(is_v6) || columns[KIND].iter().any(is_erased) {
        return Ok(count);
    }
    let last = sources.iter().rposition(|source| *source == wanted.octets());
    // No more than `count`.
    Ok(last.map_or(0, |last| last as u32 + 1))
}

/// What is left of each column and of the messages.
pub(crate) struct Reader<'a> {
    columns: [&'a [u8]; COLUMNS],
    messages: &'a [u8],
    time: u64,
}

impl<'a> Reader<'a> {
    /// A reader of `number` columns and the messages that belong to them.
    pub(crate) fn new(
        packed: &'a [u8],
        number: usize,
        messages: &'a [u8],
    ) -> Result<Self, Damaged> {
        const BAD: Damaged = Damaged("a block without its columns");
        let (mut lengths, mut rest) = packed.split_at_checked(number * 4).ok_or(BAD)?;
        let mut columns = [&[][..]; COLUMNS];
        for column in &mut columns[..number] {
            let (length, others) = lengths.split_first_chunk().ok_or(BAD)?;
            let length = u32::from_le_bytes(*length) as usize;
            let (this, after) = rest.split_at_checked(length).ok_or(BAD)?;
            (lengths, rest, *column) = (others, after, this);
        }
        Ok(Self { columns, messages, time: 0 })
    }

    /// The next record; an inner `None` where one was erased.
    pub(crate) fn record(&mut self) -> Option<Option<Record<'a>>> {
        Some(match self.next()? {
            Next::Erased => None,
            Next::Repeat(repeat) => Some(Record::Repeat(repeat)),
            Next::Event(place) => Some(Record::Event(place.fill(&mut self.messages)?)),
        })
    }

    /// The place of the next message; an inner `None` where there is none.
    fn place(&mut self) -> Option<Option<Place>> {
        Some(match self.next()? {
            Next::Erased | Next::Repeat(_) => None,
            Next::Event(place) => Some(place),
        })
    }

    fn next(&mut self) -> Option<Next> {
        let zigzag = varint(&mut self.columns[TIME])?;
        let delta = (zigzag >> 1) ^ (zigzag & 1).wrapping_neg();
        self.time = self.time.wrapping_add(delta);
        let [flags] = chunk(&mut self.columns[FLAGS])?;
        let [kind] = chunk(&mut self.columns[KIND])?;
        if kind & KIND_ERASED != 0 {
            return Some(Next::Erased);
        }
        if kind & KIND_REPEAT != 0 {
            return self.repeat(flags).map(Next::Repeat);
        }
        self.event(flags, kind).map(Next::Event)
    }

    /// The rest of a repeat.
    fn repeat(&mut self, flags: u8) -> Option<Repeat> {
        let source = self.ip(SOURCE, flags & FLAG_SOURCE_V6 != 0)?;
        let count = varint(&mut self.columns[REPEAT]).filter(|count| *count > 0)?;
        let span = varint(&mut self.columns[REPEAT])?;
        let [method] = chunk(&mut self.columns[REPEAT])?;
        Some(Repeat {
            source,
            transport: Transport::from_code((flags & 3) + 1)?,
            verification: Verification::from_code(flags >> 3 & 7)?,
            method: Method::from_code(method)?,
            count,
            first: Time(self.time.checked_sub(span)?),
            last: Time(self.time),
        })
    }

    /// The rest of an event's columns.
    fn event(&mut self, flags: u8, kind: u8) -> Option<Place> {
        let source = self.address(SOURCE, flags & FLAG_SOURCE_V6 != 0)?;
        let destination = self.address(DESTINATION, flags & FLAG_DESTINATION_V6 != 0)?;
        let mut anomalies = Anomalies::default();
        if kind & KIND_ANOMALIES != 0 {
            anomalies.observed = varint(&mut self.columns[ANOMALIES])?;
            anomalies.invalid = varint(&mut self.columns[ANOMALIES])?;
        }
        let message_len = length(&mut self.columns[MESSAGE_LEN])?;
        let blob_len = message_len.checked_add(length(&mut self.columns[APPENDED_LEN])?)?;
        let event = EventRef {
            time: Time(self.time),
            source,
            destination,
            transport: Transport::from_code((flags & 3) + 1)?,
            verification: Verification::from_code(flags >> 3 & 7)?,
            collected: collected_from_code(flags >> 2 & 1),
            number_kind: kind_from_code(kind & 3),
            anomalies,
            method: b"",
            number: b"",
            user_agent: b"",
            message: b"",
        };
        let fields = [self.field()?, self.field()?, self.field()?];
        Some(Place { event, message_len, blob_len, fields })
    }

    /// The address in this column, with the port in the one after it.
    fn address(&mut self, column: usize, v6: bool) -> Option<SocketAddr> {
        let ip = self.ip(column, v6)?;
        Some(SocketAddr::new(ip, u16::from_le_bytes(chunk(&mut self.columns[column + 1])?)))
    }

    fn ip(&mut self, column: usize, v6: bool) -> Option<IpAddr> {
        Some(if v6 {
            IpAddr::V6(Ipv6Addr::from(chunk::<16>(&mut self.columns[column])?))
        } else {
            IpAddr::from(chunk::<4>(&mut self.columns[column])?)
        })
    }

    fn field(&mut self) -> Option<(usize, usize)> {
        let len = length(&mut self.columns[PLACES])?;
        let offset = if len == 0 { 0 } else { length(&mut self.columns[PLACES])? };
        Some((offset, len))
    }
}

/// What comes next in a block.
enum Next {
    Event(Place),
    Repeat(Repeat),
    Erased,
}

fn chunk<const N: usize>(column: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, rest) = column.split_first_chunk()?;
    *column = rest;
    Some(*chunk)
}

#[inline]
fn varint(column: &mut &[u8]) -> Option<u64> {
    // Nearly all are short.
    if let Some((byte @ ..0x80, rest)) = column.split_first() {
        *column = rest;
        return Some(u64::from(*byte));
    }
    long_varint(column)
}

fn long_varint(column: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let [byte] = chunk(column)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// A length or an offset: nothing in a block is longer than its messages.
fn length(column: &mut &[u8]) -> Option<usize> {
    let length = usize::try_from(varint(column)?).ok()?;
    (length <= BLOCK_MESSAGES_MAX).then_some(length)
}
