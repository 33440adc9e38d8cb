//! Making room in full tables.
//!
//! A newcomer always gets a row. When a table then holds more than it may, rows go: first those that
//! were never proven, and of these the ones that were last seen the longest ago; proven ones only when
//! they alone are [`PROVEN_FACTOR`] times as many as the table is meant for. A part of the table
//! ([`UNPROVEN_SHARE`]) is kept for the unproven, so that they are seen however many are proven.
//!
//! "The longest ago" is not looked for in the whole table. A hand goes round the buckets, and each
//! that it comes to gives up the oldest part of its rows ([`EVICT_SHARE`]). Keys are spread over the
//! buckets by a secret hash, so each holds a fair sample, and the copy of one bucket is paid by the
//! rows that leave it: some ten rows copied for each newcomer, however large the table is.
//!
//! **Why a start does not bring an evicted row back.** Its events are still in the log, and may be
//! after the watermark. So a commit that takes a row out of a bucket also stores all other rows of
//! that bucket that have changed, and writes down that this bucket, as stored, includes everything up
//! to the last event: its *floor*. A replay counts no event up to the floor in any row of the bucket.
//! What comes after it begins a new row, whose `since` keeps older events out when they expire.

use crate::aggregate::Row;
use crate::batch::Batch;
use crate::bucket::{Bucket, Standing};
use crate::counts::{Counts, Gathered};
use crate::event::Seq;
use crate::key::Key;
use crate::limits::{BUCKETS, EVICT_COPIES_MAX, EVICT_SHARE, PROVEN_FACTOR, UNPROVEN_SHARE};
use crate::sweep::Sweeper;
use crate::tables::{RowTable, State, row_key};

/// What left a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// Rows, unproven and proven.
    pub(crate) rows: [u64; 2],
    /// Events that they counted.
    pub(crate) events: u64,
}

/// Where the hands are: the next bucket of each table.
#[derive(Default)]
pub(crate) struct Evictor {
    hands: [usize; 3],
}

/// What one commit has that rows are taken out in.
pub(crate) struct Eviction<'a> {
    pub(crate) sweeper: &'a Sweeper,
    pub(crate) publication: u32,
    /// As the commit will leave it.
    pub(crate) state: State,
    pub(crate) batch: &'a mut Batch,
}

impl Evictor {
    /// Brings every table back to its size, and adds what that takes to the commit.
    pub(crate) fn slice(&mut self, counts: &mut Counts, eviction: &mut Eviction<'_>) -> [Left; 3] {
        let [sources, numbers, agents] = &mut self.hands;
        [
            eviction.table(&mut counts.sources, RowTable::Sources, sources),
            eviction.table(&mut counts.numbers, RowTable::Numbers, numbers),
            eviction.table(&mut counts.agents, RowTable::Agents, agents),
        ]
    }
}

impl Eviction<'_> {
    fn table<K: Key, R: Row>(
        &mut self,
        of: &mut Gathered<K, R>,
        table: RowTable,
        hand: &mut usize,
    ) -> Left {
        let mut left = Left::default();
        for standing in [Standing::Proven, Standing::Unproven] {
            // One round is enough, but for a few rows that share a bucket when nearly all must go. As
            // long as there is an excess there are rows, and each round takes one at least.
            loop {
                let excess = excess(of.max, of.table.len(), of.table.proven(), standing);
                if excess == 0 {
                    break;
                }
                self.round(of, table, (standing, excess), hand, &mut left);
            }
        }
        left
    }

    /// Takes out the row of one key. What it counted, if there was one.
    pub(crate) fn one<K: Key, R: Row>(
        &mut self,
        of: &mut Gathered<K, R>,
        table: RowTable,
        key: &K,
    ) -> Option<u64> {
        let at = usize::from(of.table.bucket_key().bucket_of(key.as_bytes()));
        let (bucket, count) = of.table.bucket(at).without(key, self.publication)?;
        let bucket = self.leave(bucket, table, at, std::iter::once(key));
        of.table = of.table.with_buckets(vec![(at, bucket)]);
        Some(count)
    }

    /// Adds to the commit that these keys are not in the bucket any more.
    fn leave<'k, K: Key + 'k, R: Row>(
        &mut self,
        mut bucket: Bucket<K, R>,
        table: RowTable,
        at: usize,
        gone: impl Iterator<Item = &'k K>,
    ) -> Bucket<K, R> {
        let (state, rows) = (&self.state, &mut self.batch.rows);
        self.sweeper.write_changed(&bucket, table, at, state, rows);
        bucket.stored = self.publication;
        self.batch.floors.push((table, at as u16, state.last));
        let removed = gone.map(|key| (table, row_key(at as u16, key.as_bytes())));
        self.batch.removed.extend(removed);
        bucket
    }

    /// Moves the hand until `excess` rows have gone, once round at most.
    fn round<K: Key, R: Row>(
        &mut self,
        of: &mut Gathered<K, R>,
        table: RowTable,
        (standing, excess): (Standing, usize),
        hand: &mut usize,
        left: &mut Left,
    ) {
        let mut replaced = Vec::new();
        let mut missing = excess;
        for _ in 0..BUCKETS {
            if missing == 0 {
                break;
            }
            let at = *hand;
            *hand = (at + 1) % BUCKETS;
            let bucket = of.table.bucket(at);
            let there = bucket.count(standing);
            if there == 0 {
                continue;
            }
            let number = share(bucket.len, there, excess);
            let (bucket, gone) = bucket.evict(standing, number, self.publication);
            let bucket = self.leave(bucket, table, at, gone.iter().map(|(key, _)| key));
            left.rows[standing as usize] += gone.len() as u64;
            left.events += gone.iter().map(|(_, count)| count).sum::<u64>();
            missing = missing.saturating_sub(gone.len());
            replaced.push((at, bucket));
        }
        of.table = of.table.with_buckets(replaced);
    }
}

/// By how many the rows of this standing are more than the table may hold.
fn excess(max: usize, len: usize, proven: usize, standing: Standing) -> usize {
    let kept_free = (max / UNPROVEN_SHARE).max(1);
    match standing {
        Standing::Proven => proven.saturating_sub(max * PROVEN_FACTOR - kept_free),
        Standing::Unproven => {
            let room = max.saturating_sub(proven).max(kept_free);
            (len - proven).saturating_sub(room)
        }
    }
}

/// How many of the `there` rows a bucket of `len` rows gives up: the more, the fewer buckets are
/// copied; but not the last half of them unless very much must go.
fn share(len: usize, there: usize, excess: usize) -> usize {
    let usual = (len / EVICT_SHARE).min(there / 2);
    let buckets_max = (EVICT_COPIES_MAX / len).clamp(1, BUCKETS);
    usual.max(excess.div_ceil(buckets_max)).clamp(1, there)
}

/// Up to where the buckets of a table include everything, as a start reads it: by bucket, empty when
/// none is beyond the watermark.
pub(crate) struct Floors(Vec<Seq>);

impl Floors {
    /// Of one table, from all that are stored.
    pub(crate) fn of(stored: &[(RowTable, u16, Seq)], table: RowTable, watermark: Seq) -> Self {
        let mut floors = Vec::new();
        for (_, bucket, through) in
            stored.iter().filter(|(of, _, through)| *of == table && *through > watermark)
        {
            floors.resize(BUCKETS, Seq(0));
            if let Some(floor) = floors.get_mut(usize::from(*bucket)) {
                *floor = *through;
            }
        }
        Self(floors)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Up to which event a bucket counts nothing that it does not include.
    pub(crate) fn get(&self, bucket: u16) -> Seq {
        self.0.get(usize::from(bucket)).copied().unwrap_or_default()
    }
}
