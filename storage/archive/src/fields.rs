//! One event as a file holds it, all texts, and what is made of it.

use std::borrow::Cow;
use std::str;

use sentrypeer_storage::event::{
    Anomalies, Collected, MESSAGE_BYTES_MAX, METHOD_BYTES_MAX, NUMBER_BYTES_MAX, NumberKind, Time,
    Transport, USER_AGENT_BYTES_MAX, Verification,
};
use sentrypeer_storage::event_json::NOT_FOUND;
use sentrypeer_storage::method::Method;
use uuid::Uuid;

use crate::import::Origin;
use crate::imported::{Imported, Reason};
use crate::limits::PLAIN_BYTES_MAX;
use crate::zone::Zone;
use crate::{address, clock, text};

/// One value of a file. Files of others hold any bytes.
pub(crate) type Field<'a> = Option<Cow<'a, [u8]>>;

/// One event as a file holds it.
#[derive(Default)]
pub(crate) struct Fields<'a> {
    pub id: Field<'a>,
    pub node_id: Field<'a>,
    pub time: Field<'a>,
    /// When the row was written, by SQLite.
    pub created_at: Field<'a>,
    pub collected: Field<'a>,
    pub transport: Field<'a>,
    pub source: Field<'a>,
    pub destination: Field<'a>,
    pub number: Field<'a>,
    pub method: Field<'a>,
    pub user_agent: Field<'a>,
    pub message: Field<'a>,
    pub anomalies: Anomalies,
}

impl Fields<'_> {
    /// The event, or why there is none.
    pub(crate) fn read(&self, zone: &Zone, origin: Origin, place: u64) -> Result<Imported, Reason> {
        let id = uuid(plain(&self.id)?).ok_or(Reason::Id)?;
        let time = self.time(zone)?;
        let source = plain(&self.source)?.and_then(address::parse).ok_or(Reason::Source)?;
        let destination = plain(&self.destination)?.and_then(address::parse);
        let transport = transport(plain(&self.transport)?)?;
        let mut cut = false;
        let mut keep = |field, bytes_max| {
            let (kept, shorter) = text::cut(found(field).unwrap_or_default(), bytes_max);
            cut |= shorter;
            Box::from(kept)
        };
        let method: Box<[u8]> = keep(&self.method, METHOD_BYTES_MAX);
        let number: Box<[u8]> = keep(&self.number, NUMBER_BYTES_MAX);
        let user_agent = keep(&self.user_agent, USER_AGENT_BYTES_MAX);
        let message = keep(&self.message, MESSAGE_BYTES_MAX);
        Ok(Imported {
            place,
            id,
            created_by_node_id: uuid(plain(&self.node_id)?),
            time,
            source,
            destination: destination.unwrap_or_else(|| address::unknown(source.ip())),
            transport,
            verification: verification(transport, origin),
            collected: collected(plain(&self.collected)?),
            number_kind: number_kind(&method, &number),
            anomalies: self.anomalies,
            cut,
            method,
            number,
            user_agent,
            message,
        })
    }

    /// When the event was: as it says, else when its row was written.
    fn time(&self, zone: &Zone) -> Result<Time, Reason> {
        let said = plain(&self.time)?.and_then(|text| clock::event_time(text, zone));
        let written = || self.created_at.as_deref().and_then(|text| str::from_utf8(text).ok());
        said.or_else(|| clock::created_at(written()?)).ok_or(Reason::Time)
    }
}

/// The value, unless it is one of those that stand for none.
fn found<'a>(field: &'a Field<'_>) -> Option<&'a [u8]> {
    field.as_deref().filter(|text| !text.is_empty() && *text != NOT_FOUND.as_bytes())
}

/// A value that has a short, fixed form. What is no text is none.
fn plain<'a>(field: &'a Field<'_>) -> Result<Option<&'a str>, Reason> {
    match found(field) {
        Some(text) if text.len() > PLAIN_BYTES_MAX => Err(Reason::LongText),
        Some(text) => Ok(str::from_utf8(text).ok()),
        None => Ok(None),
    }
}

/// A UUID in the form that everybody writes: 36 characters with hyphens (RFC 9562, section 4).
fn uuid(text: Option<&str>) -> Option<Uuid> {
    const HYPHENATED_BYTES: usize = 36;
    let text = text.filter(|text| text.len() == HYPHENATED_BYTES)?;
    Uuid::try_parse(text).ok().filter(|id| !id.is_nil())
}

fn transport(text: Option<&str>) -> Result<Transport, Reason> {
    let Some(text) = text else { return Ok(Transport::Udp) };
    let named = |transport: &Transport| text.eq_ignore_ascii_case(transport.name());
    Transport::ALL.into_iter().find(named).ok_or(Reason::Transport)
}

fn collected(text: Option<&str>) -> Collected {
    let responsive = Collected::Responsive;
    if text == Some(responsive.name()) { responsive } else { Collected::Passive }
}

/// What an event of a file proves of its source.
fn verification(transport: Transport, origin: Origin) -> Verification {
    match (origin, transport) {
        (Origin::Unknown, _) | (Origin::Own, Transport::Udp) => Verification::Unverified,
        (Origin::Own, Transport::Tcp) => Verification::Connected,
        (Origin::Own, Transport::Tls) => Verification::Tls,
    }
}

/// What a number is, by the method of its request: what was called, and what goes with a call, or an
/// account that was tried. The parser says the same of what it reads.
fn number_kind(method: &[u8], number: &[u8]) -> NumberKind {
    if number.is_empty() {
        return NumberKind::None;
    }
    match Method::of(method) {
        Method::Invite | Method::Message | Method::Refer => NumberKind::Called,
        Method::Ack | Method::Bye | Method::Cancel => NumberKind::Called,
        Method::Info | Method::Prack | Method::Update => NumberKind::Called,
        _ => NumberKind::Account,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "019ab0e4-6b8a-7c3e-8f10-2b0b6a1c9d77";

    fn field(text: &str) -> Field<'_> {
        Some(Cow::Borrowed(text.as_bytes()))
    }

    fn fields() -> Fields<'static> {
        Fields {
            id: field(ID),
            time: field("2026-11-23 23:52:36.740127"),
            transport: field("TCP"),
            source: field("203.0.113.7:5066"),
            number: field("+442071234567"),
            method: field("INVITE"),
            ..Fields::default()
        }
    }

    fn read(fields: &Fields<'_>) -> Result<Imported, Reason> {
        fields.read(&Zone::default(), Origin::Own, 7)
    }

    #[test]
    fn what_a_file_does_not_tell_is_what_claims_least() {
        let bare = Fields { transport: None, number: field(NOT_FOUND), ..fields() };
        let event = read(&bare).unwrap();
        assert_eq!(event.transport, Transport::Udp);
        assert_eq!(event.verification, Verification::Unverified);
        assert_eq!(event.collected, Collected::Passive);
        assert_eq!((&*event.number, event.number_kind), (b"".as_slice(), NumberKind::None));
        assert_eq!(event.destination.to_string(), "0.0.0.0:0");
        assert_eq!(event.created_by_node_id, None);
        assert_eq!(event.place, 7);
    }

    #[test]
    fn a_connection_is_believed_only_of_a_node_that_heard_no_others() {
        let of = |transport, origin| {
            let fields = Fields { transport: field(transport), ..fields() };
            fields.read(&Zone::default(), origin, 0).unwrap().verification
        };
        assert_eq!(of("TCP", Origin::Own), Verification::Connected);
        assert_eq!(of("TLS", Origin::Own), Verification::Tls);
        assert_eq!(of("UDP", Origin::Own), Verification::Unverified);
        for transport in ["UDP", "TCP", "TLS"] {
            assert_eq!(of(transport, Origin::Unknown), Verification::Unverified);
        }
    }

    #[test]
    fn the_method_says_what_a_number_is() {
        for (method, kind) in [
            ("INVITE", NumberKind::Called),
            ("BYE", NumberKind::Called),
            ("REGISTER", NumberKind::Account),
            ("OPTIONS", NumberKind::Account),
            ("invite", NumberKind::Account),
        ] {
            let event = read(&Fields { method: field(method), ..fields() }).unwrap();
            assert_eq!(event.number_kind, kind, "{method}");
        }
    }

    #[test]
    fn what_an_event_cannot_be_without_is_missed_by_name() {
        let reason = |fields: Fields<'_>| read(&fields).unwrap_err();
        let nil = Uuid::nil().to_string();
        for id in ["", "1", "019ab0e46b8a7c3e8f102b0b6a1c9d77", &nil] {
            assert_eq!(reason(Fields { id: field(id), ..fields() }), Reason::Id, "{id}");
        }
        assert_eq!(reason(Fields { time: None, ..fields() }), Reason::Time);
        assert_eq!(reason(Fields { source: field(NOT_FOUND), ..fields() }), Reason::Source);
        assert_eq!(
            reason(Fields { source: Some(Cow::Borrowed(b"\xff")), ..fields() }),
            Reason::Source
        );
        assert_eq!(reason(Fields { transport: field("SCTP"), ..fields() }), Reason::Transport);
        let long = "2".repeat(PLAIN_BYTES_MAX + 1);
        assert_eq!(reason(Fields { time: field(&long), ..fields() }), Reason::LongText);
    }

    #[test]
    fn a_row_without_a_time_has_that_at_which_it_was_written() {
        let row = Fields {
            time: field(NOT_FOUND),
            created_at: field("2026-11-23 22:52:36.741"),
            ..fields()
        };
        let event = row.read(&"+01:00".parse().unwrap(), Origin::Own, 0).unwrap();
        assert_eq!(event.time, Time(1_795_474_356_741_000_000));
    }

    #[test]
    fn what_is_longer_than_an_event_keeps_is_cut() {
        let long = "é".repeat(USER_AGENT_BYTES_MAX);
        let event = read(&Fields { user_agent: field(&long), ..fields() }).unwrap();
        assert!(event.cut);
        assert_eq!(event.user_agent.len(), USER_AGENT_BYTES_MAX);
        assert!(!read(&fields()).unwrap().cut);
    }
}
