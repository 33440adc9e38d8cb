//! `/api/v1/user-agents`.

use serde::Serialize;

use super::page::{self, Page};
use super::{Span, min_count, refused};
use crate::exchange::{Request, Response};
use crate::query::Parameters;
use crate::routes::View;
use crate::timestamp::Rfc3339;

/// One user agent as it is shown: as text, whatever its bytes.
#[derive(Serialize)]
struct Agent {
    user_agent: String,
    first_seen: Rfc3339,
    last_seen: Rfc3339,
    count: u64,
}

#[derive(Serialize)]
struct Answer {
    total: usize,
    generation: u64,
    user_agents: Vec<Agent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

const NAMES: [&str; 8] = [
    page::NAMES[0],
    page::NAMES[1],
    page::NAMES[2],
    page::NAMES[3],
    "since",
    "until",
    "prefix",
    "min_count",
];
const KNOWN: &str = "limit, sort, order, cursor, since, until, prefix, min_count";

/// `/api/v1/user-agents`
pub(crate) fn list(view: &View, request: &Request<'_>) -> Response {
    let parameters = match Parameters::parse(request.query, &NAMES, KNOWN) {
        Ok(parameters) => parameters,
        Err(error) => return refused(&error),
    };
    let asked =
        (|| Ok((Page::parse(&parameters)?, Span::parse(&parameters)?, min_count(&parameters)?)))();
    let (page, span, least) = match asked {
        Ok(asked) => asked,
        Err(error) => return refused(&error),
    };
    let prefix = parameters.bytes("prefix").unwrap_or(b"");
    let oldest = request.now.minus_ns(view.policy.retention_ns);
    let rows = page.of(&view.snapshot.agents, |key, row| {
        row.seen.last > oldest
            && span.has(row.seen.last)
            && row.seen.count >= least
            && key.as_bytes().starts_with(prefix)
    });
    let user_agents = rows.rows.iter().map(|(key, row)| Agent {
        user_agent: String::from_utf8_lossy(key.as_bytes()).into_owned(),
        first_seen: Rfc3339(row.seen.first),
        last_seen: Rfc3339(row.seen.last),
        count: row.seen.count,
    });
    let (user_agents, generation) = (user_agents.collect(), view.snapshot.generation);
    Response::json(200, &Answer { total: rows.total, generation, user_agents, next: rows.next })
        .with_last_modified(view.snapshot.time)
}
