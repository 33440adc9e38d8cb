//! What a batch tells, before it is sealed.
//!
//! ```text
//! sources      varint base minute, varint IPv4 records, the rest are IPv6; the records
//! numbers      varint base minute; the records
//! withdrawals  varint IPv4 addresses, varint IPv6 ones, the rest are numbers; each its place only
//! ```
//!
//! How many records there are says the header. The base minute is the time of the newest record, in
//! minutes since 1970; 0 if there is none.

use sentrypeer_storage::event::SourceKey;
use sentrypeer_storage::key::NumberKey;

use super::Refused;
use super::bytes::{Input, put_varint};
use super::header::Kind;
use super::number::{self, NumberRecord};
use super::source::{self, SourceRecord};
use crate::limits::{AGE_MINUTES_MAX, BODY_BYTES_MAX, NUMBER_WIRE_BYTES_MAX, RECORDS_MAX};

/// What a batch tells. Its records are sorted, no two are of one subject, and there are at most
/// [`RECORDS_MAX`]: only [`Body::sources`], [`Body::numbers`], [`Body::withdrawals`] and
/// [`Body::decode`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body(Inner);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Inner {
    Sources(Vec<SourceRecord>),
    Numbers(Vec<NumberRecord>),
    Withdrawals(Withdrawals),
}

/// What a node takes back, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Withdrawals {
    /// Addresses.
    pub sources: Vec<SourceKey>,
    /// Numbers.
    pub numbers: Vec<NumberKey>,
}

impl Withdrawals {
    fn len(&self) -> usize {
        self.sources.len() + self.numbers.len()
    }
}

/// A body's records.
#[derive(Clone, Copy, Debug)]
pub enum Records<'a> {
    /// Addresses.
    Sources(&'a [SourceRecord]),
    /// Numbers.
    Numbers(&'a [NumberRecord]),
    /// What is taken back.
    Withdrawals(&'a Withdrawals),
}

impl Body {
    /// A body of the newest of these records, at most [`RECORDS_MAX`], and of those none that is
    /// older than what may be told beside the newest.
    #[must_use]
    pub fn sources(mut records: Vec<SourceRecord>) -> Self {
        records.retain(|record| may_be_told(&record.source));
        newest(&mut records, RECORDS_MAX, |record| record.seen.minute);
        // What is kept of two of one subject is the newer, which stands first.
        records.sort_by_key(|record| order(&record.source));
        records.dedup_by_key(|record| record.source);
        Self(Inner::Sources(records))
    }

    /// The same of numbers. Those that may not be told are left out.
    #[must_use]
    pub fn numbers(mut records: Vec<NumberRecord>) -> Self {
        records.retain(|record| number::may_be_told(record.number.as_bytes()));
        newest(&mut records, RECORDS_MAX, |record| record.seen.minute);
        records.sort_by(|a, b| a.number.cmp(&b.number));
        records.dedup_by(|b, a| a.number == b.number);
        Self(Inner::Numbers(records))
    }

    /// A body that takes these back, at most [`RECORDS_MAX`] of them.
    #[must_use]
    pub fn withdrawals(mut taken: Withdrawals) -> Self {
        taken.sources.retain(may_be_told);
        taken.sources.sort_by_key(order);
        taken.sources.dedup();
        taken.sources.truncate(RECORDS_MAX);
        taken.numbers.retain(|number| number::may_be_told(number.as_bytes()));
        taken.numbers.sort();
        taken.numbers.dedup();
        taken.numbers.truncate(RECORDS_MAX - taken.sources.len());
        Self(Inner::Withdrawals(taken))
    }

    /// Leaves so many records of it: of addresses and numbers the newest.
    pub fn cut(&mut self, max: usize) {
        match &mut self.0 {
            Inner::Sources(records) => {
                newest(records, max, |record| record.seen.minute);
                records.sort_by_key(|record| order(&record.source));
            }
            Inner::Numbers(records) => {
                newest(records, max, |record| record.seen.minute);
                records.sort_by(|a, b| a.number.cmp(&b.number));
            }
            Inner::Withdrawals(taken) => {
                taken.sources.truncate(max);
                taken.numbers.truncate(max - taken.sources.len());
            }
        }
    }

    /// What it tells.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        match &self.0 {
            Inner::Sources(records) => Records::Sources(records),
            Inner::Numbers(records) => Records::Numbers(records),
            Inner::Withdrawals(taken) => Records::Withdrawals(taken),
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match &self.0 {
            Inner::Sources(_) => Kind::Sources,
            Inner::Numbers(_) => Kind::Numbers,
            Inner::Withdrawals(_) => Kind::Withdrawals,
        }
    }

    /// How many records it has.
    #[must_use]
    pub fn len(&self) -> u16 {
        let len = match &self.0 {
            Inner::Sources(records) => records.len(),
            Inner::Numbers(records) => records.len(),
            Inner::Withdrawals(taken) => taken.len(),
        };
        len as u16
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes; at most [`BODY_BYTES_MAX`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match &self.0 {
            Inner::Sources(records) => put_sources(&mut out, records),
            Inner::Numbers(records) => {
                let base = base(records.iter().map(|record| record.seen.minute));
                put_varint(&mut out, base.into());
                number::put(&mut out, records, base);
            }
            Inner::Withdrawals(taken) => put_withdrawals(&mut out, taken),
        }
        out
    }

    /// Reads a body of `records` records.
    ///
    /// # Errors
    ///
    /// When it is not exactly what [`Self::encode`] makes of what it holds.
    pub fn decode(kind: Kind, records: u16, bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.len() > BODY_BYTES_MAX {
            return Err(Refused::Long);
        }
        let count = usize::from(records);
        if count > RECORDS_MAX {
            return Err(Refused::Range("records"));
        }
        let mut input = Input::new(bytes);
        let body = match kind {
            Kind::Sources => Inner::Sources(take_sources(&mut input, count)?),
            Kind::Numbers => Inner::Numbers(take_numbers(&mut input, count)?),
            Kind::Withdrawals => Inner::Withdrawals(take_withdrawals(&mut input, count)?),
        };
        input.end()?;
        Ok(Self(body))
    }
}

/// Whether an address can be told: the /64 of `::` cannot, for it holds IPv4 in disguise.
fn may_be_told(source: &SourceKey) -> bool {
    order(source) != (true, 0)
}

/// IPv4 before IPv6, each by its bits.
fn order(source: &SourceKey) -> (bool, u64) {
    source::bits(source)
}

/// Keeps the newest, sorted by time, and only what is young enough beside the newest of all.
fn newest<R>(records: &mut Vec<R>, max: usize, minute: impl Fn(&R) -> u32) {
    records.sort_by_key(|record| std::cmp::Reverse(minute(record)));
    records.truncate(max);
    let newest = u64::from(records.first().map_or(0, &minute));
    records.retain(|record| newest - u64::from(minute(record)) <= AGE_MINUTES_MAX);
}

fn base(minutes: impl Iterator<Item = u32>) -> u32 {
    minutes.max().unwrap_or(0)
}

fn put_sources(out: &mut Vec<u8>, records: &[SourceRecord]) {
    let base = base(records.iter().map(|record| record.seen.minute));
    let v4 = records.partition_point(|record| !order(&record.source).0);
    put_varint(out, base.into());
    put_varint(out, v4 as u64);
    source::put(out, &records[..v4], base);
    source::put(out, &records[v4..], base);
}

fn take_sources(input: &mut Input<'_>, count: usize) -> Result<Vec<SourceRecord>, Refused> {
    let base = take_base(input)?;
    let v4 = input.varint(count as u64, "IPv4 records")? as usize;
    let mut records = Vec::with_capacity(count);
    source::take(input, false, v4, base, &mut records)?;
    source::take(input, true, count - v4, base, &mut records)?;
    check_base(base, records.iter().map(|record| record.seen.minute))?;
    Ok(records)
}

fn take_numbers(input: &mut Input<'_>, count: usize) -> Result<Vec<NumberRecord>, Refused> {
    let base = take_base(input)?;
    let records = number::take(input, count, base)?;
    check_base(base, records.iter().map(|record| record.seen.minute))?;
    Ok(records)
}

fn take_base(input: &mut Input<'_>) -> Result<u32, Refused> {
    Ok(input.varint(u32::MAX.into(), "base minute")? as u32)
}

/// The base must be the newest of the times, or one body could be written in many ways.
fn check_base(base: u32, minutes: impl Iterator<Item = u32>) -> Result<(), Refused> {
    if self::base(minutes) == base { Ok(()) } else { Err(Refused::Range("base minute")) }
}

fn put_withdrawals(out: &mut Vec<u8>, taken: &Withdrawals) {
    let v4 = taken.sources.partition_point(|source| !order(source).0);
    put_varint(out, v4 as u64);
    put_varint(out, (taken.sources.len() - v4) as u64);
    for sources in [&taken.sources[..v4], &taken.sources[v4..]] {
        let mut previous = None;
        for source in sources {
            let (_, bits) = order(source);
            source::put_place(out, bits, previous);
            previous = Some(bits);
        }
    }
    let mut previous: &[u8] = b"";
    for number in &taken.numbers {
        number::put_place(out, number.as_bytes(), previous);
        previous = number.as_bytes();
    }
}

fn take_withdrawals(input: &mut Input<'_>, count: usize) -> Result<Withdrawals, Refused> {
    let v4 = input.varint(count as u64, "IPv4 records")? as usize;
    let v6 = input.varint((count - v4) as u64, "IPv6 records")? as usize;
    let mut taken = Withdrawals::default();
    for (is_v6, count) in [(false, v4), (true, v6)] {
        let mut previous = None;
        for _ in 0..count {
            taken.sources.push(source::take_place(input, is_v6, &mut previous)?);
        }
    }
    let mut digits = Vec::with_capacity(NUMBER_WIRE_BYTES_MAX);
    for _ in 0..count - v4 - v6 {
        taken.numbers.push(number::take_place(input, &mut digits)?);
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sentrypeer_storage::event::Verification;

    use super::super::source::{SeenRecord, count_log2};
    use super::*;
    use crate::limits::COUNT_LOG2_MAX;

    fn seen() -> impl Strategy<Value = SeenRecord> {
        let verification =
            vec![Verification::ReturnPath, Verification::Connected, Verification::Tls];
        (29_000_000_u32..29_010_080, 0..=COUNT_LOG2_MAX, prop::sample::select(verification))
            .prop_map(|(minute, count_log2, verification)| SeenRecord {
                minute,
                count_log2,
                verification,
            })
    }

    fn source_key() -> impl Strategy<Value = SourceKey> {
        prop_oneof![
            any::<u32>().prop_map(|bits| SourceKey::of(std::net::Ipv4Addr::from(bits).into())),
            (1..u64::MAX).prop_map(|bits| SourceKey::of(
                std::net::Ipv6Addr::from(u128::from(bits) << 64).into()
            )),
        ]
    }

    fn number_key() -> impl Strategy<Value = NumberKey> {
        "[+*#]?[0-9]{7,12}".prop_map(|text| NumberKey::of(text.as_bytes()))
    }

    fn body() -> impl Strategy<Value = Body> {
        let source = (source_key(), seen(), any::<u16>())
            .prop_map(|(source, seen, methods)| SourceRecord { source, seen, methods });
        let number =
            (number_key(), seen()).prop_map(|(number, seen)| NumberRecord { number, seen });
        let keys = prop::collection::vec(source_key(), 0..20);
        let taken = (keys, prop::collection::vec(number_key(), 0..20))
            .prop_map(|(sources, numbers)| Withdrawals { sources, numbers });
        prop_oneof![
            prop::collection::vec(source, 0..60).prop_map(Body::sources),
            prop::collection::vec(number, 0..60).prop_map(Body::numbers),
            taken.prop_map(Body::withdrawals),
        ]
    }

    proptest! {
        #[test]
        fn a_body_is_read_as_it_was_written(body in body()) {
            let bytes = body.encode();
            prop_assert_eq!(Body::decode(body.kind(), body.len(), &bytes), Ok(body.clone()));
            for end in 0..bytes.len() {
                prop_assert!(Body::decode(body.kind(), body.len(), &bytes[..end]).is_err());
            }
        }

        #[test]
        fn what_is_read_has_one_encoding(
            body in body(),
            at: prop::sample::Index,
            byte: u8,
        ) {
            let mut bytes = body.encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(read) = Body::decode(body.kind(), body.len(), &bytes) {
                prop_assert_eq!(read.encode(), bytes);
            }
        }
    }

    fn record(ip: &str, minute: u32) -> SourceRecord {
        SourceRecord {
            source: SourceKey::of(ip.parse().unwrap()),
            seen: SeenRecord { minute, count_log2: 3, verification: Verification::ReturnPath },
            methods: 1,
        }
    }

    #[test]
    fn an_address_takes_about_six_bytes() {
        let mut step = 0_u32;
        let records = (0..1000).map(|n: u32| {
            step = step.wrapping_add(0x9e37_79b9);
            record(&std::net::Ipv4Addr::from(step).to_string(), 29_000_000 - n % 600)
        });
        let bytes = Body::sources(records.collect()).encode();
        assert!(bytes.len() < 7 * 1000, "{} bytes", bytes.len());
    }

    #[test]
    fn of_too_many_the_newest_are_told() {
        let ip = |n: u32| std::net::Ipv4Addr::from(0x0100_0000 + n).to_string();
        let records = (0..3000_u32).map(|n| record(&ip(n), 29_000_000 + n)).collect();
        let body = Body::sources(records);
        let Records::Sources(kept) = body.records() else { panic!("sources") };
        assert_eq!(kept.len(), RECORDS_MAX);
        assert!(kept.iter().all(|record| record.seen.minute >= 29_001_000));
    }

    #[test]
    fn of_two_records_of_one_address_the_newer_is_told() {
        let body = Body::sources(vec![record("1.2.3.4", 100), record("1.2.3.4", 200)]);
        let Records::Sources([one]) = body.records() else { panic!("one source") };
        assert_eq!(one.seen.minute, 200);
    }

    #[test]
    fn a_record_that_is_too_old_beside_the_newest_is_left_out() {
        let minute = 29_000_000;
        let old = minute - AGE_MINUTES_MAX as u32 - 1;
        let body = Body::sources(vec![record("1.2.3.4", minute), record("1.2.3.5", old)]);
        assert_eq!(body.len(), 1);
    }

    #[test]
    fn numbers_that_may_not_be_told_are_neither_written_nor_read() {
        let number = |text: &[u8]| NumberRecord {
            number: NumberKey::of(text),
            seen: record("1.2.3.4", 5).seen,
        };
        let long = "1".repeat(NUMBER_WIRE_BYTES_MAX + 1);
        for wrong in ["123456", "john.doe", "12345678x", "+44 20\u{e9}1234567", &long] {
            assert!(Body::numbers(vec![number(wrong.as_bytes())]).is_empty(), "{wrong}");
        }
        let mut bytes = Body::numbers(vec![number(b"1234567")]).encode();
        let at = bytes.iter().position(|byte| *byte == b'4').unwrap();
        bytes[at] = b'a';
        assert_eq!(Body::decode(Kind::Numbers, 1, &bytes), Err(Refused::Range("digits")));
    }

    #[test]
    fn the_longest_body_fits() {
        let records = (0..2000_u64).map(|n| NumberRecord {
            number: NumberKey::of(format!("{:020}{n:020}", n.wrapping_pow(9)).as_bytes()),
            seen: record("1.2.3.4", 5).seen,
        });
        let body = Body::numbers(records.collect());
        assert_eq!(usize::from(body.len()), RECORDS_MAX);
        assert!(body.encode().len() <= BODY_BYTES_MAX);
    }

    #[test]
    fn counts_are_told_as_logarithms() {
        let told = [0, 1, 2, 3, 4, 1 << 20, u64::MAX].map(count_log2);
        assert_eq!(told, [0, 0, 1, 1, 2, 20, COUNT_LOG2_MAX]);
    }
}
