//! How arenas travel between shards and the writer.
//!
//! One data channel leads to the writer and one return channel back to each shard. The data channel
//! holds as many arenas as can exist, so handing one over never blocks, and the one place where a
//! shard can lose an event is that there is no free arena, and its own is full. So a shard first
//! takes the next arena and then hands its own over: while there is none, it goes on filling the one
//! that it has, whatever its age.
//!
//! ```
//! # use sentrypeer_storage::intake;
//! # let (mut shards, _writer) = intake::channel(1);
//! # let mut intake = shards.remove(0);
//! # let mut arena = intake.take().unwrap();
//! if let Some(next) = intake.take() {
//!     let lost = intake.hand_over(std::mem::replace(&mut arena, next));
//!     # assert_eq!(lost, 0);
//! }
//! ```

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Select, Sender, TryRecvError, bounded};

use crate::arena::Arena;
use crate::limits::{ARENAS_IN_ALL_MIN, ARENAS_KEPT, ARENAS_PER_SHARD_MIN, SHARDS_MAX};
use crate::shed::Load;

/// Makes the channels of so many shards (at least 1, at most [`SHARDS_MAX`]) and their writer.
#[must_use]
pub fn channel(shards: usize) -> (Vec<ShardIntake>, WriterIntake) {
    let shards = shards.clamp(1, SHARDS_MAX);
    let max = arenas_per_shard(shards);
    let (data, arrivals) = bounded(shards * max);
    let (alive, over) = bounded(0);
    let (mut intakes, mut returns) = (Vec::new(), Vec::new());
    for shard in 0..shards {
        let (back, idle) = bounded(max);
        let made = Arc::new(AtomicUsize::new(0));
        returns.push(Return { back, made: made.clone(), max });
        let shard = shard as u16; // at most SHARDS_MAX
        intakes.push(ShardIntake {
            shard,
            data: data.clone(),
            idle,
            made,
            max,
            _alive: alive.clone(),
        });
    }
    (intakes, WriterIntake { arrivals, returns, over })
}

/// Arenas that each of so many shards may make.
fn arenas_per_shard(shards: usize) -> usize {
    ARENAS_IN_ALL_MIN.div_ceil(shards).max(ARENAS_PER_SHARD_MIN)
}

/// A shard's end. Dropping all of them ends the writer after its last commit.
#[derive(Debug)]
pub struct ShardIntake {
    shard: u16,
    data: Sender<Arena>,
    idle: Receiver<Arena>,
    /// Arenas of this shard that exist.
    made: Arc<AtomicUsize>,
    max: usize,
    /// Nothing is ever sent; the channel ends with the last shard.
    _alive: Sender<Infallible>,
}

impl ShardIntake {
    /// An empty arena: one that came back, else a new one, else `None` when as many as may exist
    /// are on their way. Never blocks.
    pub fn take(&mut self) -> Option<Arena> {
        if let Ok(arena) = self.idle.try_recv() {
            return Some(arena);
        }
        // Only this shard makes its arenas, so nobody else can get past `max` in between.
        if self.made.load(Ordering::Relaxed) >= self.max {
            return None;
        }
        self.made.fetch_add(1, Ordering::Relaxed);
        Some(Arena::new(self.shard))
    }

    /// Sends an arena to the writer. Never blocks.
    ///
    /// When the writer has ended, the arena's events are lost, and their number is returned for
    /// the shard to count.
    #[must_use = "this many events are lost, and somebody must count them"]
    pub fn hand_over(&mut self, arena: Arena) -> usize {
        match self.data.try_send(arena) {
            Ok(()) => 0,
            Err(refused) => {
                self.made.fetch_sub(1, Ordering::Relaxed);
                refused.into_inner().len()
            }
        }
    }
}

/// Where an arena goes back to.
#[derive(Debug)]
struct Return {
    back: Sender<Arena>,
    made: Arc<AtomicUsize>,
    max: usize,
}

/// The writer's end.
#[derive(Debug)]
pub struct WriterIntake {
    arrivals: Receiver<Arena>,
    returns: Vec<Return>,
    over: Receiver<Infallible>,
}

impl WriterIntake {
    /// The next arena, waiting for it until the deadline, or until something comes on the other channel:
    /// that ends the wait like the deadline.
    pub(crate) fn receive<T>(
        &self,
        deadline: Instant,
        other: Option<&Receiver<T>>,
    ) -> Result<Arena, RecvTimeoutError> {
        match self.arrivals.try_recv() {
            Ok(arena) => return Ok(arena),
            Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
            Err(TryRecvError::Empty) => {}
        }
        let Some(other) = other else { return self.arrivals.recv_deadline(deadline) };
        let mut either = Select::new();
        either.recv(&self.arrivals);
        either.recv(other);
        // Which one it is does not matter: one is asked for an arena, the other is looked at later.
        let _ = either.ready_deadline(deadline);
        self.arrivals.try_recv().map_err(|error| match error {
            TryRecvError::Empty => RecvTimeoutError::Timeout,
            TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
        })
    }

    /// How far the writer is behind the shard that this arena is from.
    pub(crate) fn load(&self, arena: &Arena) -> Load {
        let from = self.returns.get(usize::from(arena.shard));
        from.map_or(Load::Light, |shard| Load::of(shard.made.load(Ordering::Relaxed), shard.max))
    }

    /// How many arenas wait.
    pub(crate) fn waiting(&self) -> usize {
        self.arrivals.len()
    }

    /// Waits until all shards have gone, at most so long. Whether they have.
    pub(crate) fn is_over_within(&self, patience: Duration) -> bool {
        matches!(self.over.recv_timeout(patience), Err(RecvTimeoutError::Disconnected))
    }

    /// Gives an arena back to its shard. What a burst needed beyond [`ARENAS_KEPT`] is freed.
    pub(crate) fn give_back(&self, mut arena: Arena) {
        arena.clear();
        let Some(to) = self.returns.get(usize::from(arena.shard)) else { return };
        if to.back.len() >= ARENAS_KEPT || to.back.try_send(arena).is_err() {
            to.made.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Events that are on their way, for the count of what is lost when they cannot be stored.
    pub(crate) fn drain_count(&self) -> u64 {
        self.arrivals.try_iter().map(|arena| arena.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ARENA_BYTES;

    #[test]
    fn all_shards_together_can_hold_a_second_of_events_while_a_disk_stalls() {
        for shards in [1, 2, 7, 64, 500] {
            assert!(shards * arenas_per_shard(shards) * ARENA_BYTES >= 128 << 20);
        }
    }

    #[test]
    fn a_shard_gets_as_many_arenas_as_may_exist_and_can_hand_all_of_them_over() {
        let (mut shards, writer) = channel(2);
        for intake in &mut shards {
            let mut taken = 0;
            while let Some(arena) = intake.take() {
                assert_eq!(intake.hand_over(arena), 0);
                taken += 1;
            }
            assert_eq!(taken, arenas_per_shard(2));
        }
        assert_eq!(writer.arrivals.len(), 2 * arenas_per_shard(2));
        let arena = writer.receive::<()>(Instant::now(), None).unwrap();
        let shard = usize::from(arena.shard);
        writer.give_back(arena);
        assert!(shards[shard].take().is_some() && shards[shard].take().is_none());
    }

    #[test]
    fn what_a_burst_needed_is_freed_but_can_be_made_again() {
        let (mut shards, writer) = channel(1);
        let intake = &mut shards[0];
        for _ in 0..100 {
            let arena = intake.take().unwrap();
            assert_eq!(intake.hand_over(arena), 0);
        }
        while let Ok(arena) = writer.receive::<()>(Instant::now(), None) {
            writer.give_back(arena);
        }
        assert_eq!(intake.made.load(Ordering::Relaxed), ARENAS_KEPT);
        let again: Vec<_> = std::iter::from_fn(|| intake.take()).collect();
        assert_eq!(again.len(), arenas_per_shard(1));
    }

    #[test]
    fn after_the_writer_has_ended_a_shard_learns_what_it_lost() {
        let (mut shards, writer) = channel(1);
        let mut arena = shards[0].take().unwrap();
        drop(writer);
        arena.push(&crate::testing::event(1)).unwrap();
        assert_eq!(shards[0].hand_over(arena), 1);
        assert!(shards[0].take().is_some());
    }
}
