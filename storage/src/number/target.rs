//! Which subscriber a dialled number is for, where that can be told.
//!
//! Who looks for a way out of a PBX dials one target in many forms: `+46500729221`,
//! `0046500729221`, `901146500729221`, `981046500729221`. The reading takes off what only opens the
//! way and leaves the international number of ITU-T E.164, 15 digits at most.
//!
//! In this order, and the first that a numbering plan allows is the reading:
//!
//! 1. the digits behind `+` (RFC 3966, section 5.1.4);
//! 2. the digits as they are, if they are 11 or more: fewer are as likely a national number;
//! 3. what stands behind an international prefix (`00`, `011`, or `810`, which is 8~10): right
//!    behind `00`, or behind any of them and whatever was dialled before it, if that leaves 10
//!    digits or more. So outside-line digits need no list, and nor do `000`, `0011` and `9011`.
//!
//! Of several prefixes the leftmost counts that leaves a possible number. A wrong reading puts two
//! targets together, a missing one only leaves them apart. So what can as well be read otherwise is
//! not read: see [`is_national_elsewhere`], and bare digits that also hold a prefix.
//!
//! Nothing is put in front of a number: neither its `phone-context`, which RFC 3966, section 5.1.5,
//! forbids, nor a country code that would have to be guessed.

use std::fmt;

use super::comparison_key;
use super::countries::{self, Owner};
use crate::event::NUMBER_BYTES_MAX;

/// Digits of an international number, country code and all (ITU-T E.164, section 6.2.1).
pub const DIGITS_MAX: usize = 15;

/// Fewer digits than this that stand alone are as likely a national number.
const BARE_DIGITS_MIN: usize = 11;

/// Fewer digits than this behind a prefix that something stands before, and behind 011 or 810, may
/// be the rest of a national number: 0114 496 0123 is in Sheffield, 810 555 0123 in Michigan.
const PREFIXED_DIGITS_MIN: usize = 10;

/// What international calls begin with in most countries, North America, and the former Soviet
/// Union.
const PREFIXES: [&[u8]; 3] = [b"00", b"011", b"810"];

/// Why digits are read as an international number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// They were written with `+`.
    Plus,
    /// They stand behind an international prefix.
    Prefix,
    /// They are an international number as they are.
    Bare,
}

impl Basis {
    /// The name in documents: `plus`, `prefix` or `bare`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plus => "plus",
            Self::Prefix => "prefix",
            Self::Bare => "bare",
        }
    }
}

/// The international number that was dialled. Shown as `+46500729221`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// No country code begins with 0, so nothing is lost.
    digits: u64,
    country: Option<&'static str>,
    basis: Basis,
}

impl Target {
    /// Reads a number as it was sent, percent-decoded: any bytes. `None` if it is no international
    /// number, or not surely one.
    #[must_use]
    pub fn read(number: &[u8]) -> Option<Self> {
        let mut buffer = [0; NUMBER_BYTES_MAX];
        let key = comparison_key(number, &mut buffer);
        let opening = key.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
        let (before, digits) = key.split_at(opening);
        if !before.iter().all(|byte| super::is_dialled(*byte)) {
            return None;
        }
        match before.last() {
            None => read_bare(digits),
            Some(b'+') => Self::of(digits, Basis::Plus).or_else(|| read_prefixed(digits)),
            Some(_) => read_prefixed(digits),
        }
    }

    /// The number's digits as a number: 46500729221, at most 15 digits.
    #[must_use]
    pub fn digits(&self) -> u64 {
        self.digits
    }

    /// The country or territory, ISO 3166-1 alpha-2; the main one where several share a code and
    /// cannot be told apart. `None` for services of no country: +800, +870, +881, +883 and the like.
    #[must_use]
    pub fn country(&self) -> Option<&'static str> {
        self.country
    }

    /// Why it is read so.
    #[must_use]
    pub fn basis(&self) -> Basis {
        self.basis
    }

    /// The target of these digits if a numbering plan allows them.
    fn of(digits: &[u8], basis: Basis) -> Option<Self> {
        if digits.len() > DIGITS_MAX {
            return None;
        }
        let country = match countries::owner(digits)? {
            Owner::Country(country) => Some(country),
            Owner::Global => None,
        };
        let digits = digits.iter().fold(0, |all, digit| all * 10 + u64::from(digit - b'0'));
        Some(Self { digits, country, basis })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.digits)
    }
}

/// Digits without anything before them. If they are a number as they are and one behind a prefix as
/// well, nobody knows which was meant.
fn read_bare(digits: &[u8]) -> Option<Target> {
    let is_long = digits.len() >= BARE_DIGITS_MIN;
    let bare = if is_long { Target::of(digits, Basis::Bare) } else { None };
    match (bare, read_prefixed(digits)) {
        (Some(_), Some(_)) => None,
        (Some(bare), None) => Some(bare).filter(|_| !is_national_elsewhere(digits)),
        (None, prefixed) => prefixed,
    }
}

/// What follows the leftmost prefix that a possible number follows. At most 15 digits may follow,
/// so only the last few places of a long number are looked at.
fn read_prefixed(digits: &[u8]) -> Option<Target> {
    let first = digits.len().saturating_sub(DIGITS_MAX);
    (first..digits.len()).find_map(|at| {
        let (dialled, rest) = digits.split_at(at);
        let has_prefix = PREFIXES.iter().any(|prefix| dialled.ends_with(prefix));
        let is_enough = rest.len() >= PREFIXED_DIGITS_MIN || dialled == b"00";
        if has_prefix && is_enough { Target::of(rest, Basis::Prefix) } else { None }
    })
}

/// Whether bare digits are just as well a national call from a PBX or an exchange:
///
/// - 9 or 8 for an outside line and a North American number, with its long-distance 1 or without:
///   912025550123 is in Washington or in Pune, 94422345678 in New Mexico or in Sri Lanka;
/// - the Russian trunk prefix 8 and ten digits: 84951234567 is in Moscow or in Vietnam.
fn is_national_elsewhere(digits: &[u8]) -> bool {
    let [outside @ (b'8' | b'9'), rest @ ..] = digits else { return false };
    let national = rest.strip_prefix(b"1").unwrap_or(rest);
    countries::north_american(national).is_some() || *outside == b'8' && is_russian(rest)
}

/// Whether this is a number behind the country code 7, which has ten digits there.
fn is_russian(national: &[u8]) -> bool {
    let Ok(national) = <[u8; 10]>::try_from(national) else { return false };
    let mut number = [b'7'; 11];
    number[1..].copy_from_slice(&national);
    countries::owner(&number).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::plans::{AREA_CODES, PLANS};
    use super::*;

    fn read(number: &str) -> Option<String> {
        let target = Target::read(number.as_bytes())?;
        Some(format!("{target} {} {}", target.country.unwrap_or("-"), target.basis.name()))
    }

    fn none(number: &str, why: &str) {
        assert_eq!(read(number), None, "{number}: {why}");
    }

    #[test]
    fn one_target_in_the_forms_that_scanners_dial_is_one() {
        for before in [
            "00", "000", "0000", "011", "0011", "00011", "810", "8810", "9810", "98 10", "900",
            "9900", "9011", "9000", "800", "7810", "+00", "+011", "*00", "#31#00", "1234500",
            "999900", "100000", "+900",
        ] {
            let expected = Some("+46500729221 SE prefix".to_owned());
            assert_eq!(read(&format!("{before}46500729221")), expected, "{before}");
        }
        assert_eq!(read("+46500729221").unwrap(), "+46500729221 SE plus");
        assert_eq!(read("46500729221").unwrap(), "+46500729221 SE bare");
        let padding = format!("{}00", "9".repeat(NUMBER_BYTES_MAX - 13));
        assert_eq!(read(&format!("{padding}46500729221")).unwrap(), "+46500729221 SE prefix");
    }

    #[test]
    fn separators_and_parameters_do_not_count_and_a_context_is_not_put_in_front() {
        assert_eq!(read("+46-500 72.92(21)").unwrap(), "+46500729221 SE plus");
        assert_eq!(read("+442071234567;phone-context=x").unwrap(), "+442071234567 GB plus");
        none("2071234567;phone-context=+44", "a local number stays local");
        none("+44-20;phone-context=+44", "too short");
    }

    #[test]
    fn north_american_numbers_are_read_with_their_1() {
        for (number, expected) in [
            ("12025550123", "+12025550123 US bare"),
            ("18765550123", "+18765550123 JM bare"),
            ("+16045550123", "+16045550123 CA plus"),
            ("01112025550123", "+12025550123 US prefix"),
            ("0012025550123", "+12025550123 US prefix"),
            ("18105550123", "+18105550123 US bare"),
        ] {
            assert_eq!(read(number).unwrap(), expected);
        }
        none("2025550123", "ten digits may be national anywhere");
        none("0112025550123", "011 and 20 25550123 in Egypt, or 1 left out");
    }

    #[test]
    fn digits_with_two_readings_have_none() {
        none("912025550123", "9 1 202 555 0123 from a PBX, or +91 20 2555 0123");
        none("819012345678", "8 1 901 234 5678 from a PBX, or +81 90 1234 5678");
        none("94422345678", "9 442 234 5678 from a PBX, or Sri Lanka");
        none("84951234567", "8 495 123-45-67 in Moscow, or +84 951234567");
        none("493004612345678", "+49 30 04612345678, or 493 00 and +46 12345678");
        assert_eq!(read("919912345678").unwrap(), "+919912345678 IN bare");
        assert_eq!(read("972591234567").unwrap(), "+972591234567 IL bare");
        assert_eq!(read("79161234567").unwrap(), "+79161234567 RU bare");
    }

    #[test]
    fn national_numbers_are_not_read() {
        none("01144960123", "Sheffield: only eight digits behind 011");
        none("07700900123", "a British mobile");
        none("0800123456789", "German freephone");
        none("8105550123", "Michigan: seven digits behind 810");
        none("01012345678", "a Korean mobile: 010 is no prefix here");
        none("004903012345678", "a trunk 0 behind the country code");
        none("00146500729221", "001 opens the way in some countries, and is +1 in all others");
        none("00946500729221", "009 likewise, and +94 in all others");
        none("946500729221", "a digit before a bare number is no prefix");
    }

    #[test]
    fn what_is_no_number_has_no_reading() {
        for number in ["", "+", "00", "100", "john", "0046500729221x", "sip:0046500729221", "++"] {
            none(number, "no number");
        }
        none("+210123456789", "no such country");
        none("+4650072922112345", "sixteen digits");
        none("*21*46500729221", "a service code is not a prefix");
    }

    #[test]
    fn global_services_have_no_country() {
        assert_eq!(read("+881612345678").unwrap(), "+881612345678 - plus");
        assert_eq!(read("00870773111632").unwrap(), "+870773111632 - prefix");
    }

    /// A number that the tables allow: its digits and its country.
    fn possible() -> impl Strategy<Value = (String, Option<&'static str>)> {
        let plans = PLANS.iter().flat_map(|(code, _, lengths)| {
            let all = (0..10).flat_map(|first| (1..DIGITS_MAX).map(move |len| (first, len)));
            let of_plan = all.filter(|(first, len)| lengths[*first] >> len & 1 == 1);
            of_plan.map(|(first, len)| (*code, first, len))
        });
        let elsewhere = (proptest::sample::select(plans.collect::<Vec<_>>()), "[0-9]{14}")
            .prop_map(|((code, first, len), rest)| format!("{code}{first}{}", &rest[..len - 1]));
        let areas: Vec<u16> = AREA_CODES.iter().flat_map(|(_, codes)| *codes).copied().collect();
        let north_american = (proptest::sample::select(areas), "[2-9][0-9]{6}")
            .prop_map(|(area, rest)| format!("1{area}{rest}"));
        prop_oneof![9 => elsewhere, 1 => north_american].prop_map(|digits| {
            let country = match countries::owner(digits.as_bytes()).unwrap() {
                Owner::Country(country) => Some(country),
                Owner::Global => None,
            };
            (digits, country)
        })
    }

    proptest! {
        #[test]
        fn a_possible_number_is_read_back_behind_plus_and_00((digits, country) in possible()) {
            for before in ["+", "00"] {
                let target = Target::read(format!("{before}{digits}").as_bytes()).unwrap();
                prop_assert_eq!(target.to_string(), format!("+{digits}"));
                prop_assert_eq!(target.country(), country);
            }
        }

        #[test]
        fn behind_what_no_number_begins_with_a_long_one_is_read_back(
            (digits, country) in possible()
                .prop_filter("short", |(digits, _)| digits.len() >= PREFIXED_DIGITS_MIN),
            before in "000|011|0011|810|7810|8810|9810|98810|9011|900|800|9900",
        ) {
            let target = Target::read(format!("{before}{digits}").as_bytes()).unwrap();
            prop_assert_eq!(target.to_string(), format!("+{digits}"));
            prop_assert_eq!(target.country(), country);
        }

        #[test]
        fn any_bytes_are_read_as_what_they_end_in_or_not_at_all(
            number in proptest::collection::vec(any::<u8>(), 0..=NUMBER_BYTES_MAX),
            dialled in "[0-9+*#. ()-]{0,128}",
        ) {
            for number in [&number[..], dialled.as_bytes()] {
                if let Some(target) = Target::read(number) {
                    let mut buffer = [0; NUMBER_BYTES_MAX];
                    let key = comparison_key(number, &mut buffer);
                    prop_assert!(key.ends_with(target.digits().to_string().as_bytes()));
                    prop_assert!(target.digits() < 10_u64.pow(DIGITS_MAX as u32));
                }
            }
        }

        #[test]
        fn reading_what_is_shown_changes_nothing_but_the_basis((digits, _) in possible()) {
            if let Some(target) = Target::read(digits.as_bytes()) {
                let again = Target::read(target.to_string().as_bytes()).unwrap();
                prop_assert_eq!(again, Target { basis: Basis::Plus, ..target });
            }
        }
    }
}
