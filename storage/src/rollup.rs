//! Hourly counts, kept longer than the events: what was seen in the last hour, day, week or month,
//! without reading events.
//!
//! An [`HourCounts`] holds all events whose time is in that hour: by transport, verification and
//! method exactly; by source, number, user agent, country and destination with the most frequent keys
//! apart and the rest as one sum ([`Top`]). Nothing leaves it when the events expire.
//!
//! Most events of a commit are of one hour, the *current* one. For those the keys are not counted one
//! by one: the writer gathers a commit's events per key anyhow, and adds those sums when it makes the
//! next generation. An event of another hour is counted at once, and its row remembers not to count it
//! again (`Rollups::note` says which).
//!
//! Hours are stored whole, each with the last event that it includes, when a sweep ends: like a row,
//! an hour includes everything up to the watermark, and a start counts what came after (`load.rs`).

use std::collections::{BTreeMap, BTreeSet};

use redb::Error;

use crate::aggregate::Totals;
use crate::event::{EventRef, Seq, SourceKey, Time};
use crate::key::{AgentKey, Key, NumberKey};
use crate::limits::{
    FORGET_HOURS_MAX, NS_PER_S, ROLLUP_HOURS_MAX, ROLLUP_KEYS_KEPT, ROLLUP_KEYS_MAX,
};
use crate::method::Method;
use crate::number::country_code;
use crate::repeat::{Record, Repeat};
use crate::row_bytes::Decoder;
use crate::top::Top;
use crate::view::View;

/// An hour: whole hours since 1970 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hour(pub u32);

impl Hour {
    /// The hour that a time is in.
    #[must_use]
    pub fn of(time: Time) -> Self {
        Self(u32::try_from(time.0 / NS_PER_S / 3600).unwrap_or(u32::MAX))
    }

    /// When it begins.
    #[must_use]
    pub fn begin(self) -> Time {
        Time(u64::from(self.0) * 3600 * NS_PER_S)
    }
}

/// By what the keys of an hour are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Dimension {
    /// Keys of [`SourceKey`].
    Source = 0,
    /// Keys of [`NumberKey`].
    Number = 1,
    /// Keys of [`AgentKey`].
    Agent = 2,
    /// Countries of the numbers, ISO 3166-1 alpha-2; empty where a number has none.
    Country = 3,
    /// Where events were sent to: 16 bytes of address (IPv4-mapped for IPv4), 2 of port, big-endian.
    Destination = 4,
}

const DIMENSIONS: usize = 5;

/// What one hour, or several, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HourCounts {
    /// By transport, verification and method. What the tables evict and what expires is not in it.
    pub totals: Totals,
    tops: [Top; DIMENSIONS],
}

impl HourCounts {
    /// The keys of a dimension.
    #[must_use]
    pub fn top(&self, dimension: Dimension) -> &Top {
        &self.tops[dimension as usize]
    }

    pub(crate) fn add_key(&mut self, dimension: Dimension, key: &[u8], count: u64) {
        self.tops[dimension as usize].add(key, count, ROLLUP_KEYS_MAX);
    }

    pub(crate) fn add_keys<'a>(
        &mut self,
        dimension: Dimension,
        keys: impl Iterator<Item = (&'a [u8], u64)>,
    ) {
        self.tops[dimension as usize].add_all(keys, ROLLUP_KEYS_MAX);
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Self) {
        self.totals.merge(&other.totals);
        for (mine, theirs) in self.tops.iter_mut().zip(&other.tops) {
            mine.merge(theirs, ROLLUP_KEYS_MAX);
        }
    }

    /// Takes a key out; its count goes to the rest. Whether it was there.
    pub(crate) fn forget(&mut self, dimension: Dimension, key: &[u8]) -> bool {
        self.tops[dimension as usize].forget(key)
    }

    /// Keeps the most frequent keys. Whether there were more.
    fn shrink(&mut self) -> bool {
        let has_more = self.tops.iter().any(|top| top.len() > ROLLUP_KEYS_KEPT);
        self.tops.iter_mut().for_each(|top| top.shrink(ROLLUP_KEYS_KEPT));
        has_more
    }

    fn add_event(&mut self, event: &EventRef<'_>, method: Method) {
        self.totals.add(event, method);
        self.add_key(Dimension::Destination, &destination_key(event), 1);
        self.add_key(Dimension::Source, SourceKey::of(event.source.ip()).as_bytes(), 1);
        if !event.number.is_empty() {
            self.add_key(Dimension::Number, NumberKey::of(event.number).as_bytes(), 1);
            self.add_key(Dimension::Country, without_zeros(&country_code(event.number)), 1);
        }
        if !event.user_agent.is_empty() {
            self.add_key(Dimension::Agent, AgentKey::of(event.user_agent).as_bytes(), 1);
        }
    }

    fn add_repeat(&mut self, repeat: &Repeat) {
        self.totals.add_repeat(repeat);
        self.add_key(Dimension::Source, SourceKey::of(repeat.source).as_bytes(), repeat.count);
    }

    /// The stored form: `through`, the totals with their length, and each dimension.
    fn encode(&self, through: Seq) -> Vec<u8> {
        let mut out = through.0.to_le_bytes().to_vec();
        let totals = self.totals.encode();
        out.extend_from_slice(&(totals.len() as u32).to_le_bytes());
        out.extend_from_slice(&totals);
        self.tops.iter().for_each(|top| top.encode(&mut out));
        out
    }

    fn decode(bytes: &[u8]) -> Option<(Self, Seq)> {
        let mut bytes = Decoder(bytes);
        let through = Seq(u64::from_le_bytes(bytes.take()?));
        let len = u32::from_le_bytes(bytes.take()?) as usize;
        let (totals, rest) = bytes.0.split_at_checked(len)?;
        bytes.0 = rest;
        let mut read = Self { totals: Totals::decode(totals)?, ..Self::default() };
        for top in &mut read.tops {
            *top = Top::decode(&mut bytes)?;
        }
        bytes.0.is_empty().then_some((read, through))
    }
}

fn destination_key(event: &EventRef<'_>) -> [u8; 18] {
    let mut key = [0; 18];
    let v6 = match event.destination.ip() {
        std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        std::net::IpAddr::V6(v6) => v6,
    };
    key[..16].copy_from_slice(&v6.octets());
    key[16..].copy_from_slice(&event.destination.port().to_be_bytes());
    key
}

/// A [`country_code`] as a key: two letters, or nothing.
pub(crate) fn without_zeros(code: &[u8; 2]) -> &[u8] {
    if *code == [0; 2] { &[] } else { code }
}

/// An hour in memory.
#[derive(Debug, Default)]
struct Kept {
    counts: HourCounts,
    /// Whether what is stored of this hour is in it.
    is_whole: bool,
    is_dirty: bool,
}

/// The hours that the writer counts in.
#[derive(Debug, Default)]
pub(crate) struct Rollups {
    hours: BTreeMap<Hour, Kept>,
    /// The hour whose keys are counted with the rows of the commit that is being gathered.
    current: Option<Hour>,
    /// While a start replays the log: up to which event each stored hour counts.
    through: BTreeMap<Hour, Seq>,
    /// The last destination of the current hour, and how often, not counted yet: nearly all events
    /// have the same.
    destination: ([u8; 18], u64),
}

/// Who counts the keys of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// The rows, when the generation is made.
    WithRows,
    /// They are counted already.
    Counted,
}

impl Rollups {
    /// Counts an event that is new.
    pub(crate) fn note(&mut self, event: &EventRef<'_>, method: Method) -> Keys {
        let hour = Hour::of(event.time);
        if *self.current.get_or_insert(hour) != hour {
            self.dirty(hour).add_event(event, method);
            return Keys::Counted;
        }
        let destination = destination_key(event);
        if self.destination.0 != destination {
            self.count_destination();
            self.destination.0 = destination;
        }
        self.destination.1 += 1;
        self.dirty(hour).totals.add(event, method);
        Keys::WithRows
    }

    /// Counts a repeat that is new, in the hour of its last message.
    pub(crate) fn note_repeat(&mut self, repeat: &Repeat) -> Keys {
        let hour = Hour::of(repeat.last);
        if *self.current.get_or_insert(hour) != hour {
            self.dirty(hour).add_repeat(repeat);
            return Keys::Counted;
        }
        self.dirty(hour).totals.add_repeat(repeat);
        Keys::WithRows
    }

    fn dirty(&mut self, hour: Hour) -> &mut HourCounts {
        let kept = self.hours.entry(hour).or_default();
        kept.is_dirty = true;
        &mut kept.counts
    }

    /// The current hour, for the keys that the rows of a commit have gathered. `None` while a start
    /// replays the log.
    pub(crate) fn current(&mut self) -> Option<&mut HourCounts> {
        let hour = self.current?;
        Some(self.dirty(hour))
    }

    /// The rows have been counted: the next event decides which hour is the current one.
    pub(crate) fn end_commit(&mut self) {
        self.count_destination();
        self.current = None;
    }

    fn count_destination(&mut self) {
        let (key, count) = self.destination;
        self.destination.1 = 0;
        if let (Some(current), 1..) = (self.current(), count) {
            current.add_key(Dimension::Destination, &key, count);
        }
    }

    /// Reads what is stored of hours that are not whole in memory.
    pub(crate) fn complete(&mut self, db: &redb::Database) -> Result<(), Error> {
        if self.hours.values().all(|kept| kept.is_whole) {
            return Ok(());
        }
        let view = View::new(db)?;
        for (hour, kept) in self.hours.iter_mut().filter(|(_, kept)| !kept.is_whole) {
            if let Some((stored, _)) = stored(&view, *hour)? {
                kept.counts.merge(&stored);
            }
            kept.is_whole = true;
        }
        Ok(())
    }

    /// Counts an event or a repeat of a replay, if its hour does not include it yet.
    pub(crate) fn replay(
        &mut self,
        view: &View,
        seq: Seq,
        record: &Record<'_>,
    ) -> Result<(), Error> {
        let hour = Hour::of(record.time());
        let through = match self.through.get(&hour) {
            Some(through) => *through,
            None => {
                let stored = stored(view, hour)?;
                let (counts, through) = stored.unwrap_or_default();
                self.hours.insert(hour, Kept { counts, is_whole: true, is_dirty: false });
                self.through.insert(hour, through);
                through
            }
        };
        if seq > through {
            match record {
                Record::Event(event) => self.dirty(hour).add_event(event, Method::of(event.method)),
                Record::Repeat(repeat) => self.dirty(hour).add_repeat(repeat),
            }
        }
        Ok(())
    }

    /// Takes a key out of some of the hours from `from` on. Out of how many, and where to go on.
    pub(crate) fn forget(
        &mut self,
        view: &View,
        dimension: Dimension,
        key: &[u8],
        from: Hour,
    ) -> Result<(u64, Option<Hour>), Error> {
        let stored_hours = view.rollup_hours(from.0, u32::MAX, FORGET_HOURS_MAX)?;
        let is_last = stored_hours.len() < FORGET_HOURS_MAX;
        let end = stored_hours.last().filter(|_| !is_last).map(|hour| Hour(hour.saturating_add(1)));
        // Some that are in memory are not stored yet.
        let known = self.hours.keys().copied().filter(|hour| *hour >= from);
        let mut hours: BTreeSet<_> =
            known.filter(|hour| end.is_none_or(|end| *hour < end)).collect();
        hours.extend(stored_hours.into_iter().map(Hour));
        let mut number = 0;
        for hour in hours {
            if let Some(kept) = self.hours.get_mut(&hour) {
                let was_there = kept.counts.forget(dimension, key);
                kept.is_dirty |= was_there;
                number += u64::from(was_there);
            } else if let Some((mut counts, _)) = stored(view, hour)?
                && counts.forget(dimension, key)
            {
                self.hours.insert(hour, Kept { counts, is_whole: true, is_dirty: true });
                number += 1;
            }
        }
        Ok((number, end))
    }

    /// The stored form of every hour that has changed, which includes everything up to `through`. Hours
    /// before that of `now` then leave memory, with fewer keys apart.
    pub(crate) fn write_changed(&mut self, through: Seq, now: Time) -> Vec<(u32, Vec<u8>)> {
        self.through.clear();
        let ended = Hour(Hour::of(now).0.saturating_sub(1));
        let mut written = Vec::new();
        for (hour, kept) in &mut self.hours {
            debug_assert!(kept.is_whole, "what is stored of an hour would be lost");
            let shrinks = *hour < ended && kept.counts.shrink();
            if kept.is_dirty || shrinks {
                written.push((hour.0, kept.counts.encode(through)));
            }
            kept.is_dirty = false;
        }
        self.hours.retain(|hour, _| *hour >= ended);
        written
    }
}

fn stored(view: &View, hour: Hour) -> Result<Option<(HourCounts, Seq)>, Error> {
    let Some(bytes) = view.rollup(hour.0)? else { return Ok(None) };
    let read = HourCounts::decode(&bytes);
    if read.is_none() {
        log::error!("the counts of hour {} cannot be read and begin anew", hour.0);
    }
    Ok(read)
}

/// The hours from `first` to `last`, as they are stored, in their order.
pub(crate) fn read(view: &View, first: Hour, last: Hour) -> Result<Vec<(Hour, HourCounts)>, Error> {
    let mut hours = Vec::new();
    for hour in view.rollup_hours(first.0, last.0, ROLLUP_HOURS_MAX as usize + 1)? {
        if let Some((counts, _)) = stored(view, Hour(hour))? {
            hours.push((Hour(hour), counts));
        }
    }
    Ok(hours)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::bench::Bench;
    use crate::event::{Transport, Verification};
    use crate::store::Store;
    use crate::testing::event;

    #[derive(Clone, Debug)]
    enum Step {
        /// An event of this source, so many minutes ago.
        Event(u8, u64),
        Repeat(u8, u64),
        /// A commit so many minutes after the one before.
        Commit(u64),
        Restart,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            12 => (0..5u8, 0..200u64).prop_map(|(source, age)| Step::Event(source, age)),
            2 => (0..5u8, 1..100u64).prop_map(|(source, count)| Step::Repeat(source, count)),
            5 => (0..30u64).prop_map(Step::Commit),
            1 => Just(Step::Restart),
        ]
    }

    const MINUTE_NS: u64 = 60 * NS_PER_S;
    /// British, Swedish, and one that leads nowhere.
    const NUMBERS: [&[u8]; 3] = [b"+442071234567", b"0046500729221", b"100"];

    fn apply(bench: &mut Bench, step: &Step) {
        match step {
            Step::Event(source, age) => {
                let time = bench.now.minus_ns(age * MINUTE_NS);
                let number = NUMBERS[usize::from(source % 3)];
                bench.ingest(&EventRef { time, number, ..event(*source) });
            }
            Step::Repeat(source, count) => {
                let time = bench.now;
                bench.ingest_repeat(
                    &EventRef { time, transport: Transport::Tcp, ..event(*source) },
                    *count,
                );
            }
            Step::Commit(minutes) => {
                bench.now.0 += minutes * MINUTE_NS;
                bench.commit();
            }
            Step::Restart => bench.restart(),
        }
    }

    type Model = BTreeMap<Hour, BTreeMap<(usize, Vec<u8>), u64>>;

    /// What the hours should hold, counted event by event.
    fn expected(bench: &Bench) -> Model {
        let mut model = Model::new();
        for event in &bench.given[..bench.committed] {
            let hour = model.entry(Hour::of(event.time)).or_default();
            let count = bench.repeats.get(&event.seq).copied().unwrap_or(1);
            let mut add = |dimension: Dimension, key: &[u8]| {
                *hour.entry((dimension as usize, key.to_vec())).or_default() += count;
            };
            add(Dimension::Source, SourceKey::of(event.source.ip()).as_bytes());
            if !event.number.is_empty() {
                add(Dimension::Number, &event.number);
                let country: &[u8] = match &event.number[..] {
                    b"+442071234567" => b"GB",
                    b"0046500729221" => b"SE",
                    _ => b"",
                };
                add(Dimension::Country, country);
            }
            if !event.user_agent.is_empty() {
                add(Dimension::Agent, &event.user_agent);
            }
            if !bench.repeats.contains_key(&event.seq) {
                add(Dimension::Destination, &destination_key(&event.event()));
            }
        }
        model
    }

    fn stored_in(bench: &Bench) -> (Model, u64) {
        let store = Store(bench.writer.shared.clone());
        let mut model = Model::new();
        let mut events = 0;
        for (hour, counts) in store.rollups(Hour(0), Hour(u32::MAX)).unwrap() {
            events += counts.totals.events();
            let kept = model.entry(hour).or_default();
            for (dimension, top) in counts.tops.iter().enumerate() {
                for (key, count) in top.sorted() {
                    kept.insert((dimension, key.to_vec()), count);
                }
            }
        }
        (model, events)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn each_hour_counts_each_event_once_over_kills_and_late_events(
            steps in prop::collection::vec(step(), 1..60),
        ) {
            let mut bench = Bench::new(u64::MAX);
            steps.iter().for_each(|step| apply(&mut bench, step));
            bench.commit();
            bench.settle();
            prop_assert_eq!(stored_in(&bench), (expected(&bench), bench.weight(bench.committed)));
            bench.restart();
            bench.ingest(&event(1));
            bench.commit();
            bench.settle();
            prop_assert_eq!(stored_in(&bench), (expected(&bench), bench.weight(bench.committed)));
        }
    }

    #[test]
    fn an_hour_that_has_ended_keeps_its_most_frequent_keys_and_its_sum() {
        let mut bench = Bench::new(u64::MAX);
        let hour = Hour::of(bench.now);
        for n in 0..2 * ROLLUP_KEYS_KEPT as u32 {
            let source = (std::net::Ipv4Addr::from_bits(0xc633_0000 + n), 5060).into();
            bench.ingest(&EventRef { source, time: bench.now, ..event(1) });
        }
        for _ in 0..3 {
            bench.ingest(&EventRef { time: bench.now, ..event(9) });
        }
        bench.commit();
        bench.settle();
        for _ in 0..3 {
            bench.now.0 += 60 * MINUTE_NS;
            bench.ingest(&EventRef { time: bench.now, ..event(9) });
            bench.commit();
            bench.settle();
        }
        let stored = Store(bench.writer.shared.clone()).rollups(hour, hour).unwrap();
        let sources = stored[0].1.top(Dimension::Source);
        assert_eq!(sources.len(), ROLLUP_KEYS_KEPT);
        assert_eq!(sources.sum(), 2 * ROLLUP_KEYS_KEPT as u64 + 3);
        assert_eq!(sources.sorted()[0].1, 3);
        assert!(bench.writer.counts.rollups.hours.len() <= 2);
    }

    #[test]
    fn hours_leave_after_thirty_days() {
        let mut bench = Bench::new(u64::MAX);
        let first = Hour::of(bench.now);
        for _ in 0..4 {
            bench.ingest(&EventRef { time: bench.now, ..event(1) });
            bench.commit();
            bench.settle();
            bench.now.0 += 11 * 24 * 60 * MINUTE_NS;
        }
        let store = Store(bench.writer.shared.clone());
        let hours = store.rollups(Hour(0), Hour(u32::MAX)).unwrap();
        assert!(hours.len() == 3 && hours.iter().all(|(hour, _)| *hour > first), "{}", hours.len());
    }

    #[test]
    fn hours_add_up_and_read_back_and_other_bytes_do_not() {
        let mut one = HourCounts::default();
        one.add_event(&event(1), Method::Invite);
        let mut two = HourCounts::default();
        two.add_event(
            &EventRef { verification: Verification::Connected, ..event(2) },
            Method::Invite,
        );
        one.merge(&two);
        assert_eq!((one.totals.events(), one.top(Dimension::Source).len()), (2, 2));
        let bytes = one.encode(Seq(7));
        assert_eq!(HourCounts::decode(&bytes), Some((one, Seq(7))));
        assert!((0..bytes.len()).all(|len| HourCounts::decode(&bytes[..len]).is_none()));
    }
}
