//! The database of a node that does not run, opened as the node itself would.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sentrypeer_storage::intake::{self, ShardIntake};
use sentrypeer_storage::{self as storage, Options, Phase, Store, WriterThread, identity};

use super::Failure;
use crate::config::Config;
use crate::context;
use crate::limits::OPEN_PATIENCE_MS;

/// An open database with a writer of its own.
pub(super) struct Opened {
    pub(super) store: Store,
    /// The database.
    pub(super) path: PathBuf,
    /// The writer ends when nobody can hand it events any more.
    shards: Vec<ShardIntake>,
    thread: WriterThread,
}

impl Opened {
    /// Opens the configured database, and waits until everything in it is known.
    pub(super) fn of_node(config: &Config) -> Result<Self, Failure> {
        if !config.db.exists() {
            return Err(Failure::NoNode(config.db.display().to_string()));
        }
        Self::or_new(config)
    }

    /// The same; a database that does not exist is made.
    pub(super) fn or_new(config: &Config) -> Result<Self, Failure> {
        let identity = identity::load_or_create(&config.db).map_err(Failure::refused)?;
        Self::open(context::storage_options(config, &identity))
    }

    /// Opens a database with a writer of its own, and waits until everything in it is known.
    pub(super) fn open(options: Options) -> Result<Self, Failure> {
        let path = options.path.clone();
        let (shards, writer_end) = intake::channel(1);
        let (store, thread) = storage::start(options, writer_end);
        let opened = Self { store, path: path.clone(), shards, thread };
        let deadline = Instant::now() + Duration::from_millis(OPEN_PATIENCE_MS);
        while !opened.is_ready()
            && !matches!(opened.store.phase(), Phase::Failed | Phase::Stopped)
            && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        if opened.is_ready() {
            return Ok(opened);
        }
        opened.close()?;
        let patience_s = OPEN_PATIENCE_MS / 1_000;
        let path = path.display();
        Err(Failure::Refused(format!("{path}: the database was not ready within {patience_s} s")))
    }

    /// Whether everything in it is known, and its log can be read: one comes shortly before the other.
    fn is_ready(&self) -> bool {
        self.store.snapshot().is_some() && self.store.log().is_some()
    }

    /// Stores what is left to store.
    pub(super) fn close(self) -> Result<(), Failure> {
        drop(self.shards);
        self.thread.join().map_err(Failure::refused)
    }
}
