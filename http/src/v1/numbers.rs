//! `/api/v1/numbers` and `/api/v1/numbers/{number}`.

use sentrypeer_storage::aggregate::NumberRow;
use sentrypeer_storage::event::{Time, Verification};
use sentrypeer_storage::key::NumberKey;
use sentrypeer_storage::number::country_code;
use sentrypeer_storage::rollup::Dimension;
use sentrypeer_storage::snapshot::{Snapshot, Table};
use serde::Serialize;

use super::hours::{History, WithHistory, history};
use super::page::{self, Listed};
use super::{Often, Shown, refused, verification};
use crate::context::Context;
use crate::exchange::{Request, Response};
use crate::listing::{OWN, kinds};
use crate::lookup::Reading;
use crate::query::{Parameters, QueryError, decoded};
use crate::routes::View;

/// One number as it is shown.
#[derive(Serialize)]
struct Number {
    number: String,
    #[serde(flatten)]
    seen: Shown,
    kinds: &'static [&'static str],
    verification: &'static str,
    origin: &'static str,
    #[serde(flatten)]
    reading: Option<Reading>,
    /// Why nothing acts on it, for one on the allow-list.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<String>,
}

#[derive(Clone, Copy)]
enum Kind {
    Called,
    Account,
}

/// Which numbers are wanted.
struct Filter {
    often: Often,
    verification: Verification,
    country: Option<[u8; 2]>,
    kind: Option<Kind>,
    /// What a number begins with, in the form in which numbers are compared.
    prefix: Option<NumberKey>,
}

impl Listed for Filter {
    type Key = NumberKey;
    type Row = NumberRow;
    type Shown = Number;
    const MEMBER: &'static str = "numbers";
    const NAMES: &'static [&'static str] =
        &["since", "until", "verification", "country", "kind", "prefix", "min_count"];

    fn table(snapshot: &Snapshot) -> &Table<NumberKey, NumberRow> {
        &snapshot.numbers
    }

    fn parse(parameters: &Parameters<'_>) -> Result<Self, QueryError> {
        let code = "two capital letters (ISO 3166-1)";
        let kind = parameters.value("kind", "called or account", |name| match name {
            "called" => Some(Kind::Called),
            "account" => Some(Kind::Account),
            _ => None,
        })?;
        Ok(Self {
            often: Often::parse(parameters)?,
            verification: verification(parameters)?,
            country: parameters.value("country", code, country)?,
            kind,
            prefix: parameters.bytes("prefix").map(NumberKey::of),
        })
    }

    fn fits(&self, view: &View, key: &NumberKey, row: &NumberRow, now: Time) -> bool {
        let oldest = now.minus_ns(view.policy.retention_ns);
        let is_of_kind = match self.kind {
            None => true,
            Some(Kind::Called) => row.is_called(),
            Some(Kind::Account) => row.is_account(),
        };
        is_of_kind
            && self.often.has(&row.seen)
            && row.verification(oldest) >= self.verification
            && self.prefix.as_ref().is_none_or(|p| key.as_bytes().starts_with(p.as_bytes()))
            && self.country.is_none_or(|wanted| country_code(key.as_bytes()) == wanted)
    }

    fn shown(view: &View, key: &NumberKey, row: &NumberRow, now: Time) -> Number {
        let oldest = now.minus_ns(view.policy.retention_ns);
        let bytes = key.as_bytes();
        Number {
            number: String::from_utf8_lossy(bytes).into_owned(),
            seen: Shown::from(&row.seen),
            kinds: kinds(row),
            verification: row.verification(oldest).name(),
            origin: OWN,
            reading: Reading::of(bytes),
            allowed: view.policy.allow.number_reason(bytes).map(|reason| reason.to_string()),
        }
    }
}

fn country(code: &str) -> Option<[u8; 2]> {
    let code: [u8; 2] = code.as_bytes().try_into().ok()?;
    code.iter().all(u8::is_ascii_uppercase).then_some(code)
}

/// `/api/v1/numbers`
pub(crate) fn list(view: &View, request: &Request<'_>) -> Response {
    page::list::<Filter>(view, request)
}

/// `/api/v1/numbers/{number}`. It is compared without visual separators.
pub(crate) fn one(ctx: &Context, view: &View, segment: &str, request: &Request<'_>) -> Response {
    let span = match history(request.query) {
        Ok(span) => span,
        Err(error) => return refused(&error),
    };
    let key = NumberKey::of(&decoded(segment));
    let oldest = request.now.minus_ns(view.policy.retention_ns);
    let row = view.snapshot.numbers.get(&key).filter(|row| row.seen.last > oldest);
    let Some(row) = row else { return Response::error(404, "That number was not seen.") };
    let subject = (Dimension::Number, key.as_bytes());
    let history = span.and_then(|span| History::of(&ctx.store, span, subject, request.now));
    let shown = Filter::shown(view, &key, row, request.now);
    Response::json(200, &WithHistory { shown, history }).with_last_modified(view.snapshot.time)
}
