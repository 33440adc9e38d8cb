//! Which keys to get, when, and how much of it: what others published in the epoch that has ended.
//!
//! A pure plan. Partners, whose day keys we hold, come first, the trusted and credited ones before
//! the others; then the announcements, by which we learn of new nodes; then, now and then, grants to
//! us and proofs that somebody lies. So a flood on the announcement keys, which anybody can compute,
//! never stands between us and those that we know.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::epoch::{Calendar, Day, Epoch, day_of};
use crate::keys::{DayKey, Place};
use crate::limits::{
    GETS_EPOCH_MAX, GRANT_AHEAD_S, GRANT_LOOK_PAUSE_S, MISSED_EPOCHS_MAX, PAGE_VALUES, PAGES,
    PEERS_MAX, PROOF_LOOK_PAUSE_S, READ_AFTER_S, READ_AGAIN_S, READ_JITTER_S, SHARDS,
    SILENT_EPOCHS, SILENT_PAUSE,
};
use crate::wire::NodeKey;
use crate::wire::grant::Grant;

/// Something to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Get {
    /// The batches of a partner.
    Batches {
        /// Whose.
        node: NodeKey,
        /// Of which epoch.
        epoch: Epoch,
    },
    /// A page of announcements.
    Announcements {
        /// Of which epoch.
        epoch: Epoch,
        /// Which shard.
        shard: u8,
        /// Which page.
        page: u8,
    },
    /// Grants to us by the nodes of a shard.
    Grants {
        /// For which day.
        day: Day,
        /// Which shard.
        shard: u8,
    },
    /// The grant of a partner that could be read the day before.
    Renewal {
        /// Whose.
        node: NodeKey,
        /// For which day.
        day: Day,
    },
    /// Proofs that a partner lies.
    Proofs {
        /// Which.
        node: NodeKey,
    },
}

/// A node whose batches we can read.
#[derive(Clone, Debug, Default)]
struct Partner {
    days: BTreeMap<Day, DayKey>,
    /// Epochs in a row in which nothing was there.
    silent: u32,
    proofs_looked_s: u64,
}

/// The plan of one reader.
#[derive(Debug)]
pub struct Reader {
    calendar: Calendar,
    partners: BTreeMap<NodeKey, Partner>,
    /// The epoch that is being read.
    epoch: Epoch,
    queue: VecDeque<Get>,
    again: BTreeSet<NodeKey>,
    asked: BTreeSet<NodeKey>,
    found: BTreeSet<NodeKey>,
    made: usize,
    /// Whether anything of others was found in this epoch: the network is there.
    is_connected: bool,
    /// Epochs before this one in which nothing was.
    missed: u32,
    grants_looked_s: u64,
    jitter_s: u64,
    /// Gets that were planned and not made, because the next epoch came or there were too many.
    pub given_up: u64,
}

impl Reader {
    /// A reader that knows nobody. `jitter` is random: it decides when in the time for it this one asks.
    #[must_use]
    pub fn new(calendar: Calendar, jitter: u64) -> Self {
        let span = scaled(READ_JITTER_S, calendar).max(1);
        Self {
            calendar,
            partners: BTreeMap::new(),
            epoch: Epoch(0),
            queue: VecDeque::new(),
            again: BTreeSet::new(),
            asked: BTreeSet::new(),
            found: BTreeSet::new(),
            made: 0,
            is_connected: false,
            missed: 0,
            grants_looked_s: 0,
            jitter_s: jitter % span,
            given_up: 0,
        }
    }

    /// That a node lets us read it for a day. Keys of days long past are forgotten. Who could not be read
    /// before, because we have just begun or it has, is asked for what it still keeps. Where there are too
    /// many, those go that are not `worth` it: neither trusted nor credited.
    pub fn granted(&mut self, grant: &Grant, today: Day, worth: impl Fn(NodeKey) -> bool) {
        let is_near = grant.day.0 + 1 >= today.0 && grant.day.0 <= today.0 + 1;
        if !is_near {
            return;
        }
        let is_new = !self.partners.contains_key(&grant.granter);
        if is_new && self.partners.len() >= PEERS_MAX {
            self.part(&worth);
            if self.partners.len() >= PEERS_MAX {
                return;
            }
        }
        let partner = self.partners.entry(grant.granter).or_default();
        partner.days.retain(|day, _| day.0 + 1 >= today.0);
        partner.days.insert(grant.day, grant.day_key);
        if is_new {
            self.ask_back(grant.granter, MISSED_EPOCHS_MAX);
        }
    }

    /// Parts from a sixteenth of the partners: of those that are not worth it the longest silent. So many
    /// at once, because each look costs as much as there are partners.
    fn part(&mut self, worth: &impl Fn(NodeKey) -> bool) {
        let idle = self.partners.iter().filter(|(node, _)| !worth(**node));
        let mut idle: Vec<(u32, NodeKey)> =
            idle.map(|(node, partner)| (partner.silent, *node)).collect();
        idle.sort_unstable_by(|a, b| b.cmp(a));
        for (_, node) in idle.into_iter().take(PEERS_MAX / 16) {
            self.partners.remove(&node);
        }
    }

    /// That something of others was found. What could not be read while nothing was is asked for now.
    pub fn connected(&mut self) {
        if !std::mem::replace(&mut self.is_connected, true) && self.missed > 0 {
            for node in self.asked.clone() {
                self.ask_back(node, self.missed);
            }
        }
    }

    fn ask_back(&mut self, node: NodeKey, epochs: u32) {
        for epoch in (1..=epochs).filter_map(|back| self.epoch.0.checked_sub(back)).map(Epoch) {
            if self.can_read(node, epoch) {
                self.queue.push_back(Get::Batches { node, epoch });
            }
        }
    }

    /// What opens the batches of a node in an epoch.
    #[must_use]
    pub fn day_key(&self, node: NodeKey, epoch: Epoch) -> Option<&DayKey> {
        self.partners.get(&node)?.days.get(&self.calendar.day(epoch))
    }

    /// Where the grant of a partner for a day lies for us, if we could read it the day before.
    #[must_use]
    pub fn renewal(&self, node: NodeKey, day: Day, us: NodeKey) -> Option<Place> {
        let before = Day(day.0.checked_sub(1)?);
        Some(self.partners.get(&node)?.days.get(&before)?.renewal(us, day))
    }

    /// How many nodes can be read today.
    #[must_use]
    pub fn partners(&self, epoch: Epoch) -> usize {
        self.partners.keys().filter(|node| self.day_key(**node, epoch).is_some()).count()
    }

    /// The epoch that is being read.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether we hold this key already.
    #[must_use]
    pub fn has_key(&self, grant: &Grant) -> bool {
        let partner = self.partners.get(&grant.granter);
        partner.is_some_and(|partner| partner.days.get(&grant.day) == Some(&grant.day_key))
    }

    /// Whether a node can be read today.
    #[must_use]
    pub fn can_read(&self, node: NodeKey, epoch: Epoch) -> bool {
        self.day_key(node, epoch).is_some()
    }

    /// Looks at the clock: plans what is due. `order` says which partner comes first, the least
    /// first, or not at all.
    pub fn tick(&mut self, now_s: u64, order: impl Fn(NodeKey) -> Option<u64>) {
        let wait = scaled(READ_AFTER_S, self.calendar) + self.jitter_s;
        let Some(then) = now_s.checked_sub(wait) else { return };
        let Some(ended) = self.calendar.epoch(then).0.checked_sub(1).map(Epoch) else { return };
        if ended > self.epoch {
            self.begin(ended, now_s, &order);
        }
        let again_s = self.calendar.end_s(self.epoch) + wait + scaled(READ_AGAIN_S, self.calendar);
        if now_s >= again_s && self.queue.is_empty() {
            for node in std::mem::take(&mut self.again) {
                self.queue.push_back(Get::Batches { node, epoch: self.epoch });
            }
        }
    }

    fn begin(&mut self, epoch: Epoch, now_s: u64, order: &impl Fn(NodeKey) -> Option<u64>) {
        self.given_up += self.queue.len() as u64;
        self.count_silence();
        self.count_missed(epoch);
        let today = self.calendar.day(epoch);
        self.partners.retain(|_, partner| partner.days.keys().any(|day| day.0 + 1 >= today.0));
        (self.epoch, self.made) = (epoch, 0);
        (self.queue, self.again) = (VecDeque::new(), BTreeSet::new());
        self.plan_partners(order);
        self.plan_renewals(now_s);
        self.plan_strangers(epoch, now_s);
    }

    /// Who was asked and had nothing to tell. Without a network nobody is to blame.
    fn count_silence(&mut self) {
        let (asked, found) = (std::mem::take(&mut self.asked), std::mem::take(&mut self.found));
        for (node, partner) in &mut self.partners {
            if found.contains(node) {
                partner.silent = 0;
            } else if self.is_connected && asked.contains(node) {
                partner.silent = partner.silent.saturating_add(1);
            }
        }
    }

    fn count_missed(&mut self, next: Epoch) {
        let is_first = self.epoch == Epoch(0);
        let before = if self.is_connected { 0 } else { self.missed.saturating_add(1) };
        let skipped = next.since(self.epoch).saturating_sub(1);
        let missed = before.saturating_add(skipped).min(MISSED_EPOCHS_MAX);
        (self.missed, self.is_connected) = (if is_first { 0 } else { missed }, false);
    }

    /// Partners, in order. Who was silent long is asked now and then only, until it announces.
    fn plan_partners(&mut self, order: &impl Fn(NodeKey) -> Option<u64>) {
        let is_due = |partner: &Partner| {
            partner.silent < SILENT_EPOCHS || self.epoch.0.is_multiple_of(SILENT_PAUSE)
        };
        let mut due: Vec<(u64, NodeKey)> = self
            .partners
            .iter()
            .filter(|(node, partner)| is_due(partner) && self.can_read(**node, self.epoch))
            .filter_map(|(node, _)| Some((order(*node)?, *node)))
            .collect();
        due.sort_unstable();
        for (_, node) in due {
            self.ask(node);
        }
    }

    /// Around midnight: grants for the day that begins, or has begun, and that we do not have yet.
    fn plan_renewals(&mut self, now_s: u64) {
        let (today, soon) = (day_of(now_s), day_of(now_s + GRANT_AHEAD_S));
        let before = day_of(now_s.saturating_sub(GRANT_AHEAD_S));
        if soon == before {
            return;
        }
        let day = if soon == today { today } else { soon };
        let lacks = |partner: &Partner| {
            !partner.days.contains_key(&day) && partner.days.keys().any(|held| held.0 + 1 == day.0)
        };
        let due = self.partners.iter().filter(|(_, partner)| lacks(partner));
        self.queue.extend(due.map(|(node, _)| Get::Renewal { node: *node, day }));
    }

    fn ask(&mut self, node: NodeKey) {
        if self.asked.insert(node) {
            self.again.insert(node);
            self.queue.push_back(Get::Batches { node, epoch: self.epoch });
        }
    }

    fn plan_strangers(&mut self, epoch: Epoch, now_s: u64) {
        for shard in 0..SHARDS {
            self.queue.push_back(Get::Announcements { epoch, shard, page: 0 });
        }
        // With epochs that are shorter, for tests, everything is looked at more often.
        let grant_pause = scaled(GRANT_LOOK_PAUSE_S, self.calendar);
        if now_s >= self.grants_looked_s + grant_pause {
            self.grants_looked_s = now_s;
            let (today, next) = (self.calendar.day(epoch), self.calendar.day(epoch.plus(1)));
            for day in BTreeSet::from([today, next]) {
                (0..SHARDS).for_each(|shard| self.queue.push_back(Get::Grants { day, shard }));
            }
        }
        let proof_pause = scaled(PROOF_LOOK_PAUSE_S, self.calendar);
        for (node, partner) in &mut self.partners {
            if now_s >= partner.proofs_looked_s + proof_pause {
                partner.proofs_looked_s = now_s;
                self.queue.push_back(Get::Proofs { node: *node });
            }
        }
    }

    /// Looks for grants at the next chance, whenever it looked last: we have just announced ourselves.
    pub fn look_for_grants(&mut self) {
        self.grants_looked_s = 0;
    }

    /// The next get, if one is due and there may be more in this epoch.
    pub fn next_get(&mut self) -> Option<Get> {
        if self.made >= GETS_EPOCH_MAX {
            self.given_up += self.queue.len() as u64;
            self.queue.clear();
            return None;
        }
        let get = self.queue.pop_front()?;
        self.made += 1;
        Some(get)
    }

    /// Counts a get that is not of the plan. Whether there may be one more in this epoch.
    pub fn may_get_more(&mut self) -> bool {
        let may = self.made < GETS_EPOCH_MAX;
        self.made += usize::from(may);
        may
    }

    /// That a page of announcements held so many that are valid: a full one has a next.
    pub fn page_read(&mut self, epoch: Epoch, shard: u8, page: u8, valid: usize) {
        if epoch == self.epoch && valid >= PAGE_VALUES && page + 1 < PAGES {
            self.queue.push_front(Get::Announcements { epoch, shard, page: page + 1 });
        }
    }

    /// That a node has announced batches: a partner that was not asked is asked now.
    pub fn announced(&mut self, node: NodeKey, epoch: Epoch) {
        if epoch == self.epoch && self.can_read(node, epoch) {
            self.ask(node);
        }
    }

    /// That a batch of a partner was read: it is not silent, but there may be more of it.
    pub fn heard(&mut self, node: NodeKey, epoch: Epoch) {
        if epoch == self.epoch {
            self.found.insert(node);
        }
    }

    /// That all batches of a partner which it announced were read.
    pub fn found(&mut self, node: NodeKey, epoch: Epoch) {
        if epoch == self.epoch {
            self.found.insert(node);
            self.again.remove(&node);
        }
    }
}

/// A time of the protocol, shortened as the epochs are.
#[must_use]
pub fn scaled(seconds: u64, calendar: Calendar) -> u64 {
    (seconds * u64::from(calendar.epoch_s())).div_ceil(u64::from(crate::limits::EPOCH_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALENDAR: fn() -> Calendar = Calendar::default;
    const START: u64 = 1_795_478_400;

    fn node(n: u32) -> NodeKey {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&n.to_be_bytes());
        NodeKey(key)
    }

    fn reader(partners: u32) -> Reader {
        let mut reader = Reader::new(CALENDAR(), 0);
        let today = CALENDAR().day(CALENDAR().epoch(START));
        for n in 0..partners {
            let grant = Grant { granter: node(n), day: today, day_key: DayKey([n as u8; 32]) };
            reader.granted(&grant, today, |_| false);
        }
        reader
    }

    fn drain(reader: &mut Reader) -> Vec<Get> {
        std::iter::from_fn(|| reader.next_get()).collect()
    }

    fn asked(gets: &[Get]) -> Vec<NodeKey> {
        gets.iter()
            .filter_map(|get| match get {
                Get::Batches { node, .. } => Some(*node),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn partners_come_first_and_in_order_and_some_not_at_all() {
        let mut reader = reader(5);
        reader.tick(START + 600 + READ_AFTER_S, |who| {
            (who != node(3)).then(|| u64::from(who == node(0)))
        });
        let gets = drain(&mut reader);
        assert_eq!(asked(&gets), [node(1), node(2), node(4), node(0)]);
        assert!(matches!(gets[4], Get::Announcements { shard: 0, page: 0, .. }));
        let announcements = gets.iter().filter(|get| matches!(get, Get::Announcements { .. }));
        assert_eq!(announcements.count(), usize::from(SHARDS));
    }

    #[test]
    fn nothing_is_asked_before_the_epoch_has_ended_and_spread() {
        let mut reader = reader(1);
        let epoch = CALENDAR().epoch(START);
        reader.tick(START + 599 + READ_AFTER_S, |_| Some(0));
        assert!(
            drain(&mut reader)
                .iter()
                .all(|get| !matches!(get, Get::Batches { epoch: e, .. } if *e == epoch))
        );
        reader.tick(START + 600 + READ_AFTER_S, |_| Some(0));
        assert!(drain(&mut reader).contains(&Get::Batches { node: node(0), epoch }));
    }

    #[test]
    fn what_was_not_there_is_asked_for_twice_and_no_more() {
        let mut reader = reader(2);
        let begin = START + 600 + READ_AFTER_S;
        let epoch = CALENDAR().epoch(START);
        reader.tick(begin, |_| Some(0));
        drain(&mut reader);
        reader.found(node(0), epoch);
        reader.tick(begin + READ_AGAIN_S, |_| Some(0));
        assert_eq!(asked(&drain(&mut reader)), [node(1)]);
        reader.tick(begin + 2 * READ_AGAIN_S, |_| Some(0));
        assert_eq!(drain(&mut reader), []);
    }

    #[test]
    fn a_full_page_has_a_next_and_the_last_has_none() {
        let mut reader = reader(0);
        reader.tick(START + 600 + READ_AFTER_S, |_| Some(0));
        drain(&mut reader);
        let epoch = CALENDAR().epoch(START);
        reader.page_read(epoch, 7, 0, PAGE_VALUES - 1);
        assert_eq!(drain(&mut reader), []);
        reader.page_read(epoch, 7, 0, PAGE_VALUES);
        assert_eq!(drain(&mut reader), [Get::Announcements { epoch, shard: 7, page: 1 }]);
        reader.page_read(epoch, 7, PAGES - 1, PAGE_VALUES);
        assert_eq!(drain(&mut reader), []);
    }

    #[test]
    fn who_is_silent_long_is_asked_less_often_until_it_announces() {
        let mut reader = reader(1);
        let mut times = 0;
        let epochs = 60;
        for n in 1..=epochs {
            reader.tick(START + n * 600 + READ_AFTER_S, |_| Some(0));
            reader.connected();
            times += asked(&drain(&mut reader)).len() as u64;
        }
        let expected = u64::from(SILENT_EPOCHS)
            + (epochs - u64::from(SILENT_EPOCHS)) / u64::from(SILENT_PAUSE);
        assert!(times.abs_diff(expected) <= 1, "{times}");
        let mut announced = 0;
        for n in epochs + 1..epochs + 1 + u64::from(SILENT_PAUSE) {
            reader.tick(START + n * 600 + READ_AFTER_S, |_| Some(0));
            reader.announced(node(0), CALENDAR().epoch(START + (n - 1) * 600));
            announced += asked(&drain(&mut reader)).len() as u64;
        }
        assert_eq!(announced, u64::from(SILENT_PAUSE));
    }

    #[test]
    fn what_was_missed_is_asked_for_when_the_network_is_back() {
        let mut reader = reader(2);
        let at = |n: u64| START + n * 600 + READ_AFTER_S;
        let late = |gets: &[Get], epoch: Epoch| {
            gets.iter()
                .filter(|get| matches!(get, Get::Batches { epoch: e, .. } if *e < epoch))
                .count()
        };
        let mut read = |n, is_there: bool| {
            reader.tick(at(n), |_| Some(0));
            if is_there {
                reader.connected();
                reader.connected();
            }
            late(&drain(&mut reader), reader.epoch())
        };
        assert_eq!([read(1, true), read(2, true)], [0, 0]);
        assert_eq!([read(3, false), read(4, true)], [0, 2], "one epoch of two partners");
        assert_eq!([read(5, true), read(8, true)], [0, 4], "two were skipped");
        assert_eq!((9..20).map(|n| read(n, false)).sum::<usize>(), 0);
        assert_eq!(read(20, true), 2 * MISSED_EPOCHS_MAX as usize, "and no more than is kept");
    }

    #[test]
    fn who_grants_for_the_first_time_is_asked_for_what_it_keeps() {
        let mut reader = reader(0);
        reader.tick(START + 5 * 600 + READ_AFTER_S, |_| Some(0));
        drain(&mut reader);
        let today = CALENDAR().day(reader.epoch());
        let grant = Grant { granter: node(1), day: today, day_key: DayKey([1; 32]) };
        reader.granted(&grant, today, |_| false);
        assert_eq!(drain(&mut reader).len(), MISSED_EPOCHS_MAX as usize);
        reader.granted(&Grant { day: Day(today.0 + 1), ..grant }, today, |_| false);
        assert_eq!(drain(&mut reader), []);
    }

    #[test]
    fn day_keys_of_other_days_open_nothing_and_are_forgotten() {
        let today = CALENDAR().day(CALENDAR().epoch(START));
        let mut reader = reader(1);
        let epoch = CALENDAR().epoch(START);
        assert!(reader.can_read(node(0), epoch) && !reader.can_read(node(0), epoch.plus(144)));
        let far = Grant { granter: node(9), day: Day(today.0 + 2), day_key: DayKey([1; 32]) };
        reader.granted(&far, today, |_| false);
        assert_eq!(reader.partners.len(), 1);
        reader.tick(START + 3 * 86_400, |_| Some(0));
        assert_eq!(reader.partners.len(), 0);
    }

    #[test]
    fn a_flood_of_grants_parts_us_from_nobody_who_is_worth_it_and_shuts_nobody_out() {
        let mut reader = reader(2);
        let today = CALENDAR().day(CALENDAR().epoch(START));
        for n in 2..PEERS_MAX as u32 + 100 {
            let grant = Grant { granter: node(n), day: today, day_key: DayKey([1; 32]) };
            reader.granted(&grant, today, |who| who == node(0));
            assert!(reader.partners.contains_key(&node(n)) && reader.partners.len() <= PEERS_MAX);
        }
        assert!(reader.partners.contains_key(&node(0)));
    }
}
