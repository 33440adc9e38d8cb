//! Whose a number is, and whether there can be such a number.
//!
//! Both are questions about the tables of [`super::plans`], and each is answered by a look at one
//! place of an index that is made from them when this is compiled.

use super::plans::{AREA_CODES, PLANS, REGIONS};

/// Who has a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A country or territory, by its ISO 3166-1 alpha-2 code.
    Country(&'static str),
    /// A service of no country: freephone, satellites, international networks.
    Global,
}

/// Digits of a national number of the North American plan: area code 3, exchange 3, line 4.
const NORTH_AMERICAN_DIGITS: usize = 10;

/// Who has the number of these digits, country code first; `None` if there can be no such number:
/// its country code or area code is not assigned, or its country has no numbers of this length that
/// begin with this digit.
pub(super) fn owner(number: &[u8]) -> Option<Owner> {
    match *number.first_chunk::<3>()? {
        [b'1', ..] => north_american(&number[1..]),
        first => {
            let plan = PLANS.get(usize::from(PLAN_OF[value(first)?]))?;
            let code_digits = 1 + usize::from(plan.0 > 9) + usize::from(plan.0 > 99);
            in_plan(plan, &number[code_digits..])
        }
    }
}

/// Like [`owner`], of the national number behind the North American country code 1.
///
/// Its form is `[2-9]XX-[2-9]XX-XXXX`, with an area code that is assigned.
pub(super) fn north_american(national: &[u8]) -> Option<Owner> {
    if national.len() != NORTH_AMERICAN_DIGITS || national[3] < b'2' {
        return None;
    }
    let area_code = value(*national.first_chunk()?)?;
    let (country, _) = AREA_CODES.get(usize::from(COUNTRY_OF[area_code]))?;
    Some(Owner::Country(country))
}

/// Like [`owner`], of the national number behind a plan's country code.
fn in_plan(
    (code, main, lengths): &'static (u16, &str, [u16; 10]),
    national: &[u8],
) -> Option<Owner> {
    let first = usize::from(national.first()?.wrapping_sub(b'0'));
    if lengths.get(first)?.checked_shr(national.len() as u32)? & 1 == 0 {
        return None;
    }
    if main.is_empty() {
        return Some(Owner::Global);
    }
    let region = REGIONS
        .iter()
        .find(|(shared, prefix, _)| shared == code && national.starts_with(prefix.as_bytes()));
    Some(Owner::Country(region.map_or(main, |(.., country)| *country)))
}

/// The value of three digits.
fn value(digits: [u8; 3]) -> Option<usize> {
    digits.iter().try_fold(0, |value, digit| {
        digit.is_ascii_digit().then(|| value * 10 + usize::from(digit - b'0'))
    })
}

/// An index that leads nowhere: both tables are shorter.
const NONE: u8 = u8::MAX;
const _: () = assert!(PLANS.len() < NONE as usize && AREA_CODES.len() < NONE as usize);

/// By the first three digits of a number, the place of its country code in [`PLANS`].
static PLAN_OF: [u8; 1000] = {
    let mut index = [NONE; 1000];
    let mut plan = 0;
    while plan < PLANS.len() {
        let code = PLANS[plan].0 as usize;
        let (first, count) = match code {
            0..10 => (code * 100, 100),
            10..100 => (code * 10, 10),
            _ => (code, 1),
        };
        let mut at = first;
        while at < first + count {
            assert!(index[at] == NONE, "one country code begins with another");
            index[at] = plan as u8;
            at += 1;
        }
        plan += 1;
    }
    index
};

/// By area code, the place of its country in [`AREA_CODES`].
static COUNTRY_OF: [u8; 1000] = {
    let mut index = [NONE; 1000];
    let mut country = 0;
    while country < AREA_CODES.len() {
        let codes = AREA_CODES[country].1;
        let mut n = 0;
        while n < codes.len() {
            assert!(index[codes[n] as usize] == NONE, "an area code stands twice");
            index[codes[n] as usize] = country as u8;
            n += 1;
        }
        country += 1;
    }
    index
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_order_and_hold_what_fits() {
        assert!(PLANS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(REGIONS.is_sorted());
        for (code, country, lengths) in PLANS {
            assert!(matches!(country.len(), 0 | 2), "{code}");
            assert!(lengths.iter().any(|lengths| *lengths != 0), "{code}");
            let most = 15 - code.to_string().len();
            assert!(
                lengths.iter().all(|lengths| lengths >> most <= 1 && lengths & 3 == 0),
                "{code}"
            );
        }
    }

    fn of(number: &str) -> Option<Owner> {
        owner(number.as_bytes())
    }

    #[test]
    fn countries_that_share_a_code_are_told_apart() {
        let expected = [
            ("18762345678", "JM"),
            ("16042345678", "CA"),
            ("12022345678", "US"),
            ("18002345678", "US"),
            ("77012345678", "KZ"),
            ("79161234567", "RU"),
            ("441481234567", "GG"),
            ("441534234567", "JE"),
            ("441624234567", "IM"),
            ("442071234567", "GB"),
            ("262269012345", "YT"),
            ("262262012345", "RE"),
            ("4779123456", "SJ"),
            ("4722123456", "NO"),
            ("35818123456", "AX"),
            ("5993181234", "BQ"),
            ("59994351234", "CW"),
        ];
        for (number, country) in expected {
            assert_eq!(of(number), Some(Owner::Country(country)), "{number}");
        }
    }

    #[test]
    fn what_no_country_has_is_global() {
        for number in ["80012345678", "870773111632", "881612345678", "88213123456789"] {
            assert_eq!(of(number), Some(Owner::Global), "{number}");
        }
    }

    #[test]
    fn a_national_number_begins_with_0_only_where_there_are_such_numbers() {
        for (number, country) in [("390612345678", "IT"), ("2250123456789", "CI")] {
            assert_eq!(of(number), Some(Owner::Country(country)), "{number}");
        }
        let with =
            PLANS.iter().filter(|(_, country, lengths)| !country.is_empty() && lengths[0] != 0);
        let with: Vec<_> = with.map(|(_, country, _)| *country).collect();
        assert_eq!(with, ["IT", "CI", "BF", "NE", "BJ", "GA", "CG", "RW", "SM", "TJ"]);
        for number in ["46046123456", "4402071234567", "8100777123456", "10123456789"] {
            assert_eq!(of(number), None, "{number}");
        }
    }

    #[test]
    fn what_cannot_be_has_no_owner() {
        let not = ["", "4", "46", "46x", "2101234567", "9991234567", "1", "1202", "120223456789"];
        for number in not.into_iter().chain(["19992345678", "12021345678", "99912345678901"]) {
            assert_eq!(of(number), None, "{number}");
        }
        for garbage in [&[0xff; 15][..], &[0; 15], b"12/2345678901"] {
            assert_eq!(owner(garbage), None);
        }
    }
}
