//! Which connections a shard holds, whose they are, in which order they were last heard of and how
//! much memory they keep: who has to go when there is no room for a newcomer.
//!
//! Pure: places and times in, decisions out. Every call takes the same time however many connections
//! there are, but for [`Roster::holds`], which takes the logarithm of their number.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use sentrypeer_storage::event::SourceKey;

use crate::limits::STREAM_SPARE_MS;

/// How much a shard may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections in all.
    pub streams: usize,
    /// Connections of one source.
    pub per_source: usize,
    /// Connections whose TLS handshake is going on.
    pub handshakes: usize,
    /// Bytes of buffers.
    pub bytes: usize,
}

/// Which bound a newcomer would break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The shard has as many connections as it may.
    Shard,
    /// The source has.
    Source,
    /// As many handshakes as there may be are going on.
    Handshakes,
}

/// A shard's connections, by the place that each has in its table.
pub struct Roster {
    bounds: Bounds,
    entries: Vec<Entry>,
    /// Least recently heard first, as is each source's.
    all: List,
    sources: HashMap<SourceKey, List>,
    /// Oldest first.
    handshakes: List,
    /// Bytes and place of each connection that keeps any.
    sizes: BTreeSet<(usize, usize)>,
    bytes: usize,
}

/// One place of the table.
#[derive(Clone, Copy)]
struct Entry {
    /// Nobody's, if there is none.
    source: Option<SourceKey>,
    opened: Instant,
    heard: Instant,
    bytes: usize,
    handshaking: bool,
    links: [Links; KINDS],
}

/// Neighbours in one list.
#[derive(Clone, Copy, Default)]
struct Links {
    before: Option<usize>,
    after: Option<usize>,
}

/// The lists that an entry may be in.
#[derive(Clone, Copy)]
enum Kind {
    All,
    Source,
    Handshake,
}

const KINDS: usize = 3;

/// A list of entries, which hold its links.
#[derive(Clone, Copy, Default)]
struct List {
    first: Option<usize>,
    last: Option<usize>,
    count: usize,
}

impl Roster {
    /// A roster of nobody.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            entries: Vec::new(),
            all: List::default(),
            sources: HashMap::new(),
            handshakes: List::default(),
            sizes: BTreeSet::new(),
            bytes: 0,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all.count
    }

    /// Whether there is room for a connection of `source`; if not, the place of the one that has to
    /// go first, and for which bound: the one that was not heard of for the longest time, if that is
    /// long enough to call it idle.
    ///
    /// # Errors
    ///
    /// The bound, where nobody is idle.
    pub fn room(
        &self,
        source: SourceKey,
        handshaking: bool,
        now: Instant,
    ) -> Result<Option<(usize, Full)>, Full> {
        let of_source = self.sources.get(&source).copied().unwrap_or_default();
        let spare = Duration::from_millis(STREAM_SPARE_MS);
        let idle = |index: &usize| now.duration_since(self.entries[*index].heard) >= spare;
        let old = |index: &usize| now.duration_since(self.entries[*index].opened) >= spare;
        if of_source.count >= self.bounds.per_source {
            let first = of_source.first.filter(idle).ok_or(Full::Source)?;
            return Ok(Some((first, Full::Source)));
        }
        if handshaking && self.handshakes.count >= self.bounds.handshakes {
            let first = self.handshakes.first.filter(old).ok_or(Full::Handshakes)?;
            return Ok(Some((first, Full::Handshakes)));
        }
        if self.all.count >= self.bounds.streams {
            let first = self.all.first.filter(idle).ok_or(Full::Shard)?;
            return Ok(Some((first, Full::Shard)));
        }
        Ok(None)
    }

    /// Takes a connection in, at a place that is free.
    pub fn enter(&mut self, index: usize, source: SourceKey, handshaking: bool, now: Instant) {
        let entry = Entry {
            source: Some(source),
            opened: now,
            heard: now,
            bytes: 0,
            handshaking,
            links: [Links::default(); KINDS],
        };
        if index >= self.entries.len() {
            self.entries.resize(index + 1, Entry { source: None, ..entry });
        }
        self.entries[index] = entry;
        self.all.push(&mut self.entries, Kind::All, index);
        self.sources.entry(source).or_default().push(&mut self.entries, Kind::Source, index);
        if handshaking {
            self.handshakes.push(&mut self.entries, Kind::Handshake, index);
        }
    }

    /// Something came over a connection.
    pub fn heard(&mut self, index: usize, now: Instant) {
        let Some(source) = self.source(index) else { return };
        self.entries[index].heard = now;
        self.all.remove(&mut self.entries, Kind::All, index);
        self.all.push(&mut self.entries, Kind::All, index);
        let list = self.sources.entry(source).or_default();
        list.remove(&mut self.entries, Kind::Source, index);
        list.push(&mut self.entries, Kind::Source, index);
    }

    /// A connection's handshake is over.
    pub fn handshaken(&mut self, index: usize) {
        if self.source(index).is_some() && self.entries[index].handshaking {
            self.entries[index].handshaking = false;
            self.handshakes.remove(&mut self.entries, Kind::Handshake, index);
        }
    }

    /// A connection's buffers have `bytes` bytes now.
    pub fn holds(&mut self, index: usize, bytes: usize) {
        if self.source(index).is_none() || self.entries[index].bytes == bytes {
            return;
        }
        let before = std::mem::replace(&mut self.entries[index].bytes, bytes);
        self.sizes.remove(&(before, index));
        self.bytes = self.bytes - before + bytes;
        if bytes > 0 {
            self.sizes.insert((bytes, index));
        }
    }

    /// The connection with the largest buffers, if all together have more than they may.
    #[must_use]
    pub fn beyond_budget(&self) -> Option<usize> {
        if self.bytes <= self.bounds.bytes {
            return None;
        }
        self.sizes.last().map(|(_, index)| *index)
    }

    /// A connection is over, or about to be: its place counts no longer. Saying so twice does nothing.
    pub fn leave(&mut self, index: usize) {
        let Some(source) = self.source(index) else { return };
        self.holds(index, 0);
        self.handshaken(index);
        self.all.remove(&mut self.entries, Kind::All, index);
        if let Some(list) = self.sources.get_mut(&source) {
            list.remove(&mut self.entries, Kind::Source, index);
            if list.count == 0 {
                self.sources.remove(&source);
            }
        }
        self.entries[index].source = None;
    }

    fn source(&self, index: usize) -> Option<SourceKey> {
        self.entries.get(index)?.source
    }
}

impl List {
    fn push(&mut self, entries: &mut [Entry], kind: Kind, index: usize) {
        entries[index].links[kind as usize] = Links { before: self.last, after: None };
        match self.last {
            Some(last) => entries[last].links[kind as usize].after = Some(index),
            None => self.first = Some(index),
        }
        self.last = Some(index);
        self.count += 1;
    }

    fn remove(&mut self, entries: &mut [Entry], kind: Kind, index: usize) {
        let Links { before, after } = entries[index].links[kind as usize];
        match before {
            Some(before) => entries[before].links[kind as usize].after = after,
            None => self.first = after,
        }
        match after {
            Some(after) => entries[after].links[kind as usize].before = before,
            None => self.last = before,
        }
        self.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { streams: 6, per_source: 3, handshakes: 2, bytes: 100 };

    fn key(n: u8) -> SourceKey {
        SourceKey::of([192, 0, 2, n].into())
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_full_source_gives_up_its_own_oldest_idle_connection() {
        let start = Instant::now();
        let mut roster = Roster::new(BOUNDS);
        roster.enter(9, key(9), false, start);
        for index in 0..3 {
            roster.enter(index, key(1), false, start + ms(index as u64));
        }
        assert_eq!(roster.room(key(1), false, start + ms(10)), Err(Full::Source));
        assert_eq!(roster.room(key(2), false, start + ms(10)), Ok(None));
        let later = start + ms(STREAM_SPARE_MS + 10);
        assert_eq!(roster.room(key(1), false, later), Ok(Some((0, Full::Source))));
        roster.heard(0, later);
        assert_eq!(roster.room(key(1), false, later), Ok(Some((1, Full::Source))));
        roster.leave(1);
        assert_eq!(roster.room(key(1), false, later), Ok(None));
    }

    #[test]
    fn a_full_shard_gives_up_the_one_that_was_idle_longest_whoever_it_is() {
        let start = Instant::now();
        let mut roster = Roster::new(BOUNDS);
        for index in 0..6_u8 {
            roster.enter(index.into(), key(index), false, start + ms(index.into()));
        }
        assert_eq!(roster.room(key(7), false, start + ms(50)), Err(Full::Shard));
        roster.heard(0, start + ms(60));
        let later = start + ms(STREAM_SPARE_MS + 10);
        assert_eq!(roster.room(key(7), false, later), Ok(Some((1, Full::Shard))));
    }

    #[test]
    fn handshakes_make_room_for_handshakes() {
        let start = Instant::now();
        let mut roster = Roster::new(BOUNDS);
        roster.enter(0, key(0), true, start);
        roster.enter(1, key(1), true, start + ms(1));
        // A handshake that goes on slowly is no younger for it.
        let later = start + ms(STREAM_SPARE_MS);
        roster.heard(0, later);
        assert_eq!(roster.room(key(2), true, start + ms(2)), Err(Full::Handshakes));
        assert_eq!(roster.room(key(2), false, start + ms(2)), Ok(None));
        assert_eq!(roster.room(key(2), true, later), Ok(Some((0, Full::Handshakes))));
        roster.handshaken(1);
        assert_eq!(roster.room(key(2), true, later), Ok(None));
    }

    #[test]
    fn beyond_the_budget_the_largest_goes() {
        let mut roster = Roster::new(BOUNDS);
        for index in 0..4 {
            roster.enter(index, key(0), false, Instant::now());
        }
        for (index, bytes) in [(0, 30), (1, 40), (2, 30)] {
            roster.holds(index, bytes);
        }
        assert_eq!(roster.beyond_budget(), None);
        roster.holds(3, 1);
        assert_eq!(roster.beyond_budget(), Some(1));
        roster.leave(1);
        assert_eq!(roster.beyond_budget(), None);
    }

    /// The same, slowly: what is connected, least recently heard first.
    #[derive(Default)]
    struct Model(Vec<(usize, SourceKey, bool, usize)>);

    #[derive(Clone, Debug)]
    enum Step {
        Enter(u8, bool),
        Heard(usize),
        Handshaken(usize),
        Holds(usize, usize),
        Leave(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..4_u8, any::<bool>()).prop_map(|(source, tls)| Step::Enter(source, tls)),
            (0..8_usize).prop_map(Step::Heard),
            (0..8_usize).prop_map(Step::Handshaken),
            (0..8_usize, 0..60_usize).prop_map(|(index, bytes)| Step::Holds(index, bytes)),
            (0..8_usize).prop_map(Step::Leave),
        ]
    }

    impl Model {
        fn apply(&mut self, step: &Step, roster: &mut Roster, now: Instant) {
            let at = |index: &usize| self.0.iter().position(|entry| entry.0 == *index);
            match step {
                Step::Enter(source, tls) => {
                    let Some(free) = (0..8).find(|index| at(index).is_none()) else { return };
                    roster.enter(free, key(*source), *tls, now);
                    self.0.push((free, key(*source), *tls, 0));
                }
                Step::Heard(index) => {
                    roster.heard(*index, now);
                    if let Some(at) = at(index) {
                        let entry = self.0.remove(at);
                        self.0.push(entry);
                    }
                }
                Step::Handshaken(index) => {
                    roster.handshaken(*index);
                    if let Some(at) = at(index) {
                        self.0[at].2 = false;
                    }
                }
                Step::Holds(index, bytes) => {
                    roster.holds(*index, *bytes);
                    if let Some(at) = at(index) {
                        self.0[at].3 = *bytes;
                    }
                }
                Step::Leave(index) => {
                    roster.leave(*index);
                    self.0.retain(|entry| entry.0 != *index);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_roster_agrees_with_a_plain_list(steps in proptest::collection::vec(step(), 0..80)) {
            let (mut roster, mut model) = (Roster::new(BOUNDS), Model::default());
            let mut now = Instant::now();
            for step in steps {
                now += ms(1);
                model.apply(&step, &mut roster, now);
                let later = now + ms(STREAM_SPARE_MS);
                prop_assert_eq!(roster.count(), model.0.len());
                for source in 0..4 {
                    let of_source = model.0.iter().filter(|e| e.1 == key(source));
                    let expected = if of_source.clone().count() >= BOUNDS.per_source {
                        of_source.clone().next().map(|e| (e.0, Full::Source))
                    } else if model.0.len() >= BOUNDS.streams {
                        model.0.first().map(|e| (e.0, Full::Shard))
                    } else {
                        None
                    };
                    prop_assert_eq!(roster.room(key(source), false, later), Ok(expected));
                }
                let bytes: usize = model.0.iter().map(|e| e.3).sum();
                let largest = model.0.iter().map(|e| (e.3, e.0)).max();
                let expected = largest.filter(|_| bytes > BOUNDS.bytes).map(|e| e.1);
                prop_assert_eq!(roster.beyond_budget(), expected);
                let handshakes = model.0.iter().filter(|e| e.2).count();
                prop_assert_eq!(roster.handshakes.count, handshakes);
            }
        }
    }
}
