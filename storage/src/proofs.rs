//! How well, and when last, a source was proven to own its address.

use crate::bucket::Span;
use crate::event::{Time, Verification};
use crate::limits::NS_PER_S;
use crate::row_bytes::{Decoder, Encoder};

/// When each level of verification was last reached, in whole seconds; 0 is never.
///
/// A forged datagram can make a source *seen* at any time, but not proven: so what blocks an address
/// ages by these times and not by [`crate::aggregate::Seen::last`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proofs([u32; Verification::ALL.len() - 1]);

impl Proofs {
    pub(crate) fn add(&mut self, level: Verification, time: Time) {
        if let Some(at) = (level as usize).checked_sub(1) {
            let seconds = u32::try_from(time.0 / NS_PER_S).unwrap_or(u32::MAX);
            self.0[at] = self.0[at].max(seconds);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = (*mine).max(theirs);
        }
    }

    /// The best level with a proof not older than `oldest`.
    #[must_use]
    pub fn level(&self, oldest: Time) -> Verification {
        let level = |(at, seconds): (usize, &u32)| {
            let proven = *seconds > 0 && upper(*seconds) >= oldest;
            proven.then(|| Verification::ALL[at + 1])
        };
        self.0.iter().enumerate().rev().find_map(level).unwrap_or_default()
    }

    /// When level `min` or a better one was last reached, to the second, rounded up. `None` for
    /// [`Verification::Unverified`], which needs no proof.
    #[must_use]
    pub fn last(&self, min: Verification) -> Option<Time> {
        let from = (min as usize).checked_sub(1)?;
        let seconds = self.0[from..].iter().copied().max().filter(|seconds| *seconds > 0)?;
        Some(upper(seconds))
    }

    /// The earliest of the times.
    pub(crate) fn oldest(&self) -> Time {
        let times = self.0.iter().filter(|seconds| **seconds > 0);
        times.min().map_or(Time(u64::MAX), |seconds| upper(*seconds))
    }

    /// The latest of the times.
    pub(crate) fn newest(&self) -> Time {
        self.0.iter().max().map_or(Time(0), |seconds| Time(u64::from(*seconds) * NS_PER_S))
    }

    /// Removes what is older than the span, and takes what is later for its end. Whether there was any.
    pub(crate) fn forget(&mut self, span: Span) -> bool {
        let before = *self;
        let newest = u32::try_from(span.newest.0 / NS_PER_S).unwrap_or(u32::MAX);
        for seconds in &mut self.0 {
            *seconds = if upper(*seconds) < span.oldest { 0 } else { (*seconds).min(newest) };
        }
        *self != before
    }

    pub(crate) fn encode(self, out: &mut Encoder) {
        for seconds in self.0 {
            out.put(&seconds.to_le_bytes());
        }
    }

    pub(crate) fn decode(bytes: &mut Decoder<'_>) -> Option<Self> {
        let mut proofs = Self::default();
        for seconds in &mut proofs.0 {
            *seconds = u32::from_le_bytes(bytes.take()?);
        }
        Some(proofs)
    }
}

/// The end of a second.
fn upper(seconds: u32) -> Time {
    Time((u64::from(seconds) + 1) * NS_PER_S - 1)
}
