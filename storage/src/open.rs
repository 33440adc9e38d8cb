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
use crate::snapshot::BucketKey;
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
    } else {
        upgrade(path, &db)?;
    }
    Ok(db)
}

/// Opens a database without ever changing its file; what is written stays in memory.
pub(crate) fn open_unchanged(path: &Path, cache_bytes: usize) -> Result<Database, OpenError> {
    let file = open_file(path)?;
    if look(path, &file, cache_bytes)? {
        return Err(not_a_database(path, "it is empty"));
    }
    let db = through_overlay(path, &file, cache_bytes)?;
    upgrade(path, &db)?;
    Ok(db)
}

fn upgrade(path: &Path, db: &Database) -> Result<(), OpenError> {
    let found = tables::schema(db).map_err(|error| open_error(path, error))?;
    tables::upgrade(db, found.unwrap_or(tables::SCHEMA)).map_err(|error| open_error(path, error))
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
        Ok(Some(tables::SCHEMA_OLDEST..=tables::SCHEMA)) => Ok(false),
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
    let origin = Origin { database_id: Uuid::new_v4(), bucket_key: BucketKey([low, high]) };
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
        // So redb says that a file is not one of its own, or was cut.
        Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            not_a_database(path, &error.to_string())
        }
        Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            OpenError::Damaged { path: owned, reason: "its end is missing".to_owned() }
        }
        Error::Io(error) => io_error(path, error),
        other => OpenError::Io { path: owned, reason: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use redb::TableDefinition;
    use tempfile::TempDir;

    use super::*;

    fn options(folder: &TempDir) -> Options {
        Options::new(folder.path().join("test.redb"), Uuid::nil())
    }

    /// The error of an opening that changes no byte of the file.
    fn refused(path: &Path) -> OpenError {
        let before = std::fs::read(path).unwrap();
        let error = open(&Options::new(path, Uuid::nil()), Opening::First).unwrap_err();
        assert_eq!(before, std::fs::read(path).unwrap(), "the file was changed");
        assert!(error.to_string().contains("test.redb"), "{error}");
        error
    }

    fn set_schema(db: &Database, schema: u32) {
        let write = db.begin_write().unwrap();
        {
            let mut meta = write.open_table(TableDefinition::<&str, &[u8]>::new("meta")).unwrap();
            meta.insert("schema", &schema.to_le_bytes()[..]).unwrap();
        }
        write.commit().unwrap();
    }

    #[test]
    fn a_new_database_is_private_and_opens_again() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder);
        let id = tables::origin(&open(&options, Opening::First).unwrap()).unwrap().database_id;
        let mode = std::fs::metadata(&options.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        let again = open(&options, Opening::First).unwrap();
        assert_eq!(tables::origin(&again).unwrap().database_id, id);
    }

    #[test]
    fn an_empty_file_becomes_a_database() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder);
        File::create(&options.path).unwrap();
        assert!(open(&options, Opening::Again).is_err());
        drop(open(&options, Opening::First).unwrap());
        open(&options, Opening::Again).unwrap();
    }

    #[test]
    fn a_file_that_has_gone_is_not_made_again() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(open(&options(&folder), Opening::Again), Err(OpenError::Io { .. })));
        assert!(!options(&folder).path.exists());
    }

    #[test]
    fn an_sqlite_file_is_refused_with_what_to_do_about_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = options(&folder).path;
        std::fs::write(&path, [b"SQLite format 3\0".as_slice(), &[7; 5000]].concat()).unwrap();
        let error = refused(&path);
        assert!(matches!(error, OpenError::Sqlite { .. }));
        assert!(error.to_string().contains("name another file with --db"), "{error}");
    }

    #[test]
    fn a_foreign_or_broken_file_is_refused_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = options(&folder).path;
        for content in [vec![0; 9], b"redb".to_vec(), b"hello\n".to_vec(), vec![0xaa; 100_000]] {
            std::fs::write(&path, content).unwrap();
            let error = refused(&path);
            assert!(
                matches!(error, OpenError::NotADatabase { .. } | OpenError::Damaged { .. }),
                "{error:?}"
            );
        }
        let error = open(&Options::new(folder.path(), Uuid::nil()), Opening::First).unwrap_err();
        assert!(matches!(error, OpenError::NotADatabase { .. }), "{error:?}");
    }

    #[test]
    fn a_database_of_another_program_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = options(&folder).path;
        let db = Database::create(&path).unwrap();
        let write = db.begin_write().unwrap();
        write.open_table(TableDefinition::<u64, u64>::new("theirs")).unwrap();
        write.commit().unwrap();
        drop(db);
        assert!(matches!(refused(&path), OpenError::NotADatabase { .. }));
    }

    #[test]
    fn another_schema_version_is_refused_also_after_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder);
        let db = open(&options, Opening::First).unwrap();
        set_schema(&db, 99);
        // As kill -9 leaves it: marked as open.
        let crashed = folder.path().join("crashed-test.redb");
        std::fs::copy(&options.path, &crashed).unwrap();
        drop(db);
        for path in [&options.path, &crashed] {
            let error = refused(path);
            assert!(
                matches!(error, OpenError::Schema { found: 99, expected: tables::SCHEMA, .. }),
                "{error:?}"
            );
        }
    }

    #[test]
    fn a_database_in_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder);
        let _db = open(&options, Opening::First).unwrap();
        assert!(matches!(refused(&options.path), OpenError::InUse { .. }));
        let error = open_unchanged(&options.path, options.cache_bytes).err();
        assert!(matches!(error, Some(OpenError::InUse { .. })));
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let options = Options::new(missing.join("test.redb"), Uuid::nil());
        let error = open(&options, Opening::First).unwrap_err();
        assert!(matches!(&error, OpenError::NoFolder { folder, .. } if *folder == missing));
        assert!(!missing.exists());
    }

    #[test]
    fn an_unwritable_folder_or_file_is_named() {
        // Root may write anywhere but in /proc and /sys.
        let error = open(&Options::new("/sys/kernel/test.redb", Uuid::nil()), Opening::First);
        assert!(matches!(error, Err(OpenError::Unwritable { .. })), "{error:?}");
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder);
        drop(open(&options, Opening::First).unwrap());
        std::fs::set_permissions(&options.path, PermissionsExt::from_mode(0o400)).unwrap();
        if OpenOptions::new().write(true).open(&options.path).is_err() {
            assert!(matches!(refused(&options.path), OpenError::Unwritable { .. }));
        }
    }

    #[test]
    fn reading_unchanged_repairs_in_memory_only() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder);
        let db = open(&options, Opening::First).unwrap();
        let crashed = folder.path().join("crashed-test.redb");
        std::fs::copy(&options.path, &crashed).unwrap();
        let before = std::fs::read(&crashed).unwrap();
        let copy = open_unchanged(&crashed, options.cache_bytes).unwrap();
        let ids = [&db, &copy].map(|db| tables::origin(db).unwrap().database_id);
        assert_eq!(ids[0], ids[1]);
        drop(copy);
        assert_eq!(before, std::fs::read(&crashed).unwrap());
    }
}
