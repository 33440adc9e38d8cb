//! Writing events to a file or a pipe, one after the other.
//!
//! Nothing waits in memory but what one page, row group or transaction holds ([`crate::limits`]).

pub mod columns;
mod csv;
mod json;
mod parquet;
mod thrift;

use std::fmt;
use std::io::{self, Write};
#[cfg(feature = "sqlite")]
use std::path::Path;
use std::str::FromStr;

use sentrypeer_storage::event_json::Producer;
use sentrypeer_storage::log::StoredEvent;

#[cfg(feature = "sqlite")]
use crate::honey::{Form, HoneyError, HoneyFile, SourceForm};
#[cfg(feature = "sqlite")]
use crate::limits::{EXPORT_BYTES, EXPORT_ROWS};

/// A format in which events leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The lines of the JSON log.
    Json,
    /// RFC 4180, with a header.
    Csv,
    /// The table of SentryPeer 4.x, in a file of its own.
    Sqlite,
    /// Apache Parquet, columns of types.
    Parquet,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Json, Self::Csv, Self::Sqlite, Self::Parquet];

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Sqlite => "sqlite",
            Self::Parquet => "parquet",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no format {0:?}; the formats are json, csv, sqlite and parquet")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let found = Self::ALL.into_iter().find(|format| format.name() == text);
        found.ok_or_else(|| UnknownFormat(text.to_owned()))
    }
}

/// Why events cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The other side takes no more.
    #[error("cannot write: {0}")]
    Io(#[from] io::Error),
    /// SQLite writes to a file that it can seek in, not to a pipe.
    #[error("the format sqlite needs a file to write to, not a pipe or the terminal")]
    NeedsFile,
    /// The program was built without this format.
    #[error("this program was built without the feature \"{feature}\", which {format} needs")]
    NotBuilt {
        /// The format.
        format: Format,
        /// The cargo feature that it needs.
        feature: &'static str,
    },
    /// The SQLite file cannot be opened or written.
    #[cfg(feature = "sqlite")]
    #[error(transparent)]
    Sqlite(#[from] HoneyError),
}

/// Writes events in one format.
///
/// [`Writer::finish`] must be called: what is only dropped is not whole.
#[must_use]
pub struct Writer<W: Write> {
    kind: Kind<W>,
    producer: Producer,
    events: u64,
}

enum Kind<W: Write> {
    Json(json::Lines<W>),
    Csv(Box<csv::Table<W>>),
    Parquet(Box<parquet::File<W>>),
    #[cfg(feature = "sqlite")]
    Sqlite(Batches),
}

impl<W: Write> Writer<W> {
    /// Writes to `out`, for which a buffer of some KiB is a good idea.
    ///
    /// # Errors
    ///
    /// [`ExportError::NeedsFile`] for [`Format::Sqlite`], which [`Writer::sqlite`] writes, and what `out`
    /// says to the first bytes.
    pub fn new(format: Format, out: W, producer: Producer) -> Result<Self, ExportError> {
        let kind = match format {
            Format::Json => Kind::Json(json::Lines::new(out)),
            Format::Csv => Kind::Csv(Box::new(csv::Table::new(out)?)),
            Format::Parquet => Kind::Parquet(Box::new(parquet::File::new(out)?)),
            Format::Sqlite if cfg!(feature = "sqlite") => return Err(ExportError::NeedsFile),
            Format::Sqlite => return Err(ExportError::NotBuilt { format, feature: "sqlite" }),
        };
        Ok(Self { kind, producer, events: 0 })
    }

    /// Writes to an SQLite file, which is made, or was written by this program before: then events are
    /// added that are not there yet.
    ///
    /// # Errors
    ///
    /// [`ExportError::Sqlite`]: see [`HoneyFile::open`].
    #[cfg(feature = "sqlite")]
    pub fn sqlite(
        path: &Path,
        source: SourceForm,
        producer: Producer,
    ) -> Result<Self, ExportError> {
        let file = HoneyFile::open(path, Form { node_id: producer.node_id, source })?;
        Ok(Self { kind: Kind::Sqlite(Batches::new(file)), producer, events: 0 })
    }

    /// Writes one event.
    ///
    /// # Errors
    ///
    /// [`ExportError::Io`] or [`ExportError::Sqlite`].
    pub fn write(&mut self, event: &StoredEvent) -> Result<(), ExportError> {
        match &mut self.kind {
            Kind::Json(lines) => lines.write(event, &self.producer)?,
            Kind::Csv(table) => table.write(event, &self.producer)?,
            Kind::Parquet(file) => file.write(event, &self.producer)?,
            #[cfg(feature = "sqlite")]
            Kind::Sqlite(batches) => batches.write(event)?,
        }
        self.events += 1;
        Ok(())
    }

    /// Writes what waits, and the end; says how many events were written.
    ///
    /// # Errors
    ///
    /// As [`Writer::write`].
    pub fn finish(self) -> Result<u64, ExportError> {
        match self.kind {
            Kind::Json(lines) => lines.finish()?,
            Kind::Csv(table) => table.finish()?,
            Kind::Parquet(file) => file.finish()?,
            #[cfg(feature = "sqlite")]
            Kind::Sqlite(batches) => batches.finish()?,
        }
        Ok(self.events)
    }
}

/// Events on their way into an SQLite file, many to a transaction.
#[cfg(feature = "sqlite")]
struct Batches {
    file: HoneyFile,
    waiting: Vec<StoredEvent>,
    bytes: usize,
}

#[cfg(feature = "sqlite")]
impl Batches {
    fn new(file: HoneyFile) -> Self {
        Self { file, waiting: Vec::new(), bytes: 0 }
    }

    fn write(&mut self, event: &StoredEvent) -> Result<(), HoneyError> {
        self.waiting.push(event.clone());
        self.bytes += event.message.len();
        if self.waiting.len() < EXPORT_ROWS && self.bytes < EXPORT_BYTES {
            return Ok(());
        }
        self.append()
    }

    fn append(&mut self) -> Result<(), HoneyError> {
        self.file.append(&self.waiting, None)?;
        self.waiting.clear();
        self.bytes = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<(), HoneyError> {
        self.append()?;
        self.file.close()
    }
}
