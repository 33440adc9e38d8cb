//! What one message from one source was: plain data, no IO.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

pub use sentrypeer_sip::{Anomalies, Anomaly};
use uuid::Uuid;

/// Position of an event in the log. The first event of a database is 1; 0 means "before any event".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// A point in time: nanoseconds since 1970-01-01T00:00:00 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The present, by the system clock. Only the edges of the program call this.
    ///
    /// A clock set before 1970 reads as the epoch itself.
    #[must_use]
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self(since.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// This time less `ns` nanoseconds, not before the epoch.
    #[must_use]
    pub fn minus_ns(self, ns: u64) -> Self {
        Self(self.0.saturating_sub(ns))
    }
}

/// How the message travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Transport {
    /// A datagram.
    Udp = 1,
    /// A plain stream.
    Tcp = 2,
    /// A stream inside TLS.
    Tls = 3,
}

impl Transport {
    /// Every transport, in the order of its code.
    pub const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];

    /// The name that the outside interfaces use: `UDP`, `TCP`, `TLS`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// The transport with this code, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|t| *t as u8 == code)
    }
}

/// How well the source address is proven, weakest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Verification {
    /// A lone datagram: anybody can forge its source.
    #[default]
    Unverified = 0,
    /// It came over a connection, but on behalf of somebody else.
    Relayed = 1,
    /// It brought back something that only the owner of the address received.
    ReturnPath = 2,
    /// It came over TCP.
    Connected = 3,
    /// It came over TLS.
    Tls = 4,
}

impl Verification {
    /// Every level, weakest first.
    pub const ALL: [Self; 5] =
        [Self::Unverified, Self::Relayed, Self::ReturnPath, Self::Connected, Self::Tls];

    /// The name that the outside interfaces use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Relayed => "relayed",
            Self::ReturnPath => "return-path",
            Self::Connected => "connected",
            Self::Tls => "tls",
        }
    }

    /// The level with this name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.name() == name)
    }

    /// The level with this code, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|v| *v as u8 == code)
    }
}

/// Whether the node answered when it collected the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Collected {
    /// It only listened.
    Passive = 0,
    /// It answers probes.
    Responsive = 1,
}

impl Collected {
    /// The name that the outside interfaces use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passive => "passive",
            Self::Responsive => "responsive",
        }
    }
}

/// What a number is: something that was called, or an account that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum NumberKind {
    /// There is no number.
    None = 0,
    /// Somebody wanted to reach it: INVITE, MESSAGE, REFER, and what goes with a call.
    Called = 1,
    /// Somebody tried the extension: REGISTER, SUBSCRIBE, OPTIONS and the rest.
    Account = 2,
}

/// One event, borrowed from whatever buffer holds it.
///
/// `method`, `number` and `user_agent` are empty when the message had none. They are bytes from the
/// network: neither UTF-8 nor free of control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRef<'a> {
    /// When it arrived.
    pub time: Time,
    /// Who sent it. IPv4-mapped addresses are IPv4 here.
    pub source: SocketAddr,
    /// Where it was sent to.
    pub destination: SocketAddr,
    /// How it travelled.
    pub transport: Transport,
    /// How well `source` is proven by this message.
    pub verification: Verification,
    /// Whether the node answers.
    pub collected: Collected,
    /// What `number` is.
    pub number_kind: NumberKind,
    /// What was wrong with it.
    pub anomalies: Anomalies,
    /// The method as sent, at most [`METHOD_BYTES_MAX`] bytes.
    pub method: &'a [u8],
    /// The called number, percent-decoded, at most [`NUMBER_BYTES_MAX`] bytes.
    pub number: &'a [u8],
    /// The user agent as sent, at most [`USER_AGENT_BYTES_MAX`] bytes.
    pub user_agent: &'a [u8],
    /// The whole message as received, at most [`MESSAGE_BYTES_MAX`] bytes.
    pub message: &'a [u8],
}

/// Longest method that an event keeps apart from its message, in bytes.
pub const METHOD_BYTES_MAX: usize = 32;
/// Longest number that an event keeps apart from its message, in bytes.
pub const NUMBER_BYTES_MAX: usize = 128;
/// Longest user agent that an event keeps apart from its message, in bytes.
pub const USER_AGENT_BYTES_MAX: usize = 256;
/// Longest message that an event keeps, in bytes: the largest datagram there is.
pub const MESSAGE_BYTES_MAX: usize = 65_535;

/// Makes IPv4-mapped IPv6 addresses IPv4, and leaves the rest alone.
#[must_use]
pub fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// What counts as one source: an IPv4 address, or an IPv6 /64, for one host owns 2^64 addresses.
///
/// Sixteen bytes in network order; IPv4 is kept IPv4-mapped, so keys sort by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceKey(pub [u8; 16]);

impl Ord for SourceKey {
    /// The order of the bytes; as one number it takes no call.
    #[inline]
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
    }
}

impl PartialOrd for SourceKey {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl SourceKey {
    /// The key that `ip` counts under.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match canonical(ip) {
            IpAddr::V4(v4) => Self(v4.to_ipv6_mapped().octets()),
            IpAddr::V6(v6) => {
                let mut octets = v6.octets();
                octets[8..].fill(0);
                Self(octets)
            }
        }
    }

    /// The address itself (IPv4), or the network address of the /64 (IPv6).
    #[must_use]
    pub fn ip(self) -> IpAddr {
        canonical(IpAddr::V6(Ipv6Addr::from(self.0)))
    }
}

/// The event's id, a UUID of version 7 (RFC 9562, section 5.7), derived from what is stored anyway.
///
/// The 48 bits of milliseconds are the event's; of the 74 others, 48 are the sequence number, so the
/// event is found without an index, and 26 are from `node`, so that two nodes' events never share
/// an id.
#[must_use]
pub fn event_id(node: Uuid, seq: Seq, time: Time) -> Uuid {
    let millis = time.0 / 1_000_000;
    let node_bits = u128::from(node.as_u64_pair().1) & 0x3ff_ffff;
    let rand_a = node_bits >> 14;
    let rand_b = (node_bits & 0x3fff) << 48 | u128::from(seq.0 & 0xffff_ffff_ffff);
    let bits = u128::from(millis & 0xffff_ffff_ffff) << 80
        | 0x7 << 76
        | rand_a << 64
        | 0b10 << 62
        | rand_b;
    Uuid::from_u128(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_source_counts_by_its_64() {
        let a = SourceKey::of("2001:db8:1:2::5".parse().unwrap());
        let b = SourceKey::of("2001:db8:1:2:ffff::9".parse().unwrap());
        assert_eq!(a, b);
        assert_eq!(a.ip(), "2001:db8:1:2::".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn a_mapped_address_is_ipv4() {
        let key = SourceKey::of("::ffff:192.0.2.7".parse().unwrap());
        assert_eq!(key, SourceKey::of("192.0.2.7".parse().unwrap()));
        assert_eq!(key.ip(), "192.0.2.7".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn an_event_id_is_version_7_and_carries_time_and_sequence() {
        let node = Uuid::from_u128(0x1234_5678_9abc_4def_8123_4567_89ab_cdef);
        let id = event_id(node, Seq(77), Time(1_795_000_000_123_456_789));
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.as_u128() >> 80, 1_795_000_000_123);
        assert_eq!(id.as_u128() & 0xffff_ffff_ffff, 77);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
    }
}
