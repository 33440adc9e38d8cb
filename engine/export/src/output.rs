//! The closed family of outputs.

use sentrypeer_storage::cursor::Begin;
use sentrypeer_storage::event::{Seq, Time};

use crate::batch::{Batch, Delivery, Failure};
use crate::filter::Filter;
use crate::json_log::{self, JsonLog};
#[cfg(feature = "nats")]
use crate::limits::NATS_EVENTS_MAX;
#[cfg(feature = "sqlite")]
use crate::limits::SQLITE_EVENTS_MAX;
use crate::limits::{JSON_LOG_EVENTS_MAX, SYSLOG_EVENTS_MAX};
#[cfg(feature = "nats")]
use crate::nats::{self, Nats};
#[cfg(feature = "sqlite")]
use crate::sqlite::{self, Sqlite};
use crate::syslog::{self, Syslog};
use crate::webhook::{self, Webhook};

/// One output as the operator configures it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name, and that of its cursor: 1 to 64 of `a`-`z`, `0`-`9`, `-`, `.` and `_`.
    pub name: String,
    /// Where it begins when it has no cursor yet.
    pub begin: Begin,
    /// Which events it gets.
    pub filter: Filter,
    /// What it is, and where it goes.
    pub receiver: Receiver,
}

/// Where an output goes.
#[derive(Clone, Debug)]
pub enum Receiver {
    /// A file of JSON lines.
    JsonLog(json_log::Settings),
    /// Lines for syslog.
    Syslog(syslog::Settings),
    /// Requests to a URL.
    Webhook(webhook::Settings),
    /// A stream of NATS.
    #[cfg(feature = "nats")]
    Nats(nats::Settings),
    /// An SQLite file.
    #[cfg(feature = "sqlite")]
    Sqlite(sqlite::Settings),
}

/// An output at work.
#[derive(Debug)]
pub(crate) enum Output {
    JsonLog(JsonLog),
    Syslog(Box<Syslog>),
    Webhook(Box<Webhook>),
    #[cfg(feature = "nats")]
    Nats(Box<Nats>),
    #[cfg(feature = "sqlite")]
    Sqlite(Box<Sqlite>),
}

impl Output {
    /// # Errors
    ///
    /// What is configured cannot work.
    pub(crate) fn new(receiver: Receiver) -> Result<Self, Failure> {
        Ok(match receiver {
            Receiver::JsonLog(settings) => Self::JsonLog(JsonLog::new(settings)),
            Receiver::Syslog(settings) => Self::Syslog(Box::new(Syslog::new(settings)?)),
            Receiver::Webhook(settings) => Self::Webhook(Box::new(Webhook::new(settings)?)),
            #[cfg(feature = "nats")]
            Receiver::Nats(settings) => Self::Nats(Box::new(Nats::new(settings)?)),
            #[cfg(feature = "sqlite")]
            Receiver::Sqlite(settings) => Self::Sqlite(Box::new(Sqlite::new(settings))),
        })
    }

    /// What it is, in one word.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::JsonLog(_) => "json-log",
            Self::Syslog(_) => "syslog",
            Self::Webhook(_) => "webhook",
            #[cfg(feature = "nats")]
            Self::Nats(_) => "nats",
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => "sqlite",
        }
    }

    /// Where it goes, without secrets.
    pub(crate) fn target(&self) -> String {
        match self {
            Self::JsonLog(log) => log.target(),
            Self::Syslog(syslog) => syslog.target(),
            Self::Webhook(webhook) => webhook.target(),
            #[cfg(feature = "nats")]
            Self::Nats(nats) => nats.target(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.target(),
        }
    }

    /// Whether something acts on what it gets, so that the allow-list holds for it.
    pub(crate) fn is_acted_on(&self) -> bool {
        match self {
            Self::Syslog(_) => true,
            // Records keep such addresses, and say so where there is room.
            _ => false,
        }
    }

    /// How many events it takes at a time.
    pub(crate) fn events_max(&self) -> usize {
        match self {
            Self::JsonLog(_) => JSON_LOG_EVENTS_MAX,
            Self::Syslog(_) => SYSLOG_EVENTS_MAX,
            Self::Webhook(webhook) => webhook.events_max(),
            #[cfg(feature = "nats")]
            Self::Nats(_) => NATS_EVENTS_MAX,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => SQLITE_EVENTS_MAX,
        }
    }

    /// Hands events on. What is done with when this returns, the receiver has.
    pub(crate) fn send(&mut self, batch: &Batch<'_>) -> Delivery {
        match self {
            Self::JsonLog(log) => log.send(batch),
            Self::Syslog(syslog) => syslog.send(batch),
            Self::Webhook(webhook) => webhook.send(batch),
            #[cfg(feature = "nats")]
            Self::Nats(nats) => nats.send(batch),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.send(batch),
        }
    }

    /// The last event that the receiver has, if it is one that can tell. Our own cursor is no further then.
    pub(crate) fn place(&mut self) -> Result<Option<Seq>, Failure> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.place().map(Some),
            _ => Ok(None),
        }
    }

    /// Looks after what it has written: events before this time have expired.
    pub(crate) fn tend(&mut self, expired: Time) -> Result<(), Failure> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.expire(expired),
            _ => {
                let _ = expired;
                Ok(())
            }
        }
    }

    /// Closes what is open; the next batch opens it again.
    pub(crate) fn close(&mut self) {
        match self {
            Self::JsonLog(log) => log.close(),
            Self::Syslog(syslog) => syslog.close(),
            // The client closes connections that do not work any more itself.
            Self::Webhook(_) => {}
            #[cfg(feature = "nats")]
            Self::Nats(nats) => nats.close(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.close(),
        }
    }
}
