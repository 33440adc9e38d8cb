//! Packing on a thread of its own.
//!
//! Packing takes as long as counting, and needs nothing of what the writer counts in: so the writer hands
//! each full block over and goes on. A commit hands over the last block too, makes its rows meanwhile,
//! and then waits for what is not packed yet. Compression thus runs beside the one thread that everything
//! else goes through, and not on the shards, whose time is the network's.

use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::block::{Builder, Packed, Packer};
use crate::event::Seq;
use crate::filter::Hashes;
use crate::limits::PACKING_MAX;

/// A block that is being filled.
#[derive(Default)]
pub(crate) struct Open {
    pub(crate) builder: Builder,
    pub(crate) hashes: Hashes,
    pub(crate) first: Seq,
}

impl Open {
    fn pack(&mut self, packer: &mut Packer) -> Packed {
        Packed { filter: Some(self.hashes.filter()), ..self.builder.pack(self.first, packer) }
    }

    fn clear(&mut self) {
        self.builder.clear();
        self.hashes.clear();
    }
}

/// What becomes of a block when it is packed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Cleared,
    Kept,
}

/// The writer's end.
pub(crate) struct Packing {
    jobs: Option<Sender<(Open, Then)>>,
    done: Receiver<(Open, Then, Packed)>,
    thread: Option<JoinHandle<()>>,
    under_way: usize,
    /// How many were under way at once since the last commit, at most.
    under_way_most: usize,
    ready: Vec<Packed>,
    ready_bytes: usize,
    idle: Vec<Open>,
    kept: Option<Open>,
}

impl Packing {
    pub(crate) fn new() -> Self {
        let (jobs, to_do) = bounded::<(Open, Then)>(PACKING_MAX);
        let (report, done) = bounded(PACKING_MAX);
        let thread = std::thread::Builder::new().name("packer".to_owned()).spawn(move || {
            let mut packer = Packer::new();
            for (mut open, then) in to_do {
                let packed = open.pack(&mut packer);
                if report.send((open, then, packed)).is_err() {
                    break;
                }
            }
        });
        Self {
            jobs: Some(jobs),
            done,
            // Without a thread the channel is closed, and everything is packed where it comes.
            thread: thread.ok(),
            under_way: 0,
            under_way_most: 0,
            ready: Vec::new(),
            ready_bytes: 0,
            idle: Vec::new(),
            kept: None,
        }
    }

    /// An empty block that begins with `first`.
    pub(crate) fn open(&mut self, first: Seq) -> Open {
        Open { first, ..self.idle.pop().unwrap_or_default() }
    }

    /// A block whose memory can be used again.
    pub(crate) fn give_back(&mut self, mut open: Open) {
        open.clear();
        self.idle.push(open);
        self.idle.truncate(PACKING_MAX);
    }

    /// A block that is full. Its memory is used again.
    pub(crate) fn pack(&mut self, open: Open) {
        self.hand_over(open, Then::Cleared);
    }

    /// A block that may be added to after the commit.
    pub(crate) fn pack_and_keep(&mut self, open: Open) {
        self.hand_over(open, Then::Kept);
    }

    fn hand_over(&mut self, open: Open, then: Then) {
        while self.under_way >= PACKING_MAX {
            self.receive();
        }
        self.under_way += 1;
        self.under_way_most = self.under_way_most.max(self.under_way);
        let refused = match &self.jobs {
            Some(jobs) => {
                jobs.send((open, then)).err().map(crossbeam_channel::SendError::into_inner)
            }
            None => Some((open, then)),
        };
        if let Some((mut open, then)) = refused {
            let packed = open.pack(&mut Packer::new());
            self.take(open, then, packed);
        }
        while let Ok((open, then, packed)) = self.done.try_recv() {
            self.take(open, then, packed);
        }
    }

    fn receive(&mut self) {
        #[expect(clippy::expect_used, reason = "the blocks are lost, and the thread has said why")]
        // It ends only when it panics.
        let (open, then, packed) = self.done.recv().expect("the packer has ended");
        self.take(open, then, packed);
    }

    fn take(&mut self, open: Open, then: Then, packed: Packed) {
        self.under_way -= 1;
        self.ready_bytes += packed.payload.len();
        self.ready.push(packed);
        if then == Then::Kept {
            self.kept = Some(open);
        } else {
            self.give_back(open);
        }
    }

    /// What is packed and not taken, in bytes.
    pub(crate) fn ready_bytes(&self) -> usize {
        self.ready_bytes
    }

    /// Waits for everything. The blocks in their order, and the one that was to be kept.
    pub(crate) fn finish(&mut self) -> (Vec<Packed>, Option<Open>) {
        while self.under_way > 0 {
            self.receive();
        }
        self.ready_bytes = 0;
        // As many as this commit needed stay for the next; what a burst needed goes with the one after it.
        self.idle.truncate(std::mem::take(&mut self.under_way_most).max(1));
        let mut packed = std::mem::take(&mut self.ready);
        packed.sort_by_key(|packed| packed.head.first);
        (packed, self.kept.take())
    }
}

impl Drop for Packing {
    fn drop(&mut self) {
        self.jobs = None;
        while self.done.recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            // It has said why if it panicked.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Arena;
    use crate::block::Block;
    use crate::testing::event;

    fn push(open: &mut Open, n: u8) {
        let mut arena = Arena::new(0);
        arena.push(&event(n)).unwrap();
        arena.raw().for_each(|raw| open.builder.push(&raw, &raw.event()));
    }

    #[test]
    fn blocks_come_back_in_their_order_and_the_last_can_be_added_to() {
        let mut packing = Packing::new();
        for n in 0..50u8 {
            let mut open = packing.open(Seq(u64::from(n)));
            push(&mut open, n);
            if n < 49 {
                packing.pack(open);
            } else {
                packing.pack_and_keep(open);
            };
        }
        let (packed, kept) = packing.finish();
        let firsts: Vec<_> = packed.iter().map(|packed| packed.head.first.0).collect();
        assert_eq!(firsts, (0..50).collect::<Vec<_>>());
        let mut kept = kept.unwrap();
        push(&mut kept, 77);
        packing.pack(kept);
        let (packed, kept) = packing.finish();
        assert!(kept.is_none() && packed.len() == 1);
        let block = Block::unpack(&packed[0].head, &packed[0].payload).unwrap();
        assert_eq!((block.head().first, block.events().count()), (Seq(49), 2));
        assert_eq!(packing.finish().0.len(), 0);
        assert!(packing.open(Seq(1)).builder.is_empty());
    }

    #[test]
    fn without_a_thread_everything_is_packed_where_it_comes() {
        let mut packing = Packing::new();
        packing.jobs = None;
        let mut open = packing.open(Seq(1));
        push(&mut open, 1);
        packing.pack(open);
        assert!(packing.ready_bytes() > 0);
        assert_eq!(packing.finish().0.len(), 1);
    }
}
