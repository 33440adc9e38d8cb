//! Digits, eight at a time: the first of them is the lowest byte of a word.

const ONES: u64 = 0x0101_0101_0101_0101;
const ZEROS: u64 = 0x30 * ONES;

/// The first `len` of up to eight characters, of which the first is the lowest byte but for as many `0`
/// as make it eight.
fn eight(text: &[u8], len: usize) -> u64 {
    let word = match text.first_chunk::<8>() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => text.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    let missing = 8 * (8 - len as u32);
    let mask = u64::MAX.checked_shl(missing).unwrap_or(0);
    word.checked_shl(missing).unwrap_or(0) | ZEROS & !mask
}

/// The number that up to sixteen decimal digits are.
pub(crate) fn decimal(text: &[u8], len: usize) -> Option<u64> {
    let upper = len.saturating_sub(8);
    let lower = eight_decimal(eight(&text[upper..], len - upper))?;
    Some(if upper == 0 { 0 } else { eight_decimal(eight(text, upper))? * 100_000_000 } + lower)
}

fn eight_decimal(word: u64) -> Option<u64> {
    let values = word ^ ZEROS;
    // A digit is at most 9, so 6 more reaches none of the four upper bits.
    if (values | values.wrapping_add(0x0606_0606_0606_0606)) & 0xf0f0_f0f0_f0f0_f0f0 != 0 {
        return None;
    }
    // Two, then four, then eight digits make one number.
    let pairs = (values.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000 << 32 | 1) >> 32)
}

/// By how much the letter that follows 9 is more than the character that follows `9`.
fn letter_step(ten: u8) -> u64 {
    u64::from(ten - b'9' - 1)
}

/// The number that up to eight digits of hex are, of which `ten` stands for 10.
pub(crate) fn hex(text: &[u8], len: usize, ten: u8) -> Option<u64> {
    let word = eight(text, len);
    let is_letter = word >> 6 & ONES;
    let values = (word & (15 * ONES)) + 9 * is_letter;
    let is_above_9 = (values + 6 * ONES) >> 4 & ONES;
    let again = values + ZEROS + letter_step(ten) * is_letter;
    if again != word || is_above_9 != is_letter || values & (0xf0 * ONES) != 0 {
        return None;
    }
    let pairs = (values << 4 | values >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs << 8 | pairs >> 16) & 0x0000_ffff_0000_ffff;
    Some((fours << 16 | fours >> 32) & 0xffff_ffff)
}

/// `len` decimal digits, at most eight, of a number.
pub(crate) fn decimal_text(number: u32, len: usize) -> u64 {
    let number = u64::from(number);
    // Four digits in each half, then two in each quarter, then one in each byte. 10486 / 2^20 and
    // 103 / 2^10 are close enough to 1/100 and 1/10 for numbers of four and of two digits.
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | (fours - 100 * hundreds) << 16;
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    let digits = tens | (pairs - 10 * tens) << 8;
    (digits | ZEROS) >> (8 * (8 - len.clamp(1, 8)))
}

/// `len` digits of hex, at most eight, of a number; `ten` stands for 10.
pub(crate) fn hex_text(number: u32, len: usize, ten: u8) -> u64 {
    let number = u64::from(number) << (4 * (8 - len.clamp(1, 8)));
    let fours = number >> 16 & 0xffff | (number & 0xffff) << 32;
    let pairs = fours >> 8 & 0x0000_00ff_0000_00ff | (fours & 0x0000_00ff_0000_00ff) << 16;
    let digits = pairs >> 4 & 0x000f_000f_000f_000f | (pairs & 0x000f_000f_000f_000f) << 8;
    let is_letter = (digits + 6 * ONES) >> 4 & ONES;
    digits + ZEROS + letter_step(ten) * is_letter
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(word: u64, len: usize) -> String {
        String::from_utf8(word.to_le_bytes()[..len].to_vec()).unwrap()
    }

    proptest! {
        #[test]
        fn decimal_digits_are_read_and_written(number in 0..10_000_000_000_000_000u64, len in 1..=16usize) {
            let number = number % 10u64.pow(len as u32);
            let token = format!("{number:0len$}");
            // What follows is not read, and need not be there.
            prop_assert_eq!(decimal(token.as_bytes(), len), Some(number));
            prop_assert_eq!(decimal(format!("{token}@192.0.2.1").as_bytes(), len), Some(number));
            if len <= 8 {
                prop_assert_eq!(text(decimal_text(number as u32, len), len), token);
            }
        }

        #[test]
        fn digits_of_hex_are_read_and_written(number in any::<u32>(), len in 1..=8usize) {
            let number = number >> (4 * (8 - len));
            let (lower, upper) = (format!("{number:0len$x}"), format!("{number:0len$X}"));
            prop_assert_eq!(hex(lower.as_bytes(), len, b'a'), Some(number.into()));
            prop_assert_eq!(hex(upper.as_bytes(), len, b'A'), Some(number.into()));
            prop_assert_eq!(hex(format!("{lower};rport").as_bytes(), len, b'a'), Some(number.into()));
            prop_assert_eq!(text(hex_text(number, len, b'a'), len), lower);
            prop_assert_eq!(text(hex_text(number, len, b'A'), len), upper);
        }
    }

    #[test]
    fn whatever_is_no_digit_is_refused_at_every_place() {
        for len in 1..=8 {
            for (place, byte) in
                (0..len).flat_map(|place| (0..=255u8).map(move |byte| (place, byte)))
            {
                let mut token = vec![b'7'; 8];
                token[place] = byte;
                let is = |known: Option<u64>| known.is_some();
                assert_eq!(is(decimal(&token, len)), byte.is_ascii_digit());
                let (upper, lower) = (b'A'..=b'F', b'a'..=b'f');
                assert_eq!(
                    is(hex(&token, len, b'a')),
                    byte.is_ascii_digit() || lower.contains(&byte)
                );
                assert_eq!(
                    is(hex(&token, len, b'A')),
                    byte.is_ascii_digit() || upper.contains(&byte)
                );
            }
        }
    }

    #[test]
    fn digits_that_are_not_there_are_refused() {
        assert_eq!(decimal(b"123", 4), None);
        assert_eq!(hex(b"123", 4, b'a'), None);
    }
}
