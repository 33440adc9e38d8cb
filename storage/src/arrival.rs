//! When all of a block had arrived.
//!
//! Its latest event says so. But if that is in the future, a clock was wrong, and then the first block
//! after it that is not in the future tells: it came later. That block may be far away, so what was looked
//! at is remembered, and one call looks at a bounded number.

use redb::Error;

use crate::block::Head;
use crate::clock::Now;
use crate::event::{Seq, Time};
use crate::limits::{ARRIVAL_LOOKS_MAX, CLOCK_JUMP_NS};
use crate::view::View;

/// What is known of the blocks that are in the future.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrivals {
    /// All blocks up to this event that were looked at are in the future, but for the last one if
    /// there is a time.
    through: Seq,
    /// When that last one had arrived.
    time: Option<Time>,
}

/// When a block had arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Not later than this.
    By(Time),
    /// Nothing after it tells, yet.
    Unknown,
    /// There is more to look at.
    Later,
}

impl Arrivals {
    /// When the block had arrived.
    pub(crate) fn of(&mut self, view: &View, head: &Head, now: Now) -> Result<Arrival, Error> {
        let newest = Time(now.time.0.saturating_add(CLOCK_JUMP_NS));
        if !now.is_sure || head.latest <= newest {
            return Ok(Arrival::By(head.latest));
        }
        if let Some(time) = self.time.filter(|_| head.last() < self.through) {
            return Ok(Arrival::By(time));
        }
        (self.through, self.time) = (self.through.max(head.last()), None);
        for _ in 0..ARRIVAL_LOOKS_MAX {
            let Some(next) = view.head_after(self.through)? else { return Ok(Arrival::Unknown) };
            self.through = next.last();
            if next.latest <= newest {
                self.time = Some(next.latest);
                return Ok(Arrival::By(next.latest));
            }
        }
        Ok(Arrival::Later)
    }
}
