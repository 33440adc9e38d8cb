//! Prints how long it takes to read a number, for what scanners dial and for the worst there is.
//!
//! ```text
//! cargo run --release -p sentrypeer-storage --example numbers
//! ```

use std::hint::black_box;
use std::time::Instant;

use sentrypeer_storage::event::NUMBER_BYTES_MAX;
use sentrypeer_storage::number::Target;

const READS: u32 = 20_000;
const RUNS: u32 = 20;

fn main() {
    let dialled = [
        "981046500729221",
        "901146500729221",
        "0046500729221",
        "+46500729221",
        "46500729221",
        "00972592345678",
        "12025550123",
        "100",
    ];
    for number in dialled {
        measure(number, number.as_bytes());
    }
    let most = |pattern: &str| pattern.repeat(NUMBER_BYTES_MAX)[..NUMBER_BYTES_MAX].to_owned();
    // The last has separators to take out and a prefix at every place that is looked at.
    for pattern in ["0", "9", "00810011", "8", "x", "1;", "0-"] {
        measure(&format!("{pattern}... ({NUMBER_BYTES_MAX})"), most(pattern).as_bytes());
    }
}

/// The fastest of some runs: whatever else the machine does only makes one slower.
fn measure(name: &str, number: &[u8]) {
    let ns = (0..RUNS).map(|_| run_ns(number)).min().unwrap_or_default() / u128::from(READS);
    let read = Target::read(number).map_or("-".to_owned(), |target| target.to_string());
    println!("{ns:>6} ns  {name:<24} {read}");
}

fn run_ns(number: &[u8]) -> u128 {
    let start = Instant::now();
    for _ in 0..READS {
        black_box(Target::read(black_box(number)));
    }
    start.elapsed().as_nanos()
}
