//! `/api/v1/methods`, `/api/v1/transports` and `/api/v1/countries`.

use std::collections::BTreeMap;

use sentrypeer_storage::event::{Time, Transport};
use sentrypeer_storage::method::Method;
use sentrypeer_storage::number::country_code;
use serde::Serialize;

use super::refused;
use crate::exchange::{Request, Response};
use crate::query::Parameters;
use crate::routes::View;
use crate::timestamp::Rfc3339;

#[derive(Serialize)]
struct Counted {
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<&'static str>,
    count: u64,
}

/// `/api/v1/methods`: events since the database was made.
pub(crate) fn methods(view: &View) -> Response {
    #[derive(Serialize)]
    struct Answer {
        generation: u64,
        methods: Vec<Counted>,
    }
    let counts = Method::ALL.into_iter().zip(view.snapshot.totals.by_method);
    let counted = |(method, count): (Method, u64)| Counted {
        method: Some(method.name()),
        transport: None,
        count,
    };
    let methods = counts.map(counted).collect();
    Response::json(200, &Answer { generation: view.snapshot.generation, methods })
        .with_last_modified(view.snapshot.time)
}

/// `/api/v1/transports`: events since the database was made.
pub(crate) fn transports(view: &View) -> Response {
    #[derive(Serialize)]
    struct Answer {
        generation: u64,
        transports: Vec<Counted>,
    }
    let counts = Transport::ALL.into_iter().zip(view.snapshot.totals.by_transport);
    let counted = |(transport, count): (Transport, u64)| Counted {
        method: None,
        transport: Some(transport.name()),
        count,
    };
    let transports = counts.map(counted).collect();
    Response::json(200, &Answer { generation: view.snapshot.generation, transports })
        .with_last_modified(view.snapshot.time)
}

/// What is known about the numbers of one country.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Country {
    /// Numbers.
    pub(crate) numbers: u64,
    /// Events for them.
    pub(crate) count: u64,
    /// The last of those.
    pub(crate) last: Time,
}

/// The countries that the numbers seen since `oldest` lead to, by code; those that lead to none that
/// can be told are under two NULs.
pub(crate) fn by_country(view: &View, oldest: Time) -> BTreeMap<[u8; 2], Country> {
    let mut countries: BTreeMap<[u8; 2], Country> = BTreeMap::new();
    for (key, row) in view.snapshot.numbers.iter().filter(|(_, row)| row.seen.last > oldest) {
        let country = countries.entry(country_code(key.as_bytes())).or_default();
        country.numbers += 1;
        country.count += row.seen.count;
        country.last = country.last.max(row.seen.last);
    }
    countries
}

/// The text of a country's code.
pub(crate) fn code_text(code: [u8; 2]) -> Option<String> {
    let is_code = code.iter().all(u8::is_ascii_uppercase);
    is_code.then(|| code.iter().map(|letter| char::from(*letter)).collect())
}

/// `/api/v1/countries`: the most events first.
pub(crate) fn countries(view: &View, request: &Request<'_>) -> Response {
    #[derive(Serialize)]
    struct Entry {
        /// `null` for numbers whose country cannot be told.
        country: Option<String>,
        numbers: u64,
        count: u64,
        last_seen: Rfc3339,
    }
    #[derive(Serialize)]
    struct Answer {
        total: usize,
        generation: u64,
        countries: Vec<Entry>,
    }
    if let Err(error) = Parameters::parse(request.query, &[]) {
        return refused(&error);
    }
    let oldest = request.now.minus_ns(view.policy.retention_ns);
    let mut countries: Vec<_> = by_country(view, oldest).into_iter().collect();
    countries.sort_by_key(|(code, country)| (std::cmp::Reverse(country.count), *code));
    let entry = |(code, country): ([u8; 2], Country)| Entry {
        country: code_text(code),
        numbers: country.numbers,
        count: country.count,
        last_seen: Rfc3339(country.last),
    };
    let countries: Vec<Entry> = countries.into_iter().map(entry).collect();
    let (total, generation) = (countries.len(), view.snapshot.generation);
    Response::json(200, &Answer { total, generation, countries })
        .with_last_modified(view.snapshot.time)
}
