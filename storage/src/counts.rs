//! The aggregates of the writer: the tables of the last generation, and what has come since.
//!
//! There is no second map of everything. The events of one commit are gathered per key in small
//! hash maps, and [`Counts::apply`] merges those into the tables, which makes the next generation.
//! The hash maps are seeded at random at each start: their keys are chosen by attackers.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::aggregate::{CountRow, NumberRow, Row, SourceRow, Totals};
use crate::bucket::Decision;
use crate::event::{EventRef, Seq, SourceKey};
use crate::filter::{Hashes, number_hash, source_hash};
use crate::key::{AgentKey, Key, NumberKey};
use crate::limits::{AGENTS_MAX, NUMBERS_MAX, SOURCES_MAX};
use crate::method::Method;
use crate::repeat::{Record, Repeat};
use crate::rollup::{Dimension, Keys, Rollups, without_zeros};
use crate::snapshot::{BucketKey, Table, fingerprint};

/// What one commit does to one key.
pub(crate) struct Pending<R> {
    /// The events that it adds.
    added: R,
    /// How many events retention takes out.
    expired: u64,
    /// How many of the added events the hours have counted already.
    rolled: u64,
}

impl<R: Row> Pending<R> {
    fn nothing() -> Self {
        Self { added: R::nothing(), expired: 0, rolled: 0 }
    }
}

/// One table and what has come since.
pub(crate) struct Gathered<K, R> {
    pub(crate) table: Table<K, R>,
    pending: Vec<(K, Pending<R>)>,
    /// Where in `pending` a key is.
    places: HashTable<u32>,
    hasher: RandomState,
    /// Rows that it is meant for; what is beyond them leaves it again, see `evict.rs`.
    pub(crate) max: usize,
}

impl<K: Key, R: Row> Gathered<K, R> {
    fn new(key: BucketKey, max: usize) -> Self {
        Self {
            table: Table::new(key),
            pending: Vec::new(),
            places: HashTable::new(),
            hasher: RandomState::default(),
            max,
        }
    }

    /// The row that gathers what comes for `key`.
    fn entry(&mut self, key: K) -> &mut Pending<R> {
        let Self { pending, places, hasher, .. } = self;
        let hash_of = |at: &u32| hasher.hash_one(&pending[*at as usize].0);
        let is_there = |at: &u32| pending[*at as usize].0 == key;
        let at = match places.entry(hasher.hash_one(&key), is_there, hash_of) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(place) => {
                // As many as this many events, at most: a commit is made long before.
                let at = pending.len() as u32;
                place.insert(at);
                pending.push((key, Pending::nothing()));
                at
            }
        };
        &mut pending[at as usize].1
    }

    /// Takes `count` events, which retention removes from the log with `seq`, out of the row of `key`,
    /// if that row counts them.
    fn expire(&mut self, seq: Seq, key: K, count: u64) {
        // A row that is not in the table yet begins with an event that came later.
        if self.table.get(&key).is_some_and(|row| row.seen().since <= seq) {
            self.entry(key).expired += count;
        }
    }

    /// What the hours have not counted yet: keys, with what was gathered of each and how often it came.
    fn not_rolled(&self) -> impl Iterator<Item = (&K, &R, u64)> {
        self.pending.iter().filter_map(|(key, change)| {
            let new = change.added.seen().count.saturating_sub(change.rolled);
            (new > 0).then_some((key, &change.added, new))
        })
    }

    /// Merges what has come into the table. Whether a row changed.
    fn apply(&mut self, publication: u32) -> bool {
        let changes = in_order(&self.pending, self.table.bucket_key());
        let mut changed = false;
        self.table.apply(&changes, publication, |row, change| {
            let mut next = match row {
                Some(row) => merged(row, change),
                None if change.added.seen().count == 0 => return Decision::Keep,
                None => change.added.clone(),
            };
            changed = true;
            next.set_publication(publication);
            Decision::Put(next)
        });
        // What one large burst needed is not kept for ever.
        let kept = 2 * changes.len();
        drop(changes);
        self.pending.clear();
        self.pending.shrink_to(kept);
        self.places.clear();
        // It is empty: nothing is hashed.
        self.places.shrink_to(kept, |_| 0);
        changed
    }
}

/// What has come, each with its bucket, sorted by bucket and key.
fn in_order<K: Key, D>(pending: &[(K, D)], bucket_key: BucketKey) -> Vec<(u16, &(K, D))> {
    let placed = pending.iter().map(|entry| {
        let key = entry.0.as_bytes();
        ((bucket_key.bucket_of(key), prefix(key)), entry)
    });
    let mut placed: Vec<_> = placed.collect();
    placed.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.0.cmp(&b.1.0)));
    placed.into_iter().map(|((bucket, _), entry)| (bucket, entry)).collect()
}

/// The begin of a key: it decides the order of nearly all, and lies beside its neighbours in memory.
fn prefix(key: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    let len = key.len().min(bytes.len());
    bytes[..len].copy_from_slice(&key[..len]);
    u128::from_be_bytes(bytes)
}

fn merged<R: Row>(row: &R, change: &Pending<R>) -> R {
    let mut next = row.clone();
    next.merge(&change.added);
    let seen = next.seen_mut();
    debug_assert!(change.expired <= seen.count, "more expired than was counted");
    seen.count = seen.count.saturating_sub(change.expired);
    next
}

/// All aggregates.
pub(crate) struct Counts {
    pub(crate) sources: Gathered<SourceKey, SourceRow>,
    pub(crate) numbers: Gathered<NumberKey, NumberRow>,
    pub(crate) agents: Gathered<AgentKey, CountRow>,
    pub(crate) totals: Totals,
    pub(crate) rollups: Rollups,
    key: BucketKey,
}

/// What one [`Counts::apply`] changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) sources: bool,
    pub(crate) numbers: bool,
    agents: bool,
}

impl Changed {
    /// Whether there is anything new to see.
    pub(crate) fn any(&self) -> bool {
        self.sources || self.numbers || self.agents
    }
}

/// Which tables an event is counted in: during a replay a row may include it already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CountIn {
    pub(crate) source: bool,
    pub(crate) number: bool,
    pub(crate) agent: bool,
}

impl CountIn {
    pub(crate) const ALL: Self = Self { source: true, number: true, agent: true };
}

impl Counts {
    pub(crate) fn new(key: BucketKey) -> Self {
        Self {
            sources: Gathered::new(key, SOURCES_MAX),
            numbers: Gathered::new(key, NUMBERS_MAX),
            agents: Gathered::new(key, AGENTS_MAX),
            totals: Totals::default(),
            rollups: Rollups::default(),
            key,
        }
    }

    /// What the keys of the tables are hashed with.
    pub(crate) fn table_key(&self) -> BucketKey {
        self.key
    }

    /// Counts an event that is new, and notes its source and number in `hashes`.
    pub(crate) fn add(&mut self, seq: Seq, event: &EventRef<'_>, hashes: &mut Hashes) {
        let method = Method::of(event.method);
        self.totals.add(event, method);
        let keys = self.rollups.note(event, method);
        let (source, number) = self.add_rows(seq, event, method, (CountIn::ALL, keys));
        hashes.add(source_hash(source));
        if let Some(number) = number {
            hashes.add(number_hash(number));
        }
    }

    /// Counts what is new, and notes its source and number in `hashes`.
    pub(crate) fn add_record(&mut self, seq: Seq, record: &Record<'_>, hashes: &mut Hashes) {
        match record {
            Record::Event(event) => self.add(seq, event, hashes),
            Record::Repeat(repeat) => {
                self.totals.add_repeat(repeat);
                let keys = self.rollups.note_repeat(repeat);
                self.add_repeat(seq, repeat, keys);
                let source = SourceKey::of(repeat.source);
                hashes.add(source_hash(self.key.hash(source.as_bytes())));
            }
        }
    }

    /// Counts a repeat in the row of its source, and not in the totals.
    pub(crate) fn add_repeat(&mut self, seq: Seq, repeat: &Repeat, keys: Keys) {
        let pending = self.sources.entry(SourceKey::of(repeat.source));
        pending.added.add_repeat(seq, repeat);
        pending.rolled += if keys == Keys::Counted { repeat.count } else { 0 };
    }

    /// Counts an event in the rows, and not in the totals. Returns the hashes of its source and number.
    pub(crate) fn add_rows(
        &mut self,
        seq: Seq,
        event: &EventRef<'_>,
        method: Method,
        (count_in, keys): (CountIn, Keys),
    ) -> (u64, Option<u64>) {
        let rolled = u64::from(keys == Keys::Counted);
        let source = SourceKey::of(event.source.ip());
        let number = (!event.number.is_empty()).then(|| NumberKey::of(event.number));
        let hash = self.key.hash(source.as_bytes());
        let number_hash = number.as_ref().map(|number| self.key.hash(number.as_bytes()));
        if count_in.source {
            let pending = self.sources.entry(source);
            pending.added.add(seq, event, method, number_hash.map(fingerprint));
            pending.rolled += rolled;
        }
        if let (true, Some(number)) = (count_in.number, number) {
            let pending = self.numbers.entry(number);
            pending.added.add(seq, event, fingerprint(hash));
            pending.rolled += rolled;
        }
        if count_in.agent && !event.user_agent.is_empty() {
            let pending = self.agents.entry(AgentKey::of(event.user_agent));
            pending.added.add(seq, event);
            pending.rolled += rolled;
        }
        (hash, number_hash)
    }

    /// Takes what leaves the log out of every row that counts it, and not out of the totals.
    pub(crate) fn expire(&mut self, seq: Seq, record: &Record<'_>) {
        self.sources.expire(seq, SourceKey::of(record.source()), record.count());
        let Record::Event(event) = record else { return };
        if !event.number.is_empty() {
            self.numbers.expire(seq, NumberKey::of(event.number), 1);
        }
        if !event.user_agent.is_empty() {
            self.agents.expire(seq, AgentKey::of(event.user_agent), 1);
        }
    }

    /// Makes the tables of the next generation.
    pub(crate) fn apply(&mut self, publication: u32) -> Changed {
        self.roll();
        let sources = self.sources.apply(publication);
        let numbers = self.numbers.apply(publication);
        let agents = self.agents.apply(publication);
        self.rollups.end_commit();
        Changed { sources, numbers, agents }
    }

    /// Counts in the current hour what was gathered for it.
    fn roll(&mut self) {
        let Some(hour) = self.rollups.current() else { return };
        let sources = self.sources.not_rolled();
        hour.add_keys(Dimension::Source, sources.map(|(key, _, count)| (key.as_bytes(), count)));
        let numbers = self.numbers.not_rolled();
        hour.add_keys(Dimension::Number, numbers.map(|(key, _, count)| (key.as_bytes(), count)));
        for (_, row, count) in self.numbers.not_rolled() {
            hour.add_key(Dimension::Country, without_zeros(&row.country), count);
        }
        let agents = self.agents.not_rolled();
        hour.add_keys(Dimension::Agent, agents.map(|(key, _, count)| (key.as_bytes(), count)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Anomalies, Collected, NumberKind, Time, Transport, Verification};

    fn event(source: u32, verification: Verification) -> EventRef<'static> {
        EventRef {
            time: Time(1_000_000_000),
            source: (std::net::Ipv4Addr::from_bits(source), 5060).into(),
            destination: "192.0.2.1:5060".parse().unwrap(),
            transport: Transport::Udp,
            verification,
            collected: Collected::Passive,
            number_kind: NumberKind::Called,
            anomalies: Anomalies::default(),
            method: b"INVITE",
            number: b"100",
            user_agent: b"scan",
            message: b"",
        }
    }

    #[test]
    fn only_what_a_row_counted_is_taken_out_of_it() {
        let mut counts = Counts::new(BucketKey([1, 2]));
        let event = event(7, Verification::Unverified);
        counts.add(Seq(5), &event, &mut Hashes::default());
        counts.add(Seq(6), &event, &mut Hashes::default());
        counts.apply(1);
        counts.expire(Seq(4), &Record::Event(event));
        counts.expire(Seq(5), &Record::Event(event));
        counts.apply(2);
        let key = SourceKey::of(event.source.ip());
        assert_eq!(counts.sources.table.get(&key).unwrap().seen.count, 1);
        assert_eq!(counts.numbers.table.get(&NumberKey::of(b"100")).unwrap().seen.count, 1);
    }
}
