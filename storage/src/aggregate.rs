//! What is counted per source, number and user agent, and in all.
//!
//! A row is the sum of the events of its key within an interval of the log, and rows add up:
//! merging the rows of two sets of events gives the row of both, in any order. So the writer
//! gathers a commit's events in fresh rows and merges those into what was there, and replaying part
//! of the log after a crash gives the same rows as before it.

use std::net::{IpAddr, Ipv6Addr};

use crate::bucket::Span;
use crate::event::{EventRef, NumberKind, Seq, SourceKey, Time, Verification};
use crate::limits::{NUMBER_PROVEN_SOURCES_MAX, NUMBER_SOURCES_MAX, SOURCE_NUMBERS_MAX};
use crate::method::{Method, MethodSet};
use crate::number::country_code;
use crate::repeat::Repeat;
use crate::row_bytes::{Decoder, Encoder};

pub use crate::distinct::Distinct;
pub use crate::proofs::Proofs;
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
    const NOTHING: Self =
        Self { first: Time(u64::MAX), last: Time(0), count: 0, since: Seq(u64::MAX) };

    fn add(&mut self, seq: Seq, time: Time) {
        self.merge(&Self { first: time, last: time, count: 1, since: seq });
    }

    fn clamp(&mut self, span: Span) -> bool {
        let is_later = self.last > span.newest;
        if is_later {
            self.last = span.newest;
            self.first = self.first.min(self.last);
        }
        is_later
    }

    fn merge(&mut self, other: &Self) {
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

/// What is known about one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRow {
    /// When and how often it was seen.
    pub seen: Seen,
    /// When it was proven to own its address.
    pub proofs: Proofs,
    /// The lower half of the last IPv6 address that was seen; 0 for IPv4.
    interface: u64,
    publication: u32,
    /// The methods that it used since the row exists.
    pub methods: MethodSet,
    /// The transports that it used since the row exists: bit `code - 1` of
    /// [`crate::event::Transport`].
    pub transports: u8,
    /// What was odd or wrong with its messages since the row exists: bits of
    /// [`crate::event::Anomaly`].
    pub anomalies: u64,
    /// The numbers that it tried since the row exists.
    pub numbers: Distinct<SOURCE_NUMBERS_MAX>,
}

impl SourceRow {
    /// `number` is the fingerprint of the event's number, if it has one.
    pub(crate) fn add(
        &mut self,
        seq: Seq,
        event: &EventRef<'_>,
        method: Method,
        number: Option<u32>,
    ) {
        if event.time >= self.seen.last {
            self.interface = interface(event.source.ip());
        }
        self.seen.add(seq, event.time);
        self.proofs.add(event.verification, event.time);
        self.methods.insert(method);
        self.transports |= 1 << (event.transport as u8 - 1);
        self.anomalies |= event.anomalies.observed | event.anomalies.invalid;
        if let Some(number) = number {
            self.numbers.add(number);
        }
    }

    pub(crate) fn add_repeat(&mut self, since: Seq, repeat: &Repeat) {
        if repeat.last >= self.seen.last {
            self.interface = interface(repeat.source);
        }
        let Repeat { first, last, count, .. } = *repeat;
        self.seen.merge(&Seen { first, last, count, since });
        self.proofs.add(repeat.verification, last);
        self.methods.insert(repeat.method);
        self.transports |= 1 << (repeat.transport as u8 - 1);
    }

    /// The best level of verification that the source has reached since `oldest`.
    #[must_use]
    pub fn verification(&self, oldest: Time) -> Verification {
        self.proofs.level(oldest)
    }

    /// When level `min` or a better one was last reached.
    #[must_use]
    pub fn verified_at(&self, min: Verification) -> Option<Time> {
        if min == Verification::Unverified {
            return Some(self.seen.last);
        }
        self.proofs.last(min).map(|time| time.min(self.seen.last))
    }

    /// The address that was last seen under `key`.
    #[must_use]
    pub fn ip(&self, key: &SourceKey) -> IpAddr {
        match key.ip() {
            IpAddr::V4(v4) => IpAddr::V4(v4),
            IpAddr::V6(_) => {
                let mut octets = key.0;
                octets[8..].copy_from_slice(&self.interface.to_be_bytes());
                IpAddr::V6(Ipv6Addr::from(octets))
            }
        }
    }
}

/// The lower half of an IPv6 address.
fn interface(ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        IpAddr::V4(_) => 0,
        IpAddr::V6(v6) => (v6.to_bits() & u128::from(u64::MAX)) as u64,
    }
}

impl Row for SourceRow {
    fn seen(&self) -> &Seen {
        &self.seen
    }

    fn seen_mut(&mut self) -> &mut Seen {
        &mut self.seen
    }

    fn nothing() -> Self {
        Self {
            seen: Seen::NOTHING,
            proofs: Proofs::default(),
            interface: 0,
            publication: 0,
            methods: MethodSet::default(),
            transports: 0,
            anomalies: 0,
            numbers: Distinct::default(),
        }
    }

    fn merge(&mut self, newer: &Self) {
        if newer.seen.last >= self.seen.last {
            self.interface = newer.interface;
        }
        self.seen.merge(&newer.seen);
        self.proofs.merge(&newer.proofs);
        self.methods.0 |= newer.methods.0;
        self.transports |= newer.transports;
        self.anomalies |= newer.anomalies;
        self.numbers.merge(&newer.numbers);
    }

    fn oldest(&self) -> Time {
        self.seen.last.min(self.proofs.oldest())
    }

    fn newest(&self) -> Time {
        self.seen.last.max(self.proofs.newest())
    }

    fn forget(&mut self, span: Span) -> bool {
        let changed = self.proofs.forget(span);
        self.seen.clamp(span) || changed
    }

    fn is_proven(&self) -> bool {
        self.proofs.last(Verification::ReturnPath).is_some()
    }

    fn publication(&self) -> u32 {
        self.publication
    }

    fn set_publication(&mut self, publication: u32) {
        self.publication = publication;
    }

    fn encode_own(&self, out: &mut Encoder) {
        self.proofs.encode(out);
        out.put(&self.interface.to_le_bytes());
        out.put(&self.methods.0.to_le_bytes());
        out.put(&[self.transports]);
        out.put(&self.anomalies.to_le_bytes());
        self.numbers.encode(out);
    }

    fn decode_own(seen: Seen, bytes: &mut Decoder<'_>) -> Option<Self> {
        let mut row = Self {
            seen,
            proofs: Proofs::decode(bytes)?,
            interface: u64::from_le_bytes(bytes.take()?),
            methods: MethodSet(u16::from_le_bytes(bytes.take()?)),
            transports: u8::from_le_bytes(bytes.take()?),
            ..Self::nothing()
        };
        // Schema 1 had no more.
        if !bytes.0.is_empty() {
            row.anomalies = u64::from_le_bytes(bytes.take()?);
            row.numbers = Distinct::decode(bytes)?;
        }
        Some(row)
    }
}

/// What is known about one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberRow {
    /// When and how often it was tried.
    pub seen: Seen,
    /// When sources that tried it were proven.
    pub proofs: Proofs,
    publication: u32,
    /// What it is: bit `code - 1` of [`NumberKind`], since the row exists.
    pub kinds: u8,
    /// The country that it leads to: see [`country_code`].
    pub country: [u8; 2],
    /// The sources that tried it since the row exists.
    pub sources: Distinct<NUMBER_SOURCES_MAX>,
    /// Those of them that were proven.
    pub proven_sources: Distinct<NUMBER_PROVEN_SOURCES_MAX>,
}

impl NumberRow {
    /// `source` is the fingerprint of the event's source.
    pub(crate) fn add(&mut self, seq: Seq, event: &EventRef<'_>, source: u32) {
        if self.seen.count == 0 {
            self.country = country_code(event.number);
        }
        self.seen.add(seq, event.time);
        self.proofs.add(event.verification, event.time);
        self.sources.add(source);
        if event.verification >= Verification::ReturnPath {
            self.proven_sources.add(source);
        }
        if event.number_kind != NumberKind::None {
            self.kinds |= 1 << (event.number_kind as u8 - 1);
        }
    }

    /// The best level of verification of an event since `oldest`.
    #[must_use]
    pub fn verification(&self, oldest: Time) -> Verification {
        self.proofs.level(oldest)
    }

    /// Whether it was called, and not only tried as an account.
    #[must_use]
    pub fn is_called(&self) -> bool {
        self.kinds & 1 << (NumberKind::Called as u8 - 1) != 0
    }

    /// Whether it was tried as an account.
    #[must_use]
    pub fn is_account(&self) -> bool {
        self.kinds & 1 << (NumberKind::Account as u8 - 1) != 0
    }
}

impl Row for NumberRow {
    fn seen(&self) -> &Seen {
        &self.seen
    }

    fn seen_mut(&mut self) -> &mut Seen {
        &mut self.seen
    }

    fn nothing() -> Self {
        Self {
            seen: Seen::NOTHING,
            proofs: Proofs::default(),
            publication: 0,
            kinds: 0,
            country: [0; 2],
            sources: Distinct::default(),
            proven_sources: Distinct::default(),
        }
    }

    fn merge(&mut self, newer: &Self) {
        self.seen.merge(&newer.seen);
        self.proofs.merge(&newer.proofs);
        self.kinds |= newer.kinds;
        if newer.country != [0; 2] {
            self.country = newer.country;
        }
        self.sources.merge(&newer.sources);
        self.proven_sources.merge(&newer.proven_sources);
    }

    fn oldest(&self) -> Time {
        self.seen.last.min(self.proofs.oldest())
    }

    fn newest(&self) -> Time {
        self.seen.last.max(self.proofs.newest())
    }

    fn forget(&mut self, span: Span) -> bool {
        let changed = self.proofs.forget(span);
        self.seen.clamp(span) || changed
    }

    fn is_proven(&self) -> bool {
        self.proofs.last(Verification::ReturnPath).is_some()
    }

    fn publication(&self) -> u32 {
        self.publication
    }

    fn set_publication(&mut self, publication: u32) {
        self.publication = publication;
    }

    fn encode_own(&self, out: &mut Encoder) {
        self.proofs.encode(out);
        out.put(&[self.kinds]);
        out.put(&self.country);
        self.sources.encode(out);
        self.proven_sources.encode(out);
    }

    fn decode_own(seen: Seen, bytes: &mut Decoder<'_>) -> Option<Self> {
        let proofs = Proofs::decode(bytes)?;
        let kinds = u8::from_le_bytes(bytes.take()?);
        let mut row = Self { seen, proofs, kinds, ..Self::nothing() };
        // Schema 1 had no more.
        if !bytes.0.is_empty() {
            row.country = bytes.take()?;
            row.sources = Distinct::decode(bytes)?;
            row.proven_sources = Distinct::decode(bytes)?;
        }
        Some(row)
    }
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
    use crate::limits::NS_PER_S;
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
        assert_eq!(forward.ip(&key), "2001:db8::2".parse::<IpAddr>().unwrap());
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
