//! What SentryPeer 4.x promises and does not answer: `/countries`, `/user-agents` and `/sip-methods`,
//! in the manner of its other lists.

use std::cmp::Reverse;

use sentrypeer_storage::event::Time;
use sentrypeer_storage::method::Method;
use sentrypeer_storage::utc::Utc;
use serde::Serialize;

use crate::exchange::{Request, Response};
use crate::limits::AGENTS_SHOWN_MAX;
use crate::routes::View;
use crate::v1::totals::{by_country, code_text};

/// `/countries`: where the numbers lead, the last seen first. Those whose country cannot be told are
/// not here.
pub(crate) fn countries(view: &View, request: &Request<'_>) -> Response {
    #[derive(Serialize)]
    struct Country {
        country: String,
        seen_last: String,
        seen_count: String,
    }
    #[derive(Serialize)]
    struct Answer {
        countries_total: usize,
        countries: Vec<Country>,
    }
    let oldest = request.now.minus_ns(view.policy.retention_ns);
    let mut found: Vec<_> = by_country(view, oldest).into_iter().collect();
    found.sort_by_key(|(code, country)| (Reverse(country.last), *code));
    let countries: Vec<Country> = found
        .into_iter()
        .filter_map(|(code, country)| {
            let seen_last = Utc(country.last).to_string();
            Some(Country {
                country: code_text(code)?,
                seen_last,
                seen_count: country.count.to_string(),
            })
        })
        .collect();
    if countries.is_empty() {
        return Response::nothing("No countries found");
    }
    Response::json(200, &Answer { countries_total: countries.len(), countries })
}

/// `/user-agents`, the last seen first.
pub(crate) fn user_agents(view: &View, request: &Request<'_>) -> Response {
    #[derive(Serialize)]
    struct Agent {
        user_agent: String,
        seen_last: String,
        seen_count: String,
    }
    #[derive(Serialize)]
    struct Answer {
        user_agents_total: usize,
        user_agents: Vec<Agent>,
    }
    let oldest = request.now.minus_ns(view.policy.retention_ns);
    let rows = view.snapshot.agents.iter().filter(|(_, row)| row.seen.last > oldest);
    let mut found: Vec<(Time, _, _)> =
        rows.map(|(key, row)| (row.seen.last, key, row.seen.count)).collect();
    if found.is_empty() {
        return Response::nothing("No user agents found");
    }
    let user_agents_total = found.len();
    found.sort_unstable_by_key(|(last, key, _)| (Reverse(*last), *key));
    found.truncate(AGENTS_SHOWN_MAX);
    let agent = |(last, key, count): (Time, &sentrypeer_storage::key::AgentKey, u64)| Agent {
        user_agent: String::from_utf8_lossy(key.as_bytes()).into_owned(),
        seen_last: Utc(last).to_string(),
        seen_count: count.to_string(),
    };
    let user_agents = found.into_iter().map(agent).collect();
    Response::json(200, &Answer { user_agents_total, user_agents })
}

/// `/sip-methods`, the most frequent first, since the database was made.
pub(crate) fn methods(view: &View) -> Response {
    #[derive(Serialize)]
    struct Counted {
        sip_method: &'static str,
        seen_count: String,
    }
    #[derive(Serialize)]
    struct Answer {
        sip_methods_total: usize,
        sip_methods: Vec<Counted>,
    }
    let counts = Method::ALL.into_iter().zip(view.snapshot.totals.by_method);
    let mut found: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
    if found.is_empty() {
        return Response::nothing("No SIP methods found");
    }
    found.sort_by_key(|(_, count)| Reverse(*count));
    let counted = |(method, count): (Method, u64)| Counted {
        sip_method: method.name(),
        seen_count: count.to_string(),
    };
    let sip_methods: Vec<Counted> = found.into_iter().map(counted).collect();
    Response::json(200, &Answer { sip_methods_total: sip_methods.len(), sip_methods })
}
