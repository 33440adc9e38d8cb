//! One operation: how the next piece of a message comes from its template.

use crate::alphabet::{ALPHABETS, Alphabet};

/// What follows the bytes that are the same: a code, and for some codes a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) code: u8,
    pub(crate) number: u16,
}

/// Nothing: here the message ends.
pub(crate) const END: u8 = 0;
/// Nothing either.
pub(crate) const SKIP: u8 = 1;
/// The source address.
pub(crate) const SOURCE: u8 = 2;
/// The source port.
pub(crate) const SOURCE_PORT: u8 = 3;
/// The destination address.
pub(crate) const DESTINATION: u8 = 4;
/// The destination port.
pub(crate) const DESTINATION_PORT: u8 = 5;
/// The same as an earlier token of this message, which the number says.
pub(crate) const AGAIN: u8 = 6;
/// A number of the streams `low` and `high`.
pub(crate) const NUMBER: u8 = 7;
/// An IPv4 address, 32 bits.
pub(crate) const V4: u8 = 8;
/// So many bytes of the stream `literals` as `lengths` says.
pub(crate) const LITERAL: u8 = 9;
/// The same, each byte as two digits of hex.
pub(crate) const LITERAL_HEX: u8 = 10;
/// So many characters as the number says of an alphabet, whose number is added.
pub(crate) const FIXED: u8 = 16;
const FIXED_LAST: u8 = FIXED + ALPHABETS as u8 - 1;
/// As many characters as `lengths` says of an alphabet, whose number is added.
pub(crate) const VARIED: u8 = 32;
const VARIED_LAST: u8 = VARIED + ALPHABETS as u8 - 1;

impl Kind {
    /// A kind without a number.
    pub(crate) const fn of(code: u8) -> Self {
        Self { code, number: 0 }
    }

    pub(crate) fn again(token: usize) -> Self {
        Self { code: AGAIN, number: token as u16 }
    }

    pub(crate) fn fixed(alphabet: Alphabet, len: usize) -> Self {
        Self { code: FIXED + alphabet.number(), number: len as u16 }
    }

    pub(crate) fn varied(alphabet: Alphabet) -> Self {
        Self::of(VARIED + alphabet.number())
    }

    /// The alphabet of [`FIXED`] and [`VARIED`].
    pub(crate) fn alphabet(self) -> Alphabet {
        Alphabet::from_number(self.code % FIXED)
    }

    pub(crate) fn is_literal(self) -> bool {
        self.code == LITERAL || self.code == LITERAL_HEX
    }

    /// Whether a later token can be the same [`AGAIN`]: not what costs nothing itself.
    pub(crate) fn is_named(self) -> bool {
        self.code >= NUMBER
    }

    fn is_known(self) -> bool {
        matches!(self.code, END..=LITERAL_HEX | FIXED..=FIXED_LAST | VARIED..=VARIED_LAST)
    }

    fn has_number(self) -> bool {
        self.code == AGAIN || (FIXED..=FIXED_LAST).contains(&self.code)
    }
}

/// What a number takes in the stream of operations, at most: all are below 2^16 or count messages.
pub(crate) const VARINT_BYTES_MAX: usize = 3;

/// What an operation takes there, at most.
pub(crate) const OP_BYTES_MAX: usize = 1 + 3 * VARINT_BYTES_MAX;

/// An operation: bytes that are the same in both, what follows in the message, and how many bytes of
/// the template it stands for. In one word, because they are compared all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Op(u64);

impl Op {
    pub(crate) fn new(same: usize, kind: Kind, skip: usize) -> Self {
        debug_assert!(same <= usize::from(u16::MAX) && skip <= usize::from(u16::MAX));
        let Kind { code, number } = kind;
        Self(same as u64 | (skip as u64) << 16 | u64::from(number) << 32 | u64::from(code) << 48)
    }

    pub(crate) fn word(self) -> u64 {
        self.0
    }

    /// How many bytes are the same.
    pub(crate) fn same(self) -> usize {
        usize::from(self.0 as u16)
    }

    /// How many bytes of the template are then passed over.
    pub(crate) fn skip(self) -> usize {
        usize::from((self.0 >> 16) as u16)
    }

    /// What comes after the bytes that are the same.
    pub(crate) fn kind(self) -> Kind {
        Kind { code: (self.0 >> 48) as u8, number: (self.0 >> 32) as u16 }
    }

    /// Appends it: the code, and then as numbers `same`, `skip` and what the kind has.
    pub(crate) fn write(self, to: &mut Vec<u8>) {
        let kind = self.kind();
        to.push(kind.code);
        put_varint(to, self.same());
        put_varint(to, self.skip());
        if kind.has_number() {
            put_varint(to, usize::from(kind.number));
        }
    }

    pub(crate) fn read(from: &mut &[u8]) -> Option<Self> {
        let (code, rest) = from.split_first()?;
        *from = rest;
        let mut kind = Some(Kind::of(*code)).filter(|kind| kind.is_known())?;
        let same = u16::try_from(varint(from)?).ok()?;
        let skip = u16::try_from(varint(from)?).ok()?;
        if kind.has_number() {
            kind.number = u16::try_from(varint(from)?).ok()?;
        }
        Some(Self::new(usize::from(same), kind, usize::from(skip)))
    }
}

/// Appends a number in groups of 7 bits, the lowest first, the top bit set in all but the last.
pub(crate) fn put_varint(to: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Takes such a number of up to five groups off the begin of `from`.
#[inline]
pub(crate) fn varint(from: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= usize::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn operations_come_back_as_they_went_in(
            same in any::<u16>(),
            skip in any::<u16>(),
            code in (0..=u8::MAX).prop_filter("a known code", |code| Kind::of(*code).is_known()),
            number in any::<u16>(),
        ) {
            let mut kind = Kind::of(code);
            kind.number = if kind.has_number() { number } else { 0 };
            let op = Op::new(same.into(), kind, skip.into());
            prop_assert_eq!((op.same(), op.skip(), op.kind()), (same.into(), skip.into(), kind));
            let mut bytes = Vec::new();
            op.write(&mut bytes);
            prop_assert!(bytes.len() <= OP_BYTES_MAX);
            let mut rest = &bytes[..];
            prop_assert_eq!(Op::read(&mut rest), Some(op));
            prop_assert!(rest.is_empty());
            prop_assert_eq!(Op::read(&mut &bytes[..bytes.len() - 1]), None);
        }

        #[test]
        fn any_bytes_are_an_operation_that_is_known_or_none(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            if let Some(op) = Op::read(&mut &bytes[..]) {
                prop_assert!(op.kind().is_known());
            }
        }

        #[test]
        fn numbers_come_back_as_they_went_in(number in any::<u32>()) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, number as usize);
            prop_assert_eq!(varint(&mut &bytes[..]), Some(number as usize));
        }
    }

    #[test]
    fn a_number_that_does_not_end_is_none() {
        assert_eq!(varint(&mut &[0x80; 9][..]), None);
        assert_eq!(varint(&mut &[0x80, 0x80][..]), None);
        assert_eq!(varint(&mut &[][..]), None);
    }
}
