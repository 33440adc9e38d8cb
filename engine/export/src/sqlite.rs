//! The SQLite file: the table `honey` of SentryPeer 4.x, kept up to date.
//!
//! The file holds a cursor of its own, moved by the transaction that adds the rows, and a row is added only if its
//! event is not there yet. So every event is there once, whatever happened: after a loss of power, or
//! when the file was taken away, reading goes on from the file's cursor, not from ours.

use std::path::PathBuf;
use std::time::Instant;

use sentrypeer_archive::honey::{Form, HoneyError, HoneyFile, Move, SourceForm};
use sentrypeer_storage::event::{Seq, Time};
use uuid::Uuid;

use crate::batch::{Batch, Delivery, Failure};
use crate::limits::{SQLITE_EXPIRE_INTERVAL, SQLITE_EXPIRE_ROWS};

/// Where the file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file. It is made when it does not exist; its folder is not.
    pub path: PathBuf,
    /// The node that collects the events.
    pub node_id: Uuid,
    /// Whether a source is written with its port, as SentryPeer 4.x does.
    pub with_port: bool,
}

/// The name of the cursor in the file: a file has one writer.
const CURSOR: &str = "sentrypeer";

/// The file at work.
#[derive(Debug)]
pub(crate) struct Sqlite {
    settings: Settings,
    open: Option<HoneyFile>,
    expired: Option<Instant>,
}

impl Sqlite {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, open: None, expired: None }
    }

    pub(crate) fn target(&self) -> String {
        self.settings.path.display().to_string()
    }

    /// The last event that is in the file.
    pub(crate) fn place(&mut self) -> Result<Seq, Failure> {
        let cursor = self.file().and_then(|file| file.cursor(CURSOR));
        Ok(cursor.map_err(|error| failure(&error))?.unwrap_or_default())
    }

    pub(crate) fn send(&mut self, batch: &Batch<'_>) -> Delivery {
        let to = batch.events.last().map(|event| event.seq);
        let cursor = to.map(|to| Move { name: CURSOR, to });
        match self.file().and_then(|file| file.append(batch.events, cursor)) {
            Ok(_) => Delivery::all(batch),
            Err(error) => {
                self.open = None;
                Delivery::up_to(0, failure(&error))
            }
        }
    }

    /// Removes rows that are older than the retention, now and then and not many at a time.
    pub(crate) fn expire(&mut self, before: Time) -> Result<(), Failure> {
        if self.expired.is_some_and(|at| at.elapsed() < SQLITE_EXPIRE_INTERVAL) {
            return Ok(());
        }
        let removed = self.file().and_then(|file| file.remove_before(before, SQLITE_EXPIRE_ROWS));
        // As many as may be: there are more, and the next round goes on.
        let is_all = removed.map_err(|error| failure(&error))? < SQLITE_EXPIRE_ROWS as usize;
        self.expired = is_all.then(Instant::now);
        Ok(())
    }

    /// Leaves a file that needs no other beside it.
    pub(crate) fn close(&mut self) {
        if let Some(file) = self.open.take()
            && let Err(error) = file.close()
        {
            log::warn!("{error}");
        }
    }

    fn file(&mut self) -> Result<&mut HoneyFile, HoneyError> {
        let file = match self.open.take() {
            Some(file) => file,
            None => HoneyFile::open(&self.settings.path, self.form())?,
        };
        Ok(self.open.insert(file))
    }

    fn form(&self) -> Form {
        let source = match self.settings.with_port {
            true => SourceForm::AddressAndPort,
            false => SourceForm::Address,
        };
        Form { node_id: self.settings.node_id, source }
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.close();
    }
}

fn failure(error: &HoneyError) -> Failure {
    Failure::new(error.to_string())
}
