//! A script for RouterOS: `/import file-name=sentrypeer.rsc`.
//!
//! The list is emptied first and then filled; each entry goes by itself when its time is over. An entry
//! that the operator has made by hand makes `add` fail, which must not end the import.

use std::fmt::Write;

use sentrypeer_storage::blocklist::Family;

use super::format::{Facts, Place};
use super::list::Entry;

pub(super) fn head(out: &mut String, facts: &Facts) {
    let name = &facts.choice.name;
    for (family, menu) in [(Family::V4, "ip"), (Family::V6, "ipv6")] {
        if facts.choice.family.is_none_or(|wanted| wanted == family) {
            // Writing into a String does not fail.
            let _ = writeln!(
                out,
                "/{menu} firewall address-list remove [find list=\"{name}\" dynamic]"
            );
        }
    }
}

pub(super) fn entry(out: &mut String, facts: &Facts, entry: &Entry, place: &Place) {
    if !place.same_family {
        let menu = if entry.ip.is_ipv4() { "ip" } else { "ipv6" };
        // Writing into a String does not fail.
        let _ = writeln!(out, "/{menu} firewall address-list");
    }
    let (name, network) = (&facts.choice.name, entry.network());
    let timeout = entry.left_s(facts.now, facts.choice.timeout_s_max);
    // Writing into a String does not fail.
    let _ = writeln!(
        out,
        ":do {{ add list=\"{name}\" address={network} timeout={timeout}s }} on-error={{}}"
    );
}
