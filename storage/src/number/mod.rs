//! One normal form of a called number, and whom it is for.
//!
//! An event keeps the number as it was sent. What is counted, listed and looked up is its
//! *comparison key*: the same number without the visual separators of RFC 3966, section 5.1.1
//! (`-`, `.`, `(`, `)`) and without spaces. So `+44 (20) 7123-4567` and `+442071234567` are one
//! number. Leading zeros, `+`, `*` and `#` are part of a number and stay. A name such as `john.doe`
//! is not a telephone number, and its separators stay too.
//!
//! Nor do parameters count that a user part may carry over from a `tel:` URI (RFC 3261, section
//! 19.1.6): the key of `+44-20;phone-context=x` is `+4420`, that of `user;par=x` all of it.
//!
//! The key keeps apart what was dialled differently. [`Target`] tells which subscriber that leads
//! to, where it can be told.

mod countries;
pub mod plans;
mod target;

pub use target::{Basis, DIGITS_MAX, Target};

use crate::event::NUMBER_BYTES_MAX;

/// The country of the subscriber that a number leads to, ISO 3166-1 alpha-2; zeros where it cannot be
/// told, or is none.
#[must_use]
pub fn country_code(number: &[u8]) -> [u8; 2] {
    let country = Target::read(number).and_then(|target| target.country());
    country.and_then(|code| code.as_bytes().try_into().ok()).unwrap_or_default()
}

/// Writes the comparison key of `number` into `buffer` and returns it; a number that needs no change
/// is returned as it is. Longer numbers than [`NUMBER_BYTES_MAX`] are cut there.
pub fn comparison_key<'a>(number: &'a [u8], buffer: &'a mut [u8; NUMBER_BYTES_MAX]) -> &'a [u8] {
    let number = without_parameters(&number[..number.len().min(NUMBER_BYTES_MAX)]);
    if !number.iter().copied().any(is_separator) || !is_telephone(number) {
        return number;
    }
    let mut len = 0;
    for &byte in number.iter().filter(|byte| !is_separator(**byte)) {
        buffer[len] = byte;
        len += 1;
    }
    &buffer[..len]
}

/// RFC 3966: `telephone-subscriber = global-number / local-number`, both followed by `*par`, and
/// `par = ";" ...`.
fn without_parameters(number: &[u8]) -> &[u8] {
    let end = number.iter().position(|byte| *byte == b';').unwrap_or(number.len());
    if is_telephone(&number[..end]) { &number[..end] } else { number }
}

/// RFC 3966: `visual-separator = "-" / "." / "(" / ")"`; people also write spaces.
fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'.' | b'(' | b')' | b' ')
}

/// Only what can be dialled and separators, and at least one digit.
fn is_telephone(number: &[u8]) -> bool {
    number.iter().any(u8::is_ascii_digit)
        && number.iter().all(|byte| is_dialled(*byte) || is_separator(*byte))
}

fn is_dialled(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'+' | b'*' | b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: &str) -> String {
        let mut buffer = [0; NUMBER_BYTES_MAX];
        String::from_utf8(comparison_key(number.as_bytes(), &mut buffer).to_vec()).unwrap()
    }

    #[test]
    fn separators_of_a_telephone_number_do_not_count() {
        assert_eq!(key("+44 (20) 7123-45.67"), "+442071234567");
        assert_eq!(key("+442071234567"), "+442071234567");
    }

    #[test]
    fn leading_zeros_stars_and_hashes_stay() {
        assert_eq!(key("00-11*22#"), "0011*22#");
    }

    #[test]
    fn a_name_keeps_its_dots_and_a_lone_separator_stays() {
        assert_eq!(key("john.doe-1"), "john.doe-1");
        assert_eq!(key("---"), "---");
        assert_eq!(key(""), "");
    }

    #[test]
    fn parameters_of_a_telephone_number_do_not_count_and_those_of_a_name_do() {
        assert_eq!(key("+44-20;phone-context=x"), "+4420");
        assert_eq!(key("100;a;b"), "100");
        assert_eq!(key("user;par=x"), "user;par=x");
        assert_eq!(key("u1-2;par=x"), "u1-2;par=x");
        assert_eq!(key(";phone-context=x"), ";phone-context=x");
        assert_eq!(key("-;x"), "-;x");
    }

    #[test]
    fn a_number_beyond_the_maximum_is_cut() {
        assert_eq!(key(&"1-".repeat(200)), "1".repeat(NUMBER_BYTES_MAX / 2));
    }
}
