//! Looking for events, the newest first.
//!
//! A question goes through the blocks backwards. It passes over those whose times do not fit, and over
//! those whose filter knows neither the source nor the number; of the others it reads what is known
//! about the events, and unpacks their messages only when an event fits. What one call looks at is
//! bounded; where it stops the next one can go on.

use crate::block::Block;
use crate::event::{EventRef, Seq, SourceKey, Time, Transport, Verification};
pub use crate::filter::Subject;
use crate::filter::may_hold;
use crate::key::NumberKey;
use crate::limits::{LOG_READ_BYTES_MAX, QUERY_BLOCKS_MAX, QUERY_HEADS_MAX};
use crate::log::{Log, LogError, StoredEvent};
use crate::method::Method;
use crate::view::Walk;

/// What is looked for: all that is given must fit.
#[derive(Clone, Debug)]
pub struct Query {
    /// Events before this one.
    pub before: Seq,
    /// Not earlier than this.
    pub since: Time,
    /// Not later than this.
    pub until: Time,
    /// From this source, or for this number.
    pub subject: Option<Subject>,
    /// By this method.
    pub method: Option<Method>,
    /// Over this transport.
    pub transport: Option<Transport>,
    /// At least as well proven as this.
    pub min_verification: Verification,
    /// With these bytes in the user agent.
    pub agent: Option<Box<[u8]>>,
    /// So many, at most; 0 is taken for 1.
    pub max_events: usize,
}

impl Default for Query {
    /// The newest hundred.
    fn default() -> Self {
        Self {
            before: Seq(u64::MAX),
            since: Time(0),
            until: Time(u64::MAX),
            subject: None,
            method: None,
            transport: None,
            min_verification: Verification::Unverified,
            agent: None,
            max_events: 100,
        }
    }
}

impl Query {
    fn may_fit(&self, earliest: Time, latest: Time) -> bool {
        latest >= self.since && earliest <= self.until
    }

    /// Whether the event fits as far as it is known without its message.
    fn may_want(&self, event: &EventRef<'_>) -> bool {
        let is_of_source = match &self.subject {
            Some(Subject::Source(source)) => SourceKey::of(event.source.ip()) == *source,
            Some(Subject::Number(_)) | None => true,
        };
        is_of_source
            && self.since <= event.time
            && event.time <= self.until
            && self.transport.is_none_or(|transport| event.transport == transport)
            && event.verification >= self.min_verification
    }

    fn fits(&self, event: &EventRef<'_>) -> bool {
        let is_of_number = match &self.subject {
            Some(Subject::Number(number)) => {
                !event.number.is_empty() && NumberKey::of(event.number) == *number
            }
            Some(Subject::Source(_)) | None => true,
        };
        self.may_want(event)
            && is_of_number
            && self.method.is_none_or(|method| Method::of(event.method) == method)
            && self.agent.as_ref().is_none_or(|agent| has(event.user_agent, agent))
    }
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The events, the newest first.
    pub events: Vec<StoredEvent>,
    /// Where to go on: [`Query::before`] of the next call. `None` when everything was looked at.
    pub before: Option<Seq>,
    /// Events that could not be looked at because their blocks are damaged.
    pub damaged: u64,
}

impl Log {
    /// The newest events that fit.
    ///
    /// # Errors
    ///
    /// [`LogError::Closed`] and [`LogError::Storage`]. Damaged blocks are counted and passed over.
    pub fn find(&self, query: &Query) -> Result<Found, LogError> {
        let (view, key) = self.view_and_key()?;
        let hash = query.subject.as_ref().map(|subject| subject.hash(key));
        let source = match &query.subject {
            Some(Subject::Source(source)) => Some(*source),
            Some(Subject::Number(_)) | None => None,
        };
        let mut found = Found::default();
        let mut search = Search { query, node: self.node_id(), bytes: 0, blocks: 0 };
        let done = view.blocks_before(query.before, QUERY_HEADS_MAX, |head, filter| {
            let is_apart = hash.is_some_and(|hash| !may_hold(filter, hash));
            if is_apart || !query.may_fit(head.earliest, head.latest) {
                return Ok(Walk::On);
            }
            if search.is_over(&found) {
                return Ok(Walk::Stop);
            }
            search.blocks += 1;
            match view.block_some(head, source, |event| query.may_want(event))? {
                Ok(block) => search.block(&block, &mut found),
                Err(_) => found.damaged += u64::from(head.count),
            }
            let is_cut = search.is_over(&found) && found.before.is_some();
            Ok(if is_cut { Walk::Stop } else { Walk::On })
        })?;
        found.before = found.before.or(done);
        Ok(found)
    }

    /// The event with this place in the log, if it is still there.
    ///
    /// # Errors
    ///
    /// [`LogError`].
    pub fn event(&self, seq: Seq) -> Result<Option<StoredEvent>, LogError> {
        let Some(before) = seq.0.checked_sub(1) else { return Ok(None) };
        let found = self.since(Seq(before), 1)?;
        Ok(found.into_iter().next().filter(|event| event.seq == seq))
    }
}

/// One call of [`Log::find`].
struct Search<'a> {
    query: &'a Query,
    node: uuid::Uuid,
    bytes: usize,
    blocks: usize,
}

impl Search<'_> {
    fn is_over(&self, found: &Found) -> bool {
        found.events.len() >= self.query.max_events.max(1)
            || self.bytes >= LOG_READ_BYTES_MAX
            || self.blocks >= QUERY_BLOCKS_MAX
    }

    /// Takes what fits of a block, the newest first. What there is no room for is looked for again:
    /// [`Found::before`] is set.
    fn block(&mut self, block: &Block, found: &mut Found) {
        let mut fitting = Vec::new();
        for event in block.events() {
            match event {
                Ok((seq, event)) if seq < self.query.before && self.query.fits(&event) => {
                    fitting.push((seq, event));
                }
                Ok(_) => {}
                Err(_) => {
                    found.damaged += 1;
                    break;
                }
            }
        }
        for (seq, event) in fitting.iter().rev() {
            let is_full = found.events.len() >= self.query.max_events.max(1);
            if is_full || (self.bytes >= LOG_READ_BYTES_MAX && !found.events.is_empty()) {
                found.before = Some(Seq(seq.0 + 1));
                return;
            }
            self.bytes += event.message.len() + size_of::<StoredEvent>();
            found.events.push(StoredEvent::new(self.node, *seq, event));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bench::Bench;
    use crate::testing::event;

    /// Blocks of some events each, and what is in them.
    fn filled(sources: &[u8]) -> Bench {
        let mut bench = Bench::new(u64::MAX);
        for (n, source) in sources.iter().enumerate() {
            let number = format!("00{}", source % 3);
            let method: &[u8] = if source % 2 == 0 { b"INVITE" } else { b"OPTIONS" };
            let time = bench.now;
            bench.ingest(&EventRef { time, number: number.as_bytes(), method, ..event(*source) });
            bench.now.0 += crate::limits::NS_PER_S;
            if n % 4 == 3 {
                bench.commit();
                bench.close_block();
            }
        }
        bench.commit();
        bench
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_search_finds_what_a_walk_through_everything_finds(
            sources in prop::collection::vec(0..8u8, 0..60),
            wanted in 0..8u8,
            by_number: bool,
            method in prop::option::of(prop::sample::select(vec![Method::Invite, Method::Options])),
            (since, until) in (0..70u64, 0..70u64),
            max_events in 1..9usize,
        ) {
            let bench = filled(&sources);
            let key = SourceKey::of(event(wanted).source.ip());
            let number = NumberKey::of(format!("00{}", wanted % 3).as_bytes());
            let subject = if by_number { Subject::Number(number) } else { Subject::Source(key) };
            let at = |seconds: u64| Time(crate::testing::START.0 + seconds * crate::limits::NS_PER_S);
            let mut query = Query {
                subject: Some(subject), method, since: at(since), until: at(until), max_events,
                ..Query::default()
            };
            let mut found = Vec::new();
            loop {
                let page = bench.log().find(&query).unwrap();
                prop_assert!(page.events.len() <= max_events && page.damaged == 0);
                found.extend(page.events);
                let Some(before) = page.before else { break };
                prop_assert!(before < query.before);
                query.before = before;
            }
            let mut expected: Vec<_> =
                bench.given.iter().filter(|event| query.fits(&event.event())).cloned().collect();
            expected.reverse();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn an_event_is_found_by_its_place_as_long_as_it_is_there() {
        let bench = filled(&[1, 2, 3, 4, 5, 6]);
        assert_eq!(bench.log().event(Seq(5)).unwrap().unwrap(), bench.given[4]);
        assert_eq!(bench.log().event(Seq(7)).unwrap(), None);
        assert_eq!(bench.log().event(Seq(0)).unwrap(), None);
    }
}
