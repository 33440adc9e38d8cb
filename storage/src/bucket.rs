//! One bucket of a [`crate::snapshot::Table`]: a sorted array, and a small sorted delta over it.

use std::sync::Arc;

use crate::aggregate::Row;
use crate::event::Time;
use crate::key::Key;

/// What becomes of a key.
pub(crate) enum Decision<R> {
    /// It has this row now.
    Put(R),
    /// It stays as it is.
    Keep,
}

/// One bucket of a table.
pub(crate) struct Bucket<K, R> {
    base: Arc<[(K, R)]>,
    /// Newer rows of keys in `base`, and new keys. Keys leave only when a bucket is made anew.
    delta: Arc<[(K, R)]>,
    pub(crate) len: usize,
    /// The publication in which the bucket last changed.
    pub(crate) publication: u32,
    /// Nothing in a row expires as long as what is older than this does.
    pub(crate) oldest: Time,
}

impl<K, R> Default for Bucket<K, R> {
    fn default() -> Self {
        Self {
            base: Arc::new([]),
            delta: Arc::new([]),
            len: 0,
            publication: 0,
            oldest: Time(u64::MAX),
        }
    }
}

impl<K: Key, R: Row> Bucket<K, R> {
    /// A bucket of sorted rows.
    pub(crate) fn of(rows: Vec<(K, R)>, publication: u32) -> Self {
        let oldest = rows.iter().map(|(_, row)| row.oldest()).min();
        Self {
            len: rows.len(),
            base: rows.into(),
            publication,
            oldest: oldest.unwrap_or(Time(u64::MAX)),
            ..Self::default()
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&R> {
        if let Ok(at) = self.delta.binary_search_by(|(k, _)| k.cmp(key)) {
            return Some(&self.delta[at].1);
        }
        let at = self.base.binary_search_by(|(k, _)| k.cmp(key)).ok()?;
        Some(&self.base[at].1)
    }

    pub(crate) fn step(&self, base: &mut usize, delta: &mut usize) -> Option<(&K, &R)> {
        let from_base = self.base.get(*base);
        let Some((key, row)) = self.delta.get(*delta) else {
            *base += 1;
            return from_base.map(|(key, row)| (key, row));
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

    pub(crate) fn apply<D>(
        &self,
        changes: &[(u16, K, D)],
        publication: u32,
        mut decide: impl FnMut(Option<&R>, &D, usize) -> Decision<R>,
    ) -> Self {
        let mut delta = Vec::with_capacity(self.delta.len() + changes.len());
        let (mut len, mut oldest) = (self.len, self.oldest);
        let mut old = self.delta.iter().peekable();
        for (_, key, change) in changes {
            while let Some(entry) = old.next_if(|(k, _)| k < key) {
                delta.push(entry.clone());
            }
            let over = old.next_if(|(k, _)| k == key);
            let current = match over {
                Some((_, row)) => Some(row),
                None => self.base_row(key),
            };
            match decide(current, change, len) {
                Decision::Put(row) => {
                    len += usize::from(current.is_none());
                    oldest = oldest.min(row.oldest());
                    delta.push((key.clone(), row));
                }
                Decision::Keep => delta.extend(over.cloned()),
            }
        }
        delta.extend(old.cloned());
        let next = Self { base: self.base.clone(), delta: delta.into(), len, publication, oldest };
        if next.delta.len() * 4 > next.base.len() { next.merged(publication) } else { next }
    }

    fn base_row(&self, key: &K) -> Option<&R> {
        let at = self.base.binary_search_by(|(k, _)| k.cmp(key)).ok()?;
        Some(&self.base[at].1)
    }

    /// The same bucket without a delta.
    fn merged(&self, publication: u32) -> Self {
        let mut rows = Vec::with_capacity(self.len);
        rows.extend(self.iter().map(|(key, row)| (key.clone(), row.clone())));
        Self::of(rows, publication)
    }

    /// The bucket without the rows that were last seen before `oldest` and without proofs that are
    /// older, and the keys of those rows. Its publication is `publication` only
    /// if there were any.
    pub(crate) fn aged(&self, oldest: Time, publication: u32) -> (Self, Vec<K>) {
        let mut rows = Vec::with_capacity(self.len);
        let mut removed = Vec::new();
        let mut changed = false;
        for (key, row) in self.iter() {
            if row.seen().last < oldest {
                removed.push(key.clone());
                continue;
            }
            let mut row = row.clone();
            if row.forget(oldest) {
                row.set_publication(publication);
                changed = true;
            }
            rows.push((key.clone(), row));
        }
        let publication =
            if changed || !removed.is_empty() { publication } else { self.publication };
        (Self::of(rows, publication), removed)
    }
}
