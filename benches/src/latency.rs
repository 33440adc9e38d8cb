//! How long many things took, without keeping each.

use std::time::Duration;

/// Places for each doubling: a value is told within 3 %.
const STEPS: u32 = 32;
const PLACES: usize = (64 * STEPS) as usize;

/// Counts of durations, by their logarithm.
#[derive(Clone)]
pub struct Latencies {
    counts: Vec<u64>,
}

/// What there is to say of them, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// How many.
    pub count: u64,
    /// The median.
    pub p50_us: f64,
    /// Of a hundred, one took longer.
    pub p99_us: f64,
    /// Of a thousand, one took longer.
    pub p999_us: f64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: vec![0; PLACES] }
    }
}

impl Latencies {
    /// One more.
    pub fn add(&mut self, took: Duration) {
        self.counts[place(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX))] += 1;
    }

    /// Those of `other` too.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
    }

    /// What there is to say; zeros if there are none.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let count = self.counts.iter().sum();
        let at = |part: f64| self.at((count as f64 * part) as u64);
        Summary { count, p50_us: at(0.5), p99_us: at(0.99), p999_us: at(0.999) }
    }

    /// The time, in microseconds, that `rank` of them did not reach.
    fn at(&self, rank: u64) -> f64 {
        let mut before = 0;
        for (place, count) in self.counts.iter().enumerate() {
            before += count;
            if before > rank {
                return value(place) / 1_000.0;
            }
        }
        0.0
    }
}

fn place(ns: u64) -> usize {
    if ns < u64::from(STEPS) {
        return ns as usize;
    }
    let doublings = ns.ilog2() - STEPS.ilog2();
    // From STEPS to twice that: the leading bits of it.
    let lead = ns >> doublings;
    (doublings * STEPS) as usize + lead as usize
}

/// The middle of a place, in nanoseconds.
fn value(place: usize) -> f64 {
    if place < STEPS as usize {
        return place as f64;
    }
    let doublings = place / STEPS as usize - 1;
    let lead = place - doublings * STEPS as usize;
    (lead as f64 + 0.5) * 2f64.powi(i32::try_from(doublings).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_within_3_percent() {
        for ns in [1, 31, 32, 33, 63, 64, 65, 1_000, 123_456, 98_765_432, 10_000_000_000_u64] {
            let told = value(place(ns));
            assert!((told - ns as f64).abs() <= (ns as f64 * 0.03).max(0.5), "{ns}: {told}");
        }
        assert!(place(u64::MAX) < PLACES);
    }

    #[test]
    fn percentiles_are_of_all_that_were_added() {
        let mut times = Latencies::default();
        assert_eq!(times.summary(), Summary { count: 0, p50_us: 0.0, p99_us: 0.0, p999_us: 0.0 });
        let mut others = Latencies::default();
        (0..990).for_each(|_| times.add(Duration::from_micros(100)));
        (0..10).for_each(|_| others.add(Duration::from_millis(10)));
        times.merge(&others);
        let told = times.summary();
        assert_eq!(told.count, 1_000);
        assert!((97.0..103.0).contains(&told.p50_us), "{told:?}");
        assert!((9_700.0..10_300.0).contains(&told.p99_us), "{told:?}");
        assert!((9_700.0..10_300.0).contains(&told.p999_us), "{told:?}");
    }
}
