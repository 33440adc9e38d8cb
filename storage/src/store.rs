//! The readers' handle: what the writer publishes, without locks.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use crossbeam_channel::{Receiver, Sender, bounded};
use redb::Database;
use uuid::Uuid;

use crate::cursor::Cursors;
use crate::event::Seq;
use crate::limits::{CACHE_BYTES, ORDERS_MAX, RETENTION_NS, ROLLUP_HOURS};
use crate::log::{Log, LogError};
use crate::order::Order;
use crate::rollup::{self, Hour, HourCounts};
use crate::snapshot::Snapshot;
use crate::view::View;

/// What the writer is to open, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database file. It is made when it does not exist; its folder is not.
    pub path: PathBuf,
    /// The node that collects.
    pub node_id: Uuid,
    /// Age at which events and rows expire, in ns.
    pub retention_ns: u64,
    /// Age at which the messages of events go, in ns; more than `retention_ns` means with the events.
    pub messages_ns: u64,
    /// What the blocks of the log may take in the file, in bytes. Beyond it the oldest messages go first,
    /// and then the oldest events, with their counts.
    pub log_bytes_max: u64,
    /// How many hours are counted apart, at most [`crate::limits::ROLLUP_HOURS_MAX`].
    pub rollup_hours: u32,
    /// Memory that the database may use to keep pages, in bytes.
    pub cache_bytes: usize,
}

impl Options {
    /// The defaults: 7 days, and [`CACHE_BYTES`].
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, node_id: Uuid) -> Self {
        Self {
            path: path.into(),
            node_id,
            retention_ns: RETENTION_NS,
            messages_ns: u64::MAX,
            log_bytes_max: u64::MAX,
            rollup_hours: ROLLUP_HOURS,
            cache_bytes: CACHE_BYTES,
        }
    }
}

/// What the writer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Phase {
    /// It opens the database.
    Opening,
    /// It counts what the rows did not include when the process last ended.
    Replaying,
    /// It stores what comes.
    Ready,
    /// The disk refuses writes. What is published stays; nothing new is taken until it recovers.
    Degraded,
    /// The database could not be opened, or the writer died.
    Failed,
    /// It has stored everything and ended.
    Stopped,
}

impl Phase {
    const ALL: [Self; 6] =
        [Self::Opening, Self::Replaying, Self::Ready, Self::Degraded, Self::Failed, Self::Stopped];

    /// One word for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Replaying => "replaying",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// A number that the writer sets and anybody reads.
#[derive(Debug, Default)]
pub struct Stat(AtomicU64);

impl Stat {
    /// The number now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, to: u64) {
        self.0.store(to, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn max(&self, other: u64) {
        self.0.fetch_max(other, Ordering::Relaxed);
    }
}

/// What the writer has done since the process started.
#[derive(Debug, Default)]
pub struct WriterStats {
    /// Events in durable commits.
    pub events_stored: Stat,
    /// Durable commits.
    pub commits: Stat,
    /// Duration of the last commit, of all together, and of the longest, in ns.
    pub commit_ns_last: Stat,
    /// See [`WriterStats::commit_ns_last`].
    pub commit_ns_sum: Stat,
    /// See [`WriterStats::commit_ns_last`].
    pub commit_ns_max: Stat,
    /// Blocks written, with those that were written again with more events.
    pub blocks: Stat,
    /// Bytes of packed blocks written.
    pub packed_bytes: Stat,
    /// Bytes of events before they were packed.
    pub raw_bytes: Stat,
    /// Commits that failed.
    pub commit_errors: Stat,
    /// Rows that left the full table of sources, numbers or user agents, in this order: those that
    /// were never proven, and the others.
    pub rows_evicted: [[Stat; 2]; 3],
    /// Events that those rows counted.
    pub events_evicted: [Stat; 3],
    /// Events that retention took out of the log.
    pub events_expired: Stat,
    /// Rows that were removed because of their age.
    pub rows_expired: Stat,
    /// Events that were counted again at the start.
    pub replay_events: Stat,
    /// How long that took, in ns.
    pub replay_ns: Stat,
    /// Events whose message was dropped because the writer could not keep up.
    pub messages_shed: Stat,
    /// Events of which only the count was kept because the writer could not keep up.
    pub events_repeated: Stat,
    /// What the blocks of the log take in the file, in bytes, about.
    pub log_bytes: Stat,
    /// Events that were lost because the process ended while the disk refused writes.
    pub events_lost: Stat,
}

/// The last event that was published, for those who wait for the next.
#[derive(Debug, Default)]
pub(crate) struct Published {
    through: Mutex<Seq>,
    changed: Condvar,
}

impl Published {
    fn tell(&self, through: Seq) {
        *self.through.lock().unwrap_or_else(PoisonError::into_inner) = through;
        self.changed.notify_all();
    }

    /// Waits until `enough` is published, at most so long. Whether it is.
    pub(crate) fn wait(&self, patience: Duration, enough: impl Fn(Seq) -> bool) -> bool {
        let through = self.through.lock().unwrap_or_else(PoisonError::into_inner);
        let waited =
            self.changed.wait_timeout_while(through, patience, |through| !enough(*through));
        let (through, _) = waited.unwrap_or_else(PoisonError::into_inner);
        enough(*through)
    }
}

/// What the writer and the readers share.
#[derive(Debug)]
pub(crate) struct Shared {
    snapshot: ArcSwapOption<Snapshot>,
    database: ArcSwapOption<Database>,
    phase: AtomicU8,
    pub(crate) stats: WriterStats,
    pub(crate) cursors: Cursors,
    pub(crate) published: Published,
    pub(crate) orders: (Sender<Order>, Receiver<Order>),
    pub(crate) node_id: Uuid,
}

impl Shared {
    pub(crate) fn new(node_id: Uuid) -> Self {
        Self {
            snapshot: ArcSwapOption::empty(),
            database: ArcSwapOption::empty(),
            phase: AtomicU8::new(Phase::Opening as u8),
            stats: WriterStats::default(),
            cursors: Cursors::default(),
            published: Published::default(),
            orders: bounded(ORDERS_MAX),
            node_id,
        }
    }

    pub(crate) fn publish(&self, snapshot: Arc<Snapshot>) {
        let through = snapshot.through;
        self.snapshot.store(Some(snapshot));
        self.published.tell(through);
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// The database, for as long as one read takes. Nobody keeps it: the writer must be able to
    /// close and open it again when the disk has failed.
    pub(crate) fn database(&self) -> Option<Arc<Database>> {
        self.database.load_full()
    }

    pub(crate) fn set_database(&self, database: Option<Arc<Database>>) {
        self.database.store(database);
    }
}

/// A reader's handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(pub(crate) Arc<Shared>);

impl Store {
    /// The last generation, without locking. `None` until the replay has ended.
    #[must_use]
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.0.snapshot.load_full()
    }

    /// What the writer is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let code = self.0.phase.load(Ordering::Acquire);
        Phase::ALL.into_iter().find(|phase| *phase as u8 == code).unwrap_or(Phase::Failed)
    }

    /// What the writer has done.
    #[must_use]
    pub fn stats(&self) -> &WriterStats {
        &self.0.stats
    }

    /// What was counted in the hours from `first` to `last`, those that have any, in their order. The
    /// hour that is under way is some seconds behind the snapshot.
    ///
    /// # Errors
    ///
    /// [`LogError`].
    pub fn rollups(&self, first: Hour, last: Hour) -> Result<Vec<(Hour, HourCounts)>, LogError> {
        let db = self.0.database().ok_or(LogError::Closed)?;
        Ok(rollup::read(&View::new(&db)?, first, last)?)
    }

    /// The log of events. `None` while the database is not open.
    #[must_use]
    pub fn log(&self) -> Option<Log> {
        self.0.database().map(|_| Log::new(self.0.clone()))
    }
}
