//! The most frequent keys, and the sum of all others.

use foldhash::quality::RandomState;
use hashbrown::HashMap;

use crate::row_bytes::Decoder;

/// Counts by key. As long as there are not too many keys every count is exact. Beyond that the rare
/// ones are given up: their counts go to [`Top::others`], and one that comes back begins anew. So a
/// count is never too high, and the sum of all is always exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Top {
    keys: HashMap<Box<[u8]>, u64, RandomState>,
    others: u64,
}

impl Top {
    /// The keys with their counts, the largest first, equal ones in the order of their bytes.
    #[must_use]
    pub fn sorted(&self) -> Vec<(&[u8], u64)> {
        let mut keys: Vec<_> = self.keys.iter().map(|(key, count)| (&**key, *count)).collect();
        keys.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        keys
    }

    /// How many keys are kept apart.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key is kept apart.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What the keys that are not kept apart counted.
    #[must_use]
    pub fn others(&self) -> u64 {
        self.others
    }

    /// The sum of everything.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.keys.values().sum::<u64>() + self.others
    }

    /// Adds to a key. With more than twice `max` keys the rarer half goes.
    pub(crate) fn add(&mut self, key: &[u8], count: u64, max: usize) {
        if let Some(counted) = self.keys.get_mut(key) {
            *counted += count;
            return;
        }
        if self.keys.len() >= 2 * max {
            self.shrink(max);
        }
        self.keys.insert(key.into(), count);
    }

    /// Adds to different keys at once. Where more of them are new than there is room for, the rarest of these
    /// are given up at once: to take each in and to let it go again is a tenth of the writer's time when a
    /// million sources send.
    pub(crate) fn add_all<'a>(&mut self, keys: impl Iterator<Item = (&'a [u8], u64)>, max: usize) {
        let mut new = Vec::new();
        for (key, count) in keys {
            match self.keys.get_mut(key) {
                Some(counted) => *counted += count,
                None => new.push((count, key)),
            }
        }
        let room = (2 * max).saturating_sub(self.keys.len()).max(max);
        if new.len() > room {
            new.select_nth_unstable_by(room, |a, b| b.0.cmp(&a.0));
            self.others += new.drain(room..).map(|(count, _)| count).sum::<u64>();
        }
        new.into_iter().for_each(|(count, key)| self.add(key, count, max));
    }

    pub(crate) fn merge(&mut self, other: &Self, max: usize) {
        other.keys.iter().for_each(|(key, count)| self.add(key, *count, max));
        self.others += other.others;
    }

    /// Keeps at most `max` keys, the most frequent.
    pub(crate) fn shrink(&mut self, max: usize) {
        if self.keys.len() <= max {
            return;
        }
        let mut counts: Vec<_> = self.keys.values().copied().collect();
        let (_, least, _) = counts.select_nth_unstable_by(max, |a, b| b.cmp(a));
        // Of those with the count at the border as many stay as there is room for.
        let least = *least;
        let mut room = max - self.keys.values().filter(|count| **count > least).count();
        let others = &mut self.others;
        self.keys.retain(|_, count| {
            let stays = *count > least || (*count == least && room > 0);
            room -= usize::from(stays && *count == least);
            *others += if stays { 0 } else { *count };
            stays
        });
    }

    /// Gives up a key; its count stays in the sum. Whether it was there.
    pub(crate) fn forget(&mut self, key: &[u8]) -> bool {
        let count = self.keys.remove(key);
        self.others += count.unwrap_or(0);
        count.is_some()
    }

    /// The sum of the others (8 bytes), how many keys (4), and for each its length (2), its bytes and
    /// its count (8).
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.others.to_le_bytes());
        out.extend_from_slice(&(self.keys.len() as u32).to_le_bytes());
        for (key, count) in &self.keys {
            out.extend_from_slice(&(key.len() as u16).to_le_bytes());
            out.extend_from_slice(key);
            out.extend_from_slice(&count.to_le_bytes());
        }
    }

    pub(crate) fn decode(bytes: &mut Decoder<'_>) -> Option<Self> {
        let others = u64::from_le_bytes(bytes.take()?);
        let number = u32::from_le_bytes(bytes.take()?);
        let mut keys = HashMap::default();
        for _ in 0..number {
            let len = u16::from_le_bytes(bytes.take()?);
            let (key, rest) = bytes.0.split_at_checked(usize::from(len))?;
            bytes.0 = rest;
            keys.insert(key.into(), u64::from_le_bytes(bytes.take()?));
        }
        Some(Self { keys, others })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_sum_is_exact_and_no_count_too_high_and_few_keys_are_exact(
            added in prop::collection::vec((0..40u8, 1..9u64), 0..300),
            max in 1..20usize,
        ) {
            let mut top = Top::default();
            let mut model = std::collections::BTreeMap::<u8, u64>::new();
            for (key, count) in &added {
                top.add(&[*key], *count, max);
                *model.entry(*key).or_default() += count;
            }
            prop_assert_eq!(top.sum(), model.values().sum::<u64>());
            prop_assert!(top.keys.len() <= 2 * max);
            for (key, count) in top.sorted() {
                prop_assert!(count <= model[&key[0]]);
                prop_assert!(model.len() > 2 * max || count == model[&key[0]]);
            }
            let mut bytes = Vec::new();
            top.encode(&mut bytes);
            let mut rest = Decoder(&bytes);
            prop_assert_eq!(Top::decode(&mut rest), Some(top.clone()));
            prop_assert!(rest.0.is_empty());
            let sum = top.sum();
            let least_kept = {
                top.shrink(max);
                top.sorted().last().map(|(_, count)| *count)
            };
            prop_assert_eq!((top.sum(), top.keys.len() <= max), (sum, true));
            prop_assert!(least_kept.is_none_or(|least| least > 0));
        }
    }

    proptest! {
        #[test]
        fn it_is_the_same_for_many_at_once(
            batches in prop::collection::vec(
                prop::collection::btree_map(0..40u8, 1..9u64, 0..30), 0..20),
            max in 1..20usize,
        ) {
            let mut top = Top::default();
            let mut model = std::collections::BTreeMap::<u8, u64>::new();
            for batch in &batches {
                let keys: Vec<_> = batch.iter().map(|(key, count)| ([*key], *count)).collect();
                top.add_all(keys.iter().map(|(key, count)| (&key[..], *count)), max);
                batch.iter().for_each(|(key, count)| *model.entry(*key).or_default() += count);
                prop_assert_eq!(top.sum(), model.values().sum::<u64>());
                prop_assert!(top.keys.len() <= 2 * max);
                for (key, count) in top.sorted() {
                    prop_assert!(count <= model[&key[0]]);
                    prop_assert!(model.len() > 2 * max || count == model[&key[0]]);
                }
            }
        }
    }

    #[test]
    fn the_most_frequent_stay_and_a_forgotten_one_counts_for_the_rest() {
        let mut top = Top::default();
        for (key, count) in [(b"a", 5), (b"b", 1), (b"c", 9), (b"d", 5)] {
            top.add(key, count, 10);
        }
        top.shrink(3);
        assert_eq!(top.sorted(), [(&b"c"[..], 9), (b"a", 5), (b"d", 5)]);
        assert_eq!((top.others(), top.sum()), (1, 20));
        assert!(top.forget(b"c") && !top.forget(b"c"));
        assert_eq!((top.others(), top.sum()), (10, 20));
    }
}
