//! What every output uses: snapshot + policy + now give the list.
//!
//! Nothing else decides whether something acts on an address or a number. What is on the allow-list is
//! in none of these lists.

use std::net::IpAddr;
use std::sync::Arc;

use crate::aggregate::{NumberRow, Row, SourceRow};
use crate::event::{SourceKey, Time, Verification};
use crate::key::{Key, NumberKey};
use crate::peers::PeerRow;
use crate::policy::{self, Policy, is_private};
use crate::snapshot::{Place, Snapshot, Table};

/// One entry of the blocklist.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blocked {
    /// The address; of an IPv6 /64 its network address.
    pub ip: IpAddr,
    /// 32, or 64 for IPv6.
    pub prefix_len: u8,
    /// When it leaves the list.
    pub expires: Time,
    /// How bad it is now.
    pub score: f64,
    /// Who says so.
    pub origin: Origin,
}

/// Who saw what an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This node; others may have, too.
    Own,
    /// Other nodes only.
    Peer,
}

impl Origin {
    /// One word for people and programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Peer => "peer",
        }
    }
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address; an IPv4-mapped one is IPv4.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        if ip.to_canonical().is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// What somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// What a source must have proven. By default [`Policy::min_verification`].
    pub min_verification: Verification,
    /// Only this family.
    pub family: Option<Family>,
}

impl Selection {
    /// Everything that the policy blocks.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        Self { min_verification: policy.min_verification, family: None }
    }
}

/// The blocklist, in no useful order: what this node saw, and then what only others did. It owns what it
/// needs, so it can be streamed.
pub fn blocklist(
    snapshot: Arc<Snapshot>,
    policy: Arc<Policy>,
    selection: Selection,
    now: Time,
) -> impl Iterator<Item = Blocked> + Send + 'static {
    let (mut place, mut next) = (Place::default(), 0);
    std::iter::from_fn(move || {
        while let Some((key, row)) = snapshot.sources.step(&mut place) {
            if let Some(entry) = blocked(key, row, &policy, selection, now) {
                return Some(entry);
            }
        }
        while let Some((key, row)) = snapshot.peers.sources().get(next) {
            next += 1;
            let entry = blocked_by_peers(&snapshot, key, row, &policy, selection, now);
            if entry.is_some() {
                return entry;
            }
        }
        None
    })
}

/// The entry that the blocklist has for this source, if it is blocked.
#[must_use]
pub fn blocked(
    key: &SourceKey,
    row: &SourceRow,
    policy: &Policy,
    selection: Selection,
    now: Time,
) -> Option<Blocked> {
    let ip = key.ip();
    let family = Family::of(ip);
    if selection.family.is_some_and(|wanted| wanted != family) {
        return None;
    }
    let min = selection.min_verification;
    let expires = policy::expires(row, min, policy.score_threshold, policy.retention_ns)?;
    if expires <= now || policy.allow.reason(ip).is_some() || is_held_back(ip, policy) {
        return None;
    }
    let prefix_len = if family == Family::V4 { 32 } else { 64 };
    let score = policy::score_at(row, min, now);
    Some(Blocked { ip, prefix_len, expires, score, origin: Origin::Own })
}

/// The entry that the blocklist has for this source because of what peers say, if they block it and this node
/// does not. Their word is that it has shown its return path, and no more than that; what is inside a
/// private network is no business of theirs.
#[must_use]
pub fn blocked_by_peers(
    snapshot: &Snapshot,
    key: &SourceKey,
    row: &PeerRow,
    policy: &Policy,
    selection: Selection,
    now: Time,
) -> Option<Blocked> {
    let ip = key.ip();
    let family = Family::of(ip);
    if selection.family.is_some_and(|wanted| wanted != family)
        || selection.min_verification > Verification::ReturnPath
        || !peers_name(key, row, policy, now)
    {
        return None;
    }
    let own = snapshot.sources.get(key);
    if own.is_some_and(|own| blocked(key, own, policy, selection, now).is_some()) {
        return None;
    }
    let prefix_len = if family == Family::V4 { 32 } else { 64 };
    let score = policy::faded(f64::from(row.weight), row.last, now);
    Some(Blocked { ip, prefix_len, expires: lapses(row, policy), score, origin: Origin::Peer })
}

/// Whether what peers say of a source holds, and may be said.
fn peers_name(key: &SourceKey, row: &PeerRow, policy: &Policy, now: Time) -> bool {
    let ip = key.ip();
    let is_private = is_private(ip) && !policy.allow.test_addresses();
    lapses(row, policy) > now && !is_private && policy.allow.reason(ip).is_none()
}

/// Until when what peers say holds: as they say, and never past this node's retention.
#[must_use]
pub fn lapses(row: &PeerRow, policy: &Policy) -> Time {
    row.until.min(Time(row.last.0.saturating_add(policy.retention_ns)))
}

/// What peers say of this address, if enough of them do for the lists that SentryPeer 4.x has.
#[must_use]
pub fn named_by_peers<'a>(
    snapshot: &'a Snapshot,
    policy: &Policy,
    ip: IpAddr,
    now: Time,
) -> Option<&'a PeerRow> {
    let key = SourceKey::of(ip);
    let row = snapshot.peers.source(&key)?;
    peers_name(&key, row, policy, now).then_some(row)
}

/// What peers say of this number, if enough of them do.
#[must_use]
pub fn number_named_by_peers<'a>(
    snapshot: &'a Snapshot,
    policy: &Policy,
    number: &[u8],
    now: Time,
) -> Option<&'a PeerRow> {
    let key = NumberKey::of(number);
    let row = snapshot.peers.number(&key)?;
    (lapses(row, policy) > now && policy.allow.number_reason(key.as_bytes()).is_none())
        .then_some(row)
}

/// Whether a private address is kept out because the operator did not ask for it.
#[must_use]
pub fn is_held_back(ip: IpAddr, policy: &Policy) -> bool {
    !policy.block_private && !policy.allow.test_addresses() && is_private(ip)
}

/// Whether a source is in the lists that SentryPeer 4.x has: seen within the retention, proven as
/// [`Policy::legacy_min_verification`] demands (by default not at all), and not on the allow-list.
#[must_use]
pub fn is_listed(key: &SourceKey, row: &SourceRow, policy: &Policy, now: Time) -> bool {
    let oldest = now.minus_ns(policy.retention_ns);
    let at = row.verified_at(policy.legacy_min_verification);
    at.is_some_and(|at| at > oldest) && policy.allow.reason(key.ip()).is_none()
}

/// Whether this address is in the lists that SentryPeer 4.x has, and its row.
#[must_use]
pub fn listed<'a>(
    snapshot: &'a Snapshot,
    policy: &Policy,
    ip: IpAddr,
    now: Time,
) -> Option<&'a SourceRow> {
    let key = SourceKey::of(ip);
    let row = snapshot.sources.get(&key)?;
    is_listed(&key, row, policy, now).then_some(row)
}

/// Whether a number is in the list that SentryPeer 4.x has: seen within the retention, by a source that had
/// proven what [`Policy::legacy_min_verification`] demands, and not on the allow-list.
fn is_listed_number(key: &NumberKey, row: &NumberRow, policy: &Policy, now: Time) -> bool {
    let oldest = now.minus_ns(policy.retention_ns);
    let min = policy.legacy_min_verification;
    row.seen.last > oldest
        && (min == Verification::Unverified || row.proofs.last(min).is_some_and(|at| at > oldest))
        && policy.allow.number_reason(key.as_bytes()).is_none()
}

/// Whether this number is in the list that SentryPeer 4.x has, and its row.
#[must_use]
pub fn listed_number<'a>(
    snapshot: &'a Snapshot,
    policy: &Policy,
    number: &[u8],
    now: Time,
) -> Option<&'a NumberRow> {
    let key = NumberKey::of(number);
    let row = snapshot.numbers.get(&key)?;
    is_listed_number(&key, row, policy, now).then_some(row)
}

/// The rows of every listed source and where they are in their table, in no useful order.
pub fn listed_sources<'a>(
    snapshot: &'a Snapshot,
    policy: &'a Policy,
    now: Time,
) -> impl Iterator<Item = (Place, &'a SourceRow)> {
    places(&snapshot.sources, move |key, row| is_listed(key, row, policy, now))
}

/// The rows of every listed number and where they are in their table, in no useful order.
pub fn listed_numbers<'a>(
    snapshot: &'a Snapshot,
    policy: &'a Policy,
    now: Time,
) -> impl Iterator<Item = (Place, &'a NumberRow)> {
    places(&snapshot.numbers, move |key, row| is_listed_number(key, row, policy, now))
}

/// The rows that are wanted, and where they are.
fn places<K: Key, R: Row>(
    table: &Table<K, R>,
    is_wanted: impl Fn(&K, &R) -> bool,
) -> impl Iterator<Item = (Place, &R)> {
    let mut next = Place::default();
    std::iter::from_fn(move || {
        loop {
            let place = next;
            let (key, row) = table.step(&mut next)?;
            if is_wanted(key, row) {
                return Some((place, row));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::event::EventRef;
    use crate::limits::NS_PER_S;
    use crate::policy::AllowList;
    use crate::testing::{START, event};

    const DAY: u64 = 86_400 * NS_PER_S;

    fn snapshot(sources: &[(&str, Verification)]) -> Arc<Snapshot> {
        let events = sources.iter().map(|(ip, verification)| EventRef {
            source: (ip.parse::<IpAddr>().unwrap(), 5060).into(),
            verification: *verification,
            ..event(0)
        });
        Arc::new(Snapshot::of_events(Uuid::nil(), Uuid::nil(), events, START))
    }

    fn ips(
        snapshot: &Arc<Snapshot>,
        policy: &Policy,
        selection: Selection,
        now: Time,
    ) -> Vec<String> {
        let list = blocklist(snapshot.clone(), Arc::new(policy.clone()), selection, now);
        let mut ips: Vec<_> =
            list.map(|entry| format!("{}/{}", entry.ip, entry.prefix_len)).collect();
        ips.sort();
        ips
    }

    const SOURCES: [(&str, Verification); 7] = [
        ("144.21.55.36", Verification::Connected),
        ("144.21.55.37", Verification::Unverified),
        ("144.21.55.38", Verification::Relayed),
        ("2a00:1:2:3::9", Verification::ReturnPath),
        ("10.0.0.7", Verification::Tls),
        ("127.0.0.1", Verification::Tls),
        ("192.0.2.9", Verification::Connected),
    ];

    #[test]
    fn only_proven_public_sources_are_blocked_by_default() {
        let policy = Policy::default();
        let snapshot = snapshot(&SOURCES);
        let all = Selection::of(&policy);
        assert_eq!(ips(&snapshot, &policy, all, START), ["144.21.55.36/32", "2a00:1:2:3::/64"]);
        let v6 = Selection { family: Some(Family::V6), ..all };
        assert_eq!(ips(&snapshot, &policy, v6, START), ["2a00:1:2:3::/64"]);
    }

    #[test]
    fn who_asks_for_all_gets_the_unproven_but_never_the_allow_list() {
        let policy = Policy { block_private: true, ..Policy::default() };
        let snapshot = snapshot(&SOURCES);
        let all = Selection { min_verification: Verification::Unverified, family: None };
        assert_eq!(
            ips(&snapshot, &policy, all, START),
            [
                "10.0.0.7/32",
                "144.21.55.36/32",
                "144.21.55.37/32",
                "144.21.55.38/32",
                "2a00:1:2:3::/64"
            ]
        );
    }

    #[test]
    fn test_addresses_lift_the_ranges() {
        let policy = Policy { allow: AllowList::new([], true), ..Policy::default() };
        let snapshot = snapshot(&SOURCES);
        assert_eq!(ips(&snapshot, &policy, Selection::of(&policy), START).len(), 5);
    }

    #[test]
    fn peers_add_what_is_not_known_here_but_nothing_private_allowed_or_expired() {
        let ip = |text: &str| -> SourceKey { SourceKey::of(text.parse().unwrap()) };
        let until = Time(START.0 + DAY);
        let (last, told) = (START, START);
        let row = PeerRow { until, last, voters: 3, by_trusted: false, weight: 2.0, told };
        let old = PeerRow { until: START, ..row };
        let named = [
            ("144.21.55.36", row),
            ("144.21.55.37", row),
            ("150.1.1.1", row),
            ("150.1.1.2", old),
            ("150.1.1.3", row),
            ("10.1.1.1", row),
            ("192.0.2.44", row),
        ];
        let named = named.map(|(text, row)| (ip(text), row)).to_vec();
        let number = (NumberKey::of(b"+44123"), row);
        let peers = Arc::new(crate::peers::Peers::new(named, vec![number]));
        let snapshot = Arc::new(Snapshot { peers, ..(*snapshot(&SOURCES)).clone() });
        let allowed = vec!["150.1.1.3".parse().unwrap()];
        let policy = Policy { allow: AllowList::new(allowed, false), ..Policy::default() };
        let all = Selection::of(&policy);
        let list: Vec<_> =
            blocklist(snapshot.clone(), Arc::new(policy.clone()), all, START).collect();
        let origin = |text: &str| {
            let found = list.iter().filter(|entry| entry.ip.to_string() == text);
            found.map(|entry| entry.origin).collect::<Vec<_>>()
        };
        assert_eq!(origin("144.21.55.36"), [Origin::Own], "once, and as seen here");
        assert_eq!(origin("144.21.55.37"), [Origin::Peer], "proven there, and not here");
        assert_eq!(origin("150.1.1.1"), [Origin::Peer]);
        for none in ["150.1.1.2", "150.1.1.3", "10.1.1.1", "192.0.2.44"] {
            assert_eq!(origin(none), [], "{none}");
        }
        let short = Policy { retention_ns: DAY / 2, ..policy.clone() };
        let later = Time(START.0 + DAY / 2);
        assert!(named_by_peers(&snapshot, &policy, "150.1.1.1".parse().unwrap(), later).is_some());
        assert!(named_by_peers(&snapshot, &short, "150.1.1.1".parse().unwrap(), later).is_none());
        let strict = Selection { min_verification: Verification::Connected, ..all };
        assert_eq!(ips(&snapshot, &policy, strict, START), ["144.21.55.36/32"]);
        let found =
            |text: &str, now| named_by_peers(&snapshot, &policy, text.parse().unwrap(), now);
        assert!(found("150.1.1.1", START).is_some() && found("150.1.1.1", until).is_none());
        assert!(number_named_by_peers(&snapshot, &policy, b"+44 123", START).is_some());
        assert!(number_named_by_peers(&snapshot, &policy, b"+44 123", until).is_none());
    }

    #[test]
    fn an_entry_leaves_the_list_when_it_says() {
        let policy = Arc::new(Policy::default());
        let snapshot = snapshot(&SOURCES[..1]);
        let selection = Selection::of(&policy);
        let entry = blocklist(snapshot.clone(), policy.clone(), selection, START).next().unwrap();
        assert!(entry.expires.0.abs_diff(START.0 + 7 * DAY) <= NS_PER_S);
        let just_before = Time(entry.expires.0 - 1);
        assert_eq!(ips(&snapshot, &policy, selection, just_before).len(), 1);
        assert!(ips(&snapshot, &policy, selection, entry.expires).is_empty());
    }

    #[test]
    fn the_lists_of_sentrypeer_4_have_every_source_that_has_not_expired() {
        let mut policy = Policy::default();
        let snapshot = snapshot(&SOURCES);
        let found = |policy: &Policy, ip: &str, now| {
            listed(&snapshot, policy, ip.parse().unwrap(), now).is_some()
        };
        assert!(found(&policy, "144.21.55.37", START));
        assert!(found(&policy, "2a00:1:2:3:4::1", START));
        assert!(found(&policy, "10.0.0.7", START));
        assert!(!found(&policy, "127.0.0.1", START));
        assert!(!found(&policy, "144.21.55.37", Time(START.0 + 7 * DAY)));
        policy.legacy_min_verification = Verification::ReturnPath;
        assert!(!found(&policy, "144.21.55.37", START));
        assert!(found(&policy, "144.21.55.36", START));
        let all = listed_sources(&snapshot, &policy, START);
        assert_eq!(all.count(), 3);
    }

    #[test]
    fn a_number_is_found_with_and_without_separators_until_it_expires() {
        let policy = Policy::default();
        let snapshot = snapshot(&SOURCES);
        assert!(listed_number(&snapshot, &policy, b"+44 20 7123-4567", START).is_some());
        assert!(listed_number(&snapshot, &policy, b"+4420", START).is_none());
        let later = Time(START.0 + 8 * DAY);
        assert!(listed_number(&snapshot, &policy, b"+442071234567", later).is_none());
        let all = listed_numbers(&snapshot, &policy, START);
        assert_eq!(all.count(), 1);
    }
}
