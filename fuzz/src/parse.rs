//! Any bytes can be parsed, and every way to a field leads to the same one.

use sentrypeer_sip::{Message, Name, NumberKind, Session, parse};

use crate::slow;

/// The known headers with a compact form (RFC 3261, 7.3.3 and later documents).
const COMPACT: [(Name, &[u8]); 9] = [
    (Name::Via, b"v"),
    (Name::From, b"f"),
    (Name::To, b"t"),
    (Name::CallId, b"i"),
    (Name::Contact, b"m"),
    (Name::ContentLength, b"l"),
    (Name::ContentType, b"c"),
    (Name::Supported, b"k"),
    (Name::Event, b"o"),
];

const SLOW_BYTES_MAX: usize = 2_048;

/// The oracles are a second reader, slow and easy to believe, which must read every field the same;
/// a search through every header line, which must find what the scan found; and the same message
/// with something behind it, which must read the same.
pub fn check(data: &[u8]) {
    let message = parse(data);
    assert_eq!(message.bytes(), data);
    // It needs the square of the length, and there would be no time left to try much.
    if data.len() <= SLOW_BYTES_MAX {
        assert_eq!(slow::of(&message), slow::read(data));
    }
    headers_agree(&message);
    everything_is_within(&message);
    what_follows_changes_nothing(&message);
}

fn headers_agree(message: &Message<'_>) {
    for (name, compact) in COMPACT {
        let is = |found: &[u8]| {
            found.eq_ignore_ascii_case(name.text().as_bytes())
                || found.eq_ignore_ascii_case(compact)
        };
        let searched = message.headers().find(|(found, _)| is(found)).map(|(_, value)| value);
        assert_eq!(message.header(name), searched, "{}", name.text());
        assert_eq!(message.values(name).next(), searched, "{}", name.text());
        let lines = message.headers().filter(|(found, _)| is(found)).count();
        assert_eq!(message.values(name).count(), lines, "{}", name.text());
    }
    assert!(message.via_count() >= message.vias().filter(|via| !via.is_empty()).count());
}

/// Every field is a part of the message, and the number fits its buffer.
fn everything_is_within(message: &Message<'_>) {
    let data = message.bytes();
    let within = |field: &[u8]| {
        let start = (field.as_ptr() as usize).wrapping_sub(data.as_ptr() as usize);
        field.is_empty() || start.checked_add(field.len()).is_some_and(|end| end <= data.len())
    };
    let fields = [
        Some(message.method()),
        Some(message.request_uri()),
        Some(message.reason()),
        Some(message.body()),
        Some(message.trailing()),
        Some(message.cseq().method),
        message.via_host(),
        message.from_user(),
        message.to_user(),
        message.contact_user(),
        message.from_tag(),
        message.to_tag(),
        message.call_id(),
        message.user_agent(),
        message.request_user(),
    ];
    assert!(fields.into_iter().flatten().all(within));
    assert!(message.headers().all(|(name, value)| within(name) && within(value)));
    for credentials in message.credentials() {
        assert!(credentials.params().all(|(name, value)| within(name) && within(value)));
    }
    let session = Session::new(message.body());
    let connections = session.media().map(|media| media.connection).chain([session.connection()]);
    assert!(
        connections.flatten().all(|c| within(c.network) && within(c.kind) && within(c.address))
    );
    assert!(session.media().all(|m| within(m.kind) && within(m.protocol) && within(m.formats)));
    assert!(message.request().phone_context().is_none_or(within));
    let mut number = [0; 128];
    let (decoded, kind) = message.called_number(&mut number);
    assert!(decoded.len() <= message.number_user().len().min(128));
    assert_eq!(kind == NumberKind::None, decoded.is_empty(), "a number has a kind");
    let (free, deep) = (message.anomalies(), message.all_anomalies());
    assert_eq!(free.observed & !deep.observed, 0, "the deep checks forgot something");
    assert_eq!(free.invalid & !deep.invalid, 0, "the deep checks forgot something");
}

fn what_follows_changes_nothing(message: &Message<'_>) {
    if message.content_length().is_none() || message.body_start().is_none() {
        return;
    }
    let longer = [message.bytes(), b"\r\nVia: x\r\n\r\n"].concat();
    let again = parse(&longer);
    assert_eq!(again.kind(), message.kind());
    assert_eq!(again.headers().count(), message.headers().count());
    assert!(again.body().starts_with(message.body()));
    for (name, _) in COMPACT {
        assert_eq!(again.header(name), message.header(name), "{}", name.text());
    }
}
