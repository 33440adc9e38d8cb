//! What keeps the dip lane from spinning when the process has no descriptor left.
//!
//! The crate accepts in a loop that goes on at once after every error, and "no descriptor left" is
//! one that does not pass by itself. The loop can be held only where it calls us: when it has
//! accepted something. So a few descriptors are kept spare. When none can be had any more, one is
//! let go for the loop to take; it then calls us, and there it waits until there are descriptors
//! again.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits::DIP_SPARE_DESCRIPTORS;

/// The descriptors that are kept.
#[derive(Debug)]
pub(super) struct Spares {
    kept: Mutex<Vec<File>>,
    short: AtomicBool,
}

impl Spares {
    pub(super) fn new() -> Self {
        let spares = Self { kept: Mutex::default(), short: AtomicBool::new(false) };
        spares.look();
        spares
    }

    /// Whether there was no descriptor to be had when [`Spares::look`] last looked.
    pub(super) fn are_short(&self) -> bool {
        self.short.load(Relaxed)
    }

    fn kept(&self) -> MutexGuard<'_, Vec<File>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills up what is kept; where that is refused, lets one go.
    pub(super) fn look(&self) {
        let mut kept = self.kept();
        // One more than is kept: only that tells whether somebody else could have one.
        while kept.len() <= DIP_SPARE_DESCRIPTORS {
            let Ok(spare) = File::open("/dev/null") else {
                self.short.store(true, Relaxed);
                kept.pop();
                return;
            };
            kept.push(spare);
        }
        kept.truncate(DIP_SPARE_DESCRIPTORS);
        self.short.store(false, Relaxed);
    }
}
