//! What a session does with what others give it, hostile or not.

use super::*;
use crate::epoch::{Day, Sequence};
use crate::keys::DayKey;
use crate::publisher::Stamp;
use crate::rules::Rules;
use crate::testing::{body_of, identity};
use crate::trust::Trust;
use crate::wire::announcement::Announcement;
use crate::wire::batch::{Sealed, seal};
use crate::wire::grant::Grant;

const NOW: u64 = 1_795_478_400;

fn epoch() -> Epoch {
    Calendar::default().epoch(NOW)
}

fn today() -> Day {
    Calendar::default().day(epoch())
}

/// A session of node 1, which node 2 has granted its day key.
fn session() -> Session {
    let begin = Begin {
        identity: identity(1),
        is_new: true,
        node_id: Uuid::nil(),
        publisher: Publisher::first(Stamp([1; 32])),
        book: Book::new(Rules::default(), Trust::default()),
        random: 1,
        now_s: NOW,
    };
    let mut session = Session::new(Settings::default(), begin);
    let grant = Grant { granter: identity(2).node(), day: today(), day_key: day_key() };
    session.reader.granted(&grant, today());
    let last = identity(2).node();
    session.reader.tick(NOW + 800, |_| Some(0));
    assert!(session.reader.can_read(last, epoch()) && session.reader.epoch() == epoch());
    while session.next_action().or_else(|| session.next_get()).is_some() {}
    session
}

fn day_key() -> DayKey {
    identity(2).day_key(today())
}

/// What node 2 says in a batch.
fn batch(n: u16, records: u32) -> Sealed {
    let sequence = Sequence::new(epoch(), n);
    seal(&identity(2), &day_key(), sequence, [0; 32], &body_of(records))
}

fn hear(session: &mut Session, batch: &Sealed) {
    let tag = Tag::Read(Get::Batches { node: identity(2).node(), epoch: epoch() });
    session.value(tag, &batch.head, &Policy::default(), NOW + 800);
}

fn announce(session: &mut Session) {
    let (node, network) = (identity(2).node(), Network::default());
    let seal_key = identity(2).seal_key();
    let said = Announcement { node, epoch: epoch(), batches: 1, records: 1, seal_key };
    let get = Get::Announcements { epoch: epoch(), shard: crate::keys::shard(node), page: 0 };
    let bytes = said.encode(&identity(2), &network);
    session.value(Tag::Read(get), &bytes, &Policy::default(), NOW + 800);
}

#[test]
fn a_liar_is_shown_once_however_often_it_contradicts_itself() {
    let mut session = session();
    for records in 1..20 {
        hear(&mut session, &batch(0, records));
    }
    let proofs = Network::default().proofs(identity(2).node());
    let shown = std::iter::from_fn(|| session.next_action());
    assert_eq!(shown.filter(|a| matches!(a, Action::Put(_, at, _) if *at == proofs)).count(), 1);
    assert_eq!(session.counts.proofs, 1);
    assert_eq!(session.counts.refused[&("batch", "lied")], 17);
}

#[test]
fn who_is_denied_is_not_met_by_announcing_itself() {
    let mut session = session();
    let node = identity(2).node();
    session.book.trust = Trust::new([], [node], false);
    announce(&mut session);
    assert!(session.book.ledger.get(node).is_none());
    session.book.trust = Trust::default();
    announce(&mut session);
    assert!(session.book.ledger.get(node).is_some());
}
