//! Where messages become events: each is looked at, recorded in the arena, and answered. No sockets, no
//! waiting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sentrypeer_storage::arena::Arena;
use sentrypeer_storage::event::{Collected, EventRef, NumberKind, Time, Verification};
use sentrypeer_storage::intake::ShardIntake;
use sentrypeer_storage::repeat::Repeats;
use uuid::Uuid;

use crate::counters::{Count, ShardCounters};
use crate::honeypot::calls::Calls;
use crate::honeypot::proof::Seen;
use crate::honeypot::{Asked, Honeypot, Path};
use crate::limits::{ARENA_AGE_MS, TICK_BUSY_MS};
use crate::sip::limits::NUMBER_BYTES_MAX;
use crate::sip::{self, Message, NoReply};

/// What is known of a message beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Meta {
    /// When it arrived.
    pub time: Time,
    /// From where to where.
    pub path: Path,
    /// What the way that it came proves of its source by itself.
    pub verification: Verification,
    /// What was wrong with how a stream was cut into messages.
    pub framing: sip::Anomalies,
}

/// Takes messages: each is recorded in the arena and answered. No sockets, no waiting.
pub struct Recorder {
    /// The shard's counters.
    pub counters: Arc<ShardCounters>,
    /// Gone once the shard has finished: the writer ends when the last one goes.
    intake: Option<ShardIntake>,
    arena: Option<Arena>,
    /// The arena after that, empty. An arena is handed over only when the next one is there: while
    /// the writer gives none back, the one at hand is filled to its end, whatever its age.
    next: Option<Arena>,
    /// When the first event came into the arena.
    arena_since: Instant,
    honeypot: Option<Arc<Honeypot>>,
    /// The calls that ring.
    calls: Calls,
    born: Instant,
    /// What there was no room for, by source and method.
    repeats: Repeats,
}

impl Recorder {
    /// A recorder with nothing in it.
    #[must_use]
    pub fn new(
        intake: ShardIntake,
        honeypot: Option<Arc<Honeypot>>,
        counters: Arc<ShardCounters>,
    ) -> Self {
        Self {
            counters,
            intake: Some(intake),
            arena: None,
            next: None,
            arena_since: Instant::now(),
            honeypot,
            calls: Calls::new(Uuid::new_v4().as_u64_pair()),
            born: Instant::now(),
            repeats: Repeats::default(),
        }
    }

    /// Whether there are events that the writer does not have yet.
    #[must_use]
    pub fn is_collecting(&self) -> bool {
        self.arena.is_some()
    }

    /// The calls that ring, and what time it is for them: since the recorder was made, so that a clock
    /// that is set does not hold them up.
    pub fn calls(&mut self) -> (&mut Calls, Time) {
        (&mut self.calls, Time(nanoseconds(self.born.elapsed())))
    }

    /// Whether the node answers.
    #[must_use]
    pub fn is_responsive(&self) -> bool {
        self.honeypot.is_some()
    }

    /// What there is to see of a message: what is wrong with it, and how well it proves its source.
    #[must_use]
    pub fn look(&self, message: &Message<'_>, meta: &Meta) -> Seen {
        match &self.honeypot {
            Some(honeypot) => honeypot.look(message, &meta.path, meta.verification, meta.time),
            None => Seen::without_cookies(message, meta.verification),
        }
    }

    /// Appends the answer to a message that was recorded, at most `limit` bytes of it, to `reply`, if
    /// the node answers.
    pub fn answer(
        &mut self,
        message: &Message<'_>,
        meta: &Meta,
        seen: &Seen,
        limit: usize,
        reply: &mut Vec<u8>,
    ) {
        let Some(honeypot) = &self.honeypot else { return };
        let asked = Asked { message, path: &meta.path, seen, now: meta.time };
        let clock = Time(nanoseconds(self.born.elapsed()));
        match honeypot.respond((&mut self.calls, clock), asked, limit, reply) {
            Ok(()) | Err(NoReply::NotDue) => {}
            Err(NoReply::Missing(_) | NoReply::TooManyHeaders) => {
                self.counters.add(Count::UnsentIncomplete, 1);
            }
            Err(NoReply::TooLong) => self.counters.add(Count::UnsentTooLong, 1),
        }
    }

    /// Records a message as an event; says whether there was room. Without room it is counted for its
    /// source, and the count is recorded as soon as there is some.
    pub fn record(&mut self, message: &Message<'_>, meta: &Meta, seen: &Seen) -> bool {
        let mut digits = [0; NUMBER_BYTES_MAX];
        let (number, kind) = message.called_number(&mut digits);
        let event = EventRef {
            time: meta.time,
            source: meta.path.source,
            destination: meta.path.destination,
            transport: meta.path.transport,
            verification: seen.verification,
            collected: match self.honeypot {
                Some(_) => Collected::Responsive,
                None => Collected::Passive,
            },
            number_kind: match kind {
                sip::NumberKind::None => NumberKind::None,
                sip::NumberKind::Called => NumberKind::Called,
                sip::NumberKind::Account => NumberKind::Account,
            },
            anomalies: seen.anomalies | meta.framing,
            method: message.method(),
            number,
            user_agent: message.user_agent().unwrap_or_default(),
            message: message.bytes(),
        };
        log::trace!(
            "{} {} {} {} \"{}\"",
            event.transport.name(),
            event.source,
            event.verification.name(),
            event.method.escape_ascii(),
            event.number.escape_ascii()
        );
        let kept = self.push(&event);
        if kept {
            self.counters.add(Count::EventsRecorded, 1);
        } else if self.repeats.add(&event) {
            self.counters.add(Count::EventsCounted, 1);
        } else {
            self.counters.add(Count::ShedNoArena, 1);
        }
        kept
    }

    /// Copies the event into the arena, the one copy between the wire and the block.
    fn push(&mut self, event: &EventRef<'_>) -> bool {
        if let Some(arena) = &mut self.arena
            && arena.push(event).is_ok()
        {
            return true;
        }
        if !self.has_next() {
            return false;
        }
        let Some(mut next) = self.next.take() else { return false };
        self.hand_over();
        // An empty arena takes any event: its size is asserted to be larger than the largest.
        let kept = next.push(event).is_ok();
        self.repeats.drain_into(&mut next);
        self.arena = Some(next);
        self.arena_since = Instant::now();
        kept
    }

    /// Puts the counts that wait into an arena, if one can be had.
    fn record_repeats(&mut self) {
        if self.repeats.is_empty() || (self.arena.is_none() && !self.has_next()) {
            return;
        }
        if self.arena.is_none() {
            self.arena_since = Instant::now();
        }
        let arena = self.arena.get_or_insert_with(|| self.next.take().unwrap_or_default());
        self.repeats.drain_into(arena);
    }

    /// Whether there is an empty arena, after asking for one if need be.
    fn has_next(&mut self) -> bool {
        if self.next.is_none() {
            self.next = self.intake.as_mut().and_then(ShardIntake::take);
        }
        self.next.is_some()
    }

    fn hand_over(&mut self) {
        if let (Some(arena), Some(intake)) = (self.arena.take(), &mut self.intake) {
            let lost = intake.hand_over(arena);
            self.counters.add(Count::ShedNoWriter, lost as u64);
        }
    }

    /// Hands over what is left and gives up the way to the writer; counts that find no arena any more are lost, and counted.
    pub fn finish(&mut self) {
        self.record_repeats();
        if !self.repeats.is_empty() {
            self.hand_over();
            self.record_repeats();
        }
        self.counters.add(Count::ShedNoWriter, self.repeats.count());
        self.hand_over();
        self.intake = None;
    }

    /// Hands over what is old enough.
    pub fn hand_over_if_due(&mut self) {
        self.record_repeats();
        let due = Duration::from_millis(ARENA_AGE_MS - TICK_BUSY_MS);
        if self.arena.is_some() && self.arena_since.elapsed() >= due && self.has_next() {
            self.hand_over();
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub mod testing {
    //! A recorder without a shard around it.

    use super::*;
    use crate::honeypot::Conduct;
    use crate::honeypot::cookie::CookieKey;
    use sentrypeer_storage::intake;

    /// What is looked at of an event: its verification and its bytes.
    pub type Seen = (Verification, Vec<u8>);

    /// A recorder, and what gives the events that it has recorded when it is done.
    pub fn recorder(responsive: bool) -> (Recorder, impl Fn(Recorder) -> Vec<Seen>) {
        let (mut intakes, _writer) = intake::channel(1);
        let honeypot = Honeypot::new(Conduct::default(), CookieKey::from_secret(&[3; 32]));
        let recorder = Recorder {
            counters: Arc::new(ShardCounters::default()),
            intake: Some(intakes.remove(0)),
            arena: None,
            next: None,
            arena_since: Instant::now(),
            honeypot: responsive.then(|| Arc::new(honeypot)),
            calls: Calls::new((1, 2)),
            born: Instant::now(),
            repeats: Repeats::default(),
        };
        let events = |recorder: Recorder| {
            let arena = recorder.arena.unwrap_or_default();
            arena.iter().map(|e| (e.verification, e.message.to_vec())).collect()
        };
        (recorder, events)
    }
}

#[cfg(test)]
mod tests {
    use sentrypeer_storage::event::Transport;

    use super::*;

    #[test]
    fn what_finds_no_room_is_counted_and_the_count_is_recorded_when_there_is_some() {
        let (mut recorder, _) = testing::recorder(false);
        // A shard whose writer gives nothing back.
        let intake = recorder.intake.take();
        let meta = |source: &str| Meta {
            time: Time(1_795_521_600_000_000_000),
            path: Path {
                source: source.parse().unwrap(),
                destination: "192.0.2.1:5060".parse().unwrap(),
                transport: Transport::Udp,
            },
            verification: Verification::Unverified,
            framing: sip::Anomalies::default(),
        };
        let message = sip::parse(b"OPTIONS sip:1@h SIP/2.0\r\n\r\n");
        for _ in 0..1_000 {
            for source in ["198.51.100.1:5060", "198.51.100.2:5060"] {
                let meta = meta(source);
                let seen = recorder.look(&message, &meta);
                assert!(!recorder.record(&message, &meta, &seen));
            }
        }
        let of = |recorder: &Recorder, count| recorder.counters.of(count);
        assert_eq!(of(&recorder, Count::EventsCounted), 2_000);
        assert_eq!(of(&recorder, Count::EventsRecorded) + of(&recorder, Count::ShedNoArena), 0);

        recorder.intake = intake;
        recorder.record_repeats();
        assert!(recorder.repeats.is_empty());
        // As many as were counted, and no event among them.
        let arena = recorder.arena.as_ref().unwrap();
        assert_eq!((arena.len(), arena.iter().count()), (2_000, 0));
    }
}
