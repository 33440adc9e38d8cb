//! Erasing one source or number: its rows, its events, and its place in the hours.
//!
//! The blocks that hold events of it are made anew without them, some with each commit, and what the
//! rows of others counted of these events is taken out of them in the same commit, which also stores
//! these rows. So a kill in between leaves everything exact; what was not erased by then is still there,
//! and the order has to be given again.
//!
//! The row itself goes first, as one that leaves a full table does (`evict.rs`). What comes of the
//! subject meanwhile is new, and stays.

use crossbeam_channel::Sender;
use redb::{Database, Error};

use crate::aggregate::Row;
use crate::batch::{Batch, RowWrite};
use crate::block::{Block, Builder, Damaged, Head, Packed, Packer};
use crate::counts::{Counts, Gathered};
use crate::event::{Seq, SourceKey};
use crate::evict::Eviction;
use crate::filter::{Subject, may_hold};
use crate::key::{AgentKey, Key, NumberKey};
use crate::limits::{FORGET_BLOCKS_MAX, FORGET_HEADS_MAX, FORGET_LOOKS_MAX, FORGET_ROWS_MAX};
use crate::load::readable;
use crate::repeat::Record;
use crate::rewrite::{Keep, rewrite};
use crate::rollup::{Dimension, Hour};
use crate::row_bytes::encode_row;
use crate::tables::{RowTable, State, row_key};
use crate::view::View;

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Events.
    pub events: u64,
    /// Whether it had a row.
    pub had_row: bool,
    /// Hours in which it stood.
    pub hours: u64,
    /// Events that could not be looked at, because their blocks are damaged.
    pub damaged: u64,
}

/// An order to erase, on its way.
pub(crate) struct Forgetting {
    subject: Subject,
    /// Blocks that begin after this event are still to be looked at.
    at: Seq,
    /// Up to here. What comes later stays.
    end: Option<Seq>,
    /// Whether its row and its hours are still to be taken out.
    has_row: bool,
    /// The first hour that is not looked at yet.
    hours_from: Option<Hour>,
    forgotten: Forgotten,
    builder: (Builder, Packer),
    done: Sender<Forgotten>,
}

/// Keys whose rows are to be stored with the commit.
#[derive(Default)]
pub(crate) struct Touched {
    sources: Vec<SourceKey>,
    numbers: Vec<NumberKey>,
    agents: Vec<AgentKey>,
    /// Whether hours are to be stored, too.
    pub(crate) hours: bool,
}

impl Forgetting {
    pub(crate) fn new(subject: Subject, done: Sender<Forgotten>) -> Self {
        let (at, forgotten) = (Seq(0), Forgotten::default());
        let (has_row, hours_from) = (true, Some(Hour(0)));
        Self {
            subject,
            at,
            end: None,
            has_row,
            hours_from,
            forgotten,
            builder: Default::default(),
            done,
        }
    }

    /// Whether it has not begun: then all that has come must be stored, in blocks that are closed.
    pub(crate) fn is_new(&self) -> bool {
        self.end.is_none()
    }

    /// Everything up to `last` is stored in closed blocks: now it can begin.
    pub(crate) fn begin(&mut self, last: Seq) {
        self.end = Some(last);
    }

    pub(crate) fn is_done(&self) -> bool {
        let are_blocks_done = self.end.is_some_and(|end| self.at >= end);
        are_blocks_done && !self.has_row && self.hours_from.is_none()
    }

    /// Says what was erased. If nobody waits for it any more, nobody needs to know.
    pub(crate) fn tell(&self) {
        let _ = self.done.try_send(self.forgotten);
    }

    /// Makes some of the blocks anew, and takes their events out of the counts.
    pub(crate) fn slice(
        &mut self,
        db: &Database,
        counts: &mut Counts,
        expired: Seq,
        batch: &mut Batch,
    ) -> Result<Touched, Error> {
        let mut touched = Touched::default();
        let Some(end) = self.end else { return Ok(touched) };
        let view = View::new(db)?;
        if let Some(from) = self.hours_from {
            self.take_hours(&view, counts, from)?;
            touched.hours = true;
        }
        let mut looks = 0;
        let hash = self.subject.hash(counts.table_key());
        for _ in 0..FORGET_HEADS_MAX {
            let is_full = batch.blocks.len() >= FORGET_BLOCKS_MAX
                || looks >= FORGET_LOOKS_MAX
                || touched.len() >= FORGET_ROWS_MAX;
            if self.at >= end || is_full {
                break;
            }
            let next = match next_block(&view, self.at, hash) {
                // What was done before it is to be stored; the next slice fails again.
                Err(_) if !batch.blocks.is_empty() => break,
                next => next?,
            };
            let Some((head, block)) = next else {
                self.at = end;
                break;
            };
            self.at = head.last();
            let Some(block) = block else { continue };
            looks += 1;
            let sound = readable(block, &head.first).filter(is_sound);
            let Some(block) = sound else {
                self.forgotten.damaged += u64::from(head.count);
                continue;
            };
            if block.records().flatten().any(|(_, record)| is_of(&self.subject, &record)) {
                let packed = self.erase(&block, counts, expired, &mut touched);
                batch.blocks.extend(readable(packed, &head.first));
            }
        }
        Ok(touched)
    }

    /// The block without what is to be forgotten. All its records can be read.
    fn erase(
        &mut self,
        block: &Block,
        counts: &mut Counts,
        expired: Seq,
        touched: &mut Touched,
    ) -> Result<Packed, Damaged> {
        rewrite(block, &mut self.builder, |seq, record| {
            if !is_of(&self.subject, record) {
                return Keep::Whole;
            }
            self.forgotten.events += record.count();
            if seq > expired {
                counts.expire(seq, record);
            }
            // Also a row that does not count it any more may be stored with it.
            touched.add(record);
            Keep::Nothing
        })
    }

    /// Takes the row of the subject out of its table, once it can. Whether there was one.
    pub(crate) fn take_row(&mut self, counts: &mut Counts, eviction: &mut Eviction<'_>) -> bool {
        if self.is_new() || !self.has_row {
            return false;
        }
        self.has_row = false;
        let (gone, table) = match &self.subject {
            Subject::Source(key) => {
                let table = RowTable::Sources;
                (eviction.one(&mut counts.sources, table, key), table)
            }
            Subject::Number(key) => {
                let table = RowTable::Numbers;
                (eviction.one(&mut counts.numbers, table, key), table)
            }
        };
        self.forgotten.had_row = gone.is_some();
        counts.totals.evicted[table as usize] += gone.unwrap_or(0);
        self.forgotten.had_row
    }

    /// Takes the subject out of some of the hours.
    fn take_hours(&mut self, view: &View, counts: &mut Counts, from: Hour) -> Result<(), Error> {
        let (dimension, key) = match &self.subject {
            Subject::Source(key) => (Dimension::Source, key.as_bytes()),
            Subject::Number(key) => (Dimension::Number, key.as_bytes()),
        };
        let (number, next) = counts.rollups.forget(view, dimension, key, from)?;
        self.forgotten.hours += number;
        self.hours_from = next;
        Ok(())
    }
}

/// A block, if it need be looked at, or what is wrong with it.
type Looked = Option<Result<Block, Damaged>>;

/// The block after event `at`.
fn next_block(view: &View, at: Seq, hash: u64) -> Result<Option<(Head, Looked)>, Error> {
    let Some(head) = view.head_after(at)? else { return Ok(None) };
    let may_hold = may_hold(&view.filter(head.first)?, hash);
    let block = may_hold.then(|| view.block(&head)).transpose()?;
    Ok(Some((head, block)))
}

fn is_sound(block: &Block) -> bool {
    block.records().all(|record| record.is_ok())
}

fn is_of(subject: &Subject, record: &Record<'_>) -> bool {
    match (subject, record) {
        (Subject::Source(key), _) => SourceKey::of(record.source()) == *key,
        (Subject::Number(key), Record::Event(event)) => {
            !event.number.is_empty() && NumberKey::of(event.number) == *key
        }
        (Subject::Number(_), Record::Repeat(_)) => false,
    }
}

impl Touched {
    fn len(&self) -> usize {
        self.sources.len() + self.numbers.len() + self.agents.len()
    }

    fn add(&mut self, record: &Record<'_>) {
        self.sources.push(SourceKey::of(record.source()));
        let Record::Event(event) = record else { return };
        if !event.number.is_empty() {
            self.numbers.push(NumberKey::of(event.number));
        }
        if !event.user_agent.is_empty() {
            self.agents.push(AgentKey::of(event.user_agent));
        }
    }

    /// The rows of these keys, as the commit is to store them.
    pub(crate) fn write(self, counts: &Counts, state: &State, rows: &mut Vec<RowWrite>) {
        write(&counts.sources, RowTable::Sources, self.sources, state, rows);
        write(&counts.numbers, RowTable::Numbers, self.numbers, state, rows);
        write(&counts.agents, RowTable::Agents, self.agents, state, rows);
    }
}

fn write<K: Key, R: Row>(
    of: &Gathered<K, R>,
    table: RowTable,
    mut keys: Vec<K>,
    state: &State,
    rows: &mut Vec<RowWrite>,
) {
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        if let Some(row) = of.table.get(&key) {
            let bucket = of.table.bucket_key().bucket_of(key.as_bytes());
            let row = encode_row(row, state.expired, state.last);
            rows.push(RowWrite { table, key: row_key(bucket, key.as_bytes()), row });
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::{Receiver, bounded};
    use proptest::prelude::*;

    use super::*;
    use crate::bench::{Bench, seen_in};
    use crate::event::EventRef;
    use crate::limits::NS_PER_S;
    use crate::order::Order;
    use crate::recount::recount;

    use crate::store::Store;
    use crate::testing::event;

    fn order(bench: &mut Bench, subject: Subject) -> Receiver<Forgotten> {
        let (done, told) = bounded(1);
        bench.writer.take_order(Order::Forget(subject, done));
        told
    }

    fn subject(by_number: bool, n: u8) -> Subject {
        if by_number {
            Subject::Number(NumberKey::of(format!("00{n}").as_bytes()))
        } else {
            Subject::Source(SourceKey::of(event(n).source.ip()))
        }
    }

    /// Some events in blocks of about this many.
    fn fill(bench: &mut Bench, events: &[(u8, u8, bool)], block: usize) {
        for (n, (source, number, is_repeat)) in events.iter().enumerate() {
            let (time, number) = (bench.now, format!("00{number}"));
            let new = EventRef { time, number: number.as_bytes(), ..event(*source) };
            if *is_repeat {
                bench.ingest_repeat(&new, 5);
            } else {
                bench.ingest(&new);
            }
            bench.now.0 += NS_PER_S;
            if n % block == block - 1 {
                bench.commit();
                bench.close_block();
            }
        }
        bench.commit();
    }

    /// Commits until the order is carried out.
    fn carry_out(bench: &mut Bench, told: &Receiver<Forgotten>) -> Forgotten {
        for _ in 0..100 {
            bench.commit();
            assert!(recount(&bench.killed()).unwrap().is_exact());
            if let Ok(forgotten) = told.try_recv() {
                return forgotten;
            }
        }
        panic!("it does not end");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn what_is_forgotten_is_gone_and_everything_else_is_exact_over_kills(
            events in prop::collection::vec((0..5u8, 0..4u8, prop::bool::weighted(0.1)), 1..50),
            later in prop::collection::vec((0..5u8, 0..4u8, Just(false)), 0..5),
            by_number: bool,
            n in 0..5u8,
            block in 1..7usize,
        ) {
            let mut bench = Bench::new(u64::MAX);
            fill(&mut bench, &events, block);
            let subject = subject(by_number, n);
            let told = order(&mut bench, subject.clone());
            let forgotten = carry_out(&mut bench, &told);
            let is_of = |event: &crate::log::StoredEvent| match &subject {
                Subject::Source(key) => SourceKey::of(event.source.ip()) == *key,
                Subject::Number(key) => {
                    !event.number.is_empty() && NumberKey::of(&event.number) == *key
                }
            };
            let of = |event: &&crate::log::StoredEvent| bench.repeats.get(&event.seq).copied().unwrap_or(1);
            let given: u64 = bench.given.iter().filter(|event| is_of(event)).map(|e| of(&e)).sum();
            prop_assert_eq!((forgotten.events, forgotten.had_row), (given, given > 0));
            bench.restart();
            let logged = bench.log().since(Seq(0), 1000).unwrap();
            let left = bench.given.iter().filter(|event| !is_of(event));
            let left: Vec<_> = left.filter(|event| !bench.repeats.contains_key(&event.seq)).collect();
            prop_assert_eq!(logged.iter().collect::<Vec<_>>(), left);
            fill(&mut bench, &later, 3);
            bench.settle();
            let before = bench.snapshot();
            bench.restart();
            let after = bench.snapshot();
            prop_assert_eq!(seen_in(&before.sources), seen_in(&after.sources));
            prop_assert_eq!(seen_in(&before.numbers), seen_in(&after.numbers));
            prop_assert!(recount(&bench.killed()).unwrap().is_exact());
            let again: u64 = bench.given[events.len()..].iter().filter(|event| is_of(event)).count() as u64;
            let rows = match &subject {
                Subject::Source(key) => after.sources.get(key).map(|row| row.seen.count),
                Subject::Number(key) => after.numbers.get(key).map(|row| row.seen.count),
            };
            prop_assert_eq!(rows.unwrap_or(0), again, "what came later stays");
        }
    }

    #[test]
    fn no_hour_names_it_any_more_and_its_events_stay_in_the_sum() {
        let mut bench = Bench::new(u64::MAX);
        fill(&mut bench, &[(1, 1, false), (2, 1, false), (1, 2, false)], 2);
        bench.now.0 += 3 * 3600 * NS_PER_S;
        fill(&mut bench, &[(1, 1, false), (3, 3, false)], 9);
        bench.settle();
        let told = order(&mut bench, subject(false, 1));
        assert_eq!(carry_out(&mut bench, &told).hours, 2);
        bench.settle();
        bench.restart();
        let store = Store(bench.writer.shared.clone());
        let hours = store.rollups(Hour(0), Hour(u32::MAX)).unwrap();
        let key = SourceKey::of(event(1).source.ip());
        let tops: Vec<_> = hours.iter().map(|(_, hour)| hour.top(Dimension::Source)).collect();
        assert!(
            tops.iter().all(|top| top.sorted().iter().all(|(name, _)| *name != key.as_bytes()))
        );
        assert_eq!(tops.iter().map(|top| top.sum()).sum::<u64>(), 5);
    }

    #[test]
    fn what_nobody_knows_is_forgotten_at_once() {
        let mut bench = Bench::new(u64::MAX);
        fill(&mut bench, &[(1, 1, false)], 2);
        let told = order(&mut bench, subject(true, 9));
        assert_eq!(carry_out(&mut bench, &told), Forgotten::default());
    }
}
