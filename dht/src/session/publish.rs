//! What goes out: batches, announcements, grants, proofs, and records in the old format.

use std::sync::Arc;

use sentrypeer_storage::event_json::Producer;
use sentrypeer_storage::log::StoredEvent;
use sentrypeer_storage::policy::Policy;

use super::{Action, Session, Tag, View};
use crate::book::Now;
use crate::epoch::{Day, Epoch, day_of};
use crate::grants::GrantTo;
use crate::keys::{Place, shard};
use crate::limits::{
    DAY_S, GRANT_AHEAD_S, NUMBERS_ROOM, PAGE_VALUES, PAGES, PUT_RETRY_S, RECORDS_MAX,
    RETELL_PAUSE_S,
};
use crate::publisher::{Held, Publication};
use crate::reader::scaled;
use crate::record::{self, KEY_HASH};
use crate::wire::announcement::Announcement;
use crate::wire::body::{Body, Records};
use crate::wire::grant;
use crate::wire::proof::Proof;

impl Session {
    /// Once an epoch, at a time of its own: seals what is news and has the state saved.
    pub(super) fn publish(&mut self, view: View<'_>, now: Now) {
        let Some(snapshot) = view.snapshot.filter(|_| now.s >= self.put_at_s) else { return };
        // A state that was restored knows nothing of what was published in this very epoch.
        if now.epoch == self.started && !self.is_new {
            return;
        }
        if let Err(held) = self.publisher.may_publish(now.epoch) {
            self.held = (held != Held::Done && held != Held::Saving).then_some(held);
            return;
        }
        // Tried once an epoch, whatever comes of it.
        self.put_at_s = u64::MAX;
        let pause_s = scaled(RETELL_PAUSE_S, self.settings.calendar);
        // Who was granted in this epoch reads us from the next on.
        let is_due = self.new_listener.is_some_and(|granted| granted < now.epoch);
        if is_due && now.s >= self.retold_s + pause_s {
            (self.new_listener, self.retold_s) = (None, now.s);
            self.selection.tell_again(now.s);
        }
        let taken = self.selection.to_withdraw(view.policy, now.s);
        let sources = self.selection.sources(snapshot.sources.iter(), view.policy, now.s);
        let numbers = self.selection.numbers(snapshot.numbers.iter(), view.policy, now.s);
        self.sighted(&sources, &numbers, now);
        let day_key = self.identity.day_key(self.settings.calendar.day(now.epoch));
        let calendar = self.settings.calendar;
        let [taken, sources, numbers] = fitting(taken, sources, numbers);
        let bodies = [&taken, &sources, &numbers];
        match self.publisher.prepare(&self.identity, &day_key, now.epoch, &bodies, calendar) {
            Ok(state) => {
                self.held = None;
                self.told = vec![taken, sources, numbers];
                self.actions.push_back(Action::SaveSequence(state));
            }
            Err(held) => {
                self.held = (held != Held::Nothing).then_some(held);
                if held == Held::Nothing && self.settings.network.is_pool() {
                    self.announce_nothing(now.epoch);
                }
            }
        }
    }

    /// That we are there, with nothing to tell: the members of a pool are believed and granted whatever they
    /// give, but must be known.
    fn announce_nothing(&mut self, epoch: Epoch) {
        self.publisher.announced(epoch);
        self.announced_own = Some((epoch, 0, 0));
        self.look_at_page(epoch, 0);
        self.reader.look_for_grants();
    }

    /// What our own sensors have seen shows who told the truth.
    fn sighted(&mut self, sources: &Body, numbers: &Body, now: Now) {
        for body in [sources, numbers] {
            match body.records() {
                Records::Sources(records) => {
                    records.iter().for_each(|r| self.book.own_source(&r.source, now));
                }
                Records::Numbers(records) => {
                    records.iter().for_each(|r| self.book.own_number(&r.number, now));
                }
                Records::Withdrawals(_) => {}
            }
        }
    }

    /// That the last [`Action::SaveSequence`] was saved and synced, or could not be. Only now does
    /// anything go out.
    pub fn sequence_saved(&mut self, is_saved: bool, now_s: u64) {
        let Some(publication) = self.publisher.saved(is_saved) else {
            if is_saved {
                self.publisher.state_saved();
            }
            return;
        };
        for body in std::mem::take(&mut self.told) {
            self.selection.told(&body, now_s);
        }
        let day = self.settings.calendar.day(publication.epoch);
        self.book.ledger.gave(day, publication.records.into());
        self.counts.batches_given += u64::from(publication.batches);
        self.counts.records_given += u64::from(publication.records);
        self.untaken = publication.values.iter().map(|(place, _)| *place).collect();
        self.put_publication(&publication);
        self.reader.look_for_grants();
    }

    /// Puts the values, and asks on which page there is room for the announcement.
    pub(super) fn put_publication(&mut self, publication: &Publication) {
        let until_s = publication.kept_until_s(self.settings.calendar);
        for (place, value) in &publication.values {
            self.put(*place, until_s, value.as_slice().into());
        }
        self.announced_own = Some((publication.epoch, publication.batches, publication.records));
        self.look_at_page(publication.epoch, 0);
    }

    fn look_at_page(&mut self, epoch: Epoch, page: u8) {
        let place = self.settings.network.announcements(epoch, shard(self.identity.node()), page);
        self.actions.push_back(Action::Get(Tag::Page { epoch, page }, place));
    }

    /// That a page holds so many announcements: ours goes there, or to the next.
    pub(super) fn page_is_known(&mut self, epoch: Epoch, page: u8, valid: usize) {
        if valid >= PAGE_VALUES && page + 1 < PAGES {
            return self.look_at_page(epoch, page + 1);
        }
        let Some((of, batches, records)) = self.announced_own.filter(|(of, ..)| *of == epoch)
        else {
            return;
        };
        let (node, seal_key) = (self.identity.node(), self.identity.seal_key());
        let said = Announcement { node, epoch: of, batches, records, seal_key };
        let value = said.encode(&self.identity, &self.settings.network);
        let place = self.settings.network.announcements(epoch, shard(node), page);
        let calendar = self.settings.calendar;
        let until_s = calendar.end_s(epoch) + crate::limits::PUT_KEPT_S;
        self.put(place, until_s, value.into());
    }

    /// Makes the grants that are due: of today, and soon before midnight of tomorrow.
    pub(super) fn grant(&mut self, now: Now, random: &mut dyn FnMut() -> [u8; 32]) {
        let calendar = self.settings.calendar;
        // Not before the announcements of the last epoch were read.
        let from_s = calendar.start_s(now.epoch) + u64::from(calendar.epoch_s()) / 2;
        if self.granted_in == now.epoch || now.s < from_s {
            return;
        }
        self.granted_in = now.epoch;
        let (today, soon) = (day_of(now.s), day_of(now.s + GRANT_AHEAD_S));
        let seed = self.random();
        let mut due = self.book.grants(today, now, seed);
        if soon != today {
            due.extend(self.book.grants(soon, now, seed));
        }
        for to in due {
            let sealed = grant::seal(&self.identity, to.node, to.seal_key, to.day, random());
            let Some(value) = sealed else {
                self.counts.refuse("announcement", "seal key");
                continue;
            };
            self.counts.grants_given += 1;
            if to.is_new {
                self.new_listener = Some(now.epoch);
            }
            self.put_grant(&to, value.into());
        }
    }

    /// Who could read us the day before finds its grant also where nobody else can drown it.
    fn put_grant(&mut self, to: &GrantTo, value: Arc<[u8]>) {
        let until_s = end_of(to.day);
        let before = to.day.0.checked_sub(1).filter(|_| !to.is_new).map(Day);
        if let Some(before) = before {
            let place = self.identity.day_key(before).renewal(to.node, to.day);
            self.put(place, until_s, value.clone());
        }
        let shard = shard(self.identity.node());
        self.put(self.settings.network.grants(to.node, to.day, shard), until_s, value);
    }

    /// Shows others that a node lies.
    pub(super) fn show(&mut self, proof: &Proof, now_s: u64) {
        let place = self.settings.network.proofs(proof.node());
        self.put(place, now_s + DAY_S, proof.encode().into());
    }

    fn put(&mut self, place: Place, until_s: u64, value: Arc<[u8]>) {
        self.actions.push_back(Action::Put(Tag::Put { place, until_s }, place, value));
    }

    /// Puts one of our own events in the old format, if it may be now.
    pub fn own_event(
        &mut self,
        event: &StoredEvent,
        producer: &Producer,
        policy: &Policy,
        now_s: u64,
    ) {
        if !self.settings.legacy || !self.settings.share {
            return;
        }
        self.legacy_live.retain(|_, until_s| *until_s > now_s);
        if self.legacy_out.publish(event, policy, self.legacy_live.len(), now_s).is_err() {
            return;
        }
        let value = record::write(event, producer);
        self.counts.legacy_given += 1;
        let action = Action::Put(Tag::LegacyPut, Place(KEY_HASH), value.into());
        self.actions.push_back(action);
    }

    /// Cancels what need not be announced any more, and puts again what no node took.
    pub(super) fn expire(&mut self, now_s: u64) {
        let actions = &mut self.actions;
        self.kept.retain(|(place, id, until_s)| {
            let is_live = *until_s > now_s;
            if !is_live {
                actions.push_back(Action::Cancel(*place, *id));
            }
            is_live
        });
        for (at_s, tag, value) in std::mem::take(&mut self.failed) {
            let Tag::Put { place, until_s } = tag else { continue };
            if until_s <= now_s {
                continue;
            }
            if at_s <= now_s {
                self.actions.push_back(Action::Put(tag, place, value));
            } else {
                self.failed.push((at_s, tag, value));
            }
        }
    }

    /// That a put has ended: by which id it is cancelled, and whether a node took it.
    pub fn put_done(&mut self, tag: Tag, value: Arc<[u8]>, is_ok: bool, id: u64, now_s: u64) {
        let Tag::Put { place, until_s } = tag else { return };
        if is_ok {
            self.kept.push((place, id, until_s));
            if let Some(at) = self.untaken.iter().position(|untaken| *untaken == place) {
                self.untaken.swap_remove(at);
            }
            return;
        }
        self.counts.puts_failed += 1;
        self.actions.push_back(Action::Cancel(place, id));
        self.failed.push((now_s + PUT_RETRY_S, tag, value));
    }
}

/// What of it fits one epoch: some room is the numbers', however many addresses there are. What does not
/// fit is not told, and so is news in the next epoch still.
fn fitting(mut taken: Body, mut sources: Body, mut numbers: Body) -> [Body; 3] {
    taken.cut(RECORDS_MAX - NUMBERS_ROOM);
    let room = RECORDS_MAX - usize::from(taken.len());
    sources.cut(room - usize::from(numbers.len()).min(NUMBERS_ROOM));
    numbers.cut(room - usize::from(sources.len()));
    [taken, sources, numbers]
}

/// When a day has ended, in seconds since 1970.
fn end_of(day: Day) -> u64 {
    (u64::from(day.0) + 1) * DAY_S
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::Calendar;
    use crate::publisher::{Publisher, Stamp};
    use crate::testing::{body_of, identity};
    use crate::wire::body::Withdrawals;
    use crate::wire::number::NumberRecord;
    use crate::wire::source::SeenRecord;

    fn numbers(count: u32) -> Body {
        let verification = sentrypeer_storage::event::Verification::ReturnPath;
        let seen = SeenRecord { minute: 28_800_000, count_log2: 1, verification };
        let record = |n: u32| NumberRecord { number: number(n), seen };
        Body::numbers((0..count).map(record).collect())
    }

    fn number(n: u32) -> sentrypeer_storage::key::NumberKey {
        sentrypeer_storage::key::NumberKey::of(format!("+4420{n:08}").as_bytes())
    }

    fn withdrawals(count: u32) -> Body {
        let numbers = (0..count).map(number).collect();
        Body::withdrawals(Withdrawals { sources: Vec::new(), numbers })
    }

    #[test]
    fn everything_that_counts_as_told_is_published_and_every_kind_has_its_turn() {
        let room = NUMBERS_ROOM as u16;
        let max = RECORDS_MAX as u16;
        for (given, expected) in [
            ((1, 2000, 2000), [1, max - 1 - room, room]),
            ((0, 2000, 3), [0, max - 3, 3]),
            ((0, 10, 2000), [0, 10, max - 10]),
            ((2000, 2000, 2000), [max - room, 0, room]),
            ((2000, 2000, 0), [max - room, room, 0]),
            ((5, 6, 7), [5, 6, 7]),
        ] {
            let (taken, sources, numbers) =
                (withdrawals(given.0), body_of(given.1), numbers(given.2));
            let bodies = fitting(taken, sources, numbers);
            assert_eq!(bodies.each_ref().map(Body::len), expected);
            let mut publisher = Publisher::first(Stamp([1; 32]));
            let (identity, epoch) = (identity(1), Epoch(2_992_464));
            let key = identity.day_key(Day(20_781));
            let bodies = bodies.each_ref();
            publisher.prepare(&identity, &key, epoch, &bodies, Calendar::default()).unwrap();
            let put = publisher.saved(true).unwrap();
            assert_eq!(put.records, expected.iter().sum::<u16>());
        }
    }
}
