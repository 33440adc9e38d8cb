//! The allow-list: addresses and numbers that nothing may act on.
//!
//! They are recorded like any other, and are in no list, dip or feed. Who decides that is
//! [`crate::blocklist`]; this only says what is on the list, and why.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

use foldhash::quality::RandomState;

use crate::event::{NUMBER_BYTES_MAX, SourceKey, canonical};
use crate::number::{Target, comparison_key};
use crate::policy::special_purpose;
use crate::prefix::Prefix;

/// Why an address is on the allow-list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowReason {
    /// The operator has listed it: the prefix that it is in.
    Listed(Prefix),
    /// A special-purpose range, by its name in RFC 6890 or the RFC that reserves it.
    SpecialPurpose(&'static str),
    /// This node's own address.
    OwnAddress,
}

impl fmt::Display for AllowReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed(prefix) => write!(f, "the allow-list ({prefix})"),
            Self::SpecialPurpose(name) => write!(f, "special-purpose range ({name})"),
            Self::OwnAddress => f.write_str("this node's own address"),
        }
    }
}

/// Why a number is on the allow-list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberReason {
    /// The operator has listed it, or numbers that begin as it does.
    Listed,
    /// It is an emergency number.
    Emergency,
}

impl fmt::Display for NumberReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Listed => "the allow-list",
            Self::Emergency => "an emergency number",
        })
    }
}

/// Addresses and numbers that are in no output that anything acts on.
#[derive(Clone, Debug, Default)]
pub struct AllowList {
    own: Vec<SourceKey>,
    /// In order, and none inside another.
    prefixes: Vec<Prefix>,
    numbers: Numbers,
    test_addresses: bool,
}

impl AllowList {
    /// The allow-list of a node with these addresses. An IPv6 address protects its whole /64, for
    /// that is what would be blocked. With `test_addresses` only what the operator lists is on it.
    #[must_use]
    pub fn new(own: impl IntoIterator<Item = IpAddr>, test_addresses: bool) -> Self {
        let own = own.into_iter().map(SourceKey::of).collect();
        Self { own, test_addresses, ..Self::default() }
    }

    /// The list with the addresses and prefixes that the operator names. An IPv6 prefix that is longer
    /// than 64 bits protects the /64 that it is in.
    #[must_use]
    pub fn with_prefixes(mut self, prefixes: impl IntoIterator<Item = Prefix>) -> Self {
        self.prefixes.extend(prefixes.into_iter().map(|prefix| {
            let longest = if prefix.network().is_ipv4() { 32 } else { 64 };
            Prefix::new(prefix.network(), prefix.length().min(longest))
        }));
        // Two prefixes are disjoint or one holds the other, which then stands before it.
        self.prefixes.sort_unstable();
        self.prefixes.dedup_by(|inner, outer| outer.contains(inner.network()));
        self
    }

    /// The list with the numbers that the operator names.
    #[must_use]
    pub fn with_numbers(mut self, patterns: impl IntoIterator<Item = NumberPattern>) -> Self {
        patterns.into_iter().for_each(|pattern| self.numbers.add(pattern));
        self.numbers.begins.sort_unstable();
        self.numbers.begins.dedup_by(|longer, begin| longer.starts_with(begin));
        self
    }

    /// Why `ip` must not be acted on; `None` if it may be. Private ranges are not special here: see
    /// [`crate::policy::is_private`].
    #[must_use]
    pub fn reason(&self, ip: IpAddr) -> Option<AllowReason> {
        if let Some(prefix) = self.listed(ip) {
            return Some(AllowReason::Listed(prefix));
        }
        if self.test_addresses {
            return None;
        }
        if self.own.contains(&SourceKey::of(ip)) {
            return Some(AllowReason::OwnAddress);
        }
        special_purpose(ip).map(AllowReason::SpecialPurpose)
    }

    /// The operator's prefix that `ip` is in.
    fn listed(&self, ip: IpAddr) -> Option<Prefix> {
        let ip = canonical(ip);
        let after = self.prefixes.partition_point(|prefix| prefix.network() <= ip);
        let last = self.prefixes.get(after.checked_sub(1)?)?;
        last.contains(ip).then_some(*last)
    }

    /// Why this number, as it was sent or as its comparison key, must not be acted on; `None` if it may
    /// be.
    #[must_use]
    pub fn number_reason(&self, number: &[u8]) -> Option<NumberReason> {
        let mut buffer = [0; NUMBER_BYTES_MAX];
        let key = comparison_key(number, &mut buffer);
        if EMERGENCY_NUMBERS.contains(&key.strip_prefix(b"+").unwrap_or(key)) {
            return Some(NumberReason::Emergency);
        }
        self.numbers.holds(key).then_some(NumberReason::Listed)
    }

    /// Whether private addresses are treated like any other: only for tests on one machine.
    #[must_use]
    pub fn test_addresses(&self) -> bool {
        self.test_addresses
    }
}

/// What every telephone takes for an emergency call: 3GPP TS 22.101, clause 10.1.1. Others of one
/// country are also extensions elsewhere, and up to the operator.
pub const EMERGENCY_NUMBERS: [&[u8]; 8] =
    [b"112", b"911", b"000", b"08", b"110", b"118", b"119", b"999"];

/// A number that the operator lists, or what numbers begin with.
///
/// A number with a [`Target`] stands for every form in which it can be dialled; so does the begin of
/// one with `+`. Any other is compared as it was dialled, without visual separators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberPattern {
    /// Its comparison key, without the `*` of a begin.
    key: Box<[u8]>,
    is_begin: bool,
}

/// A text that is neither a number nor the begin of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither a number nor the begin of one")]
pub struct NotANumberPattern;

impl std::str::FromStr for NumberPattern {
    type Err = NotANumberPattern;

    /// A `*` at the end is for any rest, nothing too. Without it at least one digit must be left.
    fn from_str(text: &str) -> Result<Self, NotANumberPattern> {
        let (number, is_begin) = match text.strip_suffix('*') {
            Some(begin) => (begin, true),
            None => (text, false),
        };
        let dialled = |byte: u8| byte.is_ascii_digit() || b"+*#-.() ".contains(&byte);
        let is_number = number.len() <= NUMBER_BYTES_MAX
            && number.bytes().any(|byte| byte.is_ascii_digit())
            && number.bytes().all(dialled);
        if !is_number {
            return Err(NotANumberPattern);
        }
        let mut buffer = [0; NUMBER_BYTES_MAX];
        Ok(Self { key: comparison_key(number.as_bytes(), &mut buffer).into(), is_begin })
    }
}

impl fmt::Display for NumberPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = if self.is_begin { "*" } else { "" };
        write!(f, "{}{rest}", String::from_utf8_lossy(&self.key))
    }
}

/// The numbers of the operator.
#[derive(Clone, Debug, Default)]
struct Numbers {
    keys: HashSet<Box<[u8]>, RandomState>,
    targets: HashSet<u64, RandomState>,
    /// In order, and none the begin of another.
    begins: Vec<Box<[u8]>>,
}

impl Numbers {
    fn add(&mut self, pattern: NumberPattern) {
        if pattern.is_begin {
            self.begins.push(pattern.key);
            return;
        }
        self.targets.extend(Target::read(&pattern.key).map(|target| target.digits()));
        self.keys.insert(pattern.key);
    }

    fn holds(&self, key: &[u8]) -> bool {
        if self.keys.is_empty() && self.begins.is_empty() {
            return false;
        }
        if self.keys.contains(key) || self.begins_so(key) {
            return true;
        }
        Target::read(key).is_some_and(|target| {
            self.targets.contains(&target.digits()) || self.begins_so(target.to_string().as_bytes())
        })
    }

    fn begins_so(&self, key: &[u8]) -> bool {
        let after = self.begins.partition_point(|begin| **begin <= *key);
        after.checked_sub(1).is_some_and(|at| key.starts_with(&self.begins[at]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn listing(prefixes: &[&str]) -> AllowList {
        AllowList::new([], true).with_prefixes(prefixes.iter().map(|text| text.parse().unwrap()))
    }

    fn numbers(patterns: &[&str]) -> AllowList {
        AllowList::default().with_numbers(patterns.iter().map(|text| text.parse().unwrap()))
    }

    #[test]
    fn what_the_operator_lists_is_on_it_also_with_test_addresses() {
        let list = listing(&["144.21.0.0/16", "144.21.55.0/24", "2a00:1:2:3::9", "10.0.0.7"]);
        let reason = list.reason(ip("144.21.55.36")).unwrap();
        assert_eq!(reason.to_string(), "the allow-list (144.21.0.0/16)");
        for on in ["144.21.255.255", "::ffff:144.21.0.0", "10.0.0.7", "2a00:1:2:3:4::1"] {
            assert!(list.reason(ip(on)).is_some(), "{on}");
        }
        for off in ["144.20.255.255", "144.22.0.0", "10.0.0.8", "2a00:1:2:4::9", "127.0.0.1"] {
            assert_eq!(list.reason(ip(off)), None, "{off}");
        }
    }

    #[test]
    fn a_listed_number_is_so_in_every_form_that_leads_to_it() {
        let list = numbers(&["+44 20 7123-4567", "+46800*", "7000", "*21*"]);
        for on in [
            "+442071234567",
            "00442071234567",
            "442071234567",
            "900442071234567",
            "+46800123456",
            "0046800123456",
            "7000",
            "70-00",
            "*21*",
            "*2199",
        ] {
            assert_eq!(list.number_reason(on.as_bytes()), Some(NumberReason::Listed), "{on}");
        }
        for off in ["+442071234568", "70001", "+46700123456", "alice", "", "+"] {
            assert_eq!(list.number_reason(off.as_bytes()), None, "{off}");
        }
    }

    #[test]
    fn emergency_numbers_are_always_on_it() {
        for number in ["112", "911", "999", "+112", "1-1-2"] {
            let reason = AllowList::default().number_reason(number.as_bytes());
            assert_eq!(reason, Some(NumberReason::Emergency), "{number}");
        }
        assert_eq!(AllowList::default().number_reason(b"9112"), None);
    }

    #[test]
    fn what_is_no_number_is_refused_as_one() {
        for text in ["", "*", "+", "+*", "alice", "12;x=y", &"1".repeat(200)] {
            assert_eq!(text.parse::<NumberPattern>(), Err(NotANumberPattern), "{text}");
        }
        for text in ["+442071234567", "+44800*", "112", "*21*"] {
            assert_eq!(text.parse::<NumberPattern>().unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn an_address_is_on_it_if_one_of_the_prefixes_holds_it(
            prefixes in prop::collection::vec((0..4u32, 22..=32u8), 0..12),
            address in 0..4096u32,
        ) {
            let prefixes: Vec<_> = prefixes
                .iter()
                .map(|(host, length)| Prefix::new(std::net::Ipv4Addr::from_bits(host * 999).into(), *length))
                .collect();
            let list = AllowList::new([], true).with_prefixes(prefixes.iter().copied());
            let address = std::net::Ipv4Addr::from_bits(address).into();
            let expected = prefixes.iter().any(|prefix| prefix.contains(address));
            prop_assert_eq!(list.reason(address).is_some(), expected);
        }
    }
}
