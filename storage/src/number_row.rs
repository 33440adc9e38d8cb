//! The row of a number.

use crate::aggregate::{Distinct, Proofs, Row, Seen};
use crate::bucket::Span;
use crate::event::{EventRef, NumberKind, Seq, Time, Verification};
use crate::limits::{NUMBER_PROVEN_SOURCES_MAX, NUMBER_SOURCES_MAX};
use crate::number::country_code;
use crate::row_bytes::{Decoder, Encoder};

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
