//! Events from elsewhere, into the log.
//!
//! Whoever reads them hands them over some at a time, with what they are called there and how far it has
//! read. The writer takes those that it does not know and that are not too old, and stores them with
//! their names and that place in one commit: so an import that was cut goes on where it was, and one
//! that is made twice adds nothing.
//!
//! An imported event gets a place and an id of its own; what it was called is remembered only as long
//! as it is in the log, to know it again.

use std::collections::BTreeSet;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use redb::Error;
use uuid::Uuid;

use crate::clock::Now;
use crate::event::{EventRef, Seq, Time};
use crate::limits::{CLOCK_JUMP_NS, IMPORT_EVENTS_MAX, IMPORT_NAME_BYTES_MAX};
use crate::log::{Log, LogError, StoredEvent};
use crate::order::{Order, OrderError, late};
use crate::store::Store;
use crate::view::View;

/// Some events of an import.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// What is imported: at most [`IMPORT_NAME_BYTES_MAX`] bytes, the same whenever it is the same.
    pub name: String,
    /// How far it has been read with these events: whatever the reader understands.
    pub place: u64,
    /// The events, at most [`IMPORT_EVENTS_MAX`], with what they are called. Of an event its own place
    /// and id do not matter.
    pub events: Vec<(Uuid, StoredEvent)>,
}

/// What became of the events of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// They are in the log.
    pub taken: u64,
    /// They had been there.
    pub known: u64,
    /// They are older than events are kept.
    pub too_old: u64,
    /// They are later than now.
    pub in_future: u64,
}

impl Imported {
    /// Adds what became of others.
    pub fn add(&mut self, other: Self) {
        self.taken += other.taken;
        self.known += other.known;
        self.too_old += other.too_old;
        self.in_future += other.in_future;
    }
}

/// An import on its way.
pub(crate) struct Importing {
    pub(crate) import: Import,
    done: Sender<Imported>,
    imported: Imported,
    /// The names and places of those that were taken, once that is decided.
    pub(crate) taken: Option<Vec<(Uuid, Seq)>>,
}

impl Importing {
    pub(crate) fn new(import: Import, done: Sender<Imported>) -> Self {
        Self { import, done, imported: Imported::default(), taken: None }
    }

    /// Which of the events are to be taken, in the order of their times.
    pub(crate) fn choose(
        &mut self,
        view: &View,
        oldest: Time,
        now: Now,
    ) -> Result<Vec<usize>, Error> {
        let newest = Time(now.time.0.saturating_add(CLOCK_JUMP_NS));
        let (mut imported, mut chosen) = (Imported::default(), Vec::new());
        let mut seen = BTreeSet::new();
        for (at, (id, event)) in self.import.events.iter().enumerate().take(IMPORT_EVENTS_MAX) {
            if event.time < oldest {
                imported.too_old += 1;
            } else if event.time > newest {
                imported.in_future += 1;
            } else if !seen.insert(*id) || view.knows_import(*id)? {
                imported.known += 1;
            } else {
                imported.taken += 1;
                chosen.push(at);
            }
        }
        chosen.sort_by_key(|at| self.import.events[*at].1.time);
        self.imported = imported;
        Ok(chosen)
    }

    pub(crate) fn event(&self, at: usize) -> (Uuid, EventRef<'_>) {
        let (id, event) = &self.import.events[at];
        (*id, event.event())
    }

    /// Says what became of the events. If nobody waits for it any more, nobody needs to know.
    pub(crate) fn tell(&self) {
        let _ = self.done.try_send(self.imported);
    }
}

impl Store {
    /// Stores some events of an import, durably, and waits for it.
    ///
    /// # Errors
    ///
    /// [`OrderError`]. After [`OrderError::Late`] the events may be stored or not; to give them again
    /// does no harm.
    pub fn import(&self, import: Import, patience: Duration) -> Result<Imported, OrderError> {
        if import.events.len() > IMPORT_EVENTS_MAX || import.name.len() > IMPORT_NAME_BYTES_MAX {
            return Err(OrderError::TooLarge);
        }
        let (done, told) = bounded(1);
        self.order(Order::Import(import, done))?;
        told.recv_timeout(patience).map_err(late)
    }

    /// How far an import of this name has got. 0 if there was none.
    ///
    /// # Errors
    ///
    /// [`LogError`].
    pub fn import_place(&self, name: &str) -> Result<u64, LogError> {
        let (view, _) = Log::new(self.0.clone()).view_and_key()?;
        Ok(view.import_place(name)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Bench;
    use crate::limits::NS_PER_S;
    use crate::recount::recount;
    use crate::testing::event;

    fn import(bench: &Bench, place: u64, events: &[(u128, u8, u64)]) -> Import {
        let stored = |(id, source, age): &(u128, u8, u64)| {
            let time = bench.now.minus_ns(age * NS_PER_S);
            let event = EventRef { time, ..event(*source) };
            (Uuid::from_u128(*id), StoredEvent::new(Uuid::nil(), Seq(0), &event))
        };
        Import { name: "x".into(), place, events: events.iter().map(stored).collect() }
    }

    fn run(bench: &mut Bench, import: Import) -> Imported {
        let (done, told) = bounded(1);
        assert!(bench.writer.takes_orders());
        bench.writer.take_order(Order::Import(import, done));
        assert!(told.try_recv().is_err());
        bench.writer.commit(bench.db.as_ref().unwrap(), bench.now).unwrap();
        told.try_recv().unwrap()
    }

    #[test]
    fn what_is_new_is_taken_in_the_order_of_its_times_and_known_again_after_a_kill() {
        let mut bench = Bench::new(3600 * NS_PER_S);
        let first = [(1, 1, 50), (2, 2, 90), (1, 1, 50), (3, 3, 5000)];
        let some = import(&bench, 77, &first);
        let imported = run(&mut bench, some);
        let expected = Imported { taken: 2, known: 1, too_old: 1, in_future: 0 };
        assert_eq!(imported, expected);
        let times: Vec<_> = bench.log().since(Seq(0), 9).unwrap().iter().map(|e| e.time).collect();
        assert_eq!(times, [90, 50].map(|age| bench.now.minus_ns(age * NS_PER_S)));
        let db = bench.db.clone().unwrap();
        drop(db);
        bench.given = bench.log().since(Seq(0), 9).unwrap();
        bench.committed = 2;
        bench.restart();
        let store = Store(bench.writer.shared.clone());
        assert_eq!((store.import_place("x").unwrap(), store.import_place("y").unwrap()), (77, 0));
        let more = import(&bench, 99, &[(2, 2, 90), (4, 4, 1)]);
        assert_eq!(run(&mut bench, more), Imported { taken: 1, known: 1, ..Imported::default() });
        assert_eq!(store.import_place("x").unwrap(), 99);
        let recount = recount(&bench.killed()).unwrap();
        assert!(recount.is_exact() && recount.events == 3, "{recount:?}");
    }

    #[test]
    fn what_is_imported_into_an_hour_that_has_ended_is_added_to_it() {
        let mut bench = Bench::new(u64::MAX);
        let hour = crate::rollup::Hour::of(bench.now);
        for _ in 0..4 {
            bench.ingest(&EventRef { time: bench.now, ..event(1) });
            bench.commit();
            bench.settle();
            bench.now.0 += 3600 * NS_PER_S;
        }
        let age = (bench.now.0 - hour.begin().0) / NS_PER_S - 1;
        let some = import(&bench, 1, &[(1, 2, age), (2, 3, age)]);
        let _ = run(&mut bench, some);
        bench.close_block_of_imports();
        bench.settle();
        let store = Store(bench.writer.shared.clone());
        let hours = store.rollups(hour, hour).unwrap();
        assert_eq!(hours[0].1.totals.events(), 3);
    }

    #[test]
    fn names_leave_with_their_events() {
        let mut bench = Bench::new(60 * NS_PER_S);
        let some = import(&bench, 1, &[(1, 1, 0), (2, 2, 0)]);
        let _ = run(&mut bench, some);
        bench.close_block_of_imports();
        bench.now.0 += 61 * NS_PER_S;
        bench.settle();
        bench.settle();
        let view = View::new(bench.db.as_ref().unwrap()).unwrap();
        assert!(!view.knows_import(Uuid::from_u128(1)).unwrap());
        assert_eq!(bench.log().first().unwrap(), Seq(3));
    }

    #[test]
    fn nothing_is_taken_from_the_future() {
        let mut bench = Bench::new(u64::MAX);
        let mut some = import(&bench, 1, &[(1, 1, 0)]);
        some.events[0].1.time.0 += 2 * CLOCK_JUMP_NS;
        assert_eq!(run(&mut bench, some), Imported { in_future: 1, ..Imported::default() });
    }
}
