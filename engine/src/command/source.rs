//! What an import reads: a file of events, or a database of this program.

use std::path::Path;

use sentrypeer_archive::import::{self, Format, ImportError};
use sentrypeer_archive::imported::Summary;
use sentrypeer_storage::event::Seq;
use sentrypeer_storage::identity::beside;
use sentrypeer_storage::limits::{IMPORT_EVENTS_MAX, LOG_READ_BYTES_MAX};
use sentrypeer_storage::{Options, maintain};
use uuid::Uuid;

use super::Failure;
use super::opened::Opened;
use crate::control::batch::Named;
use crate::control::charge::Charge;
use crate::control::documents::Events;
use crate::control::order::Order;

/// What an import reads.
pub(super) enum Source {
    /// An SQLite file, or a JSON log.
    File(Box<import::Import>),
    /// A database of this program, mostly a backup.
    Database(Box<Database>),
}

/// Some events, and from where to read on behind them.
pub(super) struct Batch {
    pub(super) place: u64,
    pub(super) events: Vec<Named>,
}

impl Source {
    /// As many events as may be handed over at once; none at the end.
    pub(super) fn batch(&mut self) -> Result<Option<Batch>, Failure> {
        match self {
            Self::File(file) => Ok(batch_of(file)),
            Self::Database(database) => database.batch(),
        }
    }

    /// How far it is read, and how far there is to read.
    pub(super) fn progress(&self) -> (u64, u64) {
        match self {
            Self::File(file) => file.progress(),
            Self::Database(database) => (database.at.0, database.last.0),
        }
    }

    /// What it is, in words.
    pub(super) fn format(&self) -> &'static str {
        match self {
            Self::File(file) => match file.format() {
                Format::SentryPeer4 => "SQLite of SentryPeer 4.x",
                Format::Honey => "SQLite of this program",
                Format::Json => "JSON lines",
                Format::JsonGzip => "JSON lines, gzip",
            },
            Self::Database(_) => "database of this program",
        }
    }

    /// What was read so far: events, those of them that were cut, and in words what was skipped.
    pub(super) fn so_far(&self) -> (u64, u64, String) {
        match self {
            Self::File(file) => {
                let Summary { events, cut, skipped, .. } = file.so_far();
                (*events, *cut, skipped.to_string())
            }
            Self::Database(database) => (
                database.read,
                0,
                match database.damaged {
                    0 => "nothing".to_owned(),
                    damaged => format!("{damaged} in damaged blocks"),
                },
            ),
        }
    }

    /// Why it ended before its end, if it did.
    pub(super) fn finish(self) -> Result<(), Failure> {
        match self {
            Self::File(file) => file.finish().map(drop).map_err(|error| refused(&error)),
            Self::Database(database) => database.opened.close(),
        }
    }
}

/// What is wrong with a file, and what to do.
pub(super) fn refused(error: &ImportError) -> Failure {
    let remedy = match error {
        ImportError::Place { .. } => "; read it from its beginning with --again",
        _ => "",
    };
    Failure::Refused(format!("{error}{remedy}"))
}

fn batch_of(file: &mut import::Import) -> Option<Batch> {
    let before = file.so_far().place;
    let mut events = Vec::new();
    let mut bytes = 0;
    while events.len() < IMPORT_EVENTS_MAX && bytes < LOG_READ_BYTES_MAX {
        match file.next() {
            Some(Ok(event)) => {
                bytes += event.message.len();
                events.push((event.id, event.into_stored()));
            }
            Some(Err(_)) => {}
            None => break,
        }
    }
    let place = file.so_far().place;
    (!events.is_empty() || place != before).then_some(Batch { place, events })
}

/// A database of this program that is read.
///
/// A copy of it is: opening a database as a node does counts again what a kill left to count, and lets
/// expire what is old, and the file that is imported is not to change. Its events are called by its
/// id and their places in it.
pub(super) struct Database {
    opened: Opened,
    at: Seq,
    last: Seq,
    read: u64,
    damaged: u64,
}

impl Database {
    /// The id of the database in a file.
    pub(super) fn id(path: &Path) -> Result<Uuid, Failure> {
        Ok(maintain::stats(path).map_err(Failure::refused)?.database_id)
    }

    /// Opens a copy, which is made beside `ours`, the database that takes the events.
    pub(super) fn open(path: &Path, id: Uuid, ours: &Path, after: u64) -> Result<Self, Failure> {
        let copy = beside(ours, &format!("import-{}", std::process::id()));
        maintain::backup(path, &copy).map_err(Failure::refused)?;
        let options = Options { retention_ns: u64::MAX, ..Options::new(&copy, id) };
        let opened = Opened::open(options);
        // Whoever has it open keeps it; whatever happens to us, it goes then.
        let _ = std::fs::remove_file(&copy);
        Ok(Self { opened: opened?, at: Seq(after), last: Seq(after), read: 0, damaged: 0 })
    }

    fn batch(&mut self) -> Result<Option<Batch>, Failure> {
        let order = Order::Events { after: self.at };
        let document =
            order.carry_out(&Charge::alone(self.opened.store.clone(), &self.opened.path));
        let document = document.map_err(|refusal| Failure::Refused(refusal.why))?;
        let some = Events::decode(&document).map_err(Failure::refused)?;
        self.last = some.last;
        self.damaged += some.damaged;
        let Some(last) = some.events.last() else { return Ok(None) };
        self.at = last.seq;
        self.read += some.events.len() as u64;
        let events = some.events.into_iter().map(|event| (event.id, event)).collect();
        Ok(Some(Batch { place: self.at.0, events }))
    }
}
