//! The table `honey` of SentryPeer 4.x, written: what reads its file reads ours.
//!
//! A [`HoneyFile`] is an SQLite file of our own with that table, its three indexes, a fourth by time for
//! expiry, and a second table with the cursors of who writes it. Events and the cursor go into it in
//! one transaction, so after any crash the cursor says exactly which events are there. Events whose id
//! is there already are left out, so reading the log again from an earlier cursor does no harm.
//!
//! The file is in WAL mode while it is open: readers and the writer do not wait for each other. A power
//! cut may undo the last transactions, each as a whole and the cursor with it, and damages nothing.

use std::borrow::Cow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Statement, params};
use sentrypeer_storage::event::{Seq, Time};
use sentrypeer_storage::event_json::NOT_FOUND;
use sentrypeer_storage::log::StoredEvent;
use sentrypeer_storage::utc::Utc;
use uuid::Uuid;

use crate::limits::{CACHE_KIB, CHECKPOINT_PAGES, LOCKED_MS, WAL_BYTES};
use crate::text;

/// What marks a file as ours, in its header: "SPhn". Its times are in UTC and have nine digits, which
/// those of a file of SentryPeer 4.x have not, so we write to no other file.
/// <https://www.sqlite.org/fileformat.html>, section 1.3.
pub const APPLICATION_ID: i32 = i32::from_be_bytes(*b"SPhn");

/// The version of the tables: SQLite's `user_version`.
pub const VERSION: i32 = 1;

const SCHEMA: &str = "
    CREATE TABLE honey (
        honey_id INTEGER PRIMARY KEY,
        event_timestamp TEXT,
        event_uuid TEXT,
        collected_method TEXT,
        source_ip TEXT,
        called_number TEXT,
        transport_type TEXT,
        method TEXT,
        user_agent TEXT,
        sip_message TEXT,
        created_by_node_id TEXT,
        created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
    );
    CREATE INDEX source_ip_index ON honey (source_ip);
    CREATE INDEX called_number_index ON honey (called_number);
    CREATE INDEX event_uuid_index ON honey (event_uuid);
    CREATE INDEX event_timestamp_index ON honey (event_timestamp);
    CREATE TABLE sentrypeer_cursor (name TEXT PRIMARY KEY, seq INTEGER NOT NULL);
";

const INSERT: &str = "
    INSERT INTO honey (event_timestamp, event_uuid, collected_method, source_ip, called_number,
        transport_type, method, user_agent, sip_message, created_by_node_id, created_at)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11
    WHERE NOT EXISTS (SELECT 1 FROM honey WHERE event_uuid = ?2)";

const MOVE: &str = "
    INSERT INTO sentrypeer_cursor (name, seq) VALUES (?1, ?2)
    ON CONFLICT (name) DO UPDATE SET seq = excluded.seq";

const REMOVE: &str = "
    DELETE FROM honey WHERE honey_id IN (SELECT honey_id FROM honey
        WHERE event_timestamp < ?1 ORDER BY event_timestamp LIMIT ?2)";

/// How a source stands in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceForm {
    /// `192.0.2.7`, `2001:db8::7`.
    #[default]
    Address,
    /// `192.0.2.7:5066`, `[2001:db8::7]:5066`, as SentryPeer 4.x writes it.
    AddressAndPort,
}

/// How events stand in the file.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// The node that collected the events.
    pub node_id: Uuid,
    /// How a source stands there.
    pub source: SourceForm,
}

/// Why a file cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum HoneyError {
    /// It is something else, and stays as it is.
    #[error(
        "{path} is not a file that this program wrote, and is left as it is; name another one",
        path = path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It is SentryPeer 4.x's own file, and stays as it is: its times are local ones.
    #[error(
        "{path} was written by SentryPeer 4.x, and is left as it is; name another file, and take its \
         events over with: sentrypeer import {path}",
        path = path.display()
    )]
    SentryPeer4 {
        /// The file.
        path: PathBuf,
    },
    /// A later version of this program wrote it.
    #[error("{path} was written by a later version of this program", path = path.display())]
    Later {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else had it locked for [`LOCKED_MS`]. Nothing was written; try again later.
    #[error("{path} is locked by another program", path = path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// It was moved or removed since it was opened. Nothing was written; drop it, then open it again,
    /// and it is made anew.
    #[error("{path} was moved or removed by somebody", path = path.display())]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// The disk is full. Nothing was written; try again later.
    #[error("{path}: the disk is full", path = path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// SQLite failed otherwise. Nothing was written.
    #[error("{path}: SQLite: {what}", path = path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        what: String,
    },
}

/// A cursor and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// Whose it is.
    pub name: &'a str,
    /// The last event that is done with, whether or not it is in the file.
    pub to: Seq,
}

/// An SQLite file of our own with the table `honey`, open for writing.
#[derive(Debug)]
pub struct HoneyFile {
    path: PathBuf,
    connection: Connection,
    form: Form,
    /// Device and number of the file.
    identity: Option<(u64, u64)>,
}

impl HoneyFile {
    /// Opens a file that this was called for before, or makes it.
    ///
    /// # Errors
    ///
    /// [`HoneyError`]: it is another file ([`HoneyError::Foreign`] and the two after it), which is not
    /// touched, or SQLite cannot open it.
    pub fn open(path: &Path, form: Form) -> Result<Self, HoneyError> {
        let failed = |error| failure(path, &error);
        let connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(Duration::from_millis(LOCKED_MS)).map_err(failed)?;
        let mut file = Self { path: path.to_owned(), connection, form, identity: None };
        if file.is_new()? {
            file.run(|connection| {
                mode(connection)?;
                create(connection)
            })?;
        } else {
            file.run(mode)?;
        }
        file.identity = identity(path);
        Ok(file)
    }

    /// Whether it is still what its path leads to: without a look, all that is written to a file that
    /// was removed is lost, and nobody notices.
    fn is_there(&self) -> Result<(), HoneyError> {
        if self.identity.is_some() && self.identity == identity(&self.path) {
            return Ok(());
        }
        Err(HoneyError::Gone { path: self.path.clone() })
    }

    /// Whether it has no tables yet.
    fn is_new(&self) -> Result<bool, HoneyError> {
        let number = |sql| self.run(|c| c.query_row(sql, [], |row| row.get::<_, i32>(0)));
        let has_table = |name| {
            let sql = "SELECT count(*) FROM sqlite_schema WHERE ?1 IN ('', name)";
            self.run(|c| c.query_row(sql, [name], |row| row.get::<_, bool>(0)))
        };
        let foreign = |_| HoneyError::Foreign { path: self.path.clone() };
        let id = number("PRAGMA application_id").map_err(foreign)?;
        let path = self.path.clone();
        match number("PRAGMA user_version")? {
            VERSION if id == APPLICATION_ID => Ok(false),
            _ if id == APPLICATION_ID => Err(HoneyError::Later { path }),
            _ if id == 0 && !has_table("")? => Ok(true),
            _ if id == 0 && has_table("honey")? => Err(HoneyError::SentryPeer4 { path }),
            _ => Err(HoneyError::Foreign { path }),
        }
    }

    /// Where a cursor is, if it was ever moved.
    ///
    /// # Errors
    ///
    /// [`HoneyError`].
    pub fn cursor(&self, name: &str) -> Result<Option<Seq>, HoneyError> {
        let sql = "SELECT seq FROM sentrypeer_cursor WHERE name = ?1";
        let seq = self.run(|c| c.query_row(sql, [name], |row| row.get::<_, i64>(0)).optional())?;
        Ok(seq.map(|seq| Seq(seq.cast_unsigned())))
    }

    /// Adds the events that are not there yet and moves a cursor, both or neither; says how many
    /// events it added.
    ///
    /// # Errors
    ///
    /// [`HoneyError`]; then the file is as it was before.
    pub fn append<'a>(
        &mut self,
        events: impl IntoIterator<Item = &'a StoredEvent>,
        cursor: Option<Move<'_>>,
    ) -> Result<usize, HoneyError> {
        self.is_there()?;
        let form = self.form;
        let work = || -> rusqlite::Result<usize> {
            let transaction = self.connection.transaction()?;
            let mut added = 0;
            let mut insert = transaction.prepare(INSERT)?;
            for event in events {
                added += insert_event(&mut insert, event, form)?;
            }
            drop(insert);
            if let Some(Move { name, to }) = cursor {
                transaction.execute(MOVE, params![name, to.0.cast_signed()])?;
            }
            transaction.commit()?;
            Ok(added)
        };
        work().map_err(|error| failure(&self.path, &error))
    }

    /// Removes events that arrived before `time`, the oldest first and at most `rows_max`; says how
    /// many it removed. Fewer than `rows_max`: there are no more.
    ///
    /// # Errors
    ///
    /// [`HoneyError`]; then the file is as it was before.
    pub fn remove_before(&mut self, time: Time, rows_max: u32) -> Result<usize, HoneyError> {
        self.is_there()?;
        self.run(|c| c.execute(REMOVE, params![Utc(time).to_string(), rows_max]))
    }

    /// Closes the file and makes it one that needs no other beside it, and that can be read from a
    /// disk that cannot be written to. [`HoneyFile::open`] opens it again.
    ///
    /// If somebody else has it open, it stays one with a write-ahead log beside it.
    ///
    /// # Errors
    ///
    /// [`HoneyError`]; the events are in it in any case.
    pub fn close(self) -> Result<(), HoneyError> {
        match self.run(|c| c.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))) {
            Err(HoneyError::Locked { .. }) | Ok(()) => {}
            Err(error) => return Err(error),
        }
        let path = self.path;
        self.connection.close().map_err(|(_, error)| failure(&path, &error))
    }

    fn run<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, HoneyError> {
        work(&self.connection).map_err(|error| failure(&self.path, &error))
    }
}

/// What tells a file from another that has its name later.
fn identity(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|found| (found.dev(), found.ino()))
}

/// WAL, in which `NORMAL` syncs at checkpoints alone and a power cut damages nothing.
/// <https://www.sqlite.org/pragma.html#pragma_synchronous>
fn mode(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // A negative size is in KiB.
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES, |_| Ok(()))
}

/// All of it or nothing, so that a file without tables is one that can be made anew.
fn create(connection: &Connection) -> rusqlite::Result<()> {
    let marks =
        format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};");
    connection.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} {marks} COMMIT;"))
}

/// The row of an event, in the text forms of SentryPeer 4.x. `created_at`, which there is when the row
/// was written and is in UTC, is the event's time.
fn insert_event(
    insert: &mut Statement<'_>,
    event: &StoredEvent,
    form: Form,
) -> rusqlite::Result<usize> {
    let time = Utc(event.time).to_string();
    let source = match form.source {
        SourceForm::Address => event.source.ip().to_string(),
        SourceForm::AddressAndPort => event.source.to_string(),
    };
    insert.execute(params![
        time,
        event.id.to_string(),
        event.collected.name(),
        source,
        found(&event.number),
        event.transport.name(),
        found(&event.method),
        found(&event.user_agent),
        found(&event.message),
        form.node_id.to_string(),
        &time[.."2026-11-23 23:52:36.740".len()],
    ])
}

fn found(bytes: &[u8]) -> Cow<'_, str> {
    if bytes.is_empty() { NOT_FOUND.into() } else { text::without_nul(bytes) }
}

fn failure(path: &Path, error: &rusqlite::Error) -> HoneyError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => HoneyError::Locked { path },
        Some(ErrorCode::DiskFull) => HoneyError::Full { path },
        Some(ErrorCode::NotADatabase) => HoneyError::Foreign { path },
        _ => HoneyError::Sqlite { path, what: error.to_string() },
    }
}
