//! Tokens of few kinds of characters, as numbers of few bits.

use crate::bits::{BitReader, BitWriter, WIDTH_MAX};
use crate::digits::{decimal, decimal_text, hex, hex_text};
use crate::output::Output;

/// The characters of all alphabets. Those of each but [`HEX_UPPER`] and [`HEX_MIXED`] are its first ones.
const CHARACTERS: &[u8; 68] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._+/~";
const HEX_MIXED_CHARACTERS: &[u8; 22] = b"0123456789abcdefABCDEF";
const HEX_UPPER_CHARACTERS: &[u8; 16] = b"0123456789ABCDEF";

/// A set of characters. The number of each is part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alphabet(u8);

const DECIMAL: u8 = 0;
const HEX: u8 = 1;
const HEX_UPPER: u8 = 2;
const HEX_MIXED: u8 = 3;
const BASE36: u8 = 4;
const BASE62: u8 = 5;
const WORD: u8 = 6;

/// How many alphabets there are.
pub(crate) const ALPHABETS: usize = 7;

/// How many characters each has.
const RADIX: [u64; ALPHABETS] = [10, 16, 16, 22, 36, 62, 68];

/// How many characters of each make one number: such that few bits of at most [`WIDTH_MAX`] are wasted,
/// and eight or sixteen digits can be read at once.
const GROUP: [usize; ALPHABETS] = [16, 8, 8, 10, 10, 9, 9];

/// Bits of a number that stands for 0, 1, 2 … characters.
const WIDTH: [[u8; 17]; ALPHABETS] = {
    let mut widths = [[0; 17]; ALPHABETS];
    let mut alphabet = 0;
    while alphabet < ALPHABETS {
        let mut len = 1;
        while len <= GROUP[alphabet] {
            let most = RADIX[alphabet].pow(len as u32) - 1;
            widths[alphabet][len] = (u64::BITS - most.leading_zeros()) as u8;
            len += 1;
        }
        assert!(widths[alphabet][GROUP[alphabet]] as u32 <= WIDTH_MAX);
        alphabet += 1;
    }
    widths
};

/// How many tokens of 0, 1, 2 … characters there are.
const COUNT: [[u64; 17]; ALPHABETS] = {
    let mut counts = [[0; 17]; ALPHABETS];
    let mut alphabet = 0;
    while alphabet < ALPHABETS {
        let mut len = 0;
        while len <= GROUP[alphabet] {
            counts[alphabet][len] = RADIX[alphabet].pow(len as u32);
            len += 1;
        }
        alphabet += 1;
    }
    counts
};

/// For each byte: the alphabets that have it, as bits, and [`IN_HARD`].
pub(crate) const CLASS: [u8; 256] = {
    let mut classes = [IN_HARD; 256];
    let mut n = 0;
    while n < CHARACTERS.len() {
        let byte = CHARACTERS[n] as usize;
        let mut alphabet = 0;
        while alphabet < ALPHABETS {
            let (own, _) = digit(alphabet, CHARACTERS[n]);
            classes[byte] |= (own as u8) << alphabet;
            alphabet += 1;
        }
        n += 1;
    }
    let hard = b"\r\n\t ;@<>\",:=?&()[]";
    let mut n = 0;
    while n < hard.len() {
        classes[hard[n] as usize] = 0;
        n += 1;
    }
    classes
};

/// The bit of [`CLASS`] that letters and digits have.
pub(crate) const ALPHANUMERIC: u8 = 1 << BASE62;
/// The bit of [`CLASS`] that everything has but what separates the parts of a header.
pub(crate) const IN_HARD: u8 = 1 << 7;
/// The bit of [`CLASS`] that digits have.
pub(crate) const DIGIT: u8 = 1 << DECIMAL;

/// Whether an alphabet has a character, and its value there.
const fn digit(alphabet: usize, byte: u8) -> (bool, u8) {
    let all: &[u8] = match alphabet as u8 {
        HEX_UPPER => HEX_UPPER_CHARACTERS,
        HEX_MIXED => HEX_MIXED_CHARACTERS,
        _ => CHARACTERS,
    };
    let mut n = 0;
    while n < RADIX[alphabet] as usize {
        if all[n] == byte {
            return (true, n as u8);
        }
        n += 1;
    }
    (false, 0)
}

/// The value of each byte in each alphabet, [`FOREIGN`] for what it does not have.
const VALUE: [[u8; 256]; ALPHABETS] = {
    let mut values = [[FOREIGN; 256]; ALPHABETS];
    let mut alphabet = 0;
    while alphabet < ALPHABETS {
        let mut n = 0;
        while n < CHARACTERS.len() {
            let (own, value) = digit(alphabet, CHARACTERS[n]);
            if own {
                values[alphabet][CHARACTERS[n] as usize] = value;
            }
            n += 1;
        }
        alphabet += 1;
    }
    values
};

/// A bit that no value has.
const FOREIGN: u8 = 0x80;

impl Alphabet {
    pub(crate) const HEX: Self = Self(HEX);

    /// The alphabet of this number, or the last one.
    pub(crate) fn from_number(number: u8) -> Self {
        Self(number.min(WORD))
    }

    pub(crate) fn number(self) -> u8 {
        self.0
    }

    /// The smallest of a set of alphabets.
    pub(crate) fn smallest(classes: u8) -> Option<Self> {
        let number = classes.trailing_zeros() as u8;
        (number <= WORD).then_some(Self(number))
    }

    pub(crate) fn is_in(self, classes: u8) -> bool {
        classes >> self.0 & 1 != 0
    }

    /// Whether words have it, and not numbers alone.
    pub(crate) fn has_words(self) -> bool {
        self.0 >= BASE36
    }

    /// Bits of a token of `len` characters.
    pub(crate) fn bits(self, len: usize) -> usize {
        let n = usize::from(self.0);
        let whole = len / GROUP[n] * usize::from(WIDTH[n][GROUP[n]]);
        whole + usize::from(WIDTH[n][len % GROUP[n]])
    }

    /// Whether tokens of it are likely to come again.
    pub(crate) fn repeats(self) -> bool {
        self.0 == DECIMAL || self.has_words()
    }

    /// Writes the first `len` bytes of `text`, if all of them are in this alphabet.
    pub(crate) fn pack(self, text: &[u8], len: usize, to: &mut BitWriter) -> Option<()> {
        match self.0 {
            DECIMAL => pack_groups::<DECIMAL>(text, len, to, decimal),
            HEX => pack_groups::<HEX>(text, len, to, |text, len| hex(text, len, b'a')),
            HEX_UPPER => pack_groups::<HEX_UPPER>(text, len, to, |text, len| hex(text, len, b'A')),
            HEX_MIXED => pack_groups::<HEX_MIXED>(text, len, to, number::<HEX_MIXED, 22>),
            BASE36 => pack_groups::<BASE36>(text, len, to, number::<BASE36, 36>),
            BASE62 => pack_groups::<BASE62>(text, len, to, number::<BASE62, 62>),
            _ => pack_groups::<WORD>(text, len, to, number::<WORD, 68>),
        }
    }

    /// Appends the token of `len` characters that was packed.
    pub(crate) fn unpack(
        self,
        len: usize,
        from: &mut BitReader<'_>,
        to: &mut Output<'_>,
    ) -> Option<()> {
        match self.0 {
            DECIMAL => unpack_groups::<DECIMAL>(len, from, to, put_decimal),
            HEX => unpack_groups::<HEX>(len, from, to, |number, len, to| {
                to.eight(hex_text(number as u32, len, b'a'), len)
            }),
            HEX_UPPER => unpack_groups::<HEX_UPPER>(len, from, to, |number, len, to| {
                to.eight(hex_text(number as u32, len, b'A'), len)
            }),
            HEX_MIXED => unpack_groups::<HEX_MIXED>(len, from, to, |number, len, to| {
                put_text::<22>(HEX_MIXED_CHARACTERS, number, len, to)
            }),
            BASE36 => unpack_groups::<BASE36>(len, from, to, |number, len, to| {
                put_text::<36>(CHARACTERS, number, len, to)
            }),
            BASE62 => unpack_groups::<BASE62>(len, from, to, |number, len, to| {
                put_text::<62>(CHARACTERS, number, len, to)
            }),
            _ => unpack_groups::<WORD>(len, from, to, |number, len, to| {
                put_text::<68>(CHARACTERS, number, len, to)
            }),
        }
    }
}

/// Writes a number for each group of characters; `number` reads one from the begin of a text.
fn pack_groups<const ALPHABET: u8>(
    text: &[u8],
    len: usize,
    to: &mut BitWriter,
    number: impl Fn(&[u8], usize) -> Option<u64>,
) -> Option<()> {
    let n = usize::from(ALPHABET);
    let before = to.mark();
    let mut at = 0;
    while at < len {
        let here = GROUP[n].min(len - at);
        let Some(number) = number(text.get(at..)?, here) else {
            to.rewind(before);
            return None;
        };
        to.put(number, u32::from(WIDTH[n][here]));
        at += here;
    }
    Some(())
}

/// The number that `len` characters are. With the radix as a constant, multiplying is cheap.
fn number<const ALPHABET: u8, const RADIX: u64>(text: &[u8], len: usize) -> Option<u64> {
    let mut all = 0;
    let number = text.get(..len)?.iter().fold(0, |sum, byte| {
        let value = VALUE[usize::from(ALPHABET)][usize::from(*byte)];
        all |= value;
        sum * RADIX + u64::from(value & !FOREIGN)
    });
    (all & FOREIGN == 0).then_some(number)
}

/// Appends a token of `len` characters; `put` appends those of one number.
fn unpack_groups<const ALPHABET: u8>(
    len: usize,
    from: &mut BitReader<'_>,
    to: &mut Output<'_>,
    put: impl Fn(u64, usize, &mut Output<'_>) -> Option<()>,
) -> Option<()> {
    let n = usize::from(ALPHABET);
    let mut left = len;
    while left > 0 {
        let here = left.min(GROUP[n]);
        left -= here;
        let number = from.take(u32::from(WIDTH[n][here]))?;
        put(Some(number).filter(|number| *number < COUNT[n][here])?, here, to)?;
    }
    Some(())
}

/// Up to sixteen decimal digits.
fn put_decimal(number: u64, len: usize, to: &mut Output<'_>) -> Option<()> {
    if len <= 8 {
        return to.eight(decimal_text(number as u32, len), len);
    }
    let (upper, lower) = (number / 100_000_000, number % 100_000_000);
    to.eight(decimal_text(upper as u32, len - 8), len - 8)?;
    to.eight(decimal_text(lower as u32, 8), 8)
}

/// Up to sixteen characters of any alphabet.
fn put_text<const RADIX: u32>(
    characters: &[u8],
    number: u64,
    len: usize,
    to: &mut Output<'_>,
) -> Option<()> {
    // Two halves that do not wait for each other.
    let (upper, lower) = (number / u64::from(RADIX.pow(HALF)), number % u64::from(RADIX.pow(HALF)));
    let (mut upper, mut lower) = (upper as u32, lower as u32);
    let mut text = [0; 16];
    for n in 0..HALF as usize {
        // The remainder is below the radix, so there is a character.
        text[15 - n] = characters[(lower % RADIX) as usize];
        text[15 - n - HALF as usize] = characters[(upper % RADIX) as usize];
        (upper, lower) = (upper / RADIX, lower / RADIX);
    }
    to.sixteen(u128::from_le_bytes(text) >> (8 * (16 - len)), len)
}

/// Characters of half a group, rounded up. Their number fits 32 bits.
const HALF: u32 = 5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn characters(alphabet: Alphabet) -> Vec<u8> {
        (0..=255).filter(|byte| alphabet.is_in(CLASS[usize::from(*byte)])).collect()
    }

    proptest! {
        #[test]
        fn tokens_come_back_as_they_went_in(
            number in 0..ALPHABETS as u8,
            picks in prop::collection::vec(any::<prop::sample::Index>(), 0..100),
        ) {
            let alphabet = Alphabet::from_number(number);
            let all = characters(alphabet);
            let token: Vec<u8> = picks.iter().map(|pick| all[pick.index(all.len())]).collect();
            let mut writer = BitWriter::default();
            prop_assert!(alphabet.pack(&token, token.len(), &mut writer).is_some());
            prop_assert_eq!(writer.len_bits(), alphabet.bits(token.len()));
            let mut bytes = Vec::new();
            writer.copy_to(&mut bytes);
            let mut read = Vec::new();
            let mut output = Output::new(&mut read, token.len());
            prop_assert!(alphabet.unpack(token.len(), &mut BitReader::new(&bytes), &mut output).is_some());
            prop_assert!(output.finish().is_some());
            prop_assert_eq!(read, token);
        }
    }

    #[test]
    fn each_alphabet_has_as_many_characters_as_it_says() {
        for number in 0..ALPHABETS as u8 {
            let alphabet = Alphabet::from_number(number);
            assert_eq!(characters(alphabet).len() as u64, RADIX[usize::from(number)]);
        }
    }

    #[test]
    fn a_token_takes_hardly_more_bits_than_its_characters_are_worth() {
        for number in 0..ALPHABETS as u8 {
            let alphabet = Alphabet::from_number(number);
            let radix = RADIX[usize::from(number)] as f64;
            let (bits, worth) = (alphabet.bits(90) as f64, 90.0 * radix.log2());
            assert!(bits >= worth && bits < worth * 1.02, "{bits} for {worth}");
        }
    }

    #[test]
    fn the_smallest_alphabet_of_a_token_is_found() {
        let smallest = |token: &[u8]| {
            let classes = token.iter().fold(u8::MAX, |all, byte| all & CLASS[usize::from(*byte)]);
            Alphabet::smallest(classes).map(Alphabet::number)
        };
        assert_eq!(smallest(b"0123456789"), Some(DECIMAL));
        assert_eq!(smallest(b"09af"), Some(HEX));
        assert_eq!(smallest(b"09AF"), Some(HEX_UPPER));
        assert_eq!(smallest(b"aF"), Some(HEX_MIXED));
        assert_eq!(smallest(b"xyz1"), Some(BASE36));
        assert_eq!(smallest(b"Zz"), Some(BASE62));
        assert_eq!(smallest(b"a.b-c"), Some(WORD));
        assert_eq!(smallest(b"a*b"), None);
        assert_eq!(smallest(b"\xff"), None);
    }

    #[test]
    fn what_separates_is_in_no_alphabet() {
        for byte in b"\r\n\t ;@<>\",:=?&()[]" {
            assert_eq!(CLASS[usize::from(*byte)], 0);
        }
    }
}
