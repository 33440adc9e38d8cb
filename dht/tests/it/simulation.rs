//! What becomes of a network of many nodes.

use std::time::Instant;

use crate::network::{Outcome, Plan, quantile, report, run};

/// The whole network when optimised, a tenth of it otherwise.
fn plan() -> Plan {
    let whole = Plan {
        honest: 1000,
        full_readers: 50,
        light: 950,
        light_partners: 200,
        liars: 20,
        sybils: 300,
        silent_riders: 25,
        echo_riders: 25,
        days: 7,
        attackers_a_day: 120,
        visits_per_mille: 300,
        victims: 200,
        lost_per_mille: 30,
        away_per_mille: 50,
        seed: 1,
        threads: 2,
    };
    if cfg!(debug_assertions) {
        let part = Plan { honest: 100, full_readers: 10, light: 90, liars: 4, sybils: 30, ..whole };
        Plan {
            silent_riders: 5,
            echo_riders: 5,
            attackers_a_day: 100,
            visits_per_mille: 500,
            ..part
        }
    } else {
        whole
    }
}

fn part(outcome: &Outcome, name: &str) -> u64 {
    outcome.readable.iter().find(|(who, _)| *who == name).map_or(0, |(_, part)| *part)
}

#[test]
fn a_network_learns_blocks_nobody_falsely_and_tells_nothing_to_who_is_silent() {
    let (plan, begin) = (plan(), Instant::now());
    let outcome = run(plan);
    println!("{}", report(&plan, &outcome, begin.elapsed().as_secs_f64()));
    assert_eq!(outcome.false_blocks, 0, "nobody innocent is listed anywhere");
    let share = outcome.known_s.len() * 100 / outcome.tracked;
    assert!(share >= 70, "{share} % of the attackers became known to nearly all");
    assert!(quantile(&outcome.known_s, 500) < 12 * 3600, "half of them within hours");
    assert_eq!(part(&outcome, "silent riders"), 0, "who publishes nothing is granted nothing");
    let by_day = &outcome.readable_by_day;
    assert!(by_day.last() > by_day.first(), "more read each other every day: {by_day:?}");
    assert!(outcome.hottest_key_bytes < 64 * 1024, "no key carries more than it can");
}
