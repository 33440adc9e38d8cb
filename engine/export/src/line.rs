//! An event as one line of JSON, in the forms that the receivers want.
//!
//! The object is that of `sentrypeer_storage::event_json`, written without a copy of each member: a log
//! that catches up writes hundreds of megabytes a second. A test holds one against the other.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sentrypeer_storage::event::{Anomaly, Time, Transport};
use sentrypeer_storage::event_json::{NOT_FOUND, Producer};
use sentrypeer_storage::log::StoredEvent;
use sentrypeer_storage::number::Target;
use sentrypeer_storage::policy::AllowList;
use sentrypeer_storage::utc::Utc;
use serde_json::{Value, json};

/// Which object an event becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// SentryPeer's.
    #[default]
    SentryPeer,
    /// The same with `ip:port` as `source_ip`, as SentryPeer 4.x writes it and T-Pot splits it.
    Tpot,
    /// Elastic Common Schema.
    Ecs,
}

/// In which time zone times are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// UTC.
    #[default]
    Utc,
    /// The machine's, as SentryPeer 4.x does. ECS is always UTC.
    Local,
}

/// How events become lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Renderer {
    format: Format,
    /// The machine's time zone, if times are written in it.
    zone: Option<TimeZone>,
}

impl Renderer {
    pub(crate) fn new(format: Format, clock: Clock) -> Self {
        let zone = (clock == Clock::Local).then(TimeZone::system);
        Self { format, zone }
    }

    /// The line, without the newline.
    pub(crate) fn line(&self, event: &StoredEvent, from: &Producer, allow: &AllowList) -> String {
        let mut line = Vec::with_capacity(event.message.len() * 5 / 4 + 512);
        self.write(event, from, allow, &mut line);
        // What is written is text throughout.
        String::from_utf8(line).unwrap_or_default()
    }

    /// Puts the line behind what is there, without the newline.
    pub(crate) fn write(
        &self,
        event: &StoredEvent,
        from: &Producer,
        allow: &AllowList,
        into: &mut Vec<u8>,
    ) {
        let allowed = allow.reason(event.source.ip()).map(|reason| reason.to_string());
        if self.format == Format::Ecs {
            text_of(ecs(event, from, allowed.as_deref()), into);
            return;
        }
        let mut object = Object { into, is_empty: true };
        object.text("app_name", &from.app_name);
        object.text("app_version", &from.app_version);
        match &self.zone {
            None => object.plain("event_timestamp", Utc(event.time)),
            Some(zone) => object.plain("event_timestamp", local(event.time, zone)),
        }
        object.plain("event_uuid", event.id);
        object.plain("created_by_node_id", from.node_id);
        object.plain("collected_method", event.collected.name());
        object.plain("transport_type", event.transport.name());
        let (ip, port) = (event.source.ip(), event.source.port());
        match self.format {
            Format::Tpot => object.plain("source_ip", format_args!("{ip}:{port}")),
            _ => object.plain("source_ip", ip),
        }
        object.plain("destination_ip", event.destination.ip());
        object.sent("called_number", &event.number);
        object.sent("sip_method", &event.method);
        object.sent("sip_user_agent", &event.user_agent);
        object.sent("sip_message", &event.message);
        object.learnt(event);
        allowed.iter().for_each(|reason| object.text("allowed", reason));
        into.push(b'}');
    }
}

/// The members of one object, as they are added.
struct Object<'a> {
    into: &'a mut Vec<u8>,
    is_empty: bool,
}

impl Object<'_> {
    fn key(&mut self, key: &str) {
        let is_first = std::mem::replace(&mut self.is_empty, false);
        self.into.extend_from_slice(if is_first { b"{\"" } else { b",\"" });
        self.into.extend_from_slice(key.as_bytes());
        self.into.extend_from_slice(b"\":");
    }

    /// A value that needs no escape.
    fn plain(&mut self, key: &str, value: impl Display) {
        self.key(key);
        // Writing to memory does not fail.
        let _ = write!(self.into, "\"{value}\"");
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        text_of(value, self.into);
    }

    /// What an attacker sent.
    fn sent(&mut self, key: &str, bytes: &[u8]) {
        let text = if bytes.is_empty() {
            Cow::Borrowed(NOT_FOUND)
        } else {
            String::from_utf8_lossy(bytes)
        };
        self.text(key, &text);
    }

    /// What follows from it.
    fn learnt(&mut self, event: &StoredEvent) {
        if let Some(target) = Target::read(&event.number) {
            self.plain("called_number_e164", target);
            target.country().iter().for_each(|code| self.plain("called_number_country", code));
        }
        self.names("anomalies_observed", event.anomalies.observed);
        self.names("anomalies_invalid", event.anomalies.invalid);
    }

    fn names(&mut self, key: &str, set: u64) {
        if set == 0 {
            return;
        }
        let found = Anomaly::ALL.into_iter().filter(|anomaly| anomaly.bit() & set != 0);
        let names = found.map(Anomaly::name).collect::<Vec<_>>().join(",");
        if !names.is_empty() {
            self.plain(key, names);
        }
    }
}

/// The value as JSON; writing to memory does not fail.
fn text_of(value: impl serde::Serialize, into: &mut Vec<u8>) {
    let _ = serde_json::to_writer(into, &value);
}

/// The time in a zone, in the form of [`Utc`].
fn local(time: Time, zone: &TimeZone) -> String {
    let at = Timestamp::from_nanosecond(i128::from(time.0)).unwrap_or(Timestamp::MAX);
    let shift = zone.to_offset(at).seconds();
    let shifted = i128::from(time.0) + i128::from(shift) * 1_000_000_000;
    Utc(Time(u64::try_from(shifted).unwrap_or(0))).to_string()
}

/// The time as RFC 3339 writes it, in UTC with nine digits.
pub(crate) fn rfc3339(time: Time) -> String {
    let mut text = Utc(time).to_string().replace(' ', "T");
    text.push('Z');
    text
}

/// The event in Elastic Common Schema 8.11; what has no place there is under `sentrypeer`.
fn ecs(event: &StoredEvent, from: &Producer, allowed: Option<&str>) -> Value {
    let network = if event.transport == Transport::Udp { "udp" } else { "tcp" };
    let family = if event.source.is_ipv4() { "ipv4" } else { "ipv6" };
    let target = Target::read(&event.number);
    let method = text(&event.method);
    json!({
        "@timestamp": rfc3339(event.time),
        "ecs": { "version": "8.11.0" },
        "event": {
            "id": event.id.to_string(),
            "kind": "event",
            "category": ["network"],
            "type": ["connection"],
            "action": method,
            "dataset": "sentrypeer.sip",
            "module": "sentrypeer",
            "original": text(&event.message),
        },
        "message": text(&event.message),
        "source": { "ip": event.source.ip().to_string(), "port": event.source.port() },
        "destination": { "ip": event.destination.ip().to_string(), "port": event.destination.port() },
        "network": { "transport": network, "type": family, "protocol": "sip" },
        "user_agent": { "original": text(&event.user_agent) },
        "related": { "ip": [event.source.ip().to_string(), event.destination.ip().to_string()] },
        "observer": {
            "type": "honeypot",
            "product": from.app_name,
            "version": from.app_version,
            "serial_number": from.node_id.to_string(),
        },
        "sentrypeer": {
            "allowed": allowed,
            "called_number": text(&event.number),
            "called_number_country": target.and_then(|target| target.country()),
            "called_number_e164": target.map(|target| target.to_string()),
            "collected_method": event.collected.name(),
            "tls": event.transport == Transport::Tls,
            "verification": event.verification.name(),
        },
    })
}

/// What an attacker sent, as text; nothing at all if it sent nothing.
fn text(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sentrypeer_storage::event::{Anomalies, Collected, NumberKind, Seq, Verification};
    use sentrypeer_storage::event_json;
    use uuid::Uuid;

    use super::*;

    fn producer() -> Producer {
        let node_id = Uuid::from_u128(7);
        Producer { app_name: "sentrypeer".into(), app_version: "1.2.3".into(), node_id }
    }

    fn event(source: &str, agent: &[u8]) -> StoredEvent {
        StoredEvent {
            seq: Seq(1),
            id: Uuid::from_u128(9),
            time: Time(1_795_477_956_000_127_093),
            source: source.parse().unwrap(),
            destination: "144.21.55.36:5060".parse().unwrap(),
            transport: Transport::Udp,
            verification: Verification::Unverified,
            collected: Collected::Responsive,
            number_kind: NumberKind::Called,
            anomalies: Anomalies::default(),
            method: b"INVITE".as_slice().into(),
            number: b"+46500729221".as_slice().into(),
            user_agent: agent.into(),
            message: agent.into(),
        }
    }

    fn render(renderer: &Renderer, event: &StoredEvent) -> Value {
        let allow = AllowList::new([], true).with_prefixes(["10.0.0.0/8".parse().unwrap()]);
        let line = renderer.line(event, &producer(), &allow);
        assert!(!line.contains(['\n', '\r']));
        serde_json::from_str(&line).unwrap()
    }

    fn of(format: Format, event: &StoredEvent) -> Value {
        render(&Renderer::new(format, Clock::Utc), event)
    }

    #[test]
    fn the_form_of_tpot_differs_by_the_port_alone() {
        let event = event("144.21.55.36:5061", b"x");
        let mut tpot = of(Format::Tpot, &event);
        assert_eq!(tpot["source_ip"], "144.21.55.36:5061");
        tpot["source_ip"] = "144.21.55.36".into();
        assert_eq!(tpot, of(Format::SentryPeer, &event));
    }

    #[test]
    fn local_time_has_the_same_form_and_its_own_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(-5));
        let renderer = Renderer { format: Format::SentryPeer, zone: Some(zone) };
        let value = render(&renderer, &event("1.2.3.4:5", b""));
        assert_eq!(value["event_timestamp"], "2026-11-23 18:52:36.000127093");
    }

    #[test]
    fn what_is_on_the_allow_list_is_marked_and_nothing_else_is() {
        let mark = of(Format::SentryPeer, &event("10.0.0.7:5060", b""));
        assert_eq!(mark["allowed"], "the allow-list (10.0.0.0/8)");
        assert!(of(Format::SentryPeer, &event("11.0.0.7:5060", b"")).get("allowed").is_none());
        let ecs = of(Format::Ecs, &event("10.0.0.7:5060", b""));
        assert_eq!(ecs["sentrypeer"]["allowed"], "the allow-list (10.0.0.0/8)");
    }

    #[test]
    fn ecs_has_its_own_names_and_types() {
        let value = of(Format::Ecs, &event("[2a00::7]:5061", b"sipsak"));
        assert_eq!(value["@timestamp"], "2026-11-23T23:52:36.000127093Z");
        assert_eq!(value["source"], json!({ "ip": "2a00::7", "port": 5061 }));
        assert_eq!(value["network"]["type"], "ipv6");
        assert_eq!(value["user_agent"]["original"], "sipsak");
        assert_eq!(value["sentrypeer"]["called_number_country"], "SE");
    }

    proptest! {
        #[test]
        fn the_object_is_that_of_the_storage_to_the_byte(
            fields: [Vec<u8>; 3],
            number in "[+0-9]{0,16}",
            observed: u64,
            invalid: u64,
        ) {
            let [method, agent, message] = fields.map(Vec::into_boxed_slice);
            let anomalies = Anomalies { observed, invalid };
            let number = number.into_bytes().into();
            let event = event("[2a00::7]:5061", b"");
            let event = StoredEvent { anomalies, method, number, user_agent: agent, message, ..event };
            let line = Renderer::default().line(&event, &producer(), &AllowList::new([], true));
            prop_assert_eq!(line, event_json::to_line(&event, &producer()));
        }

        #[test]
        fn an_attacker_changes_only_what_is_his(agent: Vec<u8>) {
            let forged = br#"","source_ip":"1.2.3.4","event_timestamp":"2026-11-23 23:52:36.000127093"#;
            for agent in [agent.as_slice(), forged] {
                let zone = Some(TimeZone::fixed(jiff::tz::offset(1)));
                let event = event("1.2.3.4:5", agent);
                let value = render(&Renderer { format: Format::Tpot, zone }, &event);
                prop_assert_eq!(&value["source_ip"], "1.2.3.4:5");
                prop_assert_eq!(&value["event_timestamp"], "2026-11-24 00:52:36.000127093");
                let sent = text(agent).unwrap_or_else(|| NOT_FOUND.to_owned());
                prop_assert_eq!(&value["sip_user_agent"], &Value::from(sent));
                of(Format::Ecs, &event);
            }
        }
    }
}
