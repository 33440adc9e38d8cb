//! Storing on a thread of its own.
//!
//! To write the pages of a commit and to wait for the disk takes a quarter of its time. Meanwhile the
//! writer goes on counting what comes for the next one. There is one commit under way at most, so what
//! waits in memory for a slow disk is what comes in one interval, and the rest waits where it is counted.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use redb::{Database, Error};

use crate::batch::{self, Batch, Stored};
use crate::tables::corrupted;

type Job = (Arc<Database>, Arc<Batch>);

/// The writer's end.
pub(crate) struct Committer {
    jobs: Option<Sender<Job>>,
    done: Receiver<Result<Stored, Error>>,
    thread: Option<JoinHandle<()>>,
    is_busy: bool,
}

impl Committer {
    pub(crate) fn new() -> Self {
        let (jobs, to_do) = bounded::<Job>(1);
        let (report, done) = bounded(1);
        let thread = std::thread::Builder::new().name("committer".to_owned()).spawn(move || {
            for (db, batch) in to_do {
                let stored = batch::store(&db, &batch);
                // After a failure the file is opened anew: nobody may have it open when that is told.
                drop((db, batch));
                if report.send(stored).is_err() {
                    break;
                }
            }
        });
        // Without a thread the channel is closed, and everything is stored where it comes.
        Self { jobs: Some(jobs), done, thread: thread.ok(), is_busy: false }
    }

    /// Begins to store a batch. There is none under way. The outcome, if it is known at once.
    pub(crate) fn begin(
        &mut self,
        db: &Arc<Database>,
        batch: Arc<Batch>,
    ) -> Option<Result<Stored, Error>> {
        debug_assert!(!self.is_busy);
        let refused = match &self.jobs {
            Some(jobs) => {
                jobs.send((db.clone(), batch)).err().map(|refused| refused.into_inner().1)
            }
            None => Some(batch),
        };
        self.is_busy = refused.is_none();
        refused.map(|batch| batch::store(db, &batch))
    }

    /// What tells that a batch has been stored, or not; `None` when none is under way.
    pub(crate) fn outcome(&self) -> Option<&Receiver<Result<Stored, Error>>> {
        self.is_busy.then_some(&self.done)
    }

    /// The outcome of the batch that is under way, if it is there.
    pub(crate) fn poll(&mut self) -> Option<Result<Stored, Error>> {
        if self.is_busy && self.done.is_empty() && !self.has_died() {
            return None;
        }
        self.wait()
    }

    /// Waits for the batch that is under way. `None` when there is none.
    pub(crate) fn wait(&mut self) -> Option<Result<Stored, Error>> {
        if !std::mem::take(&mut self.is_busy) {
            return None;
        }
        // It ends only when it panics, and has said why.
        Some(self.done.recv().unwrap_or_else(|_| Err(corrupted("a commit has panicked"))))
    }

    fn has_died(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It has said why if it panicked.
            let _ = thread.join();
        }
    }
}
