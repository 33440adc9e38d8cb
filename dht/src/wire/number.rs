//! Numbers in a body: sorted, each by what it shares with the one before it.
//!
//! ```text
//! varint  bytes that it begins with like the one before it: all that it shares
//! varint  bytes that follow
//!    ...  those bytes: 0-9 + * #
//!      1  as with sources, bit 7 clear
//! varint  minutes, as with sources
//! ```

use sentrypeer_storage::key::NumberKey;

use super::Refused;
use super::bytes::{Input, put_varint};
use super::source::SeenRecord;
use crate::limits::{AGE_MINUTES_MAX, NUMBER_DIGITS_MIN, NUMBER_WIRE_BYTES_MAX};

/// What a node says of one called number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberRecord {
    /// The number's comparison key.
    pub number: NumberKey,
    /// When, how often and how well proven it was called.
    pub seen: SeenRecord,
}

/// Whether a number may be told: digits, `+`, `*` and `#`, at least [`NUMBER_DIGITS_MIN`] digits and
/// at most [`NUMBER_WIRE_BYTES_MAX`] bytes.
#[must_use]
pub fn may_be_told(number: &[u8]) -> bool {
    let dialled = |byte: &u8| byte.is_ascii_digit() || b"+*#".contains(byte);
    number.len() <= NUMBER_WIRE_BYTES_MAX
        && number.iter().all(dialled)
        && number.iter().filter(|byte| byte.is_ascii_digit()).count() >= NUMBER_DIGITS_MIN
}

/// Appends a number by what it shares with the one before it.
pub(super) fn put_place(out: &mut Vec<u8>, number: &[u8], previous: &[u8]) {
    let shared = shared(number, previous);
    put_varint(out, shared as u64);
    put_varint(out, (number.len() - shared) as u64);
    out.extend_from_slice(&number[shared..]);
}

fn shared(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Reads a number that [`put_place`] wrote into `number`, which holds the one before it.
pub(super) fn take_place(
    input: &mut Input<'_>,
    number: &mut Vec<u8>,
) -> Result<NumberKey, Refused> {
    let kept = input.varint(number.len() as u64, "shared digits")? as usize;
    let more = input.varint(NUMBER_WIRE_BYTES_MAX as u64, "digits")? as usize;
    let more = input.slice(more)?;
    // Sorted and not the same: what follows is greater than what stood there. That also makes what
    // is shared all that could be.
    let stood = &number[kept..];
    let is_greater = match (more.first(), stood.first()) {
        (Some(_), None) => true,
        (Some(new), Some(old)) => new > old,
        (None, _) => false,
    };
    if !is_greater {
        return Err(Refused::Order);
    }
    number.truncate(kept);
    number.extend_from_slice(more);
    let key = NumberKey::of(number);
    if !may_be_told(number) || key.as_bytes() != number.as_slice() {
        return Err(Refused::Range("digits"));
    }
    Ok(key)
}

/// Appends sorted records.
pub(super) fn put(out: &mut Vec<u8>, records: &[NumberRecord], base_minute: u32) {
    let mut previous: &[u8] = b"";
    for record in records {
        put_place(out, record.number.as_bytes(), previous);
        out.push(record.seen.flags());
        put_varint(out, u64::from(base_minute.saturating_sub(record.seen.minute)));
        previous = record.number.as_bytes();
    }
}

/// Reads `count` records.
pub(super) fn take(
    input: &mut Input<'_>,
    count: usize,
    base_minute: u32,
) -> Result<Vec<NumberRecord>, Refused> {
    let mut digits = Vec::with_capacity(NUMBER_WIRE_BYTES_MAX);
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        let number = take_place(input, &mut digits)?;
        let flags = input.byte()?;
        if flags & 0x80 != 0 {
            return Err(Refused::Range("flags"));
        }
        let age = input.varint(AGE_MINUTES_MAX, "age")?;
        records.push(NumberRecord { number, seen: SeenRecord::decode(flags, age, base_minute)? });
    }
    Ok(records)
}
