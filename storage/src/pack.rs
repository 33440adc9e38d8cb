//! Packing events into a block; `block.rs` has the layout and reads it.

use std::net::IpAddr;

use sentrypeer_pack::{Class, Encoder};
use zstd::bulk::Compressor;

use crate::arena::RawEvent;
use crate::block::{
    ANOMALIES, APPENDED_LEN, COLUMN_TABLE_BYTES, COLUMNS, DESTINATION, DESTINATION_PORT,
    FLAG_DESTINATION_V6, FLAG_RESPONSIVE, FLAG_SOURCE_V6, FLAGS, Head, KIND, KIND_ANOMALIES,
    KIND_ERASED, KIND_REPEAT, MESSAGE_LEN, PLACES, REPEAT, SOURCE, SOURCE_PORT, TIME,
};
use crate::event::{Anomalies, EventRef, Seq, Time};
use crate::head::Version;
use crate::limits::{BLOCK_EVENTS_MAX, BLOCK_RAW_BYTES, EVENT_BLOB_MAX};
use crate::places::Places;
use crate::repeat::Repeat;

/// What zstd is asked for where columns are packed. The messages have a way of their own: the crate
/// `sentrypeer-pack`.
const ZSTD_LEVEL: i32 = 1;

/// A block that is ready to be stored.
#[derive(Clone, Debug)]
pub struct Packed {
    /// Its head.
    pub head: Head,
    /// What follows it.
    pub payload: Vec<u8>,
    /// Which sources and numbers may be in it; `None` leaves what is known of them. See `filter.rs`.
    pub filter: Option<Vec<u8>>,
}

/// Gathers the events and repeats of one block.
pub struct Builder {
    columns: [Vec<u8>; COLUMNS],
    messages: Vec<u8>,
    count: u32,
    previous: Time,
    earliest: Time,
    latest: Time,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

/// What packing needs beside the events: it is as large as a block, and kept.
pub struct Packer {
    messages: Encoder,
    compressor: Compressor<'static>,
    scratch: Vec<u8>,
}

impl Default for Packer {
    fn default() -> Self {
        Self::new()
    }
}

impl Packer {
    /// One for as many blocks as there are.
    #[must_use]
    pub fn new() -> Self {
        let messages = Encoder::new();
        Self {
            messages,
            compressor: or_out_of_memory(Compressor::new(ZSTD_LEVEL)),
            scratch: Vec::new(),
        }
    }
}

impl Builder {
    /// An empty block.
    #[must_use]
    pub fn new() -> Self {
        Self {
            columns: Default::default(),
            messages: Vec::new(),
            count: 0,
            previous: Time(0),
            earliest: Time(u64::MAX),
            latest: Time(0),
        }
    }

    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there is no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether the block should be packed and a new one begun.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.messages.len() >= BLOCK_RAW_BYTES || self.count as usize >= BLOCK_EVENTS_MAX
    }

    /// Bytes of the messages so far.
    #[must_use]
    pub fn message_bytes(&self) -> usize {
        self.messages.len()
    }

    /// Time of the earliest event, if there is one.
    #[must_use]
    pub fn earliest(&self) -> Option<Time> {
        (self.count > 0).then_some(self.earliest)
    }

    /// Adds an event that lies in an arena. The block must not be full.
    pub(crate) fn push(&mut self, raw: &RawEvent<'_>, event: &EventRef<'_>) {
        debug_assert!(!self.is_full() && raw.blob.len() <= EVENT_BLOB_MAX);
        self.put_time(event.time, event.time);
        let columns = &mut self.columns;
        let mut flags = (event.transport as u8 - 1) | (event.verification as u8) << 3;
        flags |= event.collected as u8 * FLAG_RESPONSIVE;
        flags |= u8::from(event.source.is_ipv6()) * FLAG_SOURCE_V6;
        flags |= u8::from(event.destination.is_ipv6()) * FLAG_DESTINATION_V6;
        columns[FLAGS].push(flags);
        put_address(&mut columns[SOURCE], event.source.ip());
        columns[SOURCE_PORT].extend_from_slice(&event.source.port().to_le_bytes());
        put_address(&mut columns[DESTINATION], event.destination.ip());
        columns[DESTINATION_PORT].extend_from_slice(&event.destination.port().to_le_bytes());
        let odd = event.anomalies != Anomalies::default();
        columns[KIND].push(event.number_kind as u8 | (u8::from(odd) * KIND_ANOMALIES));
        if odd {
            put_varint(&mut columns[ANOMALIES], event.anomalies.observed);
            put_varint(&mut columns[ANOMALIES], event.anomalies.invalid);
        }
        put_varint(&mut columns[MESSAGE_LEN], raw.message_len() as u64);
        put_varint(&mut columns[APPENDED_LEN], (raw.blob.len() - raw.message_len()) as u64);
        for field in 0..3 {
            let (offset, len) = raw.place(field);
            put_varint(&mut columns[PLACES], len as u64);
            if len > 0 {
                put_varint(&mut columns[PLACES], offset as u64);
            }
        }
        self.messages.extend_from_slice(raw.blob);
    }

    /// Adds a repeat. The block must not be full.
    pub(crate) fn push_repeat(&mut self, repeat: &Repeat) {
        debug_assert!(!self.is_full() && repeat.count > 0 && repeat.first <= repeat.last);
        self.put_time(repeat.first, repeat.last);
        let columns = &mut self.columns;
        let flags = (repeat.transport as u8 - 1) | (repeat.verification as u8) << 3;
        columns[FLAGS].push(flags | (u8::from(repeat.source.is_ipv6()) * FLAG_SOURCE_V6));
        columns[KIND].push(KIND_REPEAT);
        put_address(&mut columns[SOURCE], repeat.source);
        put_varint(&mut columns[REPEAT], repeat.count);
        put_varint(&mut columns[REPEAT], repeat.last.0 - repeat.first.0);
        columns[REPEAT].push(repeat.method as u8);
    }

    /// Adds the number of an event that is not there any more.
    pub(crate) fn push_erased(&mut self) {
        put_varint(&mut self.columns[TIME], 0);
        self.columns[FLAGS].push(0);
        self.columns[KIND].push(KIND_ERASED);
        self.count += 1;
    }

    /// Sets from when to when the block's events are.
    pub(crate) fn span(&mut self, earliest: Time, latest: Time) {
        (self.earliest, self.latest) = (earliest, latest);
    }

    /// Counts a record whose messages arrived from `first` to `last`.
    fn put_time(&mut self, first: Time, last: Time) {
        let delta = last.0.wrapping_sub(self.previous.0) as i64;
        put_varint(&mut self.columns[TIME], ((delta << 1) ^ (delta >> 63)) as u64);
        self.count += 1;
        self.previous = last;
        self.earliest = self.earliest.min(first);
        self.latest = self.latest.max(last);
    }

    /// Packs what there is as a block that begins with event `first`, and keeps it.
    pub fn pack(&self, first: Seq, packer: &mut Packer) -> Packed {
        let mut columns = Vec::with_capacity(self.column_bytes());
        for column in &self.columns {
            columns.extend_from_slice(&(column.len() as u32).to_le_bytes());
        }
        self.columns.iter().for_each(|column| columns.extend_from_slice(column));
        let mut payload = Vec::new();
        let columns_packed = append_packed(&columns, packer, &mut payload);
        let messages_packed = self.append_messages(&columns, packer, &mut payload);
        let mut head = Head {
            version: Version::Differences,
            first,
            count: self.count,
            earliest: self.earliest,
            latest: self.latest,
            columns: columns.len() as u32,
            columns_packed,
            messages: self.messages.len() as u32,
            messages_packed,
            crc: 0,
        };
        head.crc = head.checksum(&payload);
        Packed { head, payload, filter: None }
    }

    /// Appends the messages and returns how long that is.
    fn append_messages(&self, columns: &[u8], packer: &mut Packer, to: &mut Vec<u8>) -> u32 {
        let before = to.len();
        packer.messages.clear();
        let places = Places::new(columns, COLUMNS, self.count);
        let mut rest = &self.messages[..];
        for place in places.into_iter().flatten().flatten().flatten() {
            let (blob, others) = rest.split_at(place.blob_len);
            rest = others;
            let part = |(offset, len): (usize, usize)| blob.get(offset..offset + len);
            let [method, _, agent] = place.fields.map(|field| part(field).unwrap_or_default());
            let class = Class { method, user_agent: agent };
            packer.messages.push(blob, class, &place.endpoints());
        }
        packer.messages.pack(to);
        (to.len() - before) as u32
    }

    pub(crate) fn column_bytes(&self) -> usize {
        COLUMN_TABLE_BYTES + self.columns.iter().map(Vec::len).sum::<usize>()
    }

    /// Removes all events and keeps the memory.
    pub fn clear(&mut self) {
        self.columns.iter_mut().for_each(Vec::clear);
        self.messages.clear();
        self.count = 0;
        self.previous = Time(0);
        self.earliest = Time(u64::MAX);
        self.latest = Time(0);
    }
}

/// Appends `raw` as one zstd frame and returns how long that is.
fn append_packed(raw: &[u8], packer: &mut Packer, to: &mut Vec<u8>) -> u32 {
    let Packer { compressor: zstd, scratch, .. } = packer;
    scratch.clear();
    scratch.reserve(zstd::zstd_safe::compress_bound(raw.len()));
    let len = or_out_of_memory(zstd.compress_to_buffer(raw, scratch));
    to.extend_from_slice(scratch);
    len as u32
}

/// The result of a call of zstd that fails only for want of memory.
fn or_out_of_memory<T>(result: std::io::Result<T>) -> T {
    #[expect(clippy::expect_used, reason = "as when any allocation of Rust fails, this is the end")]
    // The level is a constant that zstd has and the buffer is as large as zstd asks for, so only a
    // lack of memory is left.
    result.expect("memory for zstd")
}

fn put_varint(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn put_address(to: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(v4) => to.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => to.extend_from_slice(&v6.octets()),
    }
}
