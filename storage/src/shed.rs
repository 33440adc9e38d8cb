//! What goes first when the writer cannot keep up.
//!
//! How far it is behind shows in how many of a shard's arenas are under way. When half are, the
//! messages of the heaviest sources are dropped, and their events stay; when three quarters are, those
//! events become repeats, and the count stays. Other sources' events stay whole, so a flood from few
//! sources hides nobody. A flood that comes from everywhere has no heaviest source: then the arenas
//! run out, and the shards count what they turn away.
//!
//! A source is heavy when a 64th of what came lately is its own. That is told with a fixed number of
//! counters (J. Misra and D. Gries, "Finding repeated elements", 1982): each counts for one source, and
//! an event of a source without a counter takes one from all of them. A counter is never more than its
//! source's events, and less by at most one part in 257 of all.

use foldhash::quality::RandomState;
use hashbrown::HashMap;

use crate::event::SourceKey;
use crate::limits::{HEAVY_COUNTERS, HEAVY_EVENTS_MIN, HEAVY_SHARE, HEAVY_WINDOW};

/// How far the writer is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// It keeps up.
    Light,
    /// It must store less.
    Laden,
    /// It must do less.
    Overloaded,
}

impl Load {
    /// The load when of so many arenas that a shard may have so many are under way.
    pub(crate) fn of(under_way: usize, max: usize) -> Self {
        match under_way {
            n if n * 4 >= max * 3 => Self::Overloaded,
            n if n * 2 >= max => Self::Laden,
            _ => Self::Light,
        }
    }
}

/// Which sources sent most of what came while the writer was behind.
#[derive(Debug, Default)]
pub(crate) struct Heavy {
    counters: HashMap<SourceKey, u32, RandomState>,
    total: u32,
}

impl Heavy {
    /// Counts an event of this source. Whether the source is heavy.
    pub(crate) fn add(&mut self, source: SourceKey) -> bool {
        if self.total >= HEAVY_WINDOW {
            self.halve();
        }
        self.total += 1;
        let own = if let Some(counter) = self.counters.get_mut(&source) {
            *counter += 1;
            *counter
        } else if self.counters.len() < HEAVY_COUNTERS {
            self.counters.insert(source, 1);
            1
        } else {
            self.counters.retain(|_, counter| {
                *counter -= 1;
                *counter > 0
            });
            0
        };
        own >= HEAVY_EVENTS_MIN && own.saturating_mul(HEAVY_SHARE) >= self.total
    }

    /// What came earlier counts for less.
    fn halve(&mut self) {
        self.total /= 2;
        self.counters.retain(|_, counter| {
            *counter /= 2;
            *counter > 0
        });
    }

    /// Begins anew.
    pub(crate) fn clear(&mut self) {
        self.counters.clear();
        self.total = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn source(n: u32) -> SourceKey {
        SourceKey::of(std::net::Ipv4Addr::from_bits(n).into())
    }

    proptest! {
        #[test]
        fn who_sends_much_is_heavy_and_who_does_not_is_not(
            // Small numbers are frequent: a few heavy sources among many.
            numbers in prop::collection::vec(prop_oneof![0..4u32, 4..40u32, 40..4000u32], 1..4000),
        ) {
            let mut heavy = Heavy::default();
            let mut exact: BTreeMap<u32, u32> = BTreeMap::new();
            for (before, number) in numbers.iter().enumerate() {
                let own = exact.entry(*number).or_default();
                *own += 1;
                let total = before as u32 + 1;
                let is_heavy = heavy.add(source(*number));
                prop_assert!(heavy.counters.len() <= HEAVY_COUNTERS);
                if is_heavy {
                    prop_assert!(*own >= HEAVY_EVENTS_MIN && *own * HEAVY_SHARE >= total);
                }
                let missed = total / (HEAVY_COUNTERS as u32 + 1) + 1;
                let surely = own.saturating_sub(missed);
                if surely >= HEAVY_EVENTS_MIN && surely * HEAVY_SHARE >= total {
                    prop_assert!(is_heavy, "{number} has {own} of {total}");
                }
            }
        }
    }

    #[test]
    fn who_was_heavy_long_ago_is_forgotten() {
        let mut heavy = Heavy::default();
        assert!((0..1000).map(|_| heavy.add(source(1))).last().unwrap());
        for n in 0..20 * HEAVY_WINDOW {
            heavy.add(source(1000 + n % 10_000));
        }
        assert!(!heavy.add(source(1)));
    }

    #[test]
    fn the_load_follows_the_arenas_under_way() {
        let loads = [0, 31, 32, 47, 48, 64].map(|under_way| Load::of(under_way, 64));
        let [a, b, c, d, e, f] = loads;
        assert_eq!([a, b], [Load::Light; 2]);
        assert_eq!([c, d], [Load::Laden; 2]);
        assert_eq!([e, f], [Load::Overloaded; 2]);
    }
}
