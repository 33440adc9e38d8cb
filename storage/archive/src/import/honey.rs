//! The table of SentryPeer 4.x in an SQLite file, or of one that we wrote.
//!
//! 4.x may be writing to the file meanwhile, and loses an event when it cannot get the lock at once. So
//! rows are read a few at a time, and between them nothing is held.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row};

use super::{Format, ImportError, Item, Options, item, schema};
use crate::clock;
use crate::fields::{Field, Fields};
use crate::honey::APPLICATION_ID;
use crate::imported::{Imported, Reason};
use crate::limits::{
    COLUMNS_MAX, DEFINITION_BYTES_MAX, LOCKED_MS, OFFSET_ROWS, OPEN_STEPS, READ_BYTES, READ_ROWS,
    SQLITE_VALUE_BYTES_MAX,
};
use crate::zone::Zone;

/// SentryPeer 4.x writes a row when it has the event; a peer's event may be of any time.
const WRITTEN_WITHIN_NS: u64 = 60 * 1_000_000_000;

/// A table that is being read.
pub(super) struct Table {
    path: PathBuf,
    connection: Connection,
    select: String,
    options: Options,
    format: Format,
    /// The least row number that was not read yet; `None` when there is no greater one.
    next: Option<i64>,
    /// The greatest row number when the file was opened.
    rows: u64,
    place: u64,
    read: VecDeque<Item>,
    failed: Option<ImportError>,
    /// What is wrong with the file as a whole, which is said at the end of what can be read.
    cut: Option<String>,
}

impl Table {
    pub(super) fn open(path: &Path, options: &Options) -> Result<Self, ImportError> {
        let (connection, cut) = connect(path)?;
        let select = schema::select(&connection, path)?;
        let one = |sql| connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
        let id = one("PRAGMA main.application_id").map_err(|error| failure(path, 0, &error))?;
        let ours = id == Some(APPLICATION_ID.into());
        // The end of a damaged file may be missing; the progress bar has none then.
        let rows = one("SELECT max(honey_id) FROM main.honey").ok().flatten().unwrap_or_default();
        let mut options = options.clone();
        if ours {
            options.zone = Zone::default();
        }
        Ok(Self {
            path: path.to_owned(),
            connection,
            select,
            format: if ours { Format::Honey } else { Format::SentryPeer4 },
            next: match options.after {
                0 => Some(i64::MIN),
                after => i64::try_from(after).ok().and_then(|after| after.checked_add(1)),
            },
            rows: place(rows),
            place: options.after,
            read: VecDeque::new(),
            failed: None,
            cut,
            options,
        })
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn next(&mut self) -> Result<Option<Item>, ImportError> {
        if self.read.is_empty() && self.failed.is_none() {
            let read = self.read_some();
            self.failed = read.map_err(|error| failure(&self.path, self.place, &error)).err();
        }
        match (self.read.pop_front(), self.failed.take()) {
            (Some(item), failed) => {
                self.failed = failed;
                Ok(Some(item))
            }
            (None, Some(error)) => Err(error),
            (None, None) => self.end(),
        }
    }

    fn end(&self) -> Result<Option<Item>, ImportError> {
        let (path, place) = (self.path.clone(), self.place);
        let damaged = |what: &String| ImportError::Damaged { path, place, what: what.clone() };
        self.cut.as_ref().map_or(Ok(None), |what| Err(damaged(what)))
    }

    /// Reads the next rows into `read`, under one lock. On an error those before it are there.
    fn read_some(&mut self) -> rusqlite::Result<()> {
        let Some(first) = self.next else { return Ok(()) };
        let mut statement = self.connection.prepare(&self.select)?;
        let mut rows = statement.query((first, READ_ROWS))?;
        let mut bytes = 0;
        while bytes < READ_BYTES {
            let Some(row) = rows.next()? else { break };
            let id: i64 = row.get(0)?;
            // A damaged tree may give its rows in any order, and again and again.
            if self.next.is_none_or(|next| id < next) {
                return Err(out_of_order());
            }
            self.next = id.checked_add(1);
            self.place = place(id);
            let (read, size) = event(row, &self.options, self.place)?;
            bytes += size;
            self.read.push_back(item(read, self.place));
        }
        Ok(())
    }

    /// See [`super::Import::zone_instead`].
    pub(super) fn zone_instead(&self) -> Option<Zone> {
        if self.format == Format::Honey {
            return None;
        }
        let rows = self.last_times().ok()?;
        let right = rows.iter().filter(|(local, written)| self.agree(local, written)).count();
        let east: Vec<i32> = rows.iter().filter_map(|row| minutes_east(&row.0, &row.1)).collect();
        let count = |minutes: i32| east.iter().filter(|other| **other == minutes).count();
        let most = east.iter().copied().max_by_key(|minutes| count(*minutes))?;
        let wrong = count(most) > right && count(most) * 2 > rows.len();
        if wrong { Zone::fixed_minutes(most) } else { None }
    }

    /// Whether a row was written within seconds of its event, if its time is in the given zone.
    fn agree(&self, local: &str, written: &str) -> bool {
        let event = clock::event_time(local, &self.options.zone);
        let seconds = event.zip(clock::created_at(written));
        seconds.is_some_and(|(event, written)| event.0.abs_diff(written.0) <= WRITTEN_WITHIN_NS)
    }

    /// Local time and time of writing of the last rows.
    fn last_times(&self) -> rusqlite::Result<Vec<(String, String)>> {
        let sql = "SELECT event_timestamp, created_at FROM main.honey \
                   WHERE octet_length(event_timestamp) < 64 AND octet_length(created_at) < 64 \
                   ORDER BY honey_id DESC LIMIT ?1";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([OFFSET_ROWS], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }
}

/// By how many minutes the local time is ahead of UTC, if the row was written within seconds of its
/// event: zones lie quarters of an hour apart.
fn minutes_east(local: &str, written: &str) -> Option<i32> {
    const QUARTER_NS: i128 = 15 * 60 * 1_000_000_000;
    let local = clock::event_time(local, &Zone::default())?;
    let ahead = i128::from(local.0) - i128::from(clock::created_at(written)?.0);
    let quarters = (ahead + QUARTER_NS / 2).div_euclid(QUARTER_NS);
    let off = (ahead - quarters * QUARTER_NS).unsigned_abs();
    if off > WRITTEN_WITHIN_NS.into() { None } else { i32::try_from(quarters * 15).ok() }
}

/// A row's number as a place. Rows before the first are read from the beginning again.
fn place(id: i64) -> u64 {
    u64::try_from(id).unwrap_or_default()
}

type Read = Result<Imported, Reason>;

/// The event of a row, and how many bytes the row has.
fn event(row: &Row<'_>, options: &Options, place: u64) -> rusqlite::Result<(Read, usize)> {
    if row.get(1)? {
        return Ok((Err(Reason::LongText), 0));
    }
    let mut bytes = 0;
    let mut at = |column: usize| -> rusqlite::Result<Field<'_>> {
        let field = field(row.get_ref(column)?);
        bytes += field.as_deref().map_or(0, <[u8]>::len);
        Ok(field)
    };
    // The order of `schema::COLUMNS`.
    let fields = Fields {
        id: at(2)?,
        node_id: at(3)?,
        time: at(4)?,
        created_at: at(5)?,
        collected: at(6)?,
        transport: at(7)?,
        source: at(8)?,
        number: at(9)?,
        method: at(10)?,
        user_agent: at(11)?,
        message: at(12)?,
        ..Fields::default()
    };
    Ok((fields.read(&options.zone, options.origin, place), bytes))
}

/// SQLite keeps any kind of value in any column.
fn field(value: ValueRef<'_>) -> Field<'_> {
    match value {
        ValueRef::Null => None,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(Cow::Borrowed(bytes)),
        ValueRef::Integer(number) => Some(Cow::Owned(number.to_string().into_bytes())),
        ValueRef::Real(number) => Some(Cow::Owned(number.to_string().into_bytes())),
    }
}

/// Opens the file for reading; says what is wrong with it, if something is but some of it can be read.
///
/// On a disk that cannot be written to, SQLite can make no lock and no index of a write-ahead log;
/// nobody else writes to it there either, and it is told so.
fn connect(path: &Path) -> Result<(Connection, Option<String>), ImportError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = match prepare(Connection::open_with_flags(path, flags), Trust::Whole) {
        Err(error) if needs_to_write(&error) => {
            if let Some(beside) = unfinished(path) {
                return Err(ImportError::Unfinished { path: path.to_owned(), beside });
            }
            let flags = flags | OpenFlags::SQLITE_OPEN_URI;
            prepare(Connection::open_with_flags(immutable(path), flags), Trust::Whole)
        }
        Err(error) if is_damaged(&error) => {
            let opened = prepare(Connection::open_with_flags(path, flags), Trust::Cut);
            let opened = opened.map_err(|error| failure(path, 0, &error))?;
            return Ok((opened, Some(error.to_string())));
        }
        opened => opened,
    };
    let connection = opened.map_err(|error| failure(path, 0, &error))?;
    Ok((connection, None))
}

/// How much of a file must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    Whole,
    /// Its end may be missing, as after a copy that was interrupted.
    Cut,
}

/// Makes a connection safe for a file of which nothing is known, and reads its first page.
/// <https://www.sqlite.org/security.html>
fn prepare(opened: rusqlite::Result<Connection>, trust: Trust) -> rusqlite::Result<Connection> {
    let mut connection = opened?;
    connection.progress_handler(OPEN_STEPS, Some(|| true))?;
    connection.busy_timeout(Duration::from_millis(LOCKED_MS))?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, SQLITE_VALUE_BYTES_MAX)?;
    connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, DEFINITION_BYTES_MAX)?;
    connection.set_limit(Limit::SQLITE_LIMIT_COLUMN, COLUMNS_MAX)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // SQLite opens a file that is too short only for whoever could mend it. We cannot: it is open for
    // reading, and no statement but ours is run.
    let whole = trust == Trust::Whole;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, whole)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, !whole)?;
    connection.execute_batch("PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;")?;
    connection.query_row("SELECT 1 FROM main.sqlite_schema", [], |_| Ok(())).optional()?;
    connection.progress_handler(0, None::<fn() -> bool>)?;
    Ok(connection)
}

fn is_damaged(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
}

fn needs_to_write(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen))
}

/// What a write that was interrupted left beside the file.
fn unfinished(path: &Path) -> Option<PathBuf> {
    let beside = |suffix: &str| {
        let mut name = OsString::from(path);
        name.push(suffix);
        PathBuf::from(name)
    };
    let has_content = |path: &PathBuf| path.metadata().is_ok_and(|found| found.len() > 0);
    ["-journal", "-wal"].map(beside).into_iter().find(has_content)
}

/// The URI that tells SQLite that nobody changes the file. <https://www.sqlite.org/uri.html>
fn immutable(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        if plain(byte) { uri.push(byte.into()) } else { uri.push_str(&format!("%{byte:02x}")) }
    }
    uri + "?immutable=1"
}

fn out_of_order() -> rusqlite::Error {
    let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(corrupt, Some("its rows are out of order".to_owned()))
}

/// What an error of SQLite means for whoever imports the file.
pub(super) fn failure(path: &Path, place: u64, error: &rusqlite::Error) -> ImportError {
    let (path, what) = (path.to_owned(), error.to_string());
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ImportError::Locked { path },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::SystemIoFailure) => {
            ImportError::Damaged { path, place, what }
        }
        Some(ErrorCode::OperationInterrupted) => {
            ImportError::Schema { path, what: "it has hundreds of tables".to_owned() }
        }
        _ => ImportError::Sqlite { path, what },
    }
}
