//! Which addresses may ever be acted on, and how bad a source is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::aggregate::SourceRow;
use crate::event::{Time, Verification, canonical};
use crate::limits::{NS_PER_S, RETENTION_NS};

pub use crate::allow::{AllowList, AllowReason, NumberPattern, NumberReason};

/// The score at which a source is blocked when nothing else is said. One proven event scores
/// log2(1 + 1) = 1; halved every 3.5 days that is 0.25 after 7 days.
pub const SCORE_THRESHOLD: f64 = 0.25;

/// A score halves in this time.
pub const HALF_LIFE_NS: u64 = 84 * 3600 * NS_PER_S;

/// The operator's rules, immutable; a change makes a new one with a higher revision.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What a source must have proven to be blocked or shared.
    pub min_verification: Verification,
    /// What a source must have proven to be in the lists that SentryPeer 4.x has.
    pub legacy_min_verification: Verification,
    /// Age at which an entry expires, in ns.
    pub retention_ns: u64,
    /// The score that blocks.
    pub score_threshold: f64,
    /// Whether private addresses may be blocked.
    pub block_private: bool,
    /// Addresses and numbers that nothing may act on.
    pub allow: AllowList,
    /// Grows with every change, for the ETag.
    pub revision: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            min_verification: Verification::ReturnPath,
            legacy_min_verification: Verification::Unverified,
            retention_ns: RETENTION_NS,
            score_threshold: SCORE_THRESHOLD,
            block_private: false,
            allow: AllowList::default(),
            revision: 0,
        }
    }
}

/// How bad a source is now: log2(1 + count), halved every 3.5 days since it last proved `min` or
/// better; 0 if it never did. With [`Verification::Unverified`] nothing needs to be proven, and it
/// ages from when it was last seen.
///
/// It ages from the last proof, not from the last event: anybody can send a datagram in another's
/// name, and so keep an address blocked for ever that misbehaved once.
#[must_use]
pub fn score_at(row: &SourceRow, min: Verification, now: Time) -> f64 {
    let Some(at) = row.verified_at(min) else { return 0.0 };
    faded(weight(row), at, now)
}

/// What is left now of a score that was `score` at `at`.
pub(crate) fn faded(score: f64, at: Time, now: Time) -> f64 {
    let age = now.0.saturating_sub(at.0) as f64 / HALF_LIFE_NS as f64;
    score * (-age).exp2()
}

/// The score without its decay.
fn weight(row: &SourceRow) -> f64 {
    (row.seen.count as f64).ln_1p() / std::f64::consts::LN_2
}

/// When the row stops to be listed: when its score falls below `threshold`, and never later than
/// `retention_ns` after the last proof. `None` if nothing was proven or the threshold never reached.
#[must_use]
pub fn expires(
    row: &SourceRow,
    min: Verification,
    threshold: f64,
    retention_ns: u64,
) -> Option<Time> {
    let at = row.verified_at(min)?;
    let half_lives = (weight(row) / threshold).log2();
    if half_lives.is_nan() || half_lives < 0.0 {
        return None;
    }
    // `as` saturates; a threshold of 0 gives infinity, and so the retention.
    let until_score = (half_lives * HALF_LIFE_NS as f64) as u64;
    Some(Time(at.0.saturating_add(until_score.min(retention_ns))))
}

/// Whether the address is inside a private network: RFC 1918, shared address space (RFC 6598), or
/// unique local (RFC 4193). Such a source is an inside honeypot's catch.
#[must_use]
pub fn is_private(ip: IpAddr) -> bool {
    match canonical(ip) {
        IpAddr::V4(v4) => PRIVATE_V4.iter().any(|(network, len)| in_v4(v4, *network, *len)),
        IpAddr::V6(v6) => in_v6(v6, Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    }
}

const PRIVATE_V4: [(Ipv4Addr, u8); 4] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
];

/// The name of the special-purpose range that `ip` is in, private ranges excepted.
#[must_use]
pub fn special_purpose(ip: IpAddr) -> Option<&'static str> {
    match canonical(ip) {
        IpAddr::V4(v4) => SPECIAL_V4
            .iter()
            .find(|(network, len, _)| in_v4(v4, *network, *len))
            .map(|(_, _, name)| *name),
        IpAddr::V6(v6) => SPECIAL_V6
            .iter()
            .find(|(network, len, _)| in_v6(v6, *network, *len))
            .map(|(_, _, name)| *name),
    }
}

fn in_v4(ip: Ipv4Addr, network: Ipv4Addr, len: u8) -> bool {
    (ip.to_bits() ^ network.to_bits()) >> (32 - len) == 0
}

fn in_v6(ip: Ipv6Addr, network: Ipv6Addr, len: u8) -> bool {
    (ip.to_bits() ^ network.to_bits()) >> (128 - len) == 0
}

/// RFC 6890, section 2.2.2, as updated by the IANA registry; multicast is RFC 5771.
const SPECIAL_V4: [(Ipv4Addr, u8, &str); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "This host on this network"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "Loopback"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "Link Local"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "IETF Protocol Assignments"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "Documentation (TEST-NET-1)"),
    (Ipv4Addr::new(192, 31, 196, 0), 24, "AS112-v4"),
    (Ipv4Addr::new(192, 52, 193, 0), 24, "AMT"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "6to4 Relay Anycast"),
    (Ipv4Addr::new(192, 175, 48, 0), 24, "Direct Delegation AS112 Service"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "Benchmarking"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "Documentation (TEST-NET-2)"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "Documentation (TEST-NET-3)"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "Multicast"),
    (Ipv4Addr::new(255, 255, 255, 255), 32, "Limited Broadcast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "Reserved"),
];

/// RFC 6890, section 2.2.3, as updated by the IANA registry; multicast is RFC 4291, section 2.7.
/// Longer prefixes stand first.
const SPECIAL_V6: [(Ipv6Addr, u8, &str); 17] = [
    // What a source counts by is its /64, so the /64 of ::1 and :: is special as a whole.
    (Ipv6Addr::UNSPECIFIED, 64, "Loopback and Unspecified Address"),
    (v6(0x64, 0xff9b, 0, 0), 96, "IPv4-IPv6 Translat."),
    (v6(0x64, 0xff9b, 1, 0), 48, "IPv4-IPv6 Translat. (local use)"),
    (v6(0x100, 0, 0, 0), 64, "Discard-Only Address Block"),
    (v6(0x100, 0, 0, 1), 64, "Dummy IPv6 Prefix"),
    (v6(0x2001, 0, 0, 0), 32, "TEREDO"),
    (v6(0x2001, 2, 0, 0), 48, "Benchmarking"),
    (v6(0x2001, 0x10, 0, 0), 28, "ORCHID"),
    (v6(0x2001, 0x20, 0, 0), 28, "ORCHIDv2"),
    (v6(0x2001, 0, 0, 0), 23, "IETF Protocol Assignments"),
    (v6(0x2001, 0xdb8, 0, 0), 32, "Documentation"),
    (v6(0x2002, 0, 0, 0), 16, "6to4"),
    (v6(0x2620, 0x4f, 0x8000, 0), 48, "Direct Delegation AS112 Service"),
    (v6(0x3fff, 0, 0, 0), 20, "Documentation"),
    (v6(0x5f00, 0, 0, 0), 16, "Segment Routing (SRv6) SIDs"),
    (v6(0xfe80, 0, 0, 0), 10, "Link-Scoped Unicast"),
    (v6(0xff00, 0, 0, 0), 8, "Multicast"),
];

const fn v6(a: u16, b: u16, c: u16, d: u16) -> Ipv6Addr {
    Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Row;
    use crate::event::{Collected, EventRef, NumberKind, Seq, Transport};
    use crate::method::Method;

    const DAY: u64 = 86_400 * NS_PER_S;

    fn seen(count: u64, verification: Verification, time: Time) -> SourceRow {
        let mut row = SourceRow::nothing();
        for seq in 1..=count {
            let event = EventRef {
                time,
                source: "198.18.0.1:5060".parse().unwrap(),
                destination: "192.0.2.1:5060".parse().unwrap(),
                transport: Transport::Udp,
                verification,
                collected: Collected::Passive,
                number_kind: NumberKind::None,
                anomalies: Default::default(),
                method: b"",
                number: b"",
                user_agent: b"",
                message: b"",
            };
            row.add(Seq(seq), &event, Method::None, None);
        }
        row
    }

    fn score(row: &SourceRow, now: Time) -> f64 {
        score_at(row, Verification::ReturnPath, now)
    }

    #[test]
    fn one_proven_event_blocks_for_seven_days_and_no_longer() {
        let start = Time(20_000 * DAY);
        let row = seen(1, Verification::ReturnPath, start);
        let at = row.verified_at(Verification::ReturnPath).unwrap();
        assert!((score(&row, start) - 1.0).abs() < 1e-9);
        assert!(score(&row, Time(at.0 + 7 * DAY - NS_PER_S)) >= SCORE_THRESHOLD);
        assert!(score(&row, Time(at.0 + 7 * DAY + NS_PER_S)) < SCORE_THRESHOLD);
        let end = expires(&row, Verification::ReturnPath, SCORE_THRESHOLD, u64::MAX).unwrap();
        assert!(end.0.abs_diff(at.0 + 7 * DAY) < NS_PER_S);
    }

    #[test]
    fn many_events_never_block_past_the_retention() {
        let start = Time(20_000 * DAY);
        let row = seen(1000, Verification::Tls, start);
        let end = expires(&row, Verification::ReturnPath, SCORE_THRESHOLD, 3 * DAY).unwrap();
        assert_eq!(end, Time(start.0 + 3 * DAY));
    }

    #[test]
    fn forged_datagrams_do_not_prolong_what_was_proven_once() {
        let start = Time(20_000 * DAY);
        let mut row = seen(1, Verification::Connected, start);
        row.merge(&seen(1, Verification::Unverified, Time(start.0 + 6 * DAY)));
        let later = Time(start.0 + 8 * DAY);
        let end = expires(&row, Verification::ReturnPath, SCORE_THRESHOLD, 7 * DAY).unwrap();
        assert!(end < later);
        assert!(score_at(&row, Verification::Unverified, later) > score(&row, later));
    }

    #[test]
    fn an_unproven_source_scores_nothing() {
        let row = seen(100, Verification::Unverified, Time(5));
        assert!(score(&row, Time(5)) == 0.0);
        assert_eq!(expires(&row, Verification::ReturnPath, SCORE_THRESHOLD, DAY), None);
        assert!(expires(&row, Verification::Unverified, SCORE_THRESHOLD, DAY).is_some());
    }

    #[test]
    fn special_purpose_ranges_are_never_acted_on() {
        let list = AllowList::new([], false);
        for ip in [
            "127.0.0.1",
            "0.0.0.0",
            "169.254.3.4",
            "192.0.2.1",
            "198.19.255.255",
            "224.0.0.5",
            "255.255.255.255",
            "250.1.1.1",
            "::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::7",
            "2002:c000:204::1",
            "64:ff9b::1.2.3.4",
            "::ffff:127.0.0.1",
            "2001::5",
        ] {
            let reason = list.reason(ip.parse().unwrap());
            assert!(matches!(reason, Some(AllowReason::SpecialPurpose(_))), "{ip}: {reason:?}");
        }
    }

    #[test]
    fn public_and_private_addresses_are_not_special() {
        let list = AllowList::new([], false);
        for ip in ["144.21.55.36", "2a00:1450:4001::1", "10.0.0.7", "100.64.0.1", "fd00::1"] {
            assert_eq!(list.reason(ip.parse().unwrap()), None, "{ip}");
        }
        for ip in ["10.1.2.3", "172.31.0.1", "192.168.1.1", "100.127.0.1", "fd00::1"] {
            assert!(is_private(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["172.32.0.1", "100.128.0.1", "fe00::1", "11.0.0.1"] {
            assert!(!is_private(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn own_addresses_are_protected_unless_addresses_are_for_tests() {
        let own: [IpAddr; 2] = ["144.21.55.36".parse().unwrap(), "2a00:1:2:3::9".parse().unwrap()];
        let list = AllowList::new(own, false);
        assert_eq!(list.reason(own[0]), Some(AllowReason::OwnAddress));
        let neighbour = "2a00:1:2:3:4:5:6:7".parse().unwrap();
        assert_eq!(list.reason(neighbour), Some(AllowReason::OwnAddress));
        assert_eq!(AllowList::new(own, true).reason(own[0]), None);
        assert_eq!(AllowList::new(own, true).reason("127.0.0.1".parse().unwrap()), None);
    }
}
