//! Where the readers of the log are.
//!
//! A reader has a name, and a place in the log that outlives the process. It reads, hands on what it
//! has read, and moves its cursor only then: what it had not handed on when the process died it reads
//! again. Moving a cursor is a note for the writer, which stores it with its next commit. So a cursor
//! is never ahead of the log, and at most one commit behind its reader.
//!
//! A reader that stops costs nothing: it holds nothing up, and what retention takes before it comes
//! back is counted for it in [`Cursor::missed`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::block::Block;
use crate::event::{Seq, Time};
use crate::limits::{CURSOR_NAME_BYTES_MAX, CURSORS_MAX};
use crate::log::{Log, LogError, StoredEvent};
use crate::store::{Shared, Store};

/// The name of a reader: 1 to [`CURSOR_NAME_BYTES_MAX`] of `a`-`z`, `0`-`9`, `-`, `.` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CursorName(Box<str>);

impl CursorName {
    /// The name, if it is one.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let is_fit =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
        let fits = (1..=CURSOR_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_fit);
        fits.then(|| Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CursorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A reader's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Everything up to this event is done with.
    pub at: Seq,
    /// Events that retention took, or that were damaged, before the reader was done with them; with
    /// repeats and what was erased, which it would not have seen.
    pub missed: u64,
    /// When it last moved.
    pub moved: Time,
}

const CURSOR_BYTES: usize = 24;

impl Cursor {
    pub(crate) fn encode(&self) -> [u8; CURSOR_BYTES] {
        let mut bytes = [0; CURSOR_BYTES];
        let numbers = [self.at.0, self.missed, self.moved.0];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; CURSOR_BYTES] = bytes.try_into().ok()?;
        let (numbers, _) = bytes.as_chunks::<8>();
        let number = |at: usize| u64::from_le_bytes(numbers[at]);
        Some(Self { at: Seq(number(0)), missed: number(1), moved: Time(number(2)) })
    }
}

/// All cursors of a database, and which of them the writer has yet to store.
#[derive(Debug, Default)]
pub(crate) struct Cursors(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    all: BTreeMap<CursorName, Cursor>,
    changed: BTreeMap<CursorName, Option<Cursor>>,
}

impl Cursors {
    /// A panic elsewhere leaves the map whole: each change is one insertion.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn load(&self, stored: Vec<(CursorName, Cursor)>) {
        self.lock().all = stored.into_iter().collect();
    }

    pub(crate) fn has_changed(&self) -> bool {
        !self.lock().changed.is_empty()
    }

    /// What the next commit stores.
    pub(crate) fn take_changed(&self) -> Vec<(CursorName, Option<Cursor>)> {
        std::mem::take(&mut self.lock().changed).into_iter().collect()
    }

    fn list(&self) -> Vec<(CursorName, Cursor)> {
        self.lock().all.iter().map(|(name, cursor)| (name.clone(), *cursor)).collect()
    }

    /// The cursor of this name, or `new` when there is none. `None` when there are too many.
    fn open(&self, name: &CursorName, new: Cursor) -> Option<Cursor> {
        let mut kept = self.lock();
        if let Some(cursor) = kept.all.get(name) {
            return Some(*cursor);
        }
        if kept.all.len() >= CURSORS_MAX {
            return None;
        }
        kept.put(name, new);
        Some(new)
    }

    fn put(&self, name: &CursorName, cursor: Cursor) {
        self.lock().put(name, cursor);
    }

    fn remove(&self, name: &CursorName) -> bool {
        let mut kept = self.lock();
        let was_there = kept.all.remove(name).is_some();
        if was_there {
            kept.changed.insert(name.clone(), None);
        }
        was_there
    }
}

impl Kept {
    fn put(&mut self, name: &CursorName, cursor: Cursor) {
        self.all.insert(name.clone(), cursor);
        self.changed.insert(name.clone(), Some(cursor));
    }
}

/// Where a reader that has no cursor yet begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With the first event that is still in the log.
    Oldest,
    /// With the next event that comes.
    Newest,
}

/// What a reader has read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// The events, in their order, without repeats.
    pub events: Vec<StoredEvent>,
    /// The first event behind the cursor that is still there; one after the last if there is none.
    pub(crate) first: Seq,
    /// When all of them are done with, the reader's place is this.
    pub through: Seq,
}

/// A reader of the log with a cursor of its own.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    name: CursorName,
    cursor: Cursor,
    /// The block that was unpacked last.
    block: Option<Block>,
}

impl Reader {
    /// Where it is.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The events behind the cursor: see [`Log::since`]. The cursor stays where it is, but behind what
    /// retention has taken and what is damaged, which is counted as missed.
    ///
    /// # Errors
    ///
    /// [`LogError::Closed`] and [`LogError::Storage`]: later it may go on.
    pub fn read(&mut self, max_events: usize) -> Result<Read, LogError> {
        let log = Log::new(self.shared.clone());
        loop {
            match log.read(self.cursor.at, max_events, &mut self.block) {
                Err(LogError::Damaged { last, .. }) => self.skip_to(last),
                Err(error) => return Err(error),
                Ok(mut read) => {
                    self.skip_to(Seq(read.first.0 - 1));
                    read.through = read.through.max(self.cursor.at);
                    return Ok(read);
                }
            }
        }
    }

    fn skip_to(&mut self, seq: Seq) {
        let skipped = seq.0.saturating_sub(self.cursor.at.0);
        if skipped > 0 {
            self.cursor = Cursor { at: seq, missed: self.cursor.missed + skipped, ..self.cursor };
            self.shared.cursors.put(&self.name, self.cursor);
        }
    }

    /// Waits until there may be something behind the cursor, at most so long. Whether there may be.
    #[must_use]
    pub fn wait(&self, patience: Duration) -> bool {
        let is_there = |through: Seq| through > self.cursor.at;
        self.shared.published.wait(patience, is_there)
    }

    /// Everything up to `through` is done with. Stored with the writer's next commit.
    pub fn advance(&mut self, through: Seq, now: Time) {
        if through > self.cursor.at {
            self.cursor = Cursor { at: through, moved: now, ..self.cursor };
            self.shared.cursors.put(&self.name, self.cursor);
        }
    }
}

impl Store {
    /// The reader of this name, which goes on where it was. Two at once of one name would move each
    /// other's cursor. `None` when there are [`CURSORS_MAX`] others.
    ///
    /// # Errors
    ///
    /// [`LogError::Closed`] until the database is open.
    pub fn reader(
        &self,
        name: &CursorName,
        begin: Begin,
        now: Time,
    ) -> Result<Option<Reader>, LogError> {
        let log = Log::new(self.0.clone());
        let at = match begin {
            Begin::Oldest => Seq(log.first()?.0 - 1),
            Begin::Newest => log.last()?,
        };
        let new = Cursor { at, missed: 0, moved: now };
        let opened = self.0.cursors.open(name, new);
        Ok(opened.map(|cursor| Reader {
            shared: self.0.clone(),
            name: name.clone(),
            cursor,
            block: None,
        }))
    }

    /// Where every reader is.
    #[must_use]
    pub fn cursors(&self) -> Vec<(CursorName, Cursor)> {
        self.0.cursors.list()
    }

    /// Forgets a reader. Whether there was one.
    pub fn remove_cursor(&self, name: &CursorName) -> bool {
        self.0.cursors.remove(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Bench;
    use crate::event::EventRef;
    use crate::limits::NS_PER_S;
    use crate::testing::{START, event};

    fn reader(bench: &Bench, begin: Begin) -> Reader {
        let store = Store(bench.writer.shared.clone());
        let name = CursorName::new("test").unwrap();
        store.reader(&name, begin, bench.now).unwrap().unwrap()
    }

    fn seqs(read: &Read) -> Vec<u64> {
        read.events.iter().map(|event| event.seq.0).collect()
    }

    #[test]
    fn a_reader_goes_on_after_a_kill_where_its_stored_cursor_was() {
        let mut bench = Bench::new(u64::MAX);
        (0..6).for_each(|n| bench.ingest(&event(n)));
        bench.commit();
        let mut first = reader(&bench, Begin::Oldest);
        assert_eq!(seqs(&first.read(3).unwrap()), [1, 2, 3]);
        assert_eq!(seqs(&first.read(3).unwrap()), [1, 2, 3], "it has not moved");
        first.advance(Seq(3), bench.now);
        assert!(bench.writer.is_busy(), "the cursor is to be stored although nothing else is");
        bench.commit();
        first.advance(Seq(5), bench.now);
        bench.restart();
        let mut again = reader(&bench, Begin::Newest);
        assert_eq!(again.cursor(), Cursor { at: Seq(3), missed: 0, moved: START });
        assert_eq!(seqs(&again.read(9).unwrap()), [4, 5, 6], "at least once");
    }

    #[test]
    fn a_new_reader_may_begin_with_what_comes() {
        let mut bench = Bench::new(u64::MAX);
        bench.ingest(&event(1));
        bench.commit();
        let mut reader = reader(&bench, Begin::Newest);
        assert!(reader.read(9).unwrap().events.is_empty());
        bench.ingest(&event(2));
        bench.commit();
        assert_eq!(seqs(&reader.read(9).unwrap()), [2]);
    }

    #[test]
    fn a_reader_passes_what_is_only_counted() {
        let mut bench = Bench::new(u64::MAX);
        bench.ingest(&event(1));
        bench.ingest_repeat(&event(1), 50);
        bench.commit();
        let mut reader = reader(&bench, Begin::Oldest);
        let read = reader.read(9).unwrap();
        assert_eq!((seqs(&read), read.through), (vec![1], Seq(2)));
    }

    #[test]
    fn what_retention_took_before_a_reader_saw_it_is_counted_as_missed() {
        let mut bench = Bench::new(60 * NS_PER_S);
        let mut reader = reader(&bench, Begin::Oldest);
        for n in 0..10 {
            bench.ingest(&EventRef { time: bench.now, ..event(n) });
            bench.now.0 += 20 * NS_PER_S;
            bench.settle();
        }
        let first = bench.log().first().unwrap();
        assert!(first > Seq(3));
        let read = reader.read(100).unwrap();
        assert_eq!(reader.cursor().missed, first.0 - 1);
        assert_eq!(seqs(&read), (first.0..=10).collect::<Vec<_>>());
        reader.advance(read.through, bench.now);
        bench.commit();
        bench.restart();
        let stored = Store(bench.writer.shared.clone()).cursors();
        assert_eq!((stored.len(), stored[0].1), (1, reader.cursor()));
        assert!(Store(bench.writer.shared.clone()).remove_cursor(&stored[0].0));
        bench.commit();
        bench.restart();
        assert!(Store(bench.writer.shared.clone()).cursors().is_empty());
    }

    #[test]
    fn a_reader_that_waits_is_woken_by_the_commit() {
        let mut bench = Bench::new(u64::MAX);
        let reader = reader(&bench, Begin::Oldest);
        assert!(!reader.wait(Duration::ZERO));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| reader.wait(Duration::from_secs(60)));
            bench.ingest(&event(1));
            bench.commit();
            assert!(waits.join().unwrap());
        });
        assert!(reader.wait(Duration::ZERO));
    }

    #[test]
    fn there_are_at_most_so_many_cursors() {
        let bench = Bench::new(u64::MAX);
        let store = Store(bench.writer.shared.clone());
        for n in 0..=CURSORS_MAX {
            let name = CursorName::new(&format!("r{n}")).unwrap();
            let reader = store.reader(&name, Begin::Newest, bench.now).unwrap();
            assert_eq!(reader.is_some(), n < CURSORS_MAX);
        }
    }

    #[test]
    fn a_name_is_short_and_plain() {
        for good in ["json-log", "webhook.1", "a", &"x".repeat(CURSOR_NAME_BYTES_MAX)] {
            assert_eq!(CursorName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "A", "a b", "ä", &"x".repeat(CURSOR_NAME_BYTES_MAX + 1)] {
            assert!(CursorName::new(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_cursor_reads_back() {
        let cursor = Cursor { at: Seq(7), missed: 8, moved: Time(9) };
        assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        assert_eq!(Cursor::decode(&[0; 23]), None);
    }
}
