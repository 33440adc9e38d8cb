//! `/api/v1`: everything that is known, page by page, each with how well it is proven and whether it
//! is blocked, and why. What is on the allow-list is here too, and marked: nothing acts on these.

pub(crate) mod agents;
pub(crate) mod events;
mod hours;
pub(crate) mod numbers;
mod page;
pub(crate) mod rollups;
pub(crate) mod sources;
pub(crate) mod stream;
pub(crate) mod totals;

pub(crate) use page::limit;
use sentrypeer_storage::aggregate::Seen;
use sentrypeer_storage::event::{Anomaly, Time, Verification};
use sentrypeer_storage::log::LogError;
use serde::Serialize;

use crate::context::Context;
use crate::exchange::Response;
use crate::query::{Parameters, QueryError};
use crate::routes::starting;
use crate::timestamp::{self, Rfc3339};

/// `/api/v1/version`
pub(crate) fn version(ctx: &Context) -> Response {
    #[derive(Serialize)]
    struct Version {
        name: &'static str,
        version: &'static str,
    }
    Response::json(200, &Version { name: "sentrypeer", version: ctx.version })
}

/// What a refused query is answered with.
pub(crate) fn refused(error: &QueryError) -> Response {
    Response::error(400, &error.to_string())
}

/// Why the log or the hours could not be read.
fn unreadable(ctx: &Context, error: &LogError) -> Response {
    match error {
        LogError::Closed => starting(ctx),
        // Says which events and why, and nothing of the machine.
        LogError::Damaged { .. } => Response::error(500, &error.to_string()),
        LogError::Storage(_) => Response::error(500, "The database cannot be read."),
    }
}

/// The names of a set of anomalies.
fn anomaly_names(set: u64) -> Vec<&'static str> {
    let found = Anomaly::ALL.into_iter().filter(|anomaly| anomaly.bit() & set != 0);
    found.map(Anomaly::name).collect()
}

/// When something was seen, as a filter: `since` and `until`, both inclusive.
#[derive(Clone, Copy, Debug)]
struct Span {
    since: Time,
    until: Time,
}

impl Span {
    fn parse(parameters: &Parameters<'_>) -> Result<Self, QueryError> {
        let form = "a time such as 2026-11-23T23:52:36Z (RFC 3339)";
        let since = parameters.value("since", form, timestamp::read)?.unwrap_or(Time(0));
        let until = parameters.value("until", form, timestamp::read)?.unwrap_or(Time(u64::MAX));
        Ok(Self { since, until })
    }

    fn has(self, time: Time) -> bool {
        self.since <= time && time <= self.until
    }
}

/// The parameter `verification`: at least so well proven.
fn verification(parameters: &Parameters<'_>) -> Result<Verification, QueryError> {
    let levels = "unverified, relayed, return-path, connected or tls";
    let level = parameters.value("verification", levels, Verification::from_name)?;
    Ok(level.unwrap_or(Verification::Unverified))
}

/// How often and when a row was seen, as a filter: the span, and `min_count`.
#[derive(Clone, Copy, Debug)]
struct Often {
    span: Span,
    min_count: u64,
}

impl Often {
    fn parse(parameters: &Parameters<'_>) -> Result<Self, QueryError> {
        let count = parameters.value("min_count", "a number", |text| text.parse().ok())?;
        Ok(Self { span: Span::parse(parameters)?, min_count: count.unwrap_or(0) })
    }

    fn has(self, seen: &Seen) -> bool {
        self.span.has(seen.last) && seen.count >= self.min_count
    }
}

/// What every row says of when and how often it was seen.
#[derive(Serialize)]
struct Shown {
    first_seen: Rfc3339,
    last_seen: Rfc3339,
    count: u64,
}

impl From<&Seen> for Shown {
    fn from(seen: &Seen) -> Self {
        let (first_seen, last_seen) = (Rfc3339(seen.first), Rfc3339(seen.last));
        Self { first_seen, last_seen, count: seen.count }
    }
}
