//! `/api/v1/events` and `/api/v1/events/{id}`: the log itself, the newest first.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sentrypeer_storage::event::{NumberKind, Seq, SourceKey};
use sentrypeer_storage::key::NumberKey;
use sentrypeer_storage::log::StoredEvent;
use sentrypeer_storage::query::{Query, Subject};
use serde::Serialize;
use uuid::Uuid;

use super::{Span, anomaly_names, page, refused, unreadable, verification};
use crate::context::Context;
use crate::exchange::{Request, Response};
use crate::lookup::{Reading, address};
use crate::query::{Parameters, QueryError, decoded};
use crate::routes::starting;
use crate::timestamp::Rfc3339;
use crate::v1::sources::{method, transport};

/// One event as it is shown. What the message did not have is left out.
#[derive(Serialize)]
pub(super) struct Event {
    id: String,
    time: Rfc3339,
    source: String,
    destination: String,
    transport: &'static str,
    verification: &'static str,
    collected: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number_kind: Option<&'static str>,
    #[serde(flatten)]
    reading: Option<Reading>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    anomalies_observed: Vec<&'static str>,
    anomalies_invalid: Vec<&'static str>,
}

#[derive(Serialize)]
struct Answer {
    events: Vec<Event>,
    /// Events that could not be read because the database is damaged there.
    #[serde(skip_serializing_if = "is_zero")]
    damaged: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// One event with its message.
#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    event: Event,
    /// As text; bytes that are no UTF-8 are replaced.
    message: String,
    /// Byte by byte.
    message_base64: String,
}

const NAMES: [&str; 4] = ["limit", "cursor", "since", "until"];

/// `/api/v1/events`
pub(crate) fn list(ctx: &Context, request: &Request<'_>) -> Response {
    let parameters = Parameters::parse(request.query, &[&NAMES[..], &WANTED].concat());
    let query = match parameters.and_then(|parameters| query(&parameters)) {
        Ok(query) => query,
        Err(error) => return refused(&error),
    };
    let Some(log) = ctx.store.log() else { return starting(ctx) };
    match log.find(&query) {
        Err(error) => unreadable(ctx, &error),
        Ok(found) => {
            let events = found.events.iter().map(Event::of).collect();
            let next = found.before.map(|before| before.0.to_string());
            Response::json(200, &Answer { events, damaged: found.damaged, next })
        }
    }
}

fn query(parameters: &Parameters<'_>) -> Result<Query, QueryError> {
    let Span { since, until } = Span::parse(parameters)?;
    let place = |text: &str| text.parse().ok().map(Seq);
    let before = parameters.value("cursor", "the \"next\" of a page", place)?;
    Ok(Query {
        before: before.unwrap_or(Seq(u64::MAX)),
        since,
        until,
        max_events: page::limit(parameters)?,
        ..wanted(parameters)?
    })
}

/// The parameters that say which events are wanted, whenever they were.
pub(super) const WANTED: [&str; 6] =
    ["source", "number", "method", "transport", "verification", "user_agent"];

/// Which events are wanted, of all times.
pub(super) fn wanted(parameters: &Parameters<'_>) -> Result<Query, QueryError> {
    let ip = |text: &str| address(text.as_bytes());
    let source = parameters.value("source", "an IP address", ip)?;
    let source = source.map(|ip| Subject::Source(SourceKey::of(ip)));
    let number = parameters.bytes("number").map(|n| Subject::Number(NumberKey::of(n)));
    if source.is_some() && number.is_some() {
        return Err(QueryError::Both { names: ["source", "number"] });
    }
    Ok(Query {
        subject: source.or(number),
        method: parameters.value("method", "the name of a SIP method, other or none", method)?,
        transport: parameters.value("transport", "UDP, TCP or TLS", transport)?,
        min_verification: verification(parameters)?,
        agent: parameters.bytes("user_agent").map(Into::into),
        ..Query::default()
    })
}

/// `/api/v1/events/{id}`. The id says where the event is.
pub(crate) fn one(ctx: &Context, segment: &str) -> Response {
    let id = std::str::from_utf8(&decoded(segment)).ok().and_then(|text| text.parse().ok());
    let Some(id): Option<Uuid> = id else {
        return Response::error(400, "That is no id of an event.");
    };
    let Some(log) = ctx.store.log() else { return starting(ctx) };
    // The lower 48 bits, see `storage::event::event_id`.
    let seq = Seq(id.as_u64_pair().1 & 0xffff_ffff_ffff);
    match log.event(seq) {
        Err(error) => unreadable(ctx, &error),
        Ok(found) => match found.filter(|event| event.id == id) {
            None => Response::error(404, "There is no such event, or it has expired."),
            Some(event) => Response::json(200, &Whole::of(&event)),
        },
    }
}

impl Event {
    pub(super) fn of(event: &StoredEvent) -> Self {
        let text =
            |bytes: &[u8]| (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned());
        let number_kind = match event.number_kind {
            NumberKind::None => None,
            NumberKind::Called => Some("called"),
            NumberKind::Account => Some("account"),
        };
        Self {
            id: event.id.to_string(),
            time: Rfc3339(event.time),
            source: event.source.to_string(),
            destination: event.destination.to_string(),
            transport: event.transport.name(),
            verification: event.verification.name(),
            collected: event.collected.name(),
            method: text(&event.method),
            number: text(&event.number),
            number_kind,
            reading: Reading::of(&event.number),
            user_agent: text(&event.user_agent),
            anomalies_observed: anomaly_names(event.anomalies.observed),
            anomalies_invalid: anomaly_names(event.anomalies.invalid),
        }
    }
}

impl Whole {
    fn of(event: &StoredEvent) -> Self {
        Self {
            event: Event::of(event),
            message: String::from_utf8_lossy(&event.message).into_owned(),
            message_base64: BASE64_STANDARD.encode(&event.message),
        }
    }
}
