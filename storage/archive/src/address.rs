//! Addresses as the files write them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sentrypeer_storage::event::canonical;

/// An address with the port that it came from, as SentryPeer 4.x writes it (`192.0.2.7:5066`,
/// `[2001:db8::7]:5066`), or alone, which gives port 0. IPv4-mapped addresses become IPv4.
///
/// The unspecified address (`0.0.0.0`, `::`) is nobody's, and stands for one that is not known.
pub(crate) fn parse(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    let alone = |text: &str| text.parse().ok().map(|ip| SocketAddr::new(ip, 0));
    let bracketed = || alone(text.strip_prefix('[')?.strip_suffix(']')?);
    let found = text.parse().ok().or_else(|| alone(text)).or_else(bracketed)?;
    let found = SocketAddr::new(canonical(found.ip()), found.port());
    (!found.ip().is_unspecified()).then_some(found)
}

/// What stands for an address of the family of `beside` that is not known.
pub(crate) fn unknown(beside: IpAddr) -> SocketAddr {
    match beside {
        IpAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        IpAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_port_and_is_ipv4_if_it_can_be() {
        for (text, address) in [
            ("203.0.113.9", "203.0.113.9:0"),
            (" 203.0.113.9:5060 ", "203.0.113.9:5060"),
            ("2001:db8::5", "[2001:db8::5]:0"),
            ("[2001:db8::5]", "[2001:db8::5]:0"),
            ("[2001:db8::5]:5060", "[2001:db8::5]:5060"),
            ("::ffff:203.0.113.9", "203.0.113.9:0"),
            ("[::ffff:203.0.113.9]:1", "203.0.113.9:1"),
        ] {
            assert_eq!(parse(text).map(|a| a.to_string()), Some(address.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_and_the_unspecified_one_are_not_read() {
        for text in ["", "NOT_FOUND", "203.0.113", "1.2.3.4:99999", "example.org", "[1.2.3.4", "::"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("0.0.0.0:5060"), None);
    }
}
