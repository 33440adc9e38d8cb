//! Why a database could not be opened, for the operator: which file, what is wrong, what to do.

use std::path::PathBuf;

/// The database was not opened. Nothing was changed on disk.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It was written by another version.
    #[error(
        "{}: this database has schema version {found}, and this program reads version {expected}; \
         use the version that wrote it, or name another file", path.display()
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u32,
        /// The version of this program.
        expected: u32,
    },
    /// It is a database of SentryPeer 4.x.
    #[error(
        "{}: this is an SQLite file, as SentryPeer 4.x writes: name another file with --db, and bring its \
         data along with `sentrypeer import {}`", path.display(), path.display()
    )]
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error(
        "{}: another process has this database open; stop it, or name another file", path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file or its folder refuses writes.
    #[error(
        "{}: cannot be written ({reason}); give the user who runs this program the right to write \
         the file and its folder, or name another file", path.display()
    )]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// Its folder does not exist.
    #[error("{}: the folder {} does not exist; create it", path.display(), folder.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// The folder that is missing.
        folder: PathBuf,
    },
    /// It is something else.
    #[error(
        "{}: this is not a database of this program ({reason}); name another file", path.display()
    )]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// How that was seen.
        reason: String,
    },
    /// It is a database, and part of it cannot be read.
    #[error(
        "{}: the database is damaged ({reason}); move it away to start with a new one, and keep it \
         if you want to save what is in it", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is damaged.
        reason: String,
    },
    /// Reading it failed.
    #[error("{}: cannot be read ({reason}); check the disk and the file's permissions", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}
