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

const FORM: u8 = 1;
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

/// Reads what is stored. What cannot be read is as if it were not there: others will say it again.
pub(crate) fn read(table: &impl ReadableTable<u32, &'static [u8]>) -> Result<Peers, Error> {
    let mut bytes = Vec::new();
    for part in table.iter()? {
        bytes.extend_from_slice(part?.1.value());
    }
    if bytes.is_empty() {
        return Ok(Peers::default());
    }
    let read = decode(&bytes);
    if read.is_none() {
        log::error!("what other nodes said cannot be read; it is dropped");
    }
    Ok(read.unwrap_or_default())
}

/// The form, and for sources and then numbers their count (4), and of each the length of its key (1), the
/// key, until (8), last (8), voters (1), whether one was trusted (1) and the weight (4). All numbers are
/// little-endian.
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
    }
}

fn decode(bytes: &[u8]) -> Option<Peers> {
    let (form, mut rest) = bytes.split_first()?;
    if *form != FORM {
        return None;
    }
    let (sources, numbers) = (take_rows(&mut rest)?, take_rows(&mut rest)?);
    rest.is_empty().then(|| Peers::new(sources, numbers))
}

fn take_rows<K: Key>(bytes: &mut &[u8]) -> Option<Vec<(K, PeerRow)>> {
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
        rows.push((key, PeerRow { until, last, voters, by_trusted: by_trusted != 0, weight }));
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
        PeerRow { until: Time(until), last: Time(5), voters: 3, by_trusted: false, weight: 1.5 }
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
            prop_assert_eq!(decode(&bytes), Some(peers));
            prop_assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
        }

        #[test]
        fn any_bytes_are_peers_or_are_not(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
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
        assert_eq!((&before.peers, &after.peers), (&Arc::default(), &peers));
        assert!(after.generation > before.generation);
        assert_eq!(after.sources_changed, after.generation);
        bench.restart();
        assert_eq!(bench.snapshot().peers, peers);
        bench
            .writer
            .take_order(Order::Forget(Subject::Source(key(2)), crossbeam_channel::bounded(1).0));
        bench.settle();
        bench.restart();
        let left = bench.snapshot();
        assert_eq!(left.peers.sources(), [(key(1), row(8))]);
        assert_eq!(left.peers.numbers().len(), 1);
        assert!(left.time >= START);
    }
}
