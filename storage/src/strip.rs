//! Taking the messages out of old blocks.
//!
//! A message is the largest part of an event and the first that nobody needs any more. It goes when it
//! is older than the operator wants messages to be, or earlier, the oldest first, when the log takes
//! more of the disk than it may. The event stays, with its number and its user agent, and so do all
//! counts.

use redb::{Database, Error};

use crate::arrival::{Arrival, Arrivals};
use crate::block::{Builder, Packed, Packer};
use crate::clock::Now;
use crate::event::{Seq, Time};
use crate::limits::STRIP_BLOCKS_MAX;
use crate::load::readable;
use crate::rewrite::{Keep, rewrite};
use crate::view::{View, stored_bytes};

/// Where the stripping is.
pub(crate) struct Stripper {
    /// No event up to this one has a message.
    through: Seq,
    /// Age at which a message goes, in ns.
    age_ns: u64,
    /// When the block after that had arrived, once it is known.
    next: Time,
    is_active: bool,
    arrivals: Arrivals,
    builder: (Builder, Packer),
}

impl Stripper {
    pub(crate) fn new(through: Seq, age_ns: u64) -> Self {
        Self {
            through,
            age_ns,
            next: Time(0),
            is_active: false,
            arrivals: Arrivals::default(),
            builder: Default::default(),
        }
    }

    pub(crate) fn through(&self) -> Seq {
        self.through
    }

    /// Whether there was more to do than the last commit did.
    pub(crate) fn is_active(&self) -> bool {
        self.is_active
    }

    /// Whether messages are old enough to go now.
    pub(crate) fn is_due(&self, now: Now) -> bool {
        self.next < now.expiry.minus_ns(self.age_ns)
    }

    /// Some of the blocks up to `closed` anew: those that are old, and others as long as the log is
    /// `excess` bytes too large.
    pub(crate) fn slice(
        &mut self,
        db: &Database,
        closed: Seq,
        now: Now,
        mut excess: u64,
    ) -> Result<Vec<Packed>, Error> {
        let mut anew = Vec::new();
        self.is_active = false;
        if self.through >= closed || !(excess > 0 || self.is_due(now)) {
            return Ok(anew);
        }
        let view = View::new(db)?;
        // Whatever fails below, nothing that was done before it is done again or left out.
        let mut through = self.through;
        while anew.len() < STRIP_BLOCKS_MAX {
            let Some(head) = view.head_after(through)? else { break };
            self.next = match self.arrivals.of(&view, &head, now)? {
                Arrival::By(time) => time,
                Arrival::Unknown | Arrival::Later if excess > 0 => Time(0),
                Arrival::Unknown => break,
                Arrival::Later => {
                    self.is_active = true;
                    break;
                }
            };
            if head.last() > closed || !(excess > 0 || self.is_due(now)) {
                break;
            }
            if let Some(block) = readable(view.block(&head)?, &head.first) {
                let packed = rewrite(&block, &mut self.builder, |_, _| Keep::WithoutMessage);
                if let Some(packed) = readable(packed, &head.first) {
                    let freed = stored_bytes(&head).saturating_sub(stored_bytes(&packed.head));
                    excess = excess.saturating_sub(freed);
                    anew.push(packed);
                }
            }
            through = head.last();
        }
        self.through = through;
        self.is_active |= anew.len() == STRIP_BLOCKS_MAX;
        Ok(anew)
    }
}

#[cfg(test)]
mod tests {
    use crate::bench::Bench;
    use crate::event::{EventRef, Seq};
    use crate::limits::NS_PER_S;
    use crate::recount::recount;
    use crate::testing::event;

    /// So many blocks of one event with a message of noise.
    fn fill(bench: &mut Bench, blocks: u8) {
        let mut noise = 7u64;
        for n in 0..blocks {
            let next = |_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (noise >> 33) as u8
            };
            let message: Vec<u8> = (0..20_000).map(next).collect();
            bench.ingest(&EventRef { time: bench.now, message: &message, method: b"", ..event(n) });
            bench.now.0 += NS_PER_S;
            bench.commit();
            bench.close_block();
        }
    }

    fn messages(bench: &Bench) -> Vec<usize> {
        let events = bench.log().since(Seq(0), 1000).unwrap();
        events.iter().map(|event| event.message.len()).collect()
    }

    #[test]
    fn messages_go_at_their_age_and_events_stay() {
        let mut bench = Bench::new(u64::MAX);
        bench.options.messages_ns = 10_000 * NS_PER_S;
        bench.restart();
        fill(&mut bench, 20);
        bench.now.0 += 5000 * NS_PER_S;
        fill(&mut bench, 20);
        bench.settle();
        assert_eq!(messages(&bench), [20_000; 40]);
        bench.now.0 += 5000 * NS_PER_S;
        bench.settle();
        let half = [[0; 20], [20_000; 20]].concat();
        assert_eq!(messages(&bench), half);
        bench.restart();
        bench.settle();
        assert_eq!(messages(&bench), half, "a start does not begin anew");
        bench.now.0 += 5000 * NS_PER_S;
        bench.settle();
        let events = bench.log().since(Seq(0), 1000).unwrap();
        assert!(events.iter().all(|event| event.message.is_empty()));
        assert!(events.iter().zip(&bench.given).all(|(left, given)| left.number == given.number));
        let recount = recount(&bench.killed()).unwrap();
        assert!(recount.is_exact() && recount.events == 40);
    }

    #[test]
    fn a_log_that_is_too_large_loses_its_oldest_messages_and_then_its_oldest_events() {
        let mut bench = Bench::new(u64::MAX);
        bench.options.log_bytes_max = 300_000;
        bench.restart();
        fill(&mut bench, 40);
        bench.settle();
        let lens = messages(&bench);
        let bare = lens.iter().filter(|len| **len == 0).count();
        assert_eq!(lens.len(), 40, "no event went");
        assert!((25..40).contains(&bare) && lens[..bare].iter().all(|len| *len == 0), "{bare}");
        assert!(bench.writer.shared.stats.log_bytes.get() <= 300_000);
        bench.options.log_bytes_max = 100_000;
        bench.restart();
        bench.settle();
        bench.settle();
        let lens = messages(&bench);
        assert!((10..40).contains(&lens.len()), "{}", lens.len());
        let stats = &bench.writer.shared.stats;
        assert!(stats.log_bytes.get() <= 100_000, "{}", stats.log_bytes.get());
        assert!(recount(&bench.killed()).unwrap().is_exact());
        bench.check();
    }
}
