//! Counting everything again, slowly and by other means, to prove that nothing is lost.

use std::collections::BTreeMap;
use std::path::Path;

use crate::aggregate::{Row, Totals};
use crate::counts::Counts;
use crate::event::{Seq, SourceKey, Time};
use crate::key::{AgentKey, Key, NumberKey};
use crate::limits::CACHE_BYTES;
use crate::load::{self, Loaded};
use crate::open;
use crate::open_error::OpenError;
use crate::repeat::Record;
use crate::snapshot::Table;
use crate::view::View;

/// What a recount found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recount {
    /// The first event in the log that counts; one after the last if there is none.
    pub first: Seq,
    /// The last event of the log.
    pub last: Seq,
    /// Events in the log that count, with those that repeats stand for.
    pub events: u64,
    /// Events that a start would count again, because no stored row includes them for sure.
    pub replayed: u64,
    /// Sources, numbers and user agents with a row.
    pub rows: [usize; 3],
    /// Events that no row counts, because a table was full or the row's age had ended it; for
    /// sources, numbers and user agents.
    pub without_row: [u64; 3],
    /// What is wrong, in words; empty if nothing is. At most [`FAULTS_MAX`].
    pub faults: Vec<String>,
}

impl Recount {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Faults that are put into words, at most: a damaged database has a million of them.
pub const FAULTS_MAX: usize = 20;

/// Counts the log of a closed database again. Its file is not changed: what a start would do to it
/// is done in memory.
///
/// Every block must unpack; the sequence must have no gap; and the count and the last time of each
/// row must be those of its key's events since the row exists.
///
/// # Errors
///
/// When the database cannot be opened.
pub fn recount(path: &Path) -> Result<Recount, OpenError> {
    let db = open::open_unchanged(path, CACHE_BYTES)?;
    let failed = |error| open::open_error(path, error);
    let loaded = load::load(&db).map_err(failed)?;
    let view = View::new(&db).map_err(failed)?;
    let mut check = Check::new(&loaded);
    let mut at = Seq(0);
    let mut expected = None;
    while let Some(head) = view.head_after(at).map_err(failed)? {
        if expected.is_some_and(|seq| seq != head.first) {
            check.fault(format!("the log has a gap before event {}", head.first.0));
        }
        at = head.last();
        expected = Some(Seq(at.0 + 1));
        match view.block(&head).map_err(failed)? {
            Ok(block) => {
                for record in block.records() {
                    match record {
                        Ok((seq, record)) => check.record(seq, &record),
                        Err(error) => check.fault(format!("block {}: {error}", head.first.0)),
                    }
                }
            }
            Err(error) => check.fault(format!("block {}: {error}", head.first.0)),
        }
    }
    if at != loaded.state.last && at != Seq(0) {
        check.fault(format!("the log ends with {} and should with {}", at.0, loaded.state.last.0));
    }
    Ok(check.finish(&loaded))
}

/// Count and last time of one key, by hand.
type Tally<K> = BTreeMap<K, (u64, Time)>;

struct Check<'a> {
    counts: &'a Counts,
    expired: Seq,
    first: Option<Seq>,
    events: u64,
    sources: Tally<SourceKey>,
    numbers: Tally<NumberKey>,
    agents: Tally<AgentKey>,
    without_row: [u64; 3],
    faults: Vec<String>,
}

impl<'a> Check<'a> {
    fn new(loaded: &'a Loaded) -> Self {
        Self {
            counts: &loaded.counts,
            expired: loaded.state.expired,
            first: None,
            events: 0,
            sources: BTreeMap::new(),
            numbers: BTreeMap::new(),
            agents: BTreeMap::new(),
            without_row: [0; 3],
            faults: Vec::new(),
        }
    }

    fn fault(&mut self, fault: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }

    fn record(&mut self, seq: Seq, record: &Record<'_>) {
        if seq <= self.expired {
            return;
        }
        self.first.get_or_insert(seq);
        self.events += record.count();
        let counts = self.counts;
        let seen = match record {
            Record::Event(event) => (1, event.time),
            Record::Repeat(repeat) => (repeat.count, repeat.last),
        };
        let source = SourceKey::of(record.source());
        let counted = tally(&mut self.sources, &counts.sources.table, source, seq, seen);
        self.without_row[0] += if counted { 0 } else { record.count() };
        let Record::Event(event) = record else { return };
        if !event.number.is_empty() {
            let number = NumberKey::of(event.number);
            let counted = tally(&mut self.numbers, &counts.numbers.table, number, seq, seen);
            self.without_row[1] += u64::from(!counted);
        }
        if !event.user_agent.is_empty() {
            let agent = AgentKey::of(event.user_agent);
            let counted = tally(&mut self.agents, &counts.agents.table, agent, seq, seen);
            self.without_row[2] += u64::from(!counted);
        }
    }

    fn finish(mut self, loaded: &Loaded) -> Recount {
        let counts = self.counts;
        let faults = [
            compare("source", &counts.sources.table, &self.sources, loaded.time),
            compare("number", &counts.numbers.table, &self.numbers, loaded.time),
            compare("user agent", &counts.agents.table, &self.agents, loaded.time),
        ];
        faults.into_iter().flatten().for_each(|fault| self.fault(fault));
        let Totals { repeats, repeated, .. } = counts.totals;
        let totals = counts.totals.events();
        if totals != loaded.state.last.0 - repeats + repeated {
            self.fault(format!("{totals} events in all, and {} were stored", loaded.state.last.0));
        }
        Recount {
            first: self.first.unwrap_or(Seq(loaded.state.last.0 + 1)),
            last: loaded.state.last,
            events: self.events,
            replayed: loaded.replayed,
            rows: [
                counts.sources.table.len(),
                counts.numbers.table.len(),
                counts.agents.table.len(),
            ],
            without_row: self.without_row,
            faults: self.faults,
        }
    }
}

/// Counts events of one key, the last of them at a time, if there is a row that should have counted them.
fn tally<K: Key, R: Row>(
    tally: &mut Tally<K>,
    table: &Table<K, R>,
    key: K,
    seq: Seq,
    (more, time): (u64, Time),
) -> bool {
    let counts = table.get(&key).is_some_and(|row| row.seen().since <= seq);
    if counts {
        let (count, last) = tally.entry(key).or_default();
        *count += more;
        *last = time.max(*last);
    }
    counts
}

/// `now` is when something was last stored: times after it were wrong, and rows do not keep them.
fn compare<K: Key, R: Row>(
    what: &str,
    table: &Table<K, R>,
    tally: &Tally<K>,
    now: Time,
) -> Vec<String> {
    let mut faults = Vec::new();
    for (key, row) in table.iter() {
        let (count, last) = tally.get(key).copied().unwrap_or_default();
        let seen = row.seen();
        // A row without events is about to leave; when it was last seen is not in the log.
        if seen.count != count || (count > 0 && seen.last < last.min(now)) {
            faults.push(format!(
                "{what} {}: the row counts {} and the log {count}",
                key.as_bytes().escape_ascii(),
                seen.count
            ));
        }
    }
    faults
}
