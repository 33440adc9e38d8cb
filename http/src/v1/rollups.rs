//! `/api/v1/rollups`: what was seen in the last hour, day, week or month, from the hourly counts.

use std::net::{Ipv6Addr, SocketAddr};

use sentrypeer_storage::event::{SourceKey, Transport, Verification};
use sentrypeer_storage::method::Method;
use sentrypeer_storage::rollup::{Dimension, HourCounts};
use serde::Serialize;

use super::hours::{Counted, Span};
use super::{page, refused, unreadable};
use crate::context::Context;
use crate::exchange::{Request, Response};
use crate::query::{Parameters, QueryError};
use crate::timestamp::Rfc3339;

/// By what the events of the span are told apart.
#[derive(Clone, Copy)]
enum By {
    Key(Dimension),
    Transport,
    Method,
    Verification,
}

const BY: [(&str, By); 8] = [
    ("source", By::Key(Dimension::Source)),
    ("number", By::Key(Dimension::Number)),
    ("user_agent", By::Key(Dimension::Agent)),
    ("country", By::Key(Dimension::Country)),
    ("destination", By::Key(Dimension::Destination)),
    ("transport", By::Transport),
    ("method", By::Method),
    ("verification", By::Verification),
];

#[derive(Serialize)]
struct Entry {
    /// `null` for numbers whose country cannot be told.
    key: Option<String>,
    count: u64,
}

#[derive(Serialize)]
struct Answer {
    span: &'static str,
    since: Rfc3339,
    until: Rfc3339,
    events: u64,
    hours: Vec<Counted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<Vec<Entry>>,
    /// What the entries that are shown do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    others: Option<u64>,
}

const NAMES: [&str; 3] = ["span", "by", "limit"];

struct Asked {
    span: Span,
    by: Option<(&'static str, By)>,
    limit: usize,
}

impl Asked {
    fn parse(query: &str) -> Result<Self, QueryError> {
        let parameters = Parameters::parse(query, &NAMES)?;
        let known = BY.map(|(name, _)| name).join(", ");
        let by = |name: &str| BY.into_iter().find(|(known, _)| *known == name);
        Ok(Self {
            span: Span::parse(&parameters)?,
            by: parameters.value("by", &format!("one of {known}"), by)?,
            limit: page::limit(&parameters)?,
        })
    }
}

/// `/api/v1/rollups`
pub(crate) fn answer(ctx: &Context, request: &Request<'_>) -> Response {
    let Asked { span, by, limit } = match Asked::parse(request.query) {
        Ok(asked) => asked,
        Err(error) => return refused(&error),
    };
    let (mut all, mut hours) = (HourCounts::default(), Vec::new());
    let read = span.each(&ctx.store, request.now, |hour, counts| {
        hours.push(Counted { hour: Rfc3339(hour.begin()), count: counts.totals.events() });
        if by.is_some() {
            all.merge(&counts);
        }
    });
    if let Err(error) = read {
        return unreadable(ctx, &error);
    }
    let (entries, others) = by.map(|(_, by)| entries(&all, by, limit)).unzip();
    let answer = Answer {
        span: span.name,
        since: Rfc3339(span.first(request.now).begin()),
        until: Rfc3339(request.now),
        events: hours.iter().map(|hour| hour.count).sum(),
        hours,
        by: by.map(|(name, _)| name),
        entries,
        others,
    };
    Response::json(200, &answer)
}

/// The most frequent first, and what all others count together.
fn entries(all: &HourCounts, by: By, limit: usize) -> (Vec<Entry>, u64) {
    let totals = &all.totals;
    let mut entries = match by {
        By::Key(dimension) => {
            let top = all.top(dimension);
            let shown = top.sorted().into_iter().take(limit);
            let shown = shown.map(|(key, count)| Entry { key: text(dimension, key), count });
            let shown: Vec<_> = shown.collect();
            let counted: u64 = shown.iter().map(|entry| entry.count).sum();
            return (shown, top.sum() - counted);
        }
        By::Transport => named(Transport::ALL.map(Transport::name), totals.by_transport),
        By::Method => named(Method::ALL.map(Method::name), totals.by_method),
        By::Verification => {
            named(Verification::ALL.map(Verification::name), totals.by_verification)
        }
    };
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.count));
    let rest = entries.split_off(limit.min(entries.len()));
    (entries, rest.iter().map(|entry| entry.count).sum())
}

fn named<const N: usize>(names: [&str; N], counts: [u64; N]) -> Vec<Entry> {
    let found = names.into_iter().zip(counts).filter(|(_, count)| *count > 0);
    found.map(|(name, count)| Entry { key: Some(name.to_owned()), count }).collect()
}

/// A key as it is shown: what is text in the network's words is text here, whatever its bytes.
fn text(dimension: Dimension, key: &[u8]) -> Option<String> {
    match dimension {
        Dimension::Source => {
            let ip = SourceKey(key.try_into().ok()?).ip();
            Some(if ip.is_ipv6() { format!("{ip}/64") } else { ip.to_string() })
        }
        Dimension::Destination => {
            let (ip, port) = key.split_first_chunk::<16>()?;
            let ip = Ipv6Addr::from(*ip).to_canonical();
            Some(SocketAddr::from((ip, u16::from_be_bytes(port.try_into().ok()?))).to_string())
        }
        Dimension::Country if key.is_empty() => None,
        Dimension::Number | Dimension::Agent | Dimension::Country => {
            Some(String::from_utf8_lossy(key).into_owned())
        }
    }
}
