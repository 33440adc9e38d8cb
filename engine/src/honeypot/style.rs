//! How a persona writes a cookie: as the tags and nonces of the device that it pretends to be look.

use std::io::{Cursor, Write as _};

use memchr::memchr;

use super::cookie::{COOKIE_BYTES, Cookie, SLOT_S, Slot, same};

/// Longest text that a style writes, in bytes.
pub const TEXT_BYTES_MAX: usize = 64;

/// A cookie as it is sent.
#[derive(Clone, Copy)]
pub struct Text {
    bytes: [u8; TEXT_BYTES_MAX],
    length: usize,
}

impl Text {
    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A way to write a cookie. Each shows at least 80 of its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `0f8fad5b-d9cb-469f-a165-70867728950e`: a UUID.
    Uuid,
    /// `1795500000/0f8fad5bd9cb469fa16570867728950e`: a time in seconds, and a hash.
    TimeAndHash,
    /// `6b04ee600f8fad5bd9cb469fa16570867728950e`: the same in hexadecimal only.
    HexTimeAndHash,
    /// `0f8fad5bd9cb469fa16570867728950e.f8f0`: a hash and a little more.
    HashAndDot,
    /// `0f8fad5bd9cb469fa16570`: a short hash, for a nonce that must not be long.
    ShortHash,
    /// `1Y7TTPYSSD39Z8B5`: 16 letters and digits, which are the first 80 bits.
    Letters,
}

/// How many bytes of a cookie a short hash shows.
const SHORT_BYTES: usize = 11;

/// How many bytes of a cookie sixteen letters show.
const LETTER_BYTES: usize = 10;

/// Thirty-two digits and letters that cannot be taken for each other.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl Style {
    /// Every style.
    pub const ALL: [Self; 6] = [
        Self::Uuid,
        Self::TimeAndHash,
        Self::HexTimeAndHash,
        Self::HashAndDot,
        Self::ShortHash,
        Self::Letters,
    ];

    /// Writes a cookie of `slot`.
    #[must_use]
    pub fn write(self, cookie: &Cookie, slot: Slot) -> Text {
        let mut out = Cursor::new([0; TEXT_BYTES_MAX]);
        let number = u128::from_be_bytes(*cookie);
        // Some second of the slot before, always the same one: never one that is still to come.
        let second = slot.first_second().saturating_sub(SLOT_S) + (number >> 112) as u64 % SLOT_S;
        // No style is longer than the buffer: a test writes them all.
        let _ = match self {
            Self::Uuid => {
                let [a, b, c, d] = [96, 80, 64, 48].map(|shift| number >> shift);
                let (b, c, d, e) = (b & 0xffff, c & 0xffff, d & 0xffff, number & 0xffff_ffff_ffff);
                write!(out, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
            }
            Self::TimeAndHash => write!(out, "{second}/{number:032x}"),
            Self::HexTimeAndHash => write!(out, "{second:08x}{number:032x}"),
            Self::HashAndDot => {
                write!(out, "{number:032x}.{:04x}", ((number >> 112) as u16).rotate_left(4))
            }
            Self::ShortHash => write!(out, "{:022x}", number >> 40),
            Self::Letters => {
                let letter = |place: usize| LETTERS[(number >> (123 - 5 * place)) as usize & 31];
                out.write_all(&std::array::from_fn::<u8, 16, _>(letter))
            }
        };
        let length = usize::try_from(out.position()).unwrap_or(0);
        Text { bytes: out.into_inner(), length }
    }

    /// The cookie that `text` may write, and how many of its bytes are shown. Who needs to know
    /// compares those, and then the whole text with what is written.
    #[must_use]
    pub fn read(self, text: &[u8]) -> Option<(Cookie, usize)> {
        let hash = match (self, text.len()) {
            (Self::Uuid, 36) | (Self::HashAndDot, 37) | (Self::ShortHash, 22) => text,
            (Self::TimeAndHash, _) => &text[memchr(b'/', text)? + 1..],
            (Self::HexTimeAndHash, 40) => &text[8..],
            (Self::Letters, 16) => return read_letters(text),
            _ => return None,
        };
        let mut digits = hash.iter().filter_map(|byte| char::from(*byte).to_digit(16));
        let mut cookie = [0; COOKIE_BYTES];
        let shown = if self == Self::ShortHash { SHORT_BYTES } else { COOKIE_BYTES };
        for byte in &mut cookie[..shown] {
            let (high, low) = (digits.next()?, digits.next()?);
            *byte = u8::try_from(high << 4 | low).ok()?;
        }
        Some((cookie, shown))
    }

    /// Whether `text` is what is written for `cookie`, of which [`read`](Self::read) gave `given`.
    #[must_use]
    pub fn is(self, text: &[u8], given: &(Cookie, usize), cookie: &Cookie, slot: Slot) -> bool {
        let (given, shown) = given;
        same(&given[..*shown], &cookie[..*shown]) && self.write(cookie, slot).as_bytes() == text
    }
}

fn read_letters(text: &[u8]) -> Option<(Cookie, usize)> {
    let mut number = 0_u128;
    for letter in text {
        let value = LETTERS.iter().position(|known| known == letter)?;
        number = number << 5 | value as u128;
    }
    Some(((number << 48).to_be_bytes(), LETTER_BYTES))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sentrypeer_storage::event::Time;

    use super::*;

    fn slot() -> Slot {
        Slot::of(Time(1_795_521_600_000_000_000))
    }

    fn text(style: Style, cookie: &Cookie) -> String {
        String::from_utf8(style.write(cookie, slot()).as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn each_style_looks_as_its_device_writes() {
        let cookie = *b"\x0f\x8f\xad\x5b\xd9\xcb\x46\x9f\xa1\x65\x70\x86\x77\x28\x95\x0e";
        assert_eq!(text(Style::Uuid, &cookie), "0f8fad5b-d9cb-469f-a165-70867728950e");
        assert_eq!(text(Style::HashAndDot, &cookie), "0f8fad5bd9cb469fa16570867728950e.f8f0");
        // 0x0f8f is 3983, and that is 383 beyond an hour.
        assert_eq!(
            text(Style::TimeAndHash, &cookie),
            format!("{}/0f8fad5bd9cb469fa16570867728950e", 1_795_518_000 + 383)
        );
        assert_eq!(
            text(Style::HexTimeAndHash, &cookie),
            format!("{:08x}0f8fad5bd9cb469fa16570867728950e", 1_795_518_000 + 383)
        );
        assert_eq!(text(Style::ShortHash, &cookie), "0f8fad5bd9cb469fa16570");
        assert_eq!(text(Style::Letters, &cookie), "1Y7TTPYSSD39Z8B5");
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(cookie: Cookie) {
            for style in Style::ALL {
                let text = style.write(&cookie, slot());
                let given = style.read(text.as_bytes()).unwrap();
                prop_assert!(given.1 >= LETTER_BYTES);
                prop_assert_eq!(&given.0[..given.1], &cookie[..given.1]);
                prop_assert!(style.is(text.as_bytes(), &given, &cookie, slot()));
                let mut other = cookie;
                other[9] ^= 1;
                prop_assert!(!style.is(text.as_bytes(), &given, &other, slot()));
            }
        }

        #[test]
        fn any_of_the_first_80_bits_changes_what_is_written(cookie: Cookie, bit in 0..80_usize) {
            let mut other = cookie;
            other[bit / 8] ^= 0x80 >> (bit % 8);
            for style in Style::ALL {
                prop_assert_ne!(text(style, &cookie), text(style, &other));
            }
        }

        #[test]
        fn noise_is_read_without_harm(text in prop::collection::vec(any::<u8>(), 0..80)) {
            for style in Style::ALL {
                prop_assert!(style.read(&text).is_none() || text.len() >= 16);
            }
        }
    }
}
