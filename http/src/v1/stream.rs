//! `/api/v1/events/stream`: events as they come, as server-sent events (HTML, section 9.2).
//!
//! This says what comes next; waiting for it is the front's. A stream is a reader of the log without a
//! name: its place is known to its client alone, which shows it as `Last-Event-ID` when it comes back.

use sentrypeer_storage::event::{Seq, SourceKey};
use sentrypeer_storage::key::NumberKey;
use sentrypeer_storage::log::{LogError, StoredEvent};
use sentrypeer_storage::method::Method;
use sentrypeer_storage::query::{Query, Subject};
use uuid::Uuid;

use super::events::{Event, WANTED, wanted};
use super::{refused, unreadable};
use crate::context::Context;
use crate::exchange::Response;
use crate::json;
use crate::limits::{STREAM_EVENTS_MAX, STREAM_RETRY_MS};
use crate::query::{Parameters, QueryError};
use crate::routes::starting;

/// A client's place in the log, and what it wants of it.
#[derive(Debug)]
pub(crate) struct Tail {
    wanted: Query,
    /// Which database the place is in.
    database: u32,
    /// Everything up to this event is done with.
    at: Seq,
}

/// The database can no longer be read.
#[derive(Debug)]
pub(crate) struct Broken;

/// Where a client wants to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    database: u32,
    seq: Seq,
}

impl Place {
    /// `database-seq`: another database has other events under the same numbers.
    fn read(text: &str) -> Option<Self> {
        let (database, seq) = text.split_once('-')?;
        let is_database = database.len() == 8 && database.bytes().all(|b| b.is_ascii_hexdigit());
        let is_seq = seq.bytes().all(|byte| byte.is_ascii_digit());
        let database = u32::from_str_radix(database, 16).ok().filter(|_| is_database)?;
        Some(Self { database, seq: Seq(seq.parse().ok().filter(|_| is_seq)?) })
    }
}

/// The upper bits of a random id: who comes back after the database was made anew is told apart by them.
fn short(database: Uuid) -> u32 {
    (database.as_u128() >> 96) as u32
}

impl Tail {
    /// Begins a stream, and what is sent first: behind `last`, which is `Last-Event-ID`, or the
    /// parameter `after`, or with the next event that comes.
    ///
    /// # Errors
    ///
    /// Why there is no stream.
    pub(crate) fn open(
        ctx: &Context,
        query: &str,
        last: Option<&str>,
    ) -> Result<(Self, Vec<u8>), Box<Response>> {
        let (wanted, after) = parse(query).map_err(|error| Box::new(refused(&error)))?;
        let last = match last.map(|text| Place::read(text).ok_or(text)).transpose() {
            Ok(last) => last.or(after),
            Err(_) => {
                let reason = "Last-Event-ID is not the id of an event of this stream.";
                return Err(Box::new(Response::error(400, reason)));
            }
        };
        let (Some(snapshot), Some(log)) = (ctx.store.snapshot(), ctx.store.log()) else {
            return Err(Box::new(starting(ctx)));
        };
        let first = log.first().map_err(|error| Box::new(unreadable(ctx, &error)))?;
        let database = short(snapshot.database_id);
        let mut tail = Self { wanted, database, at: snapshot.through };
        let mut out = format!("retry: {STREAM_RETRY_MS}\n\n").into_bytes();
        // Of another database everything is new to it.
        let known = last.map(|l| if l.database == database { l.seq.min(tail.at) } else { Seq(0) });
        if let Some(known) = known {
            tail.at = known.max(Seq(first.0.saturating_sub(1)));
            tail.append_missed(&mut out, tail.at.0 - known.0);
        }
        tail.append_place(&mut out);
        Ok((tail, out))
    }

    /// Everything up to this event is done with.
    pub(crate) fn place(&self) -> Seq {
        self.at
    }

    /// Whether there may be something behind the place.
    pub(crate) fn is_behind(&self, ctx: &Context) -> bool {
        ctx.store.snapshot().is_some_and(|snapshot| snapshot.through > self.at)
    }

    /// What comes next of what is wanted; nothing if none of the next events is. It reads the log, and
    /// no more than a bounded part of it.
    ///
    /// # Errors
    ///
    /// If the log will not be readable later either.
    pub(crate) fn read(&mut self, ctx: &Context) -> Result<Vec<u8>, Broken> {
        let mut out = Vec::new();
        let (Some(snapshot), Some(log)) = (ctx.store.snapshot(), ctx.store.log()) else {
            return Ok(out);
        };
        match log.since(self.at, STREAM_EVENTS_MAX) {
            Ok(events) => {
                // What is behind the last event, or instead of any, is only counted.
                let is_all = events.is_empty();
                for event in &events {
                    self.at = event.seq;
                    if fits(&self.wanted, event) {
                        self.append(&mut out, event);
                    }
                }
                if is_all {
                    self.at = self.at.max(snapshot.through);
                }
            }
            Err(LogError::Damaged { last, .. }) => {
                self.append_missed(&mut out, last.0.saturating_sub(self.at.0));
                self.at = self.at.max(last);
            }
            Err(LogError::Closed) => {}
            Err(LogError::Storage(_)) => return Err(Broken),
        }
        Ok(out)
    }

    fn append(&self, out: &mut Vec<u8>, event: &StoredEvent) {
        out.extend_from_slice(
            format!("id: {:08x}-{}\ndata: ", self.database, event.seq.0).as_bytes(),
        );
        // One line: JSON has no line break but where a formatter puts one, and ours puts none.
        json::append(out, &Event::of(event));
        out.extend_from_slice(b"\n\n");
    }

    /// Tells of events that have expired or are damaged.
    fn append_missed(&self, out: &mut Vec<u8>, events: u64) {
        if events > 0 {
            let text = format!("event: missed\ndata: {{\"events\": {events}}}\n\n");
            out.extend_from_slice(text.as_bytes());
        }
    }

    /// Tells where the stream is, so that who comes back need not see again what he did not want.
    pub(crate) fn append_place(&self, out: &mut Vec<u8>) {
        let text = format!(": here\nid: {:08x}-{}\n\n", self.database, self.at.0);
        out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
impl Tail {
    /// One that stands before everything.
    pub(crate) fn of_nothing() -> Self {
        Self { wanted: Query::default(), database: 0, at: Seq(0) }
    }
}

fn parse(query: &str) -> Result<(Query, Option<Place>), QueryError> {
    let parameters = Parameters::parse(query, &[&["after"][..], &WANTED].concat())?;
    let after = parameters.value("after", "the id of an event of this stream", Place::read)?;
    Ok((wanted(&parameters)?, after))
}

/// Whether an event is wanted. The log looks for events in the same way, but only backwards.
fn fits(wanted: &Query, event: &StoredEvent) -> bool {
    let is_of_subject = match &wanted.subject {
        None => true,
        Some(Subject::Source(source)) => SourceKey::of(event.source.ip()) == *source,
        Some(Subject::Number(number)) => {
            !event.number.is_empty() && NumberKey::of(&event.number) == *number
        }
    };
    is_of_subject
        && wanted.method.is_none_or(|method| Method::of(&event.method) == method)
        && wanted.transport.is_none_or(|transport| event.transport == transport)
        && event.verification >= wanted.min_verification
        && wanted.agent.as_ref().is_none_or(|agent| has(&event.user_agent, agent))
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let tail = Tail { wanted: Query::default(), database: 0xab, at: Seq(4711) };
        let mut out = Vec::new();
        tail.append_place(&mut out);
        assert_eq!(out, b": here\nid: 000000ab-4711\n\n");
        assert_eq!(Place::read("000000ab-4711"), Some(Place { database: 0xab, seq: Seq(4711) }));
        for bad in ["", "-", "ab-1", "000000ab", "000000ab-", "000000ab-+1", "+00000ab-1"] {
            assert_eq!(Place::read(bad), None, "{bad}");
        }
    }
}
