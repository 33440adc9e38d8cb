//! Counts that stand for events for which there was no room.
//!
//! A [`Repeat`] goes the way of an event: into an arena, a block, the counts of its source, and out
//! again when it expires. It has one place in the log, whatever it counts. What is lost with the
//! events is the number, the user agent, the message, and each time but the first and the last.

use std::net::IpAddr;

use foldhash::quality::RandomState;
use hashbrown::HashMap;

use crate::event::{EventRef, SourceKey, Time, Transport, Verification};
use crate::limits::REPEATS_MAX;
use crate::method::Method;

/// So many messages of one source that were alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// The address that sent the last of them.
    pub source: IpAddr,
    /// How they travelled.
    pub transport: Transport,
    /// How well they prove `source`.
    pub verification: Verification,
    /// Their method.
    pub method: Method,
    /// How many there were, at least 1.
    pub count: u64,
    /// When the first arrived.
    pub first: Time,
    /// When the last arrived, not before `first`.
    pub last: Time,
}

impl Repeat {
    /// One event.
    #[must_use]
    pub fn of(event: &EventRef<'_>) -> Self {
        Self {
            source: event.source.ip().to_canonical(),
            transport: event.transport,
            verification: event.verification,
            method: Method::of(event.method),
            count: 1,
            first: event.time,
            last: event.time,
        }
    }

    fn merge(&mut self, newer: &Self) {
        if newer.last >= self.last {
            self.source = newer.source;
        }
        self.count = self.count.saturating_add(newer.count);
        self.first = self.first.min(newer.first);
        self.last = self.last.max(newer.last);
    }
}

/// One place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A message.
    Event(EventRef<'a>),
    /// Messages that are only counted.
    Repeat(Repeat),
}

impl Record<'_> {
    /// How many messages it stands for.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self {
            Self::Event(_) => 1,
            Self::Repeat(repeat) => repeat.count,
        }
    }

    /// When it arrived, or the last of them.
    #[must_use]
    pub fn time(&self) -> Time {
        match self {
            Self::Event(event) => event.time,
            Self::Repeat(repeat) => repeat.last,
        }
    }

    /// Who sent it, or the last of them.
    #[must_use]
    pub fn source(&self) -> IpAddr {
        match self {
            Self::Event(event) => event.source.ip(),
            Self::Repeat(repeat) => repeat.source,
        }
    }
}

/// What tells repeats apart.
type Kind = (SourceKey, Transport, Verification, Method);

/// Repeats that wait for room: a table of [`REPEATS_MAX`] places, each of which counts any number of
/// messages. It takes no memory before the first one, and at once all that it needs then.
#[derive(Debug, Default)]
pub struct Repeats {
    of: HashMap<Kind, Repeat, RandomState>,
    count: u64,
}

impl Repeats {
    /// Counts an event. `false` when there is no place for it, and the caller must count what is lost.
    #[must_use = "an event that found no place is lost, and somebody must count it"]
    pub fn add(&mut self, event: &EventRef<'_>) -> bool {
        if self.of.capacity() == 0 {
            self.of.reserve(REPEATS_MAX);
        }
        let one = Repeat::of(event);
        let kind = (SourceKey::of(one.source), one.transport, one.verification, one.method);
        if let Some(repeat) = self.of.get_mut(&kind) {
            repeat.merge(&one);
        } else if self.of.len() < REPEATS_MAX {
            self.of.insert(kind, one);
        } else {
            return false;
        }
        self.count += 1;
        true
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// How many messages wait.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Moves what fits into an arena. What does not, stays.
    pub fn drain_into(&mut self, arena: &mut crate::arena::Arena) {
        let count = &mut self.count;
        self.of.retain(|_, repeat| {
            let moves = arena.push_repeat(repeat).is_ok();
            *count -= if moves { repeat.count } else { 0 };
            !moves
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::arena::Arena;
    use crate::event::Verification;
    use crate::limits::ARENA_BYTES;
    use crate::testing::{START, event};

    proptest! {
        #[test]
        fn as_many_come_out_as_went_in(
            events in prop::collection::vec((0..5u8, 0..3usize, 0..2usize, 0..1000u64), 0..200),
        ) {
            let mut repeats = Repeats::default();
            let mut model: BTreeMap<_, (u64, Time, Time)> = BTreeMap::new();
            for (source, level, method, after) in &events {
                let time = Time(START.0 + after);
                let verification = Verification::ALL[*level];
                let method: &[u8] = [&b"INVITE"[..], b"REGISTER"][*method];
                let event = EventRef { time, verification, method, ..event(*source) };
                prop_assert!(repeats.add(&event));
                let tally = model.entry((*source, *level, method)).or_insert((0, time, time));
                *tally = (tally.0 + 1, tally.1.min(time), tally.2.max(time));
            }
            prop_assert_eq!(repeats.count(), events.len() as u64);
            let mut arena = Arena::new(0);
            repeats.drain_into(&mut arena);
            prop_assert!(repeats.is_empty() && repeats.count() == 0);
            prop_assert_eq!(arena.len(), events.len());
            let mut seen = BTreeMap::new();
            for record in arena.records() {
                let Record::Repeat(repeat) = record else { panic!("{record:?}") };
                let IpAddr::V4(source) = repeat.source else { panic!("{repeat:?}") };
                let method = repeat.method.name().as_bytes();
                let key = (source.octets()[3], repeat.verification as usize, method);
                seen.insert(key, (repeat.count, repeat.first, repeat.last));
            }
            prop_assert_eq!(seen, model);
        }
    }

    #[test]
    fn a_full_table_goes_on_counting_what_it_knows_and_says_what_it_cannot() {
        let mut repeats = Repeats::default();
        let from = |n: usize| EventRef {
            source: (std::net::Ipv4Addr::from_bits(n as u32), 5060).into(),
            ..event(1)
        };
        assert!((0..REPEATS_MAX).all(|n| repeats.add(&from(n))));
        assert!(!repeats.add(&from(REPEATS_MAX)));
        assert!(repeats.add(&from(7)));
        assert_eq!(repeats.count(), REPEATS_MAX as u64 + 1);
        // They do not all fit into one arena.
        let mut moved = 0;
        while !repeats.is_empty() {
            let mut arena = Arena::new(0);
            repeats.drain_into(&mut arena);
            assert!(arena.bytes() <= ARENA_BYTES && !arena.is_empty());
            moved += arena.len();
        }
        assert_eq!(moved, REPEATS_MAX + 1);
        assert!(repeats.add(&from(REPEATS_MAX)));
    }
}
