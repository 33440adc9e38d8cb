//! What a session does with what others give it, hostile or not.

use sentrypeer_storage::event::Verification;

use super::*;
use crate::epoch::{Day, Sequence};
use crate::keys::DayKey;
use crate::limits::{BATCHES_MAX, KEY_VALUES_MAX, VALUE_LIFETIME_S};
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
    session.reader.granted(&grant, today(), |_| false);
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

#[test]
fn one_node_has_no_more_halves_than_batches_and_its_chunks_wait_behind_saves() {
    let mut session = session();
    for n in 0..20 {
        hear(&mut session, &batch(n, 300));
    }
    assert_eq!(session.half_read.len(), BATCHES_MAX);
    assert_eq!(session.counts.half_read_dropped, 20 - BATCHES_MAX as u64);
    let is_chunk = |action: &Action| matches!(action, Action::Get(Tag::Chunk { .. }, _));
    assert!(std::iter::from_fn(|| session.next_action()).all(|action| !is_chunk(&action)));
    let Some(Action::Get(tag, _)) = session.next_get() else { panic!("a chunk") };
    session.got(tag);
    assert_eq!(session.half_read.len(), BATCHES_MAX - 1, "it was not there");
    let Tag::Chunk { half: gone, .. } = tag else { panic!("a chunk") };
    let chunks: Vec<Action> = std::iter::from_fn(|| session.next_get()).collect();
    assert!(chunks.iter().any(is_chunk));
    let is_of_gone = |tag: &Tag| matches!(tag, Tag::Chunk { half, .. } if *half == gone);
    assert!(!chunks.iter().any(|a| matches!(a, Action::Get(tag, _) if is_of_gone(tag))));
}

#[test]
fn chunks_count_among_the_gets_of_an_epoch() {
    let mut session = session();
    while session.reader.may_get_more() {}
    hear(&mut session, &batch(0, 300));
    assert_eq!(session.next_get(), None);
    assert_eq!((session.half_read.len(), session.counts.half_read_dropped), (0, 1));
}

fn legacy_producer() -> sentrypeer_storage::event_json::Producer {
    let (app_name, app_version) = ("sentrypeer".into(), "0.1.0".into());
    sentrypeer_storage::event_json::Producer { app_name, app_version, node_id: Uuid::nil() }
}

#[test]
fn what_lay_on_the_old_key_is_forgotten_even_if_its_end_was_not_heard() {
    let mut session = session();
    let (policy, producer) = (Policy::default(), legacy_producer());
    for id in 0..KEY_VALUES_MAX as u64 {
        session.legacy_value(b"{}", id, false, &policy, NOW);
    }
    let event = crate::testing::stored_event("1.2.3.4:5", Verification::Connected, 1);
    let mut given_at = |now_s| {
        session.own_event(&event, &producer, &policy, now_s);
        session.counts.legacy_given
    };
    assert_eq!(given_at(NOW + VALUE_LIFETIME_S - 1), 0, "the key is full");
    assert_eq!(given_at(NOW + VALUE_LIFETIME_S), 1);
}
