//! The writer, killed and started at will.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::aggregate::Row;
use crate::arena::Arena;
use crate::bench::{Bench, seen_in};
use crate::event::{EventRef, SourceKey};
use crate::event::{Transport, Verification};
use crate::key::{AgentKey, Key};
use crate::limits::{AGENTS_MAX, BLOCK_RAW_BYTES, CLOCK_JUMP_NS, NS_PER_S, PROVEN_FACTOR};
use crate::load;
use crate::recount::recount;
use crate::shed::Load;
use crate::snapshot::Table;
use crate::testing::{START, event};

#[derive(Clone, Debug)]
enum Step {
    /// An event of this source and number, so old.
    Event(u8, u8, u64),
    /// So many events of this source that are only counted.
    Repeat(u8, u64),
    /// A commit so long after the one before.
    Commit(u64),
    /// The begin of one; it ends when the next begins, or never.
    Begin(u64),
    /// Kill -9. What is under way has been stored, or not.
    Restart(bool),
}

impl Step {
    /// Whether all that was given is committed then.
    fn settles(&self) -> bool {
        matches!(self, Self::Commit(_) | Self::Restart(_))
    }
}

fn step(wait_max: u64) -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..6u8, 0..4u8, 0..3u64).prop_map(|(s, n, age)| Step::Event(s, n, age)),
        3 => (0..6u8, 1..1000u64).prop_map(|(s, count)| Step::Repeat(s, count)),
        4 => (0..wait_max).prop_map(Step::Commit),
        4 => (0..wait_max).prop_map(Step::Begin),
        1 => any::<bool>().prop_map(Step::Restart),
    ]
}

fn apply(bench: &mut Bench, step: &Step) {
    match step {
        Step::Event(source, number, age) => {
            let time = bench.now.minus_ns(age * NS_PER_S);
            let verification = Verification::ALL[usize::from(source % 5)];
            let numbers: [&[u8]; 4] = [b"", b"100", b"+44 20", b"0044"];
            let number = numbers[usize::from(*number)];
            bench.ingest(&EventRef { time, verification, number, ..event(*source) });
        }
        Step::Repeat(source, count) => {
            let (time, transport) = (bench.now, Transport::ALL[usize::from(source % 3)]);
            bench.ingest_repeat(&EventRef { time, transport, ..event(*source) }, *count);
        }
        Step::Commit(wait) => {
            bench.now.0 += wait * NS_PER_S;
            bench.commit();
        }
        Step::Begin(wait) => {
            bench.now.0 += wait * NS_PER_S;
            bench.begin_commit();
        }
        Step::Restart(is_stored) => {
            if *is_stored {
                bench.store_unheard();
            }
            bench.restart();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn counts_are_exact_over_kills_at_any_commit_with_slices_of_two_rows(
        steps in prop::collection::vec(step(4), 1..60),
    ) {
        let mut bench = Bench::new(u64::MAX);
        for step in &steps {
            apply(&mut bench, step);
            if !step.settles() {
                continue;
            }
            bench.check();
            let snapshot = bench.snapshot();
            prop_assert!(snapshot.sources.iter().all(|(_, row)| row.seen.since > Seq(0)));
            // Without retention a row counts every event of its key.
            let counted: u64 = snapshot.sources.iter().map(|(_, row)| row.seen.count).sum();
            prop_assert_eq!(counted, bench.weight(bench.committed));
        }
        bench.commit();
        let before = bench.snapshot();
        bench.restart();
        let after = bench.snapshot();
        prop_assert_eq!(seen_in(&before.sources), seen_in(&after.sources));
        prop_assert_eq!(seen_in(&before.numbers), seen_in(&after.numbers));
        prop_assert_eq!(seen_in(&before.agents), seen_in(&after.agents));
        prop_assert!(after.generation > before.generation);
        let recount = recount(&bench.killed()).unwrap();
        prop_assert!(recount.is_exact(), "{:?}", recount);
        prop_assert_eq!(recount.events, bench.weight(bench.committed));
    }

    #[test]
    fn counts_are_exact_while_events_and_rows_expire(
        steps in prop::collection::vec(step(40), 1..80),
    ) {
        let mut bench = Bench::new(60 * NS_PER_S);
        for step in &steps {
            apply(&mut bench, step);
            if step.settles() {
                bench.check();
            }
        }
        bench.commit();
        let recount = recount(&bench.killed()).unwrap();
        prop_assert!(recount.is_exact(), "{:?}", recount);
    }
}

#[test]
fn what_was_not_committed_is_gone_after_a_kill() {
    let mut bench = Bench::new(u64::MAX);
    (1..=5).for_each(|n| bench.ingest(&event(n)));
    bench.commit();
    bench.ingest(&event(6));
    bench.restart();
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.sources.len(), snapshot.numbers.len()), (5, 1));
    bench.check();
}

#[test]
fn an_event_of_a_source_before_between_and_after_the_slices_of_a_sweep_counts_once() {
    let mut bench = Bench::new(u64::MAX);
    for round in 0..20 {
        (1..=4).for_each(|n| bench.ingest(&event(n)));
        bench.ingest(&event(3));
        bench.now.0 += NS_PER_S;
        bench.commit();
        if round % 9 == 8 {
            bench.restart();
        }
        bench.check();
    }
    let key = SourceKey::of(event(3).source.ip());
    assert_eq!(bench.snapshot().sources.get(&key).unwrap().seen.count, 40);
    assert!(bench.writer.state.watermark > Seq(0));
}

#[test]
fn what_expires_while_a_sweep_is_under_way_is_taken_out_once() {
    let mut bench = Bench::new(60 * NS_PER_S);
    let at = |n: u8, bench: &Bench| EventRef { time: bench.now, ..event(n) };
    let bucket = |n: u8| {
        let key = SourceKey::of(event(n).source.ip());
        bench.snapshot().sources.bucket_key().bucket_of(key.as_bytes())
    };
    // The source whose row is written first by a sweep.
    let first = (1..20).min_by_key(|n| bucket(*n)).unwrap();
    bench.ingest(&at(first, &bench));
    bench.settle();
    bench.now.0 += 30 * NS_PER_S;
    bench.commit();
    assert_eq!(bench.writer.open.first, Seq(2), "the old block is closed");
    (1..20).for_each(|n| bench.ingest(&at(n, &bench)));
    bench.commit();
    assert!(bench.writer.sweeper.is_active(), "the row of the first source is written now");
    bench.now.0 = START.0 + 61 * NS_PER_S;
    bench.commit();
    assert_eq!(bench.writer.state.expired, Seq(1));
    while bench.writer.sweeper.is_active() {
        bench.commit();
    }
    bench.restart();
    bench.check();
    let key = SourceKey::of(event(first).source.ip());
    assert_eq!(bench.snapshot().sources.get(&key).unwrap().seen.count, 1);
    assert!(recount(&bench.killed()).unwrap().is_exact());
}

#[test]
fn an_idle_writer_commits_nothing_and_publishes_nothing() {
    let mut bench = Bench::new(u64::MAX);
    (1..=5).for_each(|n| bench.ingest(&event(n)));
    bench.commit();
    bench.settle();
    let commits = bench.writer.shared.stats.commits.get();
    let before = bench.snapshot();
    for _ in 0..5 {
        bench.now.0 += 10 * NS_PER_S;
        bench.commit();
    }
    assert_eq!(bench.writer.shared.stats.commits.get(), commits);
    assert_eq!(bench.snapshot().generation, before.generation);
    bench.restart();
    assert_eq!(load::load(bench.db.as_ref().unwrap()).unwrap().replayed, 0);
}

#[test]
fn everything_leaves_the_log_and_the_tables_in_the_end_and_sequences_go_on() {
    let mut bench = Bench::new(60 * NS_PER_S);
    for n in 1..=50 {
        bench.ingest(&EventRef { time: bench.now, ..event(n) });
        bench.now.0 += NS_PER_S;
        bench.commit();
    }
    assert_eq!(bench.log().first().unwrap(), Seq(1));
    bench.now.0 += 120 * NS_PER_S;
    bench.settle();
    bench.settle();
    let snapshot = bench.snapshot();
    assert!(snapshot.sources.is_empty() && snapshot.numbers.is_empty());
    assert_eq!(snapshot.totals.expired, 50);
    assert_eq!(bench.log().first().unwrap(), Seq(51));
    assert!(bench.log().since(Seq(0), 10).unwrap().is_empty());
    bench.restart();
    bench.ingest(&event(9));
    bench.commit();
    assert_eq!(bench.log().last().unwrap(), Seq(51));
    assert_eq!(bench.log().since(Seq(0), 10).unwrap()[0].seq, Seq(51));
    assert!(recount(&bench.killed()).unwrap().is_exact());
}

#[test]
fn each_start_shows_a_new_generation_although_nothing_happens() {
    let mut bench = Bench::new(u64::MAX);
    bench.ingest(&event(1));
    bench.commit();
    bench.settle();
    for _ in 0..3 {
        let before = bench.snapshot().generation;
        bench.restart();
        assert!(bench.writer.is_busy() && bench.snapshot().generation > before);
        bench.commit();
    }
}

#[test]
fn times_in_the_future_hold_up_nothing_for_long() {
    let mut bench = Bench::new(60 * NS_PER_S);
    let future = Time(bench.now.0 + 10 * 365 * 86_400 * NS_PER_S);
    let (verification, time) = (Verification::Connected, future);
    bench.ingest(&EventRef { time, verification, ..event(1) });
    bench.commit();
    bench.close_block();
    bench.ingest(&EventRef { time: bench.now, ..event(2) });
    bench.settle();
    let key = SourceKey::of(event(1).source.ip());
    let row = |bench: &Bench| bench.snapshot().sources.get(&key).cloned();
    assert!(row(&bench).unwrap().seen.last.0 <= bench.now.0 + CLOCK_JUMP_NS);
    bench.restart();
    assert!(row(&bench).unwrap().verified_at(verification).unwrap() < future);
    bench.now.0 += 3600 * NS_PER_S;
    bench.ingest(&EventRef { time: bench.now, ..event(3) });
    bench.settle();
    bench.settle();
    assert_eq!(bench.log().first().unwrap(), Seq(3), "what came after it has expired");
    bench.now.0 += 3600 * NS_PER_S;
    bench.settle();
    assert!(row(&bench).is_none());
    assert!(recount(&bench.killed()).unwrap().is_exact());
}

#[derive(Clone, Debug)]
enum Filling {
    /// An event of this source, proven or not.
    Event(u8, bool),
    Commit,
    Restart,
}

fn filling() -> impl Strategy<Value = Filling> {
    prop_oneof![
        20 => (0..60u8, prop::bool::weighted(0.2)).prop_map(|(s, p)| Filling::Event(s, p)),
        6 => Just(Filling::Commit),
        1 => Just(Filling::Restart),
    ]
}

/// The keys of a table's proven rows.
fn proven_in<K: Key, R: Row>(table: &Table<K, R>) -> Vec<K> {
    table.iter().filter(|(_, row)| row.is_proven()).map(|(key, _)| key.clone()).collect()
}

/// Each row counts the events of its key since it began, and with those that left they are all.
fn check_full(bench: &Bench, before: &Snapshot) {
    let snapshot = bench.snapshot();
    let max = bench.rows_max.unwrap();
    let (len, proven) = (snapshot.sources.len(), proven_in(&snapshot.sources));
    assert!(proven.len() < max * PROVEN_FACTOR, "{} are proven", proven.len());
    assert!(len - proven.len() <= max.saturating_sub(proven.len()).max(1), "{len} rows");
    if proven.len() < max * PROVEN_FACTOR - 1 {
        let stayed = |key: &SourceKey| snapshot.sources.get(key).is_some();
        assert!(proven_in(&before.sources).iter().all(stayed), "a proven source had to go");
    }
    let events = &bench.given[..bench.committed];
    for (key, row) in snapshot.sources.iter() {
        let of_key = events.iter().filter(|event| SourceKey::of(event.source.ip()) == *key);
        let counted = of_key.filter(|event| event.seq >= row.seen.since).count();
        assert_eq!(row.seen.count, counted as u64, "{key:?}");
    }
    let all = bench.committed as u64;
    let sum = |counts: &mut dyn Iterator<Item = u64>| counts.sum::<u64>();
    let sources = sum(&mut snapshot.sources.iter().map(|(_, row)| row.seen.count));
    let agents = sum(&mut snapshot.agents.iter().map(|(_, row)| row.seen.count));
    let evicted = snapshot.totals.evicted;
    assert_eq!((sources + evicted[0], agents + evicted[2]), (all, all));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_left_a_full_table_is_counted_once_and_no_start_brings_it_back(
        steps in prop::collection::vec(filling(), 1..150),
        rows_max in 2..12usize,
    ) {
        let mut bench = Bench::with_rows(rows_max);
        let mut before = bench.snapshot();
        for step in &steps {
            match step {
                Filling::Event(source, proven) => {
                    let verification = Verification::ALL[usize::from(*proven) * 3];
                    let user_agent = format!("agent {}", source / 2);
                    let user_agent = user_agent.as_bytes();
                    bench.now.0 += NS_PER_S / 100;
                    let time = bench.now;
                    let event = EventRef { time, verification, user_agent, ..event(*source) };
                    bench.ingest(&event);
                    continue;
                }
                Filling::Commit => bench.commit(),
                Filling::Restart => {
                    let kept = bench.snapshot();
                    bench.restart();
                    let again = bench.snapshot();
                    prop_assert_eq!(seen_in(&kept.sources), seen_in(&again.sources));
                    prop_assert_eq!(seen_in(&kept.agents), seen_in(&again.agents));
                    prop_assert_eq!(&kept.totals, &again.totals);
                }
            }
            check_full(&bench, &before);
            before = bench.snapshot();
        }
        bench.commit();
        let recount = recount(&bench.killed()).unwrap();
        prop_assert!(recount.is_exact(), "{:?}", recount);
    }
}

#[test]
fn a_row_that_left_with_proven_ones_of_its_bucket_is_not_stored() {
    let mut bench = Bench::with_rows(2);
    let bucket_key = bench.snapshot().agents.bucket_key();
    let bucket_of = |n: u32| bucket_key.bucket_of(format!("agent {n}").as_bytes());
    // User agents of one bucket: the commit takes out a proven one first, which stores the others
    // of the bucket, and then unproven ones.
    let agents: Vec<u32> = (0..).filter(|n| bucket_of(*n) == bucket_of(0)).take(12).collect();
    let call = |bench: &mut Bench, agent: u32, is_proven: bool| {
        bench.now.0 += NS_PER_S / 100;
        let user_agent = format!("agent {agent}");
        let verification = Verification::ALL[usize::from(is_proven) * 3];
        let (time, user_agent) = (bench.now, user_agent.as_bytes());
        bench.ingest(&EventRef { time, verification, user_agent, ..event(1) });
    };
    for (at, agent) in agents.iter().enumerate() {
        call(&mut bench, *agent, at >= 6);
    }
    bench.commit();
    assert!(bench.snapshot().agents.len() <= 2 * PROVEN_FACTOR);
    call(&mut bench, agents[0], false);
    bench.commit();
    let before = bench.snapshot();
    let key = AgentKey::of(format!("agent {}", agents[0]).as_bytes());
    assert_eq!(before.agents.get(&key).unwrap().seen.count, 1);
    bench.restart();
    assert_eq!(seen_in(&before.agents), seen_in(&bench.snapshot().agents));
}

#[test]
fn rows_leave_a_full_table_while_their_events_expire_and_all_counts_stay_exact() {
    let mut bench = Bench { rows_max: Some(3), ..Bench::new(60 * NS_PER_S) };
    bench.limit_rows();
    for n in 0..200u8 {
        let time = bench.now;
        bench.ingest(&EventRef { time, ..event(n % 11) });
        bench.ingest(&EventRef { time, ..event(n % 5) });
        bench.now.0 += 2 * NS_PER_S;
        bench.commit();
        if n % 23 == 0 {
            bench.restart();
        }
        let recount = recount(&bench.killed()).unwrap();
        assert!(recount.is_exact(), "{recount:?}");
    }
    assert!(bench.snapshot().totals.evicted[0] > 100);
    assert!(bench.snapshot().totals.expired > 100);
}

#[test]
fn a_flood_of_new_user_agents_leaves_a_full_table_full() {
    let mut bench = Bench::new(u64::MAX);
    for n in 0..AGENTS_MAX + 3000 {
        let user_agent = format!("agent {n}");
        let time = Time(START.0 + n as u64);
        bench.ingest(&EventRef { time, user_agent: user_agent.as_bytes(), ..event(1) });
    }
    bench.commit();
    let snapshot = bench.snapshot();
    let (rows, gone) = (snapshot.agents.len(), snapshot.totals.evicted[2] as usize);
    assert_eq!(rows + gone, AGENTS_MAX + 3000);
    assert!(rows <= AGENTS_MAX && rows > AGENTS_MAX * 99 / 100, "{rows}");
    let is_there =
        |n: usize| snapshot.agents.get(&AgentKey::of(format!("agent {n}").as_bytes())).is_some();
    assert!((AGENTS_MAX..AGENTS_MAX + 3000).all(is_there), "a newcomer is not listed");
    let old = (0..AGENTS_MAX / 2).filter(|n| is_there(*n)).count();
    assert!(old >= AGENTS_MAX / 2 - gone, "{old}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_is_shed_each_source_is_counted_exactly_over_kills_and_expiry(
        arenas in prop::collection::vec(
            (prop::collection::vec(prop_oneof![4 => 0..2u8, 1 => 0..30u8], 1..120), 0..3usize, 0..40u64, any::<bool>()),
            1..12,
        ),
        expires: bool,
    ) {
        let retention_ns = if expires { 60 * NS_PER_S } else { u64::MAX };
        let mut bench = Bench::new(retention_ns);
        let (mut arena, mut sent) = (Arena::new(0), 0);
        for (sources, load, wait, kill) in &arenas {
            arena.clear();
            for source in sources {
                arena.push(&EventRef { time: bench.now, ..event(*source) }).unwrap();
            }
            let load = [Load::Light, Load::Laden, Load::Overloaded][*load];
            bench.writer.ingest(&arena, load);
            sent += sources.len() as u64;
            bench.now.0 += wait * NS_PER_S;
            bench.writer.commit(bench.db.as_ref().unwrap(), bench.now).unwrap();
            if *kill {
                let before = bench.snapshot();
                bench.restart();
                // A start may count for a row again what left with an older row for its age.
                let after = bench.snapshot();
                prop_assert!(expires || seen_in(&before.sources) == seen_in(&after.sources));
            }
            let snapshot = bench.snapshot();
            prop_assert_eq!(snapshot.totals.events(), sent);
            let recount = recount(&bench.killed()).unwrap();
            prop_assert!(recount.is_exact(), "{:?}", recount);
            if !expires {
                let counts = snapshot.sources.iter().map(|(_, row)| row.seen.count);
                prop_assert_eq!((counts.sum::<u64>(), recount.events), (sent, sent));
            }
        }
    }
}

#[test]
fn under_load_the_heaviest_lose_their_messages_and_then_their_events_but_no_count() {
    let mut bench = Bench::new(u64::MAX);
    let mut model: BTreeMap<SourceKey, u64> = BTreeMap::new();
    let (mut arena, mut sent) = (Arena::new(0), 0);
    for (round, load) in
        [Load::Light, Load::Laden, Load::Overloaded, Load::Light].into_iter().enumerate()
    {
        arena.clear();
        // A flood from one source, and 200 others with one call each.
        for n in 0..1000u32 {
            let other = 0xc633_6400 + round as u32 * 1000 + n;
            let from = if n % 5 == 0 { other } else { 7 };
            let number = format!("00{other}");
            let source = (std::net::Ipv4Addr::from_bits(from), 5060).into();
            arena.push(&EventRef { source, number: number.as_bytes(), ..event(1) }).unwrap();
            *model.entry(SourceKey::of(source.ip())).or_default() += 1;
            sent += 1;
        }
        bench.writer.ingest(&arena, load);
        assert_eq!(bench.writer.pending_events(), 1000);
        bench.writer.commit(bench.db.as_ref().unwrap(), bench.now).unwrap();
    }
    let counts = |snapshot: &Snapshot| -> BTreeMap<SourceKey, u64> {
        snapshot.sources.iter().map(|(key, row)| (*key, row.seen.count)).collect()
    };
    let snapshot = bench.snapshot();
    assert_eq!(counts(&snapshot), model);
    assert_eq!(
        (snapshot.totals.events(), bench.writer.shared.stats.events_stored.get()),
        (sent, sent)
    );
    let stats = &bench.writer.shared.stats;
    assert_eq!(stats.messages_shed.get(), 800 - 15, "the first of a source stay whole");
    assert_eq!(stats.events_repeated.get(), snapshot.totals.repeated);
    assert_eq!(snapshot.totals.repeated, 800);
    let log: Vec<_> = bench.log().since(Seq(0), 10_000).unwrap();
    assert_eq!(log.len(), 3200);
    let of_others = log
        .iter()
        .filter(|stored| stored.source.ip() != "0.0.0.7".parse::<std::net::IpAddr>().unwrap());
    assert_eq!(of_others.clone().count(), 800);
    assert!(of_others.clone().all(|stored| !stored.message.is_empty()));
    let bare: Vec<_> = log.iter().filter(|stored| stored.message.is_empty()).collect();
    assert_eq!(bare.len() as u64, stats.messages_shed.get());
    assert!(bare.iter().all(|stored| *stored.method == *b"INVITE" && stored.number.len() > 2));
    bench.restart();
    assert_eq!(counts(&bench.snapshot()), model);
    let recount = recount(&bench.killed()).unwrap();
    assert!(recount.is_exact() && recount.events == sent, "{recount:?}");
}

#[test]
fn the_sources_have_changed_when_one_expires() {
    let mut bench = Bench::new(60 * NS_PER_S);
    bench.ingest(&EventRef { time: bench.now, ..event(1) });
    bench.commit();
    let before = bench.snapshot();
    bench.now.0 += 61 * NS_PER_S;
    bench.commit();
    let after = bench.snapshot();
    assert!(after.sources.is_empty());
    assert!(after.sources_changed > before.sources_changed);
    assert_eq!(after.sources_changed, after.generation);
}

#[test]
fn the_last_block_grows_over_commits_and_large_ones_are_split() {
    let mut bench = Bench::new(u64::MAX);
    for n in 0..40 {
        bench.ingest(&event(n));
        bench.commit();
    }
    assert_eq!(bench.writer.open.first, Seq(1), "40 commits share one block");
    // What does not compress: more than one value, and more than one block.
    let mut noise = 1u64;
    for _ in 0..(3 * BLOCK_RAW_BYTES / 60_000) {
        let message: Vec<u8> = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (noise >> 33) as u8
        })
        .take(60_000)
        .collect();
        bench.ingest(&EventRef { message: &message, method: b"", ..event(7) });
    }
    bench.commit();
    let (mut after, mut seen) = (Seq(0), Vec::new());
    while let Some(last) = bench.log().since(after, 7).unwrap().last() {
        seen.extend(bench.log().since(after, 7).unwrap());
        after = last.seq;
    }
    assert_eq!(seen, bench.given);
}

#[test]
fn a_reader_gets_the_events_after_its_cursor() {
    let mut bench = Bench::new(u64::MAX);
    (0..10).for_each(|n| bench.ingest(&event(n)));
    bench.commit();
    let log = bench.log();
    assert_eq!(log.since(Seq(4), 3).unwrap(), bench.given[4..7]);
    assert!(log.since(Seq(10), 3).unwrap().is_empty());
    assert!(log.since(Seq(0), 0).unwrap().is_empty());
    assert_eq!(log.last().unwrap(), Seq(10));
}

#[test]
fn no_order_is_taken_on_between_the_begin_of_a_commit_and_its_end() {
    let mut bench = Bench::new(u64::MAX);
    bench.ingest(&event(1));
    bench.begin_commit();
    assert!(!bench.writer.takes_orders() && bench.writer.may_run_ahead());
    bench.ingest(&event(1));
    bench.end_commit();
    assert!(bench.writer.takes_orders());
}
