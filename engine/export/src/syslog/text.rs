//! An event as a syslog message: bytes only, no IO.
//!
//! Method and user agent are the attacker's. Nothing of them can end a line, a field or a parameter, and the agent
//! stands last: whatever it says comes after what a filter reads.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sentrypeer_storage::event::Time;
use sentrypeer_storage::event_json::NOT_FOUND;
use sentrypeer_storage::log::StoredEvent;
use sentrypeer_storage::utc::Utc;

use crate::limits::METHOD_CHARS_MAX;
use crate::line::rfc3339;

/// Facility user, level notice (RFC 5424, section 6.2.1).
const PRIORITY: u8 = 8 + 5;

/// The name of our structured data. 32473 is the number that RFC 5612 sets aside for examples: we have none
/// of our own.
const SD_ID: &str = "sentrypeer@32473";

/// Who writes: the name of the program is fixed, for filters look for it.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) host: String,
    pub(crate) pid: u32,
}

/// The text of SentryPeer 4.x.
pub(crate) fn text(event: &StoredEvent) -> String {
    let (method, agent) = (method(&event.method), agent(&event.user_agent));
    format!("Source IP: {}, Method: {method}, Agent: {agent}", event.source.ip())
}

/// For the local daemon, as the C library writes it: the time is local and without a year.
pub(crate) fn local(event: &StoredEvent, sender: &Sender, zone: &TimeZone) -> Vec<u8> {
    let at = Timestamp::from_nanosecond(i128::from(event.time.0)).unwrap_or(Timestamp::MAX);
    let civil = zone.to_datetime(at);
    let month = MONTHS[usize::from(civil.month().unsigned_abs() - 1) % 12];
    let (day, hour, minute, second) = (civil.day(), civil.hour(), civil.minute(), civil.second());
    let (pid, text) = (sender.pid, text(event));
    format!(
        "<{PRIORITY}>{month} {day:2} {hour:02}:{minute:02}:{second:02} sentrypeer[{pid}]: {text}"
    )
    .into_bytes()
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// RFC 5424, section 6, with what is known of the event as structured data.
pub(crate) fn rfc5424(event: &StoredEvent, sender: &Sender) -> Vec<u8> {
    let mut line = format!(
        "<{PRIORITY}>1 {} {} sentrypeer {} event [{SD_ID}",
        micros(event.time),
        sender.host,
        sender.pid
    );
    for (name, value) in fields(event) {
        let _ = write!(line, " {name}=\"{}\"", parameter(&value));
    }
    let _ = write!(line, "] {}", text(event));
    line.into_bytes()
}

/// The native protocol of journald: a field a line. No value has a line end, so none needs the binary
/// form.
pub(crate) fn journald(event: &StoredEvent, sender: &Sender) -> Vec<u8> {
    let mut fields_text = format!(
        "MESSAGE={}\nPRIORITY=5\nSYSLOG_FACILITY=1\nSYSLOG_IDENTIFIER=sentrypeer\nSYSLOG_PID={}\n",
        text(event),
        sender.pid
    );
    for (name, value) in fields(event) {
        let _ = writeln!(fields_text, "SENTRYPEER_{}={value}", name.to_ascii_uppercase());
    }
    fields_text.into_bytes()
}

/// What is known of the event, by name.
fn fields(event: &StoredEvent) -> [(&'static str, String); 9] {
    [
        ("event_uuid", event.id.to_string()),
        ("event_timestamp", Utc(event.time).to_string()),
        ("source_ip", event.source.ip().to_string()),
        ("source_port", event.source.port().to_string()),
        ("transport_type", event.transport.name().to_owned()),
        ("verification", event.verification.name().to_owned()),
        ("sip_method", method(&event.method)),
        ("called_number", agent(&event.number)),
        ("sip_user_agent", agent(&event.user_agent)),
    ]
}

/// RFC 5424 allows six digits of a second.
fn micros(time: Time) -> String {
    let mut text = rfc3339(time);
    text.truncate(text.len() - 4);
    text.push('Z');
    text
}

/// One word: a filter takes it for what stands between two blanks.
fn method(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return NOT_FOUND.to_owned();
    }
    let plain = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' };
    bytes.iter().take(METHOD_CHARS_MAX).map(plain).collect()
}

/// Text without anything that a terminal or a log takes for an order.
fn agent(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return NOT_FOUND.to_owned();
    }
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|letter| if is_order(letter) { '?' } else { letter }).collect()
}

/// Whether a terminal or a log takes a character for an order: control characters, line and paragraph
/// separators, and what turns the direction of writing.
#[must_use]
pub fn is_order(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
        || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// RFC 5424, section 6.3.3: a backslash before `"`, `\` and `]`.
fn parameter(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for letter in value.chars() {
        if matches!(letter, '"' | '\\' | ']') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sentrypeer_storage::event::{
        Anomalies, Collected, NumberKind, Seq, Transport, Verification,
    };
    use uuid::Uuid;

    use super::*;

    fn event(method: &[u8], agent: &[u8]) -> StoredEvent {
        StoredEvent {
            seq: Seq(1),
            id: Uuid::from_u128(9),
            time: Time(1_795_477_956_740_127_093),
            source: "144.21.55.36:5061".parse().unwrap(),
            destination: "192.0.2.1:5060".parse().unwrap(),
            transport: Transport::Udp,
            verification: Verification::Unverified,
            collected: Collected::Responsive,
            number_kind: NumberKind::Called,
            anomalies: Anomalies::default(),
            method: method.into(),
            number: b"+100".as_slice().into(),
            user_agent: agent.into(),
            message: b"".as_slice().into(),
        }
    }

    fn sender() -> Sender {
        Sender { host: "pot".to_owned(), pid: 77 }
    }

    fn show(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_text_is_that_of_sentrypeer_4() {
        let probe = event(b"OPTIONS", b"sipsak 0.9.7");
        let expected = "Source IP: 144.21.55.36, Method: OPTIONS, Agent: sipsak 0.9.7";
        assert_eq!(text(&probe), expected);
        let line = show(local(&probe, &sender(), &TimeZone::UTC));
        assert_eq!(line, format!("<13>Nov 23 23:52:36 sentrypeer[77]: {expected}"));
        assert!(text(&event(b"", b"")).ends_with("Method: NOT_FOUND, Agent: NOT_FOUND"));
    }

    #[test]
    fn rfc_5424_has_structured_data_and_the_same_text() {
        let line = show(rfc5424(&event(b"INVITE", br#"a"b\c]d"#), &sender()));
        assert!(line.starts_with("<13>1 2026-11-23T23:52:36.740127Z pot sentrypeer 77 event ["));
        assert!(line.contains(r#" sip_user_agent="a\"b\\c\]d"] Source IP: 144.21.55.36, "#));
    }

    #[test]
    fn journald_gets_a_field_a_line() {
        let fields = show(journald(&event(b"INVITE", b"x\nPRIORITY=0"), &sender()));
        assert!(fields.contains("\nSENTRYPEER_SIP_USER_AGENT=x?PRIORITY=0\n"));
        assert!(fields.lines().all(|line| line.contains('=')));
        assert_eq!(fields.matches("PRIORITY=5\n").count(), 1);
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_makes_another_line_or_another_word(
            verb: Vec<u8>,
            agent: Vec<u8>,
            text: String,
        ) {
            for agent in [agent.as_slice(), text.as_bytes()] {
                let event = event(&verb, agent);
                let lines = [
                    show(local(&event, &sender(), &TimeZone::UTC)),
                    show(rfc5424(&event, &sender())),
                ];
                for line in lines {
                    prop_assert!(!line.contains(is_order));
                }
                prop_assert_eq!(show(journald(&event, &sender())).lines().count(), 14);
                prop_assert!(!method(&verb).contains(' '));
                let quoted = parameter(&text);
                let bare = quoted.replace(r"\\", "").replace("\\\"", "").replace(r"\]", "");
                prop_assert!(!bare.contains(['"', '\\', ']']));
            }
        }
    }
}
