//! Reading a file of events.
//!
//! ```no_run
//! use sentrypeer_archive::import::{self, Options};
//!
//! let options = Options { zone: "Europe/London".parse()?, ..Options::default() };
//! let mut import = import::open("sentrypeer.db".as_ref(), &options)?;
//! for item in &mut import {
//!     match item {
//!         Ok(event) => println!("{} {}", event.id, event.source),
//!         Err(skipped) => eprintln!("{}: {:?}", skipped.place, skipped.reason),
//!     }
//! }
//! let summary = import.finish()?; // An error here: the file ended before its end.
//! println!("{} events, skipped {}", summary.events, summary.skipped);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "sqlite")]
mod honey;
mod json;
mod lines;
#[cfg(feature = "sqlite")]
mod schema;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::imported::{Imported, Reason, Skipped, Summary};
use crate::limits::HEAD_BYTES;
use crate::zone::Zone;

/// How a file is read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// From where: the place of the last event or skip that is done with; 0 is the beginning.
    pub after: u64,
    /// The time zone of the machine on which SentryPeer 4.x wrote the file. What tells its zone
    /// (RFC 3339, our own SQLite files) does not need it. Our own JSON log is in UTC unless it was set
    /// to local time.
    pub zone: Zone,
    /// Whose events are in it.
    pub origin: Origin,
}

/// Whose events are in a file, and so whether it is believed that a TCP or TLS event proves its source.
///
/// SentryPeer 4.x with `-p` writes into the same table and the same log what other nodes told it, and
/// those anybody can be. It takes another node id at every start, so nothing in the file tells its
/// own events from theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Perhaps others' as well: every event is unverified, whatever it says of its transport.
    #[default]
    Unknown,
    /// Only those of a node that did not listen to others: it had the connections that it wrote down,
    /// so TCP is `connected` and TLS is `tls`.
    Own,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An SQLite file that SentryPeer 4.x wrote.
    SentryPeer4,
    /// An SQLite file that this program wrote.
    Honey,
    /// A JSON log, one object a line.
    Json,
    /// The same, compressed by gzip.
    JsonGzip,
}

/// Why a file cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be opened, or the disk fails.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is a folder, a pipe or a device.
    #[error("{path} is no file", path = path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// It is a database of this program, or a backup of one: the storage reads it, not this crate.
    #[error("{path} is a database of this program", path = path.display())]
    OwnDatabase {
        /// The file.
        path: PathBuf,
    },
    /// It is none of the formats that are read.
    #[error(
        "{path} is neither an SQLite file of SentryPeer, nor a JSON log (one object a line; gzip may \
         be around it), nor a database of this program",
        path = path.display()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// It is an SQLite file, and this program was built without SQLite.
    #[error(
        "{path} is an SQLite file, and this program was built without the feature \"sqlite\"",
        path = path.display()
    )]
    NotBuilt {
        /// The file.
        path: PathBuf,
    },
    /// It is an SQLite file of something else.
    #[error("{path} is no SQLite file of SentryPeer: {what}", path = path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong.
        what: String,
    },
    /// The place to read on from is not in this file.
    #[error(
        "{path} has no line that begins at byte {after}: it is another file, or it was rotated or cut",
        path = path.display()
    )]
    Place {
        /// The file.
        path: PathBuf,
        /// The place.
        after: u64,
    },
    /// It ends or is damaged in the middle. What stands before was read.
    #[error("{path} is damaged after place {place}: {what}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The place of the last event or skip that was read.
        place: u64,
        /// What is wrong with it.
        what: String,
    },
    /// Somebody else had it locked for [`crate::limits::LOCKED_MS`].
    #[error("{path} is locked by another program; try again", path = path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// Whoever wrote it was interrupted, and finishing needs a disk that can be written to.
    #[error(
        "{path} was being written when its program or machine stopped, and {beside} beside it holds \
         the rest; copy both to a disk that can be written to, and there run: \
         sqlite3 {path} 'PRAGMA quick_check'",
        path = path.display(), beside = beside.display()
    )]
    Unfinished {
        /// The file.
        path: PathBuf,
        /// Its journal or write-ahead log.
        beside: PathBuf,
    },
    /// SQLite cannot read it for another reason.
    #[error("{path}: SQLite: {what}", path = path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        what: String,
    },
}

/// A file that is being read: an iterator over its events, and over what is none. See [`open`].
///
/// Each item has a place from which the file can be read on after it.
#[must_use]
pub struct Import {
    file: Reader,
    summary: Summary,
    failed: Option<ImportError>,
}

enum Reader {
    Json(json::Log),
    #[cfg(feature = "sqlite")]
    Honey(honey::Table),
}

/// An event, or what is none.
pub type Item = Result<Imported, Skipped>;

/// Opens a file, whose format is told by its content.
///
/// # Errors
///
/// [`ImportError`]: it cannot be opened, or is no file of events, or has no such place.
pub fn open(path: &Path, options: &Options) -> Result<Import, ImportError> {
    let io_error = |error| ImportError::Io { path: path.to_owned(), error };
    if !path.metadata().map_err(io_error)?.is_file() {
        return Err(ImportError::NotAFile { path: path.to_owned() });
    }
    let head = head(File::open(path).map_err(io_error)?).map_err(io_error)?;
    let file = match Kind::of(&head) {
        Kind::Sqlite => sqlite(path, options)?,
        Kind::Redb => return Err(ImportError::OwnDatabase { path: path.to_owned() }),
        Kind::Lines => Reader::Json(json::Log::open(path, options, Format::Json)?),
        Kind::Gzip => Reader::Json(json::Log::open(path, options, Format::JsonGzip)?),
        Kind::Other => return Err(ImportError::Unknown { path: path.to_owned() }),
    };
    let summary = Summary { place: options.after, ..Summary::default() };
    Ok(Import { file, summary, failed: None })
}

#[cfg(feature = "sqlite")]
fn sqlite(path: &Path, options: &Options) -> Result<Reader, ImportError> {
    Ok(Reader::Honey(honey::Table::open(path, options)?))
}

#[cfg(not(feature = "sqlite"))]
fn sqlite(path: &Path, _: &Options) -> Result<Reader, ImportError> {
    Err(ImportError::NotBuilt { path: path.to_owned() })
}

impl Import {
    /// What the file is.
    #[must_use]
    pub fn format(&self) -> Format {
        match &self.file {
            Reader::Json(log) => log.format(),
            #[cfg(feature = "sqlite")]
            Reader::Honey(table) => table.format(),
        }
    }

    /// How far it is read, and how far there is to read, for a progress bar: rows of a table, bytes
    /// of a log (as they are on the disk). The second is an estimate, as of when the file was opened.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        match &self.file {
            Reader::Json(log) => log.progress(),
            #[cfg(feature = "sqlite")]
            Reader::Honey(table) => (self.summary.place, table.rows()),
        }
    }

    /// The zone in which the file's times seem to be, if that is another than the one that was given:
    /// SentryPeer 4.x writes beside each event's local time when its row was written, in UTC.
    ///
    /// `None`: they agree, or the file does not tell.
    #[must_use]
    pub fn zone_instead(&self) -> Option<Zone> {
        match &self.file {
            Reader::Json(_) => None,
            #[cfg(feature = "sqlite")]
            Reader::Honey(table) => table.zone_instead(),
        }
    }

    /// What was read so far.
    #[must_use]
    pub fn so_far(&self) -> &Summary {
        &self.summary
    }

    /// What was read in all.
    ///
    /// # Errors
    ///
    /// Why the iterator ended before the end of the file: [`ImportError::Damaged`],
    /// [`ImportError::Io`], [`ImportError::Locked`] and the like. What it gave before holds.
    pub fn finish(self) -> Result<Summary, ImportError> {
        self.failed.map_or(Ok(self.summary), Err)
    }
}

impl Iterator for Import {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if self.failed.is_some() {
            return None;
        }
        let read = match &mut self.file {
            Reader::Json(log) => log.next(),
            #[cfg(feature = "sqlite")]
            Reader::Honey(table) => table.next(),
        };
        let item = read.unwrap_or_else(|error| {
            self.failed = Some(error);
            None
        })?;
        self.count(&item);
        Some(item)
    }
}

impl Import {
    fn count(&mut self, item: &Item) {
        match item {
            Ok(event) => {
                self.summary.events += 1;
                self.summary.cut += u64::from(event.cut);
                self.summary.place = event.place;
            }
            Err(skipped) => {
                self.summary.skipped.add(skipped.reason);
                self.summary.place = skipped.place;
            }
        }
    }
}

/// A file by how it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Redb,
    Lines,
    Gzip,
    Other,
}

impl Kind {
    fn of(head: &[u8]) -> Self {
        // https://www.sqlite.org/fileformat.html, section 1.3.1.
        if head.starts_with(b"SQLite format 3\0") {
            return Self::Sqlite;
        }
        if head.starts_with(b"redb\x1a\n\xa9\r\n") {
            return Self::Redb;
        }
        // RFC 1952, section 2.3.1: the two bytes of gzip, and its one method.
        if head.starts_with(b"\x1f\x8b\x08") {
            return if has_object(&unpacked(head)) { Self::Gzip } else { Self::Other };
        }
        // A log to which nothing was written yet is one.
        if head.is_empty() || has_object(head) { Self::Lines } else { Self::Other }
    }
}

/// Whether a line begins with an object. The first may be the rest of a line that was cut.
fn has_object(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    head.split(|byte| *byte == b'\n').any(|line| line.trim_ascii_start().starts_with(b"{"))
}

/// The first bytes of what gzip holds; fewer if the head does not hold more.
fn unpacked(head: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::new();
    // The head ends in the middle of the file, which is an error behind what was unpacked.
    let _ = MultiGzDecoder::new(head).take(HEAD_BYTES as u64).read_to_end(&mut unpacked);
    unpacked
}

fn head(file: impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// What reads a row or a line gives: its event, or why there is none, at its place.
fn item(read: Result<Imported, Reason>, place: u64) -> Item {
    read.map_err(|reason| Skipped { place, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_how_it_begins() {
        for (head, kind) in [
            (b"SQLite format 3\0more".as_slice(), Kind::Sqlite),
            (b"SQLite format 3", Kind::Other),
            (b"redb\x1a\n\xa9\r\n\0", Kind::Redb),
            (b"", Kind::Lines),
            (b"{\"event_uuid\":", Kind::Lines),
            (b"\xef\xbb\xbf {", Kind::Lines),
            (b"st of a line\"}\n{\"event_uuid\"", Kind::Lines),
            (b"\0\0\0\0", Kind::Other),
            (b"[{}]", Kind::Other),
            (b"\x1f\x8b\x08 no gzip", Kind::Other),
            (b"id,time\n1,2\n", Kind::Other),
        ] {
            assert_eq!(Kind::of(head), kind, "{}", head.escape_ascii());
        }
    }
}
