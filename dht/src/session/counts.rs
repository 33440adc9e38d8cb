//! What a session counts.

use std::collections::BTreeMap;

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Batches put.
    pub batches_given: u64,
    /// Records in them.
    pub records_given: u64,
    /// Batches taken.
    pub batches_got: u64,
    /// Records taken.
    pub records_got: u64,
    /// Grants made.
    pub grants_given: u64,
    /// Grants opened.
    pub grants_got: u64,
    /// Records in the old format put.
    pub legacy_given: u64,
    /// The same taken.
    pub legacy_got: u64,
    /// Proofs of lying found or read.
    pub proofs: u64,
    /// What was refused, by what it was and why.
    pub refused: BTreeMap<(&'static str, &'static str), u64>,
    /// Batches that were given up half read, because too many were.
    pub half_read_dropped: u64,
    /// Data of others that nobody took in time.
    pub output_dropped: u64,
    /// Epochs whose publication no node took in time.
    pub epochs_unheard: u64,
    /// Puts that no node took.
    pub puts_failed: u64,
}

impl Counts {
    pub(super) fn refuse(&mut self, what: &'static str, why: &'static str) {
        *self.refused.entry((what, why)).or_default() += 1;
    }
}
