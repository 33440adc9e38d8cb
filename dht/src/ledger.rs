//! What this node thinks of others: who contributes, who is granted the day key, who counts.
//!
//! It is local. Nobody agrees on it with anybody, and nothing of it is published. Time is an argument.
//!
//! Credit comes from records that turn out to be true, and only to whoever told them before, or in the
//! same epoch as, whoever confirms them: so repeating what others say earns nothing. It is halved
//! every week.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;
use foldhash::quality::RandomState as QualityState;

use crate::epoch::{Day, Epoch, Sequence};
use crate::epoch_read::EpochRead;
use crate::limits::{
    ACTIVE_EPOCHS_MIN, ACTIVE_WINDOW, CONFIRMED_SHARE, CONFIRMED_SHARE_FROM, CONFIRMER_CREDIT_MIN,
    CREDIT_EPOCH_MAX, CREDIT_HALF_LIFE_S, CREDIT_MAX, FIRST_MIN, GRANT_CREDIT_MIN, PEERS_MAX,
};
use crate::rules::Rules;
use crate::wire::NodeKey;

pub use crate::standing::{Merit, Standing};

/// Names a node within one ledger; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u32);

/// What is known of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// Its name.
    pub node: NodeKey,
    /// What grants to it are sealed for, as it last announced. Zeros if it never has.
    pub seal_key: [u8; 32],
    /// When it was first met, in seconds since 1970.
    pub first_s: u64,
    /// The last epoch in which it announced a batch or one was read.
    pub last: Epoch,
    /// The last of its batches that was read.
    pub sequence: Sequence,
    /// Records that were accepted from it.
    pub got: u64,
    /// Of those, the ones that turned out to be true.
    pub confirmed: u64,
    /// Records that were refused.
    pub refused: u64,
    /// Records that were published on days for which it had our day key.
    pub given: u64,
    /// The last day for which it was granted our day key.
    pub granted: Day,
    /// Until this day it is granted the day key without having earned it.
    pub trial_until: Day,
    pub(crate) credit: f64,
    pub(crate) first: f64,
    pub(crate) credit_s: u64,
    earned: (Epoch, f64),
    /// Bit n: a batch was brought n epochs before `last`.
    pub(crate) active: u128,
    read: [EpochRead; 3],
}

impl Peer {
    pub(crate) fn new(node: NodeKey, now_s: u64, epoch: Epoch) -> Self {
        Self {
            node,
            seal_key: [0; 32],
            first_s: now_s,
            last: epoch,
            sequence: Sequence::default(),
            got: 0,
            confirmed: 0,
            refused: 0,
            given: 0,
            granted: Day::default(),
            trial_until: Day::default(),
            credit: 0.0,
            first: 0.0,
            credit_s: now_s,
            earned: (Epoch::default(), 0.0),
            active: 0,
            read: [EpochRead::default(); 3],
        }
    }

    /// Whether it was granted our day key of that day. Before midnight each is granted the next day's too, so
    /// the last day for which it was may be one later; what is later still was granted by a clock that was
    /// wrong, and says nothing.
    #[must_use]
    pub fn is_granted(&self, day: Day) -> bool {
        self.granted.0.checked_sub(day.0).is_some_and(|ahead| ahead <= 1)
    }

    /// Its credit now.
    #[must_use]
    pub fn credit(&self, now_s: u64) -> f64 {
        self.credit * self.faded(now_s)
    }

    /// How much it has told first lately that turned out to be true.
    #[must_use]
    pub fn first(&self, now_s: u64) -> f64 {
        // It fades four times as slowly: most of what one sensor sees was told before by another.
        self.first * self.faded(now_s).sqrt().sqrt()
    }

    fn faded(&self, now_s: u64) -> f64 {
        let age = now_s.saturating_sub(self.credit_s) as f64 / CREDIT_HALF_LIFE_S as f64;
        (-age).exp2()
    }

    /// Whether it has earned our day key: by something true that we did not hear from others.
    #[must_use]
    pub fn contributes(&self, now_s: u64) -> bool {
        self.is_plausible()
            && self.credit(now_s) >= GRANT_CREDIT_MIN
            && self.first(now_s) >= FIRST_MIN
    }

    /// Whether it brought batches often enough lately.
    #[must_use]
    pub fn is_active(&self, epoch: Epoch) -> bool {
        let silent = epoch.since(self.last);
        let seen = self.active.checked_shl(silent).unwrap_or(0);
        seen.count_ones() >= ACTIVE_EPOCHS_MIN
    }

    /// Whether enough of what it says is true. A node of which little was read has the benefit of the
    /// doubt.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        self.got < CONFIRMED_SHARE_FROM
            || self.confirmed.saturating_mul(CONFIRMED_SHARE) >= self.got
    }

    /// That everything up to its last batch was read before, by an earlier run.
    pub(crate) fn close(&mut self) {
        let last = self.sequence.epoch();
        self.read = [0, 1, 2].map(|back| {
            let epoch = Epoch(last.0.saturating_sub(back));
            EpochRead::closed(epoch)
        });
    }

    fn mark(&mut self, epoch: Epoch) {
        if epoch > self.last {
            self.active = self.active.checked_shl(epoch.since(self.last)).unwrap_or(0);
            self.last = epoch;
        }
        let back = self.last.since(epoch);
        if back < ACTIVE_WINDOW {
            self.active |= 1 << back;
        }
    }

    fn earn(&mut self, merit: Merit, epoch: Epoch, now_s: u64) {
        if self.earned.0 != epoch {
            self.earned = (epoch, 0.0);
        }
        let amount = merit.amount.min(CREDIT_EPOCH_MAX - self.earned.1).max(0.0);
        self.earned.1 += amount;
        let first = f64::from(u8::from(merit.is_first));
        self.first = (self.first(now_s) + first).min(CREDIT_MAX);
        self.credit = (self.credit(now_s) + amount).min(CREDIT_MAX);
        self.credit_s = now_s;
    }

    /// How many of `records` records of this batch may be taken; `None` if it was taken already or
    /// lies too far back.
    fn admit(&mut self, sequence: Sequence, records: u16) -> Option<u16> {
        let epoch = sequence.epoch();
        let at = match self.read.iter().position(|read| read.epoch == epoch) {
            Some(at) => at,
            None => {
                let oldest = (0..self.read.len()).min_by_key(|at| self.read[*at].epoch)?;
                if self.read[oldest].epoch > epoch {
                    return None;
                }
                self.read[oldest] = EpochRead::of(epoch);
                oldest
            }
        };
        let read = &mut self.read[at];
        read.admit(sequence.n(), records)
    }
}

/// All nodes that are known, at most [`PEERS_MAX`].
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(crate) rules: Rules,
    names: HashMap<NodeKey, PeerId, QualityState>,
    peers: HashMap<PeerId, Peer, RandomState>,
    next: u32,
    /// Nodes that the operator trusts: they are never forgotten, however many others there are.
    kept: BTreeSet<NodeKey>,
    /// Nodes that were forgotten, or not taken, because there were too many.
    pub evicted: u64,
}

impl Ledger {
    /// A ledger in which nobody stands.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules: rules.sane(),
            names: HashMap::default(),
            peers: HashMap::default(),
            next: 0,
            kept: BTreeSet::new(),
            evicted: 0,
        }
    }

    /// The same, never forgetting these nodes.
    #[must_use]
    pub fn keeping(self, kept: BTreeSet<NodeKey>) -> Self {
        Self { kept, ..self }
    }

    /// What is known of a node.
    #[must_use]
    pub fn get(&self, node: NodeKey) -> Option<&Peer> {
        self.peers.get(self.names.get(&node)?)
    }

    /// Whether a node is known and has earned something that has not faded.
    #[must_use]
    pub fn has_credit(&self, node: NodeKey, now_s: u64) -> bool {
        self.get(node).is_some_and(|peer| peer.credit(now_s) >= GRANT_CREDIT_MIN)
    }

    /// The id of a node, if it is known.
    #[must_use]
    pub fn id(&self, node: NodeKey) -> Option<PeerId> {
        self.names.get(&node).copied()
    }

    pub(crate) fn get_mut(&mut self, node: NodeKey) -> Option<&mut Peer> {
        self.peers.get_mut(self.names.get(&node)?)
    }

    /// What is known of the node with this id.
    #[must_use]
    pub fn by_id(&self, id: PeerId) -> Option<&Peer> {
        self.peers.get(&id)
    }

    /// Every node, in no useful order.
    pub fn iter(&self) -> impl Iterator<Item = &Peer> + '_ {
        self.names.values().filter_map(|id| self.peers.get(id))
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether nobody is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The id of a node, which is known from now on; `None` if there are too many that have earned
    /// something.
    pub fn meet(&mut self, node: NodeKey, epoch: Epoch, now_s: u64) -> Option<PeerId> {
        if let Some(id) = self.names.get(&node) {
            return Some(*id);
        }
        if self.names.len() >= PEERS_MAX {
            self.evict(now_s);
        }
        if self.names.len() >= PEERS_MAX && self.kept.contains(&node) {
            self.forget_least(now_s);
        }
        if self.names.len() >= PEERS_MAX {
            self.evicted += 1;
            return None;
        }
        Some(self.insert(Peer::new(node, now_s, epoch)))
    }

    pub(crate) fn insert(&mut self, peer: Peer) -> PeerId {
        let id = PeerId(self.next);
        self.next = self.next.wrapping_add(1);
        self.names.insert(peer.node, id);
        self.peers.insert(id, peer);
        id
    }

    /// Forgets a sixteenth of the nodes: of those that have earned nothing, and that the operator does not
    /// trust, the longest silent. So
    /// many at once, because each look costs as much as there are nodes.
    fn evict(&mut self, now_s: u64) {
        let mut idle: Vec<(Epoch, NodeKey)> = self
            .iter()
            .filter(|peer| peer.credit(now_s) < GRANT_CREDIT_MIN)
            .filter(|peer| !self.kept.contains(&peer.node))
            .map(|peer| (peer.last, peer.node))
            .collect();
        idle.sort_unstable();
        idle.into_iter().take(PEERS_MAX / 16).for_each(|(_, node)| self.forget(node));
    }

    /// Forgets who has the least credit: somebody whom the operator trusts comes before anybody else.
    fn forget_least(&mut self, now_s: u64) {
        let others = self.iter().filter(|peer| !self.kept.contains(&peer.node));
        let least = others.min_by(|a, b| a.credit(now_s).total_cmp(&b.credit(now_s)));
        if let Some(node) = least.map(|peer| peer.node) {
            self.forget(node);
        }
    }

    fn forget(&mut self, node: NodeKey) {
        if let Some(id) = self.names.remove(&node) {
            self.peers.remove(&id);
            self.evicted += 1;
        }
    }

    /// That a node has announced batches of an epoch.
    pub fn announced(&mut self, node: NodeKey, seal_key: [u8; 32], epoch: Epoch, now_s: u64) {
        let Some(id) = self.meet(node, epoch, now_s) else { return };
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.seal_key = seal_key;
            peer.mark(epoch);
        }
    }

    /// That a batch of a node was read: how many of its records may be taken. `None` if it was taken
    /// before.
    pub fn read(
        &mut self,
        node: NodeKey,
        sequence: Sequence,
        records: u16,
        now_s: u64,
    ) -> Option<(PeerId, u16)> {
        let id = self.meet(node, sequence.epoch(), now_s)?;
        let peer = self.peers.get_mut(&id)?;
        let admitted = peer.admit(sequence, records)?;
        peer.mark(sequence.epoch());
        peer.sequence = peer.sequence.max(sequence);
        peer.refused += u64::from(records - admitted);
        Some((id, admitted))
    }

    /// Whether this batch of a node was read.
    #[must_use]
    pub fn has_read(&self, node: NodeKey, sequence: Sequence) -> bool {
        let read = self.get(node).map(|peer| peer.read).unwrap_or_default();
        read.iter().any(|read| read.epoch == sequence.epoch() && read.has(sequence.n()))
    }

    /// That so many records of a batch were taken, and so many refused.
    pub fn took(&mut self, id: PeerId, taken: u64, refused: u64) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.got += taken;
            peer.refused += refused;
        }
    }

    /// That so many records were published on a day: whoever was granted it can read them.
    pub fn gave(&mut self, day: Day, records: u64) {
        for peer in self.peers.values_mut().filter(|peer| peer.is_granted(day)) {
            peer.given += records;
        }
    }

    /// That a record of a node turned out to be true.
    pub fn confirm(&mut self, id: PeerId, merit: Merit, epoch: Epoch, now_s: u64) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.confirmed += 1;
            peer.earn(merit, epoch, now_s);
        }
    }

    /// What a node is worth now.
    #[must_use]
    pub fn standing(&self, id: PeerId, now_s: u64) -> Standing {
        let Some(peer) = self.peers.get(&id) else { return Standing::default() };
        let credit = peer.credit(now_s);
        let is_original = peer.is_plausible() && peer.first(now_s) >= FIRST_MIN;
        let is_credited = credit >= CONFIRMER_CREDIT_MIN && is_original;
        let is_old = now_s.saturating_sub(peer.first_s) >= self.rules.age_s;
        let counts = is_old && credit >= self.rules.credit && is_original;
        let weight =
            if is_old { (credit / (10.0 * self.rules.credit.max(0.1))).min(1.0) } else { 0.0 };
        Standing { counts, is_credited, weight }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{CREDIT_OWN, DAY_S, QUORUM_AGE_MIN_S};

    const NOW: u64 = 1_795_478_400;
    const OWN: Merit = Merit { amount: CREDIT_OWN, is_first: true };

    fn node(n: u32) -> NodeKey {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&n.to_be_bytes());
        NodeKey(key)
    }

    fn epoch(n: u32) -> Epoch {
        Epoch((NOW / 600) as u32 + n)
    }

    fn ledger() -> Ledger {
        Ledger::new(Rules::default())
    }

    #[test]
    fn only_who_is_old_and_has_earned_it_counts() {
        let mut ledger = ledger();
        let id = ledger.meet(node(1), epoch(0), NOW).unwrap();
        for n in 0..15 {
            ledger.took(id, 1, 0);
            ledger.confirm(id, OWN, epoch(n), NOW);
        }
        let (young, old) = (NOW + QUORUM_AGE_MIN_S - 1, NOW + QUORUM_AGE_MIN_S);
        assert!(ledger.standing(id, young).is_credited && !ledger.standing(id, young).counts);
        assert!(!ledger.standing(id, old).counts, "half of 15 is less than 10");
        for n in 30..45 {
            ledger.confirm(id, OWN, epoch(n), old);
        }
        assert!(ledger.standing(id, old).counts);
        assert!(!ledger.standing(id, old + 60 * DAY_S).is_credited, "credit fades");
    }

    #[test]
    fn who_only_repeats_what_others_say_earns_no_standing() {
        let mut ledger = ledger();
        let id = ledger.meet(node(1), epoch(0), NOW - QUORUM_AGE_MIN_S).unwrap();
        for n in 0..100 {
            ledger.confirm(id, Merit { is_first: false, ..OWN }, epoch(n), NOW);
        }
        assert!(!ledger.standing(id, NOW).counts);
        assert!(!ledger.standing(id, NOW).is_credited);
        assert!(!ledger.get(node(1)).unwrap().contributes(NOW));
        ledger.confirm(id, OWN, epoch(101), NOW);
        assert!(ledger.standing(id, NOW).counts && ledger.get(node(1)).unwrap().contributes(NOW));
    }

    #[test]
    fn one_lucky_list_does_not_make_a_name() {
        let mut ledger = ledger();
        let id = ledger.meet(node(1), epoch(0), NOW).unwrap();
        for _ in 0..2000 {
            ledger.confirm(id, OWN, epoch(0), NOW);
        }
        let credit = ledger.get(node(1)).unwrap().credit(NOW);
        assert!((credit - CREDIT_EPOCH_MAX).abs() < 1e-6, "{credit}");
    }

    #[test]
    fn who_says_much_that_nobody_confirms_counts_nothing() {
        let mut ledger = ledger();
        let id = ledger.meet(node(1), epoch(0), NOW).unwrap();
        for n in 0..40 {
            ledger.confirm(id, OWN, epoch(n), NOW);
        }
        ledger.took(id, 100_000, 0);
        assert!(!ledger.standing(id, NOW).is_credited);
    }

    #[test]
    fn one_epoch_takes_so_many_records_and_each_batch_once() {
        let mut ledger = ledger();
        let mut read = |n, records| {
            ledger.read(node(1), Sequence::new(epoch(0), n), records, NOW).map(|r| r.1)
        };
        assert_eq!(read(0, 1500), Some(1500));
        assert_eq!(read(0, 1500), None, "the same again");
        assert_eq!(read(1, 1500), Some(500), "the rest of 2,000");
        assert_eq!(read(2, 1500), Some(0));
        for n in 8..13 {
            assert_eq!(read(8 * n, 1), Some(0), "whichever numbers they have");
        }
        assert_eq!(read(8, 1), None, "more batches than there may be");
        let mut read = |e, n| ledger.read(node(1), Sequence::new(epoch(e), n), 1, NOW).is_some();
        assert!(read(2, 0) && read(1, 0), "the order of epochs does not matter");
        assert!(read(3, 0) && !read(0, 3), "and what lies far back is not read");
    }

    #[test]
    fn activity_is_what_was_brought_lately() {
        let mut ledger = ledger();
        for n in [0, 5, 9] {
            ledger.announced(node(1), [1; 32], epoch(n), NOW);
        }
        let peer = ledger.get(node(1)).unwrap();
        assert!(peer.is_active(epoch(9)) && peer.is_active(epoch(ACTIVE_WINDOW - 1)));
        assert!(!peer.is_active(epoch(ACTIVE_WINDOW)), "the first is out of sight");
        ledger.announced(node(2), [1; 32], epoch(9), NOW);
        assert!(!ledger.get(node(2)).unwrap().is_active(epoch(9)));
    }

    #[test]
    fn a_flood_of_new_nodes_pushes_out_nobody_who_has_earned_something() {
        let mut ledger = ledger();
        let good = ledger.meet(node(0), epoch(0), NOW).unwrap();
        ledger.confirm(good, Merit { amount: 5.0, is_first: true }, epoch(0), NOW);
        for n in 1..=(3 * PEERS_MAX as u32) {
            ledger.meet(node(n), epoch(1), NOW);
        }
        assert!(ledger.len() <= PEERS_MAX && ledger.evicted >= 2 * PEERS_MAX as u64);
        assert!(ledger.get(node(0)).is_some());
    }

    #[test]
    fn a_flood_drives_out_nobody_whom_the_operator_trusts() {
        let (first, last) = (node(u32::MAX), node(u32::MAX - 1));
        let mut ledger = ledger().keeping(BTreeSet::from([first, last]));
        ledger.announced(first, [1; 32], epoch(0), NOW);
        for n in 0..PEERS_MAX as u32 + 1 {
            ledger.meet(node(n), epoch(1), NOW);
        }
        assert!(ledger.evicted > 0 && ledger.get(first).is_some());
        let all: Vec<NodeKey> = ledger.iter().map(|peer| peer.node).collect();
        let ids = all.iter().filter_map(|node| ledger.id(*node)).collect::<Vec<_>>();
        ids.iter().for_each(|id| ledger.confirm(*id, OWN, epoch(1), NOW));
        let mut more = PEERS_MAX as u32 + 1;
        while let Some(id) = ledger.meet(node(more), epoch(1), NOW) {
            ledger.confirm(id, OWN, epoch(1), NOW);
            more += 1;
        }
        assert_eq!(ledger.len(), PEERS_MAX, "all of them have earned something");
        assert!(ledger.meet(last, epoch(2), NOW).is_some() && ledger.get(first).is_some());
        assert!(ledger.len() <= PEERS_MAX);
    }
}
