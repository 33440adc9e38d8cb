//! The formats, and what each writes at the head, for an entry, and at the tail.

use sentrypeer_storage::event::Time;
use uuid::Uuid;

use super::choice::Choice;
use super::list::{Entry, Known};
use super::{firewalld, mikrotik, misp, nft, stix, tabular, zone};
use crate::exchange::{JSON, TEXT};

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// An address a line.
    Plain,
    /// A table of OpenBSD's pf.
    Pf,
    /// Comma-separated values (RFC 4180).
    Csv,
    /// A JSON object a line.
    JsonLines,
    /// `nft -f`
    Nft,
    /// `nft -j -f`
    NftJson,
    /// A script of RouterOS.
    Mikrotik,
    /// An ipset of firewalld.
    Firewalld,
    /// A response policy zone.
    Rpz,
    /// A blocklist in the DNS (RFC 5782).
    Dnsbl,
    /// A bundle of STIX 2.1.
    Stix,
    /// An event of MISP.
    Misp,
}

/// What the whole document is about.
pub(super) struct Facts {
    pub(super) now: Time,
    pub(super) generation: u64,
    pub(super) node_id: Uuid,
    pub(super) entries: usize,
    pub(super) left_out: usize,
    pub(super) choice: Choice,
}

/// Where an entry stands.
pub(super) struct Place {
    pub(super) index: usize,
    /// Whether the one before is of the same family.
    pub(super) same_family: bool,
    /// What is known about it, for a format that shows it.
    pub(super) known: Option<Known>,
}

impl Format {
    pub(super) const ALL: [Self; 12] = [
        Self::Plain,
        Self::Pf,
        Self::Csv,
        Self::JsonLines,
        Self::Nft,
        Self::NftJson,
        Self::Mikrotik,
        Self::Firewalld,
        Self::Rpz,
        Self::Dnsbl,
        Self::Stix,
        Self::Misp,
    ];

    /// Its name in paths.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Pf => "pf",
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
            Self::Nft => "nft",
            Self::NftJson => "nft-json",
            Self::Mikrotik => "mikrotik",
            Self::Firewalld => "firewalld",
            Self::Rpz => "rpz",
            Self::Dnsbl => "dnsbl",
            Self::Stix => "stix",
            Self::Misp => "misp",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::JsonLines => "application/x-ndjson",
            Self::Firewalld => "application/xml",
            Self::Rpz | Self::Dnsbl => "text/dns",
            Self::Stix => "application/stix+json;version=2.1",
            Self::NftJson | Self::Misp => JSON,
            Self::Plain | Self::Pf | Self::Nft | Self::Mikrotik => TEXT,
        }
    }

    /// Whether it shows more than addresses and how long they are to be blocked.
    pub(super) fn shows_what_is_known(self) -> bool {
        matches!(self, Self::Csv | Self::JsonLines | Self::Stix | Self::Misp)
    }

    /// What a line of comment begins and ends with, where there are such lines.
    fn comment(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Plain | Self::Pf | Self::Csv | Self::Nft | Self::Mikrotik => Some(("# ", "")),
            Self::Firewalld => Some(("<!-- ", " -->")),
            Self::Rpz | Self::Dnsbl => Some(("; ", "")),
            Self::JsonLines | Self::NftJson | Self::Stix | Self::Misp => None,
        }
    }

    pub(super) fn head(self, out: &mut String, facts: &Facts) {
        match self {
            Self::Csv => tabular::csv_head(out),
            Self::Nft => nft::head(out, facts),
            Self::NftJson => nft::json_head(out, facts),
            Self::Mikrotik => mikrotik::head(out, facts),
            Self::Firewalld => firewalld::head(out, facts),
            Self::Rpz | Self::Dnsbl => zone::head(out, facts),
            Self::Stix => stix::head(out, facts),
            Self::Misp => misp::head(out, facts),
            Self::Plain | Self::Pf | Self::JsonLines => {}
        }
    }

    pub(super) fn entry(self, out: &mut String, facts: &Facts, entry: &Entry, place: &Place) {
        match self {
            Self::Plain | Self::Pf => tabular::plain(out, entry),
            Self::Csv => tabular::csv(out, entry, place),
            Self::JsonLines => tabular::json_line(out, entry, place),
            Self::Nft => nft::entry(out, facts, entry, place),
            Self::NftJson => nft::json_entry(out, facts, entry, place),
            Self::Mikrotik => mikrotik::entry(out, facts, entry, place),
            Self::Firewalld => firewalld::entry(out, entry),
            Self::Rpz => zone::rpz(out, entry),
            Self::Dnsbl => zone::dnsbl(out, entry),
            Self::Stix => stix::entry(out, facts, entry, place),
            Self::Misp => misp::entry(out, facts, entry, place),
        }
    }

    pub(super) fn tail(self, out: &mut String, facts: &Facts) {
        match self {
            Self::Nft => nft::tail(out, facts),
            Self::NftJson => nft::json_tail(out, facts),
            Self::Firewalld => firewalld::tail(out),
            Self::Stix => stix::tail(out),
            Self::Misp => misp::tail(out),
            _ => {}
        }
    }

    /// The last line: how many entries there are, and the SHA-256 of everything before it. Nothing in
    /// formats that have no place for it.
    pub(super) fn trailer(self, out: &mut String, facts: &Facts, sha256: &str) {
        use std::fmt::Write;
        let Facts { entries, left_out, generation, .. } = facts;
        // Writing into a String does not fail.
        let _ = match self.comment() {
            Some((begin, end)) => {
                let noun = if *entries == 1 { "entry" } else { "entries" };
                let cut = format!("; {left_out} with the lowest scores left out");
                let cut = if *left_out > 0 { cut.as_str() } else { "" };
                let text =
                    format!("{entries} {noun}, generation {generation}, sha256 {sha256}{cut}");
                writeln!(out, "{begin}{text}{end}")
            }
            None if self == Self::JsonLines => writeln!(
                out,
                "{{\"entries\": {entries}, \"left_out\": {left_out}, \"generation\": {generation}, \
                 \"sha256\": \"{sha256}\"}}"
            ),
            None => Ok(()),
        };
    }
}
