//! Zones for the DNS, to be loaded under any name: a response policy zone that drops answers with these
//! addresses, and a blocklist as mail servers and others ask for (RFC 5782).

use std::fmt::Write;
use std::net::IpAddr;

use super::format::Facts;
use super::list::Entry;
use crate::limits::ZONE_TTL_S;

// Writing into a String does not fail, so its result is passed over in this file.

pub(super) fn head(out: &mut String, facts: &Facts) {
    // Serial numbers are compared modulo 2^32 (RFC 1982), and generations only grow.
    let serial = (facts.generation & u64::from(u32::MAX)).max(1);
    let _ = writeln!(
        out,
        "$TTL {ZONE_TTL_S}\n@ SOA localhost. root.localhost. {serial} 3600 600 86400 {ZONE_TTL_S}\n\
         @ NS localhost."
    );
}

/// The prefix length, then the parts of the address backwards, `zz` for the zeros at its end.
pub(super) fn rpz(out: &mut String, entry: &Entry) {
    let length = entry.prefix_len;
    match entry.ip {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            let _ = writeln!(out, "{length}.{d}.{c}.{b}.{a}.rpz-ip CNAME .");
        }
        IpAddr::V6(v6) => {
            // Its lower half is zeros, which is where the longest run of them is.
            let text = v6.to_string();
            let words = text.trim_end_matches(':').rsplit(':').collect::<Vec<_>>().join(".");
            let _ = writeln!(out, "{length}.zz.{words}.rpz-ip CNAME .");
        }
    }
}

/// The octets backwards; of an IPv6 network the digits, and everything below them.
pub(super) fn dnsbl(out: &mut String, entry: &Entry) {
    match entry.ip {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            let _ = writeln!(out, "{d}.{c}.{b}.{a} A 127.0.0.2");
        }
        IpAddr::V6(v6) => {
            out.push('*');
            for octet in v6.octets()[..8].iter().rev() {
                let _ = write!(out, ".{:x}.{:x}", octet & 0xf, octet >> 4);
            }
            out.push_str(" A 127.0.0.2\n");
        }
    }
}
