//! Addresses in a body: sorted, each the distance from the one before it.
//!
//! ```text
//! varint  IPv4: the address, or its distance to the one before it, less one
//!         IPv6: the same with the upper 64 bits; the lower are not told
//!      1  bits 0-4 count as log2, rounded down; 5-6 verification: 0 return-path, 1 connected,
//!         2 tls; 7 set if the methods are those of the record before
//! varint  minutes between when it was last proven and the time of the body
//! varint  methods, a bit each, lowest first, in the order of `storage::method`; left out if bit 7
//!         above is set, as it must be when they are the same
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sentrypeer_storage::event::{SourceKey, Verification};

use super::Refused;
use super::bytes::{Input, put_varint};
use crate::limits::{AGE_MINUTES_MAX, COUNT_LOG2_MAX};

const SAME_METHODS: u8 = 0x80;

/// What a node says of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRecord {
    /// The address, or the /64.
    pub source: SourceKey,
    /// The better part of what is said of it.
    pub seen: SeenRecord,
    /// Methods that it used: bit n is method n of [`sentrypeer_storage::method::Method`].
    pub methods: u16,
}

/// When, how often and how well proven something was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenRecord {
    /// When it was last proven, in minutes since 1970.
    pub minute: u32,
    /// How often it was seen: the logarithm to base 2, rounded down; at most [`COUNT_LOG2_MAX`].
    pub count_log2: u8,
    /// How well it is proven; nothing below [`Verification::ReturnPath`] is told.
    pub verification: Verification,
}

/// What is told of a count.
#[must_use]
pub fn count_log2(count: u64) -> u8 {
    // At most 63, so it fits.
    (count.max(1).ilog2() as u8).min(COUNT_LOG2_MAX)
}

impl SeenRecord {
    /// The byte that tells count and verification.
    pub(super) fn flags(&self) -> u8 {
        let verification = match self.verification {
            Verification::Tls => 2,
            Verification::Connected => 1,
            // Nothing weaker is published: see `selection`.
            _ => 0,
        };
        self.count_log2.min(COUNT_LOG2_MAX) | verification << 5
    }

    /// Reads the byte that [`Self::flags`] makes, without its highest bit.
    pub(super) fn decode(flags: u8, age: u64, base_minute: u32) -> Result<Self, Refused> {
        let verification = match flags >> 5 & 3 {
            0 => Verification::ReturnPath,
            1 => Verification::Connected,
            2 => Verification::Tls,
            _ => return Err(Refused::Range("verification")),
        };
        let age = u32::try_from(age).map_err(|_| Refused::Range("age"))?;
        let minute = base_minute.checked_sub(age).ok_or(Refused::Range("age"))?;
        Ok(Self { minute, count_log2: flags & 0x1f, verification })
    }
}

/// An address as the number that is told: its family and its bits.
pub(super) fn bits(source: &SourceKey) -> (bool, u64) {
    match source.ip() {
        IpAddr::V4(v4) => (false, u64::from(v4.to_bits())),
        IpAddr::V6(v6) => (true, (v6.to_bits() >> 64) as u64),
    }
}

/// The address with these bits. `None` if it is an IPv6 one that stands for an IPv4 one.
fn source(is_v6: bool, bits: u64) -> Option<SourceKey> {
    if !is_v6 {
        return Some(SourceKey::of(Ipv4Addr::from_bits(bits as u32).into()));
    }
    let address = Ipv6Addr::from_bits(u128::from(bits) << 64);
    // The upper half of all IPv4-mapped addresses is zero, and so is that of ::1.
    (bits != 0).then(|| SourceKey::of(address.into()))
}

/// Appends the address as the distance to the one before it.
pub(super) fn put_place(out: &mut Vec<u8>, bits: u64, previous: Option<u64>) {
    put_varint(out, previous.map_or(bits, |previous| bits - previous - 1));
}

/// Reads an address that [`put_place`] wrote.
pub(super) fn take_place(
    input: &mut Input<'_>,
    is_v6: bool,
    previous: &mut Option<u64>,
) -> Result<SourceKey, Refused> {
    let max = if is_v6 { u64::MAX } else { u64::from(u32::MAX) };
    let distance = input.varint(max, "address")?;
    let bits = match *previous {
        None => distance,
        Some(previous) => previous
            .checked_add(1)
            .and_then(|next| next.checked_add(distance))
            .filter(|bits| *bits <= max)
            .ok_or(Refused::Range("address"))?,
    };
    *previous = Some(bits);
    source(is_v6, bits).ok_or(Refused::Range("address"))
}

/// Appends sorted records of one family.
pub(super) fn put(out: &mut Vec<u8>, records: &[SourceRecord], base_minute: u32) {
    let (mut previous, mut methods) = (None, None);
    for record in records {
        let (_, bits) = bits(&record.source);
        put_place(out, bits, previous);
        let same = methods == Some(record.methods);
        out.push(record.seen.flags() | if same { SAME_METHODS } else { 0 });
        put_varint(out, u64::from(base_minute.saturating_sub(record.seen.minute)));
        if !same {
            put_varint(out, record.methods.into());
        }
        (previous, methods) = (Some(bits), Some(record.methods));
    }
}

/// Reads `count` records of one family.
pub(super) fn take(
    input: &mut Input<'_>,
    is_v6: bool,
    count: usize,
    base_minute: u32,
    out: &mut Vec<SourceRecord>,
) -> Result<(), Refused> {
    let (mut previous, mut methods) = (None, None);
    for _ in 0..count {
        let source = take_place(input, is_v6, &mut previous)?;
        let flags = input.byte()?;
        let age = input.varint(AGE_MINUTES_MAX, "age")?;
        let seen = SeenRecord::decode(flags & !SAME_METHODS, age, base_minute)?;
        let now = take_methods(input, flags & SAME_METHODS != 0, methods)?;
        methods = Some(now);
        out.push(SourceRecord { source, seen, methods: now });
    }
    Ok(())
}

/// The methods of a record, which may be those of the one before it.
fn take_methods(
    input: &mut Input<'_>,
    are_same: bool,
    before: Option<u16>,
) -> Result<u16, Refused> {
    if are_same {
        return before.ok_or(Refused::Range("methods"));
    }
    let methods = input.varint(u16::MAX.into(), "methods")? as u16;
    if before == Some(methods) { Err(Refused::Range("methods")) } else { Ok(methods) }
}
