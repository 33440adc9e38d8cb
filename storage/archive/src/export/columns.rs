//! The columns of the formats that have them: CSV and Parquet. Names are those of the JSON log.

use std::borrow::Cow;
use std::net::SocketAddr;

use sentrypeer_storage::event::{Anomaly, NumberKind};
use sentrypeer_storage::event_json::Producer;
use sentrypeer_storage::log::StoredEvent;
use sentrypeer_storage::number::Target;
use sentrypeer_storage::utc::Utc;

use crate::text;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Whether every event has one.
    pub always: bool,
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nanoseconds since 1970, UTC.
    Time,
    /// Text.
    Text,
    /// A port: 16 bits.
    Port,
}

/// A value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Missing,
    Time(Utc),
    Text(Cow<'a, str>),
    Port(u16),
}

const fn always(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, always: true }
}

const fn perhaps(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, always: false }
}

/// Every column, in their order.
pub const COLUMNS: [Column; 19] = [
    always("event_timestamp", Kind::Time),
    always("event_uuid", Kind::Text),
    always("created_by_node_id", Kind::Text),
    always("collected_method", Kind::Text),
    always("transport_type", Kind::Text),
    always("verification", Kind::Text),
    always("source_ip", Kind::Text),
    perhaps("source_port", Kind::Port),
    perhaps("destination_ip", Kind::Text),
    perhaps("destination_port", Kind::Port),
    perhaps("called_number", Kind::Text),
    perhaps("called_number_kind", Kind::Text),
    perhaps("called_number_e164", Kind::Text),
    perhaps("called_number_country", Kind::Text),
    perhaps("sip_method", Kind::Text),
    perhaps("sip_user_agent", Kind::Text),
    perhaps("anomalies_observed", Kind::Text),
    perhaps("anomalies_invalid", Kind::Text),
    perhaps("sip_message", Kind::Text),
];

/// The values of an event, in the order of [`COLUMNS`].
pub(crate) fn values<'a>(event: &'a StoredEvent, producer: &Producer) -> [Value<'a>; 19] {
    let target = Target::read(&event.number);
    let country = target.and_then(|target| target.country());
    let destination = Some(event.destination).filter(|to| !to.ip().is_unspecified());
    [
        Value::Time(Utc(event.time)),
        text(event.id.to_string()),
        text(producer.node_id.to_string()),
        text(event.collected.name()),
        text(event.transport.name()),
        text(event.verification.name()),
        text(event.source.ip().to_string()),
        port(event.source),
        destination.map_or(Value::Missing, |to| text(to.ip().to_string())),
        destination.map_or(Value::Missing, port),
        bytes(&event.number),
        kind(event.number_kind),
        target.map_or(Value::Missing, |target| text(target.to_string())),
        country.map_or(Value::Missing, text),
        bytes(&event.method),
        bytes(&event.user_agent),
        names(event.anomalies.observed),
        names(event.anomalies.invalid),
        bytes(&event.message),
    ]
}

fn text<'a>(text: impl Into<Cow<'a, str>>) -> Value<'a> {
    Value::Text(text.into())
}

/// What an attacker sent; empty stands for nothing.
fn bytes(bytes: &[u8]) -> Value<'_> {
    if bytes.is_empty() { Value::Missing } else { Value::Text(text::lossy(bytes)) }
}

/// Nobody sends from port 0; it stands for one that is not known.
fn port<'a>(address: SocketAddr) -> Value<'a> {
    if address.port() == 0 { Value::Missing } else { Value::Port(address.port()) }
}

fn kind<'a>(kind: NumberKind) -> Value<'a> {
    match kind {
        NumberKind::None => Value::Missing,
        NumberKind::Called => text("called"),
        NumberKind::Account => text("account"),
    }
}

/// The names of anomalies with commas between them, as in the JSON log.
fn names<'a>(set: u64) -> Value<'a> {
    let found = Anomaly::ALL.into_iter().filter(|anomaly| anomaly.bit() & set != 0);
    let names = found.map(Anomaly::name).collect::<Vec<_>>().join(",");
    if names.is_empty() { Value::Missing } else { text(names) }
}
