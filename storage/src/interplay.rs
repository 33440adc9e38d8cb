//! What happens when several kinds of upkeep meet, and somebody pulls the plug.

use std::time::Duration;

use crossbeam_channel::bounded;
use uuid::Uuid;

use crate::bench::Bench;
use crate::event::{EventRef, Seq, SourceKey, Time};
use crate::filter::Subject;
use crate::import::Import;
use crate::key::Key;
use crate::limits::{NS_PER_S, RETENTION_NS};
use crate::log::StoredEvent;
use crate::order::Order;
use crate::recount::recount;
use crate::rollup::{Dimension, Hour};
use crate::store::Store;
use crate::testing::event;

fn hours_of(bench: &Bench, n: u8) -> (u64, u64) {
    let store = Store(bench.writer.shared.clone());
    let hours = store.rollups(Hour(0), Hour(u32::MAX)).unwrap();
    let key = SourceKey::of(event(n).source.ip());
    let mut own = 0;
    let mut all = 0;
    for (_, hour) in hours {
        all += hour.totals.events();
        for (name, count) in hour.top(Dimension::Source).sorted() {
            if name == key.as_bytes() {
                own += count;
            }
        }
    }
    (own, all)
}

fn forget(bench: &mut Bench, n: u8) -> crate::forget::Forgotten {
    let (done, told) = bounded(1);
    let subject = Subject::Source(SourceKey::of(event(n).source.ip()));
    bench.writer.take_order(Order::Forget(subject, done));
    for _ in 0..50 {
        bench.commit();
        if let Ok(f) = told.try_recv() {
            return f;
        }
    }
    panic!()
}

#[test]
fn an_import_into_an_hour_that_has_ended_leaves_what_it_had() {
    let mut bench = Bench::new(RETENTION_NS);
    bench.writer.sweeper.rows_max = 100_000;
    let old = bench.now;
    for n in 0..10 {
        bench.ingest(&EventRef { time: old, ..event(n) });
    }
    bench.now.0 += NS_PER_S;
    bench.settle();
    bench.now.0 += 5 * 3600 * NS_PER_S;
    bench.ingest(&EventRef { time: bench.now, ..event(77) });
    bench.settle();
    assert_eq!(hours_of(&bench, 1).1, 11);
    bench.now.0 += 3 * NS_PER_S;
    let (done, told) = bounded(1);
    let e = EventRef { time: old, ..event(99) };
    let events = vec![(Uuid::from_u128(5), StoredEvent::new(Uuid::nil(), Seq(0), &e))];
    bench.writer.take_order(Order::Import(Import { name: "x".into(), place: 1, events }, done));
    bench.writer.commit(bench.db.as_ref().unwrap(), bench.now).unwrap();
    assert_eq!(told.try_recv().unwrap().taken, 1);
    for _ in 0..5 {
        bench.now.0 += 3 * NS_PER_S;
        bench.writer.commit(bench.db.as_ref().unwrap(), bench.now).unwrap();
    }
    assert_eq!(hours_of(&bench, 1), (1, 12));
}

#[test]
fn hours_are_stored_before_somebody_is_told_that_a_subject_is_forgotten() {
    let mut bench = Bench::new(u64::MAX);
    for n in 0..4 {
        bench.ingest(&EventRef { time: bench.now, ..event(n) });
    }
    bench.settle();
    bench.now.0 += 5 * 3600 * NS_PER_S;
    bench.settle();
    let f = forget(&mut bench, 1);
    assert_eq!((f.events, f.hours), (1, 1));
    bench.restart();
    bench.settle();
    assert_eq!(hours_of(&bench, 1), (0, 4));
}

#[test]
fn a_subject_without_a_row_leaves_the_hours_too() {
    let mut bench = Bench::new(60 * NS_PER_S);
    for n in 0..4 {
        bench.ingest(&EventRef { time: bench.now, ..event(n) });
    }
    bench.settle();
    bench.now.0 += 5 * 3600 * NS_PER_S;
    bench.settle();
    bench.settle();
    let f = forget(&mut bench, 1);
    assert_eq!(f.hours, 1);
    for _ in 0..100 {
        bench.now.0 += 3 * NS_PER_S;
        bench.commit();
    }
    bench.settle();
    assert_eq!(hours_of(&bench, 1).0, 0);
}

#[test]
fn a_subject_leaves_an_hour_that_is_not_stored_yet() {
    let mut bench = Bench::new(u64::MAX);
    for n in 0..4 {
        bench.ingest(&EventRef { time: bench.now, ..event(n) });
    }
    bench.commit();
    let f = forget(&mut bench, 1);
    bench.settle();
    assert_eq!((hours_of(&bench, 1).0, f.hours), (0, 1));
}

#[test]
fn what_was_erased_stays_in_the_sum_of_its_hour_over_a_kill() {
    let mut bench = Bench::new(u64::MAX);
    for n in 0..4 {
        bench.ingest(&EventRef { time: bench.now, ..event(n) });
    }
    bench.commit();
    forget(&mut bench, 1);
    bench.restart();
    bench.settle();
    assert_eq!(hours_of(&bench, 1).1, 4);
}

#[test]
fn what_had_expired_when_it_was_erased_is_in_no_count_after_a_kill() {
    let mut bench = Bench::new(600 * NS_PER_S);
    bench.writer.sweeper.rows_max = 100_000;
    for n in 0..4 {
        bench.ingest(&EventRef { time: bench.now, number: b"0011", ..event(n) });
    }
    bench.commit();
    bench.close_block();
    bench.now.0 += 550 * NS_PER_S;
    for n in 2..4 {
        bench.ingest(&EventRef { time: bench.now, number: b"0011", ..event(n) });
    }
    bench.settle();
    bench.now.0 += 60 * NS_PER_S;
    // A sweep begins in the same commit: make it slow.
    bench.writer.sweeper.rows_max = 0;
    bench.commit();
    let state = bench.writer.state;
    assert!(state.expired > state.swept, "{state:?}");
    let f = forget(&mut bench, 1);
    assert_eq!(f.events, 1);
    let state = bench.writer.state;
    assert!(state.expired > state.swept, "{state:?}");
    let r = recount(&bench.killed()).unwrap();
    assert!(r.is_exact(), "{r:?}");
}

#[test]
fn many_blocks_of_the_future_expire() {
    future(70);
}
#[test]
fn some_blocks_of_the_future_expire() {
    future(50);
}

fn future(blocks: u8) {
    let mut bench = Bench::new(600 * NS_PER_S);
    let future = Time(bench.now.0 + 86_400 * 365 * NS_PER_S);
    for n in 0..blocks {
        bench.ingest(&EventRef { time: future, ..event(n) });
        bench.commit();
        bench.close_block();
    }
    for _ in 0..20 {
        bench.now.0 += 300 * NS_PER_S;
        bench.ingest(&EventRef { time: bench.now, ..event(200) });
        bench.commit();
        bench.close_block();
        bench.settle();
    }
    bench.settle();
    assert!(bench.log().first().unwrap().0 > u64::from(blocks), "{:?}", bench.log().first());
}

#[test]
fn messages_behind_one_of_the_future_go_at_their_age() {
    let mut bench = Bench::new(u64::MAX);
    bench.options.messages_ns = 600 * NS_PER_S;
    bench.restart();
    bench.ingest(&EventRef { time: Time(bench.now.0 + 86_400 * 365 * NS_PER_S), ..event(1) });
    bench.commit();
    bench.close_block();
    for _ in 0..20 {
        bench.now.0 += 300 * NS_PER_S;
        bench.ingest(&EventRef { time: bench.now, ..event(2) });
        bench.commit();
        bench.close_block();
        bench.settle();
    }
    let left = bench.log().since(Seq(0), 100).unwrap();
    let with = left.iter().filter(|e| !e.message.is_empty()).count();
    assert!(with < 5, "{with} of {} have a message", left.len());
}

#[test]
fn an_order_after_the_end_is_refused_at_once() {
    let (shards, intake) = crate::intake::channel(1);
    let folder = tempfile::tempdir().unwrap();
    let options = crate::store::Options::new(folder.path().join("t.redb"), Uuid::nil());
    let (store, thread) = crate::run::start(options, intake);
    drop(shards);
    thread.join().unwrap();
    let subject = Subject::Source(SourceKey::of(event(1).source.ip()));
    let begin = std::time::Instant::now();
    let told = store.forget(subject, Duration::from_secs(3));
    assert_eq!(told, Err(crate::order::OrderError::Closed), "after {:?}", begin.elapsed());
}

#[test]
fn forgetting_without_filters_takes_many_commits() {
    let mut bench = Bench::new(u64::MAX);
    for n in 0..200u8 {
        bench.ingest(&EventRef { time: bench.now, ..event(n % 9) });
        bench.commit();
        bench.close_block();
    }
    bench.settle();
    {
        let write = bench.db.as_ref().unwrap().begin_write().unwrap();
        write.delete_table(crate::tables::FILTERS).unwrap();
        write.open_table(crate::tables::FILTERS).unwrap();
        write.commit().unwrap();
    }
    let (done, told) = bounded(1);
    let subject = Subject::Source(SourceKey::of(event(199).source.ip()));
    bench.writer.take_order(Order::Forget(subject, done));
    let mut commits = 0;
    while told.try_recv().is_err() {
        bench.commit();
        commits += 1;
    }
    assert!(
        commits >= 200 / crate::limits::FORGET_LOOKS_MAX,
        "{commits} commits unpacked and packed 200 blocks"
    );
}

#[test]
fn a_partial_copy_that_was_left_is_not_in_the_way() {
    let bench = Bench::new(u64::MAX);
    let to = bench.folder.path().join("copy.redb");
    std::fs::write(crate::identity::beside(&to, "partial"), "x").unwrap();
    let store = Store(bench.writer.shared.clone());
    store.backup(&to).unwrap();
}

#[test]
fn at_a_start_what_has_expired_does_not_count_for_the_size() {
    let mut bench = Bench::new(600 * NS_PER_S);
    let noise: Vec<u8> = {
        let mut x = 7u64;
        (0..60_000)
            .map(|_| {
                x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (x >> 33) as u8
            })
            .collect()
    };
    for n in 0..10u8 {
        bench.ingest(&EventRef { time: bench.now, message: &noise, method: b"", ..event(n) });
        bench.commit();
        bench.close_block();
        if n == 4 {
            bench.now.0 += 550 * NS_PER_S;
        }
    }
    bench.settle();
    let all = bench.writer.shared.stats.log_bytes.get();
    bench.options.log_bytes_max = all;
    bench.restart();
    bench.writer.sweeper.rows_max = 0;
    bench.now.0 += 60 * NS_PER_S;
    bench.commit();
    let state = bench.writer.state;
    assert!(state.expired > state.swept);
    // Five of ten blocks have expired: half of the room is free.
    bench.options.log_bytes_max = all * 6 / 10;
    bench.restart();
    bench.writer.sweeper.rows_max = 0;
    for _ in 0..5 {
        bench.commit();
    }
    let left = bench.log().since(Seq(5), 100).unwrap();
    assert!(
        left.iter().all(|e| !e.message.is_empty()),
        "{:?}",
        left.iter().map(|e| e.message.len()).collect::<Vec<_>>()
    );
}

mod any {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Event(u8, u8),
        Commit(u64),
        CloseBlock,
        Forget(u8),
        Import(u8, u64),
        Restart,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            12 => (0..6u8, 0..3u8).prop_map(|(source, number)| Step::Event(source, number)),
            8 => (0..8u64).prop_map(Step::Commit),
            3 => Just(Step::CloseBlock),
            2 => (0..6u8).prop_map(Step::Forget),
            2 => (0..6u8, 0..30u64).prop_map(|(source, age)| Step::Import(source, age)),
            1 => Just(Step::Restart),
        ]
    }

    fn commit(bench: &mut Bench) {
        bench.writer.commit(bench.db.as_ref().unwrap(), bench.now).unwrap();
        let recount = recount(&bench.killed()).unwrap();
        assert!(recount.is_exact(), "{recount:?}");
    }

    fn apply(
        bench: &mut Bench,
        step: &Step,
        told: &mut Vec<crossbeam_channel::Receiver<crate::forget::Forgotten>>,
    ) {
        match step {
            Step::Event(source, number) => {
                let number = format!("00{number}");
                bench.ingest(&EventRef {
                    time: bench.now,
                    number: number.as_bytes(),
                    ..event(*source)
                });
            }
            Step::Commit(seconds) => {
                bench.now.0 += seconds * NS_PER_S;
                commit(bench);
            }
            Step::CloseBlock => {
                commit(bench);
                bench.writer.begin_block();
            }
            Step::Forget(source) if bench.writer.takes_orders() => {
                let (done, receiver) = bounded(1);
                let subject = Subject::Source(SourceKey::of(event(*source).source.ip()));
                bench.writer.take_order(Order::Forget(subject, done));
                told.push(receiver);
            }
            Step::Import(source, age) if bench.writer.takes_orders() => {
                let (done, _) = bounded(1);
                let time = bench.now.minus_ns(age * NS_PER_S);
                let new = EventRef { time, ..event(*source) };
                let id = Uuid::from_u128(u128::from(time.0) << 8 | u128::from(*source));
                let events = vec![(id, StoredEvent::new(Uuid::nil(), Seq(0), &new))];
                let import = Import { name: "x".into(), place: 1, events };
                bench.writer.take_order(Order::Import(import, done));
            }
            Step::Forget(_) | Step::Import(..) => {}
            Step::Restart => {
                commit(bench);
                bench.committed = bench.given.len();
                bench.restart();
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn whatever_meets_all_counts_stay_exact_over_kills(
            steps in prop::collection::vec(step(), 1..60),
            retention_s in prop::sample::select(vec![15, 60, 1_000_000u64]),
            log_bytes_max in prop::sample::select(vec![u64::MAX, 40_000]),
        ) {
            let mut bench = Bench::new(retention_s * NS_PER_S);
            bench.options.log_bytes_max = log_bytes_max;
            bench.restart();
            let mut told = Vec::new();
            for step in &steps {
                apply(&mut bench, step, &mut told);
            }
            for _ in 0..20 {
                commit(&mut bench);
            }
        }
    }
}
