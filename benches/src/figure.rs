//! A figure that was measured several times: the median, and from where to where it went.

use serde_json::{Value, json};

/// The median of some repeats, with the least and the most of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The middle one; the mean of the middle two where there is an even number.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Figure {
    /// Of the repeats; none if there are none, or if one of them is no number.
    #[must_use]
    pub fn of(repeats: &[f64]) -> Option<Self> {
        let mut sorted = repeats.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        if !least.is_finite() || !most.is_finite() {
            return None;
        }
        let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Some(Self { median: low.midpoint(high), least, most })
    }

    /// What was measured once.
    #[must_use]
    pub fn once(value: f64) -> Self {
        Self { median: value, least: value, most: value }
    }

    /// As JSON: an object of the three.
    #[must_use]
    pub fn json(self) -> Value {
        json!({ "median": self.median, "least": self.least, "most": self.most })
    }

    /// For people: `741,652 (725,647 to 775,585)`; what was measured once has no brackets.
    #[must_use]
    pub fn text(self) -> String {
        let decimals = decimals(self.median);
        let shown = |value| with_commas(value, decimals);
        if self.least == self.most {
            return shown(self.median);
        }
        format!("{} ({} to {})", shown(self.median), shown(self.least), shown(self.most))
    }
}

/// Three digits that mean something, and never more decimals than that takes.
fn decimals(value: f64) -> usize {
    match value.abs() {
        v if v >= 100.0 || v == 0.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    }
}

fn with_commas(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, digits) = whole.split_at(usize::from(whole.starts_with('-')));
    let mut grouped = String::from(sign);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_between_the_least_and_the_most() {
        let odd = Figure::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!(odd, Figure { median: 2.0, least: 1.0, most: 3.0 });
        assert_eq!(Figure::of(&[4.0, 1.0]).unwrap().median, 2.5);
    }

    #[test]
    fn of_nothing_and_of_what_is_no_number_there_is_no_figure() {
        assert_eq!(Figure::of(&[]), None);
        assert_eq!(Figure::of(&[1.0, f64::NAN]), None);
        assert_eq!(Figure::of(&[1.0, f64::INFINITY]), None);
    }

    #[test]
    fn figures_are_written_with_three_digits_that_mean_something() {
        let text = |value| Figure::once(value).text();
        assert_eq!(text(1_234_567.8), "1,234,568");
        assert_eq!(text(919.4), "919");
        assert_eq!(text(57.04), "57.0");
        assert_eq!(text(2.5), "2.50");
        assert_eq!(text(0.0714), "0.071");
        assert_eq!(text(-1_000.0), "-1,000");
        assert_eq!(text(0.0), "0");
        let spread = Figure { median: 1_500.0, least: 1_000.0, most: 2_000.0 };
        assert_eq!(spread.text(), "1,500 (1,000 to 2,000)");
    }
}
