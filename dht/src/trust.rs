//! Whom the operator trusts or denies, and who was caught lying.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use foldhash::fast::RandomState;

use crate::grants::Regard;
use crate::limits::{DISTRUST_S, HEADERS_KEPT, PEERS_MAX, PROOFS_MAX};
use crate::wire::NodeKey;
use crate::wire::batch::Signed;
use crate::wire::proof::Proof;

/// Why a node is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// The operator denies it.
    Denied,
    /// It has signed two batches with one sequence.
    Lied {
        /// Until when, in seconds since 1970.
        until_s: u64,
    },
}

/// Who is trusted, who is denied, and who was caught.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    trusted: BTreeSet<NodeKey>,
    denied: BTreeSet<NodeKey>,
    /// Everybody in this network is trusted: it is a private pool.
    all: bool,
    liars: BTreeMap<NodeKey, (u64, Proof)>,
    /// The last batches of each node, to find two with one sequence.
    witnessed: HashMap<NodeKey, VecDeque<Signed>, RandomState>,
    /// Proofs that there was no room for; each stands for a liar that is not believed by chance only.
    pub proofs_dropped: u64,
}

impl Trust {
    /// What the operator says. With `all` every node that is met is trusted.
    #[must_use]
    pub fn new(
        trusted: impl IntoIterator<Item = NodeKey>,
        denied: impl IntoIterator<Item = NodeKey>,
        all: bool,
    ) -> Self {
        let (trusted, denied) = (trusted.into_iter().collect(), denied.into_iter().collect());
        Self { trusted, denied, all, ..Self::default() }
    }

    /// Those that the operator trusts by name.
    #[must_use]
    pub fn trusted(&self) -> &BTreeSet<NodeKey> {
        &self.trusted
    }

    /// Why a node is not believed now; `None` if nothing is against it.
    #[must_use]
    pub fn distrust(&self, node: NodeKey, now_s: u64) -> Option<Distrust> {
        if self.denied.contains(&node) {
            return Some(Distrust::Denied);
        }
        let (until_s, _) = *self.liars.get(&node)?;
        (until_s > now_s).then_some(Distrust::Lied { until_s })
    }

    /// How a node is seen. A denied or lying one is denied, also if it is trusted.
    #[must_use]
    pub fn regard(&self, node: NodeKey, now_s: u64) -> Regard {
        if self.distrust(node, now_s).is_some() {
            Regard::Denied
        } else if self.all || self.trusted.contains(&node) {
            Regard::Trusted
        } else {
            Regard::Usual
        }
    }

    /// Whether this is something else than what was witnessed with this sequence, or was not.
    #[must_use]
    pub fn is_news(&self, signed: &Signed) -> bool {
        let said = self.witnessed.get(&signed.header.node);
        let before =
            said.and_then(|said| said.iter().find(|s| s.header.sequence == signed.header.sequence));
        before.is_none_or(|before| before.id() != signed.id())
    }

    /// That a node has said this. A proof, if it has said something else with that sequence before.
    pub fn witness(&mut self, signed: &Signed) -> Option<Proof> {
        let node = signed.header.node;
        if !self.witnessed.contains_key(&node) && self.witnessed.len() >= PEERS_MAX {
            // There is no order to keep: whoever is read again is witnessed again.
            self.witnessed.clear();
        }
        let said = self.witnessed.entry(node).or_default();
        let before = said.iter().find(|s| s.header.sequence == signed.header.sequence);
        if let Some(before) = before {
            return Proof::of(before, signed);
        }
        said.push_back(*signed);
        if said.len() > HEADERS_KEPT {
            said.pop_front();
        }
        None
    }

    /// That a node lies. Whether that is new. Where there are too many the one is forgotten whose term ends
    /// first of those that have no name to lose: not trusted, and not one that `has_credit`. So keys that
    /// cost nothing do not fill the list.
    pub fn convict(
        &mut self,
        proof: &Proof,
        now_s: u64,
        has_credit: impl Fn(NodeKey) -> bool,
    ) -> bool {
        self.liars.retain(|_, (until_s, _)| *until_s > now_s);
        if self.liars.contains_key(&proof.node()) {
            return false;
        }
        if self.liars.len() >= PROOFS_MAX {
            self.proofs_dropped += 1;
            let is_cheap = |node: &NodeKey| !self.trusted.contains(node) && !has_credit(*node);
            let cheap = self.liars.iter().filter(|(node, _)| is_cheap(node));
            let first = cheap.min_by_key(|(_, (until_s, _))| *until_s).map(|(node, _)| *node);
            let Some(first) = first else { return false };
            self.liars.remove(&first);
        }
        self.liars.insert(proof.node(), (now_s + DISTRUST_S, *proof));
        true
    }

    /// Lifts the distrust of a node, as the operator may. Whether there was any.
    pub fn pardon(&mut self, node: NodeKey) -> bool {
        self.liars.remove(&node).is_some()
    }

    /// Those that were caught: until when they are distrusted, and the proof.
    pub fn liars(&self) -> impl Iterator<Item = (u64, &Proof)> + '_ {
        self.liars.values().map(|(until_s, proof)| (*until_s, proof))
    }

    pub(crate) fn restore(&mut self, until_s: u64, proof: &Proof) {
        if self.liars.len() < PROOFS_MAX {
            self.liars.insert(proof.node(), (until_s, *proof));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::{Day, Epoch, Sequence};
    use crate::testing::{body_of, identity};
    use crate::wire::batch;

    const NOW: u64 = 1_795_478_400;

    fn signed(n: u16, records: u32) -> Signed {
        let identity = identity(1);
        let sequence = Sequence::new(Epoch(2_880_000), n);
        let key = identity.day_key(Day(1));
        batch::seal(&identity, &key, sequence, [0; 32], &body_of(records)).signed
    }

    #[test]
    fn who_signs_two_batches_with_one_sequence_is_distrusted_for_30_days() {
        let (node, mut trust) = (identity(1).node(), Trust::default());
        assert_eq!(trust.witness(&signed(0, 1)), None);
        assert_eq!(trust.witness(&signed(0, 1)), None, "the same again is no lie");
        assert_eq!(trust.witness(&signed(1, 2)), None);
        let proof = trust.witness(&signed(0, 2)).unwrap();
        assert!(trust.convict(&proof, NOW, |_| false) && !trust.convict(&proof, NOW, |_| false));
        assert_eq!(trust.regard(node, NOW), Regard::Denied);
        assert_eq!(trust.regard(node, NOW + DISTRUST_S - 1), Regard::Denied);
        assert_eq!(trust.regard(node, NOW + DISTRUST_S), Regard::Usual);
    }

    #[test]
    fn the_operator_may_pardon_and_what_he_denies_stays_denied() {
        let node = identity(1).node();
        let mut trust = Trust::new([node], [], false);
        trust.witness(&signed(0, 1));
        let proof = trust.witness(&signed(0, 2)).unwrap();
        assert_eq!(trust.regard(node, NOW), Regard::Trusted);
        trust.convict(&proof, NOW, |_| false);
        assert_eq!(trust.regard(node, NOW), Regard::Denied, "a lie counts more than trust");
        assert!(trust.pardon(node) && !trust.pardon(node));
        assert_eq!(trust.regard(node, NOW), Regard::Trusted);
        assert_eq!(Trust::new([node], [node], true).regard(node, NOW), Regard::Denied);
        assert_eq!(Trust::new([], [], true).regard(node, NOW), Regard::Trusted);
    }

    fn proof_of(who: u32) -> Proof {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&who.to_be_bytes());
        let identity = crate::keys::Identity::from_seed(&seed);
        let (key, sequence) = (identity.day_key(Day(1)), Sequence::new(Epoch(2_880_000), 0));
        let said =
            |records| batch::seal(&identity, &key, sequence, [0; 32], &body_of(records)).signed;
        Proof::of(&said(1), &said(2)).unwrap()
    }

    #[test]
    fn throwaway_keys_do_not_fill_the_list_of_liars() {
        let mut trust = Trust::default();
        let first = proof_of(0);
        let has_credit = |node| node == first.node();
        for who in 0..PROOFS_MAX as u32 + 2 {
            assert!(trust.convict(&proof_of(who), NOW + u64::from(who), has_credit));
        }
        assert_eq!((trust.liars().count(), trust.proofs_dropped), (PROOFS_MAX, 2));
        let is_denied = |who| trust.regard(proof_of(who).node(), NOW) == Regard::Denied;
        assert_eq!([0, 1, 2, 3].map(is_denied), [true, false, false, true]);
        assert!(!trust.convict(&proof_of(1), NOW, |_| true), "all of them have a name to lose");
    }
}
