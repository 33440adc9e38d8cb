//! What other nodes say, and enough of them for it to be acted on.
//!
//! Which of it is believed is decided where sharing is; here it is kept, published with each generation, and
//! held apart from what this node has seen itself.

use std::sync::Arc;

use redb::{Error, ReadableTable, WriteTransaction};

use crate::event::{SourceKey, Time};
use crate::filter::Subject;
use crate::key::{Key, NumberKey};
use crate::limits::{PEER_ENTRIES_MAX, VALUE_BYTES_MAX};
use crate::order::{Order, OrderError};
use crate::store::Store;
use crate::tables::PEERS;

/// What other nodes say of one source or number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeerRow {
    /// Until when it holds if nobody says so again.
    pub until: Time,
    /// When it was last proven, as they say.
    pub last: Time,
    /// How many of them say so.
    pub voters: u8,
    /// Whether one that the operator trusts was enough.
    pub by_trusted: bool,
    /// What their voices weigh together.
    pub weight: f32,
    /// When this node began to say it as it is: when it was first listed, or last listed anew with other
    /// times or another number of voters. The writer notes it, when it begins the commit that publishes
    /// the row; what [`Store::set_peers`] is given does not matter. A list that was made earlier lacks
    /// this row, one that was made as much later as a commit may take has it.
    pub told: Time,
}

impl PeerRow {
    /// Whether a list would say the same of both.
    fn says_the_same(&self, other: &Self) -> bool {
        (self.until, self.last, self.voters) == (other.until, other.last, other.voters)
    }
}

/// Everything that other nodes say and that is acted on, immutable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Peers {
    sources: Vec<(SourceKey, PeerRow)>,
    numbers: Vec<(NumberKey, PeerRow)>,
}

impl Peers {
    /// At most [`PEER_ENTRIES_MAX`] of each; those that hold the longest are kept.
    #[must_use]
    pub fn new(sources: Vec<(SourceKey, PeerRow)>, numbers: Vec<(NumberKey, PeerRow)>) -> Self {
        Self { sources: sorted(sources), numbers: sorted(numbers) }
    }

    /// What they say of a source.
    #[must_use]
    pub fn source(&self, key: &SourceKey) -> Option<&PeerRow> {
        find(&self.sources, key)
    }

    /// What they say of a number.
    #[must_use]
    pub fn number(&self, key: &NumberKey) -> Option<&PeerRow> {
        find(&self.numbers, key)
    }

    /// All sources, in the order of their keys.
    #[must_use]
    pub fn sources(&self) -> &[(SourceKey, PeerRow)] {
        &self.sources
    }

    /// All numbers, in the order of their keys.
    #[must_use]
    pub fn numbers(&self) -> &[(NumberKey, PeerRow)] {
        &self.numbers
    }

    /// The same without this one; `None` if it is not there.
    pub(crate) fn without(&self, subject: &Subject) -> Option<Self> {
        let mut rest = self.clone();
        match subject {
            Subject::Source(key) => rest.sources.retain(|(other, _)| other != key),
            Subject::Number(key) => rest.numbers.retain(|(other, _)| other != key),
        }
        (rest != *self).then_some(rest)
    }

    /// The same, each row with the time since when it is told: `now`, unless `before` said the same.
    pub(crate) fn told_after(&self, before: &Self, now: Time) -> Self {
        Self {
            sources: told_after(&self.sources, &before.sources, now),
            numbers: told_after(&self.numbers, &before.numbers, now),
        }
    }
}

/// Both are sorted, so one walk finds what was there before.
fn told_after<K: Key>(
    rows: &[(K, PeerRow)],
    before: &[(K, PeerRow)],
    now: Time,
) -> Vec<(K, PeerRow)> {
    let mut before = before.iter().peekable();
    let told = |(key, row): &(K, PeerRow)| {
        while before.next_if(|(other, _)| other < key).is_some() {}
        let known = before.peek().filter(|(other, old)| other == key && old.says_the_same(row));
        (key.clone(), PeerRow { told: known.map_or(now, |(_, old)| old.told), ..*row })
    };
    rows.iter().map(told).collect()
}

fn sorted<K: Key>(mut rows: Vec<(K, PeerRow)>) -> Vec<(K, PeerRow)> {
    if rows.len() > PEER_ENTRIES_MAX {
        rows.select_nth_unstable_by(PEER_ENTRIES_MAX, |a, b| b.1.until.cmp(&a.1.until));
        rows.truncate(PEER_ENTRIES_MAX);
    }
    rows.sort_unstable_by(|a, b| (&a.0, b.1.until).cmp(&(&b.0, a.1.until)));
    rows.dedup_by(|later, first| later.0 == first.0);
    rows
}

fn find<'a, K: Key>(rows: &'a [(K, PeerRow)], key: &K) -> Option<&'a PeerRow> {
    let at = rows.binary_search_by(|(other, _)| other.cmp(key)).ok()?;
    Some(&rows[at].1)
}

impl Store {
    /// Replaces what other nodes say, with the next commit.
    ///
    /// # Errors
    ///
    /// [`OrderError`].
    pub fn set_peers(&self, peers: Arc<Peers>) -> Result<(), OrderError> {
        self.order(Order::Peers(peers))
    }
}

/// The form that is written.
const FORM: u8 = 2;
/// An earlier one, which is read: no row has the time since when it is told.
const FORM_WITHOUT_TOLD: u8 = 1;
/// What a row of any form has beside its key, at least.
const ROW_BYTES: usize = 8 + 8 + 1 + 1 + 4;

/// Replaces what is stored.
pub(crate) fn write(write: &WriteTransaction, peers: &Peers) -> Result<(), Error> {
    let mut table = write.open_table(PEERS)?;
    let mut number = 0;
    for part in encode(peers).chunks(VALUE_BYTES_MAX) {
        table.insert(number, part)?;
        number += 1;
    }
    // What was stored before may have had more parts.
    while table.remove(number)?.is_some() {
        number += 1;
    }
    Ok(())
}

/// Reads what is stored; the last commit was at `time`. What cannot be read is as if it were not there: others
/// will say it again.
pub(crate) fn read(
    table: &impl ReadableTable<u32, &'static [u8]>,
    time: Time,
) -> Result<Peers, Error> {
    let mut bytes = Vec::new();
    for part in table.iter()? {
        bytes.extend_from_slice(part?.1.value());
    }
    if bytes.is_empty() {
        return Ok(Peers::default());
    }
    let read = decode(&bytes, time);
    if read.is_none() {
        log::error!("what other nodes said cannot be read; it is dropped");
    }
    Ok(read.unwrap_or_default())
}

/// The form, and for sources and then numbers their count (4), and of each the length of its key (1), the
/// key, until (8), last (8), voters (1), whether one was trusted (1), the weight (4), and since when it is
/// told (8), which form 1 does not have. All numbers are little-endian.
fn encode(peers: &Peers) -> Vec<u8> {
    let mut out = vec![FORM];
    put_rows(&peers.sources, &mut out);
    put_rows(&peers.numbers, &mut out);
    out
}

fn put_rows<K: Key>(rows: &[(K, PeerRow)], out: &mut Vec<u8>) {
    out.extend_from_slice(&(rows.len() as u32).to_le_bytes());
    for (key, row) in rows {
        let key = key.as_bytes();
        // A number is at most 128 bytes long.
        out.push(key.len() as u8);
        out.extend_from_slice(key);
        out.extend_from_slice(&row.until.0.to_le_bytes());
        out.extend_from_slice(&row.last.0.to_le_bytes());
        out.extend_from_slice(&[row.voters, u8::from(row.by_trusted)]);
        out.extend_from_slice(&row.weight.to_le_bytes());
        out.extend_from_slice(&row.told.0.to_le_bytes());
    }
}

/// What form 1 has was told when it was last stored, `time`, or earlier: nobody misses it who is told it again.
fn decode(bytes: &[u8], time: Time) -> Option<Peers> {
    let (form, mut rest) = bytes.split_first()?;
    let told = match *form {
        FORM => None,
        FORM_WITHOUT_TOLD => Some(time),
        _ => return None,
    };
    let (sources, numbers) = (take_rows(&mut rest, told)?, take_rows(&mut rest, told)?);
    rest.is_empty().then(|| Peers::new(sources, numbers))
}

/// Rows whose `told` is this one, or else stands with them.
fn take_rows<K: Key>(bytes: &mut &[u8], told: Option<Time>) -> Option<Vec<(K, PeerRow)>> {
    let count = u32::from_le_bytes(take(bytes)?) as usize;
    // What it says of itself takes no memory before it is there.
    let mut rows = Vec::with_capacity(count.min(bytes.len() / ROW_BYTES));
    for _ in 0..count {
        let [len] = take(bytes)?;
        let (key, others) = bytes.split_at_checked(usize::from(len))?;
        *bytes = others;
        let key = K::from_bytes(key)?;
        let until = Time(u64::from_le_bytes(take(bytes)?));
        let last = Time(u64::from_le_bytes(take(bytes)?));
        let [voters, by_trusted] = take(bytes)?;
        let weight = f32::from_le_bytes(take(bytes)?);
        let told = match told {
            Some(told) => told,
            None => Time(u64::from_le_bytes(take(bytes)?)),
        };
        let by_trusted = by_trusted != 0;
        rows.push((key, PeerRow { until, last, voters, by_trusted, weight, told }));
    }
    Some(rows)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::bench::Bench;
    use crate::testing::{START, event};

    fn row(until: u64) -> PeerRow {
        let (until, last, told) = (Time(until), Time(5), Time(11));
        PeerRow { until, last, voters: 3, by_trusted: false, weight: 1.5, told }
    }

    fn key(n: u32) -> SourceKey {
        SourceKey::of(IpAddr::V4(n.into()))
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_back(
            sources in prop::collection::btree_map(any::<u32>(), any::<u64>(), 0..50),
            numbers in prop::collection::btree_map("[0-9+*a-z]{0,120}", any::<u64>(), 0..20),
        ) {
            let sources = sources.into_iter().map(|(n, until)| (key(n), row(until))).collect();
            let numbers = numbers
                .into_iter()
                .map(|(n, until)| (NumberKey::from_bytes(n.as_bytes()).unwrap(), row(until)))
                .collect();
            let peers = Peers::new(sources, numbers);
            let bytes = encode(&peers);
            prop_assert_eq!(decode(&bytes, Time(0)), Some(peers));
            prop_assert_eq!(decode(&bytes[..bytes.len() - 1], Time(0)), None);
        }

        #[test]
        fn any_bytes_are_peers_or_are_not(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes, Time(0));
        }

        /// The same in a way that is slower and plainer.
        #[test]
        fn what_says_the_same_as_before_keeps_its_time(
            before in prop::collection::btree_map(0..20u32, 0..3u64, 0..20),
            after in prop::collection::btree_map(0..20u32, 0..3u64, 0..20),
        ) {
            let rows = |from: &std::collections::BTreeMap<u32, u64>| {
                from.iter().map(|(n, until)| (key(*n), row(*until))).collect::<Vec<_>>()
            };
            let old = Peers::new(rows(&before), Vec::new());
            let new = Peers::new(rows(&after), Vec::new()).told_after(&old, Time(77));
            prop_assert_eq!(new.sources().len(), after.len());
            for (n, until) in &after {
                let told = if before.get(n) == Some(until) { Time(11) } else { Time(77) };
                prop_assert_eq!(new.source(&key(*n)), Some(&PeerRow { told, ..row(*until) }));
            }
        }
    }

    #[test]
    fn rows_of_form_1_are_told_since_the_last_commit() {
        let mut bytes = vec![1];
        bytes.extend_from_slice(&1u32.to_le_bytes());
        bytes.push(16);
        bytes.extend_from_slice(key(7).as_bytes());
        bytes.extend_from_slice(&9u64.to_le_bytes());
        bytes.extend_from_slice(&5u64.to_le_bytes());
        bytes.extend_from_slice(&[3, 0]);
        bytes.extend_from_slice(&1.5f32.to_le_bytes());
        bytes.extend_from_slice(&0u32.to_le_bytes());
        let read = decode(&bytes, Time(42)).unwrap();
        assert_eq!(read.sources(), [(key(7), PeerRow { told: Time(42), ..row(9) })]);
    }

    #[test]
    fn the_longest_are_kept_and_each_key_once() {
        let many = (0..PEER_ENTRIES_MAX as u32 + 10).map(|n| (key(n), row(u64::from(n)))).collect();
        let peers = Peers::new(many, Vec::new());
        assert_eq!(peers.sources().len(), PEER_ENTRIES_MAX);
        assert_eq!(peers.source(&key(9)), None);
        assert!(peers.source(&key(10)).is_some());
        let twice = Peers::new(vec![(key(1), row(4)), (key(1), row(7))], Vec::new());
        assert_eq!(twice.sources(), [(key(1), row(7))]);
    }

    /// As the writer publishes them when it has seen none of them before.
    fn told(peers: &Peers, now: Time) -> Arc<Peers> {
        Arc::new(peers.told_after(&Peers::default(), now))
    }

    #[test]
    fn they_are_published_stored_and_forgotten() {
        let mut bench = Bench::new(u64::MAX);
        bench.ingest(&event(1));
        bench.commit();
        let before = bench.snapshot();
        let numbers = vec![(NumberKey::of(b"+4420"), row(9))];
        let peers = Arc::new(Peers::new(vec![(key(1), row(8)), (key(2), row(9))], numbers));
        bench.writer.take_order(Order::Peers(peers.clone()));
        bench.commit();
        let after = bench.snapshot();
        assert_eq!((&before.peers, &after.peers), (&Arc::default(), &told(&peers, bench.now)));
        assert!(after.generation > before.generation);
        assert_eq!(after.sources_changed, after.generation);
        bench.restart();
        assert_eq!(bench.snapshot().peers, told(&peers, bench.now));
        let first = bench.now;
        bench.now.0 += 1;
        bench.writer.take_order(Order::Peers(peers));
        bench.commit();
        assert_eq!(bench.snapshot().generation, after.generation + 1, "it is no news");
        bench
            .writer
            .take_order(Order::Forget(Subject::Source(key(2)), crossbeam_channel::bounded(1).0));
        bench.settle();
        bench.restart();
        let left = bench.snapshot();
        assert_eq!(left.peers.sources(), [(key(1), PeerRow { told: first, ..row(8) })]);
        assert_eq!(left.peers.numbers().len(), 1);
        assert!(left.time >= START);
    }
}
