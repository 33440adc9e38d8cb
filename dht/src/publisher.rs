//! One publication an epoch, and no sequence number twice, whatever happens to the machine.
//!
//! A pure state machine. Its state goes to the disk before a value goes to the network:
//!
//! ```text
//! prepare ── state to save ──► (saved, synced) ──► saved ──► values to put
//! ```
//!
//! So a crash before the save leaves a sequence that nobody has seen, and one after it leaves the very
//! bytes that are put again. A database that was restored or copied knows less than was published:
//! its stamp shows that, and it waits until a whole epoch has passed. A copy that runs beside the node
//! from which it was taken may then publish in the same epoch as that one; so each process numbers its
//! batches from a place of its own ([`Publisher::in_slot`]), and both find out by what the other announces.

use crate::epoch::{Calendar, Epoch, Sequence};
use crate::keys::{DayKey, Identity, Place, chunk_place, sha256};
use crate::limits::{BATCHES_MAX, EPOCH_BYTES_MAX, PUT_KEPT_S, RECORDS_MAX};
use crate::wire::Refused;
use crate::wire::batch::seal;
use crate::wire::body::Body;
use crate::wire::bytes::{Input, put_opening};

const MAGIC: [u8; 4] = *b"SP2P";

/// What tells one copy of the state from another: where it lies, as the edge sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(pub [u8; 32]);

/// What is put in one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Its epoch.
    pub epoch: Epoch,
    /// Batches in it.
    pub batches: u8,
    /// Records in them.
    pub records: u16,
    /// Where each value lies.
    pub values: Vec<(Place, Vec<u8>)>,
}

impl Publication {
    /// Until when it stays in the DHT, in seconds since 1970.
    #[must_use]
    pub fn kept_until_s(&self, calendar: Calendar) -> u64 {
        calendar.end_s(self.epoch) + PUT_KEPT_S
    }

    fn bytes(&self) -> usize {
        self.values.iter().map(|(_, value)| value.len()).sum()
    }
}

/// Places from which the batches of an epoch can be numbered.
const SLOTS: u64 = (1 << 16) / BATCHES_MAX as u64;

/// Why nothing can be published in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    /// It has published in this epoch.
    #[error("published already")]
    Done,
    /// The state may be a copy, so others may know later batches of this node than it does itself.
    #[error("this database may be a copy: waiting until epoch {} begins", until.0)]
    Waiting {
        /// The first epoch in which it may.
        until: Epoch,
    },
    /// The clock shows an earlier epoch than one that it has published in.
    #[error("the clock is behind the last batch, which was of epoch {}", last.0)]
    ClockBack {
        /// The epoch of the last batch.
        last: Epoch,
    },
    /// What was prepared is not saved yet.
    #[error("the last one is not saved yet")]
    Saving,
    /// There is nothing to tell.
    #[error("nothing to tell")]
    Nothing,
}

/// A state that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state of the publisher is damaged ({0})")]
pub struct Damaged(#[from] Refused);

/// What is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    stamp: Stamp,
    last: Option<Sequence>,
    previous: [u8; 32],
    not_before: Epoch,
    kept: Vec<Publication>,
}

/// The publisher of one node.
#[derive(Debug)]
pub struct Publisher {
    state: State,
    /// Whether what is in `state` is on the disk.
    is_saved: bool,
    prepared: Option<Publication>,
    /// Up to this epoch an earlier life of this node may have published what the state does not know.
    unknown_until: Epoch,
    /// The number of an epoch's first batch.
    first_n: u16,
    /// Whether somebody else publishes with our key.
    pub twin_seen: bool,
}

impl Publisher {
    /// The publisher of a node that was made just now, and so has published nothing.
    #[must_use]
    pub fn first(stamp: Stamp) -> Self {
        Self::of(State {
            stamp,
            last: None,
            previous: [0; 32],
            not_before: Epoch(0),
            kept: Vec::new(),
        })
    }

    /// The publisher of a node whose state is lost: what it has published is not known.
    #[must_use]
    pub fn lost(stamp: Stamp, epoch: Epoch) -> Self {
        let mut publisher = Self::first(stamp);
        publisher.state.not_before = epoch.plus(2);
        publisher.unknown_until = epoch;
        publisher
    }

    fn of(state: State) -> Self {
        let unknown_until = Epoch(0);
        let (is_saved, prepared) = (false, None);
        Self { state, is_saved, prepared, unknown_until, first_n: 0, twin_seen: false }
    }

    /// The same, numbering the batches of an epoch from one of 8,192 places that `random` chooses. Only a
    /// copy of this node that runs in the same epoch and has chosen the same place can use its sequences.
    #[must_use]
    pub fn in_slot(self, random: u64) -> Self {
        let first_n = (random % SLOTS) as u16 * BATCHES_MAX as u16;
        Self { first_n, ..self }
    }

    /// The publisher with this saved state. `epoch` is the present one.
    ///
    /// # Errors
    ///
    /// When the bytes are not what [`Self::prepare`] gave to save.
    pub fn load(bytes: &[u8], stamp: Stamp, epoch: Epoch) -> Result<Self, Damaged> {
        let state = State::decode(bytes)?;
        if state.stamp == stamp {
            // It may have announced without publishing until just now.
            return Ok(Self { is_saved: true, unknown_until: epoch, ..Self::of(state) });
        }
        let last = state.last.map_or(Epoch(0), Sequence::epoch);
        let mut publisher = Self::of(State { stamp, kept: Vec::new(), ..state });
        publisher.unknown_until = epoch.max(last);
        publisher.wait(publisher.unknown_until);
        Ok(publisher)
    }

    fn wait(&mut self, epoch: Epoch) {
        self.state.not_before = self.state.not_before.max(epoch.plus(2));
    }

    /// Whether it may publish in an epoch.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn may_publish(&self, epoch: Epoch) -> Result<(), Held> {
        if self.prepared.is_some() {
            return Err(Held::Saving);
        }
        if epoch < self.state.not_before {
            return Err(Held::Waiting { until: self.state.not_before });
        }
        match self.state.last.map(Sequence::epoch) {
            Some(last) if last == epoch => Err(Held::Done),
            Some(last) if last > epoch => Err(Held::ClockBack { last }),
            _ => Ok(()),
        }
    }

    /// Seals what is to be told in an epoch, and gives the bytes that must be on the disk before
    /// [`Self::saved`] gives the values to put. What does not fit an epoch's bytes is left out, from
    /// the end.
    ///
    /// # Errors
    ///
    /// When nothing can be published now.
    pub fn prepare(
        &mut self,
        identity: &Identity,
        day_key: &DayKey,
        epoch: Epoch,
        bodies: &[&Body],
        calendar: Calendar,
    ) -> Result<Vec<u8>, Held> {
        self.may_publish(epoch)?;
        let mut publication = Publication { epoch, batches: 0, records: 0, values: Vec::new() };
        let (mut last, mut previous) = (self.state.last, self.state.previous);
        for body in bodies.iter().filter(|body| !body.is_empty()).take(BATCHES_MAX) {
            let n = self.first_n + u16::from(publication.batches);
            let sequence = Sequence::new(epoch, n);
            let sealed = seal(identity, day_key, sequence, previous, body);
            let records = publication.records + body.len();
            let bytes = publication.bytes() + sealed.bytes();
            if usize::from(records) > RECORDS_MAX || bytes > EPOCH_BYTES_MAX {
                continue;
            }
            (last, previous) = (Some(sequence), sealed.signed.id());
            publication.values.push((day_key.place(epoch), sealed.head));
            let chunks = sealed.chunks.into_iter();
            publication.values.extend(chunks.map(|chunk| (chunk_place(&sha256(&chunk)), chunk)));
            publication.batches += 1;
            publication.records = records;
        }
        if publication.batches == 0 {
            return Err(Held::Nothing);
        }
        // From here on these sequences are used, whether they reach the disk or not.
        (self.state.last, self.state.previous) = (last, previous);
        self.state
            .kept
            .retain(|old| calendar.end_s(old.epoch) + PUT_KEPT_S > calendar.start_s(epoch));
        self.state.kept.push(publication.clone());
        self.prepared = Some(publication);
        self.is_saved = false;
        Ok(self.state.encode())
    }

    /// That what [`Self::prepare`] gave was saved and synced, or that it could not be: the values to
    /// put. What could not be saved is never put.
    pub fn saved(&mut self, is_saved: bool) -> Option<Publication> {
        let prepared = self.prepared.take()?;
        self.is_saved = is_saved;
        if !is_saved {
            self.state.kept.retain(|kept| *kept != prepared);
            return None;
        }
        Some(prepared)
    }

    /// What an earlier run has saved and others may still want to read: it is put again as it is.
    #[must_use]
    pub fn to_put_again(&self, now_s: u64, calendar: Calendar) -> Vec<Publication> {
        if !self.is_saved {
            return Vec::new();
        }
        let live = self.state.kept.iter().filter(|kept| kept.kept_until_s(calendar) > now_s);
        live.cloned().collect()
    }

    /// The state as it should be on the disk, if it is not: after a restored or a first start.
    #[must_use]
    pub fn unsaved(&self) -> Option<Vec<u8>> {
        (!self.is_saved && self.prepared.is_none()).then(|| self.state.encode())
    }

    /// That the state which [`Self::unsaved`] gave is on the disk.
    pub fn state_saved(&mut self) {
        self.is_saved = true;
    }

    /// That this node announces itself without having published.
    pub fn announced(&mut self, epoch: Epoch) {
        self.unknown_until = self.unknown_until.max(epoch);
    }

    /// That an announcement with our own key was seen. If it is not one of ours, a copy of this node
    /// runs somewhere: it is said, and this one waits, so that both do not sign one sequence.
    pub fn own_announcement(&mut self, announced: Epoch, now: Epoch) {
        let published = self.state.last.map_or(Epoch(0), Sequence::epoch);
        if announced > published.max(self.unknown_until) {
            self.twin_seen = true;
            self.wait(now.max(announced));
        }
    }

    /// The last sequence that was used.
    #[must_use]
    pub fn last(&self) -> Option<Sequence> {
        self.state.last
    }
}

impl State {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_opening(&mut out, MAGIC);
        out.extend_from_slice(&self.stamp.0);
        out.push(u8::from(self.last.is_some()));
        out.extend_from_slice(&self.last.unwrap_or_default().0.to_be_bytes());
        out.extend_from_slice(&self.previous);
        out.extend_from_slice(&self.not_before.0.to_be_bytes());
        out.push(self.kept.len() as u8);
        for publication in &self.kept {
            out.extend_from_slice(&publication.epoch.0.to_be_bytes());
            out.push(publication.batches);
            out.extend_from_slice(&publication.records.to_be_bytes());
            out.extend_from_slice(&(publication.values.len() as u16).to_be_bytes());
            for (place, value) in &publication.values {
                out.extend_from_slice(&place.0);
                out.extend_from_slice(&(value.len() as u32).to_be_bytes());
                out.extend_from_slice(value);
            }
        }
        let sum = sha256(&out);
        out.extend_from_slice(&sum);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, Refused> {
        let (content, sum) = bytes.split_last_chunk::<32>().ok_or(Refused::Short)?;
        if sha256(content) != *sum {
            return Err(Refused::Range("checksum"));
        }
        let mut input = Input::new(content);
        input.opening(MAGIC)?;
        let stamp = Stamp(input.take()?);
        let is_some = input.byte()? != 0;
        let last = Some(Sequence(input.u64()?)).filter(|_| is_some);
        let (previous, not_before) = (input.take()?, Epoch(input.u32()?));
        let mut kept = Vec::new();
        for _ in 0..input.byte()? {
            kept.push(take_publication(&mut input)?);
        }
        input.end()?;
        Ok(Self { stamp, last, previous, not_before, kept })
    }
}

fn take_publication(input: &mut Input<'_>) -> Result<Publication, Refused> {
    let (epoch, batches, records) = (Epoch(input.u32()?), input.byte()?, input.u16()?);
    let mut values = Vec::new();
    for _ in 0..input.u16()? {
        let place = Place(input.take()?);
        let len = input.u32()? as usize;
        values.push((place, input.slice(len)?.to_vec()));
    }
    Ok(Publication { epoch, batches, records, values })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::epoch::Day;
    use crate::testing::{body_of, identity};
    use crate::wire::batch::{Head, Signed};

    const EPOCH: Epoch = Epoch(2_992_464);
    const STAMP: Stamp = Stamp([1; 32]);

    fn prepare(publisher: &mut Publisher, epoch: Epoch, records: u32) -> Result<Vec<u8>, Held> {
        let (identity, calendar) = (identity(1), Calendar::default());
        let key = identity.day_key(Day(20_781));
        publisher.prepare(&identity, &key, epoch, &[&body_of(records)], calendar)
    }

    fn heads(publication: &Publication) -> Vec<Signed> {
        let place = identity(1).day_key(Day(20_781)).place(publication.epoch);
        let heads = publication.values.iter().filter(|(at, _)| *at == place);
        heads.map(|(_, value)| Head::decode(value).unwrap().signed).collect()
    }

    #[test]
    fn nothing_is_given_to_put_before_it_is_saved() {
        let mut publisher = Publisher::first(STAMP);
        let state = prepare(&mut publisher, EPOCH, 3).unwrap();
        assert_eq!(publisher.may_publish(EPOCH), Err(Held::Saving));
        assert_eq!(publisher.to_put_again(0, Calendar::default()), []);
        let put = publisher.saved(true).unwrap();
        let again = Publisher::load(&state, STAMP, EPOCH).unwrap();
        assert_eq!(again.to_put_again(0, Calendar::default()), [put]);
        assert_eq!(again.may_publish(EPOCH), Err(Held::Done));
        assert_eq!(again.may_publish(EPOCH.plus(1)), Ok(()));
    }

    #[test]
    fn what_could_not_be_saved_is_never_put_and_its_sequence_never_used_again() {
        let mut publisher = Publisher::first(STAMP);
        prepare(&mut publisher, EPOCH, 3).unwrap();
        assert_eq!(publisher.saved(false), None);
        assert_eq!(publisher.may_publish(EPOCH), Err(Held::Done));
        let state = publisher.unsaved().unwrap();
        publisher.state_saved();
        assert_eq!(publisher.to_put_again(0, Calendar::default()), []);
        let again = Publisher::load(&state, STAMP, EPOCH).unwrap();
        assert_eq!(again.may_publish(EPOCH), Err(Held::Done));
    }

    /// Everything that ever reached the network, by sequence.
    #[derive(Default)]
    struct Network(HashMap<Sequence, [u8; 32]>);

    impl Network {
        fn put(&mut self, publication: &Publication) {
            for signed in heads(publication) {
                let before = self.0.insert(signed.header.sequence, signed.id());
                assert!(before.is_none_or(|id| id == signed.id()), "{:?}", signed.header.sequence);
            }
        }
    }

    /// Where the machine stops while it publishes.
    #[derive(Clone, Copy)]
    enum Stop {
        BeforeSave,
        /// The disk has it, and the program does not know.
        InSave,
        /// The disk refused it.
        SaveFailed,
        AfterSave,
        AfterPut,
        Never,
    }

    fn run(
        disk: &mut Option<Vec<u8>>,
        network: &mut Network,
        epoch: Epoch,
        content: u32,
        stop: Stop,
    ) {
        let calendar = Calendar::default();
        let now_s = calendar.start_s(epoch) + 300;
        let mut publisher = match disk {
            None => Publisher::first(STAMP),
            Some(bytes) => Publisher::load(bytes, STAMP, epoch).unwrap(),
        };
        publisher.to_put_again(now_s, calendar).iter().for_each(|again| network.put(again));
        let Ok(state) = prepare(&mut publisher, epoch, content) else { return };
        match stop {
            Stop::BeforeSave => return,
            Stop::SaveFailed => assert_eq!(publisher.saved(false), None),
            Stop::InSave | Stop::AfterSave => {
                *disk = Some(state);
                return;
            }
            Stop::AfterPut | Stop::Never => {
                *disk = Some(state);
                network.put(&publisher.saved(true).unwrap());
            }
        }
        if matches!(stop, Stop::Never | Stop::SaveFailed) {
            // It runs on, and has more to tell in the same epoch.
            if let Ok(state) = prepare(&mut publisher, epoch, content + 1) {
                *disk = Some(state);
                network.put(&publisher.saved(true).unwrap());
            }
        }
    }

    #[test]
    fn no_stop_at_any_step_makes_two_batches_of_one_sequence() {
        const STOPS: [Stop; 6] = [
            Stop::BeforeSave,
            Stop::InSave,
            Stop::SaveFailed,
            Stop::AfterSave,
            Stop::AfterPut,
            Stop::Never,
        ];
        // Every way to stop in each of four runs, two of them in one epoch.
        for case in 0..STOPS.len().pow(4) {
            let (mut disk, mut network) = (None, Network::default());
            for turn in 0..4 {
                let stop = STOPS[case / STOPS.len().pow(turn) % STOPS.len()];
                run(&mut disk, &mut network, EPOCH.plus(turn / 2), 1 + turn, stop);
            }
        }
    }

    #[test]
    fn a_restored_backup_and_a_clone_wait_a_whole_epoch_and_then_use_new_sequences() {
        let mut network = Network::default();
        let mut publisher = Publisher::first(STAMP);
        let backup = prepare(&mut publisher, EPOCH, 1).unwrap();
        network.put(&publisher.saved(true).unwrap());
        for n in 1..5 {
            prepare(&mut publisher, EPOCH.plus(n), 1 + n).unwrap();
            network.put(&publisher.saved(true).unwrap());
        }
        let now = EPOCH.plus(4);
        let mut restored = Publisher::load(&backup, Stamp([2; 32]), now).unwrap();
        assert_eq!(restored.to_put_again(0, Calendar::default()), []);
        for n in 4..6 {
            let until = EPOCH.plus(6);
            assert_eq!(restored.may_publish(EPOCH.plus(n)), Err(Held::Waiting { until }));
        }
        let state = restored.unsaved().unwrap();
        restored.state_saved();
        restored.own_announcement(now, now);
        assert!(!restored.twin_seen, "that was this node before");
        let mut again = Publisher::load(&state, Stamp([2; 32]), now.plus(1)).unwrap();
        assert!(matches!(again.may_publish(now.plus(1)), Err(Held::Waiting { .. })));
        prepare(&mut again, EPOCH.plus(6), 9).unwrap();
        network.put(&again.saved(true).unwrap());
    }

    #[test]
    fn a_state_that_was_lost_waits_too() {
        let lost = Publisher::lost(STAMP, EPOCH);
        assert!(matches!(lost.may_publish(EPOCH.plus(1)), Err(Held::Waiting { .. })));
        assert_eq!(lost.may_publish(EPOCH.plus(2)), Ok(()));
    }

    #[test]
    fn a_twin_is_noticed_by_what_it_announces() {
        let mut publisher = Publisher::first(STAMP);
        prepare(&mut publisher, EPOCH, 1).unwrap();
        publisher.saved(true).unwrap();
        publisher.own_announcement(EPOCH, EPOCH.plus(1));
        assert!(!publisher.twin_seen && publisher.may_publish(EPOCH.plus(1)).is_ok());
        publisher.own_announcement(EPOCH.plus(1), EPOCH.plus(1));
        assert!(publisher.twin_seen);
        let until = EPOCH.plus(3);
        assert_eq!(publisher.may_publish(EPOCH.plus(2)), Err(Held::Waiting { until }));
    }

    #[test]
    fn what_this_node_or_its_life_before_has_announced_is_no_twin() {
        let mut publisher = Publisher::first(STAMP);
        publisher.announced(EPOCH);
        publisher.own_announcement(EPOCH, EPOCH.plus(1));
        let state = publisher.unsaved().unwrap();
        let mut again = Publisher::load(&state, STAMP, EPOCH.plus(1)).unwrap();
        again.own_announcement(EPOCH.plus(1), EPOCH.plus(2));
        assert!(!publisher.twin_seen && !again.twin_seen);
        again.own_announcement(EPOCH.plus(2), EPOCH.plus(3));
        assert!(again.twin_seen);
    }

    #[test]
    fn copies_that_publish_in_one_epoch_use_sequences_of_their_own() {
        let mut publisher = Publisher::first(STAMP);
        let backup = prepare(&mut publisher, EPOCH, 1).unwrap();
        let mut network = Network::default();
        let mut used = std::collections::HashSet::new();
        for process in 0..40 {
            let random = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(process);
            let copy = Publisher::load(&backup, Stamp([2; 32]), EPOCH).unwrap();
            let mut copy = copy.in_slot(random);
            prepare(&mut copy, EPOCH.plus(2), 1 + process as u32).unwrap();
            let put = copy.saved(true).unwrap();
            assert!(heads(&put).iter().all(|signed| used.insert(signed.header.sequence)));
            network.put(&put);
        }
    }

    #[test]
    fn a_clock_that_was_set_back_publishes_nothing() {
        let mut publisher = Publisher::first(STAMP);
        prepare(&mut publisher, EPOCH, 1).unwrap();
        publisher.saved(true).unwrap();
        let held = publisher.may_publish(Epoch(EPOCH.0 - 1));
        assert_eq!(held, Err(Held::ClockBack { last: EPOCH }));
    }

    #[test]
    fn batches_of_one_publication_follow_each_other() {
        let (identity, calendar) = (identity(1), Calendar::default());
        let key = identity.day_key(Day(20_781));
        let mut publisher = Publisher::first(STAMP);
        let bodies = [&body_of(2), &body_of(0), &body_of(1900), &body_of(500)];
        publisher.prepare(&identity, &key, EPOCH, &bodies, calendar).unwrap();
        let put = publisher.saved(true).unwrap();
        assert_eq!((put.batches, put.records), (2, 1902), "500 more would be too many");
        let [first, second] = heads(&put)[..] else { panic!("two heads") };
        assert_eq!((first.header.previous, second.header.previous), ([0; 32], first.id()));
        assert!(put.values.len() > 3, "a head each, and chunks");
        assert_eq!(prepare(&mut publisher, EPOCH.plus(1), 0), Err(Held::Nothing));
    }

    #[test]
    fn a_damaged_state_is_refused() {
        let mut publisher = Publisher::first(STAMP);
        let state = prepare(&mut publisher, EPOCH, 3).unwrap();
        for at in 0..state.len() {
            let mut damaged = state.clone();
            damaged[at] ^= 1;
            assert!(Publisher::load(&damaged, STAMP, EPOCH).is_err());
            assert!(Publisher::load(&state[..at], STAMP, EPOCH).is_err());
        }
    }
}
