//! Writes a response to a request (RFC 3261, 8.2.6 and 18.2.1; RFC 3581).
//!
//! What is copied from the request is copied octet for octet, for strict stacks compare it. The
//! only exceptions: a folded value becomes one line, a stray CR a space and a NUL `_` (a request must
//! not write header lines into our answer), and the topmost Via gets `received` and `rport`.

use std::fmt;
use std::io::Write as _;
use std::net::IpAddr;

use memchr::memchr3;

use super::anomaly::Anomaly;
use super::bytes::{split_at_first, starts_with_lower, trim, trim_start};
use super::header::Splitter;
use super::limits::{COPIED_BYTES_MAX, VALUE_BYTES_MAX};
use super::message::{Kind, Message};
use super::name::Name;
use super::via::Via;

/// A response that is to be written.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// Response code, from 100 to 699; it is written as it is.
    pub status: u16,
    /// Reason phrase.
    pub reason: &'a str,
    /// Our tag, which To gets if the request's has none. `None` for a 100.
    pub to_tag: Option<&'a [u8]>,
    /// The source's address.
    pub received: IpAddr,
    /// The source's port.
    pub rport: u16,
    /// Headers that have to be there: names and values.
    pub required: &'a [(&'a str, &'a [u8])],
    /// Headers that may go if there is no room: the last goes first.
    pub optional: &'a [(&'a str, &'a [u8])],
    /// Content-Type and body.
    pub body: Option<(&'a str, &'a [u8])>,
}

/// Why no response can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoReply {
    /// Nobody answers a response, an ACK, or what is no SIP.
    NotDue,
    /// The request lacks a header that the response has to copy, or it is empty.
    Missing(Name),
    /// The request has more header lines than are read, so its Via values are not all known.
    TooManyHeaders,
    /// What the response must have does not fit into the limit, or is longer than is copied
    /// ([`VALUE_BYTES_MAX`],
    /// [`COPIED_BYTES_MAX`]).
    TooLong,
}

impl fmt::Display for NoReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDue => f.write_str("nothing that is answered"),
            Self::Missing(name) => write!(f, "the request has no {}", name.text()),
            Self::TooManyHeaders => f.write_str("the request has too many header lines"),
            Self::TooLong => f.write_str("the response does not fit into the limit"),
        }
    }
}

impl std::error::Error for NoReply {}

/// How header names are written.
#[derive(Clone, Copy)]
enum Form {
    Long,
    /// RFC 3261, 7.3.3: a few bytes less, when they are needed.
    Compact,
}

impl Reply<'_> {
    /// Appends the response to `request` to `out`, at most `limit` bytes of it. If the names in
    /// full do not fit, compact ones are tried.
    ///
    /// # Errors
    ///
    /// See [`NoReply`]; `out` is then as it was.
    pub fn write(
        &self,
        request: &Message<'_>,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), NoReply> {
        if request.kind() != Kind::Request || request.method() == b"ACK" {
            return Err(NoReply::NotDue);
        }
        if request.anomalies.has(Anomaly::HeaderCap) {
            return Err(NoReply::TooManyHeaders);
        }
        for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
            if request.header(name).is_none_or(<[u8]>::is_empty) {
                return Err(NoReply::Missing(name));
            }
        }
        // What is cut when it is read cannot be copied rightly: a second tag would be added to it.
        let is_long = |value: &[u8]| value.len() > VALUE_BYTES_MAX;
        let others = [Name::From, Name::To, Name::CallId, Name::CSeq];
        let copied =
            request.vias().chain(others.into_iter().filter_map(|name| request.header(name)));
        let mut bytes = 0;
        for value in copied {
            bytes += value.len();
            if is_long(value) || bytes > COPIED_BYTES_MAX {
                return Err(NoReply::TooLong);
            }
        }
        let start = out.len();
        for form in [Form::Long, Form::Compact] {
            if self.write_as(form, request, start.saturating_add(limit), out) {
                return Ok(());
            }
            out.truncate(start);
        }
        Err(NoReply::TooLong)
    }

    /// Writes up to the length `end` of `out`; false if it does not fit.
    fn write_as(&self, form: Form, request: &Message<'_>, end: usize, out: &mut Vec<u8>) -> bool {
        self.write_copied(form, request, out);
        for (name, value) in self.required {
            header(out, name, value);
        }
        // Written once to know how long it is: nothing is allocated for it.
        let before = out.len();
        self.write_tail(form, out);
        let tail = out.len() - before;
        out.truncate(before);
        if out.len() + tail > end {
            return false;
        }
        for (name, value) in self.optional {
            let before = out.len();
            header(out, name, value);
            if out.len() + tail > end {
                out.truncate(before);
                break;
            }
        }
        self.write_tail(form, out);
        true
    }

    /// The status line, and what every response copies (RFC 3261, 8.2.6.2).
    fn write_copied(&self, form: Form, request: &Message<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"SIP/2.0 ");
        decimal(out, usize::from(self.status));
        out.push(b' ');
        clean(out, self.reason.as_bytes());
        out.extend_from_slice(b"\r\n");
        for (index, value) in request.vias().enumerate() {
            out.extend_from_slice(form.name(Name::Via));
            if index == 0 {
                self.write_top_via(value, out);
            } else {
                clean(out, value);
            }
            out.extend_from_slice(b"\r\n");
        }
        for name in [Name::From, Name::To, Name::CallId, Name::CSeq] {
            out.extend_from_slice(form.name(name));
            clean(out, request.header(name).unwrap_or_default());
            if name == Name::To
                && let Some(tag) = self.to_tag
                && request.to_tag().is_none()
            {
                out.extend_from_slice(b";tag=");
                clean(out, tag);
            }
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Copies the first Via line. Its first value, the topmost, gets `received` if its host is not
    /// the source's address or it has `rport`, and `rport` gets the source's port (RFC 3261, 18.2.1;
    /// RFC 3581, 4). What the request itself claims in `received` and `rport` is dropped.
    fn write_top_via(&self, value: &[u8], out: &mut Vec<u8>) {
        let (top, others) = value.split_at(Splitter::with_angles(value).piece_end(value, b','));
        let top = trim(top);
        let Some(via) = Via::parse(top) else {
            return clean(out, value);
        };
        let received = self.received.to_canonical();
        let mut wants_received = host_address(via.host) != Some(received);
        let mut wants_rport = true;
        let (before, mut rest) = top.split_at(top.len() - via.params.len());
        clean(out, before);
        let mut splitter = Splitter::new(rest);
        while !rest.is_empty() {
            // The first piece, before the first `;`, is white space at most; it is copied as well.
            let semicolon = usize::from(rest[0] == b';');
            let end = semicolon + splitter.piece_end(&rest[semicolon..], b';');
            let (piece, next) = rest.split_at(end);
            rest = next;
            let name = trim(split_at_first(&piece[semicolon..], |byte| byte == b'=').0);
            if name.len() == 5 && starts_with_lower(name, b"rport") {
                wants_received = true;
                if std::mem::take(&mut wants_rport) {
                    out.extend_from_slice(b";rport=");
                    decimal(out, usize::from(self.rport));
                }
            } else if !(name.len() == 8 && starts_with_lower(name, b"received")) {
                clean(out, piece);
            }
        }
        if wants_received {
            out.extend_from_slice(b";received=");
            address(out, received);
        }
        clean(out, others);
    }

    /// Content-Type, Content-Length, the empty line and the body.
    fn write_tail(&self, form: Form, out: &mut Vec<u8>) {
        let (content_type, body) = self.body.unwrap_or_default();
        if self.body.is_some() {
            out.extend_from_slice(form.name(Name::ContentType));
            clean(out, content_type.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(form.name(Name::ContentLength));
        decimal(out, body.len());
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(body);
    }
}

impl Form {
    /// The name, its colon, and in full a space.
    fn name(self, name: Name) -> &'static [u8] {
        match (self, name) {
            (Self::Long, Name::Via) => b"Via: ",
            (Self::Long, Name::From) => b"From: ",
            (Self::Long, Name::To) => b"To: ",
            (Self::Long, Name::CallId) => b"Call-ID: ",
            (Self::Long, Name::ContentType) => b"Content-Type: ",
            (Self::Long, Name::ContentLength) => b"Content-Length: ",
            (Self::Long, _) => b"CSeq: ",
            (Self::Compact, Name::Via) => b"v:",
            (Self::Compact, Name::From) => b"f:",
            (Self::Compact, Name::To) => b"t:",
            (Self::Compact, Name::CallId) => b"i:",
            (Self::Compact, Name::ContentType) => b"c:",
            (Self::Compact, Name::ContentLength) => b"l:",
            (Self::Compact, _) => b"CSeq:",
        }
    }
}

fn header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    clean(out, name.as_bytes());
    out.extend_from_slice(b": ");
    clean(out, value);
    out.extend_from_slice(b"\r\n");
}

/// Copies `value` so that it stays in its line: a line end with the white space behind it is one
/// space, and a NUL, where many a stack stops reading, is `_`. (As a space it could part a name
/// from what stands before it, and so make a tag out of what is none.)
fn clean(out: &mut Vec<u8>, value: &[u8]) {
    let mut rest = value;
    while let Some(found) = memchr3(b'\r', b'\n', 0, rest) {
        out.extend_from_slice(&rest[..found]);
        if rest[found] == 0 {
            out.push(b'_');
            rest = &rest[found + 1..];
        } else {
            out.push(b' ');
            rest = trim_start(&rest[found..]);
        }
    }
    out.extend_from_slice(rest);
}

/// The address that a host of sent-by is, if it is one and no name.
fn host_address(host: &[u8]) -> Option<IpAddr> {
    let host = std::str::from_utf8(host).ok()?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host).parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

fn decimal(out: &mut Vec<u8>, number: usize) {
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{number}");
}

fn address(out: &mut Vec<u8>, ip: IpAddr) {
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{ip}");
}
