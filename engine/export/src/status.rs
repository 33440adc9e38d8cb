//! How an output is doing, as plain values.

use sentrypeer_storage::event::{Seq, Time};

/// What an output is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It waits for the database to open.
    Starting,
    /// It hands on what comes.
    Running,
    /// Its receiver, or reading the log, has failed; it tries again.
    Failing,
    /// It was told to pause.
    Paused,
    /// Its thread has ended.
    Ended,
}

impl State {
    /// One word for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Failing => "failing",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }
}

/// What went wrong last, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: Time,
    /// What, where and why; without secrets.
    pub text: String,
}

/// How an output is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its name, which is that of its cursor.
    pub name: String,
    /// What it is: `json-log`, `syslog`, `webhook`, `sqlite` or `nats`.
    pub kind: &'static str,
    /// Where it goes, without secrets.
    pub target: String,
    /// What it is doing.
    pub state: State,
    /// Everything up to this event is done with.
    pub cursor: Seq,
    /// Events that retention took, or that were damaged, before it came to them.
    pub missed: u64,
    /// How many events of the log are behind its cursor.
    pub lag_events: u64,
    /// How old the last event is that it handed on, in s; 0 when it is not behind.
    pub lag_s: u64,
    /// Events that the receiver has, since the start; with those that it got again.
    pub sent: u64,
    /// Events that its filter left out.
    pub filtered: u64,
    /// Events that the receiver refused for good, and that are in the dead-letter file.
    pub set_aside: u64,
    /// How often sending or reading failed.
    pub failures: u64,
    /// What went wrong last. It stays when all is well again.
    pub last_error: Option<LastError>,
}
