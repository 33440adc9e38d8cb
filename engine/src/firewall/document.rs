//! Documents, as text only: what the node gives, what tools print, and what they are given.

use std::collections::HashSet;
use std::fmt::Write;
use std::net::IpAddr;

use super::{Family, FirewallError};

/// What is to change in a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// What comes, or stays for longer: addresses and their seconds.
    pub(super) added: Vec<(IpAddr, u32)>,
    /// What goes.
    pub(super) removed: Vec<IpAddr>,
}

impl Changes {
    /// Reads a document for `ipset restore`, whole or a delta. Only addresses, numbers and the words
    /// of that format are understood, so nothing else can come into what is made of it.
    pub(super) fn read(document: &str) -> Result<Self, FirewallError> {
        let mut changes = Self::default();
        for line in document.lines() {
            let malformed = || FirewallError::Malformed(line.chars().take(100).collect());
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["add", _, ip, "timeout", seconds, ..] => {
                    let ip = ip.parse().map_err(|_| malformed())?;
                    changes.added.push((ip, seconds.parse().map_err(|_| malformed())?));
                }
                ["del", _, ip, ..] => changes.removed.push(ip.parse().map_err(|_| malformed())?),
                ["create" | "flush" | "swap" | "destroy" | "#", ..] => {}
                _ => return Err(malformed()),
            }
        }
        Ok(changes)
    }

    /// What makes `members` of `live`; `entries` are the members with their seconds.
    pub(super) fn between(
        live: &HashSet<IpAddr>,
        members: &HashSet<IpAddr>,
        mut entries: Vec<(IpAddr, u32)>,
    ) -> Self {
        entries.retain(|(ip, _)| !live.contains(ip));
        Self { added: entries, removed: live.difference(members).copied().collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// Of which generation a document is: its last line says so.
pub(super) fn generation(document: &str) -> Option<u64> {
    let (_, number) = document.lines().last()?.split_once(", generation ")?;
    number.split(',').next()?.parse().ok()
}

/// The addresses in what `ipset save` prints.
pub(super) fn saved(text: &str) -> HashSet<IpAddr> {
    let words = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    words.filter(|words| words[0] == "add").filter_map(|words| words.get(2)?.parse().ok()).collect()
}

/// The addresses in what `nft list set` prints. As JSON a million of them would take a gigabyte to read.
pub(super) fn listed(text: &str) -> HashSet<IpAddr> {
    let elements = text.split_once("elements").map_or("", |(_, elements)| elements);
    let words = elements.split(|c: char| c.is_ascii_whitespace() || matches!(c, ',' | '{' | '}'));
    words.filter_map(|word| word.parse().ok()).collect()
}

/// A table with an empty set, if they are not there yet.
pub(super) fn nft_init(table: &str, family: Family) -> String {
    let (kind, digit) = (kind(family), family.digit());
    format!(
        "add table inet {table}\nadd set inet {table} {table}{digit} {{ type {kind}; flags timeout; }}\n"
    )
}

/// Changes for `nft -f`, which is one transaction.
///
/// An element that is there keeps its timeout when it is added again, and one that is not there
/// cannot be deleted: so each is added, deleted, and, if it is to be there, added with its timeout.
pub(super) fn nft_changes(table: &str, family: Family, changes: &Changes) -> String {
    let set = format!("inet {table} {table}{}", family.digit());
    let mut out = String::new();
    let touched: Vec<String> = changes
        .added
        .iter()
        .map(|(ip, _)| ip)
        .chain(&changes.removed)
        .collect::<HashSet<_>>()
        .into_iter()
        .map(ToString::to_string)
        .collect();
    for verb in ["add", "delete"] {
        elements(&mut out, verb, &set, &touched);
    }
    let removed: HashSet<&IpAddr> = changes.removed.iter().collect();
    let stay = changes.added.iter().filter(|(ip, _)| !removed.contains(ip));
    let stay: Vec<String> = stay.map(|(ip, seconds)| format!("{ip} timeout {seconds}s")).collect();
    elements(&mut out, "add", &set, &stay);
    out
}

/// A command for each some thousand elements: longer lines make `nft` slow.
fn elements(out: &mut String, verb: &str, set: &str, elements: &[String]) {
    for some in elements.chunks(10_000) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{verb} element {set} {{ {} }}", some.join(", "));
    }
}

fn kind(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4_addr",
        Family::V6 => "ipv6_addr",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn whole_documents_and_deltas_are_read() {
        let whole = "create s hash:ip family inet -exist\nflush s-new\nadd s-new 192.0.2.7 timeout 9\n\
                     swap s-new s\ndestroy s-new\n# 1 entry, generation 3\n";
        let changes = Changes::read(whole).unwrap();
        assert_eq!((changes.added, changes.removed.len()), (vec![(ip("192.0.2.7"), 9)], 0));
        let delta = "add s 2001:db8:: timeout 9 -exist\ndel s 192.0.2.8 -exist\n# 1 added\n";
        let changes = Changes::read(delta).unwrap();
        assert_eq!(changes.added, [(ip("2001:db8::"), 9)]);
        assert_eq!(changes.removed, [ip("192.0.2.8")]);
    }

    #[test]
    fn a_document_says_its_generation() {
        assert_eq!(generation("flush s\n# 1 entry, generation 3\n"), Some(3));
        let delta = "# 0 added, 0 taken back, generation 47, as of 2026-11-24T08:35:30Z\n";
        assert_eq!(generation(delta), Some(47));
        assert!(generation("").is_none() && generation("# 1 added\n").is_none());
    }

    #[test]
    fn what_is_no_such_document_is_refused() {
        for text in [
            "<html>",
            "add s 192.0.2.7",
            "add s host timeout 9",
            "add s 192.0.2.7 timeout x",
            "del s x",
            "add element inet t s { 192.0.2.7 }",
        ] {
            assert!(matches!(Changes::read(text), Err(FirewallError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn an_element_that_goes_is_not_added_again() {
        let changes = Changes {
            added: vec![(ip("192.0.2.7"), 9), (ip("192.0.2.8"), 9)],
            removed: vec![ip("192.0.2.8")],
        };
        let text = nft_changes("t", Family::V4, &changes);
        let last = text.lines().last().unwrap();
        assert_eq!(last, "add element inet t t4 { 192.0.2.7 timeout 9s }");
        assert_eq!(text.lines().count(), 3);
        assert!(nft_changes("t", Family::V4, &Changes::default()).is_empty());
    }

    #[test]
    fn what_tools_print_is_understood() {
        let text = "create s hash:ip family inet\nadd s 192.0.2.7 timeout 5\nadd s 192.0.2.8\n";
        assert_eq!(saved(text).len(), 2);
        let text = "table inet t {\n\tset t4 {\n\t\ttype ipv4_addr\n\t\tflags timeout\n\
                    \t\telements = { 192.0.2.7 timeout 5s expires 4s, 192.0.2.8 timeout 1d,\n\
                    \t\t\t     192.0.2.9 }\n\t}\n}\n";
        assert_eq!(listed(text).len(), 3);
        assert!(listed("table inet t {\n\tset t6 {\n\t\ttype ipv6_addr\n\t}\n}\n").is_empty());
        assert!(listed("nonsense").is_empty() && saved("\n\nx").is_empty());
    }
}
