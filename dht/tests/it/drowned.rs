//! Every key that anybody can compute is drowned for days: who reads whom then. Two sessions, and instead of
//! the DHT a table.

use std::collections::HashMap;
use std::sync::Arc;

use sentrypeer_dht::book::Book;
use sentrypeer_dht::epoch::Calendar;
use sentrypeer_dht::keys::{Identity, Place};
use sentrypeer_dht::limits::DAY_S;
use sentrypeer_dht::publisher::{Publisher, Stamp};
use sentrypeer_dht::reader::Get;
use sentrypeer_dht::rules::Rules;
use sentrypeer_dht::session::{Action, Begin, PeerData, Session, Settings, Tag, View};
use sentrypeer_dht::trust::Trust;
use sentrypeer_dht::wire::NodeKey;
use sentrypeer_storage::event::{Collected, EventRef, NumberKind, Time, Transport, Verification};
use sentrypeer_storage::policy::Policy;
use sentrypeer_storage::snapshot::Snapshot;
use uuid::Uuid;

/// Ten in the morning.
const START_S: u64 = 20_781 * DAY_S + 10 * 3600;
const STEP_S: u64 = 30;

/// What the flooder drowns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drowned {
    Nothing,
    /// What can be computed by everybody.
    Public,
    /// That, and the places of renewed grants, as if everybody could compute those too.
    RenewalsToo,
}

impl Drowned {
    fn covers(self, tag: Tag) -> bool {
        match tag {
            Tag::Read(Get::Announcements { .. } | Get::Grants { .. } | Get::Proofs { .. })
            | Tag::Page { .. } => self != Self::Nothing,
            Tag::Read(Get::Renewal { .. }) => self == Self::RenewalsToo,
            _ => false,
        }
    }
}

/// A value, and by which id it is cancelled.
type Put = (u64, Arc<[u8]>);

#[derive(Default)]
struct Dht {
    values: HashMap<Place, Vec<Put>>,
    ids: u64,
}

fn session(which: u8) -> Session {
    let begin = Begin {
        identity: Identity::from_seed(&[which; 32]),
        is_new: true,
        node_id: Uuid::nil(),
        publisher: Publisher::first(Stamp([which; 32])),
        book: Book::new(Rules::default(), Trust::default()),
        random: u64::from(which),
        now_s: START_S,
    };
    Session::new(Settings { legacy: false, ..Settings::default() }, begin)
}

/// Somebody new in every epoch.
fn sees(which: u8, now_s: u64) -> Snapshot {
    let epoch = Calendar::default().epoch(now_s).0;
    let event = EventRef {
        time: Time(now_s * 1_000_000_000),
        source: format!("144.{which}.{}.{}:5060", epoch >> 8 & 0xff, epoch & 0xff).parse().unwrap(),
        destination: "192.0.2.1:5060".parse().unwrap(),
        transport: Transport::Tcp,
        verification: Verification::Connected,
        collected: Collected::Responsive,
        number_kind: NumberKind::None,
        anomalies: Default::default(),
        method: b"OPTIONS",
        number: b"",
        user_agent: b"",
        message: b"",
    };
    Snapshot::of_events(Uuid::nil(), Uuid::nil(), [event], event.time)
}

impl Dht {
    fn live(&mut self, session: &mut Session, which: u8, now_s: u64, drowned: Drowned) {
        let (snapshot, policy) = (sees(which, now_s), Policy::default());
        let view = View { now_s, snapshot: Some(&snapshot), policy: &policy };
        let mut random = || {
            self.ids += 1;
            let mut bytes = [which; 32];
            bytes[..8].copy_from_slice(&self.ids.to_be_bytes());
            bytes
        };
        session.tick(view, &mut random);
        while let Some(action) = session.next_action().or_else(|| session.next_get()) {
            self.perform(session, action, now_s, drowned);
        }
    }

    fn perform(&mut self, session: &mut Session, action: Action, now_s: u64, drowned: Drowned) {
        match action {
            Action::Get(tag, place) => {
                let policy = Policy::default();
                if drowned.covers(tag) {
                    session.value(tag, b"junk", &policy, now_s);
                } else {
                    let found = self.values.get(&place).cloned().unwrap_or_default();
                    found.iter().for_each(|(_, value)| session.value(tag, value, &policy, now_s));
                }
                session.got(tag);
            }
            Action::Put(tag, place, value) => {
                self.ids += 1;
                self.values.entry(place).or_default().push((self.ids, value.clone()));
                session.put_done(tag, value, true, self.ids, now_s);
            }
            Action::Cancel(place, id) => {
                if let Some(values) = self.values.get_mut(&place) {
                    values.retain(|(of, _)| *of != id);
                }
            }
            Action::SaveSequence(_) => session.sequence_saved(true, now_s),
            Action::SaveLedger(_) | Action::Listen(..) => {}
        }
    }
}

/// How many of the other's batches each of two partners has read on each of three days, of which all but the
/// first few hours are drowned. On the fourth they would have told each other 500 records of which none was
/// confirmed, and part for that.
fn read_by_day(drowned: Drowned) -> [[usize; 3]; 2] {
    let (mut dht, mut sessions) = (Dht::default(), [session(1), session(2)]);
    let keys: [NodeKey; 2] = sessions.each_ref().map(|session| session.identity().node());
    let mut read = [[0; 3]; 2];
    let midnight = START_S - START_S % DAY_S;
    for now_s in (START_S..midnight + 3 * DAY_S).step_by(STEP_S as usize) {
        let now_drowned = if now_s > START_S + 6 * 3600 { drowned } else { Drowned::Nothing };
        for (at, session) in sessions.iter_mut().enumerate() {
            dht.live(session, at as u8 + 1, now_s, now_drowned);
            while let Some(data) = session.next_output() {
                let PeerData::Batch(batch) = data else { continue };
                assert_eq!(batch.node, keys[1 - at]);
                read[at][((now_s - midnight) / DAY_S) as usize] += 1;
            }
        }
    }
    read
}

#[test]
fn partners_go_on_reading_each_other_for_days_though_all_public_keys_are_drowned() {
    for read in read_by_day(Drowned::Public) {
        assert!(read[1..].iter().all(|batches| *batches >= 140), "of 144 a day: {read:?}");
    }
}

#[test]
fn it_is_the_renewals_that_keep_them_together() {
    for read in read_by_day(Drowned::RenewalsToo) {
        assert!(read[0] > 30 && read[2] == 0, "{read:?}");
    }
}
