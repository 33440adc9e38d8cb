//! The stored form of a row, see `docs/storage.md`.

use crate::aggregate::{Row, Seen};
use crate::event::{Seq, Time};

/// The stored form of a row: it counts its key's events after `expired` and up to `through`.
pub(crate) fn encode_row<R: Row>(row: &R, expired: Seq, through: Seq) -> Encoder {
    let mut out = Encoder::default();
    let seen = row.seen();
    for number in [
        seen.first.0,
        seen.last.0,
        seen.count,
        seen.since.0.max(expired.0.saturating_add(1)),
        through.0,
    ] {
        out.put(&number.to_le_bytes());
    }
    row.encode_own(&mut out);
    out
}

/// The row that was stored, and its `through`. `None` if the bytes are no row.
pub(crate) fn decode_row<R: Row>(bytes: &[u8]) -> Option<(R, Seq)> {
    let mut bytes = Decoder(bytes);
    let mut number = || bytes.take().map(u64::from_le_bytes);
    let (first, last, count) = (Time(number()?), Time(number()?), number()?);
    let (since, through) = (Seq(number()?), Seq(number()?));
    let row = R::decode_own(Seen { first, last, count, since }, &mut bytes)?;
    bytes.0.is_empty().then_some((row, through))
}

/// Stored rows are at most this long, in bytes.
const ROW_BYTES_MAX: usize = 104;

/// Bytes of one stored row, without an allocation.
#[derive(Clone, Copy)]
pub struct Encoder {
    bytes: [u8; ROW_BYTES_MAX],
    len: usize,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { bytes: [0; ROW_BYTES_MAX], len: 0 }
    }
}

impl Encoder {
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// What was put in.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The rest of the bytes of something that is stored.
pub struct Decoder<'a>(pub(crate) &'a [u8]);

impl Decoder<'_> {
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{NumberRow, SourceRow};
    use crate::event::Verification;
    use crate::method::Method;
    use crate::testing::proven as event;

    #[test]
    fn a_stored_row_reads_back_with_its_interval() {
        let mut row = SourceRow::nothing();
        row.add(
            Seq(7),
            &event("192.0.2.7:1", 10, Verification::Connected),
            Method::Invite,
            Some(9),
        );
        let bytes = encode_row(&row, Seq(3), Seq(9));
        let (back, through) = decode_row::<SourceRow>(bytes.as_bytes()).unwrap();
        assert_eq!((back, through), (row.clone(), Seq(9)));
        let later = encode_row(&row, Seq(8), Seq(9));
        let (back, _) = decode_row::<SourceRow>(later.as_bytes()).unwrap();
        assert_eq!(back.seen.since, Seq(9));
        assert!(decode_row::<SourceRow>(&bytes.as_bytes()[1..]).is_none());
        assert!(decode_row::<NumberRow>(bytes.as_bytes()).is_none());
    }
}
