//! One immutable generation for readers.
//!
//! A [`Table`] is divided into [`BUCKETS`] buckets by a keyed hash of the key; each bucket is a
//! sorted array and a small sorted delta over it. A commit makes new buckets only for the keys that
//! changed and shares all others with the generation before it. A bucket's delta is merged into its
//! array when it is longer than a quarter of it. Readers hold one generation as long as they like
//! and never wait; the writer keeps no other map.
//!
//! The hash is keyed with a secret of the database, or somebody could choose addresses and numbers
//! that all fall into one bucket. The rows are stored in the same order, by bucket and then by key, so
//! writing the rows of some buckets touches neighbouring pages, and loading needs no sorting.

use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;

use siphasher::sip::SipHasher13;
use uuid::Uuid;

use crate::aggregate::{CountRow, NumberRow, Row, SourceRow, Totals};
use crate::bucket::{Bucket, Decision};
use crate::counts::Counts;
use crate::event::{EventRef, Seq, SourceKey, Time};
use crate::filter::Hashes;
use crate::key::{AgentKey, Key, NumberKey};
use crate::limits::BUCKETS;
use crate::peers::Peers;
use crate::sorted::Sorted;

/// Everything that is known at one moment.
#[derive(Clone)]
pub struct Snapshot {
    /// Which database it is from: made once, with the database.
    pub database_id: Uuid,
    /// Which node collects.
    pub node_id: Uuid,
    /// Grows with every publication, also over restarts.
    pub generation: u64,
    /// The last event that it includes.
    pub through: Seq,
    /// When it was published.
    pub time: Time,
    /// Sources.
    pub sources: Table<SourceKey, SourceRow>,
    /// Numbers.
    pub numbers: Table<NumberKey, NumberRow>,
    /// User agents.
    pub agents: Table<AgentKey, CountRow>,
    /// What other nodes say.
    pub peers: Arc<Peers>,
    /// Counts in all.
    pub totals: Totals,
    /// The generation in which a source's row, or what peers say, last changed.
    pub sources_changed: u64,
    /// The generation in which a number's row, or what peers say, last changed.
    pub numbers_changed: u64,
}

impl Snapshot {
    /// How many events are in the log: those that have come, less those that have expired.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.through.0.saturating_sub(self.totals.expired)
    }

    /// What a new database would know after these events, for tests and tools. Nothing is stored.
    #[must_use]
    pub fn of_events<'a>(
        database_id: Uuid,
        node_id: Uuid,
        events: impl IntoIterator<Item = EventRef<'a>>,
        now: Time,
    ) -> Self {
        let mut counts = Counts::new(BucketKey([database_id.as_u64_pair().0, 0]));
        let mut through = Seq(0);
        for event in events {
            through.0 += 1;
            counts.add(through, &event, &mut Hashes::default());
        }
        counts.apply(1);
        Self {
            database_id,
            node_id,
            generation: 1,
            through,
            time: now,
            sources: counts.sources.table,
            numbers: counts.numbers.table,
            agents: counts.agents.table,
            peers: Arc::default(),
            totals: counts.totals,
            sources_changed: 1,
            numbers_changed: 1,
        }
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("generation", &self.generation)
            .field("through", &self.through)
            .field("sources", &self.sources.len())
            .field("numbers", &self.numbers.len())
            .finish_non_exhaustive()
    }
}

/// The secret that decides which bucket of a table a key is in.
#[derive(Clone, Copy)]
pub struct BucketKey(pub(crate) [u64; 2]);

impl BucketKey {
    /// The bucket that `key` is in.
    pub(crate) fn bucket_of(self, key: &[u8]) -> u16 {
        // The remainder of BUCKETS, which a u16 holds: see the assertion in limits.rs.
        (self.hash(key) % BUCKETS as u64) as u16
    }

    /// A hash that nobody can predict who does not know the database.
    pub(crate) fn hash(self, key: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.0[0], self.0[1]);
        hasher.write(key);
        hasher.finish()
    }
}

/// What stands for a key with this hash where only different keys are counted: not 0, and of other bits
/// than its bucket.
pub(crate) fn fingerprint(hash: u64) -> u32 {
    ((hash >> 32) as u32).max(1)
}

/// An immutable map.
pub struct Table<K, R> {
    buckets: Arc<[Arc<Bucket<K, R>>]>,
    key: BucketKey,
    len: usize,
    proven: usize,
}

impl<K, R> Clone for Table<K, R> {
    fn clone(&self) -> Self {
        Self { buckets: self.buckets.clone(), key: self.key, len: self.len, proven: self.proven }
    }
}

/// A table that is made of rows in the order in which they are stored: one bucket after the other, so
/// that hardly more than the table itself is ever in memory.
pub(crate) struct Loading<K, R> {
    buckets: Vec<Arc<Bucket<K, R>>>,
    rows: Sorted<K, R>,
}

impl<K: Key, R: Row> Loading<K, R> {
    pub(crate) fn new() -> Self {
        Self { buckets: Vec::with_capacity(BUCKETS), rows: Sorted::new() }
    }

    /// Adds the next row. `None` if it is out of order.
    pub(crate) fn add(&mut self, bucket: u16, key: K, row: R) -> Option<()> {
        let bucket = usize::from(bucket);
        if bucket >= BUCKETS || bucket < self.buckets.len() {
            return None;
        }
        while self.buckets.len() < bucket {
            self.close();
        }
        if self.rows.last_key().is_some_and(|last| *last >= key) {
            return None;
        }
        self.rows.push(key, row);
        Some(())
    }

    fn close(&mut self) {
        let rows = self.rows.take();
        self.buckets.push(Arc::new(Bucket::of(rows, 0)));
    }

    pub(crate) fn finish(mut self, key: BucketKey) -> Table<K, R> {
        while self.buckets.len() < BUCKETS {
            self.close();
        }
        let len = self.buckets.iter().map(|bucket| bucket.len).sum();
        let proven = self.buckets.iter().map(|bucket| bucket.proven).sum();
        Table { buckets: self.buckets.into(), key, len, proven }
    }
}

/// A reader's place in a [`Table`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    bucket: usize,
    base: usize,
    delta: usize,
}

impl<K: Key, R: Row> Table<K, R> {
    pub(crate) fn new(key: BucketKey) -> Self {
        let empty = Arc::new(Bucket::default());
        Self { buckets: (0..BUCKETS).map(|_| empty.clone()).collect(), key, len: 0, proven: 0 }
    }

    /// The row of `key`.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&R> {
        self.buckets[usize::from(self.key.bucket_of(key.as_bytes()))].get(key)
    }

    /// Every key with its row, in no useful order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &R)> + '_ {
        let mut place = Place::default();
        std::iter::from_fn(move || self.step(&mut place))
    }

    /// The entry at `place`, which then stands behind it: for iterations that own the generation and
    /// outlive a borrow of the table.
    pub fn step(&self, place: &mut Place) -> Option<(&K, &R)> {
        while let Some(bucket) = self.buckets.get(place.bucket) {
            if let Some(entry) = bucket.step(&mut place.base, &mut place.delta) {
                return Some(entry);
            }
            *place = Place { bucket: place.bucket + 1, base: 0, delta: 0 };
        }
        None
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many keys are proven.
    pub(crate) fn proven(&self) -> usize {
        self.proven
    }

    pub(crate) fn bucket_key(&self) -> BucketKey {
        self.key
    }

    pub(crate) fn bucket(&self, at: usize) -> &Bucket<K, R> {
        &self.buckets[at]
    }

    /// Makes `changes`, each with its bucket, which are sorted by bucket and key, each key once. `decide` says
    /// what becomes of a key, given its row and the change.
    ///
    /// Where nobody else has the table, as at a start, what a bucket was is given back before the next one
    /// is made.
    pub(crate) fn apply<D>(
        &mut self,
        changes: &[(u16, &(K, D))],
        publication: u32,
        mut decide: impl FnMut(Option<&R>, &D) -> Decision<R>,
    ) {
        if changes.is_empty() {
            return;
        }
        let buckets = Arc::make_mut(&mut self.buckets);
        for group in changes.chunk_by(|a, b| a.0 == b.0) {
            let at = usize::from(group[0].0);
            let changes = group.iter().map(|(_, (key, change))| (key, change));
            let next = buckets[at].apply(changes, (at, publication), &mut decide);
            self.len = self.len - buckets[at].len + next.len;
            self.proven = self.proven - buckets[at].proven + next.proven;
            buckets[at] = Arc::new(next);
        }
    }

    /// The table with some buckets replaced.
    pub(crate) fn with_buckets(&self, replaced: Vec<(usize, Bucket<K, R>)>) -> Self {
        if replaced.is_empty() {
            return self.clone();
        }
        let mut buckets = self.buckets.to_vec();
        let (mut len, mut proven) = (self.len, self.proven);
        for (at, bucket) in replaced {
            len = len - buckets[at].len + bucket.len;
            proven = proven - buckets[at].proven + bucket.proven;
            buckets[at] = Arc::new(bucket);
        }
        Self { buckets: buckets.into(), key: self.key, len, proven }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::bucket::Span;
    use crate::key::AgentKey;

    fn row(count: u64) -> CountRow {
        let mut row = CountRow::nothing();
        row.seen_mut().count = count;
        row.seen_mut().last = Time(count);
        row
    }

    fn key(number: u16) -> AgentKey {
        AgentKey::of(format!("agent {number}").as_bytes())
    }

    /// Applies the changes to both and compares everything that a reader can see.
    fn check(
        table: &Table<AgentKey, CountRow>,
        model: &mut BTreeMap<AgentKey, u64>,
        changes: &BTreeMap<u16, u64>,
        publication: u32,
    ) -> Table<AgentKey, CountRow> {
        let bucket_key = table.bucket_key();
        let changes: Vec<_> =
            changes.iter().map(|(number, count)| (key(*number), Some(*count))).collect();
        model.extend(changes.iter().map(|(key, count)| (key.clone(), count.unwrap())));
        let in_bucket = |change| {
            let (key, _): &(AgentKey, Option<u64>) = change;
            (bucket_key.bucket_of(key.as_bytes()), change)
        };
        let mut list: Vec<_> = changes.iter().map(in_bucket).collect();
        list.sort_by(|a, b| (a.0, &a.1.0).cmp(&(b.0, &b.1.0)));
        let mut table = table.clone();
        table.apply(&list, publication, |_, count| match count {
            Some(count) => Decision::Put(row(*count)),
            None => Decision::Keep,
        });
        assert_eq!(table.len(), model.len());
        let mut seen: Vec<_> = table.iter().map(|(k, r)| (k.clone(), r.seen().count)).collect();
        seen.sort();
        assert_eq!(seen, model.clone().into_iter().collect::<Vec<_>>());
        for (key, count) in model.iter() {
            assert_eq!(table.get(key).map(|row| row.seen().count), Some(*count));
        }
        table
    }

    /// Ages out every row below `oldest`, from both.
    fn age(
        mut table: Table<AgentKey, CountRow>,
        model: &mut BTreeMap<AgentKey, u64>,
        oldest: u64,
    ) -> Table<AgentKey, CountRow> {
        for at in 0..BUCKETS {
            if table.bucket(at).oldest >= Time(oldest) {
                assert!(table.bucket(at).iter().all(|(_, row)| row.seen().last >= Time(oldest)));
                continue;
            }
            let (bucket, removed) =
                table.bucket(at).aged(Span { oldest: Time(oldest), newest: Time(u64::MAX) }, 1);
            table = table.with_buckets(vec![(at, bucket)]);
            for key in removed {
                assert!(model.remove(&key).is_some_and(|count| count < oldest));
            }
        }
        assert!(model.values().all(|count| *count >= oldest));
        assert_eq!(table.len(), model.len());
        table
    }

    proptest! {
        #[test]
        fn a_table_is_what_a_plain_map_would_be(
            steps in prop::collection::vec(
                (prop::collection::btree_map(0..3000u16, 1..1000u64, 0..200), 0..400u64),
                1..12,
            ),
        ) {
            let mut model = BTreeMap::new();
            let mut table = Table::new(BucketKey([1, 2]));
            for (publication, (changes, oldest)) in steps.iter().enumerate() {
                let publication = u32::try_from(publication).unwrap();
                table = check(&table, &mut model, changes, publication);
                if *oldest < 100 {
                    table = age(table, &mut model, *oldest);
                }
            }
        }
    }

    #[test]
    fn an_older_generation_does_not_change() {
        let bucket_key = BucketKey([7, 7]);
        let table: Table<AgentKey, CountRow> = Table::new(bucket_key);
        let mut model = BTreeMap::new();
        let first = check(&table, &mut model, &BTreeMap::from([(1, 1), (2, 2)]), 1);
        let _second = check(&first, &mut model, &BTreeMap::from([(1, 50), (3, 3)]), 2);
        assert_eq!(first.len(), 2);
        assert_eq!(first.get(&key(1)).unwrap().seen().count, 1);
        assert!(first.get(&key(3)).is_none());
    }

    #[test]
    fn a_big_part_keeps_a_delta_and_finds_rows_in_both() {
        let rows: BTreeMap<_, _> = (0..100u16).map(|n| (key(n), row(u64::from(n)))).collect();
        let mut sorted = Sorted::new();
        rows.into_iter().for_each(|(key, row)| sorted.push(key, row));
        let bucket = Bucket::of(sorted, 0);
        let changes = [key(5), key(500)];
        let changes = changes.iter().map(|key| (key, &()));
        let bucket = bucket.apply(changes, (0, 1), |_, ()| Decision::Put(row(9)));
        assert_eq!(bucket.delta_len(), 2);
        assert_eq!(bucket.get(&key(5)).unwrap().seen().count, 9);
        assert_eq!(bucket.get(&key(500)).unwrap().seen().count, 9);
        assert_eq!(bucket.get(&key(6)).unwrap().seen().count, 6);
        assert_eq!(bucket.iter().count(), 101);
    }

    #[test]
    fn a_table_has_as_many_parts_as_a_key_can_name() {
        let bucket_key = BucketKey([3, 4]);
        assert!(
            (0..1000u16)
                .all(|n| { usize::from(bucket_key.bucket_of(key(n).as_bytes())) < BUCKETS })
        );
    }
}
