//! Whom a datagram may be sent to at all, whatever it asked. An answer to a forged request must not
//! feed a service that answers everything, reach many hosts at once, or come back to ourselves.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::limiter::{Limits, Refusal};
use crate::counters::Count;

/// Ports of services that answer a datagram from anybody, mostly with more than they got, and are
/// known for being used to flood others. No telephone sends from them: all are below 1024, or
/// registered for a server. A NAT may choose one of the few high ones for a telephone behind it; it
/// is then recorded like any other, and not answered.
pub const REFLECTOR_PORTS: &[(u16, &str)] = &[
    (7, "echo"),
    (17, "quote of the day"),
    (19, "chargen"),
    (53, "DNS"),
    (69, "TFTP"),
    (111, "portmapper"),
    (123, "NTP"),
    (137, "NetBIOS names"),
    (161, "SNMP"),
    (177, "XDMCP"),
    (389, "CLDAP"),
    (427, "SLP"),
    (520, "RIP"),
    (623, "IPMI"),
    (1434, "SQL Server browser"),
    (1604, "Citrix ICA browser"),
    (1900, "SSDP"),
    (3283, "Apple remote management"),
    (3389, "RDP"),
    (3478, "STUN and TURN"),
    (3702, "WS-Discovery"),
    (5093, "Sentinel licences"),
    (5353, "mDNS"),
    (5683, "CoAP"),
    (10001, "Ubiquiti discovery"),
    (11211, "memcached"),
    (27015, "Source game servers"),
    (37810, "DHCP discovery of recorders"),
];

/// Why an answer is withheld because of whom it would go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// A broadcast, multicast or unspecified address.
    Address,
    /// Port 0.
    PortZero,
    /// A port of [`REFLECTOR_PORTS`].
    Reflector,
    /// One of our own sockets.
    Own,
    /// A limit of the [limiter](super::limiter).
    Rate(Refusal),
}

impl Withheld {
    /// Where it is counted.
    #[must_use]
    pub fn count(self) -> Count {
        match self {
            Self::Address => Count::UnsentAddress,
            Self::PortZero => Count::UnsentPortZero,
            Self::Reflector => Count::UnsentReflector,
            Self::Own => Count::UnsentOwn,
            Self::Rate(Refusal::Source) => Count::UnsentSourceRate,
            Self::Rate(Refusal::Network) => Count::UnsentNetworkRate,
            Self::Rate(Refusal::Total) => Count::UnsentTotalRate,
        }
    }
}

/// What holds for everything that a shard sends over UDP.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// How often those are answered who have proven nothing: this shard's share.
    pub limits: Limits,
    /// What the limiter's tables are keyed with.
    pub seed: Seed,
    /// The node's own UDP sockets, of which one bound to all addresses stands for each of them.
    pub own: Own,
}

/// A random key of this process.
#[derive(Clone, Copy, Default)]
pub struct Seed(pub [u8; 16]);

impl Seed {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().into_bytes())
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// The node's own sockets and addresses.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// What the sockets are bound to.
    pub sockets: Vec<SocketAddr>,
    /// The addresses of the machine's interfaces when the node started.
    pub addresses: Vec<IpAddr>,
}

impl Own {
    /// Whether `peer`, which sent something to our `local` address, is one of our sockets.
    fn is(&self, peer: SocketAddr, local: IpAddr) -> bool {
        let ip = peer.ip();
        self.sockets.iter().any(|socket| {
            let wildcard = socket.ip().is_unspecified() && socket.is_ipv4() == peer.is_ipv4();
            socket.port() == peer.port()
                && (socket.ip() == ip
                    || wildcard
                        && (ip.is_loopback() || ip == local || self.addresses.contains(&ip)))
        })
    }
}

/// Whether anything may be sent to `peer`, whose datagram came to our address `local`.
///
/// # Errors
///
/// Why not.
pub fn check(peer: SocketAddr, local: IpAddr, own: &Own) -> Result<(), Withheld> {
    let many_or_none = match peer.ip() {
        IpAddr::V4(ip) => ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unspecified() || ip.is_multicast(),
    };
    if many_or_none {
        Err(Withheld::Address)
    } else if peer.port() == 0 {
        Err(Withheld::PortZero)
    } else if REFLECTOR_PORTS.binary_search_by_key(&peer.port(), |(port, _)| *port).is_ok() {
        Err(Withheld::Reflector)
    } else if own.is(peer, local) {
        Err(Withheld::Own)
    } else {
        Ok(())
    }
}

// The list is searched by halves.
const _: () = {
    let mut i = 1;
    while i < REFLECTOR_PORTS.len() {
        assert!(REFLECTOR_PORTS[i - 1].0 < REFLECTOR_PORTS[i].0);
        i += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(peer: &str, own: &Own) -> Result<(), Withheld> {
        check(peer.parse().unwrap(), "192.0.2.9".parse().unwrap(), own)
    }

    #[test]
    fn nothing_is_sent_to_addresses_that_are_no_single_host() {
        for peer in ["0.0.0.0:5060", "255.255.255.255:5060", "224.0.0.1:5060", "[ff02::1]:5060"] {
            assert_eq!(verdict(peer, &Own::default()), Err(Withheld::Address), "{peer}");
        }
        assert_eq!(verdict("192.0.2.1:0", &Own::default()), Err(Withheld::PortZero));
        assert_eq!(verdict("192.0.2.1:5060", &Own::default()), Ok(()));
    }

    #[test]
    fn nothing_is_sent_to_a_port_of_a_reflector() {
        for (port, name) in REFLECTOR_PORTS {
            let peer = SocketAddr::from(([192, 0, 2, 1], *port));
            let local = [192, 0, 2, 9].into();
            assert_eq!(check(peer, local, &Own::default()), Err(Withheld::Reflector), "{name}");
        }
    }

    #[test]
    fn nothing_is_sent_to_our_own_sockets() {
        let own = Own {
            sockets: ["0.0.0.0:5060", "192.0.2.7:5070", "[::1]:5080"]
                .map(|text| text.parse().unwrap())
                .to_vec(),
            addresses: vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()],
        };
        // The last but one is the address that the datagram was sent to, which no interface need have.
        for peer in ["192.0.2.7:5060", "192.0.2.7:5070", "127.9.9.9:5060", "192.0.2.9:5060"] {
            assert_eq!(verdict(peer, &own), Err(Withheld::Own), "{peer}");
        }
        assert_eq!(verdict("[::1]:5080", &own), Err(Withheld::Own));
        // Another port, another machine, or an address where we do not listen.
        for peer in ["192.0.2.7:5071", "127.0.0.1:5070", "192.0.2.1:5060", "[2001:db8::7]:5060"] {
            assert_eq!(verdict(peer, &own), Ok(()), "{peer}");
        }
    }
}
