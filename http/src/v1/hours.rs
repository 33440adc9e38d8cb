//! The hourly counts behind `/api/v1/rollups` and the history of a source or a number.

use sentrypeer_storage::Store;
use sentrypeer_storage::event::Time;
use sentrypeer_storage::log::LogError;
use sentrypeer_storage::rollup::{Dimension, Hour, HourCounts};
use serde::Serialize;

use crate::limits::ROLLUP_READ_HOURS;
use crate::query::{Parameters, QueryError};
use crate::timestamp::Rfc3339;

/// How far back: so many whole hours, and the one that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) name: &'static str,
    hours: u32,
}

const SPANS: [Span; 4] = [
    Span { name: "1h", hours: 1 },
    Span { name: "24h", hours: 24 },
    Span { name: "7d", hours: 7 * 24 },
    Span { name: "30d", hours: 30 * 24 },
];
const DAY: Span = SPANS[1];

impl Span {
    fn from_name(name: &str) -> Option<Self> {
        SPANS.into_iter().find(|span| span.name == name)
    }

    /// The parameter `span`; a day if nothing is said.
    pub(super) fn parse(parameters: &Parameters<'_>) -> Result<Self, QueryError> {
        Ok(parameters.value("span", "1h, 24h, 7d or 30d", Self::from_name)?.unwrap_or(DAY))
    }

    /// The parameter `history`: a span, or none.
    pub(super) fn of_history(parameters: &Parameters<'_>) -> Result<Option<Self>, QueryError> {
        let read = |name: &str| match name {
            "none" => Some(None),
            name => Self::from_name(name).map(Some),
        };
        let span = parameters.value("history", "1h, 24h, 7d, 30d or none", read)?;
        Ok(span.unwrap_or(Some(DAY)))
    }

    /// The first hour that is in it.
    pub(super) fn first(self, now: Time) -> Hour {
        Hour(Hour::of(now).0.saturating_sub(self.hours))
    }

    /// Calls `each` with every hour that has counts, the oldest first. No more than some are in memory
    /// at once.
    pub(super) fn each(
        self,
        store: &Store,
        now: Time,
        mut each: impl FnMut(Hour, HourCounts),
    ) -> Result<(), LogError> {
        let last = Hour::of(now);
        let mut first = self.first(now);
        while first <= last {
            let end = Hour(first.0.saturating_add(ROLLUP_READ_HOURS - 1).min(last.0));
            store.rollups(first, end)?.into_iter().for_each(|(hour, counts)| each(hour, counts));
            let Some(next) = end.0.checked_add(1) else { break };
            first = Hour(next);
        }
        Ok(())
    }
}

/// What was counted in an hour.
#[derive(Serialize)]
pub(super) struct Counted {
    /// When it began.
    pub(super) hour: Rfc3339,
    pub(super) count: u64,
}

/// In which hours somebody was seen, how often.
#[derive(Serialize)]
pub(super) struct History {
    span: &'static str,
    since: Rfc3339,
    /// Whether this is all of it: an hour with very many keeps only the most frequent apart.
    complete: bool,
    hours: Vec<Counted>,
}

/// A row with its history.
#[derive(Serialize)]
pub(super) struct WithHistory<T> {
    #[serde(flatten)]
    pub(super) shown: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) history: Option<History>,
}

/// The span of the history that is asked for of one row.
pub(super) fn history(query: &str) -> Result<Option<Span>, QueryError> {
    Span::of_history(&Parameters::parse(query, &["history"])?)
}

impl History {
    /// The history of one key. `None` if the counts cannot be read now.
    pub(super) fn of(
        store: &Store,
        span: Span,
        (dimension, key): (Dimension, &[u8]),
        now: Time,
    ) -> Option<Self> {
        let (mut complete, mut hours) = (true, Vec::new());
        let read = span.each(store, now, |hour, counts| {
            let top = counts.top(dimension);
            let found = top.sorted().into_iter().find(|(other, _)| *other == key);
            complete &= top.others() == 0;
            let counted = |(_, count)| Counted { hour: Rfc3339(hour.begin()), count };
            hours.extend(found.map(counted));
        });
        read.ok()?;
        let since = Rfc3339(span.first(now).begin());
        Some(Self { span: span.name, since, complete, hours })
    }
}
