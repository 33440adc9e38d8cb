//! Looking at bytes: how long two texts are the same, where tokens and lines begin and end, hashes.

use memchr::memchr;

use crate::alphabet::{ALPHANUMERIC, CLASS, IN_HARD};

/// What ends a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Anything but letters and digits.
    Soft,
    /// What separates the parts of a header.
    Hard,
    /// Anything but hex digits, colons and dots.
    Address,
}

/// So many bytes are looked at at once, with ordinary arithmetic that becomes vector code.
pub(crate) const BLOCK: usize = 16;

/// The block of bytes from `at` on.
pub(crate) fn block(text: &[u8], at: usize) -> Option<u128> {
    Some(u128::from_le_bytes(*text.get(at..)?.first_chunk::<BLOCK>()?))
}

/// Where in a block the first byte is that is not 0.
fn first_set(block: u128) -> usize {
    (block.trailing_zeros() / 8) as usize
}

/// How many bytes, at most `len`, are the same in both from `at` and `there` on.
pub(crate) fn common(a: &[u8], at: usize, b: &[u8], there: usize, len: usize) -> usize {
    let (Some(a), Some(b)) = (a.get(at..), b.get(there..)) else { return 0 };
    let number = |bytes: &[u8]| block(bytes, 0).unwrap_or_default();
    let mut same = 0;
    for (x, y) in a.chunks_exact(BLOCK).zip(b.chunks_exact(BLOCK)) {
        let differ = number(x) ^ number(y);
        if differ != 0 {
            return len.min(same + first_set(differ));
        }
        same += BLOCK;
        if same >= len {
            return len;
        }
    }
    let rest = a[same..].iter().zip(&b[same..]).take(len - same);
    same + rest.take_while(|(x, y)| x == y).count()
}

/// Where the token at `from` ends.
pub(crate) fn token_end(text: &[u8], from: usize, extent: Extent) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let in_hard = |byte: &u8| CLASS[usize::from(*byte)] & IN_HARD != 0;
    from + match extent {
        Extent::Soft => soft_len(rest),
        Extent::Hard => rest.iter().take_while(|byte| in_hard(byte)).count(),
        Extent::Address => rest.iter().take_while(|byte| is_in_address(**byte)).count(),
    }
}

/// How many letters and digits `text` begins with.
fn soft_len(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(bytes) = text[at..].first_chunk::<BLOCK>() {
        let mut others = [0; BLOCK];
        for (other, byte) in others.iter_mut().zip(bytes) {
            let digit = byte.wrapping_sub(b'0') < 10;
            let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
            *other = if digit | letter { 0 } else { 0xff };
        }
        let others = u128::from_le_bytes(others);
        if others != 0 {
            return at + first_set(others);
        }
        at += BLOCK;
    }
    at + text[at..].iter().take_while(|byte| is_alphanumeric(**byte)).count()
}

pub(crate) fn is_alphanumeric(byte: u8) -> bool {
    CLASS[usize::from(byte)] & ALPHANUMERIC != 0
}

/// Whether an address may have this byte, of whichever family.
pub(crate) fn is_in_address(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || b":.".contains(&byte)
}

/// The classes that all bytes of a token have.
pub(crate) fn classes(token: &[u8]) -> u8 {
    token.iter().fold(u8::MAX, |all, byte| all & CLASS[usize::from(*byte)])
}

/// How many bytes before `to`, but not before `floor`, all are in a set.
pub(crate) fn back_while(text: &[u8], floor: usize, to: usize, set: impl Fn(u8) -> bool) -> usize {
    let before = text.get(floor..to).unwrap_or_default();
    before.iter().rev().take_while(|byte| set(**byte)).count()
}

/// Where the line ends that `from` is in: before its CR LF or LF, or at the end.
pub(crate) fn line_end(text: &[u8], from: usize) -> usize {
    let Some(len) = memchr(b'\n', &text[from..]) else { return text.len() };
    let end = from + len;
    end - usize::from(len > 0 && text[end - 1] == b'\r')
}

/// Where the next line begins.
pub(crate) fn next_line(text: &[u8], from: usize) -> usize {
    memchr(b'\n', &text[from..]).map_or(text.len(), |len| from + len + 1)
}

/// With what a line begins that tells which one it is: the name of a header or of an attribute of a
/// session description (RFC 8866), and what ends it; of its other lines the letter.
pub(crate) fn line_name(line: &[u8]) -> &[u8] {
    const NAME_MAX: usize = 24;
    let start = &line[..line.len().min(NAME_MAX)];
    if let [letter, b'=', ..] = start
        && *letter != b'a'
    {
        return &start[..2];
    }
    let in_name = |byte: &u8| byte.is_ascii_alphabetic() || b"-=".contains(byte);
    let len = start.iter().take_while(|byte| in_name(byte)).count();
    &start[..start.len().min(len + 1)]
}

/// An odd number whose bits look random: 2^64 divided by the golden ratio.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// A step of all hashes here. They have no secret: who makes messages whose hashes are the same makes them
/// pack worse, and not slower, for every table tries a bounded number of places.
pub(crate) fn mix(sum: u64, word: u64) -> u64 {
    let sum = (sum ^ word).wrapping_mul(MIX);
    sum ^ sum >> 29
}

fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<8>().map_or(0, |word| u64::from_le_bytes(*word))
}

/// A number that two different tokens hardly share.
pub(crate) fn token_hash(token: &[u8]) -> u64 {
    let len = token.len();
    let ends = match len.checked_sub(8) {
        Some(last) => word(token) ^ word(&token[last..]).rotate_left(23),
        None => token.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    };
    mix(len as u64, ends)
}

/// The hash of a text after that of others.
pub(crate) fn hash(start: u64, text: &[u8]) -> u64 {
    let words = text.chunks_exact(8);
    let rest = words.remainder().iter().fold(1, |sum, byte| sum << 8 | u64::from(*byte));
    mix(words.fold(start, |sum, bytes| mix(sum, word(bytes))), rest)
}

/// The hash of how a message is laid out: with what its second and the next lines begin.
pub(crate) fn layout_hash(start: u64, message: &[u8]) -> u64 {
    const LINES: usize = 8;
    let ends = memchr::memchr_iter(b'\n', message).take(LINES);
    ends.fold(mix(start, 1), |sum, end| mix(sum, word(&message[end + 1..]) & 0xffff_ffff))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_the_same_is_counted_to_the_byte(
            before in prop::collection::vec(any::<u8>(), 0..3),
            same in prop::collection::vec(any::<u8>(), 0..80),
            (x, y) in (prop::collection::vec(b'a'..=b'm', 0..40), prop::collection::vec(b'n'..=b'z', 0..40)),
            len in 0..100usize,
        ) {
            let a = [&same[..], &x].concat();
            let b = [&before[..], &same, &y].concat();
            let room = len.min(b.len() - before.len());
            prop_assert_eq!(common(&a, 0, &b, before.len(), room), room.min(same.len()));
        }

        #[test]
        fn a_token_ends_where_its_set_does(text in "[a-zA-Z0-9:;.@ -]{0,60}", from in 0..60usize) {
            let text = text.as_bytes();
            let from = from.min(text.len());
            for (extent, is_in) in [
                (Extent::Soft, &(|b: u8| b.is_ascii_alphanumeric()) as &dyn Fn(u8) -> bool),
                (Extent::Hard, &|b: u8| !b":;@ ".contains(&b)),
                (Extent::Address, &|b: u8| b.is_ascii_hexdigit() || b":.".contains(&b)),
            ] {
                let len = text[from..].iter().take_while(|b| is_in(**b)).count();
                prop_assert_eq!(token_end(text, from, extent), from + len);
            }
        }
    }

    #[test]
    fn lines_are_found() {
        let text = b"one\r\ntwo\nthree";
        assert_eq!([line_end(text, 1), line_end(text, 5), line_end(text, 10)], [3, 8, 14]);
        assert_eq!([next_line(text, 1), next_line(text, 5), next_line(text, 10)], [5, 9, 14]);
        // Between CR and LF the line has ended already, and nothing goes back.
        assert_eq!(line_end(text, 4), 4);
    }

    #[test]
    fn lines_have_names() {
        let name = |line: &'static str| line_name(line.as_bytes());
        assert_eq!(name("Content-Type: a"), b"Content-Type:");
        assert_eq!(name("a=rtpmap:0 PCMU"), b"a=rtpmap:");
        assert_eq!(name("a=sendrecv\r\n"), b"a=sendrecv\r");
        assert_eq!(name("o=root 1 1"), b"o=");
        assert_eq!(name("\r\n"), b"\r");
        assert_eq!(name(""), b"");
    }

    #[test]
    fn the_layout_is_the_names_of_lines_and_not_what_they_say() {
        let hash = |text: &str| layout_hash(1, text.as_bytes());
        assert_eq!(hash("A\r\nVia: 12345\r\nTo: 1\r\n"), hash("B\r\nVia: 45678\r\nTo: 2\r\n"));
        assert_ne!(hash("A\r\nVia: 12345\r\nTo: 1\r\n"), hash("A\r\nTo: 1\r\nVia: 12345\r\n"));
    }
}
