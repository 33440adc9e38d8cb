//! The votes on one subject, and what follows from them.

use std::collections::HashMap;

use foldhash::quality::RandomState;
use sentrypeer_storage::event::Verification;
use smallvec::SmallVec;

use crate::epoch::Epoch;
use crate::ledger::{Merit, PeerId};
use crate::limits::{AGE_MINUTES_MAX, CONFIRMERS_MIN, CREDIT_OTHERS, CREDIT_OWN, VOTERS_MAX};
use crate::quorum::{Confirmed, Listing, Voter};
use crate::rules::Rules;
use crate::wire::source::SeenRecord;

/// What one node says of one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vote {
    pub(crate) peer: PeerId,
    pub(crate) minute: u32,
    /// The epoch in which it first said so.
    pub(crate) told: Epoch,
    pub(crate) count_log2: u8,
    pub(crate) verification: Verification,
    pub(crate) confirmed: bool,
    pub(crate) is_first: bool,
}

impl Vote {
    /// Confirms it, and gives what it earns.
    pub(crate) fn confirm(&mut self, amount: f64) -> (PeerId, Merit) {
        self.confirmed = true;
        (self.peer, Merit { amount, is_first: self.is_first })
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) votes: SmallVec<[Vote; 2]>,
    pub(crate) listed: Option<Listing>,
    /// Those without each of whom it would not be listed.
    pub(crate) pivots: SmallVec<[PeerId; 3]>,
}

/// A vote that counts: whose, when, its weight, and whether it is trusted.
pub(crate) type Counting = SmallVec<[(PeerId, u32, f64, bool); 4]>;

/// Votes that count, each with its weight.
pub(crate) fn counting(entry: &Entry, voter: &impl Fn(PeerId) -> Voter) -> Counting {
    let counts = |vote: &Vote| {
        let Voter { standing, is_trusted } = voter(vote.peer);
        let weight = if is_trusted { 1.0 } else { standing.weight };
        (standing.counts || is_trusted).then_some((vote.peer, vote.minute, weight, is_trusted))
    };
    entry.votes.iter().filter_map(counts).collect()
}

/// The listing that the votes make, if they make one.
pub(crate) fn listing_of(counting: &Counting, rules: &Rules) -> Option<Listing> {
    let mut minutes: SmallVec<[u32; VOTERS_MAX]> =
        counting.iter().map(|(_, minute, ..)| *minute).collect();
    minutes.sort_unstable_by(|a, b| b.cmp(a));
    let trusted = counting.iter().filter(|vote| vote.3).map(|(_, minute, ..)| *minute).max();
    // It stands until the last vote expires that it needs.
    let needed = minutes.get(rules.quorum - 1).copied();
    let until = needed.max(trusted)?;
    Some(Listing {
        until_minute: until.saturating_add(AGE_MINUTES_MAX as u32),
        last_minute: minutes.first().copied()?,
        voters: minutes.len() as u8,
        weight: counting.iter().map(|(_, _, weight, _)| weight).sum(),
        by_trusted: trusted.is_some(),
    })
}

/// Its voters, if each of them is needed. What a trusted node says is the operator's own will.
pub(crate) fn pivots(
    counting: &Counting,
    listing: &Listing,
    rules: &Rules,
) -> SmallVec<[PeerId; 3]> {
    if listing.by_trusted || usize::from(listing.voters) > rules.quorum {
        return SmallVec::new();
    }
    counting.iter().map(|(peer, ..)| *peer).collect()
}

pub(crate) fn enlist(
    entry: &mut Entry,
    listing: Listing,
    pivots: SmallVec<[PeerId; 3]>,
    shares: &mut HashMap<PeerId, (u32, u32), RandomState>,
) {
    pivots.iter().for_each(|peer| shares.entry(*peer).or_default().1 += 1);
    entry.pivots = pivots;
    entry.listed = Some(listing);
}

/// How much a voice is heard when there are too many.
pub(crate) fn rank(voter: &Voter) -> u8 {
    match (voter.standing.counts || voter.is_trusted, voter.standing.is_credited) {
        (true, _) => 2,
        (false, true) => 1,
        (false, false) => 0,
    }
}

/// Drops a vote that is heard less than the new one, or an idle one, the least and oldest first: so a
/// crowd of new keys silences nobody.
pub(crate) fn make_room(
    entry: &mut Entry,
    new: u8,
    shares: &mut HashMap<PeerId, (u32, u32), RandomState>,
    voter: &impl Fn(PeerId) -> Voter,
) -> bool {
    let ranked = entry.votes.iter().map(|vote| (rank(&voter(vote.peer)), vote.minute));
    let Some((at, (least, _))) = ranked.enumerate().min_by_key(|(_, order)| *order) else {
        return false;
    };
    if least >= new && least > 0 {
        return false;
    }
    let dropped = entry.votes.remove(at);
    if let Some(share) = shares.get_mut(&dropped.peer) {
        share.0 = share.0.saturating_sub(1);
    }
    true
}

pub(crate) fn new_vote(
    entry: &Entry,
    peer: PeerId,
    seen: &SeenRecord,
    told: Epoch,
    own: Option<Epoch>,
) -> Vote {
    let is_first =
        own.is_none_or(|own| own >= told) && entry.votes.iter().all(|vote| vote.told >= told);
    let SeenRecord { minute, count_log2, verification } = *seen;
    Vote { peer, minute, told, count_log2, verification, confirmed: false, is_first }
}

/// Confirms each vote that our own sensors, or enough other credited nodes, have repeated in its epoch
/// or later.
pub(crate) fn confirm(
    entry: &mut Entry,
    own: Option<Epoch>,
    voter: &impl Fn(PeerId) -> Voter,
) -> Confirmed {
    let mut confirmed = Confirmed::new();
    if entry.votes.iter().all(|vote| vote.confirmed) {
        return confirmed;
    }
    let seen_later = |vote: &&mut Vote| !vote.confirmed && own.is_some_and(|own| own >= vote.told);
    confirmed
        .extend(entry.votes.iter_mut().filter(seen_later).map(|vote| vote.confirm(CREDIT_OWN)));
    if entry.votes.len() <= CONFIRMERS_MIN {
        return confirmed;
    }
    let credited: SmallVec<[(PeerId, Epoch); VOTERS_MAX]> = entry
        .votes
        .iter()
        .filter(|vote| voter(vote.peer).standing.is_credited)
        .map(|vote| (vote.peer, vote.told))
        .collect();
    for vote in entry.votes.iter_mut().filter(|vote| !vote.confirmed) {
        let others =
            credited.iter().filter(|(peer, told)| *peer != vote.peer && *told >= vote.told);
        if others.count() >= CONFIRMERS_MIN {
            confirmed.push(vote.confirm(CREDIT_OTHERS));
        }
    }
    confirmed
}
