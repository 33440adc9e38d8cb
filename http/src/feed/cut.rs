//! Which entries stay where there are too many: those with the highest scores.

/// Where the cut is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cut {
    /// How many entries stay.
    pub(super) kept: usize,
    /// How many do not.
    pub(super) left_out: usize,
    /// Entries above it are in.
    score: f64,
    /// So many of those with just this score are in too.
    ties: usize,
}

impl Cut {
    /// Counts what `scores` gives, and looks at the scores only when there are more than `max`, which
    /// is at least 1.
    pub(super) fn at<I: Iterator<Item = f64>>(max: usize, scores: impl Fn() -> I) -> Self {
        let all = scores().count();
        if all <= max {
            return Self { kept: all, left_out: 0, score: f64::NEG_INFINITY, ties: 0 };
        }
        let mut scores: Vec<f64> = scores().collect();
        let (above, score, _) = scores.select_nth_unstable_by(max - 1, |a, b| b.total_cmp(a));
        let score = *score;
        let ties = max - above.iter().filter(|other| **other > score).count();
        Self { kept: max, left_out: all - max, score, ties }
    }

    /// Whether the next entry, with this score, is in.
    pub(super) fn takes(&mut self, score: f64) -> bool {
        if score == self.score && self.ties > 0 {
            self.ties -= 1;
            return true;
        }
        score > self.score
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(max: usize, scores: &[f64]) -> (Vec<f64>, usize) {
        let mut cut = Cut::at(max, || scores.iter().copied());
        let left_out = cut.left_out;
        let kept = scores.iter().copied().filter(|score| cut.takes(*score));
        (kept.collect(), left_out)
    }

    #[test]
    fn what_does_not_fit_is_left_out_by_score() {
        assert_eq!(kept(2, &[1.0, 3.0, 2.0]), (vec![3.0, 2.0], 1));
        assert_eq!(kept(3, &[1.0, 3.0, 2.0]), (vec![1.0, 3.0, 2.0], 0));
    }

    #[test]
    fn entries_of_one_score_are_cut_to_the_bound_too() {
        assert_eq!(kept(2, &[1.0, 1.0, 1.0]), (vec![1.0, 1.0], 1));
        assert_eq!(kept(2, &[1.0, 5.0, 1.0]), (vec![1.0, 5.0], 1));
    }
}
