//! `/api/v1/numbers` and `/api/v1/numbers/{number}`.

use sentrypeer_storage::aggregate::NumberRow;
use sentrypeer_storage::event::{Time, Verification};
use sentrypeer_storage::key::NumberKey;
use sentrypeer_storage::number::country_code;
use serde::Serialize;

use super::page::{self, Page};
use super::{Span, min_count, refused, verification};
use crate::exchange::{Request, Response};
use crate::listing::{OWN, kinds};
use crate::lookup::Reading;
use crate::query::{Parameters, QueryError, decoded};
use crate::routes::View;
use crate::timestamp::Rfc3339;

/// One number as it is shown.
#[derive(Serialize)]
struct Number {
    number: String,
    first_seen: Rfc3339,
    last_seen: Rfc3339,
    count: u64,
    kinds: &'static [&'static str],
    verification: &'static str,
    origin: &'static str,
    #[serde(flatten)]
    reading: Option<Reading>,
    /// Why nothing acts on it, for one on the allow-list.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    total: usize,
    generation: u64,
    numbers: Vec<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

const NAMES: [&str; 11] = [
    page::NAMES[0],
    page::NAMES[1],
    page::NAMES[2],
    page::NAMES[3],
    "since",
    "until",
    "verification",
    "country",
    "kind",
    "prefix",
    "min_count",
];
const KNOWN: &str = "limit, sort, order, cursor, since, until, verification, country, kind, \
                     prefix, min_count";

#[derive(Clone, Copy)]
enum Kind {
    Called,
    Account,
}

/// Which numbers are wanted.
struct Filter {
    span: Span,
    verification: Verification,
    country: Option<[u8; 2]>,
    kind: Option<Kind>,
    /// What a number begins with, in the form in which numbers are compared.
    prefix: Option<NumberKey>,
    min_count: u64,
}

impl Filter {
    fn parse(parameters: &Parameters<'_>) -> Result<Self, QueryError> {
        let code = "two capital letters (ISO 3166-1)";
        let kind = parameters.value("kind", "called or account", |name| match name {
            "called" => Some(Kind::Called),
            "account" => Some(Kind::Account),
            _ => None,
        })?;
        Ok(Self {
            span: Span::parse(parameters)?,
            verification: verification(parameters)?,
            country: parameters.value("country", code, country)?,
            kind,
            prefix: parameters.bytes("prefix").map(NumberKey::of),
            min_count: min_count(parameters)?,
        })
    }

    fn fits(&self, key: &NumberKey, row: &NumberRow, oldest: Time) -> bool {
        let is_of_kind = match self.kind {
            None => true,
            Some(Kind::Called) => row.is_called(),
            Some(Kind::Account) => row.is_account(),
        };
        is_of_kind
            && row.seen.last > oldest
            && self.span.has(row.seen.last)
            && row.seen.count >= self.min_count
            && row.verification(oldest) >= self.verification
            && self.prefix.as_ref().is_none_or(|p| key.as_bytes().starts_with(p.as_bytes()))
            && self.country.is_none_or(|wanted| country_code(key.as_bytes()) == wanted)
    }
}

fn country(code: &str) -> Option<[u8; 2]> {
    let code: [u8; 2] = code.as_bytes().try_into().ok()?;
    code.iter().all(u8::is_ascii_uppercase).then_some(code)
}

/// `/api/v1/numbers`
pub(crate) fn list(view: &View, request: &Request<'_>) -> Response {
    let parameters = Parameters::parse(request.query, &NAMES, KNOWN);
    let asked = parameters.and_then(|p| Ok((Page::parse(&p)?, Filter::parse(&p)?)));
    let (page, filter) = match asked {
        Ok(asked) => asked,
        Err(error) => return refused(&error),
    };
    let oldest = request.now.minus_ns(view.policy.retention_ns);
    let rows = page.of(&view.snapshot.numbers, |key, row| filter.fits(key, row, oldest));
    let numbers = rows.rows.iter().map(|(key, row)| number(view, key, row, oldest)).collect();
    let generation = view.snapshot.generation;
    Response::json(200, &Answer { total: rows.total, generation, numbers, next: rows.next })
        .with_last_modified(view.snapshot.time)
}

/// `/api/v1/numbers/{number}`. It is compared without visual separators.
pub(crate) fn one(view: &View, segment: &str, request: &Request<'_>) -> Response {
    let key = NumberKey::of(&decoded(segment));
    let oldest = request.now.minus_ns(view.policy.retention_ns);
    let row = view.snapshot.numbers.get(&key).filter(|row| row.seen.last > oldest);
    let Some(row) = row else { return Response::error(404, "That number was not seen.") };
    Response::json(200, &number(view, &key, row, oldest)).with_last_modified(view.snapshot.time)
}

fn number(view: &View, key: &NumberKey, row: &NumberRow, oldest: Time) -> Number {
    let bytes = key.as_bytes();
    Number {
        number: String::from_utf8_lossy(bytes).into_owned(),
        first_seen: Rfc3339(row.seen.first),
        last_seen: Rfc3339(row.seen.last),
        count: row.seen.count,
        kinds: kinds(row),
        verification: row.verification(oldest).name(),
        origin: OWN,
        reading: Reading::of(bytes),
        allowed: view.policy.allow.number_reason(bytes).map(|reason| reason.to_string()),
    }
}
