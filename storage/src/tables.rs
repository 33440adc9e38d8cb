//! What is in the database: the tables of redb, and how they are read and written. See
//! `docs/storage.md`.

use redb::{
    Database, Error, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition, WriteTransaction,
};
use uuid::Uuid;

use crate::aggregate::Totals;
use crate::block::{Block, Damaged, Head};
use crate::cursor::{Cursor, CursorName};
use crate::event::{EventRef, Seq, Time};
use crate::limits::{BUCKETS, PAGE_SLACK, VALUE_BYTES_MAX};
use crate::snapshot::BucketKey;

/// The version of everything that is stored. A program reads its own, and brings [`SCHEMA_OLDEST`] and
/// what came after it up to its own when it opens the file.
pub(crate) const SCHEMA: u32 = 2;
/// See [`SCHEMA`].
pub(crate) const SCHEMA_OLDEST: u32 = 1;

/// Single values by name.
pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// The heads of the blocks, by their first event.
pub(crate) const HEADS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("block_heads");
/// The payloads of the blocks in parts, by their first event and the number of the part.
pub(crate) const PARTS: TableDefinition<'_, (u64, u8), &[u8]> = TableDefinition::new("block_parts");
/// Rows, by the bucket of the table that the key is in (big-endian) and the key.
pub(crate) const ROWS: [TableDefinition<'_, &[u8], &[u8]>; 3] = [
    TableDefinition::new("sources"),
    TableDefinition::new("numbers"),
    TableDefinition::new("agents"),
];

/// Up to which event the stored rows of a bucket include everything: written when a row leaves a full
/// table. By [`floor_key`].
pub(crate) const FLOORS: TableDefinition<'_, u16, u64> = TableDefinition::new("floors");
/// What may be in each block, by its first event: see `filter.rs`.
pub(crate) const FILTERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("block_filters");
/// What was counted in each hour, by the hour: see `rollup.rs`.
pub(crate) const ROLLUPS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("rollups");
/// Imported events: what they are called where they are from, and their place in the log.
pub(crate) const IMPORTED: TableDefinition<'_, u128, u64> = TableDefinition::new("imported");
/// The same the other way round.
pub(crate) const IMPORTED_AT: TableDefinition<'_, u64, u128> = TableDefinition::new("imported_at");
/// How far imports have got, by their names.
pub(crate) const IMPORTS: TableDefinition<'_, &str, u64> = TableDefinition::new("imports");
/// Where the readers of the log are, by their names.
pub(crate) const CURSORS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("cursors");

/// Which aggregate a row belongs to: its place in [`ROWS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowTable {
    Sources = 0,
    Numbers = 1,
    Agents = 2,
}

impl RowTable {
    pub(crate) const ALL: [Self; 3] = [Self::Sources, Self::Numbers, Self::Agents];
}

/// How far the log and the rows are. It changes with every commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// The last event of the log.
    pub(crate) last: Seq,
    /// Every stored row includes the events of its key up to this one.
    pub(crate) watermark: Seq,
    /// Events up to this one count for nothing any more. Never beyond `watermark`.
    pub(crate) expired: Seq,
    /// No stored row includes an event up to this one, so blocks up to it may be deleted. Never
    /// beyond `expired`.
    pub(crate) swept: Seq,
    /// The last generation that was published.
    pub(crate) generation: u64,
}

const STATE_BYTES: usize = 40;

impl State {
    pub(crate) fn encode(&self) -> [u8; STATE_BYTES] {
        let mut bytes = [0; STATE_BYTES];
        let numbers =
            [self.last.0, self.watermark.0, self.expired.0, self.swept.0, self.generation];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; STATE_BYTES] = bytes.try_into().ok()?;
        let (numbers, _) = bytes.as_chunks::<8>();
        let number = |at: usize| u64::from_le_bytes(numbers[at]);
        Some(Self {
            last: Seq(number(0)),
            watermark: Seq(number(1)),
            expired: Seq(number(2)),
            swept: Seq(number(3)),
            generation: number(4),
        })
    }
}

/// What never changes in a database.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) database_id: Uuid,
    pub(crate) bucket_key: BucketKey,
}

/// The stored key of a row.
pub(crate) fn row_key(bucket: u16, key: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(2 + key.len());
    stored.extend_from_slice(&bucket.to_be_bytes());
    stored.extend_from_slice(key);
    stored
}

/// Buckets are counted over all tables.
pub(crate) fn floor_key(table: RowTable, bucket: u16) -> u16 {
    (table as usize * BUCKETS) as u16 + bucket
}

fn corrupted(what: &str) -> Error {
    Error::Corrupted(what.to_owned())
}

/// What schema a database has: `None` if it has no table at all.
pub(crate) fn schema(db: &Database) -> Result<Option<u32>, Error> {
    let read = db.begin_read()?;
    let names = read.list_tables()?.count();
    if names == 0 {
        return Ok(None);
    }
    let meta = read.open_table(META)?;
    let value = meta.get("schema")?.ok_or_else(|| corrupted("it has no schema version"))?;
    let bytes = value.value().try_into().map_err(|_| corrupted("it has no schema version"))?;
    Ok(Some(u32::from_le_bytes(bytes)))
}

/// Makes the tables of a new database.
pub(crate) fn initialise(db: &Database, origin: Origin) -> Result<(), Error> {
    let write = db.begin_write()?;
    {
        let mut meta = write.open_table(META)?;
        meta.insert("schema", &SCHEMA.to_le_bytes()[..])?;
        meta.insert("database_id", &origin.database_id.as_bytes()[..])?;
        let key = origin.bucket_key.0.map(u64::to_le_bytes);
        meta.insert("bucket_key", key.as_flattened())?;
        meta.insert("state", &State::default().encode()[..])?;
        meta.insert("totals", &Totals::default().encode()[..])?;
        write.open_table(HEADS)?;
        write.open_table(PARTS)?;
        for table in ROWS {
            write.open_table(table)?;
        }
        open_since_1(&write)?;
    }
    write.commit()?;
    Ok(())
}

/// Makes the tables that schema 1 did not have from the beginning.
fn open_since_1(write: &WriteTransaction) -> Result<(), Error> {
    write.open_table(FLOORS)?;
    write.open_table(CURSORS)?;
    write.open_table(IMPORTED)?;
    write.open_table(IMPORTED_AT)?;
    write.open_table(IMPORTS)?;
    write.open_table(FILTERS)?;
    write.open_table(ROLLUPS)?;
    Ok(())
}

/// Brings a database of schema `found`, which is [`SCHEMA_OLDEST`] or newer, up to [`SCHEMA`].
pub(crate) fn upgrade(db: &Database, found: u32) -> Result<(), Error> {
    if found == SCHEMA {
        return Ok(());
    }
    let write = db.begin_write()?;
    open_since_1(&write)?;
    write.open_table(META)?.insert("schema", &SCHEMA.to_le_bytes()[..])?;
    write.commit()?;
    Ok(())
}

/// Reads what never changes.
pub(crate) fn origin(db: &Database) -> Result<Origin, Error> {
    let read = db.begin_read()?;
    let meta = read.open_table(META)?;
    let bad = || corrupted("its identity cannot be read");
    let id = meta.get("database_id")?.ok_or_else(bad)?;
    let database_id = Uuid::from_slice(id.value()).map_err(|_| bad())?;
    let key = meta.get("bucket_key")?.ok_or_else(bad)?;
    let (words, []) = key.value().as_chunks::<8>() else { return Err(bad()) };
    let &[first, second] = words else { return Err(bad()) };
    let bucket_key = BucketKey([u64::from_le_bytes(first), u64::from_le_bytes(second)]);
    Ok(Origin { database_id, bucket_key })
}

/// A view of one moment of the database.
pub(crate) struct View(ReadTransaction);

impl View {
    pub(crate) fn new(db: &Database) -> Result<Self, Error> {
        Ok(Self(db.begin_read()?))
    }

    pub(crate) fn state(&self) -> Result<State, Error> {
        let meta = self.0.open_table(META)?;
        let value = meta.get("state")?;
        value
            .and_then(|value| State::decode(value.value()))
            .ok_or_else(|| corrupted("its state cannot be read"))
    }

    /// When the last commit was; 0 if that is not known.
    pub(crate) fn time(&self) -> Result<Time, Error> {
        let meta = self.0.open_table(META)?;
        let value = meta.get("time")?;
        let bytes = value.and_then(|value| value.value().try_into().ok());
        Ok(Time(bytes.map_or(0, u64::from_le_bytes)))
    }

    pub(crate) fn totals(&self) -> Result<Totals, Error> {
        let meta = self.0.open_table(META)?;
        let value = meta.get("totals")?;
        value
            .and_then(|value| Totals::decode(value.value()))
            .ok_or_else(|| corrupted("its totals cannot be read"))
    }

    /// Calls `visit` with the bucket, the key and the bytes of each row, in their order.
    pub(crate) fn rows(
        &self,
        table: RowTable,
        mut visit: impl FnMut(u16, &[u8], &[u8]) -> Option<()>,
    ) -> Result<(), Error> {
        let rows = self.0.open_table(ROWS[table as usize])?;
        for entry in rows.iter()? {
            let (key, row) = entry?;
            let read = key
                .value()
                .split_first_chunk()
                .and_then(|(bucket, key)| visit(u16::from_be_bytes(*bucket), key, row.value()));
            read.ok_or_else(|| corrupted("a row of its aggregates cannot be read"))?;
        }
        Ok(())
    }

    /// Up to which event the stored rows of buckets include everything, where that was written down.
    pub(crate) fn floors(&self) -> Result<Vec<(RowTable, u16, Seq)>, Error> {
        let floors = self.0.open_table(FLOORS)?;
        let mut read = Vec::new();
        for entry in floors.iter()? {
            let (key, through) = entry?;
            let key = usize::from(key.value());
            let table = *RowTable::ALL
                .get(key / BUCKETS)
                .ok_or_else(|| corrupted("a floor of its aggregates cannot be read"))?;
            read.push((table, (key % BUCKETS) as u16, Seq(through.value())));
        }
        Ok(read)
    }

    /// What is stored of an hour.
    pub(crate) fn rollup(&self, hour: u32) -> Result<Option<Vec<u8>>, Error> {
        let rollups = self.0.open_table(ROLLUPS)?;
        Ok(rollups.get(hour)?.map(|bytes| bytes.value().to_vec()))
    }

    /// The hours from `first` to `last` that are stored, at most `max`.
    pub(crate) fn rollup_hours(
        &self,
        first: u32,
        last: u32,
        max: usize,
    ) -> Result<Vec<u32>, Error> {
        let rollups = self.0.open_table(ROLLUPS)?;
        let hours = rollups.range(first..=last)?.take(max);
        hours.map(|entry| Ok(entry?.0.value())).collect()
    }

    /// How many rows there are of sources, numbers and user agents.
    pub(crate) fn row_counts(&self) -> Result<[u64; 3], Error> {
        let mut counts = [0; 3];
        for (count, table) in counts.iter_mut().zip(ROWS) {
            *count = self.0.open_table(table)?.len()?;
        }
        Ok(counts)
    }

    /// Whether an event that is called so is in the log.
    pub(crate) fn knows_import(&self, id: Uuid) -> Result<bool, Error> {
        Ok(self.0.open_table(IMPORTED)?.get(id.as_u128())?.is_some())
    }

    /// How far an import has got.
    pub(crate) fn import_place(&self, name: &str) -> Result<u64, Error> {
        Ok(self.0.open_table(IMPORTS)?.get(name)?.map_or(0, |place| place.value()))
    }

    /// Where each reader is.
    pub(crate) fn cursors(&self) -> Result<Vec<(CursorName, Cursor)>, Error> {
        let cursors = self.0.open_table(CURSORS)?;
        let mut read = Vec::new();
        for entry in cursors.iter()? {
            let (name, cursor) = entry?;
            let cursor = CursorName::new(name.value()).zip(Cursor::decode(cursor.value()));
            read.push(cursor.ok_or_else(|| corrupted("a cursor of a reader cannot be read"))?);
        }
        Ok(read)
    }

    /// The head of the first block that has an event after `after`.
    pub(crate) fn head_after(&self, after: Seq) -> Result<Option<Head>, Error> {
        let heads = self.0.open_table(HEADS)?;
        let next = after.0.saturating_add(1);
        if let Some(entry) = heads.range(..=next)?.next_back() {
            let head = parse_head(entry?.1.value())?;
            if head.last() > after {
                return Ok(Some(head));
            }
        }
        match heads.range(next..)?.next() {
            Some(entry) => Ok(Some(parse_head(entry?.1.value())?)),
            None => Ok(None),
        }
    }

    /// What may be in the block that begins with `first`; empty if that is not known.
    pub(crate) fn filter(&self, first: Seq) -> Result<Vec<u8>, Error> {
        let filter = self.0.open_table(FILTERS)?.get(first.0)?;
        Ok(filter.map_or(Vec::new(), |filter| filter.value().to_vec()))
    }

    /// Up to which event no event has a message any more.
    pub(crate) fn stripped(&self) -> Result<Seq, Error> {
        let value = self.0.open_table(META)?.get("stripped")?;
        let bytes = value.and_then(|value| value.value().try_into().ok());
        Ok(Seq(bytes.map_or(0, u64::from_le_bytes)))
    }

    /// What the blocks take in the file, in bytes, about.
    pub(crate) fn log_bytes(&self) -> Result<u64, Error> {
        let heads = self.0.open_table(HEADS)?;
        let mut bytes = 0;
        for entry in heads.iter()? {
            bytes += stored_bytes(&parse_head(entry?.1.value())?);
        }
        Ok(bytes)
    }

    /// Calls `visit` with the heads of the blocks that have an event before `before`, the last first, and
    /// their filters. After `max` of them, or when told to stop, returns before which event to go on.
    pub(crate) fn blocks_before(
        &self,
        before: Seq,
        max: usize,
        mut visit: impl FnMut(&Head, &[u8]) -> Result<Walk, Error>,
    ) -> Result<Option<Seq>, Error> {
        let heads = self.0.open_table(HEADS)?;
        let filters = self.0.open_table(FILTERS)?;
        let mut filters = filters.range(..before.0)?.rev().peekable();
        for (number, entry) in heads.range(..before.0)?.rev().enumerate() {
            let head = parse_head(entry?.1.value())?;
            let filter = filter_of(&mut filters, head.first)?;
            let bytes = filter.as_ref().map_or(&[][..], |filter| filter.value());
            if number == max || visit(&head, bytes)? == Walk::Stop {
                return Ok(Some(Seq(head.last().0 + 1)));
            }
        }
        Ok(None)
    }

    /// Unpacks a block. The inner error is about this block alone.
    pub(crate) fn block(&self, head: &Head) -> Result<Result<Block, Damaged>, Error> {
        self.block_some(head, |_| true)
    }

    /// Unpacks the events of a block that `wants` wants: see [`Block::unpack_some`].
    pub(crate) fn block_some(
        &self,
        head: &Head,
        wants: impl FnMut(&EventRef<'_>) -> bool,
    ) -> Result<Result<Block, Damaged>, Error> {
        let parts = self.0.open_table(PARTS)?;
        let mut payload = Vec::with_capacity(head.payload_bytes());
        for entry in parts.range((head.first.0, 0)..=(head.first.0, u8::MAX))? {
            let (_, part) = entry?;
            payload.extend_from_slice(part.value());
            if payload.len() >= head.payload_bytes() {
                break;
            }
        }
        Ok(Block::unpack_some(head, &payload, wants))
    }
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walk {
    On,
    Stop,
}

type FiltersBack<'a> = std::iter::Peekable<std::iter::Rev<redb::Range<'a, u64, &'static [u8]>>>;

/// The filter of the block that begins with `first`, from filters that come backwards beside the
/// blocks. A block of schema 1 has none.
fn filter_of<'a>(
    filters: &mut FiltersBack<'a>,
    first: Seq,
) -> Result<Option<redb::AccessGuard<'a, &'static [u8]>>, Error> {
    loop {
        match filters.peek() {
            Some(Ok((key, _))) if key.value() < first.0 => return Ok(None),
            None => return Ok(None),
            _ => {}
        }
        match filters.next().transpose()? {
            Some((key, filter)) if key.value() == first.0 => return Ok(Some(filter)),
            _ => {}
        }
    }
}

/// What a block takes in the file, in bytes, about.
pub(crate) fn stored_bytes(head: &Head) -> u64 {
    let mut rest = head.payload_bytes();
    let mut bytes = 0;
    while rest > 0 {
        let part = part_len(rest);
        bytes += (part + PAGE_SLACK).next_power_of_two().max(PAGE) as u64;
        rest -= part;
    }
    bytes
}

/// redb's pages.
const PAGE: usize = 4096;

/// How many of the `rest` bytes of a payload go into the next value.
///
/// redb gives a value a power of two of 4 KiB pages, so a payload is split where that wastes little:
/// 180 KiB become 128, 32, 16 and 4 KiB.
pub(crate) fn part_len(rest: usize) -> usize {
    if rest >= VALUE_BYTES_MAX {
        return VALUE_BYTES_MAX;
    }
    let pages = (rest + PAGE_SLACK).next_power_of_two().max(PAGE);
    let waste = pages - PAGE_SLACK - rest;
    if pages == PAGE || waste <= pages / 8 { rest } else { pages / 2 - PAGE_SLACK }
}

pub(crate) fn parse_head(bytes: &[u8]) -> Result<Head, Error> {
    Head::parse(bytes).map_err(|damaged| corrupted(damaged.0))
}
