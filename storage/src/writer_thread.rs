//! The writer's thread as others see it: that it has ended, and how.

use std::path::PathBuf;
use std::thread::JoinHandle;

use crate::open_error::OpenError;

/// Why the writer did not end well.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The database could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The process ended while the disk refused writes.
    #[error("{}: the disk refused writes to the end: {} lost", path.display(), events_are(*events))]
    Lost {
        /// The file.
        path: PathBuf,
        /// How many events were given to the writer and are not in the file.
        events: u64,
    },
    /// The thread panicked, which is a fault of this program.
    #[error("the writer's thread panicked; its message stands above")]
    Panicked,
}

fn events_are(number: u64) -> String {
    if number == 1 { "1 event is".to_owned() } else { format!("{number} events are") }
}

/// The writer's thread. It ends when all shards' ends of the intake are dropped, after a last
/// durable commit, or when the database cannot be opened.
#[derive(Debug)]
pub struct WriterThread {
    pub(crate) thread: Result<JoinHandle<Result<(), WriterError>>, OpenError>,
}

impl WriterThread {
    /// Whether it has ended, so that [`WriterThread::join`] returns at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().map_or(true, JoinHandle::is_finished)
    }

    /// Waits for the end.
    ///
    /// # Errors
    ///
    /// Why not everything that was handed over is stored.
    pub fn join(self) -> Result<(), WriterError> {
        self.thread?.join().unwrap_or(Err(WriterError::Panicked))
    }
}
