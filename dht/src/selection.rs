//! What this node tells others: what it knows and may share, and has not told lately.
//!
//! Never an address that proved nothing, nor one that is private or on the allow-list, nor a number
//! that is only an account.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::quality::RandomState;
use sentrypeer_storage::aggregate::{NumberRow, Row, SourceRow};
use sentrypeer_storage::event::{SourceKey, Time, Verification};
use sentrypeer_storage::key::NumberKey;
use sentrypeer_storage::policy::{Policy, is_private};

use crate::limits::{PEER_DATA_AGE_MAX_S, TOLD_AGAIN_S, TOLD_MAX};
use crate::wire::body::{Body, Records};
use crate::wire::number::{NumberRecord, may_be_told};
use crate::wire::source::{SeenRecord, SourceRecord, count_log2};

const NS_PER_S: u64 = 1_000_000_000;

/// Whether an address may be told to others, and taken from them.
#[must_use]
pub fn may_share_source(policy: &Policy, source: SourceKey) -> bool {
    let ip = source.ip();
    policy.allow.reason(ip).is_none() && (policy.allow.test_addresses() || !is_private(ip))
}

/// The same of a number.
#[must_use]
pub fn may_share_number(policy: &Policy, number: &NumberKey) -> bool {
    may_be_told(number.as_bytes()) && policy.allow.number_reason(number.as_bytes()).is_none()
}

/// What is told of an address now, if anything.
#[must_use]
pub fn source_record(
    source: &SourceKey,
    row: &SourceRow,
    policy: &Policy,
    now_s: u64,
) -> Option<SourceRecord> {
    let proven = row.verified_at(Verification::ReturnPath)?;
    let verification = row.verification(oldest(now_s));
    let seen = seen(proven, row.seen().count, verification, now_s)?;
    let record = SourceRecord { source: *source, seen, methods: row.methods.0 };
    may_share_source(policy, *source).then_some(record)
}

/// What is told of a number now, if anything.
#[must_use]
pub fn number_record(
    number: &NumberKey,
    row: &NumberRow,
    policy: &Policy,
    now_s: u64,
) -> Option<NumberRecord> {
    let proven = row.proofs.last(Verification::ReturnPath)?.min(row.seen().last);
    let verification = row.verification(oldest(now_s));
    let seen = seen(proven, row.seen().count, verification, now_s)?;
    let record = NumberRecord { number: number.clone(), seen };
    (row.is_called() && may_share_number(policy, number)).then_some(record)
}

fn oldest(now_s: u64) -> Time {
    Time(now_s.saturating_sub(PEER_DATA_AGE_MAX_S).saturating_mul(NS_PER_S))
}

fn seen(proven: Time, count: u64, verification: Verification, now_s: u64) -> Option<SeenRecord> {
    let is_new = proven > oldest(now_s) && verification >= Verification::ReturnPath;
    // A clock that was set back leaves times of the future; nobody would take those.
    let minute = u32::try_from((proven.0 / NS_PER_S).min(now_s) / 60).ok()?;
    is_new.then_some(SeenRecord { minute, count_log2: count_log2(count), verification })
}

/// What was told of one subject, and when.
#[derive(Clone, Copy, Debug)]
struct Told {
    at_s: u64,
    seen: SeenRecord,
}

/// What was told of one kind of subject, so that only news are told.
#[derive(Debug)]
struct Memory<K> {
    told: HashMap<K, Told, RandomState>,
    /// What was told before this is news again, in seconds since 1970.
    again_before_s: u64,
}

impl<K> Default for Memory<K> {
    fn default() -> Self {
        Self { told: HashMap::default(), again_before_s: 0 }
    }
}

impl<K: Eq + Hash + Clone> Memory<K> {
    /// Whether this is news: of something new, better proven, much more of it, or simply seen again
    /// after a while.
    fn is_news(&self, key: &K, seen: &SeenRecord, now_s: u64) -> bool {
        let Some(told) = self.told.get(key) else { return true };
        let is_more = seen.verification > told.seen.verification
            || seen.count_log2 > told.seen.count_log2.saturating_add(1);
        let is_again = seen.minute > told.seen.minute && now_s >= told.at_s + TOLD_AGAIN_S;
        is_more || is_again || told.at_s < self.again_before_s
    }

    fn tell(&mut self, key: K, seen: SeenRecord, now_s: u64) {
        if self.told.len() >= TOLD_MAX && !self.told.contains_key(&key) {
            self.told.retain(|_, told| told.at_s + TOLD_AGAIN_S > now_s);
            if self.told.len() >= TOLD_MAX {
                // To tell something twice costs some bytes, to remember without a bound the node.
                self.told.clear();
            }
        }
        self.told.insert(key, Told { at_s: now_s, seen });
    }
}

/// What was told already.
#[derive(Debug, Default)]
pub struct Selection {
    sources: Memory<SourceKey>,
    numbers: Memory<NumberKey>,
}

impl Selection {
    /// The addresses that are news, of these.
    pub fn sources<'a>(
        &self,
        rows: impl Iterator<Item = (&'a SourceKey, &'a SourceRow)>,
        policy: &Policy,
        now_s: u64,
    ) -> Body {
        let records = rows.filter_map(|(key, row)| source_record(key, row, policy, now_s));
        Body::sources(records.filter(|r| self.sources.is_news(&r.source, &r.seen, now_s)).collect())
    }

    /// The numbers that are news, of these.
    pub fn numbers<'a>(
        &self,
        rows: impl Iterator<Item = (&'a NumberKey, &'a NumberRow)>,
        policy: &Policy,
        now_s: u64,
    ) -> Body {
        let records = rows.filter_map(|(key, row)| number_record(key, row, policy, now_s));
        Body::numbers(records.filter(|r| self.numbers.is_news(&r.number, &r.seen, now_s)).collect())
    }

    /// That this has been told.
    pub fn told(&mut self, body: &Body, now_s: u64) {
        match body.records() {
            Records::Sources(records) => {
                records.iter().for_each(|r| self.sources.tell(r.source, r.seen, now_s));
            }
            Records::Numbers(records) => {
                records.iter().for_each(|r| self.numbers.tell(r.number.clone(), r.seen, now_s));
            }
            Records::Withdrawals(taken) => {
                taken.sources.iter().for_each(|source| _ = self.sources.told.remove(source));
                taken.numbers.iter().for_each(|number| _ = self.numbers.told.remove(number));
            }
        }
    }

    /// Makes everything news again, because there is somebody new who listens.
    pub fn tell_again(&mut self, now_s: u64) {
        self.sources.again_before_s = now_s;
        self.numbers.again_before_s = now_s;
    }

    /// What was told within the last seven days and may not be shared any more: the operator has put it
    /// on the allow-list since.
    #[must_use]
    pub fn to_withdraw(&self, policy: &Policy, now_s: u64) -> Body {
        let is_live = |told: &Told| told.at_s + PEER_DATA_AGE_MAX_S > now_s;
        let sources = self
            .sources
            .told
            .iter()
            .filter(|(key, told)| is_live(told) && !may_share_source(policy, **key));
        let numbers = self
            .numbers
            .told
            .iter()
            .filter(|(key, told)| is_live(told) && !may_share_number(policy, key));
        Body::withdrawals(crate::wire::body::Withdrawals {
            sources: sources.map(|(key, _)| *key).collect(),
            numbers: numbers.map(|(key, _)| key.clone()).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use sentrypeer_storage::allow::AllowList;

    use super::*;
    use crate::testing::{Seen, ip, snapshot};

    const NOW: u64 = 1_795_478_400;

    fn seen(source: &'static str, verification: Verification, number: &'static str) -> Seen {
        Seen { source, verification, number, method: "INVITE", at_s: NOW - 60 }
    }

    fn told(seen: &[Seen], policy: &Policy) -> (Vec<String>, Vec<String>) {
        let (snapshot, selection) = (snapshot(seen), Selection::default());
        let sources = selection.sources(snapshot.sources.iter(), policy, NOW);
        let numbers = selection.numbers(snapshot.numbers.iter(), policy, NOW);
        let Records::Sources(sources) = sources.records() else { panic!("sources") };
        let Records::Numbers(numbers) = numbers.records() else { panic!("numbers") };
        let text = |number: &NumberRecord| String::from_utf8_lossy(number.number.as_bytes()).into();
        (
            sources.iter().map(|r| r.source.ip().to_string()).collect(),
            numbers.iter().map(text).collect(),
        )
    }

    #[test]
    fn only_what_is_proven_and_may_be_shared_is_told() {
        let all = [
            seen("1.2.3.4:5060", Verification::Unverified, "+442071234567"),
            seen("1.2.3.5:5060", Verification::Relayed, "+442071234568"),
            seen("1.2.3.6:5060", Verification::ReturnPath, "+442071234569"),
            seen("1.2.3.7:5060", Verification::Tls, "112"),
            seen("10.0.0.1:5060", Verification::Tls, "+46500729221"),
            seen("127.0.0.1:5060", Verification::Tls, "100"),
            seen("9.9.9.9:5060", Verification::Tls, "+468001234567"),
        ];
        let allow = AllowList::new([], false)
            .with_prefixes(["9.0.0.0/8".parse().unwrap()])
            .with_numbers(["+46800*".parse().unwrap()]);
        let (sources, numbers) = told(&all, &Policy { allow, ..Policy::default() });
        assert_eq!(sources, ["1.2.3.6", "1.2.3.7"]);
        assert_eq!(numbers, ["+442071234569", "+46500729221"]);
    }

    #[test]
    fn an_account_is_no_number() {
        let tried =
            Seen { method: "REGISTER", ..seen("1.2.3.6:5060", Verification::Tls, "10000001") };
        assert_eq!(told(&[tried], &Policy::default()).1, [""; 0]);
    }

    #[test]
    fn what_was_told_is_told_again_only_when_there_is_news() {
        let policy = Policy::default();
        let mut selection = Selection::default();
        let mut tell = |seen: &[Seen], now_s| {
            let snapshot = snapshot(seen);
            let body = selection.sources(snapshot.sources.iter(), &policy, now_s);
            selection.told(&body, now_s);
            body.len()
        };
        let first = seen("1.2.3.6:5060", Verification::ReturnPath, "");
        assert_eq!(tell(&[first], NOW), 1);
        assert_eq!(tell(&[first], NOW + 600), 0);
        assert_eq!(tell(&[Seen { verification: Verification::Tls, ..first }], NOW + 600), 1);
        let again = Seen { at_s: NOW + 3000, verification: Verification::Tls, ..first };
        assert_eq!(tell(&[again], NOW + 3600), 0, "it was told an hour ago");
        assert_eq!(tell(&[again], NOW + 600 + TOLD_AGAIN_S), 1);
        let old = NOW + 3000 + PEER_DATA_AGE_MAX_S + 60;
        assert_eq!(tell(&[Seen { verification: Verification::Tls, ..again }], old), 0);
    }

    #[test]
    fn a_new_listener_is_told_what_was_told_before() {
        let mut selection = Selection::default();
        let snapshot = snapshot(&[seen("1.2.3.6:5060", Verification::Tls, "")]);
        let tell = |selection: &mut Selection, now_s| {
            let body = selection.sources(snapshot.sources.iter(), &Policy::default(), now_s);
            selection.told(&body, now_s);
            body.len()
        };
        assert_eq!((tell(&mut selection, NOW), tell(&mut selection, NOW + 1)), (1, 0));
        selection.tell_again(NOW + 2);
        assert_eq!((tell(&mut selection, NOW + 2), tell(&mut selection, NOW + 3)), (1, 0));
    }

    #[test]
    fn what_is_put_on_the_allow_list_later_is_withdrawn() {
        let mut selection = Selection::default();
        let snapshot = snapshot(&[
            seen("1.2.3.6:5060", Verification::Tls, ""),
            seen("1.2.3.7:5060", Verification::Tls, ""),
        ]);
        let body = selection.sources(snapshot.sources.iter(), &Policy::default(), NOW);
        selection.told(&body, NOW);
        assert!(selection.to_withdraw(&Policy::default(), NOW).is_empty());
        let allow = AllowList::new([ip("1.2.3.6")], false);
        let policy = Policy { allow, ..Policy::default() };
        let taken = selection.to_withdraw(&policy, NOW);
        assert_eq!(taken.len(), 1);
        selection.told(&taken, NOW);
        assert!(selection.to_withdraw(&policy, NOW).is_empty(), "once is enough");
    }
}
