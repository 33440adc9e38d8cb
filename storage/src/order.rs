//! What readers ask the writer to do.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use crate::filter::Subject;
use crate::import::{Import, Imported};
use crate::peers::Peers;
use crate::store::{Phase, Store};

pub use crate::forget::Forgotten;

/// An order, and whom to tell when it is carried out and stored.
#[derive(Debug)]
pub(crate) enum Order {
    /// Erase all that is known of this.
    Forget(Subject, Sender<Forgotten>),
    /// Take these events in.
    Import(Import, Sender<Imported>),
    /// Keep this instead of what other nodes said before. Nobody waits for it.
    Peers(Arc<Peers>),
}

/// Why an order was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Too many others wait.
    #[error("the writer has too much to do; try again")]
    Busy,
    /// The writer has ended, or the database could not be opened.
    #[error("the database is not open")]
    Closed,
    /// More at once than may be ordered.
    #[error("that is too much for one order")]
    TooLarge,
    /// It takes longer, and goes on. Nobody will say how it ended.
    #[error("it is not done yet, and goes on")]
    Late,
}

impl Store {
    /// Erases all that is known of a source or a number, and waits for it. What comes of it from now on is
    /// new, and stays.
    ///
    /// # Errors
    ///
    /// [`OrderError`].
    pub fn forget(&self, subject: Subject, patience: Duration) -> Result<Forgotten, OrderError> {
        let (done, told) = bounded(1);
        self.order(Order::Forget(subject, done))?;
        told.recv_timeout(patience).map_err(late)
    }

    pub(crate) fn order(&self, order: Order) -> Result<(), OrderError> {
        if matches!(self.phase(), Phase::Failed | Phase::Stopped) {
            return Err(OrderError::Closed);
        }
        self.0.orders.0.try_send(order).map_err(|refused| {
            if refused.is_full() { OrderError::Busy } else { OrderError::Closed }
        })
    }
}

/// Why nothing was told in time.
pub(crate) fn late(error: RecvTimeoutError) -> OrderError {
    match error {
        RecvTimeoutError::Timeout => OrderError::Late,
        RecvTimeoutError::Disconnected => OrderError::Closed,
    }
}
