//! What of the blocklist was asked for.

use std::fmt;

use sentrypeer_storage::blocklist::Family;
use sentrypeer_storage::event::{Time, Verification};

use super::format::Format;
use crate::limits::{FEED_ENTRIES_MAX, IPSET_TIMEOUT_S_MAX};
use crate::query::{Parameters, QueryError};

/// Which entries, and in what dress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// `None`: both.
    pub(super) family: Option<Family>,
    /// `None`: what the policy demands.
    pub(super) min_verification: Option<Verification>,
    pub(super) min_count: u64,
    /// Seen within so many seconds.
    pub(super) max_age_s: Option<u64>,
    /// Seen since then; of what peers say, told since then.
    pub(super) seen_since: Time,
    /// At most so many: those with the highest scores.
    pub(super) limit: usize,
    /// The longest timeout of an entry.
    pub(super) timeout_s_max: u64,
    /// Whether a document without an entry is wanted.
    pub(super) allow_empty: bool,
    /// What a list, a set or a zone is called.
    pub(super) name: String,
}

const NAMES: [&str; 8] = [
    "family",
    "min_verification",
    "min_count",
    "max_age",
    "limit",
    "timeout",
    "allow_empty",
    "name",
];

/// What lists and sets are called if nothing is said.
const NAME: &str = "sentrypeer";

impl Choice {
    pub(super) fn parse(query: &str, format: Format) -> Result<Self, QueryError> {
        let parameters = Parameters::parse(query, &NAMES)?;
        let levels = "unverified, relayed, return-path, connected or tls";
        let count = |text: &str| text.parse().ok();
        let seconds = format!("a number of seconds from 1 to {IPSET_TIMEOUT_S_MAX}");
        let timeout = |text: &str| count(text).filter(|s| (1..=IPSET_TIMEOUT_S_MAX).contains(s));
        let entries = format!("a number from 1 to {FEED_ENTRIES_MAX}");
        let limit = |text: &str| text.parse().ok().filter(|n| (1..=FEED_ENTRIES_MAX).contains(n));
        let name = "1 to 24 letters, digits, \"_\" or \"-\", beginning with a letter";
        Ok(Self {
            family: family(&parameters, format)?,
            min_verification: parameters.value(
                "min_verification",
                levels,
                Verification::from_name,
            )?,
            min_count: parameters.value("min_count", "a number", count)?.unwrap_or(0),
            max_age_s: parameters.value("max_age", "a number of seconds", count)?,
            seen_since: Time(0),
            limit: parameters.value("limit", &entries, limit)?.unwrap_or(FEED_ENTRIES_MAX),
            timeout_s_max: parameters
                .value("timeout", &seconds, timeout)?
                .unwrap_or(IPSET_TIMEOUT_S_MAX),
            allow_empty: parameters.value("allow_empty", "0 or 1", flag)?.unwrap_or(false),
            name: parameters.value("name", name, self::name)?.unwrap_or_else(|| NAME.to_owned()),
        })
    }

    /// What clients of other services get, who cannot ask for anything.
    pub(super) fn of_all(family: Option<Family>) -> Self {
        Self {
            family,
            min_verification: None,
            min_count: 0,
            max_age_s: None,
            seen_since: Time(0),
            limit: FEED_ENTRIES_MAX,
            timeout_s_max: IPSET_TIMEOUT_S_MAX,
            allow_empty: true,
            name: NAME.to_owned(),
        }
    }
}

/// Sets of firewalld hold one family; everything else both.
fn family(parameters: &Parameters<'_>, format: Format) -> Result<Option<Family>, QueryError> {
    let one = format == Format::Firewalld;
    let form = if one { "4 or 6" } else { "4, 6 or all" };
    let family = parameters.value("family", form, |text| match text {
        "4" => Some(Some(Family::V4)),
        "6" => Some(Some(Family::V6)),
        "all" if !one => Some(None),
        _ => None,
    })?;
    Ok(family.unwrap_or(if one { Some(Family::V4) } else { None }))
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// A name that means nothing else in any of the formats.
fn name(text: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic());
    (begins && text.len() <= 24 && text.bytes().all(allowed)).then(|| text.to_owned())
}

/// What chooses the document, for its `ETag`.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            None => "all",
            Some(Family::V4) => "4",
            Some(Family::V6) => "6",
        };
        let level = self.min_verification.map_or("policy", Verification::name);
        let age = self.max_age_s.unwrap_or(u64::MAX);
        let Self { min_count, limit, timeout_s_max, name, .. } = self;
        write!(f, "{family}.{level}.{min_count}.{age:x}.{limit}.{timeout_s_max}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_nothing_else_in_any_format() {
        assert!(name("blocked_by-us1").is_some());
        for bad in ["", "-x", "1x", "a b", "a;b", "a\nb", "a\"", "a.b", "ä", &"a".repeat(25)] {
            assert!(name(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_set_of_firewalld_has_one_family() {
        let family = |query, format| Choice::parse(query, format).map(|choice| choice.family);
        assert_eq!(family("", Format::Firewalld), Ok(Some(Family::V4)));
        assert!(family("family=all", Format::Firewalld).is_err());
        assert_eq!(family("family=all", Format::Nft), Ok(None));
    }
}
