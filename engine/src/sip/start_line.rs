//! The start line: what kind of message it is, or what else the bytes look like.

use memchr::memchr2;

use super::anomaly::Anomaly;
use super::bytes::{Span, is_blank, is_token, starts_with_lower, trim};
use super::header::Lines;
use super::message::{Kind, Looks, Message};
use super::uri::{Scheme, split_scheme};

/// Reads the start line, sets the message's kind and its spans, and leaves `lines` where the headers
/// begin. False if these bytes have none.
pub(super) fn read(message: &mut Message<'_>, lines: &mut Lines<'_>) -> bool {
    let input = message.input;
    let start = lines.at;
    if !is_text(input[start]) {
        message.set_not_sip(looks(&input[start..]));
        return false;
    }
    let before = lines.clone();
    let line = lines.physical();
    let line = &input[start..line.end];
    let read = if starts_with_lower(line, b"sip/") {
        status_line(message, start, line);
        true
    } else {
        plain_request_line(message, start, line) || request_line(message, start, line)
    };
    if !read {
        message.set_not_sip(Looks::Other);
        // A message that lost its start line still has its headers.
        *lines = before;
    }
    true
}

/// `Method SP Request-URI SP "SIP/2.0"` without anything odd, as nearly all messages have it.
/// Notes nothing, and says false, if it is anything else.
#[inline]
fn plain_request_line(message: &mut Message<'_>, start: usize, line: &[u8]) -> bool {
    const VERSION: &[u8; 8] = b" SIP/2.0";
    let Some(line) = line.strip_suffix(VERSION) else {
        return false;
    };
    let Some(method_end) = line.iter().position(|byte| !is_token(*byte)) else {
        return false;
    };
    let uri = &line[method_end + 1..];
    let scheme = split_scheme(uri).0;
    if method_end == 0
        || line[method_end] != b' '
        || scheme == Scheme::Other
        || memchr2(b' ', b'\t', uri).is_some()
    {
        return false;
    }
    message.kind = Kind::Request;
    message.method = Span::new(start, start + method_end);
    message.uri = Span::new(start + method_end + 1, start + line.len());
    if !is_known(&line[..method_end]) {
        message.anomalies.observe(Anomaly::MethodUnknown);
    }
    true
}

/// Reads a request line of any kind, and notes what is wrong with it. False if no method can be
/// read; then nothing is noted.
fn request_line(message: &mut Message<'_>, start: usize, line: &[u8]) -> bool {
    let (from, to) = trimmed(line, 0, line.len());
    let text = &line[from..to];
    let method_len = text.iter().position(|byte| is_blank(*byte)).unwrap_or(text.len());
    let method = &text[..method_len];
    let last_word = text.iter().rposition(|byte| is_blank(*byte)).map_or(0, |blank| blank + 1);
    let version = Version::of(&text[last_word.max(method_len)..]);
    let uri_end = if version.is_some() { from + last_word } else { to };
    let (uri_from, uri_to) = trimmed(line, from + method_len, uri_end.max(from + method_len));
    let uri = &line[uri_from..uri_to];

    if version == Some(Version::Http) || (version.is_none() && is_http_0_9(method, uri)) {
        message.set_not_sip(Looks::Http);
    } else if version.is_some() || has_sip_shape(method, uri) {
        message.kind = Kind::Request;
        note_request_line(message, method, uri, version);
        if start_line_space(line, method, uri, version) {
            message.anomalies.reject(Anomaly::StartLineSpace);
        }
    } else {
        return false;
    }
    message.method = Span::new(start + from, start + from + method_len);
    let (opened, closed) = angles(uri);
    message.uri = Span::new(start + uri_from + opened, start + uri_to - closed);
    true
}

/// What stands at the end of a request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Sip2,
    OtherCase,
    OtherSip,
    Http,
}

impl Version {
    fn of(word: &[u8]) -> Option<Self> {
        if word == b"SIP/2.0" {
            Some(Self::Sip2)
        } else if starts_with_lower(word, b"sip/") {
            let same = word.eq_ignore_ascii_case(b"SIP/2.0");
            Some(if same { Self::OtherCase } else { Self::OtherSip })
        } else if starts_with_lower(word, b"http/") {
            Some(Self::Http)
        } else {
            None
        }
    }
}

fn note_request_line(
    message: &mut Message<'_>,
    method: &[u8],
    uri: &[u8],
    version: Option<Version>,
) {
    let anomalies = &mut message.anomalies;
    match version {
        None => anomalies.reject(Anomaly::NoVersion),
        Some(Version::OtherSip) => anomalies.reject(Anomaly::Version),
        Some(Version::OtherCase) => anomalies.observe(Anomaly::Version),
        Some(_) => {}
    }
    if !method.iter().all(|byte| is_token(*byte)) {
        anomalies.reject(Anomaly::MethodSyntax);
    } else if !is_known(method) {
        anomalies.observe(Anomaly::MethodUnknown);
    }
    if uri.is_empty() {
        return anomalies.reject(Anomaly::UriMissing);
    }
    if memchr2(b' ', b'\t', uri).is_some() {
        anomalies.reject(Anomaly::UriSpace);
    }
    let (opened, closed) = angles(uri);
    if opened + closed > 0 {
        anomalies.reject(Anomaly::UriAngles);
    }
    if split_scheme(&uri[opened..]).0 == Scheme::Other {
        anomalies.observe(Anomaly::UriScheme);
    }
}

/// Whether `line` has more or other white space around its parts than single SPs.
fn start_line_space(line: &[u8], method: &[u8], uri: &[u8], version: Option<Version>) -> bool {
    let words = [method.len(), uri.len(), if version.is_some() { 7 } else { 0 }];
    let spaces = words.iter().filter(|length| **length > 0).count().saturating_sub(1);
    let version_excess = match version {
        Some(Version::OtherSip) => return false,
        _ => 0,
    };
    line.len() != words.iter().sum::<usize>() + spaces + version_excess
        || line.get(method.len()).is_some_and(|byte| *byte == b'\t')
        || (version.is_some() && line[line.len() - 8] == b'\t')
}

/// How many angle brackets stand at the two ends of `uri`: 0 or 1 each.
fn angles(uri: &[u8]) -> (usize, usize) {
    let opened = usize::from(uri.first() == Some(&b'<'));
    let closed = usize::from(uri.len() > opened && uri.last() == Some(&b'>'));
    (opened, closed)
}

/// `line[from..to]` without white space at its ends, as positions.
fn trimmed(line: &[u8], from: usize, to: usize) -> (usize, usize) {
    let text = &line[from..to];
    let lead = text.iter().position(|byte| !is_blank(*byte)).unwrap_or(text.len());
    let trail = text[lead..].iter().rev().take_while(|byte| is_blank(**byte)).count();
    (from + lead, to - trail)
}

/// Whether a line without a version is a request all the same: a method that SIP has, or a word and
/// a URI that SIP has.
fn has_sip_shape(method: &[u8], uri: &[u8]) -> bool {
    let (opened, _) = angles(uri);
    is_known(method)
        || (!method.is_empty()
            && method.iter().all(|byte| is_token(*byte))
            && split_scheme(&uri[opened..]).0 != Scheme::Other)
}

fn is_http_0_9(method: &[u8], uri: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"POST" | b"PUT") && uri.first() == Some(&b'/')
}

/// The methods of RFC 3261, 3262 (PRACK), 3311 (UPDATE), 3428 (MESSAGE), 3515 (REFER), 3903
/// (PUBLISH), 6086 (INFO) and 6665 (SUBSCRIBE, NOTIFY).
#[inline]
fn is_known(method: &[u8]) -> bool {
    matches!(
        method,
        b"INVITE"
            | b"ACK"
            | b"BYE"
            | b"CANCEL"
            | b"OPTIONS"
            | b"REGISTER"
            | b"PRACK"
            | b"UPDATE"
            | b"MESSAGE"
            | b"REFER"
            | b"PUBLISH"
            | b"INFO"
            | b"SUBSCRIBE"
            | b"NOTIFY"
    )
}

/// `Status-Line = SIP-Version SP Status-Code SP Reason-Phrase`, RFC 3261, 25.1.
fn status_line(message: &mut Message<'_>, start: usize, line: &[u8]) {
    message.kind = Kind::Response;
    let anomalies = &mut message.anomalies;
    anomalies.observe(Anomaly::Response);
    let version_len = line.iter().position(|byte| is_blank(*byte)).unwrap_or(line.len());
    match Version::of(&line[..version_len]) {
        Some(Version::Sip2) => {}
        Some(Version::OtherCase) => anomalies.observe(Anomaly::Version),
        _ => anomalies.reject(Anomaly::Version),
    }
    let (code_from, end) = trimmed(line, version_len, line.len());
    let code_len = line[code_from..end].iter().position(|byte| is_blank(*byte));
    let code_to = code_len.map_or(end, |length| code_from + length);
    message.status = status_code(&line[code_from..code_to]);
    if message.status.is_none() {
        anomalies.reject(Anomaly::StatusCode);
    }
    // The SP behind the code has to stand there even if no reason follows.
    if code_from != version_len + 1 || line.get(version_len) != Some(&b' ') {
        anomalies.reject(Anomaly::StartLineSpace);
    }
    message.uri = Span::default();
    let reason_from = line.len().min(code_to + 1);
    message.reason = Span::new(start + reason_from, start + line.len());
}

/// Three digits, from 100 to 699.
fn status_code(word: &[u8]) -> Option<u16> {
    let [hundreds @ b'1'..=b'6', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = word else {
        return None;
    };
    let digit = |byte: &u8| u16::from(byte - b'0');
    Some(digit(hundreds) * 100 + digit(tens) * 10 + digit(ones))
}

/// Whether a byte can begin a line of text.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (b' '..=b'~').contains(&byte)
}

/// What bytes that begin with no text look like.
fn looks(bytes: &[u8]) -> Looks {
    match bytes {
        // ContentType 20 to 23, then version 3.x (RFC 8446, 5.1) or DTLS's 254.x (RFC 6347, 4.1).
        [20..=23, 3, 0..=4, ..] | [20..=23, 254, 253 | 255, ..] => Looks::Tls,
        // Two zero bits, and the magic cookie (RFC 8489, 5).
        [0..=63, _, _, _, 0x21, 0x12, 0xa4, 0x42, ..] if bytes.len() >= 20 => Looks::Stun,
        // Version 2 (RFC 3550, 5.1) and the fixed header.
        [0x80..=0xbf, ..] if bytes.len() >= 8 && !trim(bytes).is_empty() => Looks::Rtp,
        _ => Looks::Other,
    }
}
