//! One bucket of a [`crate::snapshot::Table`]: a sorted array, and a small sorted delta over it.

use std::sync::Arc;

use crate::aggregate::Row;
use crate::event::Time;
use crate::key::Key;
use crate::sorted::Sorted;

/// Whether a row's key has ever been proven, which decides what a full table gives up first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Unproven = 0,
    Proven = 1,
}

impl Standing {
    fn of(row: &impl Row) -> Self {
        if row.is_proven() { Self::Proven } else { Self::Unproven }
    }
}

/// The times that rows may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// What is earlier has expired.
    pub(crate) oldest: Time,
    /// What is later is wrong: a clock was.
    pub(crate) newest: Time,
}

/// What becomes of a key.
pub(crate) enum Decision<R> {
    /// It has this row now.
    Put(R),
    /// It stays as it is.
    Keep,
}

/// One bucket of a table.
pub(crate) struct Bucket<K, R> {
    base: Arc<Sorted<K, R>>,
    /// Newer rows of keys in `base`, and new keys. Keys leave only when a bucket is made anew.
    delta: Sorted<K, R>,
    pub(crate) len: usize,
    /// How many of the rows are proven.
    pub(crate) proven: usize,
    /// The publication in which the bucket last changed.
    pub(crate) publication: u32,
    /// Rows that last changed in this publication or before are stored, beside those that a sweep
    /// has written.
    pub(crate) stored: u32,
    /// Nothing in a row expires as long as what is older than this does.
    pub(crate) oldest: Time,
    /// No row has a later time.
    newest: Time,
}

impl<K: Key, R> Default for Bucket<K, R> {
    fn default() -> Self {
        Self {
            base: Arc::new(Sorted::new()),
            delta: Sorted::new(),
            len: 0,
            proven: 0,
            publication: 0,
            stored: 0,
            oldest: Time(u64::MAX),
            newest: Time(0),
        }
    }
}

impl<K: Key, R: Row> Bucket<K, R> {
    /// A bucket of these rows.
    pub(crate) fn of(mut rows: Sorted<K, R>, publication: u32) -> Self {
        rows.shrink_to_fit();
        let oldest = rows.rows().iter().map(Row::oldest).min();
        let newest = rows.rows().iter().map(Row::newest).max();
        Self {
            len: rows.len(),
            proven: rows.rows().iter().filter(|row| row.is_proven()).count(),
            base: Arc::new(rows),
            publication,
            oldest: oldest.unwrap_or(Time(u64::MAX)),
            newest: newest.unwrap_or(Time(0)),
            ..Self::default()
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&R> {
        self.delta.find(key).or_else(|| self.base.find(key))
    }

    pub(crate) fn step(&self, base: &mut usize, delta: &mut usize) -> Option<(&K, &R)> {
        let from_base = self.base.get(*base);
        let Some((key, row)) = self.delta.get(*delta) else {
            *base += 1;
            return from_base;
        };
        match from_base {
            Some((base_key, row)) if base_key < key => {
                *base += 1;
                return Some((base_key, row));
            }
            Some((base_key, _)) if base_key == key => *base += 1,
            _ => {}
        }
        *delta += 1;
        Some((key, row))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &R)> {
        let (mut base, mut delta) = (0, 0);
        std::iter::from_fn(move || self.step(&mut base, &mut delta))
    }

    /// Bucket number `at` after `changes`, which are sorted by key.
    pub(crate) fn apply<'a, D: 'a>(
        &self,
        changes: impl ExactSizeIterator<Item = (&'a K, &'a D)>,
        (at, publication): (usize, u32),
        mut decide: impl FnMut(Option<&R>, &D) -> Decision<R>,
    ) -> Self
    where
        K: 'a,
    {
        let mut delta = Sorted::with_capacity(self.delta.len() + changes.len());
        let (mut len, mut proven) = (self.len, self.proven);
        let (mut oldest, mut newest) = (self.oldest, self.newest);
        let (mut old, mut base) = (0, 0);
        for (key, change) in changes {
            let mut over = None;
            while let Some((older, row)) = self.delta.get(old).filter(|(older, _)| *older <= key) {
                old += 1;
                if older == key {
                    over = Some(row);
                } else {
                    delta.push(older.clone(), row.clone());
                }
            }
            let current = over.or_else(|| self.base.find_from(&mut base, key));
            match decide(current, change) {
                Decision::Put(row) => {
                    len += usize::from(current.is_none());
                    proven += usize::from(row.is_proven());
                    proven -= usize::from(current.is_some_and(R::is_proven));
                    oldest = oldest.min(row.oldest());
                    newest = newest.max(row.newest());
                    delta.push(key.clone(), row);
                }
                Decision::Keep => {
                    if let Some(row) = over {
                        delta.push(key.clone(), row.clone());
                    }
                }
            }
        }
        while let Some((key, row)) = self.delta.get(old) {
            old += 1;
            delta.push(key.clone(), row.clone());
        }
        let next = Self {
            base: self.base.clone(),
            delta,
            len,
            proven,
            publication,
            stored: self.stored,
            oldest,
            newest,
        };
        if next.delta.len() * 64 > next.base.len() * delta_max(at) {
            next.merged(publication)
        } else {
            next
        }
    }

    /// The same bucket without a delta.
    fn merged(&self, publication: u32) -> Self {
        self.filtered(publication, |_, _| true)
    }

    /// The bucket with those rows that are kept, and without a delta.
    fn filtered(&self, publication: u32, mut keeps: impl FnMut(&K, &R) -> bool) -> Self {
        let mut rows = Sorted::with_capacity(self.len);
        for (key, row) in self.iter() {
            if keeps(key, row) {
                rows.push(key.clone(), row.clone());
            }
        }
        Self { stored: self.stored, ..Self::of(rows, publication) }
    }

    #[cfg(test)]
    pub(crate) fn delta_len(&self) -> usize {
        self.delta.len()
    }

    /// How many rows have this standing.
    pub(crate) fn count(&self, standing: Standing) -> usize {
        match standing {
            Standing::Unproven => self.len - self.proven,
            Standing::Proven => self.proven,
        }
    }

    /// The bucket without `number` of the rows of this standing, those that were last seen the
    /// longest ago; and their keys and counts. `number` is at least 1 and there are as many.
    pub(crate) fn evict(
        &self,
        standing: Standing,
        number: usize,
        publication: u32,
    ) -> (Self, Vec<(K, u64)>) {
        let candidates =
            self.iter().enumerate().filter(|(_, (_, row))| Standing::of(*row) == standing);
        let mut order: Vec<_> = candidates.map(|(at, (_, row))| (row.seen().last, at)).collect();
        let (_, last_out, _) = order.select_nth_unstable(number - 1);
        let last_out = *last_out;
        let mut gone = Vec::with_capacity(number);
        let mut at = 0;
        let rest = self.filtered(publication, |key, row| {
            let goes = Standing::of(row) == standing && (row.seen().last, at) <= last_out;
            at += 1;
            if goes {
                gone.push((key.clone(), row.seen().count));
            }
            !goes
        });
        (rest, gone)
    }

    /// The bucket without this key's row, and what that counted. `None` if it has none.
    pub(crate) fn without(&self, key: &K, publication: u32) -> Option<(Self, u64)> {
        let count = self.get(key)?.seen().count;
        Some((self.filtered(publication, |other, _| other != key), count))
    }

    /// Whether all times are within the span.
    pub(crate) fn is_within(&self, span: Span) -> bool {
        self.oldest >= span.oldest && self.newest <= span.newest
    }

    /// The bucket without the rows that were last seen before the span and without proofs that are
    /// older, with no time after it; and the keys of those rows. Its publication is `publication` only
    /// if that changed anything.
    pub(crate) fn aged(&self, span: Span, publication: u32) -> (Self, Vec<K>) {
        let mut rows = Sorted::with_capacity(self.len);
        let mut removed = Vec::new();
        let mut changed = false;
        for (key, row) in self.iter() {
            if row.seen().last < span.oldest {
                removed.push(key.clone());
                continue;
            }
            let mut row = row.clone();
            if row.forget(span) {
                row.set_publication(publication);
                changed = true;
            }
            rows.push(key.clone(), row);
        }
        let publication =
            if changed || !removed.is_empty() { publication } else { self.publication };
        (Self { stored: self.stored, ..Self::of(rows, publication) }, removed)
    }
}

/// How large the delta of bucket number `at` may become, in 64ths of its base: a quarter, about. If it were
/// the same for all, all would be merged with the same commit, since keys are spread evenly, and the
/// whole table would be in memory twice.
fn delta_max(at: usize) -> usize {
    12 + at % 9
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::SourceRow;
    use crate::event::{Seq, SourceKey, Verification};
    use crate::method::Method;
    use crate::testing::proven;

    proptest! {
        #[test]
        fn those_leave_that_were_not_seen_for_the_longest_time_and_no_others(
            lasts in prop::collection::vec((0..20u64, any::<bool>()), 1..40),
            part in 0..1000usize,
            standing in prop::sample::select(vec![Standing::Unproven, Standing::Proven]),
        ) {
            let mut sorted = Sorted::new();
            let rows: std::collections::BTreeMap<_, _> = lasts.iter().enumerate().map(|(at, (last, is_proven))| {
                let source = format!("198.18.0.{at}:5060");
                let verification = Verification::ALL[usize::from(*is_proven) * 3];
                let event = proven(&source, *last * 1_000_000_000, verification);
                let mut row = SourceRow::nothing();
                row.add(Seq(1), &event, Method::Invite, None);
                (SourceKey::of(event.source.ip()), row)
            }).collect();
            rows.into_iter().for_each(|(key, row)| sorted.push(key, row));
            let bucket = Bucket::of(sorted, 1);
            let there = bucket.count(standing);
            prop_assume!(there > 0);
            let number = 1 + part % there;
            let (after, gone) = bucket.evict(standing, number, 2);
            prop_assert_eq!((gone.len(), after.len), (number, bucket.len - number));
            prop_assert_eq!(after.count(standing), there - number);
            let of_standing = |bucket: &Bucket<SourceKey, SourceRow>| -> Vec<Time> {
                let rows = bucket.iter().filter(|(_, row)| Standing::of(*row) == standing);
                rows.map(|(_, row)| row.seen.last).collect()
            };
            let last_of = |key: &SourceKey| bucket.get(key).unwrap().seen.last;
            let latest_gone = gone.iter().map(|(key, _)| last_of(key)).max().unwrap();
            prop_assert!(of_standing(&after).iter().all(|last| *last >= latest_gone));
        }
    }
}
