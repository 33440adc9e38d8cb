//! An ipset of firewalld, `/etc/firewalld/ipsets/NAME.xml`. It holds one family, and its entries have
//! no timeouts: firewalld allows none where it keeps the entries itself.

use std::fmt::Write;

use sentrypeer_storage::blocklist::Family;

use super::format::Facts;
use super::list::Entry;
use crate::limits::IPSET_ENTRIES_MAX;

pub(super) fn head(out: &mut String, facts: &Facts) {
    let (kind, family) = match facts.choice.family {
        Some(Family::V6) => ("hash:net", "inet6"),
        _ => ("hash:ip", "inet"),
    };
    // Writing into a String does not fail.
    let _ = writeln!(
        out,
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<ipset type=\"{kind}\">\n  \
         <short>{}</short>\n  <option name=\"family\" value=\"{family}\"/>\n  \
         <option name=\"maxelem\" value=\"{IPSET_ENTRIES_MAX}\"/>",
        facts.choice.name
    );
}

pub(super) fn entry(out: &mut String, entry: &Entry) {
    // Writing into a String does not fail.
    let _ = writeln!(out, "  <entry>{}</entry>", entry.network());
}

pub(super) fn tail(out: &mut String) {
    out.push_str("</ipset>\n");
}
