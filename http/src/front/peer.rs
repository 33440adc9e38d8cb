//! Who is at the other end of a connection, as far as a limit needs to know.

use std::net::{IpAddr, Ipv6Addr};

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A process on this machine, over a Unix socket whose file says who may use it.
    Unix,
    /// An address; an IPv4-mapped one is IPv4.
    Ip(IpAddr),
}

impl Peer {
    /// The peer at an address.
    #[must_use]
    pub fn at(ip: IpAddr) -> Self {
        Self::Ip(ip.to_canonical())
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn is_local(self) -> bool {
        match self {
            Self::Unix => true,
            Self::Ip(ip) => ip.is_loopback(),
        }
    }

    /// What limits count by: an IPv4 address or an IPv6 /64, for one host owns 2^64 addresses.
    pub(super) fn network(self) -> Option<IpAddr> {
        match self {
            Self::Unix => None,
            Self::Ip(IpAddr::V6(v6)) if !self.is_local() => {
                let network = v6.to_bits() & !u128::from(u64::MAX);
                Some(IpAddr::V6(Ipv6Addr::from_bits(network)))
            }
            Self::Ip(ip) => Some(ip),
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix => f.write_str("unix"),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ip: &str) -> Peer {
        Peer::at(ip.parse().unwrap())
    }

    #[test]
    fn limits_count_by_address_and_by_64() {
        let limited = |ip: &str| at(ip).network().map(|ip| ip.to_string());
        assert_eq!(limited("198.51.100.7").as_deref(), Some("198.51.100.7"));
        assert_eq!(limited("::ffff:198.51.100.7").as_deref(), Some("198.51.100.7"));
        assert_eq!(limited("2001:db8:1:2:3::4").as_deref(), Some("2001:db8:1:2::"));
        for local in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(at(local).is_local(), "{local}");
        }
        assert!(Peer::Unix.is_local() && !at("10.0.0.1").is_local());
    }
}
