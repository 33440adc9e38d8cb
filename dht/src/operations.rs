//! What OpenDHT may still call back for, and where it goes then.
//!
//! The table is one for the process, because a callback has nothing but a number to find it by.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::Sender;

use crate::ffi::Value;
use crate::limits::{EVENTS_BYTES_MAX, OPERATIONS_MAX};

/// Names an operation; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Operation(pub(crate) usize);

/// What OpenDHT tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A get or a listener found a value.
    Value {
        /// Which.
        operation: Operation,
        /// The value.
        bytes: Vec<u8>,
        /// What names it under its key.
        id: u64,
        /// Whether it has just expired, instead of appeared.
        is_expired: bool,
    },
    /// A get or a put has ended.
    Done {
        /// Which.
        operation: Operation,
        /// Whether a node answered.
        is_ok: bool,
        /// Of a put what names the value under its key, to cancel it; else 0.
        id: u64,
    },
}

/// Where events go, and what could not go there.
#[derive(Debug)]
pub struct Sink {
    events: Sender<Event>,
    waiting_bytes: AtomicUsize,
    /// Events that were dropped because too many, or too many bytes, waited.
    pub dropped: AtomicU64,
    /// Values that were dropped because their key held too much.
    pub cut: AtomicU64,
}

impl Sink {
    /// A sink before this channel.
    pub fn new(events: Sender<Event>) -> Self {
        let (waiting_bytes, dropped) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self { events, waiting_bytes, dropped, cut: AtomicU64::new(0) }
    }

    /// That an event was taken out of the channel.
    pub fn taken(&self, event: &Event) {
        if let Event::Value { bytes, .. } = event {
            self.waiting_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
        }
    }

    pub(crate) fn send(&self, event: Event) {
        let bytes = if let Event::Value { bytes, .. } = &event { bytes.len() } else { 0 };
        let waiting = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        if waiting + bytes > EVENTS_BYTES_MAX || self.events.try_send(event).is_err() {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One operation that OpenDHT may still call back for.
pub(crate) struct Pending {
    pub(crate) sink: Arc<Sink>,
    /// Of a put: the value, of which one reference is ours.
    pub(crate) value: Option<Value>,
    /// What a get may still bring.
    pub(crate) values_left: usize,
    pub(crate) bytes_left: usize,
}

static OPERATIONS: Mutex<Option<HashMap<usize, Pending>>> = Mutex::new(None);
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// Works on the table. Nothing of OpenDHT is called meanwhile, so its locks and ours never wait for
/// each other.
pub(crate) fn table<T>(work: impl FnOnce(&mut HashMap<usize, Pending>) -> T) -> T {
    let mut guard = OPERATIONS.lock().unwrap_or_else(PoisonError::into_inner);
    work(guard.get_or_insert_with(HashMap::new))
}

/// Begins an operation: from now on callbacks find it. `None` if too many are under way.
pub(crate) fn begin(
    sink: &Arc<Sink>,
    value: Option<Value>,
    values: usize,
    bytes: usize,
) -> Option<Operation> {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let pending = Pending { sink: sink.clone(), value, values_left: values, bytes_left: bytes };
    table(|table| {
        (table.len() < OPERATIONS_MAX).then(|| {
            table.insert(number, pending);
            Operation(number)
        })
    })
}

/// Forgets an operation: nothing more comes of it.
pub fn forget(operation: Operation) {
    // Dropped outside the lock.
    drop(table(|table| table.remove(&operation.0)));
}
