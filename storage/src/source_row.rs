//! The row of a source.

use std::net::{IpAddr, Ipv6Addr};

use crate::aggregate::{Distinct, Proofs, Row, Seen};
use crate::bucket::Span;
use crate::event::{EventRef, Seq, SourceKey, Time, Verification};
use crate::limits::SOURCE_NUMBERS_MAX;
use crate::method::{Method, MethodSet};
use crate::repeat::Repeat;
use crate::row_bytes::{Decoder, Encoder};

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
