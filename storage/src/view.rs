//! Reading the database as it is at one moment.

use redb::{
    Database, Error, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableError,
};
use uuid::Uuid;

use crate::aggregate::Totals;
use crate::block::{Block, Damaged, Head};
use crate::cursor::{Cursor, CursorName};
use crate::event::{EventRef, Seq, SourceKey, Time};
use crate::limits::{BUCKETS, PAGE_SLACK, VALUE_BYTES_MAX};
use crate::peers::{self, Peers};
use crate::tables::{
    CURSORS, FILTERS, FLOORS, HEADS, IMPORTED, IMPORTS, META, PARTS, PEERS, ROLLUPS, ROWS,
    RowTable, State, corrupted,
};

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

    /// What other nodes say. A database in which nothing was ever written for it has no table.
    pub(crate) fn peers(&self) -> Result<Peers, Error> {
        match self.0.open_table(PEERS) {
            Ok(table) => peers::read(&table, self.time()?),
            Err(TableError::TableDoesNotExist(_)) => Ok(Peers::default()),
            Err(error) => Err(error.into()),
        }
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
            let head = readable_head(entry?.1.value());
            if let Some(head) = head.filter(|head| head.last() > after) {
                return Ok(Some(head));
            }
        }
        for entry in heads.range(next..)? {
            if let Some(head) = readable_head(entry?.1.value()) {
                return Ok(Some(head));
            }
        }
        Ok(None)
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

    /// What the blocks take in the file, in bytes, about, and those of them that end with `expired` or
    /// before.
    pub(crate) fn log_bytes(&self, expired: Seq) -> Result<(u64, u64), Error> {
        let heads = self.0.open_table(HEADS)?;
        let (mut all, mut gone) = (0, 0);
        for entry in heads.iter()? {
            // One that is damaged is skipped wherever it is met.
            let Ok(head) = parse_head(entry?.1.value()) else { continue };
            let bytes = stored_bytes(&head);
            all += bytes;
            gone += if head.last() <= expired { bytes } else { 0 };
        }
        Ok((all, gone))
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
            let Some(head) = readable_head(entry?.1.value()) else { continue };
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
        Ok(Block::unpack(head, &self.payload(head)?))
    }

    /// Unpacks the events of a block that `wants` wants: see [`Block::unpack_some`].
    pub(crate) fn block_some(
        &self,
        head: &Head,
        source: Option<SourceKey>,
        wants: impl FnMut(&EventRef<'_>) -> bool,
    ) -> Result<Result<Block, Damaged>, Error> {
        Ok(Block::unpack_some(head, &self.payload(head)?, source, wants))
    }

    fn payload(&self, head: &Head) -> Result<Vec<u8>, Error> {
        let parts = self.0.open_table(PARTS)?;
        let mut payload = Vec::with_capacity(head.payload_bytes());
        for entry in parts.range((head.first.0, 0)..=(head.first.0, u8::MAX))? {
            let (_, part) = entry?;
            payload.extend_from_slice(part.value());
            if payload.len() >= head.payload_bytes() {
                break;
            }
        }
        Ok(payload)
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

/// A head, unless it is damaged: then the log has a gap, and is read behind it.
fn readable_head(bytes: &[u8]) -> Option<Head> {
    parse_head(bytes).inspect_err(|error| log::error!("{error}")).ok()
}

pub(crate) fn parse_head(bytes: &[u8]) -> Result<Head, Error> {
    Head::parse(bytes).map_err(|damaged| corrupted(damaged.0))
}
