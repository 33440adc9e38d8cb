//! An event as one line of JSON, in the forms that the receivers want.
//!
//! The line is [`event_json::to_line`]'s; what differs is put in afterwards. Time and address stand before
//! everything that an attacker wrote, so the first place where their text is found is theirs.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sentrypeer_storage::event::{Time, Transport};
use sentrypeer_storage::event_json::{self, Producer};
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
        let allowed = allow.reason(event.source.ip()).map(|reason| reason.to_string());
        if self.format == Format::Ecs {
            return ecs(event, from, allowed.as_deref()).to_string();
        }
        let mut line = event_json::to_line(event, from);
        if let Some(zone) = &self.zone {
            put(
                &mut line,
                "event_timestamp",
                &Utc(event.time).to_string(),
                &local(event.time, zone),
            );
        }
        if self.format == Format::Tpot {
            let (ip, port) = (event.source.ip(), event.source.port());
            put(&mut line, "source_ip", &ip.to_string(), &format!("{ip}:{port}"));
        }
        if let Some(reason) = allowed {
            line.pop();
            line.push_str(",\"allowed\":");
            line.push_str(&Value::from(reason).to_string());
            line.push('}');
        }
        line
    }
}

/// Puts `new` in the place of `old` as the value of `key`. Neither needs an escape.
fn put(line: &mut String, key: &str, old: &str, new: &str) {
    let member = format!("\"{key}\":\"{old}\"");
    if let Some(at) = line.find(&member) {
        let end = at + member.len() - 1;
        line.replace_range(end - old.len()..end, new);
    }
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
        fn an_attacker_changes_only_what_is_his(agent: Vec<u8>) {
            let forged = br#"","source_ip":"1.2.3.4","event_timestamp":"2026-11-23 23:52:36.000127093"#;
            for agent in [agent.as_slice(), forged] {
                let zone = Some(TimeZone::fixed(jiff::tz::offset(1)));
                let event = event("1.2.3.4:5", agent);
                let value = render(&Renderer { format: Format::Tpot, zone }, &event);
                prop_assert_eq!(&value["source_ip"], "1.2.3.4:5");
                prop_assert_eq!(&value["event_timestamp"], "2026-11-24 00:52:36.000127093");
                let sent = text(agent).unwrap_or_else(|| event_json::NOT_FOUND.to_owned());
                prop_assert_eq!(&value["sip_user_agent"], &Value::from(sent));
                of(Format::Ecs, &event);
            }
        }
    }
}
