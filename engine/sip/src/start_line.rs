//! The start line: what kind of message it is, or what else the bytes look like.

use super::anomaly::Anomaly;
use super::bytes::{Span, first_hit, hits, is_blank, starts_with_lower, window};
use super::class::{TOKEN, all_are};
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
    } else if starts_with_lower(line, b"http/") {
        message.set_not_sip(Looks::Http);
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

/// `Method SP Request-URI SP "SIP/2.0"` with a known method and scheme and single spaces, as nearly
/// all messages have it. Notes nothing, and says false, if it is anything else.
#[inline]
fn plain_request_line(message: &mut Message<'_>, start: usize, line: &[u8]) -> bool {
    let Some(line) = line.strip_suffix(b" SIP/2.0") else {
        return false;
    };
    let method_end = first_hit(hits(window(line), b' '));
    let Some((method, [b' ', uri @ ..])) = line.split_at_checked(method_end) else {
        return false;
    };
    if !is_known(method)
        || split_scheme(uri).0 == Scheme::Other
        || uri.last().is_some_and(|byte| is_blank(*byte))
    {
        return false;
    }
    message.kind = Kind::Request;
    message.method = Span::new(start, start + method_end);
    message.uri = Span::new(start + method_end + 1, start + line.len());
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
    let last = &text[last_word.max(method_len)..];
    let version = Version::of(last);
    let uri_end = if version.is_some() { from + last_word } else { to };
    let (uri_from, uri_to) = trimmed(line, from + method_len, uri_end.max(from + method_len));
    let uri = &line[uri_from..uri_to];

    if version == Some(Version::Http) || (version.is_none() && is_http_0_9(method, uri)) {
        message.set_not_sip(Looks::Http);
    } else if version.is_some() || has_sip_shape(method, uri) {
        message.kind = Kind::Request;
        note_request_line(message, method, uri, version);
        if start_line_space(line, method, uri, version.map(|_| last)) {
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
    if !all_are(method, TOKEN) {
        anomalies.reject(Anomaly::MethodSyntax);
    } else if !is_known(method) {
        anomalies.observe(Anomaly::MethodUnknown);
    }
    if uri.is_empty() {
        return anomalies.reject(Anomaly::UriMissing);
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
fn start_line_space(line: &[u8], method: &[u8], uri: &[u8], version: Option<&[u8]>) -> bool {
    let words = [method.len(), uri.len(), version.map_or(0, <[u8]>::len)];
    let spaces = words.iter().filter(|length| **length > 0).count() - 1;
    let is_tab = |at: Option<usize>| at.and_then(|at| line.get(at)) == Some(&b'\t');
    line.len() != words.iter().sum::<usize>() + spaces
        || is_tab(Some(method.len()))
        || is_tab(version.and_then(|version| line.len().checked_sub(version.len() + 1)))
}

/// How many angle brackets stand at the two ends of `uri`: 0 or 1 each, and none at its end alone.
fn angles(uri: &[u8]) -> (usize, usize) {
    match uri {
        [b'<', .., b'>'] => (1, 1),
        [b'<', ..] => (1, 0),
        _ => (0, 0),
    }
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
            && all_are(method, TOKEN)
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
    let single = |at: usize| line.get(at) == Some(&b' ');
    if code_from != version_len + 1 || !single(version_len) || !single(code_to) {
        anomalies.reject(Anomaly::StartLineSpace);
    }
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
        // Version 2 (RFC 3550, 5.1 and 6.1), and as long as the shortest RTCP packet.
        [0x80..=0xbf, _, _, _, _, _, _, _, ..] => Looks::Rtp,
        _ => Looks::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    /// Kind, method, Request-URI and what is wrong with the start line.
    fn line(line: &str) -> (Kind, String, String, Vec<Anomaly>) {
        let text = format!("{line}\r\n\r\n");
        let message = parse(text.as_bytes());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // What belongs to headers, which are not here.
        let beyond = [
            Anomaly::HeaderMissing,
            Anomaly::MaxForwardsMissing,
            Anomaly::ContentLengthMissing,
            Anomaly::Response,
        ];
        let found = message.all_anomalies().iter().filter(|anomaly| !beyond.contains(anomaly));
        (message.kind(), text(message.method()), text(message.request_uri()), found.collect())
    }

    #[track_caller]
    fn request(text: &str, method: &str, uri: &str, found: &[Anomaly]) {
        assert_eq!(
            line(text),
            (Kind::Request, method.into(), uri.into(), found.to_vec()),
            "{text}"
        );
    }

    #[test]
    fn a_request_line_is_read_however_it_is_written() {
        use Anomaly::{
            MethodSyntax, MethodUnknown, NoVersion, StartLineSpace, UriAngles, UriMissing,
            UriScheme, UriSpace, Version,
        };
        request("INVITE sip:a@b SIP/2.0", "INVITE", "sip:a@b", &[]);
        request("INVITE sip:a@b sip/2.0", "INVITE", "sip:a@b", &[Version]);
        request("INVITE sip:a@b SIP/2.1", "INVITE", "sip:a@b", &[Version]);
        request("INVITE sip:a@b", "INVITE", "sip:a@b", &[NoVersion]);
        request("Invite sip:a@b SIP/2.0", "Invite", "sip:a@b", &[MethodUnknown]);
        request("IN(ITE sip:a@b SIP/2.0", "IN(ITE", "sip:a@b", &[MethodSyntax]);
        request("INVITE SIP/2.0", "INVITE", "", &[UriMissing]);
        request("INVITE", "INVITE", "", &[NoVersion, UriMissing]);
        request("INVITE <sip:a@b> SIP/2.0", "INVITE", "sip:a@b", &[UriAngles]);
        request("INVITE <sip:a@b SIP/2.0", "INVITE", "sip:a@b", &[UriAngles]);
        request("INVITE http://a SIP/2.0", "INVITE", "http://a", &[UriScheme]);
        request("INVITE sip:a@b; lr SIP/2.0", "INVITE", "sip:a@b; lr", &[UriSpace]);
        for spaced in [
            "INVITE  sip:a@b SIP/2.0",
            "INVITE sip:a@b  SIP/2.0",
            "INVITE sip:a@b SIP/2.0 ",
            " INVITE sip:a@b SIP/2.0",
            "INVITE\tsip:a@b SIP/2.0",
            "INVITE sip:a@b\tSIP/2.0",
        ] {
            request(spaced, "INVITE", "sip:a@b", &[StartLineSpace]);
        }
        request("FOO sip:a@b", "FOO", "sip:a@b", &[NoVersion, MethodUnknown]);
    }

    #[test]
    fn a_response_code_has_three_digits() {
        let status = |text: &str| parse(text.as_bytes()).status();
        assert_eq!(status("SIP/2.0 100 Trying\r\n\r\n"), Some(100));
        assert_eq!(status("sip/2.0 699 \r\n\r\n"), Some(699));
        for bad in ["099", "700", "20", "2000", "", "abc", "4294967301"] {
            assert_eq!(status(&format!("SIP/2.0 {bad} OK\r\n\r\n")), None, "{bad}");
        }
        assert_eq!(parse(b"SIP/2.0 404 Not Found\r\n\r\n").reason(), b"Not Found");
        assert_eq!(parse(b"SIP/2.0 404 \r\n\r\n").reason(), b"");
        assert_eq!(line("SIP/2.0 404").3, [Anomaly::StartLineSpace]);
        assert_eq!(line("SIP/3.0 404 No").3, [Anomaly::Version]);
    }

    #[test]
    fn an_http_response_is_http_too() {
        let message = parse(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n");
        assert_eq!(message.kind(), Kind::NotSip(Looks::Http));
        assert_eq!(message.header(crate::Name::Server), Some(&b"x"[..]));
    }

    #[test]
    fn what_is_no_sip_is_told_apart() {
        let kind = |bytes: &[u8]| parse(bytes).kind();
        let not = Kind::NotSip;
        assert_eq!(kind(b""), not(Looks::Empty));
        assert_eq!(kind(b" \t"), not(Looks::Empty));
        assert_eq!(kind(b"\r\n"), not(Looks::KeepAlive));
        assert_eq!(kind(b"\0\0\0\0"), not(Looks::KeepAlive));
        assert_eq!(kind(&[22, 3, 1, 0, 5]), not(Looks::Tls));
        assert_eq!(kind(&[22, 254, 253, 0, 0]), not(Looks::Tls));
        assert_eq!(kind(b"GET / HTTP/1.1\r\n\r\n"), not(Looks::Http));
        assert_eq!(kind(b"GET /\r\n"), not(Looks::Http));
        assert_eq!(kind(&[0x80, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9]), not(Looks::Rtp));
        for other in [&b"hello\r\n"[..], b"SSH-2.0-x\r\n", b"a b c", b"\x01\x02", b"Via: x\r\n"] {
            assert_eq!(kind(other), not(Looks::Other));
        }
    }
}
