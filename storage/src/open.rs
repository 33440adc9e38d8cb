//! Opening the database file, without changing anything that is not ours.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database, Error};
use uuid::Uuid;

use crate::identity::{beside, sync_folder};
use crate::open_error::OpenError;
use crate::overlay::Overlay;
use crate::snapshot::ShardKey;
use crate::store::Options;
use crate::tables::{self, Origin};

/// Which opening it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// The first of the process: a file that does not exist is made.
    First,
    /// After the disk failed: a file that has gone is not made again.
    Again,
}

/// Opens a database, or makes it when there is no file.
///
/// The file is looked at first, through [`Overlay`], so that nothing is changed when it is refused.
pub(crate) fn open(options: &Options, opening: Opening) -> Result<Database, OpenError> {
    let (path, cache_bytes) = (&options.path, options.cache_bytes);
    if opening == Opening::First && !path.exists() {
        create(path, cache_bytes)?;
    }
    let file = open_file(path)?;
    let is_new = look(path, &file, cache_bytes)?;
    if is_new && opening == Opening::Again {
        return Err(not_a_database(path, "it is empty"));
    }
    let db = through_file(path, file, cache_bytes)?;
    if is_new {
        initialise(path, &db)?;
    }
    Ok(db)
}

/// Opens a database without ever changing its file; what is written stays in memory.
pub(crate) fn open_unchanged(path: &Path, cache_bytes: usize) -> Result<Database, OpenError> {
    let file = open_file(path)?;
    if look(path, &file, cache_bytes)? {
        return Err(not_a_database(path, "it is empty"));
    }
    through_overlay(path, &file, cache_bytes)
}

fn builder(cache_bytes: usize) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    builder
}

fn open_file(path: &Path) -> Result<File, OpenError> {
    if path.is_dir() {
        return Err(not_a_database(path, "it is a folder"));
    }
    OpenOptions::new().read(true).write(true).open(path).map_err(|error| io_error(path, error))
}

/// Looks at a file before redb may write to it. Whether it is new, that is, has no table yet.
fn look(path: &Path, file: &File, cache_bytes: usize) -> Result<bool, OpenError> {
    let mut head = Vec::new();
    file.take(16).read_to_end(&mut head).map_err(|error| io_error(path, error))?;
    if head.is_empty() {
        return Ok(true);
    }
    if head == b"SQLite format 3\0" {
        return Err(OpenError::Sqlite { path: path.to_owned() });
    }
    if !head.starts_with(b"redb") {
        return Err(not_a_database(path, "it does not begin like one"));
    }
    let db = through_overlay(path, file, cache_bytes)?;
    match tables::schema(&db) {
        Ok(None) => Ok(true),
        Ok(Some(tables::SCHEMA)) => Ok(false),
        Ok(Some(found)) => {
            let expected = tables::SCHEMA;
            Err(OpenError::Schema { path: path.to_owned(), found, expected })
        }
        Err(Error::TableDoesNotExist(_) | Error::TableTypeMismatch { .. }) => {
            Err(not_a_database(path, "it is a redb database of another program"))
        }
        Err(error) => Err(open_error(path, error)),
    }
}

fn through_overlay(path: &Path, file: &File, cache_bytes: usize) -> Result<Database, OpenError> {
    let overlay = file.try_clone().and_then(Overlay::new).map_err(|error| io_error(path, error))?;
    let opened = builder(cache_bytes).create_with_backend(overlay);
    opened.map_err(|error| open_error(path, error.into()))
}

fn through_file(path: &Path, file: File, cache_bytes: usize) -> Result<Database, OpenError> {
    let opened =
        FileBackend::new(file).and_then(|file| builder(cache_bytes).create_with_backend(file));
    opened.map_err(|error| open_error(path, error.into()))
}

/// Makes the tables of a database that has none.
fn initialise(path: &Path, db: &Database) -> Result<(), OpenError> {
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(|error| io_error(path, io::Error::other(error)))?;
    let (low, high) = Uuid::from_bytes(key).as_u64_pair();
    let origin = Origin { database_id: Uuid::new_v4(), shard_key: ShardKey([low, high]) };
    tables::initialise(db, origin).map_err(|error| open_error(path, error))
}

/// Makes a database: under another name first, so that it is there whole or not at all.
fn create(path: &Path, cache_bytes: usize) -> Result<(), OpenError> {
    let new = beside(path, &format!("new-{}", std::process::id()));
    let made = create_as(&new, path, cache_bytes);
    // After a success this name is one too many, after a failure it should not stay.
    let _ = std::fs::remove_file(&new);
    made
}

fn create_as(new: &Path, path: &Path, cache_bytes: usize) -> Result<(), OpenError> {
    let failed = |error| creation_error(path, error);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(new)
        .map_err(failed)?;
    let db = through_file(path, file, cache_bytes)?;
    initialise(path, &db)?;
    drop(db);
    // Unlike a rename, a link never replaces what another process has just made there.
    match std::fs::hard_link(new, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(_) => std::fs::rename(new, path).map_err(failed)?,
        Ok(()) => {}
    }
    sync_folder(path).map_err(failed)
}

fn creation_error(path: &Path, error: io::Error) -> OpenError {
    if error.kind() == io::ErrorKind::NotFound {
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        return OpenError::NoFolder { path: path.to_owned(), folder };
    }
    io_error(path, error)
}

fn not_a_database(path: &Path, reason: &str) -> OpenError {
    OpenError::NotADatabase { path: path.to_owned(), reason: reason.to_owned() }
}

fn io_error(path: &Path, error: io::Error) -> OpenError {
    let path: PathBuf = path.to_owned();
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::Unwritable { path, reason: error }
        }
        _ => OpenError::Io { path, reason: error.to_string() },
    }
}

/// What a failure of redb means for the operator.
pub(crate) fn open_error(path: &Path, error: Error) -> OpenError {
    let owned = path.to_owned();
    match error {
        Error::DatabaseAlreadyOpen | Error::LockProtocolMismatch => {
            OpenError::InUse { path: owned }
        }
        Error::UpgradeRequired(version) => {
            not_a_database(path, &format!("its file format is version {version} of redb"))
        }
        Error::Corrupted(reason) => OpenError::Damaged { path: owned, reason },
        Error::Io(error) => io_error(path, error),
        other => OpenError::Io { path: owned, reason: other.to_string() },
    }
}
