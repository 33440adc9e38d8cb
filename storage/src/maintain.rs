//! What an operator does with a database: look at it, check it, copy it, make its file smaller.

use std::borrow::Borrow;
use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{
    Builder, Database, Durability, Key, ReadableDatabase, ReadableTable, TableDefinition, Value,
};
use uuid::Uuid;

use crate::event::{Seq, Time};
use crate::identity::sync_folder;
use crate::limits::{BACKUP_COMMIT_BYTES, CACHE_BYTES};
use crate::open::{self, Opening};
use crate::open_error::OpenError;
use crate::recount::{Recount, recount};
use crate::store::{Options, Store};
use crate::tables::{self};
use crate::view::{self, View};

/// Why something could not be done with a database.
#[derive(Debug, thiserror::Error)]
pub enum MaintainError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is not open yet, or not any more.
    #[error("the database is not open")]
    Closed,
    /// The copy cannot be made.
    #[error("{}: cannot be written ({reason}); name a file that does not exist, in a folder that does", path.display())]
    Target {
        /// The copy.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Reading or writing it failed.
    #[error("the database cannot be read: {0}")]
    Storage(String),
}

impl From<redb::Error> for MaintainError {
    fn from(error: redb::Error) -> Self {
        Self::Storage(error.to_string())
    }
}

/// What is in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseStats {
    /// Made once, with the database.
    pub database_id: Uuid,
    /// The version of everything that is stored.
    pub schema: u32,
    /// The first event that is still in the log; one after the last if there is none.
    pub first: Seq,
    /// The last event.
    pub last: Seq,
    /// When the first block's earliest event was; `None` without one.
    pub earliest: Option<Time>,
    /// Blocks of the log.
    pub blocks: u64,
    /// What they take in the file, in bytes, about.
    pub log_bytes: u64,
    /// What their events took before they were packed, in bytes.
    pub raw_bytes: u64,
    /// Rows of sources, numbers and user agents.
    pub rows: [u64; 3],
    /// Hours that are counted apart.
    pub hours: u64,
    /// When something was last stored.
    pub stored: Time,
}

fn stats_of(db: &Database) -> Result<DatabaseStats, redb::Error> {
    let view = View::new(db)?;
    let (origin, state) = (tables::origin(db)?, view.state()?);
    let mut stats = DatabaseStats {
        database_id: origin.database_id,
        schema: tables::schema(db)?.unwrap_or(0),
        first: Seq(state.last.0 + 1),
        last: state.last,
        earliest: None,
        blocks: 0,
        log_bytes: 0,
        raw_bytes: 0,
        rows: view.row_counts()?,
        hours: view.rollup_hours(0, u32::MAX, usize::MAX)?.len() as u64,
        stored: view.time()?,
    };
    let mut at = Seq(0);
    while let Some(head) = view.head_after(at)? {
        if stats.blocks == 0 {
            (stats.first, stats.earliest) = (head.first, Some(head.earliest));
        }
        stats.blocks += 1;
        stats.log_bytes += view::stored_bytes(&head);
        stats.raw_bytes += head.raw_bytes();
        at = head.last();
    }
    Ok(stats)
}

/// What is in the database of a node that does not run. Its file is not changed.
///
/// # Errors
///
/// [`MaintainError`].
pub fn stats(path: &Path) -> Result<DatabaseStats, MaintainError> {
    let db = open::open_unchanged(path, CACHE_BYTES)?;
    stats_of(&db).map_err(|error| open::open_error(path, error).into())
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Whether the pages of the file are as they were written.
    pub pages_are_sound: bool,
    /// What everything counts.
    pub recount: Recount,
}

impl Checked {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.pages_are_sound && self.recount.is_exact()
    }
}

/// Reads the whole database of a node that does not run: the checksum of every page and of every block,
/// and all counts again. Its file is not changed.
///
/// # Errors
///
/// [`MaintainError`] when it cannot be opened or read to its end.
pub fn check(path: &Path) -> Result<Checked, MaintainError> {
    let mut db = open::open_unchanged(path, CACHE_BYTES)?;
    let sound = db.check_integrity();
    drop(db);
    let pages_are_sound = sound.map_err(|error| open::open_error(path, error.into()))?;
    Ok(Checked { pages_are_sound, recount: recount(path)? })
}

/// Gives space in the file that is not used back to the disk. Only while no node runs. The length of the
/// file before and after, in bytes of disk.
///
/// # Errors
///
/// [`MaintainError`].
pub fn compact(path: &Path) -> Result<(u64, u64), MaintainError> {
    let options = Options::new(path, Uuid::nil());
    if !path.exists() {
        let reason = std::io::Error::from(std::io::ErrorKind::NotFound).to_string();
        return Err(OpenError::Io { path: path.to_owned(), reason }.into());
    }
    let before = disk_bytes(path)?;
    let mut db = open::open(&options, Opening::Again)?;
    let failed = |error: redb::Error| open::open_error(path, error);
    while db.compact().map_err(|error| failed(error.into()))? {}
    drop(db);
    Ok((before, disk_bytes(path)?))
}

fn disk_bytes(path: &Path) -> Result<u64, MaintainError> {
    let found = std::fs::metadata(path);
    found
        .map(|found| found.blocks() * 512)
        .map_err(|error| OpenError::Io { path: path.to_owned(), reason: error.to_string() }.into())
}

impl Store {
    /// What is in the database of this node.
    ///
    /// # Errors
    ///
    /// [`MaintainError`].
    pub fn database_stats(&self) -> Result<DatabaseStats, MaintainError> {
        let db = self.0.database().ok_or(MaintainError::Closed)?;
        Ok(stats_of(&db)?)
    }

    /// Copies the database as of the last commit into a new file, while the node goes on. How many bytes
    /// of disk the copy takes.
    ///
    /// The node's id, secret and keys are in files of their own and are not copied.
    ///
    /// # Errors
    ///
    /// [`MaintainError`]. An existing file is never overwritten; a copy that fails is removed.
    pub fn backup(&self, to: &Path) -> Result<u64, MaintainError> {
        let db = self.0.database().ok_or(MaintainError::Closed)?;
        copy_to(&db, to)
    }
}

/// Copies the database of a node that does not run into a new file. See [`Store::backup`].
///
/// # Errors
///
/// [`MaintainError`].
pub fn backup(path: &Path, to: &Path) -> Result<u64, MaintainError> {
    let db = open::open_unchanged(path, CACHE_BYTES)?;
    copy_to(&db, to)
}

fn copy_to(from: &Database, to: &Path) -> Result<u64, MaintainError> {
    let failed = |error: std::io::Error| MaintainError::Target {
        path: to.to_owned(),
        reason: error.to_string(),
    };
    // Under the final name only when it is whole, and never over something that is there.
    let partial = crate::identity::beside(to, &format!("partial-{}", std::process::id()));
    if to.exists() {
        return Err(failed(std::io::ErrorKind::AlreadyExists.into()));
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .map_err(failed)?;
    let copied = copy_into(from, file).and_then(|()| {
        // Unlike a rename, a link never replaces what somebody has just made there. Not every file system
        // has links.
        match std::fs::hard_link(&partial, to) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                std::fs::rename(&partial, to).map_err(failed)?;
            }
            linked => linked.map_err(failed)?,
        }
        sync_folder(to).map_err(failed)
    });
    // After a success this name is one too many, after a failure it should not stay.
    let _ = std::fs::remove_file(&partial);
    copied?;
    disk_bytes(to)
}

fn copy_into(from: &Database, file: std::fs::File) -> Result<(), MaintainError> {
    let file = FileBackend::new(file).map_err(redb::Error::from)?;
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    let to = builder.create_with_backend(file).map_err(redb::Error::from)?;
    let read = from.begin_read().map_err(redb::Error::from)?;
    let copy = Copy { read: &read, to: &to };
    copy.table(tables::HEADS)?;
    copy.table(tables::PARTS)?;
    copy.table(tables::FILTERS)?;
    for rows in tables::ROWS {
        copy.table(rows)?;
    }
    copy.table(tables::FLOORS)?;
    copy.table(tables::ROLLUPS)?;
    copy.table(tables::CURSORS)?;
    copy.table(tables::PEERS)?;
    copy.table(tables::IMPORTED)?;
    copy.table(tables::IMPORTED_AT)?;
    copy.table(tables::IMPORTS)?;
    // The last: a copy without it is no database.
    copy.table(tables::META)?;
    Ok(())
}

struct Copy<'a> {
    read: &'a redb::ReadTransaction,
    to: &'a Database,
}

impl Copy<'_> {
    /// Copies a table, some MiB with each commit; the last one is durable.
    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<'_, K, V>,
    ) -> Result<(), redb::Error> {
        let from = self.read.open_table(definition)?;
        let mut entries = from.iter()?.peekable();
        loop {
            let mut write = self.to.begin_write()?;
            let mut bytes = 0;
            {
                let mut table = write.open_table(definition)?;
                while bytes < BACKUP_COMMIT_BYTES {
                    let Some(entry) = entries.next() else { break };
                    let (key, value) = entry?;
                    bytes += K::as_bytes(key.value().borrow()).as_ref().len();
                    bytes += V::as_bytes(value.value().borrow()).as_ref().len();
                    table.insert(key.value(), value.value())?;
                }
            }
            if entries.peek().is_some() {
                write.set_durability(Durability::None)?;
            }
            write.commit()?;
            if entries.peek().is_none() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Bench, seen_in};
    use crate::log::Log;
    use crate::testing::event;

    fn filled() -> Bench {
        let mut bench = Bench::new(u64::MAX);
        for n in 0..60 {
            bench.ingest(&event(n));
            if n % 7 == 0 {
                bench.commit();
                bench.close_block();
            }
        }
        bench.settle();
        bench.ingest(&event(1));
        bench.commit();
        bench
    }

    #[test]
    fn a_copy_of_a_running_database_holds_all_that_is_committed() {
        let mut bench = filled();
        let to = bench.folder.path().join("copy.redb");
        let store = Store(bench.writer.shared.clone());
        bench.ingest(&event(200));
        assert!(store.backup(&to).unwrap() > 0);
        let checked = check(&to).unwrap();
        assert!(checked.is_sound(), "{checked:?}");
        assert_eq!(checked.recount.events, 61);
        let (before, database) = (bench.snapshot(), store.database_stats().unwrap());
        assert_eq!(stats(&to).unwrap(), database);
        assert_eq!((database.first, database.last, database.rows[0]), (Seq(1), Seq(61), 60));
        std::fs::rename(&to, &bench.options.path).unwrap();
        bench.restart();
        assert_eq!(seen_in(&before.sources), seen_in(&bench.snapshot().sources));
        let log = Log::new(bench.writer.shared.clone());
        assert_eq!(log.since(Seq(0), 100).unwrap(), bench.given[..61]);
    }

    #[test]
    fn a_copy_never_takes_the_place_of_a_file_and_leaves_nothing_when_it_fails() {
        let bench = filled();
        let store = Store(bench.writer.shared.clone());
        let there = bench.folder.path().join("there");
        std::fs::write(&there, "mine").unwrap();
        assert!(matches!(store.backup(&there), Err(MaintainError::Target { .. })));
        assert_eq!(std::fs::read(&there).unwrap(), b"mine");
        let nowhere = bench.folder.path().join("no/folder");
        assert!(matches!(store.backup(&nowhere), Err(MaintainError::Target { .. })));
        let files = std::fs::read_dir(bench.folder.path()).unwrap().count();
        assert_eq!(files, 2, "the database and the file that was there");
    }

    #[test]
    fn a_flipped_bit_is_found() {
        let bench = filled();
        let path = bench.killed();
        assert!(check(&path).unwrap().is_sound());
        let mut bytes = std::fs::read(&path).unwrap();
        // Wherever it is stored: the first may be in a page that is not used any more.
        let is_there = |at: &usize| bytes[*at..].starts_with(b"friendly-scanner");
        let places: Vec<_> = (0..bytes.len()).filter(is_there).collect();
        assert!(!places.is_empty());
        places.iter().for_each(|at| bytes[*at] ^= 1);
        std::fs::write(&path, bytes).unwrap();
        assert!(!check(&path).is_ok_and(|checked| checked.is_sound()));
    }

    #[test]
    fn a_compacted_file_is_smaller_and_holds_the_same() {
        let mut bench = Bench::new(60 * crate::limits::NS_PER_S);
        let noise: Vec<u8> =
            (0..60_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for _ in 0..100 {
            let event = crate::event::EventRef {
                time: bench.now,
                message: &noise,
                method: b"",
                ..event(1)
            };
            bench.ingest(&event);
            bench.now.0 += crate::limits::NS_PER_S;
            bench.commit();
            bench.close_block();
        }
        bench.now.0 += 50 * crate::limits::NS_PER_S;
        bench.settle();
        bench.settle();
        let path = bench.killed();
        let before = recount(&path).unwrap();
        let (from, to) = compact(&path).unwrap();
        assert!(to < from / 2, "{from} {to}");
        assert_eq!(recount(&path).unwrap(), before);
    }
}
