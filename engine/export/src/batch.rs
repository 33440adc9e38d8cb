//! What the loop hands to an output, and what comes back.

use std::time::Duration;

use sentrypeer_storage::event_json::Producer;
use sentrypeer_storage::log::StoredEvent;
use sentrypeer_storage::policy::AllowList;

use crate::limits::ERROR_BYTES_MAX;

/// Events in the order of the log, with what their rendering needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) events: &'a [StoredEvent],
    pub(crate) producer: &'a Producer,
    pub(crate) allow: &'a AllowList,
}

/// How far a batch got.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// So many from its beginning are done with: the receiver has them, or they were set aside.
    pub(crate) done: usize,
    /// How many of these were set aside because the receiver refuses them for good.
    pub(crate) set_aside: usize,
    /// Why not all of them are.
    pub(crate) failure: Option<Failure>,
}

impl Delivery {
    /// The receiver has the first `done`, and then failed.
    pub(crate) fn up_to(done: usize, failure: Failure) -> Self {
        Self { done, set_aside: 0, failure: Some(failure) }
    }

    /// The receiver has all of them.
    pub(crate) fn all(batch: &Batch<'_>) -> Self {
        Self { done: batch.events.len(), ..Self::default() }
    }
}

/// Something went wrong that may be better later.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// What, where and why; without secrets.
    pub(crate) text: String,
    /// How long the receiver wants to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.truncate(text.floor_char_boundary(ERROR_BYTES_MAX));
        Self { text, retry_after: None }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}
