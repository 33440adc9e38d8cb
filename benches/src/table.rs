//! The table of a whole run: what was measured, the limit that was measured beside it, and what is
//! wanted. Pure; as text for a terminal, as Markdown, and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::figure::Figure;

/// What is wanted of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// The figure is to be at least this.
    AtLeast(f64),
    /// The figure is to be at most this.
    AtMost(f64),
    /// The ratio to the limit is to be at least this.
    RatioAtLeast(f64),
    /// The ratio to the limit is to be at most this.
    RatioAtMost(f64),
}

/// One figure with what belongs to it.
#[derive(Clone, Debug)]
pub struct Row {
    /// The part of the program: `parser`, `UDP`, ...
    pub part: &'static str,
    /// What was measured.
    pub what: String,
    /// The unit of the figure and of its limit.
    pub unit: &'static str,
    /// The figure.
    pub figure: Figure,
    /// What the limit is, and its figure in the same run; the ratios, repeat by repeat, are of the
    /// figure to it.
    pub limit: Option<Limit>,
    /// What is wanted.
    pub goal: Option<Goal>,
    /// What to know about it, such as that the machine was busy.
    pub note: String,
}

/// What stands beside a figure.
#[derive(Clone, Debug)]
pub struct Limit {
    /// What it is.
    pub name: &'static str,
    /// Its figure.
    pub figure: Figure,
    /// The figure divided by it, repeat by repeat.
    pub ratio: Figure,
}

impl Limit {
    /// Pairs each repeat with the limit's of the same turn.
    ///
    /// None if there is no repeat, or if a limit is 0.
    #[must_use]
    pub fn of(name: &'static str, repeats: &[f64], limits: &[f64]) -> Option<Self> {
        let ratios: Vec<f64> = repeats.iter().zip(limits).map(|(r, l)| r / l).collect();
        Some(Self { name, figure: Figure::of(limits)?, ratio: Figure::of(&ratios)? })
    }
}

impl Row {
    /// A row without a limit and without a goal.
    #[must_use]
    pub fn new(
        part: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        figure: Figure,
    ) -> Self {
        let (what, note) = (what.into(), String::new());
        Self { part, what, unit, figure, limit: None, goal: None, note }
    }

    /// The same with a limit beside it.
    #[must_use]
    pub fn beside(mut self, limit: Option<Limit>) -> Self {
        self.limit = limit;
        self
    }

    /// The same with what is wanted.
    #[must_use]
    pub fn wanted(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    /// The same with a remark.
    #[must_use]
    pub fn noted(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Whether it is what was wanted, by the median; none if nothing was, or if what it needs was not
    /// measured.
    #[must_use]
    pub fn is_met(&self) -> Option<bool> {
        match self.goal? {
            Goal::AtLeast(least) => Some(self.figure.median >= least),
            Goal::AtMost(most) => Some(self.figure.median <= most),
            Goal::RatioAtLeast(least) => Some(self.limit.as_ref()?.ratio.median >= least),
            Goal::RatioAtMost(most) => Some(self.limit.as_ref()?.ratio.median <= most),
        }
    }

    fn goal_text(&self) -> String {
        let text = match self.goal {
            None => return String::new(),
            Some(Goal::AtLeast(n)) => format!(">= {}", Figure::once(n).text()),
            Some(Goal::AtMost(n)) => format!("<= {}", Figure::once(n).text()),
            Some(Goal::RatioAtLeast(n)) => format!("ratio >= {}", Figure::once(n).text()),
            Some(Goal::RatioAtMost(n)) => format!("ratio <= {}", Figure::once(n).text()),
        };
        match self.is_met() {
            Some(true) => format!("{text}, met"),
            Some(false) => format!("{text}, MISSED"),
            None => format!("{text}, not measured"),
        }
    }

    fn limit_text(&self) -> String {
        let Some(limit) = &self.limit else { return String::new() };
        format!("{}: {}", limit.name, limit.figure.text())
    }

    fn cells(&self) -> [String; 7] {
        let ratio = self.limit.as_ref().map_or_else(String::new, |limit| limit.ratio.text());
        let figure = format!("{} {}", self.figure.text(), self.unit);
        let part = self.part.to_owned();
        [
            part,
            self.what.clone(),
            figure,
            self.limit_text(),
            ratio,
            self.goal_text(),
            self.note.clone(),
        ]
    }

    fn json(&self) -> Value {
        let limit = self.limit.as_ref().map(|limit| {
            let (figure, ratio) = (limit.figure.json(), limit.ratio.json());
            json!({ "name": limit.name, "figure": figure, "ratio": ratio })
        });
        let goal = self.goal.map(|goal| match goal {
            Goal::AtLeast(n) => json!({ "at_least": n }),
            Goal::AtMost(n) => json!({ "at_most": n }),
            Goal::RatioAtLeast(n) => json!({ "ratio_at_least": n }),
            Goal::RatioAtMost(n) => json!({ "ratio_at_most": n }),
        });
        json!({
            "part": self.part, "what": self.what, "unit": self.unit, "figure": self.figure.json(),
            "limit": limit, "goal": goal, "met": self.is_met(), "note": self.note,
        })
    }
}

const HEADS: [&str; 7] = ["part", "what", "figure", "limit beside it", "ratio", "wanted", ""];

/// For a terminal: a line each, in columns.
#[must_use]
pub fn text(rows: &[Row]) -> String {
    let cells: Vec<_> = rows.iter().map(Row::cells).collect();
    let width = |column: usize| {
        let widths = cells.iter().map(|cells| cells[column].chars().count());
        widths.chain([HEADS[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut text = String::new();
    for cells in [&HEADS.map(str::to_owned)].into_iter().chain(&cells) {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            // A string takes every write.
            let _ = write!(line, "{cell:width$}  ");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// As a table of Markdown.
#[must_use]
pub fn markdown(rows: &[Row]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | ").replace("  ", " "));
    let heads = HEADS.map(str::to_owned);
    let rule = format!("|{}\n", "---|".repeat(HEADS.len()));
    rows.iter().fold(line(&heads) + &rule, |text, row| text + &line(&row.cells()))
}

/// As JSON: the machine, and a list of rows.
#[must_use]
pub fn json(machine: &Value, rows: &[Row]) -> Value {
    json!({ "machine": machine, "rows": rows.iter().map(Row::json).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let repeats = [80.0, 90.0, 100.0];
        let limit = Limit::of("bare loop", &repeats, &[100.0, 100.0, 200.0]);
        Row::new("UDP", "stored", "/s", Figure::of(&repeats).unwrap()).beside(limit)
    }

    #[test]
    fn the_ratio_is_of_each_repeat_to_the_limit_of_its_turn() {
        let ratio = row().limit.unwrap().ratio;
        assert_eq!(ratio, Figure { median: 0.8, least: 0.5, most: 0.9 });
    }

    #[test]
    fn a_goal_is_met_by_the_median() {
        assert_eq!(row().is_met(), None);
        let met = |goal| row().wanted(goal).is_met();
        assert_eq!(met(Goal::AtLeast(90.0)), Some(true));
        assert_eq!(met(Goal::AtLeast(90.1)), Some(false));
        assert_eq!(met(Goal::AtMost(90.0)), Some(true));
        assert_eq!(met(Goal::AtMost(89.9)), Some(false));
        assert_eq!(met(Goal::RatioAtLeast(0.8)), Some(true));
        assert_eq!(met(Goal::RatioAtLeast(0.81)), Some(false));
        assert_eq!(met(Goal::RatioAtMost(0.8)), Some(true));
        assert_eq!(met(Goal::RatioAtMost(0.79)), Some(false));
        assert_eq!(row().beside(None).wanted(Goal::RatioAtLeast(0.1)).is_met(), None);
    }

    #[test]
    fn what_is_missed_is_said_in_every_form() {
        let rows = [row().wanted(Goal::AtLeast(1_000.0)).noted("busy")];
        assert!(text(&rows).contains(">= 1,000, MISSED"), "{}", text(&rows));
        let markdown = markdown(&rows);
        assert!(
            markdown.contains(
                "| UDP | stored | 90.0 (80.0 to 100.0) /s | bare loop: 100 (100 to 200) |"
            ),
            "{markdown}"
        );
        assert_eq!(markdown.lines().count(), 3);
        let json = json(&Value::Null, &rows);
        assert_eq!(json["rows"][0]["met"], false);
        assert_eq!(json["rows"][0]["limit"]["ratio"]["median"], 0.8);
        assert_eq!(json["rows"][0]["note"], "busy");
    }

    #[test]
    fn the_columns_of_the_text_stand_below_their_heads() {
        let rows = [row(), row().noted("a remark")];
        let text = text(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        let at = lines[0].find("ratio").unwrap();
        assert!(lines[1][at..].starts_with("0.800 (0.500 to 0.900)"), "{text}");
    }
}
