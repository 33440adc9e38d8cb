//! What peers say, taken together: the ledger, the quorums and whom to trust.
//!
//! Everything that a batch does is decided in [`Book::accept`]; the simulation in `tests/` and the
//! service drive the same code.

use sentrypeer_storage::event::SourceKey;
use sentrypeer_storage::key::NumberKey;
use sentrypeer_storage::policy::Policy;

use crate::epoch::{Day, Epoch, Sequence};
use crate::grants::{GrantTo, Regard};
use crate::ledger::{Ledger, PeerId};
use crate::limits::{FUTURE_MAX_S, LATE_EPOCHS_MAX, PEER_DATA_AGE_MAX_S};
use crate::quorum::{Confirmed, Listing, Quorum, Voted, Voter};
use crate::rules::Rules;
use crate::selection::{may_share_number, may_share_source};
use crate::trust::{Distrust, Trust};
use crate::wire::NodeKey;
use crate::wire::body::{Body, Records, Withdrawals};
use crate::wire::header::Kind;
use crate::wire::proof::Proof;
use crate::wire::source::{SeenRecord, SourceRecord};

/// The present, as the caller knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Seconds since 1970.
    pub s: u64,
    /// The epoch that it is in.
    pub epoch: Epoch,
}

impl Now {
    fn minute(self) -> u32 {
        u32::try_from(self.s / 60).unwrap_or(u32::MAX)
    }
}

/// An address or a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// An address, or a /64.
    Source(SourceKey),
    /// A called number.
    Number(NumberKey),
}

/// One record of a peer that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerEntry {
    /// What it is about.
    pub subject: Subject,
    /// What the peer says; `None` if it takes back what it said.
    pub seen: Option<SeenRecord>,
    /// Methods that a source used: bit n is method n of [`sentrypeer_storage::method::Method`].
    pub methods: u16,
    /// Whether the subject is listed now, by everything that peers say of it.
    pub listing: Option<Listing>,
}

/// What was taken of one batch.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerBatch {
    /// Who says so.
    pub node: NodeKey,
    /// In which batch.
    pub sequence: Sequence,
    /// What kind of batch.
    pub kind: Kind,
    /// What was taken.
    pub entries: Vec<PeerEntry>,
}

/// Why a whole batch was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Its node is denied by the operator.
    #[error("denied by the operator")]
    Denied,
    /// Its node was caught lying.
    #[error("its node has signed two batches with one sequence")]
    Lied,
    /// Its epoch has not begun, or was over long ago.
    #[error("of another time")]
    Time,
    /// It was taken before.
    #[error("taken before")]
    Repeated,
}

impl NotTaken {
    /// A short name for counts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Lied => "lied",
            Self::Time => "time",
            Self::Repeated => "repeated",
        }
    }
}

/// Everything that peers say.
#[derive(Debug)]
pub struct Book {
    /// What each node is worth.
    pub ledger: Ledger,
    /// Whom the operator trusts, and who was caught.
    pub trust: Trust,
    /// Addresses.
    pub sources: Quorum<SourceKey>,
    /// Numbers.
    pub numbers: Quorum<NumberKey>,
}

/// What one record did.
enum Fate {
    Taken(PeerEntry),
    Refused,
}

impl Book {
    /// Nothing is known.
    #[must_use]
    pub fn new(rules: Rules, trust: Trust) -> Self {
        Self {
            ledger: Ledger::new(rules).keeping(trust.trusted().clone()),
            trust,
            sources: Quorum::new(rules),
            numbers: Quorum::new(rules),
        }
    }

    /// Whether a batch of this node may be taken at all now.
    ///
    /// # Errors
    ///
    /// When the node is not believed, or the batch is of another time.
    pub fn admits(&self, node: NodeKey, epoch: Epoch, now: Now) -> Result<(), NotTaken> {
        match self.trust.distrust(node, now.s) {
            Some(Distrust::Denied) => return Err(NotTaken::Denied),
            Some(Distrust::Lied { .. }) => return Err(NotTaken::Lied),
            None => {}
        }
        let is_late = now.epoch.since(epoch) > LATE_EPOCHS_MAX;
        if is_late || epoch.since(now.epoch) > 1 { Err(NotTaken::Time) } else { Ok(()) }
    }

    /// Takes what may be taken of a batch, whose signature was checked.
    ///
    /// # Errors
    ///
    /// When nothing of it may be.
    pub fn accept(
        &mut self,
        node: NodeKey,
        sequence: Sequence,
        body: &Body,
        policy: &Policy,
        now: Now,
    ) -> Result<PeerBatch, NotTaken> {
        self.admits(node, sequence.epoch(), now)?;
        let read = self.ledger.read(node, sequence, body.len(), now.s);
        let (id, admitted) = read.ok_or(NotTaken::Repeated)?;
        let mut entries = Vec::with_capacity(admitted.into());
        let mut refused = 0;
        let told = sequence.epoch();
        let mut keep = |fate| match fate {
            Fate::Taken(entry) => entries.push(entry),
            Fate::Refused => refused += 1,
        };
        let admitted = usize::from(admitted);
        match body.records() {
            Records::Sources(records) => records.iter().take(admitted).for_each(|record| {
                keep(
                    match may_share_source(policy, record.source) && is_timely(&record.seen, now) {
                        true => self.take_source(id, record, told, now),
                        false => Fate::Refused,
                    },
                );
            }),
            Records::Numbers(records) => records.iter().take(admitted).for_each(|record| {
                let number = &record.number;
                keep(match may_share_number(policy, number) && is_timely(&record.seen, now) {
                    true => self.take_number(id, number, &record.seen, told, now),
                    false => Fate::Refused,
                });
            }),
            Records::Withdrawals(taken) => entries = self.withdraw(id, taken, now),
        }
        if body.kind() != Kind::Withdrawals {
            self.ledger.took(id, entries.len() as u64, refused);
        }
        Ok(PeerBatch { node, sequence, kind: body.kind(), entries })
    }

    fn take_source(&mut self, id: PeerId, record: &SourceRecord, told: Epoch, now: Now) -> Fate {
        let SourceRecord { source, seen, methods } = *record;
        let voter = voter(&self.ledger, &self.trust, now);
        let (voted, confirmed) = self.sources.vote(&source, id, &seen, told, voter);
        self.credit(&confirmed, now);
        if voted != Voted::Counted {
            return Fate::Refused;
        }
        let listing = self.sources.listing(&source).copied();
        Fate::Taken(PeerEntry {
            subject: Subject::Source(source),
            seen: Some(seen),
            methods,
            listing,
        })
    }

    fn take_number(
        &mut self,
        id: PeerId,
        number: &NumberKey,
        seen: &SeenRecord,
        told: Epoch,
        now: Now,
    ) -> Fate {
        let voter = voter(&self.ledger, &self.trust, now);
        let (voted, confirmed) = self.numbers.vote(number, id, seen, told, voter);
        self.credit(&confirmed, now);
        if voted != Voted::Counted {
            return Fate::Refused;
        }
        let listing = self.numbers.listing(number).copied();
        let subject = Subject::Number(number.clone());
        Fate::Taken(PeerEntry { subject, seen: Some(*seen), methods: 0, listing })
    }

    fn withdraw(&mut self, id: PeerId, taken: &Withdrawals, now: Now) -> Vec<PeerEntry> {
        let entry = |subject, listing| PeerEntry { subject, seen: None, methods: 0, listing };
        let mut entries = Vec::with_capacity(taken.sources.len() + taken.numbers.len());
        for source in &taken.sources {
            self.sources.withdraw(source, id, voter(&self.ledger, &self.trust, now));
            let listing = self.sources.listing(source).copied();
            entries.push(entry(Subject::Source(*source), listing));
        }
        for number in &taken.numbers {
            self.numbers.withdraw(number, id, voter(&self.ledger, &self.trust, now));
            let listing = self.numbers.listing(number).copied();
            entries.push(entry(Subject::Number(number.clone()), listing));
        }
        entries
    }

    fn credit(&mut self, confirmed: &Confirmed, now: Now) {
        for (peer, merit) in confirmed {
            self.ledger.confirm(*peer, *merit, now.epoch, now.s);
        }
    }

    /// That our own sensors have seen this address, proven.
    pub fn own_source(&mut self, source: &SourceKey, now: Now) {
        let confirmed = self.sources.own_sighting(source, now.epoch);
        self.credit(&confirmed, now);
    }

    /// That our own sensors have seen this number called, proven.
    pub fn own_number(&mut self, number: &NumberKey, now: Now) {
        let confirmed = self.numbers.own_sighting(number, now.epoch);
        self.credit(&confirmed, now);
    }

    /// That a node lies. Whether that is new.
    pub fn convict(&mut self, proof: &Proof, now: Now) -> bool {
        let ledger = &self.ledger;
        self.trust.convict(proof, now.s, |node| ledger.has_credit(node, now.s))
    }

    /// Whether a node is one of the few that stay where there is no room for all: the operator trusts it by
    /// name, or it has earned something.
    #[must_use]
    pub fn is_worth_keeping(&self, node: NodeKey, now: Now) -> bool {
        self.trust.trusted().contains(&node) || self.ledger.has_credit(node, now.s)
    }

    /// The grants that are to be made for a day; see [`Ledger::grants`].
    pub fn grants(&mut self, day: Day, now: Now, seed: u64) -> Vec<GrantTo> {
        let trust = &self.trust;
        self.ledger.grants(day, now.epoch, now.s, seed, |node| trust.regard(node, now.s))
    }

    /// Forgets what is too old or of nodes that are not believed any more. Once an epoch.
    pub fn sweep(&mut self, now: Now) {
        let (ledger, trust) = (&self.ledger, &self.trust);
        let gone = |id| {
            let peer = ledger.by_id(id);
            peer.is_none_or(|peer| trust.distrust(peer.node, now.s).is_some())
        };
        self.sources.sweep(now.epoch, now.minute(), gone, voter(ledger, trust, now));
        self.numbers.sweep(now.epoch, now.minute(), gone, voter(ledger, trust, now));
    }
}

/// What each node's word counts.
fn voter(ledger: &Ledger, trust: &Trust, now: Now) -> impl Fn(PeerId) -> Voter {
    move |id| {
        let Some(peer) = ledger.by_id(id) else {
            return Voter { standing: Default::default(), is_trusted: false };
        };
        match trust.regard(peer.node, now.s) {
            Regard::Denied => Voter { standing: Default::default(), is_trusted: false },
            regard => Voter {
                standing: ledger.standing(id, now.s),
                is_trusted: regard == Regard::Trusted,
            },
        }
    }
}

/// Whether a record's time is within the last seven days, and not in the future.
fn is_timely(seen: &SeenRecord, now: Now) -> bool {
    let at = u64::from(seen.minute) * 60;
    at <= now.s + FUTURE_MAX_S && at + PEER_DATA_AGE_MAX_S >= now.s
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::limits::{DAY_S, RECORDS_MAX};
    use crate::testing::{ip, source_record};
    use crate::wire::number::NumberRecord;

    const START: u64 = 1_795_478_400;

    fn at(s: u64) -> Now {
        Now { s, epoch: Epoch((s / 600) as u32) }
    }

    fn node(n: u8) -> NodeKey {
        NodeKey([n; 32])
    }

    fn said(addresses: &[&str], now: Now) -> Body {
        Body::sources(addresses.iter().map(|text| source_record(text, now.s)).collect())
    }

    fn tell(
        book: &mut Book,
        who: u8,
        n: u16,
        body: &Body,
        now: Now,
    ) -> Result<PeerBatch, NotTaken> {
        book.accept(node(who), Sequence::new(now.epoch, n), body, &Policy::default(), now)
    }

    fn trusting(who: &[u8]) -> Book {
        Book::new(Rules::default(), Trust::new(who.iter().map(|n| node(*n)), [], false))
    }

    #[test]
    fn what_a_trusted_node_says_is_listed_and_what_others_say_is_kept() {
        let mut book = trusting(&[1]);
        let now = at(START);
        let batch = tell(&mut book, 1, 0, &said(&["1.2.3.4"], now), now).unwrap();
        assert!(batch.entries[0].listing.unwrap().by_trusted);
        let batch = tell(&mut book, 2, 0, &said(&["1.2.3.5"], now), now).unwrap();
        assert_eq!((batch.entries.len(), batch.entries[0].listing), (1, None));
    }

    #[test]
    fn what_must_not_be_acted_on_is_not_taken_from_anybody() {
        let mut book = trusting(&[1]);
        let now = at(START);
        let own = "144.21.55.36";
        let policy = Policy {
            allow: sentrypeer_storage::policy::AllowList::new([ip(own)], false)
                .with_prefixes(["9.9.0.0/16".parse().unwrap()]),
            ..Policy::default()
        };
        let addresses = ["9.9.9.9", own, "127.0.0.1", "10.0.0.1", "2001:db8::1", "1.2.3.4"];
        let body = said(&addresses, now);
        let sequence = Sequence::new(now.epoch, 0);
        let batch = book.accept(node(1), sequence, &body, &policy, now).unwrap();
        assert_eq!(batch.entries.len(), 1, "{batch:?}");
        assert_eq!(book.ledger.get(node(1)).unwrap().refused, 5);
    }

    #[test]
    fn times_of_the_future_and_of_last_week_are_refused() {
        let mut book = trusting(&[1]);
        let now = at(START);
        for (n, s, is_taken) in [
            (0, START + 660, false),
            (1, START + 600, true),
            (2, START - PEER_DATA_AGE_MAX_S - 60, false),
            (3, START - PEER_DATA_AGE_MAX_S, true),
        ] {
            let body = Body::sources(vec![source_record("1.2.3.4", s)]);
            let taken = tell(&mut book, 1, n, &body, now).unwrap().entries.len();
            assert_eq!(taken == 1, is_taken, "{s}");
        }
    }

    #[test]
    fn batches_of_another_time_or_taken_before_are_refused() {
        let mut book = trusting(&[]);
        let now = at(START);
        let mut tell = |epoch: u32| {
            let sequence = Sequence::new(Epoch(epoch), 0);
            book.accept(node(1), sequence, &said(&["1.2.3.4"], now), &Policy::default(), now).err()
        };
        let epoch = now.epoch.0;
        assert_eq!(tell(epoch + 2), Some(NotTaken::Time));
        assert_eq!(tell(epoch - LATE_EPOCHS_MAX - 1), Some(NotTaken::Time));
        assert_eq!((tell(epoch), tell(epoch)), (None, Some(NotTaken::Repeated)));
    }

    #[test]
    fn a_withdrawal_takes_back_what_was_said() {
        let mut book = trusting(&[1]);
        let now = at(START);
        tell(&mut book, 1, 0, &said(&["1.2.3.4", "1.2.3.5"], now), now).unwrap();
        let sources = vec![SourceKey::of(ip("1.2.3.4"))];
        let body = Body::withdrawals(Withdrawals { sources, numbers: vec![] });
        let batch = tell(&mut book, 1, 1, &body, now).unwrap();
        assert_eq!((batch.entries[0].seen, batch.entries[0].listing), (None, None));
        assert_eq!(book.sources.listed(), 1);
    }

    #[test]
    fn emergency_numbers_are_not_taken() {
        let mut book = trusting(&[1]);
        let now = at(START);
        let seen = source_record("1.2.3.4", START).seen;
        let policy = Policy { allow: Default::default(), ..Policy::default() };
        let policy =
            Policy { allow: policy.allow.with_numbers(["+4420*".parse().unwrap()]), ..policy };
        let record = |text: &str| NumberRecord { number: NumberKey::of(text.as_bytes()), seen };
        let body = Body::numbers(vec![record("+442071234567"), record("+46500729221")]);
        let sequence = Sequence::new(now.epoch, 0);
        let batch = book.accept(node(1), sequence, &body, &policy, now).unwrap();
        assert_eq!(batch.entries.len(), 1);
    }

    /// A hundred attackers an hour visit every sensor; the liar names victims besides.
    #[test]
    fn three_honest_nodes_list_what_they_agree_on_after_a_week_and_a_liar_lists_nothing() {
        let mut book = trusting(&[]);
        let victim = |n: u32| Ipv4Addr::from(0x0800_0000 + n).to_string();
        let mut listed_at = None;
        for hour in 0..24 * 9 {
            let now = at(START + hour * 3600);
            let seen: Vec<String> = (0..100)
                .map(|n| Ipv4Addr::from(0x2000_0000 + (hour as u32) * 256 + n).to_string())
                .collect();
            let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
            for who in 1..=3 {
                tell(&mut book, who, 0, &said(&seen, now), now).unwrap();
            }
            let lies: Vec<String> =
                (0..RECORDS_MAX as u32).map(|n| victim(hour as u32 * 2000 + n)).collect();
            let lies: Vec<&str> = lies.iter().map(String::as_str).collect();
            tell(&mut book, 66, 0, &said(&lies, now), now).unwrap();
            for source in seen.iter().step_by(20) {
                book.own_source(&SourceKey::of(ip(source)), now);
            }
            if hour % 6 == 0 {
                book.sweep(now);
            }
            if book.sources.listed() > 0 && listed_at.is_none() {
                listed_at = Some(hour);
            }
        }
        let listed_at = listed_at.unwrap();
        assert!((24 * 7..24 * 7 + 7).contains(&listed_at), "hour {listed_at}");
        let lies = book.sources.iter_listed().filter(|(key, _)| key.ip() < ip("9.0.0.0"));
        assert_eq!(lies.count(), 0);
        let liar = book.ledger.get(node(66)).unwrap();
        assert!(liar.refused > 300_000 && liar.confirmed == 0, "{liar:?}");
        let honest = book.ledger.get(node(1)).unwrap();
        assert!(honest.credit(START + 9 * DAY_S) > 100.0 && honest.refused == 0);
    }

    #[test]
    fn two_batches_with_one_sequence_end_all_belief() {
        let mut book = trusting(&[1]);
        let now = at(START);
        let identity = crate::testing::identity(1);
        let key = identity.day_key(Day(1));
        let seal = |records| {
            let body = crate::testing::body_of(records);
            crate::wire::batch::seal(&identity, &key, Sequence::new(now.epoch, 0), [0; 32], &body)
        };
        assert_eq!(book.trust.witness(&seal(1).signed), None);
        let proof = book.trust.witness(&seal(2).signed).unwrap();
        book.convict(&proof, now);
        let taken = book.accept(
            identity.node(),
            Sequence::new(now.epoch, 1),
            &said(&["1.2.3.4"], now),
            &Policy::default(),
            now,
        );
        assert_eq!(taken, Err(NotTaken::Lied));
    }
}
