//! Rows in the order of their keys, the keys by themselves.
//!
//! A search reads keys only. Side by side, those of a bucket are some pages and stay in the cache while one
//! commit changes a bucket; between their rows each step of a search would miss it.

use crate::key::Key;

/// Keys in their order, and the row of each.
pub(crate) struct Sorted<K, R> {
    keys: Vec<K>,
    rows: Vec<R>,
}

impl<K: Key, R> Sorted<K, R> {
    pub(crate) const fn new() -> Self {
        Self { keys: Vec::new(), rows: Vec::new() }
    }

    pub(crate) fn with_capacity(len: usize) -> Self {
        Self { keys: Vec::with_capacity(len), rows: Vec::with_capacity(len) }
    }

    /// Adds a row behind all others: its key is greater than theirs.
    pub(crate) fn push(&mut self, key: K, row: R) {
        debug_assert!(self.keys.last().is_none_or(|last| *last < key));
        self.keys.push(key);
        self.rows.push(row);
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn last_key(&self) -> Option<&K> {
        self.keys.last()
    }

    pub(crate) fn get(&self, at: usize) -> Option<(&K, &R)> {
        Some((self.keys.get(at)?, self.rows.get(at)?))
    }

    pub(crate) fn find(&self, key: &K) -> Option<&R> {
        self.find_from(&mut 0, key)
    }

    /// The row of `key`, which is not before `from`; that then stands where the key is or would be.
    pub(crate) fn find_from(&self, from: &mut usize, key: &K) -> Option<&R> {
        match self.keys[*from..].binary_search(key) {
            Ok(at) => {
                *from += at;
                self.rows.get(*from)
            }
            Err(at) => {
                *from += at;
                None
            }
        }
    }

    /// All of it, in no more memory than it needs; what it was gathered in is kept for others.
    pub(crate) fn take(&mut self) -> Self {
        let mut all = Self::with_capacity(self.len());
        all.keys.append(&mut self.keys);
        all.rows.append(&mut self.rows);
        all
    }

    pub(crate) fn rows(&self) -> &[R] {
        &self.rows
    }

    /// Gives back what memory is left over.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.keys.shrink_to_fit();
        self.rows.shrink_to_fit();
    }
}
