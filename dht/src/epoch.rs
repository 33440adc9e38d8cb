//! How time is cut: epochs, days, and the sequence numbers of batches.

use crate::limits::{DAY_S, EPOCH_S};

/// An epoch: the seconds since 1970 divided by the length of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The epoch that comes `epochs` later.
    #[must_use]
    pub fn plus(self, epochs: u32) -> Self {
        Self(self.0.saturating_add(epochs))
    }

    /// How many epochs have passed since `earlier`; 0 if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A day: the seconds since 1970 divided by 86,400.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u32);

/// Which batch of a node this is: its epoch, and how many came before it in that epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl Sequence {
    /// Batch `n` of `epoch`.
    #[must_use]
    pub fn new(epoch: Epoch, n: u16) -> Self {
        Self(u64::from(epoch.0) << 16 | u64::from(n))
    }

    /// The epoch that it belongs to; what does not fit is cut, and is never equal to a real one.
    #[must_use]
    pub fn epoch(self) -> Epoch {
        Epoch(u32::try_from(self.0 >> 16).unwrap_or(u32::MAX))
    }

    /// How many batches of the epoch came before it.
    #[must_use]
    pub fn n(self) -> u16 {
        (self.0 & 0xffff) as u16
    }
}

/// The length of an epoch. Nodes meet only if theirs is the same; tests use shorter ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    epoch_s: u32,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { epoch_s: EPOCH_S }
    }
}

impl Calendar {
    /// Epochs of so many seconds, at least one.
    #[must_use]
    pub fn with_epoch_s(epoch_s: u32) -> Self {
        Self { epoch_s: epoch_s.max(1) }
    }

    /// Length of an epoch in seconds.
    #[must_use]
    pub fn epoch_s(self) -> u32 {
        self.epoch_s
    }

    /// The epoch of a time in seconds since 1970.
    #[must_use]
    pub fn epoch(self, unix_s: u64) -> Epoch {
        Epoch(u32::try_from(unix_s / u64::from(self.epoch_s)).unwrap_or(u32::MAX))
    }

    /// When an epoch begins, in seconds since 1970.
    #[must_use]
    pub fn start_s(self, epoch: Epoch) -> u64 {
        u64::from(epoch.0) * u64::from(self.epoch_s)
    }

    /// When it has ended, in seconds since 1970.
    #[must_use]
    pub fn end_s(self, epoch: Epoch) -> u64 {
        self.start_s(epoch) + u64::from(self.epoch_s)
    }

    /// The day in which an epoch begins.
    #[must_use]
    pub fn day(self, epoch: Epoch) -> Day {
        day_of(self.start_s(epoch))
    }

    /// How many epochs fit into so many seconds.
    #[must_use]
    pub fn epochs_in(self, seconds: u64) -> u32 {
        u32::try_from(seconds / u64::from(self.epoch_s)).unwrap_or(u32::MAX)
    }
}

/// The day of a time in seconds since 1970.
#[must_use]
pub fn day_of(unix_s: u64) -> Day {
    Day(u32::try_from(unix_s / DAY_S).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_tells_its_epoch() {
        let sequence = Sequence::new(Epoch(2_992_463), 7);
        assert_eq!((sequence.epoch(), sequence.n()), (Epoch(2_992_463), 7));
        assert!(Sequence::new(Epoch(5), u16::MAX) < Sequence::new(Epoch(6), 0));
        assert_eq!(Sequence(u64::MAX).epoch(), Epoch(u32::MAX));
    }

    #[test]
    fn every_second_is_in_the_epoch_that_says_so() {
        for calendar in [Calendar::default(), Calendar::with_epoch_s(7)] {
            for second in 1_795_477_956..1_795_478_656 {
                let epoch = calendar.epoch(second);
                assert!(calendar.start_s(epoch) <= second && second < calendar.end_s(epoch));
            }
        }
    }
}
