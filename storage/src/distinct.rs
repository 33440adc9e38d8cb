//! How many different things there were, up to a few.

use crate::row_bytes::{Decoder, Encoder};

/// Up to `N` different things by their fingerprints, in no order; 0 is a free place. What comes when
/// it is full is not taken, so its length says "`N` or more" then.
///
/// Two things have one fingerprint with a chance of 1 in 2^32, whoever chose them: see
/// [`crate::snapshot::BucketKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distinct<const N: usize>([u32; N]);

impl<const N: usize> Default for Distinct<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Distinct<N> {
    /// How many there were, at most `N`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().filter(|place| **place != 0).count()
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn add(&mut self, fingerprint: u32) {
        for place in &mut self.0 {
            if *place == fingerprint {
                return;
            }
            if *place == 0 {
                *place = fingerprint;
                return;
            }
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        other.0.iter().filter(|place| **place != 0).for_each(|place| self.add(*place));
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.put(&[self.len() as u8]);
        for place in self.0.iter().filter(|place| **place != 0) {
            out.put(&place.to_le_bytes());
        }
    }

    /// More than `N` are taken as `N`: a later version may keep more.
    pub(crate) fn decode(bytes: &mut Decoder<'_>) -> Option<Self> {
        let mut read = Self::default();
        let [len] = bytes.take()?;
        for _ in 0..len {
            read.add(u32::from_le_bytes(bytes.take()?));
        }
        Some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_different_ones_until_it_is_full() {
        let mut some = Distinct::<3>::default();
        assert!(some.is_empty());
        for (fingerprint, len) in [(7, 1), (7, 1), (8, 2), (7, 2), (9, 3), (10, 3)] {
            some.add(fingerprint);
            assert_eq!(some.len(), len);
        }
    }

    #[test]
    fn a_union_is_the_same_in_any_order_until_it_is_full_and_reads_back() {
        let of = |from: &[u32]| {
            let mut some = Distinct::<4>::default();
            from.iter().for_each(|fingerprint| some.add(*fingerprint));
            some
        };
        let (mut left, mut right) = (of(&[1, 2]), of(&[2, 3]));
        left.merge(&of(&[2, 3]));
        right.merge(&of(&[1, 2]));
        assert_eq!((left.len(), right.len()), (3, 3));
        left.merge(&left.clone());
        assert_eq!(left.len(), 3);
        let mut out = Encoder::default();
        left.encode(&mut out);
        let mut bytes = Decoder(out.as_bytes());
        assert_eq!(Distinct::<4>::decode(&mut bytes), Some(left));
        assert!(bytes.0.is_empty());
        assert_eq!(Distinct::<4>::decode(&mut Decoder(&[2, 1, 0, 0, 0])), None);
    }
}
