//! What is in the database: the tables of redb, and how they are read and written. See
//! `docs/storage.md`.

use redb::{Database, Error, ReadableDatabase, TableDefinition, WriteTransaction};
use uuid::Uuid;

use crate::aggregate::Totals;
use crate::event::Seq;
use crate::limits::BUCKETS;
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
/// What other nodes say, in parts: see `peers.rs`.
pub(crate) const PEERS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("peers");
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

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
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

pub(crate) fn corrupted(what: &str) -> Error {
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
    write.open_table(PEERS)?;
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
