//! nftables: `nft -f` and `nft -j -f`.
//!
//! One file is one transaction, so the sets are never seen half filled. The table and its sets are the
//! feed's; the rules are the operator's. IPv6 networks are kept by their first address, and the rule
//! looks the masked source up: `ip6 saddr & ffff:ffff:ffff:ffff:: @sentrypeer6 drop`; a set of
//! intervals would be slower and could not be refreshed entry by entry.

use std::fmt::Write;
use std::net::IpAddr;

use sentrypeer_storage::blocklist::Family;

use super::format::{Facts, Place};
use super::list::Entry;
use crate::limits::NFT_CHUNK_ENTRIES;

// Writing into a String does not fail, so its result is passed over in this file.

/// The families of the document, with what their sets are called.
fn sets(facts: &Facts) -> impl Iterator<Item = (&'static str, String)> {
    let both = [Family::V4, Family::V6];
    let wanted = both.into_iter().filter(|family| facts.choice.family.is_none_or(|f| f == *family));
    wanted.map(|family| match family {
        Family::V4 => ("ipv4_addr", format!("{}4", facts.choice.name)),
        Family::V6 => ("ipv6_addr", format!("{}6", facts.choice.name)),
    })
}

fn set_of(facts: &Facts, ip: IpAddr) -> String {
    let digit = if ip.is_ipv4() { 4 } else { 6 };
    format!("{}{digit}", facts.choice.name)
}

pub(super) fn head(out: &mut String, facts: &Facts) {
    let table = &facts.choice.name;
    let _ = writeln!(out, "add table inet {table}");
    for (kind, set) in sets(facts) {
        let _ = writeln!(out, "add set inet {table} {set} {{ type {kind}; flags timeout; }}");
        let _ = writeln!(out, "flush set inet {table} {set}");
    }
}

/// Whether an entry begins a command: at the first of its family, and when the one before is full.
fn begins(place: &Place) -> bool {
    !place.same_family || place.index.is_multiple_of(NFT_CHUNK_ENTRIES)
}

pub(super) fn entry(out: &mut String, facts: &Facts, entry: &Entry, place: &Place) {
    let timeout = entry.left_s(facts.now, facts.choice.timeout_s_max);
    if begins(place) {
        if place.index > 0 {
            out.push_str(" }\n");
        }
        let (table, set) = (&facts.choice.name, set_of(facts, entry.ip));
        let _ = write!(out, "add element inet {table} {set} {{ ");
    } else {
        out.push_str(",\n");
    }
    let _ = write!(out, "{} timeout {timeout}s", entry.ip);
}

pub(super) fn tail(out: &mut String, facts: &Facts) {
    if facts.entries > 0 {
        out.push_str(" }\n");
    }
}

pub(super) fn json_head(out: &mut String, facts: &Facts) {
    let table = &facts.choice.name;
    out.push_str("{\"nftables\": [{\"metainfo\": {\"json_schema_version\": 1}}");
    let _ = write!(
        out,
        ",\n{{\"add\": {{\"table\": {{\"family\": \"inet\", \"name\": \"{table}\"}}}}}}"
    );
    for (kind, set) in sets(facts) {
        let names = format!("\"family\": \"inet\", \"table\": \"{table}\", \"name\": \"{set}\"");
        let _ = write!(
            out,
            ",\n{{\"add\": {{\"set\": {{{names}, \"type\": \"{kind}\", \"flags\": [\"timeout\"]}}}}}}"
        );
        let _ = write!(out, ",\n{{\"flush\": {{\"set\": {{{names}}}}}}}");
    }
}

pub(super) fn json_entry(out: &mut String, facts: &Facts, entry: &Entry, place: &Place) {
    let timeout = entry.left_s(facts.now, facts.choice.timeout_s_max);
    if begins(place) {
        if place.index > 0 {
            out.push_str("]}}}");
        }
        let (table, set) = (&facts.choice.name, set_of(facts, entry.ip));
        let _ = write!(
            out,
            ",\n{{\"add\": {{\"element\": {{\"family\": \"inet\", \"table\": \"{table}\", \
             \"name\": \"{set}\", \"elem\": ["
        );
    } else {
        out.push_str(",\n");
    }
    let _ = write!(out, "{{\"elem\": {{\"val\": \"{}\", \"timeout\": {timeout}}}}}", entry.ip);
}

pub(super) fn json_tail(out: &mut String, facts: &Facts) {
    if facts.entries > 0 {
        out.push_str("]}}}");
    }
    out.push_str("]}\n");
}
