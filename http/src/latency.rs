//! How long answers take, in histograms.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the classes, in microseconds, and how `/metrics` writes them in seconds: from a dip
/// on an idle machine to a list that had to wait.
pub(crate) const BOUNDS: [(u64, &str); 13] = [
    (50, "0.00005"),
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (1_000_000, "1"),
    (5_000_000, "5"),
];

/// Durations by class, and their sum.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// One for each of [`BOUNDS`], and one for what is longer.
    classes: [AtomicU64; BOUNDS.len() + 1],
    sum_ns: AtomicU64,
}

impl Histogram {
    pub(crate) fn add(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = BOUNDS.partition_point(|(bound, _)| *bound < us);
        self.classes[class].fetch_add(1, Relaxed);
        self.sum_ns.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// How many durations are at most as long as each bound, and in all. As Prometheus wants it, each
    /// includes the one before.
    pub(crate) fn cumulated(&self) -> [u64; BOUNDS.len() + 1] {
        let mut sum = 0;
        std::array::from_fn(|class| {
            sum += self.classes[class].load(Relaxed);
            sum
        })
    }

    /// All durations together, in seconds.
    pub(crate) fn sum_s(&self) -> f64 {
        self.sum_ns.load(Relaxed) as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_class_that_is_not_too_short_for_it() {
        let histogram = Histogram::default();
        for us in [0, 50, 51, 1_000, 9_999_999] {
            histogram.add(Duration::from_micros(us));
        }
        let cumulated = histogram.cumulated();
        assert_eq!(cumulated[..5], [2, 3, 3, 3, 4]);
        assert_eq!(cumulated[BOUNDS.len() - 1..], [4, 5]);
        assert!((histogram.sum_s() - 10.0011).abs() < 1e-6);
    }

    #[test]
    fn the_bounds_grow_and_are_written_as_they_are() {
        assert!(BOUNDS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (us, text) in BOUNDS {
            assert_eq!(text.parse::<f64>().unwrap(), us as f64 / 1e6);
        }
    }
}
