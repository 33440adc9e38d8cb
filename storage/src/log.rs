//! The log of events, read beside the writer.

use std::net::SocketAddr;
use std::sync::Arc;

use uuid::Uuid;

use crate::block::{Block, Damaged};
use crate::cursor::Read;
use crate::event::{
    Anomalies, Collected, EventRef, NumberKind, Seq, Time, Transport, Verification,
};
use crate::limits::LOG_READ_BYTES_MAX;
use crate::snapshot::BucketKey;
use crate::store::Shared;
use crate::tables::{self};
use crate::view::View;

/// One event as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the log.
    pub seq: Seq,
    /// Its id, derived from the node, the place and the time.
    pub id: Uuid,
    /// When it arrived.
    pub time: Time,
    /// Who sent it.
    pub source: SocketAddr,
    /// Where it was sent to.
    pub destination: SocketAddr,
    /// How it travelled.
    pub transport: Transport,
    /// How well `source` is proven by this message.
    pub verification: Verification,
    /// Whether the node answered.
    pub collected: Collected,
    /// What `number` is.
    pub number_kind: NumberKind,
    /// What was wrong with it.
    pub anomalies: Anomalies,
    /// The method as sent; empty if there was none.
    pub method: Box<[u8]>,
    /// The called number, percent-decoded; empty if there was none.
    pub number: Box<[u8]>,
    /// The user agent as sent; empty if there was none.
    pub user_agent: Box<[u8]>,
    /// The whole message as received.
    pub message: Box<[u8]>,
}

impl StoredEvent {
    pub(crate) fn new(node: Uuid, seq: Seq, event: &EventRef<'_>) -> Self {
        Self {
            seq,
            id: crate::event::event_id(node, seq, event.time),
            time: event.time,
            source: event.source,
            destination: event.destination,
            transport: event.transport,
            verification: event.verification,
            collected: event.collected,
            number_kind: event.number_kind,
            anomalies: event.anomalies,
            method: event.method.into(),
            number: event.number.into(),
            user_agent: event.user_agent.into(),
            message: event.message.into(),
        }
    }

    /// The event, borrowed.
    #[must_use]
    pub fn event(&self) -> EventRef<'_> {
        EventRef {
            time: self.time,
            source: self.source,
            destination: self.destination,
            transport: self.transport,
            verification: self.verification,
            collected: self.collected,
            number_kind: self.number_kind,
            anomalies: self.anomalies,
            method: &self.method,
            number: &self.number,
            user_agent: &self.user_agent,
            message: &self.message,
        }
    }
}

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The database is not open now: the disk has failed, or the program ends. Try again later.
    #[error("the database is not open")]
    Closed,
    /// A block cannot be read.
    #[error("the events {} to {} are damaged: {reason}", first.0, last.0)]
    Damaged {
        /// The first event of the block.
        first: Seq,
        /// The last event of the block.
        last: Seq,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The database could not be read.
    #[error("the database cannot be read: {0}")]
    Storage(String),
}

impl From<redb::Error> for LogError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseClosed | redb::Error::PreviousIo => Self::Closed,
            error => Self::Storage(error.to_string()),
        }
    }
}

/// The log of a [`crate::Store`].
#[derive(Clone, Debug)]
pub struct Log {
    shared: Arc<Shared>,
}

impl Log {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The events after `after`, in their order, without repeats: at most `max_events`, and fewer when they are large
    /// (see [`LOG_READ_BYTES_MAX`]), but at least one if there is any. Events that retention has
    /// taken are skipped.
    ///
    /// # Errors
    ///
    /// [`LogError`]. After [`LogError::Damaged`] a reader can go on behind that block.
    pub fn since(&self, after: Seq, max_events: usize) -> Result<Vec<StoredEvent>, LogError> {
        Ok(self.read(after, max_events, &mut None)?.events)
    }

    /// The same, and how far it got. `last` is the block that a reader unpacked last: it is not unpacked
    /// again as long as it is the one that is needed, however few events are read at a time.
    pub(crate) fn read(
        &self,
        after: Seq,
        max_events: usize,
        last: &mut Option<Block>,
    ) -> Result<Read, LogError> {
        let view = self.view()?;
        let mut read = Read { events: Vec::new(), first: after, through: after };
        read.first = match view.head_after(after)? {
            Some(head) => head.first.max(Seq(after.0 + 1)),
            None => Seq(view.state()?.last.0.max(after.0) + 1),
        };
        let mut bytes = 0;
        while read.events.len() < max_events && bytes < LOG_READ_BYTES_MAX {
            let Some(head) = view.head_after(read.through)? else { break };
            let damaged = |damaged: Damaged| LogError::Damaged {
                first: head.first,
                last: head.last(),
                reason: damaged.0,
            };
            let block = match last.take().filter(|block| *block.head() == head) {
                Some(block) => block,
                None => match view.block(&head)? {
                    Ok(block) => block,
                    // What was read before it is not lost to the reader.
                    Err(_) if !read.events.is_empty() => break,
                    Err(error) => return Err(damaged(error)),
                },
            };
            let block = last.insert(block);
            for event in block.events() {
                let (seq, event) = match event {
                    Ok(event) => event,
                    // What was read before it is not lost to the reader.
                    Err(_) if !read.events.is_empty() => return Ok(read),
                    Err(error) => return Err(damaged(error)),
                };
                if seq <= read.through {
                    continue;
                }
                if read.events.len() == max_events || bytes >= LOG_READ_BYTES_MAX {
                    return Ok(read);
                }
                bytes += event.message.len() + size_of::<StoredEvent>();
                read.through = seq;
                read.events.push(StoredEvent::new(self.shared.node_id, seq, &event));
            }
            read.through = head.last();
        }
        Ok(read)
    }

    /// The last event that is stored durably; [`Seq`] 0 if there is none.
    ///
    /// # Errors
    ///
    /// [`LogError`].
    pub fn last(&self) -> Result<Seq, LogError> {
        Ok(self.view()?.state()?.last)
    }

    /// The first event that is still in the log; one after the last if there is none.
    ///
    /// # Errors
    ///
    /// [`LogError`].
    pub fn first(&self) -> Result<Seq, LogError> {
        let view = self.view()?;
        let head = view.head_after(Seq(0))?;
        Ok(match head {
            Some(head) => head.first,
            None => Seq(view.state()?.last.0 + 1),
        })
    }

    pub(crate) fn node_id(&self) -> Uuid {
        self.shared.node_id
    }

    /// The database as it is now, and the key of its hashes.
    pub(crate) fn view_and_key(&self) -> Result<(View, BucketKey), LogError> {
        let db = self.shared.database().ok_or(LogError::Closed)?;
        Ok((View::new(&db)?, tables::origin(&db)?.bucket_key))
    }

    fn view(&self) -> Result<View, LogError> {
        Ok(View::new(&*self.shared.database().ok_or(LogError::Closed)?)?)
    }
}
