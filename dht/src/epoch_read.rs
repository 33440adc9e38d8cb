//! Which batches of a node were read in one epoch, and how much more of it may be.

use crate::epoch::Epoch;
use crate::limits::{BATCHES_MAX, RECORDS_MAX};

/// What was read of one epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EpochRead {
    pub(crate) epoch: Epoch,
    /// The numbers of the batches: the first `taken` of these.
    batches: [u16; BATCHES_MAX],
    taken: u8,
    records: u16,
    /// All of it, whichever those were.
    is_closed: bool,
}

impl EpochRead {
    /// Nothing yet.
    pub(crate) fn of(epoch: Epoch) -> Self {
        Self { epoch, ..Self::default() }
    }

    /// All that there may be.
    pub(crate) fn closed(epoch: Epoch) -> Self {
        Self { epoch, is_closed: true, ..Self::default() }
    }

    /// Whether batch `n` is among it.
    pub(crate) fn has(&self, n: u16) -> bool {
        self.is_closed || self.batches[..self.taken.into()].contains(&n)
    }

    /// Takes batch `n`: how many of its records; `None` if it was taken already or there are too many.
    pub(crate) fn admit(&mut self, n: u16, records: u16) -> Option<u16> {
        if self.has(n) {
            return None;
        }
        *self.batches.get_mut(usize::from(self.taken))? = n;
        self.taken += 1;
        let admitted = records.min(RECORDS_MAX as u16 - self.records);
        self.records += admitted;
        Some(admitted)
    }
}
