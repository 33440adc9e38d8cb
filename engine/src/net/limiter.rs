//! How often an address that has proven nothing is answered. Anybody can forge the source of a
//! datagram, so an answer to it may go to somebody who never asked: what such a victim can get from
//! us is bounded by its address, by its network, and in all.
//!
//! Pure: addresses and the time in, a decision out. Nothing is allocated after [`Limiter::new`].
//!
//! Each rate is kept by one time, the one at which everything granted so far would have been due at
//! an even pace (the generic cell rate algorithm, ITU-T I.371). Granted is what is due at most one
//! second ahead. So a rate of N grants N at once after a pause, and never more than N and one burst
//! of N in any second.

use std::hash::Hasher as _;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};

use sentrypeer_storage::event::{SourceKey, Time};
use siphasher::sip::SipHasher13;

use super::outlet::Seed;
use crate::limits::{ANSWER_NETWORKS, ANSWER_SOURCES, ANSWER_WAYS, PROVEN_RATE_FACTOR};

/// Answers a second to those who have proven nothing; none is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// To one source: an IPv4 address, or a /64 of IPv6.
    pub source: Option<NonZeroU32>,
    /// To one network: a /24 of IPv4, or a /56 of IPv6.
    pub network: Option<NonZeroU32>,
    /// To everybody together.
    pub total: Option<NonZeroU32>,
}

impl Limits {
    /// What holds for sources that have proven themselves.
    #[must_use]
    pub fn of_the_proven(self) -> Self {
        let more = |rate: NonZeroU32| rate.saturating_mul(PROVEN_RATE_FACTOR);
        Self {
            source: self.source.map(more),
            network: self.network.map(more),
            total: self.total.map(more),
        }
    }

    /// The part of a node's limits that holds for each of `shards` shards.
    ///
    /// The kernel gives all datagrams of one address and port to the same shard, so a source's limit
    /// is not split: a telephone has one port. A network's is, but never below a source's.
    #[must_use]
    pub fn share(self, shards: NonZeroUsize) -> Self {
        let shards = u32::try_from(shards.get()).unwrap_or(u32::MAX);
        let split = |rate: NonZeroU32| NonZeroU32::new(rate.get().div_ceil(shards));
        let network = self.network.and_then(split);
        Self {
            source: self.source,
            network: network.map(|rate| self.source.map_or(rate, |source| rate.max(source))),
            total: self.total.and_then(split),
        }
    }
}

/// Both limiters of a shard, each made when it is first needed.
#[derive(Default)]
pub struct Limiters {
    unproven: Option<Limiter>,
    proven: Option<Limiter>,
}

impl Limiters {
    /// Whether a request of this source may be answered now. One that has proven its source may be
    /// answered [`PROVEN_RATE_FACTOR`] times as often: not everybody behind an address has asked.
    ///
    /// # Errors
    ///
    /// The limit that it would go beyond.
    pub fn allow(
        &mut self,
        source: IpAddr,
        proven: bool,
        now: Time,
        (limits, seed): (Limits, Seed),
    ) -> Result<(), Refusal> {
        let limiter = if proven {
            self.proven.get_or_insert_with(|| Limiter::new(limits.of_the_proven(), seed))
        } else {
            self.unproven.get_or_insert_with(|| Limiter::new(limits, seed))
        };
        limiter.allow(source, now)
    }
}

/// Which limit an answer would have gone beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The source's.
    Source,
    /// Its network's.
    Network,
    /// The shard's share of the node's.
    Total,
}

/// Decides for one shard who is answered.
pub struct Limiter {
    source: Option<(Pace, Table)>,
    network: Option<(Pace, Table)>,
    total: Option<(Pace, Due)>,
}

impl Limiter {
    /// A limiter that has granted nothing yet. `seed` is random and known to nobody else: otherwise
    /// somebody could choose addresses that push each other out of the tables.
    #[must_use]
    pub fn new(limits: Limits, seed: Seed) -> Self {
        let table = |rate: NonZeroU32, sets| (Pace::of(rate), Table::new(sets, seed.0));
        Self {
            source: limits.source.map(|rate| table(rate, ANSWER_SOURCES / ANSWER_WAYS)),
            network: limits.network.map(|rate| table(rate, ANSWER_NETWORKS / ANSWER_WAYS)),
            total: limits.total.map(|rate| (Pace::of(rate), Due(0))),
        }
    }

    /// Whether `source`, which has proven nothing, is answered at `now`. Only what is granted is
    /// counted, so who asks too often goes on getting its rate.
    ///
    /// # Errors
    ///
    /// The limit that stands in the way.
    pub fn allow(&mut self, source: IpAddr, now: Time) -> Result<(), Refusal> {
        let key = SourceKey::of(source);
        let by_source = find(&self.source, &key.0, now).ok_or(Refusal::Source)?;
        let by_network = find(&self.network, &network(key), now).ok_or(Refusal::Network)?;
        if let Some((pace, due)) = &mut self.total {
            *due = pace.next(*due, now).ok_or(Refusal::Total)?;
        }
        // Nothing stands in the way: now it is counted everywhere.
        for (table, found) in [(&mut self.source, by_source), (&mut self.network, by_network)] {
            if let (Some((_, table)), Some(found)) = (table, found) {
                table.entries[found.index] = found.entry;
            }
        }
        Ok(())
    }
}

/// The /24 or /56 that a source is in.
fn network(key: SourceKey) -> [u8; 16] {
    let mut octets = key.0;
    match key.ip() {
        // The last of an IPv4-mapped address's octets.
        IpAddr::V4(_) => octets[15] = 0,
        IpAddr::V6(_) => octets[7..].fill(0),
    }
    octets
}

/// A rate.
#[derive(Clone, Copy)]
struct Pace {
    interval_ns: u64,
    /// How far ahead of an even pace a grant may be: the rest of one burst.
    ahead_ns: u64,
}

/// When everything granted so far would have been due, in nanoseconds like [`Time`].
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Due(u64);

impl Pace {
    fn of(rate: NonZeroU32) -> Self {
        let rate = u64::from(rate.get());
        let interval_ns = 1_000_000_000_u64.div_ceil(rate);
        Self { interval_ns, ahead_ns: interval_ns * (rate - 1) }
    }

    /// What is due after one more grant at `now`; nothing if there can be none.
    fn next(self, due: Due, now: Time) -> Option<Due> {
        let Due(mut due) = due;
        // No grant reaches further ahead: the clock was set back, and what it said is void.
        if due > now.0.saturating_add(self.ahead_ns).saturating_add(self.interval_ns) {
            due = 0;
        }
        let start = due.max(now.0);
        (start - now.0 <= self.ahead_ns).then(|| Due(start.saturating_add(self.interval_ns)))
    }
}

/// What was granted to whom. An address has a few places in the table, which a keyed hash finds. Of
/// these the one whose grants are due first is given away when a new address comes: mostly one that
/// could ask for everything again anyway.
struct Table {
    seed: [u8; 16],
    entries: Box<[Entry]>,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    /// A hash of the address; 0 for nobody.
    owner: u64,
    due: Due,
}

/// Where a grant is to be entered, and what.
struct Found {
    index: usize,
    entry: Entry,
}

impl Table {
    fn new(sets: usize, seed: [u8; 16]) -> Self {
        Self { seed, entries: vec![Entry::default(); sets * ANSWER_WAYS].into_boxed_slice() }
    }

    /// The place of `address`: its own, or the one that it takes over.
    fn place(&self, address: &[u8; 16]) -> (usize, Entry) {
        let mut hasher = SipHasher13::new_with_key(&self.seed);
        hasher.write(address);
        let hash = hasher.finish();
        let sets = self.entries.len() / ANSWER_WAYS;
        // The remainder is below the number of sets, which is a usize.
        let first = usize::try_from(hash % sets as u64).unwrap_or(0) * ANSWER_WAYS;
        let owner = hash.max(1);
        let mut oldest = first;
        for index in first..first + ANSWER_WAYS {
            if self.entries[index].owner == owner {
                return (index, self.entries[index]);
            }
            if self.entries[index].due < self.entries[oldest].due {
                oldest = index;
            }
        }
        (oldest, Entry { owner, due: Due(0) })
    }
}

/// What one more grant to `address` would be; outer nothing if there can be none, inner nothing
/// where there is no limit.
fn find(limit: &Option<(Pace, Table)>, address: &[u8; 16], now: Time) -> Option<Option<Found>> {
    let Some((pace, table)) = limit else { return Some(None) };
    let (index, entry) = table.place(address);
    let due = pace.next(entry.due, now)?;
    Some(Some(Found { index, entry: Entry { due, ..entry } }))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 1_000 * SECOND;

    fn limits(source: u32, network: u32, total: u32) -> Limits {
        let rate = NonZeroU32::new;
        Limits { source: rate(source), network: rate(network), total: rate(total) }
    }

    fn limiter(source: u32, network: u32, total: u32) -> Limiter {
        Limiter::new(limits(source, network, total), Seed([7; 16]))
    }

    /// Grants out of `tries` at one moment.
    fn granted(limiter: &mut Limiter, source: IpAddr, now: u64, tries: usize) -> usize {
        (0..tries).filter(|_| limiter.allow(source, Time(now)).is_ok()).count()
    }

    fn v4(n: u32) -> IpAddr {
        Ipv4Addr::from(n).into()
    }

    #[test]
    fn a_source_gets_its_rate_at_once_and_then_one_at_a_time() {
        let mut limiter = limiter(10, 0, 0);
        assert_eq!(granted(&mut limiter, v4(1), START, 100), 10);
        assert_eq!(limiter.allow(v4(1), Time(START)), Err(Refusal::Source));
        assert_eq!(granted(&mut limiter, v4(1), START + SECOND / 10, 100), 1);
        assert_eq!(granted(&mut limiter, v4(1), START + 5 * SECOND, 100), 10);
        assert_eq!(granted(&mut limiter, v4(2), START, 100), 10, "another source has its own");
    }

    #[test]
    fn a_refused_request_costs_nothing() {
        let mut limiter = limiter(10, 15, 20);
        assert_eq!(granted(&mut limiter, v4(1), START, 1_000), 10);
        // The network has five left, of which the first source took none by asking on.
        assert_eq!(granted(&mut limiter, v4(2), START, 1_000), 5);
        assert_eq!(limiter.allow(v4(2), Time(START)), Err(Refusal::Network));
        assert_eq!(granted(&mut limiter, v4(1 << 8), START, 1_000), 5);
        assert_eq!(limiter.allow(v4(1 << 8), Time(START)), Err(Refusal::Total));
    }

    #[test]
    fn networks_are_a_24_and_a_56_and_sources_of_ipv6_a_64() {
        let v6 = |text: &str| IpAddr::V6(text.parse::<Ipv6Addr>().unwrap());
        let mut limiter = limiter(2, 3, 0);
        assert_eq!(granted(&mut limiter, v6("2001:db8:0:100::1"), START, 9), 2);
        assert_eq!(granted(&mut limiter, v6("2001:db8:0:100:ffff::2"), START, 9), 0);
        assert_eq!(granted(&mut limiter, v6("2001:db8:0:1ff::1"), START, 9), 1);
        assert_eq!(granted(&mut limiter, v6("2001:db8:0:200::1"), START, 9), 2);
        assert_eq!(granted(&mut limiter, v4(0x0a00_0001), START, 9), 2);
        assert_eq!(granted(&mut limiter, v4(0x0a00_00ff), START, 9), 1);
        // IPv4 in IPv6's clothes is the same source.
        assert_eq!(granted(&mut limiter, v6("::ffff:10.0.0.1"), START, 9), 0);
        assert_eq!(granted(&mut limiter, v4(0x0a00_0101), START, 9), 2);
    }

    #[test]
    fn without_limits_everybody_is_answered() {
        assert_eq!(granted(&mut limiter(0, 0, 0), v4(1), START, 100_000), 100_000);
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nobody_out() {
        let mut limiter = limiter(10, 10, 10);
        assert_eq!(granted(&mut limiter, v4(1), START, 100), 10);
        assert_eq!(granted(&mut limiter, v4(1), START - 900 * SECOND, 100), 10);
    }

    #[test]
    fn sources_that_push_each_other_out_stay_within_network_and_total() {
        // Far more sources than there are places, all at one moment.
        let mut limiter = limiter(2, 100, 400);
        let asked = 4 * u32::try_from(ANSWER_SOURCES).unwrap();
        let one_network = (0..asked).map(|i| v4(0x0a00_0000 + i % 256));
        assert_eq!(one_network.filter(|s| limiter.allow(*s, Time(START)).is_ok()).count(), 100);
        let mut many = (0..asked).map(|i| v4(0x0b00_0000 + (i << 8)));
        assert_eq!(many.by_ref().filter(|s| limiter.allow(*s, Time(START)).is_ok()).count(), 300);
        assert_eq!(limiter.allow(v4(0x0c00_0000), Time(START)), Err(Refusal::Total));
    }

    #[test]
    fn where_there_is_no_total_a_full_table_lets_the_oldest_go() {
        let mut limiter = limiter(1, 0, 0);
        for i in 0..2 * u32::try_from(ANSWER_SOURCES).unwrap() {
            assert_eq!(limiter.allow(v4(i), Time(START + u64::from(i))), Ok(()), "{i}");
        }
        // Those who came last are still known.
        let last = v4(2 * u32::try_from(ANSWER_SOURCES).unwrap() - 1);
        assert_eq!(limiter.allow(last, Time(START + SECOND / 2)), Err(Refusal::Source));
    }

    #[test]
    fn a_node_of_many_shards_splits_what_is_not_one_senders() {
        let shards = |n| NonZeroUsize::new(n).unwrap();
        assert_eq!(limits(20, 100, 2_000).share(shards(1)), limits(20, 100, 2_000));
        assert_eq!(limits(20, 100, 2_000).share(shards(3)), limits(20, 34, 667));
        assert_eq!(limits(20, 100, 2_000).share(shards(256)), limits(20, 20, 8));
        assert_eq!(limits(0, 100, 0).share(shards(256)), limits(0, 1, 0));
    }

    /// Who asks when: a step of time (ns) and a source out of a few networks.
    fn asked() -> impl Strategy<Value = Vec<(u64, u32)>> {
        let step = prop_oneof![Just(0), 0..SECOND / 50, 0..SECOND];
        proptest::collection::vec(
            (step, (0..3_u32, 0..3_u32).prop_map(|(n, h)| n << 8 | h)),
            1..400,
        )
    }

    /// The most grants in any window of one second.
    fn most_in_a_second(times: &[u64]) -> usize {
        let within = |(i, from): (usize, &u64)| {
            times[i..].iter().take_while(|t| **t - from < SECOND).count()
        };
        times.iter().enumerate().map(within).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn no_second_holds_more_than_the_rate_and_one_burst(
            asked in asked(), source in 1..20_u32, network in 1..30_u32, total in 1..60_u32,
        ) {
            let mut limiter = limiter(source, network, total);
            let mut now = START;
            let mut grants = Vec::new();
            for (step, who) in asked {
                now += step;
                if limiter.allow(v4(who), Time(now)).is_ok() {
                    grants.push((now, who));
                }
            }
            let times = |of: &dyn Fn(u32) -> bool| {
                grants.iter().filter(|g| of(g.1)).map(|g| g.0).collect::<Vec<_>>()
            };
            prop_assert!(most_in_a_second(&times(&|_| true)) <= 2 * total as usize);
            for net in 0..3 {
                let of_net = times(&|who| who >> 8 == net);
                prop_assert!(most_in_a_second(&of_net) <= 2 * network as usize);
                for host in 0..3 {
                    let of_host = times(&|who| who == net << 8 | host);
                    prop_assert!(most_in_a_second(&of_host) <= 2 * source as usize);
                }
            }
        }

        #[test]
        fn who_keeps_to_the_rate_is_always_answered(rate in 1..1_000_u32, first in 0..SECOND) {
            let mut limiter = limiter(rate, 0, 0);
            let interval = SECOND.div_ceil(u64::from(rate));
            for i in 0..200 {
                prop_assert_eq!(limiter.allow(v4(1), Time(START + first + i * interval)), Ok(()));
            }
        }
    }
}
