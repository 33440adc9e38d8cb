//! The protocol of NATS, as far as a publisher needs it: bytes in, bytes out, no IO.
//!
//! A server says lines: `INFO {...}`, `PING`, `PONG`, `+OK`, `-ERR 'why'`, and messages,
//! `MSG SUBJECT SID [REPLY] BYTES` with a payload behind the line, or `HMSG` with headers before the payload.

use bytes::{Buf, BytesMut};
use serde::Deserialize;

use crate::batch::Failure;
use crate::limits::{NATS_ANSWER_BYTES_MAX, NATS_LINE_BYTES_MAX};

/// What a server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Info {
    /// The longest message that it takes.
    pub(super) max_payload: usize,
    /// Whether it knows headers.
    pub(super) headers: bool,
    /// Whether it keeps streams itself.
    pub(super) jetstream: bool,
    pub(super) tls_required: bool,
    pub(super) tls_available: bool,
    /// What it wants to see signed.
    pub(super) nonce: Option<String>,
}

/// One thing that a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Info(Box<Info>),
    Ping,
    Pong,
    Ok,
    /// It refuses something, and says what in words.
    Refusal(String),
    Message(Answer),
}

/// A message that a server has sent us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) subject: String,
    /// The status that its headers begin with, if they do.
    pub(super) status: Option<u16>,
    pub(super) payload: Vec<u8>,
}

/// Bytes of a server that have not been understood yet.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    pub(super) bytes: BytesMut,
    /// So many of them hold no line end.
    searched: usize,
}

/// The parts of `MSG` and `HMSG`.
struct Announced {
    subject: String,
    headers: usize,
    total: usize,
}

impl Incoming {
    /// The next thing that is there as a whole.
    ///
    /// # Errors
    ///
    /// This is not NATS, or longer than anything that we ask for.
    pub(super) fn next(&mut self) -> Result<Option<Said>, Failure> {
        let found = memchr::memchr(b'\n', &self.bytes[self.searched..]);
        let Some(end) = found.map(|at| self.searched + at) else {
            self.searched = self.bytes.len();
            return if self.searched > NATS_LINE_BYTES_MAX { Err(nonsense()) } else { Ok(None) };
        };
        if end > NATS_LINE_BYTES_MAX {
            return Err(nonsense());
        }
        // A message that is not whole yet is looked at again from its line's end.
        self.searched = end;
        let line = self.bytes[..end].strip_suffix(b"\r").unwrap_or(&self.bytes[..end]);
        let line = std::str::from_utf8(line).map_err(|_| nonsense())?;
        let (verb, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let said = match verb.to_ascii_uppercase().as_str() {
            "MSG" => return self.message(announced(rest, false)?, end + 1),
            "HMSG" => return self.message(announced(rest, true)?, end + 1),
            "INFO" => Said::Info(serde_json::from_str(rest).map_err(|_| nonsense())?),
            "PING" => Said::Ping,
            "PONG" => Said::Pong,
            "+OK" => Said::Ok,
            "-ERR" => Said::Refusal(readable(rest.trim().trim_matches('\''))),
            _ => return Err(nonsense()),
        };
        self.take(end + 1);
        Ok(Some(said))
    }

    fn message(&mut self, of: Announced, begin: usize) -> Result<Option<Said>, Failure> {
        let end = begin + of.total;
        if self.bytes.len() < end + 2 {
            return Ok(None);
        }
        if &self.bytes[end..end + 2] != b"\r\n" {
            return Err(nonsense());
        }
        let (headers, payload) = self.bytes[begin..end].split_at(of.headers);
        let answer =
            Answer { subject: of.subject, status: status(headers), payload: payload.to_vec() };
        self.take(end + 2);
        Ok(Some(Said::Message(answer)))
    }

    fn take(&mut self, bytes: usize) {
        self.bytes.advance(bytes);
        self.searched = 0;
    }
}

/// `SUBJECT SID [REPLY] [HEADERS] TOTAL`.
fn announced(rest: &str, has_headers: bool) -> Result<Announced, Failure> {
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |word: &&str| word.parse::<usize>().ok().filter(|n| *n <= NATS_ANSWER_BYTES_MAX);
    let numbers = if has_headers { 2 } else { 1 };
    if !(2 + numbers..=3 + numbers).contains(&words.len()) {
        return Err(nonsense());
    }
    let total = words.last().and_then(number).ok_or_else(nonsense)?;
    let headers = match has_headers {
        true => number(&words[words.len() - 2]).filter(|n| *n <= total).ok_or_else(nonsense)?,
        false => 0,
    };
    Ok(Announced { subject: words[0].to_owned(), headers, total })
}

/// `NATS/1.0 503`.
fn status(headers: &[u8]) -> Option<u16> {
    let text = headers.strip_prefix(b"NATS/1.0 ")?.get(..3)?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

pub(super) fn nonsense() -> Failure {
    Failure::new("it says what no NATS server says; is this one?")
}

/// What a server says, without what moves a cursor or ends a line.
fn readable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// What JetStream says to a message.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Acknowledgement {
    stream: String,
    seq: u64,
    error: Option<Error>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Error {
    code: u16,
    description: String,
}

/// Nobody is there to answer (NATS, "no responders").
const NO_RESPONDERS: u16 = 503;

/// Whether a stream has the message; if not, why.
pub(super) fn is_stored(answer: &Answer, info: &Info) -> Result<(), Failure> {
    if answer.status == Some(NO_RESPONDERS) {
        return Err(Failure::new(match info.jetstream {
            true => "no stream takes what is published; add one for the subject",
            false => {
                "no stream takes what is published, and this server has no JetStream; switch it on there"
            }
        }));
    }
    let ack: Option<Acknowledgement> = serde_json::from_slice(&answer.payload).ok();
    match ack {
        Some(Acknowledgement { error: Some(error), .. }) => {
            let text = readable(&error.description);
            Err(Failure::new(format!("the stream refuses: {text} ({})", error.code)))
        }
        Some(ack) if !ack.stream.is_empty() && ack.seq > 0 => Ok(()),
        _ => Err(Failure::new(
            "what answers is no stream; does another program take this subject's messages?",
        )),
    }
}

/// Puts a message behind what is there.
pub(super) fn publish(subject: &str, reply: &str, id: &str, payload: &[u8], into: &mut BytesMut) {
    let headers = format!("NATS/1.0\r\nNats-Msg-Id: {id}\r\n\r\n");
    let total = headers.len() + payload.len();
    let line = format!("HPUB {subject} {reply} {} {total}\r\n", headers.len());
    for part in [line.as_bytes(), headers.as_bytes(), payload, b"\r\n"] {
        into.extend_from_slice(part);
    }
}

/// Most bytes of a subject, so that no line is too long for a server (4 KiB).
const SUBJECT_BYTES_MAX: usize = 256;

/// Whether messages can be published to `TEXT.kind`: words with dots between them, and nothing that stands for others.
#[must_use]
pub fn is_subject(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic() && !b"*>$".contains(&b))
    };
    text.len() <= SUBJECT_BYTES_MAX && text.split('.').all(is_word)
}

/// The last word of an event's subject. What an attacker calls a method makes no subject: all that SIP does not know
/// are of one kind.
pub(super) fn kind(method: &[u8]) -> &'static str {
    KINDS.iter().find(|(name, _)| name.as_bytes() == method).map_or("other", |(_, kind)| kind)
}

/// RFC 3261, 3262, 3265, 3311, 3428, 3515, 3903 and 6086.
const KINDS: [(&str, &str); 14] = [
    ("INVITE", "invite"),
    ("REGISTER", "register"),
    ("OPTIONS", "options"),
    ("ACK", "ack"),
    ("BYE", "bye"),
    ("CANCEL", "cancel"),
    ("SUBSCRIBE", "subscribe"),
    ("NOTIFY", "notify"),
    ("MESSAGE", "message"),
    ("INFO", "info"),
    ("PUBLISH", "publish"),
    ("REFER", "refer"),
    ("PRACK", "prack"),
    ("UPDATE", "update"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everything that is understood when the bytes come in parts of this size.
    fn heard(bytes: &[u8], part: usize) -> Result<Vec<Said>, Failure> {
        let (mut incoming, mut said) = (Incoming::default(), Vec::new());
        for part in bytes.chunks(part.max(1)) {
            incoming.bytes.extend_from_slice(part);
            while let Some(next) = incoming.next()? {
                said.push(next);
            }
        }
        Ok(said)
    }

    fn answer(status: Option<u16>, payload: &str) -> Answer {
        Answer { subject: "a.1".to_owned(), status, payload: payload.into() }
    }

    #[test]
    fn what_a_server_says_is_understood_however_it_is_cut() {
        let bytes =
            b"INFO {\"max_payload\":9,\"headers\":true,\"more\":[1]} \r\nPING\r\n+OK\r\npong\r\n\
            -ERR 'Stale Connection'\r\nMSG a.1 1 2\r\n{}\r\nMSG a.1 1 r 0\r\n\r\n\
            HMSG a.1 1 16 18\r\nNATS/1.0 503\r\n\r\n{}\r\n";
        let expected = [
            Said::Info(Box::new(Info { max_payload: 9, headers: true, ..Info::default() })),
            Said::Ping,
            Said::Ok,
            Said::Pong,
            Said::Refusal("Stale Connection".to_owned()),
            Said::Message(answer(None, "{}")),
            Said::Message(answer(None, "")),
            Said::Message(answer(Some(503), "{}")),
        ];
        for part in [1, 2, 7, bytes.len()] {
            assert_eq!(heard(bytes, part).unwrap(), expected);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in [
            "HTTP/1.1 400 Bad Request\r\n",
            "\r\n",
            "MSG a 1\r\n",
            "MSG a 1 18446744073709551615\r\n",
            "MSG a 1 70000\r\n",
            "MSG a 1 2\r\n{}xx",
            "HMSG a 1 9 3\r\n",
            "HMSG a 1 3\r\n",
            "INFO nothing\r\n",
            &"x".repeat(NATS_LINE_BYTES_MAX + 1),
        ] {
            assert!(heard(bytes.as_bytes(), 64).is_err(), "{bytes:.40}");
        }
        assert_eq!(heard(b"-ERR\r\n", 9).unwrap(), [Said::Refusal(String::new())]);
    }

    #[test]
    fn only_an_acknowledgement_says_that_a_message_is_stored() {
        let info = Info::default();
        let why = |answer: &Answer| is_stored(answer, &info).unwrap_err().text;
        is_stored(&answer(None, r#"{"stream":"S","seq":1,"duplicate":true}"#), &info).unwrap();
        assert!(why(&answer(Some(503), "")).contains("no JetStream"));
        let full = r#"{"error":{"code":503,"err_code":10077,"description":"maximum\nmessages"}}"#;
        assert_eq!(why(&answer(None, full)), "the stream refuses: maximum?messages (503)");
        for payload in ["", "{}", "[]", "no", r#"{"stream":"S"}"#, r#"{"stream":"","seq":1}"#] {
            assert!(why(&answer(None, payload)).contains("no stream"), "{payload}");
        }
    }

    #[test]
    fn a_message_has_its_id_and_its_lengths() {
        let mut bytes = BytesMut::new();
        publish("s.invite", "_INBOX.a.7", "id-1", b"{}", &mut bytes);
        let expected =
            "HPUB s.invite _INBOX.a.7 31 33\r\nNATS/1.0\r\nNats-Msg-Id: id-1\r\n\r\n{}\r\n";
        assert_eq!(&bytes[..], expected.as_bytes());
    }

    #[test]
    fn a_method_that_sip_does_not_know_makes_no_subject() {
        assert_eq!((kind(b"INVITE"), kind(b"UPDATE")), ("invite", "update"));
        for method in [b"invite".as_slice(), b"", b"X.>", b"INVITE "] {
            assert_eq!(kind(method), "other");
        }
        assert!(is_subject("sentrypeer.events") && is_subject("a"));
        for text in ["", ".", "a.", "a b", "a.*", "a.>", "$JS.API", "a\r\nPUB", "ä"] {
            assert!(!is_subject(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_understood_or_refused_and_the_same_in_any_parts(
            begin in prop::sample::select(vec!["", "MSG a 1 ", "HMSG a 1 ", "-ERR", "INFO ", "PING"]),
            rest: Vec<u8>,
            part in 1_usize..9,
        ) {
            let bytes = [begin.as_bytes(), &rest].concat();
            let whole = heard(&bytes, bytes.len());
            let parts = heard(&bytes, part);
            prop_assert_eq!(whole.is_ok(), parts.is_ok());
            if let (Ok(whole), Ok(parts)) = (whole, parts) {
                prop_assert_eq!(whole, parts);
            }
        }
    }
}
