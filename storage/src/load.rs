//! Starting: the stored rows, and what the log has beyond them.
//!
//! A stored row counts the events of its key from `since` to `through`. Rows are written one by one
//! over several commits, so their intervals differ, but all reach the watermark. Counting each event
//! after the watermark in those rows that end before it, and taking each expired event that is still
//! in the log out of those rows that begin before it, gives the same rows as before the end of the
//! process, whenever that was. See `docs/storage.md`.

use foldhash::quality::RandomState;
use hashbrown::HashMap;
use redb::{Database, Error};

use crate::aggregate::Row;
use crate::block::Block;
use crate::counts::{CountIn, Counts, Gathered};
use crate::cursor::{Cursor, CursorName};
use crate::event::{Seq, SourceKey, Time};
use crate::evict::Floors;
use crate::key::{AgentKey, Key, NumberKey};
use crate::limits::REPLAY_EVENTS_MAX;
use crate::method::Method;
use crate::peers::Peers;
use crate::repeat::Record;
use crate::rollup::Keys;
use crate::row_bytes::decode_row;
use crate::snapshot::{BucketKey, Loading};
use crate::tables::{self, Origin, RowTable, State};
use crate::unpacked;
use crate::view::View;

/// A database as it was when the process started.
pub(crate) struct Loaded {
    pub(crate) origin: Origin,
    pub(crate) state: State,
    pub(crate) counts: Counts,
    pub(crate) cursors: Vec<(CursorName, Cursor)>,
    pub(crate) peers: Peers,
    /// Up to which event messages were taken out.
    pub(crate) stripped: Seq,
    /// What the blocks take in the file, in bytes, and those of them that have expired.
    pub(crate) log_bytes: (u64, u64),
    /// When something was last stored.
    pub(crate) time: Time,
    /// Events that were counted again.
    pub(crate) replayed: u64,
}

/// The publication of the loaded rows; those that the replay changed have the next one.
const LOADED: u32 = 0;
/// See [`LOADED`].
pub(crate) const REPLAYED: u32 = LOADED + 1;

/// What the stored rows of one table include beyond the watermark.
struct Ahead<K> {
    /// Rows that include more, and up to which event.
    rows: HashMap<K, Seq, RandomState>,
    /// Buckets that include everything, whether there is a row or not, and up to which event.
    floors: Floors,
    bucket_key: BucketKey,
}

/// Reads the rows and replays the log.
pub(crate) fn load(db: &Database) -> Result<Loaded, Error> {
    let origin = tables::origin(db)?;
    let view = View::new(db)?;
    let state = view.state()?;
    let mut counts = Counts::new(origin.bucket_key);
    let ahead = (
        load_rows(&view, RowTable::Sources, &mut counts.sources, state.watermark)?,
        load_rows(&view, RowTable::Numbers, &mut counts.numbers, state.watermark)?,
        load_rows(&view, RowTable::Agents, &mut counts.agents, state.watermark)?,
    );
    let replayed = replay(&view, &mut counts, state, |counts, seq, record| {
        counts.rollups.replay(&view, seq, record)?;
        let source = ahead.0.lacks(seq, || SourceKey::of(record.source()));
        match record {
            Record::Event(event) => {
                let number = ahead.1.lacks(seq, || NumberKey::of(event.number));
                let agent = ahead.2.lacks(seq, || AgentKey::of(event.user_agent));
                let count_in = CountIn { source, number, agent };
                let method = Method::of(event.method);
                let _hashes = counts.add_rows(seq, event, method, (count_in, Keys::Counted));
            }
            Record::Repeat(repeat) if source => counts.add_repeat(seq, repeat, Keys::Counted),
            Record::Repeat(_) => {}
        }
        Ok(())
    })?;
    expire_again(&view, &mut counts, state)?;
    // They are stored with every commit, so all that was counted again is in them already.
    counts.totals = view.totals()?;
    let (cursors, peers) = (view.cursors()?, view.peers()?);
    let (time, stripped, log_bytes) =
        (view.time()?, view.stripped()?, view.log_bytes(state.expired)?);
    Ok(Loaded { stripped, log_bytes, time, origin, state, counts, cursors, peers, replayed })
}

impl<K: Key> Ahead<K> {
    /// Whether event `seq`, which is after the watermark, is not yet counted for this key.
    fn lacks(&self, seq: Seq, key: impl FnOnce() -> K) -> bool {
        if self.rows.is_empty() && self.floors.is_empty() {
            return true;
        }
        let key = key();
        self.rows.get(&key).is_none_or(|through| seq > *through)
            && (self.floors.is_empty()
                || seq > self.floors.get(self.bucket_key.bucket_of(key.as_bytes())))
    }
}

fn load_rows<K: Key, R: Row>(
    view: &View,
    table: RowTable,
    into: &mut Gathered<K, R>,
    watermark: Seq,
) -> Result<Ahead<K>, Error> {
    let bucket_key = into.table.bucket_key();
    let floors = Floors::of(&view.floors()?, table, watermark);
    let mut ahead = Ahead { rows: HashMap::default(), floors, bucket_key };
    let mut loading = Loading::new();
    view.rows(table, |bucket, key, bytes| {
        let key = K::from_bytes(key)?;
        let (mut row, through) = decode_row::<R>(bytes)?;
        row.set_publication(LOADED);
        if through > watermark {
            ahead.rows.insert(key.clone(), through);
        }
        loading.add(bucket, key, row)
    })?;
    into.table = loading.finish(bucket_key);
    Ok(ahead)
}

/// Counts the events after the watermark.
fn replay(
    view: &View,
    counts: &mut Counts,
    state: State,
    count: impl Fn(&mut Counts, Seq, &Record<'_>) -> Result<(), Error>,
) -> Result<u64, Error> {
    let mut replayed = 0;
    let mut gathered = 0;
    unpacked::in_order(view, (state.watermark, state.last), |first, block| {
        let Some(block) = readable(block, &first) else { return Ok(()) };
        for record in block.records() {
            let Some((seq, record)) = readable(record, &first) else { break };
            if seq > state.watermark {
                count(counts, seq, &record)?;
                replayed += 1;
                gathered += 1;
            }
        }
        if gathered >= REPLAY_EVENTS_MAX {
            counts.apply(REPLAYED);
            gathered = 0;
        }
        Ok(())
    })?;
    counts.apply(REPLAYED);
    Ok(replayed)
}

/// Takes events that had expired, and are still in the log, out of rows that include them.
fn expire_again(view: &View, counts: &mut Counts, state: State) -> Result<(), Error> {
    unpacked::in_order(view, (state.swept, state.expired), |first, block| {
        if let Some(block) = readable(block, &first) {
            expire_block(counts, &block);
        }
        counts.apply(REPLAYED);
        Ok(())
    })
}

/// Takes the events of a block out of the rows.
pub(crate) fn expire_block(counts: &mut Counts, block: &Block) {
    for record in block.records() {
        let Some((seq, record)) = readable(record, &block.head().first) else { break };
        counts.expire(seq, &record);
    }
}

/// One damaged block does not keep the node from working; its events are missing in the counts.
pub(crate) fn readable<T>(read: Result<T, crate::block::Damaged>, first: &Seq) -> Option<T> {
    read.inspect_err(|damaged| {
        log::error!("the block of events that begins at {} is damaged: {damaged}", first.0);
    })
    .ok()
}
