//! The simulation of `tests/it/network.rs` with as many nodes as wanted:
//!
//! ```text
//! cargo run --release -p sentrypeer-dht --example network -- [NODES] [FULL READERS] [DAYS] [OTHERS SIMULATED WHOLE]
//! ```

#[path = "../tests/it/network.rs"]
mod network;

use std::time::Instant;

use network::{Plan, report, run};

fn main() {
    let argument = |at: usize, default: usize| {
        std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (honest, full_readers) = (argument(1, 1000), argument(2, 50));
    let plan = Plan {
        honest,
        full_readers,
        light: argument(4, honest - full_readers).min(honest - full_readers),
        light_partners: 200,
        liars: honest / 50,
        sybils: honest * 3 / 10,
        silent_riders: 25,
        echo_riders: 25,
        days: argument(3, 7) as u32,
        attackers_a_day: 300,
        visits_per_mille: 300,
        victims: 200,
        lost_per_mille: 30,
        away_per_mille: 50,
        seed: 1,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let begin = Instant::now();
    let outcome = run(plan);
    println!("{}", report(&plan, &outcome, begin.elapsed().as_secs_f64()));
}
