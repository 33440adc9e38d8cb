//! Which addresses and numbers enough nodes agree on.
//!
//! A node's word on one subject is one vote. A subject is *listed* while [`Rules::quorum`] votes of
//! nodes that count stand, or one of a node that the operator trusts. No node without which more than
//! a tenth of the list would not be on it moves more. The DHT tells nobody's address, so what is
//! counted is keys, which is why only credit and age make one count.
//!
//! A vote is *confirmed* by an own sighting, or by other credited nodes, that came in the same epoch or
//! later; that is what [`crate::ledger`] gives credit for. It is a *first* one if nobody told it in an
//! epoch before: whoever repeats others has none of those.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::quality::RandomState;
use smallvec::SmallVec;

use crate::ballot::{
    Entry, confirm, counting, enlist, listing_of, make_room, new_vote, pivots, rank,
};
use crate::epoch::Epoch;
use crate::ledger::{Merit, PeerId, Standing};
use crate::limits::{
    AGE_MINUTES_MAX, CREDIT_OWN, OWN_EPOCHS, OWN_MAX, PIVOT_MIN, PIVOT_SHARE,
    SUBJECTS_CREDITED_MAX, SUBJECTS_MAX, SUBJECTS_PEER_MAX, VOTERS_MAX,
};
use crate::rules::Rules;
use crate::wire::source::SeenRecord;

/// That a subject is listed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Listing {
    /// Until when, in minutes since 1970, if nobody says so again.
    pub until_minute: u32,
    /// When it was last proven, in minutes since 1970, by the newest vote.
    pub last_minute: u32,
    /// Votes that count.
    pub voters: u8,
    /// Sum of what their voices weigh; a trusted one weighs 1.
    pub weight: f64,
    /// Whether one trusted node was enough.
    pub by_trusted: bool,
}

/// Whose word a vote is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Voter {
    /// What it has earned.
    pub standing: Standing,
    /// Whether the operator trusts it.
    pub is_trusted: bool,
}

/// What follows from a vote or a sighting: who has told the truth, and how much credit that is.
pub type Confirmed = SmallVec<[(PeerId, Merit); 4]>;

/// What became of a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voted {
    /// It stands.
    Counted,
    /// The node has named too many subjects.
    TooMany,
    /// There are too many subjects.
    Full,
}

/// What could not be kept or listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuorumStats {
    /// Votes beyond what one node may name.
    pub too_many: u64,
    /// Votes for subjects that there was no room for.
    pub full: u64,
    /// Subjects that were not listed because one node would have moved more than a tenth of the list.
    pub capped: u64,
}

/// All that peers say of one kind of subject.
#[derive(Debug)]
pub struct Quorum<K> {
    rules: Rules,
    entries: HashMap<K, Entry, RandomState>,
    /// The epochs in which our own sensors first saw subjects.
    own: HashMap<K, Epoch, RandomState>,
    /// How many subjects each node names, and how many are listed only because of it.
    shares: HashMap<PeerId, (u32, u32), RandomState>,
    listed: usize,
    /// What was turned away.
    pub stats: QuorumStats,
}

impl<K: Eq + Hash + Clone> Quorum<K> {
    /// Nothing is known.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules: rules.sane(),
            entries: HashMap::default(),
            own: HashMap::default(),
            shares: HashMap::default(),
            listed: 0,
            stats: QuorumStats::default(),
        }
    }

    /// How many subjects are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many are listed.
    #[must_use]
    pub fn listed(&self) -> usize {
        self.listed
    }

    /// Whether a subject is listed.
    #[must_use]
    pub fn listing(&self, subject: &K) -> Option<&Listing> {
        self.entries.get(subject)?.listed.as_ref()
    }

    /// Who names a subject.
    pub fn voters(&self, subject: &K) -> impl Iterator<Item = PeerId> + '_ {
        self.entries
            .get(subject)
            .into_iter()
            .flat_map(|entry| entry.votes.iter().map(|vote| vote.peer))
    }

    /// Everything that is listed, in no useful order.
    pub fn iter_listed(&self) -> impl Iterator<Item = (&K, &Listing)> + '_ {
        self.entries.iter().filter_map(|(key, entry)| Some((key, entry.listed.as_ref()?)))
    }

    /// How many subjects a node names, and how many are listed only because of it.
    #[must_use]
    pub fn share(&self, peer: PeerId) -> (u32, u32) {
        self.shares.get(&peer).copied().unwrap_or_default()
    }

    /// A node's word on a subject, in a batch of `told`. `voter` says whose word counts what.
    pub fn vote(
        &mut self,
        subject: &K,
        peer: PeerId,
        seen: &SeenRecord,
        told: Epoch,
        voter: impl Fn(PeerId) -> Voter,
    ) -> (Voted, Confirmed) {
        let room = self.room(subject, peer, &voter(peer));
        if room != Voted::Counted {
            return (room, Confirmed::new());
        }
        let own = self.own.get(subject).copied();
        let entry = self.entries.entry(subject.clone()).or_default();
        if let Some(vote) = entry.votes.iter_mut().find(|vote| vote.peer == peer) {
            vote.minute = vote.minute.max(seen.minute);
            vote.count_log2 = vote.count_log2.max(seen.count_log2);
            vote.verification = vote.verification.max(seen.verification);
        } else {
            if entry.votes.len() >= VOTERS_MAX
                && !make_room(entry, rank(&voter(peer)), &mut self.shares, &voter)
            {
                self.stats.full += 1;
                return (Voted::Full, Confirmed::new());
            }
            let vote = new_vote(entry, peer, seen, told, own);
            entry.votes.push(vote);
            self.shares.entry(peer).or_default().0 += 1;
        }
        let confirmed = confirm(entry, own, &voter);
        self.judge(subject, &voter);
        (Voted::Counted, confirmed)
    }

    /// Whether there is room for a vote.
    fn room(&mut self, subject: &K, peer: PeerId, voter: &Voter) -> Voted {
        let names = self.share(peer).0;
        let max = if rank(voter) > 0 { SUBJECTS_CREDITED_MAX } else { SUBJECTS_PEER_MAX };
        let is_known = self.entries.contains_key(subject);
        if names >= max && !self.voters(subject).any(|voter| voter == peer) {
            self.stats.too_many += 1;
            return Voted::TooMany;
        }
        // The last quarter is for those that count.
        let room = if rank(voter) > 0 { SUBJECTS_MAX } else { SUBJECTS_MAX / 4 * 3 };
        if !is_known && self.entries.len() >= room {
            self.stats.full += 1;
            return Voted::Full;
        }
        Voted::Counted
    }

    /// That our own sensors have seen a subject, proven, in an epoch: whose word that confirms.
    pub fn own_sighting(&mut self, subject: &K, epoch: Epoch) -> Confirmed {
        if self.own.contains_key(subject) || self.own.len() >= OWN_MAX {
            self.stats.full += u64::from(!self.own.contains_key(subject));
            return Confirmed::new();
        }
        self.own.insert(subject.clone(), epoch);
        let Some(entry) = self.entries.get_mut(subject) else { return Confirmed::new() };
        let earlier = entry.votes.iter_mut().filter(|vote| !vote.confirmed && vote.told <= epoch);
        earlier.map(|vote| vote.confirm(CREDIT_OWN)).collect()
    }

    /// That a node takes its word back.
    pub fn withdraw(&mut self, subject: &K, peer: PeerId, voter: impl Fn(PeerId) -> Voter) {
        let Some(entry) = self.entries.get_mut(subject) else { return };
        let before = entry.votes.len();
        entry.votes.retain(|vote| vote.peer != peer);
        if entry.votes.len() < before {
            self.unname(peer);
        }
        self.judge(subject, &voter);
    }

    fn unname(&mut self, peer: PeerId) {
        if let Some(share) = self.shares.get_mut(&peer) {
            share.0 = share.0.saturating_sub(1);
        }
    }

    /// Lists the subject or takes it off, as its votes say.
    fn judge(&mut self, subject: &K, voter: &impl Fn(PeerId) -> Voter) {
        let Some(entry) = self.entries.get_mut(subject) else { return };
        let was_listed = entry.listed.take().is_some();
        self.listed -= usize::from(was_listed);
        for peer in entry.pivots.drain(..) {
            if let Some(share) = self.shares.get_mut(&peer) {
                share.1 = share.1.saturating_sub(1);
            }
        }
        let counting = counting(entry, voter);
        let Some(listing) = listing_of(&counting, &self.rules) else { return };
        let pivots = pivots(&counting, &listing, &self.rules);
        let max = (self.listed / PIVOT_SHARE).max(PIVOT_MIN) as u32;
        let moves_enough = |peer: &PeerId| self.shares.get(peer).is_some_and(|s| s.1 >= max);
        // What is on the list stays, or it would come and go with the length of the list.
        if !was_listed && pivots.iter().any(moves_enough) {
            self.stats.capped += 1;
            return;
        }
        enlist(entry, listing, pivots, &mut self.shares);
        self.listed += 1;
    }

    /// Forgets votes that are too old or of nodes that are `gone`, and judges everything again. Costs as
    /// much as there are subjects; once an epoch is enough.
    pub fn sweep(
        &mut self,
        epoch: Epoch,
        now_minute: u32,
        gone: impl Fn(PeerId) -> bool,
        voter: impl Fn(PeerId) -> Voter,
    ) {
        let oldest = now_minute.saturating_sub(AGE_MINUTES_MAX as u32);
        self.own.retain(|_, own| epoch.since(*own) < OWN_EPOCHS);
        self.shares.clear();
        self.listed = 0;
        for entry in self.entries.values_mut() {
            entry.votes.retain(|vote| vote.minute >= oldest && !gone(vote.peer));
        }
        self.entries.retain(|_, entry| !entry.votes.is_empty());
        for entry in self.entries.values_mut() {
            entry.votes.iter().for_each(|vote| self.shares.entry(vote.peer).or_default().0 += 1);
            let was_listed = entry.listed.take().is_some();
            // What was listed stays if its votes still stand; what is new has its turn below.
            entry.pivots.clear();
            if !was_listed {
                continue;
            }
            let counting = counting(entry, &voter);
            if let Some(listing) = listing_of(&counting, &self.rules) {
                let pivots = pivots(&counting, &listing, &self.rules);
                enlist(entry, listing, pivots, &mut self.shares);
                self.listed += 1;
            }
        }
        let waiting: Vec<K> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.listed.is_none() && entry.votes.len() >= self.rules.quorum)
            .map(|(key, _)| key.clone())
            .collect();
        waiting.iter().for_each(|subject| self.judge(subject, &voter));
    }
}

#[cfg(test)]
mod tests {
    use sentrypeer_storage::event::Verification;

    use super::*;
    use crate::limits::CREDIT_OTHERS;
    use crate::limits::QUORUM_DEFAULT;

    const NOW: u32 = 29_900_000;
    const EPOCH: Epoch = Epoch(2_990_000);

    /// Nodes 0 to 9 are trusted, 10 to 99 count, 100 to 199 are credited, others have nothing.
    fn voter(peer: PeerId) -> Voter {
        let counts = (10..100).contains(&peer.0);
        let standing = Standing {
            counts,
            is_credited: (10..200).contains(&peer.0),
            weight: if counts { 0.5 } else { 0.0 },
        };
        Voter { standing, is_trusted: peer.0 < 10 }
    }

    fn seen(minute: u32) -> SeenRecord {
        SeenRecord { minute, count_log2: 1, verification: Verification::ReturnPath }
    }

    fn quorum() -> Quorum<u32> {
        Quorum::new(Rules::default())
    }

    fn vote(quorum: &mut Quorum<u32>, subject: u32, peer: u32) -> Voted {
        quorum.vote(&subject, PeerId(peer), &seen(NOW), EPOCH, voter).0
    }

    #[test]
    fn as_many_as_the_quorum_that_count_list_a_subject_and_nobody_else() {
        let mut quorum = quorum();
        for peer in (100..110).chain(10..12) {
            assert_eq!(vote(&mut quorum, 1, peer), Voted::Counted);
            assert_eq!(quorum.listing(&1), None, "{peer}");
        }
        vote(&mut quorum, 1, 12);
        let listing = *quorum.listing(&1).unwrap();
        assert_eq!((listing.voters, listing.by_trusted), (3, false));
        assert!((listing.weight - 1.5).abs() < 1e-9);
        assert_eq!(listing.until_minute, NOW + AGE_MINUTES_MAX as u32);
    }

    #[test]
    fn one_trusted_node_is_enough() {
        let mut quorum = quorum();
        vote(&mut quorum, 1, 0);
        assert!(quorum.listing(&1).unwrap().by_trusted);
    }

    #[test]
    fn one_node_that_says_it_often_is_one() {
        let mut quorum = quorum();
        (0..10).for_each(|_| assert_eq!(vote(&mut quorum, 1, 10), Voted::Counted));
        assert_eq!((quorum.listing(&1), quorum.share(PeerId(10))), (None, (1, 0)));
    }

    #[test]
    fn a_word_that_is_taken_back_does_not_stand() {
        let mut quorum = quorum();
        (10..13).for_each(|peer| _ = vote(&mut quorum, 1, peer));
        quorum.withdraw(&1, PeerId(11), voter);
        assert_eq!((quorum.listing(&1), quorum.listed()), (None, 0));
        assert_eq!(quorum.share(PeerId(10)), (1, 0));
        assert_eq!(quorum.share(PeerId(11)), (0, 0));
    }

    #[test]
    fn what_is_seven_days_old_is_forgotten() {
        let mut quorum = quorum();
        (10..13).for_each(|peer| _ = vote(&mut quorum, 1, peer));
        quorum.sweep(EPOCH, NOW + AGE_MINUTES_MAX as u32, |_| false, voter);
        assert_eq!(quorum.listed(), 1);
        quorum.sweep(EPOCH, NOW + AGE_MINUTES_MAX as u32 + 1, |_| false, voter);
        assert!(quorum.is_empty() && quorum.listed() == 0 && quorum.share(PeerId(10)) == (0, 0));
    }

    #[test]
    fn the_words_of_a_node_that_is_gone_fall() {
        let mut quorum = quorum();
        (10..13).for_each(|peer| _ = vote(&mut quorum, 1, peer));
        quorum.sweep(EPOCH, NOW, |peer| peer == PeerId(12), voter);
        assert_eq!(quorum.listing(&1), None);
    }

    #[test]
    fn no_node_moves_more_than_a_tenth_of_the_list() {
        let mut quorum = quorum();
        // Nodes 10 and 11 say everything; node 12 is the third each time.
        for subject in 0..1000 {
            (10..13).for_each(|peer| _ = vote(&mut quorum, subject, peer));
        }
        assert_eq!(quorum.listed(), PIVOT_MIN);
        assert!(quorum.stats.capped >= 900);
        // What more than enough agree on depends on nobody.
        for subject in 2000..4000 {
            (20..24).for_each(|peer| _ = vote(&mut quorum, subject, peer));
        }
        assert!(quorum.listed() > 2000);
        quorum.sweep(EPOCH, NOW, |_| false, voter);
        let moved = quorum.share(PeerId(12)).1 as usize;
        assert!(moved <= quorum.listed() / PIVOT_SHARE + 1, "{moved} of {}", quorum.listed());
    }

    fn merits(confirmed: &Confirmed) -> Vec<(u32, f64, bool)> {
        confirmed.iter().map(|(peer, merit)| (peer.0, merit.amount, merit.is_first)).collect()
    }

    #[test]
    fn own_sightings_confirm_what_was_told_before_and_not_what_was_told_after() {
        let mut quorum = quorum();
        quorum.vote(&1, PeerId(300), &seen(NOW), EPOCH, voter);
        quorum.vote(&1, PeerId(302), &seen(NOW), EPOCH.plus(1), voter);
        quorum.vote(&1, PeerId(301), &seen(NOW), EPOCH.plus(2), voter);
        let confirmed = quorum.own_sighting(&1, EPOCH.plus(1));
        assert_eq!(merits(&confirmed), [(300, CREDIT_OWN, true), (302, CREDIT_OWN, false)]);
        assert!(quorum.own_sighting(&1, EPOCH.plus(3)).is_empty(), "only once");
    }

    #[test]
    fn what_we_have_told_ourselves_earns_nobody_anything() {
        let mut quorum = quorum();
        quorum.own_sighting(&2, EPOCH);
        let (_, confirmed) = quorum.vote(&2, PeerId(300), &seen(NOW), EPOCH, voter);
        assert_eq!(merits(&confirmed), [(300, CREDIT_OWN, true)], "in the same epoch is as good");
        let (_, confirmed) = quorum.vote(&2, PeerId(301), &seen(NOW), EPOCH.plus(1), voter);
        assert!(confirmed.is_empty(), "it may have read it from us");
        assert!(quorum.own_sighting(&2, EPOCH.plus(40)).is_empty(), "also when we see it again");
    }

    #[test]
    fn others_confirm_only_what_was_told_before_them() {
        let mut quorum = quorum();
        let mut tell = |peer, epoch| {
            let told = Epoch(EPOCH.0 + epoch);
            merits(&quorum.vote(&1, PeerId(peer), &seen(NOW), told, voter).1)
        };
        assert_eq!(tell(300, 0), []);
        assert_eq!(tell(100, 1), []);
        assert_eq!(tell(301, 1), [], "301 has nothing, so it confirms nobody");
        assert_eq!(tell(101, 2), [(300, CREDIT_OTHERS, true), (301, CREDIT_OTHERS, false)]);
        assert_eq!(tell(302, 3), [], "an echo earns nothing");
    }

    #[test]
    fn a_liar_with_many_victims_is_cut_off_and_silences_nobody() {
        let mut quorum = quorum();
        let said =
            (0..100_000).filter(|subject| vote(&mut quorum, *subject, 500) == Voted::Counted);
        assert_eq!(said.count(), SUBJECTS_PEER_MAX as usize);
        assert_eq!((quorum.listed(), quorum.share(PeerId(500)).0), (0, SUBJECTS_PEER_MAX));
        assert_eq!(quorum.stats.too_many, 100_000 - u64::from(SUBJECTS_PEER_MAX));
        for peer in 600..600 + 2 * VOTERS_MAX as u32 {
            vote(&mut quorum, 7, peer);
        }
        (10..10 + QUORUM_DEFAULT as u32).for_each(|peer| _ = vote(&mut quorum, 7, peer));
        assert!(quorum.listing(&7).is_some(), "a crowd of new keys does not fill the ballot");
    }
}
