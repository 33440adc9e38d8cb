//! What is counted per source, number and user agent, and in all.
//!
//! A row is the sum of the events of its key within an interval of the log, and rows add up:
//! merging the rows of two sets of events gives the row of both, in any order. So the writer
//! gathers a commit's events in fresh rows and merges those into what was there, and replaying part
//! of the log after a crash gives the same rows as before it.

use crate::bucket::Span;
use crate::event::{EventRef, Seq, Time, Verification};
use crate::row_bytes::{Decoder, Encoder};

pub use crate::distinct::Distinct;
pub use crate::number_row::NumberRow;
pub use crate::proofs::Proofs;
pub use crate::source_row::SourceRow;
pub use crate::top::Top;
pub use crate::totals::Totals;

/// When and how often something was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Time of the earliest event since the row exists; it stays when that event expires.
    pub first: Time,
    /// Time of the latest event.
    pub last: Time,
    /// Events that are within the retention.
    pub count: u64,
    /// The row counts no event before this one: it did not exist then, or they had expired when
    /// it was last loaded.
    pub(crate) since: Seq,
}

impl Seen {
    pub(crate) const NOTHING: Self =
        Self { first: Time(u64::MAX), last: Time(0), count: 0, since: Seq(u64::MAX) };

    pub(crate) fn add(&mut self, seq: Seq, time: Time) {
        self.merge(&Self { first: time, last: time, count: 1, since: seq });
    }

    pub(crate) fn clamp(&mut self, span: Span) -> bool {
        let is_later = self.last > span.newest;
        if is_later {
            self.last = span.newest;
            self.first = self.first.min(self.last);
        }
        is_later
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.count += other.count;
        self.since = self.since.min(other.since);
    }
}

/// A row of a [`crate::snapshot::Table`].
pub trait Row: Clone {
    /// When and how often the key was seen.
    fn seen(&self) -> &Seen;

    #[doc(hidden)]
    fn seen_mut(&mut self) -> &mut Seen;

    /// The sum of no events.
    #[doc(hidden)]
    fn nothing() -> Self;

    /// Adds what `newer` counts to this row.
    #[doc(hidden)]
    fn merge(&mut self, newer: &Self);

    /// What is the first to expire in this row: when it was last seen, or its oldest proof.
    #[doc(hidden)]
    fn oldest(&self) -> Time {
        self.seen().last
    }

    /// The latest time in this row.
    #[doc(hidden)]
    fn newest(&self) -> Time {
        self.seen().last
    }

    /// Removes proofs that are older than the span, and takes times that are later for its end. Whether
    /// there was any.
    #[doc(hidden)]
    fn forget(&mut self, span: Span) -> bool {
        self.seen_mut().clamp(span)
    }

    /// Whether an event of this row has proven its source.
    #[doc(hidden)]
    fn is_proven(&self) -> bool;

    /// The publication in which the row last changed, counted from the start of this process.
    #[doc(hidden)]
    fn publication(&self) -> u32;

    #[doc(hidden)]
    fn set_publication(&mut self, publication: u32);

    #[doc(hidden)]
    fn encode_own(&self, out: &mut Encoder);

    #[doc(hidden)]
    fn decode_own(seen: Seen, bytes: &mut Decoder<'_>) -> Option<Self>;
}

/// What is known about one user agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountRow {
    /// When and how often it was seen.
    pub seen: Seen,
    publication: u32,
    proven: bool,
}

impl CountRow {
    pub(crate) fn add(&mut self, seq: Seq, event: &EventRef<'_>) {
        self.seen.add(seq, event.time);
        self.proven |= event.verification >= Verification::ReturnPath;
    }
}

impl Row for CountRow {
    fn seen(&self) -> &Seen {
        &self.seen
    }

    fn seen_mut(&mut self) -> &mut Seen {
        &mut self.seen
    }

    fn nothing() -> Self {
        Self { seen: Seen::NOTHING, publication: 0, proven: false }
    }

    fn merge(&mut self, newer: &Self) {
        self.seen.merge(&newer.seen);
        self.proven |= newer.proven;
    }

    fn is_proven(&self) -> bool {
        self.proven
    }

    fn publication(&self) -> u32 {
        self.publication
    }

    fn set_publication(&mut self, publication: u32) {
        self.publication = publication;
    }

    fn encode_own(&self, out: &mut Encoder) {
        out.put(&[u8::from(self.proven)]);
    }

    fn decode_own(seen: Seen, bytes: &mut Decoder<'_>) -> Option<Self> {
        Some(Self { seen, publication: 0, proven: u8::from_le_bytes(bytes.take()?) != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SourceKey;
    use crate::limits::NS_PER_S;
    use crate::method::Method;
    use crate::testing::proven as event;

    #[test]
    fn a_million_sources_and_a_million_numbers_leave_room_in_300_mb() {
        let source = size_of::<(SourceKey, SourceRow)>();
        let number = size_of::<(crate::key::NumberKey, NumberRow)>();
        assert!(source + number <= 216, "{source} and {number} bytes");
    }

    #[test]
    fn the_order_of_events_does_not_matter() {
        let events = [
            event("[2001:db8::1]:1", 5 * NS_PER_S, Verification::Unverified),
            event("[2001:db8::2]:1", 9 * NS_PER_S, Verification::Tls),
            event("[2001:db8::3]:1", 2 * NS_PER_S, Verification::ReturnPath),
        ];
        let mut forward = SourceRow::nothing();
        let mut backward = SourceRow::nothing();
        for (at, event) in events.iter().enumerate() {
            forward.add(Seq(at as u64 + 1), event, Method::Invite, None);
        }
        for (at, event) in events.iter().enumerate().rev() {
            let mut one = SourceRow::nothing();
            one.add(Seq(at as u64 + 1), event, Method::Invite, None);
            backward.merge(&one);
        }
        assert_eq!(forward, backward);
        assert_eq!(forward.seen.first, Time(2 * NS_PER_S));
        assert_eq!(forward.seen.count, 3);
        let key = SourceKey::of("2001:db8::9".parse().unwrap());
        assert_eq!(forward.ip(&key), "2001:db8::2".parse::<std::net::IpAddr>().unwrap());
    }

    #[test]
    fn a_proof_ages_by_itself_and_a_weaker_newer_one_takes_over() {
        let mut row = SourceRow::nothing();
        row.add(
            Seq(1),
            &event("192.0.2.7:1", 10 * NS_PER_S, Verification::Tls),
            Method::Invite,
            None,
        );
        row.add(
            Seq(2),
            &event("192.0.2.7:1", 20 * NS_PER_S, Verification::ReturnPath),
            Method::Invite,
            None,
        );
        row.add(
            Seq(3),
            &event("192.0.2.7:1", 90 * NS_PER_S, Verification::Unverified),
            Method::Invite,
            None,
        );
        assert_eq!(row.verification(Time(0)), Verification::Tls);
        assert_eq!(row.verification(Time(15 * NS_PER_S)), Verification::ReturnPath);
        assert_eq!(row.verification(Time(30 * NS_PER_S)), Verification::Unverified);
        let at = row.verified_at(Verification::ReturnPath).unwrap();
        assert_eq!(at, Time(21 * NS_PER_S - 1));
        assert_eq!(row.verified_at(Verification::Unverified), Some(Time(90 * NS_PER_S)));
    }
}
