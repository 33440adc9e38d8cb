//! What every output uses: snapshot + policy + now give the list.
//!
//! Nothing else decides whether something acts on an address. An address on the allow-list is in
//! none of these lists.

use std::net::IpAddr;
use std::sync::Arc;

use crate::aggregate::{NumberRow, SourceRow};
use crate::event::{SourceKey, Time, Verification};
use crate::key::NumberKey;
use crate::policy::{self, Policy, is_private};
use crate::snapshot::{Cursor, Snapshot};

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

/// The blocklist, in no useful order. It owns what it needs, so it can be streamed.
pub fn blocklist(
    snapshot: Arc<Snapshot>,
    policy: Arc<Policy>,
    selection: Selection,
    now: Time,
) -> impl Iterator<Item = Blocked> + Send + 'static {
    let mut cursor = Cursor::default();
    std::iter::from_fn(move || {
        loop {
            let (key, row) = snapshot.sources.step(&mut cursor)?;
            if let Some(entry) = blocked(key, row, &policy, selection, now) {
                return Some(entry);
            }
        }
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
    Some(Blocked { ip, prefix_len, expires, score: policy::score_at(row, min, now) })
}

/// Whether a private address is kept out because the operator did not ask for it.
fn is_held_back(ip: IpAddr, policy: &Policy) -> bool {
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

/// Whether a number is in the list that SentryPeer 4.x has: seen within the retention, and by a
/// source that had proven what [`Policy::legacy_min_verification`] demands.
#[must_use]
pub fn is_listed_number(row: &NumberRow, policy: &Policy, now: Time) -> bool {
    let oldest = now.minus_ns(policy.retention_ns);
    let min = policy.legacy_min_verification;
    row.seen.last > oldest
        && (min == Verification::Unverified || row.proofs.last(min).is_some_and(|at| at > oldest))
}

/// Whether this number is in the list that SentryPeer 4.x has, and its row.
#[must_use]
pub fn listed_number<'a>(
    snapshot: &'a Snapshot,
    policy: &Policy,
    number: &[u8],
    now: Time,
) -> Option<&'a NumberRow> {
    let row = snapshot.numbers.get(&NumberKey::of(number))?;
    is_listed_number(row, policy, now).then_some(row)
}

/// Every listed source, in no useful order. It owns what it needs.
pub fn listed_sources(
    snapshot: Arc<Snapshot>,
    policy: Arc<Policy>,
    now: Time,
) -> impl Iterator<Item = (SourceKey, SourceRow)> + Send + 'static {
    let mut cursor = Cursor::default();
    std::iter::from_fn(move || {
        loop {
            let (key, row) = snapshot.sources.step(&mut cursor)?;
            if is_listed(key, row, &policy, now) {
                return Some((*key, row.clone()));
            }
        }
    })
}

/// Every listed number, in no useful order. It owns what it needs.
pub fn listed_numbers(
    snapshot: Arc<Snapshot>,
    policy: Arc<Policy>,
    now: Time,
) -> impl Iterator<Item = (NumberKey, NumberRow)> + Send + 'static {
    let mut cursor = Cursor::default();
    std::iter::from_fn(move || {
        loop {
            let (key, row) = snapshot.numbers.step(&mut cursor)?;
            if is_listed_number(row, &policy, now) {
                return Some((key.clone(), row.clone()));
            }
        }
    })
}
