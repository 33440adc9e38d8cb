//! How long things are kept, and how much room they may take.

use super::limits::{EVENTS_KEEP_DAYS_MAX, HOURS_KEEP_DAYS_MAX, LOG_SIZE_MB_MAX, LOG_SIZE_MB_MIN};
use super::setting::Id;

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Events, and who was not seen meanwhile, in days.
    pub events_days: u32,
    /// The messages of events, in days. `None`: as long as the events.
    pub messages_days: Option<u32>,
    /// The counts of each hour, in days.
    pub hours_days: u32,
    /// What the log may take, in millions of bytes. `None`: what it needs.
    pub log_mb_max: Option<u32>,
}

const DAY_NS: u64 = 86_400_000_000_000;

impl Kept {
    /// Age at which events go, in ns.
    #[must_use]
    pub fn events_ns(&self) -> u64 {
        u64::from(self.events_days) * DAY_NS
    }

    /// Age at which messages go, in ns; more than any if they go with their events.
    #[must_use]
    pub fn messages_ns(&self) -> u64 {
        self.messages_days.map_or(u64::MAX, |days| u64::from(days) * DAY_NS)
    }

    /// Hours that are counted apart.
    #[must_use]
    pub fn hours(&self) -> u32 {
        self.hours_days * 24
    }

    /// What the log may take, in bytes.
    #[must_use]
    pub fn log_bytes_max(&self) -> u64 {
        self.log_mb_max.map_or(u64::MAX, |mb| u64::from(mb) * 1_000_000)
    }
}

/// Reads the settings, each a number within bounds.
pub(super) fn check(number: &mut dyn FnMut(Id, usize, usize) -> Option<usize>) -> Kept {
    let mut number = |id, min, max| u32::try_from(number(id, min, max)?).ok();
    Kept {
        events_days: number(Id::EventsKeepDays, 1, EVENTS_KEEP_DAYS_MAX).unwrap_or(1),
        messages_days: number(Id::MessagesKeepDays, 1, EVENTS_KEEP_DAYS_MAX),
        hours_days: number(Id::HoursKeepDays, 1, HOURS_KEEP_DAYS_MAX).unwrap_or(1),
        log_mb_max: number(Id::LogSizeMaxMb, LOG_SIZE_MB_MIN, LOG_SIZE_MB_MAX),
    }
}
