//! The scan: one pass over the head of a message.

use super::anomaly::Anomaly;
use super::bytes::{Span, decimal, is_lws, split_at_first, trim};
use super::class::{TOKEN, all_are};
use super::header::{Line, Lines};
use super::limits::{HEADER_LINES_MAX, INPUT_BYTES_MAX};
use super::message::{CSeq, Kind, Looks, Message};
use super::name::{Name, classify};
use super::start_line;

/// Without them no message is valid (RFC 3261, 8.1.1).
const MANDATORY: u32 =
    Name::Via.bit() | Name::From.bit() | Name::To.bit() | Name::CallId.bit() | Name::CSeq.bit();

/// What may stand once only: their grammar has no list.
const SINGLE: u32 = Name::From.bit()
    | Name::To.bit()
    | Name::CallId.bit()
    | Name::CSeq.bit()
    | Name::UserAgent.bit()
    | Name::Server.bit()
    | Name::ContentLength.bit()
    | Name::ContentType.bit()
    | Name::MaxForwards.bit()
    | Name::Expires.bit()
    | Name::Date.bit()
    | Name::Event.bit()
    | Name::ReferTo.bit()
    | Name::RAck.bit();

/// Reads a message. Never fails, and never panics: bytes that are no SIP make a [`Message`] whose
/// [`kind`](Message::kind) says so.
///
/// ```
/// use sentrypeer_sip as sip;
///
/// let message = sip::parse(b"OPTIONS sip:100@192.0.2.1 SIP/2.0\r\nFrom: <sip:7@192.0.2.9>;tag=1\r\n\r\n");
/// assert_eq!(message.method(), b"OPTIONS");
/// assert_eq!(message.from_user(), Some(&b"7"[..]));
/// assert!(message.anomalies().has(sip::Anomaly::HeaderMissing));
/// ```
#[must_use]
pub fn parse(input: &[u8]) -> Message<'_> {
    let input = &input[..input.len().min(INPUT_BYTES_MAX)];
    let mut message = Message::blank(input);
    let start = input.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(input.len());
    if let Some(looks) = idle(&input[start..], start) {
        message.set_not_sip(looks);
        return message;
    }
    if start > 0 {
        message.anomalies.observe(Anomaly::LeadingLineEnds);
    }
    let mut lines = Lines::new(input, start);
    if start_line::read(&mut message, &mut lines) {
        message.start = start;
        message.headers_at = lines.at;
        read_head(&mut message, &mut lines);
        note_headers(&mut message);
        read_numbers(&mut message);
    }
    message
}

/// Whether what follows `line_ends` bytes of line ends is nothing that was meant to be read.
#[inline]
fn idle(rest: &[u8], line_ends: usize) -> Option<Looks> {
    match rest.first() {
        None if line_ends > 0 => Some(Looks::KeepAlive),
        None => Some(Looks::Empty),
        Some(0 | b' ' | b'\t') => {
            if rest.iter().all(|byte| *byte == 0 || is_lws(*byte)) {
                Some(if rest.contains(&0) { Looks::KeepAlive } else { Looks::Empty })
            } else {
                None
            }
        }
        Some(_) => None,
    }
}

/// Reads the header lines up to the empty line or to the end.
#[inline(always)]
fn read_head(message: &mut Message<'_>, lines: &mut Lines<'_>) {
    let mut left = HEADER_LINES_MAX;
    while let Some(line) = lines.next() {
        if left > 0 {
            left -= 1;
            read_header(message, line);
        } else {
            message.anomalies.observe(Anomaly::HeaderCap);
        }
    }
    message.head_end = lines.at;
    message.body_at = lines.at;
    match lines.empty_line_end() {
        Some(body) => message.body_at = body,
        None => message.anomalies.reject(Anomaly::NoBlankLine),
    }
}

/// Reads one header line.
#[inline(always)]
fn read_header(message: &mut Message<'_>, line: Line) {
    if line.folded {
        message.anomalies.observe(Anomaly::Folded);
    }
    let Some(found) = classify(message.input, line.start, line.end) else {
        message.anomalies.reject(Anomaly::NoColon);
        return;
    };
    if found.spaced {
        message.anomalies.observe(Anomaly::SpaceBeforeColon);
        // `HCOLON = *( SP / HTAB ) ":"`: no fold.
        let name = &message.input[line.start..line.start + found.colon];
        message.bad_name |= name.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
    }
    let Some(name) = found.name else {
        let name = trim(&message.input[line.start..line.start + found.colon]);
        message.bad_name |= name.is_empty() || !all_are(name, TOKEN);
        return;
    };
    if message.seen & name.bit() != 0 {
        message.again |= name.bit();
        return;
    }
    message.seen |= name.bit();
    message.spans[name as usize] = Span::new(line.start + found.colon + 1, line.end);
}

/// Notes headers that are missing or stand too often.
#[inline]
fn note_headers(message: &mut Message<'_>) {
    if matches!(message.kind, Kind::NotSip(_)) {
        return;
    }
    let missing = !message.seen;
    if missing & MANDATORY != 0 {
        message.anomalies.reject(Anomaly::HeaderMissing);
    }
    if message.again & SINGLE != 0 {
        message.anomalies.reject(Anomaly::HeaderRepeated);
    }
    if missing & Name::MaxForwards.bit() != 0 && message.kind == Kind::Request {
        message.anomalies.observe(Anomaly::MaxForwardsMissing);
    }
    if missing & Name::ContentLength.bit() != 0 {
        message.anomalies.observe(Anomaly::ContentLengthMissing);
    }
}

/// Reads CSeq and Content-Length, which the scan compares with other parts.
#[inline]
fn read_numbers(message: &mut Message<'_>) {
    if let Some(value) = message.header(Name::CSeq) {
        message.cseq = read_cseq(value, message);
    }
    let Some(value) = message.header(Name::ContentLength) else {
        return;
    };
    message.content_length = decimal(value);
    let rest = message.input.len() - message.body_at;
    let anomalies = &mut message.anomalies;
    match message.content_length.map(|length| length as usize) {
        None => anomalies.reject(Anomaly::ContentLengthSyntax),
        Some(length) if length > rest => anomalies.reject(Anomaly::ContentLengthBeyond),
        Some(length) if length < rest => anomalies.observe(Anomaly::TrailingBytes),
        Some(_) => {}
    }
}

/// `CSeq = 1*DIGIT LWS Method`, RFC 3261, 25.1.
#[inline]
fn read_cseq<'a>(value: &'a [u8], message: &mut Message<'a>) -> CSeq<'a> {
    let (digits, rest) = split_at_first(value, |byte| !byte.is_ascii_digit());
    let number = decimal(digits);
    let method = if digits.is_empty() { &[][..] } else { trim(rest) };
    let (method, junk) = split_at_first(method, is_lws);
    let spaced = rest.first().is_some_and(|byte| is_lws(*byte));
    let own = message.method();
    let anomalies = &mut message.anomalies;
    if number.is_none() || method.is_empty() || !spaced || !junk.is_empty() {
        anomalies.reject(Anomaly::CSeqSyntax);
    }
    if number.is_some_and(|number| number >= 1 << 31) {
        anomalies.observe(Anomaly::CSeqLarge);
    }
    if message.kind == Kind::Request && method != own {
        anomalies.reject(Anomaly::CSeqMethod);
    }
    CSeq { number, method }
}
