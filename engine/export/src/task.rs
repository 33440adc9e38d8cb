//! The one loop of all outputs.

use std::sync::Arc;

use sentrypeer_storage::Store;
use sentrypeer_storage::cursor::{Begin, CursorName, Read, Reader};
use sentrypeer_storage::event::{Seq, Time};
use sentrypeer_storage::event_json::Producer;
use sentrypeer_storage::policy::Policy;

use crate::backoff::Backoff;
use crate::batch::{Batch, Delivery, Failure};
use crate::filter::Filter;
use crate::handle::{Counts, Shared, Told};
use crate::limits::{GATHER, IDLE_WAIT};
use crate::output::Output;
use crate::status::State;

/// How the current policy is had: it may change at any time.
pub(crate) type Policies = Arc<dyn Fn() -> Arc<Policy> + Send + Sync>;

/// One output with all that its thread needs.
pub(crate) struct Task {
    pub(crate) shared: Arc<Shared>,
    pub(crate) store: Store,
    pub(crate) name: CursorName,
    pub(crate) begin: Begin,
    pub(crate) filter: Filter,
    pub(crate) output: Output,
    pub(crate) producer: Arc<Producer>,
    pub(crate) policies: Policies,
    pub(crate) reader: Option<Reader>,
}

/// What one round of the loop came to.
enum Round {
    /// There was nothing to hand on.
    Idle,
    /// There was, and perhaps there is more.
    Busy,
    /// That was all for now.
    CaughtUp,
}

impl Task {
    pub(crate) fn run(mut self) {
        let _says_so = SaysEnded(self.shared.clone());
        let mut backoff = Backoff::default();
        while let Told::GoOn { reopen, reset } = self.shared.told() {
            if reopen {
                self.output.close();
                // Who keeps a cursor of its own may have another place now.
                self.reader = None;
            }
            match self.round(reset) {
                Ok(Round::Idle) => {}
                Ok(round) => {
                    backoff.succeed();
                    if matches!(round, Round::CaughtUp) {
                        self.shared.rest(GATHER);
                    }
                }
                Err(failure) => {
                    self.shared.note_failure(&failure, Time::now());
                    self.shared.rest(backoff.fail(failure.retry_after, random()));
                }
            }
        }
    }

    fn round(&mut self, reset: Option<Begin>) -> Result<Round, Failure> {
        if let Some(begin) = reset {
            self.reset(begin)?;
            if self.shared.is_held() {
                return Ok(Round::Idle);
            }
        }
        let Some(mut reader) = self.take_reader()? else { return Ok(Round::Idle) };
        self.output.tend(Time::now().minus_ns((self.policies)().retention_ns))?;
        let round = self.follow(&mut reader);
        self.shared.note_cursor(reader.cursor());
        self.reader = Some(reader);
        round
    }

    /// Hands on what is behind the cursor, after waiting for it.
    fn follow(&mut self, reader: &mut Reader) -> Result<Round, Failure> {
        if !reader.wait(IDLE_WAIT) {
            return Ok(Round::Idle);
        }
        let max = self.output.events_max();
        let read = reader.read(max).map_err(|error| Failure::new(error.to_string()))?;
        if read.through == reader.cursor().at {
            return Ok(Round::Idle);
        }
        let is_all = read.events.len() < max && self.is_last(read.through);
        self.hand_on(reader, read)?;
        Ok(if is_all { Round::CaughtUp } else { Round::Busy })
    }

    fn hand_on(&mut self, reader: &mut Reader, mut read: Read) -> Result<(), Failure> {
        let policy = (self.policies)();
        let last_time = read.events.last().map(|event| event.time);
        let before = read.events.len();
        read.events.retain(|event| self.filter.takes(event, &policy.allow));
        let batch = Batch { events: &read.events, producer: &self.producer, allow: &policy.allow };
        let delivery =
            if batch.events.is_empty() { Delivery::default() } else { self.output.send(&batch) };
        let is_done = delivery.done == read.events.len();
        let through = match delivery.done.checked_sub(1) {
            _ if is_done => Some(read.through),
            Some(last) => Some(read.events[last].seq),
            None => None,
        };
        if let Some(through) = through {
            reader.advance(through, Time::now());
        }
        let counts = &self.shared.counts;
        Counts::add(&counts.sent, delivery.done - delivery.set_aside);
        Counts::add(&counts.set_aside, delivery.set_aside);
        if is_done {
            Counts::add(&counts.filtered, before - read.events.len());
            last_time.into_iter().for_each(|time| self.shared.note_event(time));
        }
        match delivery.failure {
            Some(failure) => Err(failure),
            None => {
                self.shared.note_success();
                Ok(())
            }
        }
    }

    /// The reader, opened where it left off if it is not open yet; `None` when there is no database yet.
    fn take_reader(&mut self) -> Result<Option<Reader>, Failure> {
        if let Some(reader) = self.reader.take() {
            return Ok(Some(reader));
        }
        let reader = match self.open_reader(self.begin)? {
            Some(reader) => Some(self.at_the_receivers_place(reader)?),
            None => None,
        };
        match &reader {
            Some(_) => self.shared.set_state(State::Running),
            None => self.shared.rest(IDLE_WAIT),
        }
        Ok(reader)
    }

    /// The reader, moved back to the last event that the receiver says it has.
    fn at_the_receivers_place(&mut self, reader: Reader) -> Result<Reader, Failure> {
        match self.output.place()? {
            Some(place) if place < reader.cursor().at => {
                self.store.remove_cursor(&self.name);
                let mut reader = self.open_reader(Begin::Oldest)?.unwrap_or(reader);
                reader.advance(place, Time::now());
                Ok(reader)
            }
            _ => Ok(reader),
        }
    }

    fn open_reader(&self, begin: Begin) -> Result<Option<Reader>, Failure> {
        if self.store.log().is_none() {
            return Ok(None);
        }
        let reader = self.store.reader(&self.name, begin, Time::now());
        match reader.map_err(|error| Failure::new(error.to_string()))? {
            Some(reader) => Ok(Some(reader)),
            None => Err(Failure::new(
                "the database has as many cursors as it may; remove one that is not used any more",
            )),
        }
    }

    /// Forgets where it was.
    fn reset(&mut self, begin: Begin) -> Result<(), Failure> {
        self.reader = None;
        self.store.remove_cursor(&self.name);
        self.reader = self.open_reader(begin)?;
        if let Some(reader) = &self.reader {
            self.shared.note_cursor(reader.cursor());
        }
        Ok(())
    }

    fn is_last(&self, through: Seq) -> bool {
        self.store.snapshot().is_none_or(|snapshot| snapshot.through <= through)
    }
}

/// Says that the thread has ended, however it does.
struct SaysEnded(Arc<Shared>);

impl Drop for SaysEnded {
    fn drop(&mut self) {
        self.0.set_state(State::Ended);
    }
}

/// Chance for the pauses between attempts. Without it many nodes would only come back together.
fn random() -> u32 {
    getrandom::u32().unwrap_or(0)
}
