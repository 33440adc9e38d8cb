//! What the parser does with bytes: spans, white space, tokens, numbers, quoted strings.

use super::limits::VALUE_BYTES_MAX;

/// A part of the input by position, half the size of a slice. Empty at 0 means absent: no value can
/// stand there, for the start line comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The span from `start` up to `end`; positions are below
    /// [`INPUT_BYTES_MAX`](super::limits::INPUT_BYTES_MAX), so nothing is cut here.
    #[expect(clippy::cast_possible_truncation, reason = "parse() cuts its input to u32::MAX bytes")]
    #[inline]
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    #[inline]
    pub(super) fn is_absent(self) -> bool {
        self.end == 0
    }

    /// The bytes that the span names; empty if it is absent.
    #[inline]
    pub(super) fn of(self, input: &[u8]) -> &[u8] {
        input.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// SP or HTAB.
#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// What a folded value may have between its words: SP, HTAB, CR, LF (LWS of RFC 3261, 25.1).
#[inline]
pub(super) fn is_lws(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// `bytes` without LWS at either end.
#[inline]
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

/// `bytes` without leading LWS.
#[inline]
pub(super) fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_lws(*first)
    {
        bytes = rest;
    }
    bytes
}

/// `bytes` without LWS at the end.
#[inline]
pub(super) fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., last] = bytes
        && is_lws(*last)
    {
        bytes = rest;
    }
    bytes
}

/// As much of one value as is taken apart.
#[inline]
pub(super) fn readable(value: &[u8]) -> &[u8] {
    &value[..value.len().min(VALUE_BYTES_MAX)]
}

/// `bytes` up to the first byte that `stop` accepts, and from there on.
#[inline]
pub(super) fn split_at_first(bytes: &[u8], stop: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let at = bytes.iter().position(|byte| stop(*byte)).unwrap_or(bytes.len());
    bytes.split_at(at)
}

/// Whether `bytes` begin with `want` in any case. `want` is lower-case.
#[inline]
pub(super) fn starts_with_lower<const N: usize>(bytes: &[u8], want: &[u8; N]) -> bool {
    let Some(bytes) = bytes.first_chunk::<N>() else {
        return false;
    };
    let mut difference = 0;
    for (byte, want) in bytes.iter().zip(want) {
        // Only letters have a case: with the bit set for all, CR would read as "-".
        let case = if want.is_ascii_lowercase() { 0x20 } else { 0 };
        difference |= (byte | case) ^ want;
    }
    difference == 0
}

/// The number that `digits` write, if they are one to any number of decimal digits and nothing else
/// and it is below 2^32.
#[inline]
pub(super) fn decimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    let mut number = 0_u32;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u32::from(digit))?;
    }
    Some(number)
}

/// Where the quoted string that opens at `open` ends (the position after its closing quote), if it
/// ends at all. `quoted-pair = "\" %x00-7F`: a backslash hides the byte behind it.
///
/// A plain loop: a call of `memchr` for each of 30,000 hidden quotes would cost ten times as much,
/// and no more than this for the few bytes that such strings have.
pub(super) fn quoted_end(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The byte that two hexadecimal digits write.
pub(super) fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let high = char::from(high).to_digit(16)?;
    let low = char::from(low).to_digit(16)?;
    u8::try_from(high << 4 | low).ok()
}

/// How many bytes are looked at in one step by the functions that work on whole words.
pub(super) const WINDOW: usize = 16;

/// The highest bit of every byte of `window` that equals `byte`; the lowest such bit is true.
///
/// A byte of `other` is 0 where they are equal. Subtracting 1 from every byte borrows from the
/// highest bit only of such a byte, or of one above it.
#[inline(always)]
pub(super) fn hits(window: u128, byte: u8) -> u128 {
    const ONES: u128 = u128::from_le_bytes([0x01; WINDOW]);
    const HIGHS: u128 = u128::from_le_bytes([0x80; WINDOW]);
    let other = window ^ (ONES * u128::from(byte));
    other.wrapping_sub(ONES) & !other & HIGHS
}

/// The place of the lowest hit in its window; [`WINDOW`] if there is none.
#[inline(always)]
pub(super) fn first_hit(hits: u128) -> usize {
    (hits.trailing_zeros() / 8) as usize
}

/// The first sixteen bytes as a number, the first byte lowest; what is not there is 0.
#[inline]
pub(super) fn window(bytes: &[u8]) -> u128 {
    if let Some(first) = bytes.first_chunk::<WINDOW>() {
        return u128::from_le_bytes(*first);
    }
    let mut padded = [0; WINDOW];
    padded[..bytes.len()].copy_from_slice(bytes);
    u128::from_le_bytes(padded)
}

/// The places of all LF from one place on, in order.
///
/// Lines are short: a search for each would cost more than it saves. So the places in 64 bytes are
/// worked out at once, without a branch, as the bits of a number.
#[derive(Clone, Debug)]
pub(super) struct LineEnds<'a> {
    input: &'a [u8],
    /// Where the block begins whose bits are left in `bits`.
    base: usize,
    bits: u64,
}

impl<'a> LineEnds<'a> {
    #[inline]
    pub(super) fn new(input: &'a [u8], from: usize) -> Self {
        Self { input, base: from, bits: lf_bits(input, from) }
    }

    /// The next LF's place.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<usize> {
        while self.bits == 0 {
            if self.base >= self.input.len() {
                return None;
            }
            self.base += 64;
            self.bits = lf_bits(self.input, self.base);
        }
        let at = self.base + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(at)
    }
}

/// Which of the 64 bytes from `from` on are LF: one bit each, the first one lowest.
#[inline(always)]
fn lf_bits(input: &[u8], from: usize) -> u64 {
    let rest = input.get(from..).unwrap_or_default();
    match rest.first_chunk() {
        Some(block) => lf_bits_of(block),
        None => lf_bits_of(&padded(rest)),
    }
}

/// The last bytes of the input, fewer than 64, as a block.
#[inline(never)]
fn padded(rest: &[u8]) -> [u8; 64] {
    let mut block = [0; 64];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// Each byte that is LF becomes the bit of its word's place, so that the eight words can be laid one
/// upon another; what stands in columns then is turned into rows.
#[inline(always)]
fn lf_bits_of(block: &[u8; 64]) -> u64 {
    let places: [u8; 64] =
        std::array::from_fn(|at| if block[at] == b'\n' { 1 << (at / 8) } else { 0 });
    let (words, _) = places.as_chunks();
    transpose(words.iter().fold(0, |bits, word| bits | u64::from_le_bytes(*word)))
}

/// Bit `j` of byte `i` becomes bit `i` of byte `j`: swaps single bits, then squares of 2 by 2, then
/// of 4 by 4 (Warren, "Hacker's Delight", 7-3).
#[inline(always)]
fn transpose(mut bits: u64) -> u64 {
    for (distance, mask) in
        [(7, 0x00aa_00aa_00aa_00aa), (14, 0x0000_cccc_0000_cccc), (28, 0x0000_0000_f0f0_f0f0)]
    {
        let swap = (bits ^ (bits >> distance)) & mask;
        bits ^= swap ^ (swap << distance);
    }
    bits
}

/// What one look at every byte of the head tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    /// Whether there is a CR without LF.
    pub(super) bare_cr: bool,
    /// Whether there is an LF without CR.
    pub(super) bare_lf: bool,
    /// Whether there is a NUL.
    pub(super) nul: bool,
    /// Whether a byte has its highest bit set.
    pub(super) high: bool,
}

const BLOCK: usize = 128;

impl Census {
    /// Looks at `bytes`. One pass over blocks, for which the compiler writes vector code, says
    /// whether there is anything at all; it is not looked for in a head that has nothing.
    pub(super) fn of(bytes: &[u8]) -> Self {
        if Self::is_plain(bytes) { Self::default() } else { Self::slowly(bytes) }
    }

    /// Whether there is certainly nothing to tell. Each byte is compared with the next one.
    fn is_plain(bytes: &[u8]) -> bool {
        let [before @ .., b'\n'] = bytes else {
            return false;
        };
        let behind = &bytes[1..];
        // The last block overlaps the one before it, so that there is no rest.
        let (Some(last), Some(last_behind)) = (before.last_chunk(), behind.last_chunk()) else {
            return false;
        };
        let blocks = before.as_chunks().0.iter().zip(behind.as_chunks().0);
        let mut odd = bytes[0] == b'\n' || is_odd(last, last_behind);
        for (block, behind) in blocks {
            odd |= is_odd(block, behind);
        }
        !odd
    }

    fn slowly(bytes: &[u8]) -> Self {
        let mut census = Self::default();
        let mut before = 0;
        for byte in bytes {
            census.bare_cr |= before == b'\r' && *byte != b'\n';
            census.bare_lf |= before != b'\r' && *byte == b'\n';
            census.nul |= *byte == 0;
            census.high |= *byte >= 0x80;
            before = *byte;
        }
        census.bare_cr |= before == b'\r';
        census
    }
}

/// Whether a CR of `block` has no LF in its place of `next`, or an LF of `next` no CR, or a byte of
/// `block` is NUL or has its highest bit set.
#[inline]
fn is_odd(block: &[u8; BLOCK], next: &[u8; BLOCK]) -> bool {
    let mut odd = false;
    for (byte, next) in block.iter().zip(next) {
        odd |= (*byte == b'\r') != (*next == b'\n');
        odd |= byte.cast_signed() < 1;
    }
    odd
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Bytes as dense in what is looked for as heads never are.
    fn dense() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop::sample::select(&b"\r\n\r\n\r\nabc \t:\0\xff\xc3\xa9\x0b\x8a"[..]);
        prop_oneof![
            vec(byte, 0..300),
            vec(any::<u8>(), 0..600),
            vec(Just(b'x'), 0..600).prop_map(|mut line| {
                line.extend_from_slice(b"\r\n");
                line
            }),
        ]
    }

    proptest! {
        #[test]
        fn line_ends_are_all_lf_from_a_place_on(bytes in dense(), from in 0..80_usize) {
            let mut ends = LineEnds::new(&bytes, from);
            let found: Vec<usize> = std::iter::from_fn(|| ends.next()).collect();
            let all = bytes.iter().enumerate().filter(|(at, byte)| *at >= from && **byte == b'\n');
            prop_assert_eq!(found, all.map(|(at, _)| at).collect::<Vec<_>>());
        }

        #[test]
        fn a_quick_census_tells_what_a_slow_one_does(bytes in dense(), odd in any::<[u8; 3]>(), at in any::<[prop::sample::Index; 3]>()) {
            let mut bytes = bytes;
            prop_assert_eq!(Census::of(&bytes), Census::slowly(&bytes));
            for (byte, at) in odd.into_iter().zip(at).take(bytes.len()) {
                let at = at.index(bytes.len());
                bytes[at] = byte;
                prop_assert_eq!(Census::of(&bytes), Census::slowly(&bytes));
            }
        }

        #[test]
        fn the_lowest_hit_is_the_first_equal_byte(bytes in any::<[u8; WINDOW]>(), byte in any::<u8>()) {
            let found = first_hit(hits(u128::from_le_bytes(bytes), byte));
            prop_assert_eq!(found, bytes.iter().position(|b| *b == byte).unwrap_or(WINDOW));
        }
    }

    #[test]
    fn a_census_names_what_is_in_a_head() {
        let head = b"A: b\r\n".repeat(60);
        assert_eq!(Census::of(&head), Census::default());
        let with = |byte: u8| {
            let mut head = head.clone();
            head[200] = byte;
            Census::of(&head)
        };
        assert_eq!(with(b'\r'), Census { bare_cr: true, ..Census::default() });
        assert_eq!(with(b'\n'), Census { bare_lf: true, ..Census::default() });
        assert_eq!(with(0), Census { nul: true, ..Census::default() });
        assert_eq!(with(0xe9), Census { high: true, ..Census::default() });
    }

    #[test]
    fn a_decimal_is_digits_only_and_below_two_to_the_32nd() {
        assert_eq!(decimal(b"0068"), Some(68));
        assert_eq!(decimal(b"4294967295"), Some(u32::MAX));
        for bad in [&b""[..], b"4294967296", b"-1", b"+1", b"1 ", b"1a", b"99999999999999999999"] {
            assert_eq!(decimal(bad), None);
        }
    }

    #[test]
    fn a_backslash_hides_a_quote_and_itself() {
        assert_eq!(quoted_end(b"\"a\\\"b\"c", 0), Some(6));
        assert_eq!(quoted_end(b"\"a\\\\\"c", 0), Some(5));
        assert_eq!(quoted_end(b"\"a\\\"", 0), None);
        assert_eq!(quoted_end(b"\"a\\", 0), None);
        assert_eq!(quoted_end(b"\"", 0), None);
    }

    #[test]
    fn a_name_matches_in_any_case_but_not_by_its_bits() {
        assert!(starts_with_lower(b"Call-ID: x", b"call-id"));
        // CR is "-" without one bit.
        assert!(!starts_with_lower(b"Call\rID: x", b"call-id"));
        assert!(!starts_with_lower(b"Cal", b"call-id"));
    }
}
