//! What one commit changes, and how it is stored.

use std::sync::Arc;

use redb::{Database, Error, ReadableTable, WriteTransaction};
use uuid::Uuid;

use crate::aggregate::Totals;
use crate::block::Packed;
use crate::cursor::{Cursor, CursorName};
use crate::event::{Seq, Time};
use crate::limits::{BLOCK_PARTS_MAX, DELETE_BLOCKS_MAX, IMPORT_DELETES_MAX, ROLLUP_DELETES_MAX};
use crate::peers::{self, Peers};
use crate::row_bytes::Encoder;
use crate::tables::{
    CURSORS, FILTERS, FLOORS, HEADS, IMPORTED, IMPORTED_AT, IMPORTS, META, PARTS, ROLLUPS, ROWS,
    RowTable, State, floor_key,
};
use crate::view::{parse_head, part_len, stored_bytes};

/// One row to be written.
pub(crate) struct RowWrite {
    pub(crate) table: RowTable,
    pub(crate) key: Vec<u8>,
    pub(crate) row: Encoder,
}

/// Everything that one commit changes. Storing it twice is the same as storing it once, so a commit
/// whose outcome is not known is simply made again.
#[derive(Default)]
pub(crate) struct Batch {
    /// New blocks, and the last block of the log anew.
    pub(crate) blocks: Vec<Packed>,
    pub(crate) rows: Vec<RowWrite>,
    /// Rows that are not to be stored any more, whatever [`Batch::rows`] has of them.
    pub(crate) removed: Vec<(RowTable, Vec<u8>)>,
    /// Buckets that rows left, with the last event that their stored rows include.
    pub(crate) floors: Vec<(RowTable, u16, Seq)>,
    /// Hours, and their stored form.
    pub(crate) rollups: Vec<(u32, Vec<u8>)>,
    /// Hours before this one may be deleted.
    pub(crate) rollups_from: u32,
    /// Imported events, and how far their import has got.
    pub(crate) imported: Vec<(Uuid, Seq)>,
    pub(crate) import: Option<(String, u64)>,
    /// Readers that have moved, and those that are gone.
    pub(crate) cursors: Vec<(CursorName, Option<Cursor>)>,
    /// What other nodes say, if that has changed.
    pub(crate) peers: Option<Arc<Peers>>,
    pub(crate) state: State,
    pub(crate) totals: Totals,
    /// Up to which event no event has a message any more, if that has changed.
    pub(crate) stripped: Option<Seq>,
    /// When it is, as far as expiry believes it.
    pub(crate) time: Time,
}

impl Batch {
    /// Whether it changes nothing but the state.
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
            && self.rows.is_empty()
            && self.removed.is_empty()
            && self.cursors.is_empty()
            && self.rollups.is_empty()
            && self.import.is_none()
            && self.peers.is_none()
            && self.stripped.is_none()
    }
}

/// What a commit did to the log.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stored {
    /// Whether there are more blocks to delete than were.
    pub(crate) deletes_more: bool,
    /// What new blocks take in the file, in bytes.
    pub(crate) added_bytes: u64,
    /// What those took that are gone or replaced.
    pub(crate) freed_bytes: u64,
    /// What those of them took that were deleted.
    pub(crate) deleted_bytes: u64,
}

/// Stores a batch, durably, and deletes a bounded number of blocks that it allows to delete.
pub(crate) fn store(db: &Database, batch: &Batch) -> Result<Stored, Error> {
    let mut write = db.begin_write()?;
    // Without this, opening the file after a crash reads all of it.
    write.set_quick_repair(true);
    let stored = write_blocks(&write, batch)?;
    write_rows(&write, batch)?;
    write_rollups(&write, batch)?;
    write_imports(&write, batch)?;
    write_cursors(&write, batch)?;
    if let Some(peers) = &batch.peers {
        peers::write(&write, peers)?;
    }
    {
        let mut meta = write.open_table(META)?;
        meta.insert("state", &batch.state.encode()[..])?;
        meta.insert("totals", &batch.totals.encode()[..])?;
        if let Some(stripped) = batch.stripped {
            meta.insert("stripped", &stripped.0.to_le_bytes()[..])?;
        }
        meta.insert("time", &batch.time.0.to_le_bytes()[..])?;
    }
    write.commit()?;
    Ok(stored)
}

fn write_blocks(write: &WriteTransaction, batch: &Batch) -> Result<Stored, Error> {
    let mut stored = Stored::default();
    let mut heads = write.open_table(HEADS)?;
    let mut parts = write.open_table(PARTS)?;
    let mut filters = write.open_table(FILTERS)?;
    for block in &batch.blocks {
        let first = block.head.first.0;
        if let Some(filter) = &block.filter {
            filters.insert(first, &filter[..])?;
        }
        let replaced = heads.insert(first, &block.head.to_bytes()[..])?;
        let replaced = replaced.map(|head| parse_head(head.value()).ok());
        stored.added_bytes += stored_bytes(&block.head);
        let mut rest = &block.payload[..];
        let mut number = 0;
        while !rest.is_empty() {
            let (part, others) = rest.split_at(part_len(rest.len()));
            parts.insert((first, number), part)?;
            (rest, number) = (others, number + 1);
        }
        if let Some(replaced) = replaced {
            stored.freed_bytes += replaced.as_ref().map_or(0, stored_bytes);
            // The block that this one replaces may have had more parts.
            for number in number..BLOCK_PARTS_MAX as u8 {
                if parts.remove((first, number))?.is_none() {
                    break;
                }
            }
        }
    }
    delete_blocks(&mut heads, &mut parts, &mut filters, batch.state.swept, &mut stored)?;
    Ok(stored)
}

type Heads<'a> = redb::Table<'a, u64, &'static [u8]>;
type Parts<'a> = redb::Table<'a, (u64, u8), &'static [u8]>;

/// Deletes a bounded number of blocks up to event `through`.
fn delete_blocks(
    heads: &mut Heads<'_>,
    parts: &mut Parts<'_>,
    filters: &mut Heads<'_>,
    through: Seq,
    stored: &mut Stored,
) -> Result<(), Error> {
    let mut firsts = Vec::new();
    for entry in heads.range(..=through.0)?.take(DELETE_BLOCKS_MAX) {
        let (first, head) = entry?;
        firsts.push(first.value());
        stored.deleted_bytes += parse_head(head.value()).as_ref().map_or(0, stored_bytes);
    }
    stored.freed_bytes += stored.deleted_bytes;
    stored.deletes_more = firsts.len() == DELETE_BLOCKS_MAX;
    for first in firsts {
        heads.remove(first)?;
        filters.remove(first)?;
        for number in 0..BLOCK_PARTS_MAX as u8 {
            if parts.remove((first, number))?.is_none() {
                break;
            }
        }
    }
    Ok(())
}

fn write_rows(write: &WriteTransaction, batch: &Batch) -> Result<(), Error> {
    for table in RowTable::ALL {
        let mut rows = write.open_table(ROWS[table as usize])?;
        for change in batch.rows.iter().filter(|change| change.table == table) {
            rows.insert(&change.key[..], change.row.as_bytes())?;
        }
        // Last, for a row that left its table may have been written with others of its bucket before.
        for (_, key) in batch.removed.iter().filter(|(of, _)| *of == table) {
            rows.remove(&key[..])?;
        }
    }
    let mut floors = write.open_table(FLOORS)?;
    for (table, bucket, through) in &batch.floors {
        floors.insert(floor_key(*table, *bucket), through.0)?;
    }
    Ok(())
}

fn write_rollups(write: &WriteTransaction, batch: &Batch) -> Result<(), Error> {
    if batch.rollups.is_empty() {
        return Ok(());
    }
    let mut rollups = write.open_table(ROLLUPS)?;
    for (hour, bytes) in &batch.rollups {
        rollups.insert(hour, &bytes[..])?;
    }
    let mut old = Vec::new();
    for entry in rollups.range(..batch.rollups_from)?.take(ROLLUP_DELETES_MAX) {
        old.push(entry?.0.value());
    }
    for hour in old {
        rollups.remove(hour)?;
    }
    Ok(())
}

fn write_imports(write: &WriteTransaction, batch: &Batch) -> Result<(), Error> {
    let mut by_id = write.open_table(IMPORTED)?;
    let mut by_place = write.open_table(IMPORTED_AT)?;
    for (id, seq) in &batch.imported {
        by_id.insert(id.as_u128(), seq.0)?;
        by_place.insert(seq.0, id.as_u128())?;
    }
    let mut gone = Vec::new();
    for entry in by_place.range(..=batch.state.swept.0)?.take(IMPORT_DELETES_MAX) {
        let (seq, id) = entry?;
        gone.push((seq.value(), id.value()));
    }
    for (seq, id) in gone {
        by_place.remove(seq)?;
        by_id.remove(id)?;
    }
    if let Some((name, place)) = &batch.import {
        write.open_table(IMPORTS)?.insert(name.as_str(), place)?;
    }
    Ok(())
}

fn write_cursors(write: &WriteTransaction, batch: &Batch) -> Result<(), Error> {
    let mut cursors = write.open_table(CURSORS)?;
    for (name, cursor) in &batch.cursors {
        match cursor {
            Some(cursor) => drop(cursors.insert(name.as_str(), &cursor.encode()[..])?),
            None => drop(cursors.remove(name.as_str())?),
        }
    }
    Ok(())
}
