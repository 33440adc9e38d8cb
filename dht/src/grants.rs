//! Who is granted our day key: tit for tat.
//!
//! Whoever contributes by our own ledger; whoever the operator trusts; and a few strangers for some
//! days, because nobody can be judged before anybody was read.

use crate::epoch::{Day, Epoch};
use crate::ledger::{Ledger, Peer};
use crate::limits::{
    GRANTS_MAX, STRANGERS_EPOCH_MAX, STRANGERS_MIN, STRANGERS_SHARE, TRIAL_DAYS, TRIAL_PAUSE_DAYS,
};
use crate::wire::NodeKey;

/// A grant that is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantTo {
    /// For whom.
    pub node: NodeKey,
    /// What it is sealed for.
    pub seal_key: [u8; 32],
    /// For which day.
    pub day: Day,
    /// Whether it could not read us the day before.
    pub is_new: bool,
}

/// How a node is seen by the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regard {
    /// Like any other.
    Usual,
    /// One of the operator's own or of a pool: always granted, and its word is enough.
    Trusted,
    /// Never granted, never read.
    Denied,
}

impl Ledger {
    /// The grants of `day` that have not been made yet, each of them once. `seed` is random, and
    /// decides which strangers come first; `epoch` is the present one.
    pub fn grants(
        &mut self,
        day: Day,
        epoch: Epoch,
        now_s: u64,
        seed: u64,
        regard: impl Fn(NodeKey) -> Regard,
    ) -> Vec<GrantTo> {
        let mut earned = Vec::new();
        let mut strangers = Vec::new();
        let (mut granted, mut on_trial) = (0, 0);
        for peer in self.iter().filter(|peer| peer.seal_key != [0; 32]) {
            if peer.is_granted(day) {
                granted += 1;
                on_trial += usize::from(peer.trial_until >= day);
                continue;
            }
            let claim = claim(peer, day, epoch, now_s);
            match (regard(peer.node), claim) {
                (Regard::Denied, _) | (Regard::Usual, Claim::None) => {}
                (Regard::Trusted, _) => earned.push((f64::INFINITY, peer.node)),
                (Regard::Usual, Claim::Earned) => earned.push((peer.credit(now_s), peer.node)),
                (Regard::Usual, Claim::Stranger) => {
                    strangers.push((mix(seed, peer.node), peer.node));
                }
            }
        }
        // The best first, if there are too many.
        earned.sort_by(|a: &(f64, NodeKey), b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        earned.truncate(GRANTS_MAX - granted.min(GRANTS_MAX));
        strangers.sort_unstable();
        let share = ((granted + earned.len()) / STRANGERS_SHARE).max(STRANGERS_MIN);
        let room = GRANTS_MAX.saturating_sub(granted + earned.len());
        let more = share.saturating_sub(on_trial).min(STRANGERS_EPOCH_MAX).min(room);
        let earned = earned.into_iter().map(|(_, node)| (node, false));
        let strangers = strangers.into_iter().take(more).map(|(_, node)| (node, true));
        let chosen: Vec<(NodeKey, bool)> = earned.chain(strangers).collect();
        chosen.into_iter().filter_map(|(node, is_new)| self.grant(node, day, is_new)).collect()
    }

    fn grant(&mut self, node: NodeKey, day: Day, is_stranger: bool) -> Option<GrantTo> {
        let peer = self.get_mut(node)?;
        let is_new = peer.granted.0 + 1 < day.0;
        peer.granted = day;
        if is_stranger {
            peer.trial_until = Day(day.0 + TRIAL_DAYS - 1);
        }
        Some(GrantTo { node, seal_key: peer.seal_key, day, is_new })
    }
}

enum Claim {
    /// It contributes, or its trial is not over.
    Earned,
    /// Nothing is known of it, and it publishes now.
    Stranger,
    /// It had its trial, or is not there.
    None,
}

fn claim(peer: &Peer, day: Day, epoch: Epoch, now_s: u64) -> Claim {
    let contributes = peer.is_active(epoch) && peer.contributes(now_s);
    if contributes || (peer.trial_until >= day && peer.is_plausible()) {
        return Claim::Earned;
    }
    let had_trial = peer.trial_until.0.saturating_add(TRIAL_PAUSE_DAYS) > day.0;
    let is_here = epoch.since(peer.last) <= 2;
    if is_here && !had_trial { Claim::Stranger } else { Claim::None }
}

/// A number that only who knows the seed can foresee (the finalizer of MurmurHash3 over the key).
fn mix(seed: u64, node: NodeKey) -> u64 {
    let words =
        node.0.chunks_exact(8).map(|chunk| chunk.iter().fold(0, |w, b| w << 8 | u64::from(*b)));
    words.fold(seed, |state, word: u64| {
        let mut x = state ^ word;
        x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        x ^ (x >> 33)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::day_of;
    use crate::ledger::Merit;
    use crate::limits::{CREDIT_OWN, DAY_S};
    use crate::rules::Rules;

    const NOW: u64 = 20_780 * DAY_S;

    fn node(n: u32) -> NodeKey {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&n.to_be_bytes());
        NodeKey(key)
    }

    fn epoch_at(now_s: u64) -> Epoch {
        Epoch((now_s / 600) as u32)
    }

    fn announce(ledger: &mut Ledger, who: u32, now_s: u64) {
        ledger.announced(node(who), [7; 32], epoch_at(now_s), now_s);
    }

    fn grants(ledger: &mut Ledger, now_s: u64) -> Vec<NodeKey> {
        let to = ledger.grants(day_of(now_s), epoch_at(now_s), now_s, 42, |_| Regard::Usual);
        to.into_iter().map(|grant| grant.node).collect()
    }

    #[test]
    fn two_strangers_are_granted_at_once_and_each_once() {
        let mut ledger = Ledger::new(Rules::default());
        announce(&mut ledger, 1, NOW);
        announce(&mut ledger, 2, NOW);
        assert_eq!(grants(&mut ledger, NOW).len(), 2);
        assert_eq!(grants(&mut ledger, NOW), []);
    }

    #[test]
    fn before_midnight_each_is_granted_both_days_once() {
        let mut ledger = Ledger::new(Rules::default());
        let (today, tomorrow) = (day_of(NOW), day_of(NOW + DAY_S));
        let mut made = Vec::new();
        for epoch in 0..12 {
            let now_s = NOW + DAY_S - 2 * 3600 + epoch * 600;
            for who in 0..3 {
                announce(&mut ledger, who, now_s);
            }
            for day in [today, tomorrow] {
                made.extend(ledger.grants(day, epoch_at(now_s), now_s, 42, |_| Regard::Usual));
            }
            ledger.gave(today, 5);
        }
        let of = |day| made.iter().filter(|grant| grant.day == day).count();
        assert_eq!((of(today), of(tomorrow)), (3, 3));
        assert!(ledger.iter().all(|peer| peer.given == 12 * 5), "what was given today counts");
    }

    #[test]
    fn who_was_granted_a_day_far_ahead_by_a_wrong_clock_is_granted_today() {
        let mut ledger = Ledger::new(Rules::default());
        announce(&mut ledger, 1, NOW + 400 * DAY_S);
        assert_eq!(grants(&mut ledger, NOW + 400 * DAY_S).len(), 1);
        let id = ledger.id(node(1)).unwrap();
        for epoch in 0..6 {
            announce(&mut ledger, 1, NOW + epoch * 600);
            ledger.took(id, 1, 0);
            let merit = Merit { amount: CREDIT_OWN, is_first: true };
            ledger.confirm(id, merit, epoch_at(NOW + epoch * 600), NOW + epoch * 600);
        }
        assert_eq!(grants(&mut ledger, NOW + 6 * 600).len(), 1);
    }

    #[test]
    fn a_trial_ends_and_is_not_had_again_soon() {
        let mut ledger = Ledger::new(Rules::default());
        let mut days = Vec::new();
        for day in 0..30 {
            announce(&mut ledger, 1, NOW + day * DAY_S);
            if !grants(&mut ledger, NOW + day * DAY_S).is_empty() {
                days.push(day as u32);
            }
        }
        let again = TRIAL_DAYS - 1 + TRIAL_PAUSE_DAYS;
        let expected: Vec<u32> = (0..TRIAL_DAYS).chain(again..again + TRIAL_DAYS).collect();
        assert_eq!(days, expected.into_iter().filter(|day| *day < 30).collect::<Vec<_>>());
    }

    #[test]
    fn who_is_silent_is_no_stranger_to_be_tried() {
        let mut ledger = Ledger::new(Rules::default());
        announce(&mut ledger, 1, NOW);
        assert_eq!(grants(&mut ledger, NOW + 3 * 600), []);
    }

    #[test]
    fn who_contributes_is_granted_every_day_and_who_stops_is_not() {
        let mut ledger = Ledger::new(Rules::default());
        let id = ledger.meet(node(1), epoch_at(NOW), NOW).unwrap();
        let mut granted = 0;
        for day in 0..40 {
            let now = NOW + day * DAY_S;
            for epoch in 0..if day < 20 { 5 } else { 0 } {
                announce(&mut ledger, 1, now + epoch * 600);
                ledger.took(id, 1, 0);
                let merit = Merit { amount: CREDIT_OWN, is_first: true };
                ledger.confirm(id, merit, epoch_at(now), now);
            }
            granted += grants(&mut ledger, now + 6 * 600).len();
        }
        assert!((20..=21).contains(&granted), "{granted} days");
    }

    #[test]
    fn strangers_get_a_part_only_and_whom_the_operator_denies_nothing() {
        let mut ledger = Ledger::new(Rules::default());
        for who in 0..1000 {
            announce(&mut ledger, who, NOW);
        }
        let first = grants(&mut ledger, NOW);
        assert_eq!(first.len(), STRANGERS_EPOCH_MAX);
        let rest: Vec<NodeKey> = (0..9).flat_map(|_| grants(&mut ledger, NOW)).collect();
        assert_eq!(first.len() + rest.len(), STRANGERS_MIN, "no more today");
        let regard = |who| if who == node(1) { Regard::Trusted } else { Regard::Denied };
        let day = Day(day_of(NOW).0 + 1);
        let to = ledger.grants(day, epoch_at(NOW), NOW, 42, regard);
        assert_eq!(to.iter().map(|to| to.node).collect::<Vec<_>>(), [node(1)]);
    }

    #[test]
    fn another_seed_chooses_other_strangers() {
        let chosen = |seed| {
            let mut ledger = Ledger::new(Rules::default());
            (0..1000).for_each(|who| announce(&mut ledger, who, NOW));
            ledger.grants(day_of(NOW), epoch_at(NOW), NOW, seed, |_| Regard::Usual)
        };
        assert_eq!(chosen(1), chosen(1));
        assert_ne!(chosen(1), chosen(2));
    }
}
