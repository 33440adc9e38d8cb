//! Which blocks cannot hold a source or a number: a Bloom filter for each block.
//!
//! What is asked about one source or number passes over the blocks whose filter says no, and unpacks
//! the others: one in a hundred of them for nothing. The hash is keyed with a secret of the database,
//! so nobody can choose keys that every filter says yes to.
//!
//! B. H. Bloom, "Space/time trade-offs in hash coding with allowable errors", 1970; the probes of one
//! hash by A. Kirsch and M. Mitzenmacher, "Less hashing, same performance", 2006.

use crate::event::SourceKey;
use crate::key::{Key, NumberKey};
use crate::limits::{FILTER_BITS_PER_KEY, FILTER_PROBES};
use crate::snapshot::BucketKey;

/// What events can be looked for by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Who sent them.
    Source(SourceKey),
    /// What they were for.
    Number(NumberKey),
}

impl Subject {
    pub(crate) fn hash(&self, key: BucketKey) -> u64 {
        match self {
            Self::Source(source) => source_hash(key.hash(source.as_bytes())),
            Self::Number(number) => number_hash(key.hash(number.as_bytes())),
        }
    }
}

/// What stands in filters for a source with this hash.
pub(crate) fn source_hash(hash: u64) -> u64 {
    hash
}

/// What stands in filters for a number with this hash: another thing than a source of the same bytes.
pub(crate) fn number_hash(hash: u64) -> u64 {
    !hash
}

/// The hashes of what is in a block.
#[derive(Debug, Default)]
pub(crate) struct Hashes(Vec<u64>);

impl Hashes {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn add(&mut self, hash: u64) {
        // A flood repeats itself.
        let len = self.0.len();
        if !self.0[len.saturating_sub(4)..].contains(&hash) {
            self.0.push(hash);
        }
    }

    /// The filter of them.
    pub(crate) fn filter(&mut self) -> Vec<u8> {
        self.0.sort_unstable();
        self.0.dedup();
        let bytes = (self.0.len() * FILTER_BITS_PER_KEY).div_ceil(8).max(8);
        let mut filter = vec![0; bytes];
        for hash in &self.0 {
            for bit in probes(*hash, bytes) {
                filter[bit / 8] |= 1 << (bit % 8);
            }
        }
        filter
    }
}

/// Whether what has this hash may be in the block of this filter. An empty one says nothing.
pub(crate) fn may_hold(filter: &[u8], hash: u64) -> bool {
    filter.is_empty() || probes(hash, filter.len()).all(|bit| filter[bit / 8] & 1 << (bit % 8) != 0)
}

fn probes(hash: u64, bytes: usize) -> impl Iterator<Item = usize> {
    let (start, step) = (hash as u32, (hash >> 32) as u32 | 1);
    let bits = bytes as u64 * 8;
    (0..FILTER_PROBES).map(move |probe| {
        let at = start.wrapping_add(step.wrapping_mul(probe));
        // A fair share of the bits without a division.
        ((u64::from(at) * bits) >> 32) as usize
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter_of(sources: std::ops::Range<u32>, key: BucketKey) -> Vec<u8> {
        let mut hashes = Hashes::default();
        sources.for_each(|n| hashes.add(hash(n, key)));
        hashes.filter()
    }

    fn hash(n: u32, key: BucketKey) -> u64 {
        let ip = std::net::Ipv4Addr::from_bits(n).into();
        Subject::Source(SourceKey::of(ip)).hash(key)
    }

    #[test]
    fn a_filter_knows_all_that_is_in_it_and_takes_few_others_for_it() {
        let key = BucketKey([3, 4]);
        for size in [1u32, 100, 4000] {
            let filter = filter_of(0..size, key);
            assert!((0..size).all(|n| may_hold(&filter, hash(n, key))));
            let wrong = (size..size + 20_000).filter(|n| may_hold(&filter, hash(*n, key))).count();
            assert!(wrong < 20_000 * 2 / 100, "{wrong} of 20000 with {size}");
        }
    }

    #[test]
    fn a_filter_takes_ten_bits_for_each_different_one_and_an_empty_one_says_nothing() {
        let key = BucketKey([3, 4]);
        let mut hashes = Hashes::default();
        for n in 0..4000 {
            hashes.add(hash(n % 1000, key));
        }
        assert_eq!(hashes.filter().len(), 1250);
        assert!(may_hold(&[], 7));
    }

    #[test]
    fn a_number_is_another_thing_than_a_source_of_the_same_bytes() {
        let key = BucketKey([3, 4]);
        let source = SourceKey::of("2001:db8::".parse().unwrap());
        let number = NumberKey::from_bytes(source.as_bytes()).unwrap();
        assert_ne!(Subject::Source(source).hash(key), Subject::Number(number).hash(key));
    }
}
