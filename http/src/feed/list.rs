//! The blocklist in the order of its addresses, IPv4 first.
//!
//! Kept are a key and a time for each entry: a million take 24 MB while they are sent. What else a format
//! shows is looked up when it is written, in the same generation.

use std::net::IpAddr;
use std::sync::Arc;

use sentrypeer_storage::aggregate::SourceRow;
use sentrypeer_storage::blocklist::{
    Blocked, Family, Origin, Selection, blocked, blocked_by_peers, lapses,
};
use sentrypeer_storage::event::{SourceKey, Time, Verification};
use sentrypeer_storage::peers::PeerRow;
use sentrypeer_storage::policy::{self, Policy};
use sentrypeer_storage::snapshot::Snapshot;

use super::choice::Choice;
use super::cut::Cut;
use crate::routes::View;

const NS_PER_S: u64 = 1_000_000_000;

/// One address to block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The address; of an IPv6 /64 its network address.
    pub(super) ip: IpAddr,
    /// 32, or 64 for IPv6.
    pub(super) prefix_len: u8,
    pub(super) expires: Time,
}

/// What is known about an entry beside that: it takes a look into the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) first: Time,
    pub(super) last: Time,
    pub(super) count: u64,
    pub(super) score: f64,
    pub(super) verification: Verification,
    pub(super) origin: Origin,
}

impl Entry {
    fn new(key: SourceKey, expires: Time) -> Self {
        let ip = key.ip();
        let prefix_len = if ip.is_ipv4() { 32 } else { 64 };
        Self { ip, prefix_len, expires }
    }

    /// Seconds that it stays on the list, at least 1 and at most `max`.
    pub(super) fn left_s(&self, now: Time, max: u64) -> u64 {
        self.expires.0.saturating_sub(now.0).div_ceil(NS_PER_S).clamp(1, max)
    }

    /// The address, of an IPv6 network with its length.
    pub(super) fn network(&self) -> String {
        match self.ip {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("{v6}/{}", self.prefix_len),
        }
    }
}

/// What is to be blocked, of one generation.
pub(super) struct List {
    snapshot: Arc<Snapshot>,
    policy: Arc<Policy>,
    now: Time,
    selection: Selection,
    /// Sorted: IPv4 is kept as `::ffff:0:0/96`, and no IPv6 network comes before that.
    entries: Vec<(SourceKey, Time)>,
    /// How many are not in it because there are too many.
    pub(super) left_out: usize,
    /// How many only peers name, with those that are left out.
    pub(super) by_peers: usize,
}

impl List {
    /// The entries that were chosen.
    pub(super) fn of(view: &View, choice: &Choice, now: Time) -> Self {
        let (snapshot, policy) = (Arc::clone(&view.snapshot), Arc::clone(&view.policy));
        let min_verification = choice.min_verification.unwrap_or(policy.min_verification);
        let selection = Selection { min_verification, family: choice.family };
        let age_ns = choice.max_age_s.map_or(u64::MAX, |age| age.saturating_mul(NS_PER_S));
        let oldest = now.minus_ns(age_ns);
        let earliest = oldest.max(choice.seen_since);
        // No kernel keeps an unspecified address; ::1 is one under its /64.
        let can_be = |blocked: &Blocked| !blocked.ip.is_unspecified();
        let chosen = |key: &SourceKey, row: &SourceRow| {
            let fits = row.seen.count >= choice.min_count && row.seen.last >= earliest;
            blocked(key, row, &policy, selection, now).filter(|_| fits).filter(can_be)
        };
        let chosen_by_peers = |key: &SourceKey, row: &PeerRow| {
            // When they saw it says nothing of when it was told here. What was hidden by a row of this node's
            // may be new on the list although it was told before.
            let is_new = row.told >= choice.seen_since || snapshot.sources.get(key).is_some();
            let fits = u64::from(row.voters) >= choice.min_count && row.last >= oldest && is_new;
            blocked_by_peers(&snapshot, key, row, &policy, selection, now)
                .filter(|_| fits)
                .filter(can_be)
        };
        let rows = snapshot.sources.iter();
        let found = rows.filter_map(|(key, row)| Some((*key, chosen(key, row)?.expires)));
        let peers = snapshot.peers.sources();
        // Room for all at once: while a list grows it is in memory twice. What is not used costs nothing.
        let mut entries: Vec<(SourceKey, Time)> =
            Vec::with_capacity(snapshot.sources.len() + peers.len());
        entries.extend(found);
        let own = entries.len();
        let found = peers.iter().filter_map(|(key, row)| {
            let blocked = chosen_by_peers(key, row)?;
            Some((*key, blocked.expires))
        });
        entries.extend(found);
        let all = entries.len();
        let by_peers = all - own;
        if all > choice.limit {
            let score = |key: &SourceKey| {
                let own = snapshot.sources.get(key).and_then(|row| chosen(key, row));
                let peer = || chosen_by_peers(key, snapshot.peers.source(key)?);
                Some(own.or_else(peer)?.score)
            };
            let mut cut =
                Cut::at(choice.limit, || entries.iter().filter_map(|(key, _)| score(key)));
            entries.retain(|(key, _)| score(key).is_some_and(|score| cut.takes(score)));
        }
        entries.sort_unstable_by_key(|(key, _)| u128::from_be_bytes(key.0));
        Self { left_out: all - entries.len(), by_peers, snapshot, policy, now, selection, entries }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entry at a place of the list.
    pub(super) fn get(&self, place: usize) -> Option<Entry> {
        self.entries.get(place).map(|(key, expires)| Entry::new(*key, *expires))
    }

    /// What is known about the entry at a place.
    pub(super) fn known(&self, place: usize) -> Option<Known> {
        let (key, _) = self.entries.get(place)?;
        let Self { snapshot, policy, selection, now, .. } = self;
        let own = snapshot.sources.get(key);
        if let Some(row) = own
            && let Some(entry) = blocked(key, row, policy, *selection, *now)
        {
            return Some(Known {
                first: row.seen.first,
                last: row.seen.last,
                count: row.seen.count,
                score: entry.score,
                verification: row.verification(now.minus_ns(policy.retention_ns)),
                origin: entry.origin,
            });
        }
        let row = snapshot.peers.source(key)?;
        let entry = blocked_by_peers(snapshot, key, row, policy, *selection, *now)?;
        Some(Known {
            first: row.last,
            last: row.last,
            count: u64::from(row.voters),
            score: entry.score,
            verification: Verification::ReturnPath,
            origin: entry.origin,
        })
    }

    /// Who says so, of the entry at a place.
    pub(super) fn origin(&self, place: usize) -> Origin {
        let Some((key, _)) = self.entries.get(place) else { return Origin::Own };
        let is_peers = self.snapshot.peers.source(key).is_some_and(|row| {
            blocked_by_peers(&self.snapshot, key, row, &self.policy, self.selection, self.now)
                .is_some()
        });
        if is_peers { Origin::Peer } else { Origin::Own }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Entry> {
        self.entries.iter().map(|(key, expires)| Entry::new(*key, *expires))
    }
}

/// What would be on the list if it were not for the allow-list or its like: who took it from an earlier
/// list should let it go. `min` is the proof that was demanded there; `None`: what the policy demands.
/// Unspecified addresses, which no list has, are not in it: no kernel can take them out.
pub(super) fn taken_back(view: &View, min: Option<Verification>, now: Time) -> Vec<(IpAddr, u8)> {
    let View { snapshot, policy } = view;
    let min = min.unwrap_or(policy.min_verification);
    let (selection, threshold) =
        (Selection { min_verification: min, family: None }, policy.score_threshold);
    let rows = snapshot.sources.iter().filter(|(key, row)| {
        let until = policy::expires(row, min, threshold, policy.retention_ns);
        until.is_some_and(|until| until > now)
            && blocked(key, row, policy, selection, now).is_none()
    });
    let mut found: Vec<SourceKey> = rows.map(|(key, _)| *key).collect();
    let is_blocked = |key: &SourceKey, row: &PeerRow| {
        let own = snapshot.sources.get(key);
        own.is_some_and(|own| blocked(key, own, policy, selection, now).is_some())
            || blocked_by_peers(snapshot, key, row, policy, selection, now).is_some()
    };
    let told = snapshot.peers.sources().iter().filter(|(key, row)| {
        let was_told = min <= Verification::ReturnPath && lapses(row, policy) > now;
        was_told && !is_blocked(key, row)
    });
    found.extend(told.map(|(key, _)| *key));
    found.retain(|key| !key.ip().is_unspecified());
    found.sort_unstable();
    found.dedup();
    let prefix = |key: SourceKey| match Family::of(key.ip()) {
        Family::V4 => (key.ip(), 32),
        Family::V6 => (key.ip(), 64),
    };
    found.into_iter().map(prefix).collect()
}
