//! What enough peers agree on, as the rest of the program has it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sentrypeer_storage::event::Time;
use sentrypeer_storage::peers::{PeerRow, Peers};

use crate::book::Book;
use crate::quorum::Listing;

const NS_PER_MINUTE: u64 = 60_000_000_000;

/// Hands on what is agreed on, when it has changed.
pub(super) struct Agreed {
    /// What was agreed on before this process, until it lapses: votes are in memory only, and are not
    /// cast again for what is known. `None` until the database is open.
    before: Option<Arc<Peers>>,
    /// What the database had when that was last held against it.
    seen: Option<Arc<Peers>>,
    told: Option<Arc<Peers>>,
    looked: Option<Instant>,
    pause: Duration,
}

impl Agreed {
    /// It looks once in so long.
    pub(super) fn new(pause: Duration) -> Self {
        Self { before: None, seen: None, told: None, looked: None, pause }
    }

    /// Tells what is agreed on now, if it is time and that is news. `before` is what the database has.
    pub(super) fn tell(
        &mut self,
        book: &Book,
        before: Option<&Arc<Peers>>,
        now: Time,
        tell: &mut dyn FnMut(Arc<Peers>) -> bool,
    ) {
        let Some(before) = before else { return };
        self.hold_against(before);
        if self.looked.is_some_and(|looked| looked.elapsed() < self.pause) {
            return;
        }
        self.looked = Some(Instant::now());
        let Some(first) = &self.before else { return };
        let told = self.told.as_ref().unwrap_or(before);
        let peers = Arc::new(together(book, first, now));
        if peers != *told && tell(peers.clone()) {
            self.told = Some(peers);
        }
    }

    /// What was taken out of the database is not to come back from here. All that was told since holds
    /// whatever was there at first, so that what is told and not there yet hides nothing. Looked at with
    /// every change, not once a minute: what we tell meanwhile would put it back.
    fn hold_against(&mut self, present: &Arc<Peers>) {
        if self.seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, present)) {
            return;
        }
        self.seen = Some(present.clone());
        self.before = Some(match &self.before {
            None => present.clone(),
            Some(first) => Arc::new(still_there(first, present)),
        });
    }
}

/// What the database still has of what was agreed on before: the rest the operator has had forgotten, or
/// it has lapsed.
fn still_there(first: &Peers, present: &Peers) -> Peers {
    let sources = first.sources().iter().filter(|(key, _)| present.source(key).is_some());
    let numbers = first.numbers().iter().filter(|(key, _)| present.number(key).is_some());
    Peers::new(sources.copied().collect(), numbers.cloned().collect())
}

/// What is listed now, and what was before and has not lapsed.
fn together(book: &Book, before: &Peers, now: Time) -> Peers {
    let holds = |row: &PeerRow| row.until > now;
    let mut sources: Vec<_> =
        book.sources.iter_listed().map(|(key, listing)| (*key, row(listing))).collect();
    let old = before.sources().iter().filter(|(key, _)| book.sources.listing(key).is_none());
    sources.extend(old.copied());
    let mut numbers: Vec<_> =
        book.numbers.iter_listed().map(|(key, listing)| (key.clone(), row(listing))).collect();
    let old = before.numbers().iter().filter(|(key, _)| book.numbers.listing(key).is_none());
    numbers.extend(old.cloned());
    sources.retain(|(_, row)| holds(row));
    numbers.retain(|(_, row)| holds(row));
    Peers::new(sources, numbers)
}

fn row(listing: &Listing) -> PeerRow {
    let time = |minute: u32| Time(u64::from(minute) * NS_PER_MINUTE);
    PeerRow {
        until: time(listing.until_minute),
        last: time(listing.last_minute),
        voters: listing.voters,
        by_trusted: listing.by_trusted,
        weight: listing.weight as f32,
        // The writer notes it.
        told: Time(0),
    }
}

#[cfg(test)]
mod tests {
    use sentrypeer_storage::event::SourceKey;

    use super::*;
    use crate::rules::Rules;
    use crate::trust::Trust;

    fn key(n: u32) -> SourceKey {
        SourceKey::of(std::net::IpAddr::V4(n.into()))
    }

    #[test]
    fn what_was_agreed_on_before_stays_until_it_lapses_and_is_told_once() {
        let book = Book::new(Rules::default(), Trust::default());
        let minute = |n| Time(n * NS_PER_MINUTE);
        let row = |until| PeerRow {
            until: minute(until),
            last: minute(1),
            voters: 3,
            by_trusted: false,
            weight: 1.0,
            told: Time(0),
        };
        let before = Arc::new(Peers::new(vec![(key(1), row(10)), (key(2), row(20))], Vec::new()));
        let mut agreed = Agreed::new(Duration::ZERO);
        let mut told = Vec::new();
        let mut takes = true;
        let mut tell = |agreed: &mut Agreed, before: Option<&Arc<Peers>>, at, takes| {
            agreed.tell(&book, before, minute(at), &mut |peers| {
                told.push(peers);
                takes
            });
            told.len()
        };
        assert_eq!(tell(&mut agreed, None, 5, takes), 0, "the database is not open");
        assert_eq!(tell(&mut agreed, Some(&before), 5, takes), 0, "it has all of that");
        takes = false;
        assert_eq!(tell(&mut agreed, Some(&before), 10, takes), 1);
        takes = true;
        assert_eq!(tell(&mut agreed, Some(&before), 10, takes), 2, "it was not taken");
        assert_eq!(tell(&mut agreed, Some(&before), 11, takes), 2);
        assert_eq!(told[1].sources(), [(key(2), row(20))]);
    }

    #[test]
    fn what_the_operator_has_had_forgotten_does_not_come_back() {
        let book = Book::new(Rules::default(), Trust::default());
        let minute = |n: u32| Time(u64::from(n) * NS_PER_MINUTE);
        let (last, by_trusted) = (minute(1), false);
        // Each lapses in the minute that is its key.
        let row = |n| PeerRow {
            until: minute(n),
            last,
            voters: 3,
            by_trusted,
            weight: 1.0,
            told: Time(0),
        };
        let of = |keys: &[u32]| {
            Arc::new(Peers::new(keys.iter().map(|n| (key(*n), row(*n))).collect(), Vec::new()))
        };
        let mut agreed = Agreed::new(Duration::ZERO);
        let mut told = Vec::new();
        let all = of(&[2, 7, 8, 9]);
        for (at, present) in [(1, &all), (3, &all), (4, &of(&[7, 9])), (5, &of(&[7, 9]))] {
            agreed.tell(&book, Some(present), minute(at), &mut |peers| {
                told.push(peers);
                true
            });
        }
        assert_eq!(told, [of(&[7, 8, 9]), of(&[7, 9])], "8 was forgotten");
    }
}
