//! A message that was parsed: where its parts are, and what they say when asked.

use std::fmt;

use memchr::memchr;

use super::anomaly::{Anomalies, Anomaly};
use super::bytes::{Span, readable, split_at_first, trim};
use super::check;
use super::digest::Credentials;
use super::header::{Headers, List, Splitter};
use super::name::Name;
use super::plain;
use super::session::Session;
use super::uri::{Address, Uri, tag_in, user_in, user_of};
use super::via::Via;

/// What the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A request: a method can be read.
    Request,
    /// A response: the first line begins with `SIP/`.
    Response,
    /// Neither.
    NotSip(Looks),
}

/// What bytes that are no SIP look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Looks {
    /// Nothing, or white space.
    Empty,
    /// Line ends or NULs and nothing else.
    KeepAlive,
    /// A TLS or DTLS record.
    Tls,
    /// An HTTP request or response. A request's method and target, and the headers of both, can be
    /// read all the same.
    Http,
    /// RTP or RTCP.
    Rtp,
    /// STUN.
    Stun,
    /// Something else. If it is text, headers can be read all the same.
    Other,
}

/// The CSeq header in parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// The number; `None` if it is missing, no number, or 2^32 or more.
    pub number: Option<u32>,
    /// The method; empty if there is none.
    pub method: &'a [u8],
}

/// A parsed message. It borrows the bytes that it was parsed from; [`parse`](super::parse()) makes
/// it.
#[derive(Clone)]
pub struct Message<'a> {
    pub(super) input: &'a [u8],
    pub(super) kind: Kind,
    pub(super) status: Option<u16>,
    pub(super) method: Span,
    pub(super) uri: Span,
    pub(super) reason: Span,
    /// Where the start line begins, if there is a head.
    pub(super) start: usize,
    /// Where the first header line begins.
    pub(super) headers_at: usize,
    /// Where the head ends: at its empty line, or with the input.
    pub(super) head_end: usize,
    /// Where the body begins.
    pub(super) body_at: usize,
    pub(super) seen: u32,
    /// The bits of the names that stand on more than one line.
    pub(super) again: u32,
    /// Whether a header's name is no token.
    pub(super) bad_name: bool,
    /// The first value of each known header, with the white space around it.
    pub(super) spans: [Span; Name::COUNT],
    pub(super) cseq: CSeq<'a>,
    pub(super) content_length: Option<u32>,
    /// What the scan found, but for the bytes of the head.
    pub(super) anomalies: Anomalies,
}

impl<'a> Message<'a> {
    /// A message of which nothing is known yet.
    #[inline]
    pub(super) fn blank(input: &'a [u8]) -> Self {
        Self {
            input,
            kind: Kind::NotSip(Looks::Empty),
            status: None,
            method: Span::default(),
            uri: Span::default(),
            reason: Span::default(),
            start: input.len(),
            headers_at: input.len(),
            head_end: input.len(),
            body_at: input.len(),
            seen: 0,
            again: 0,
            bad_name: false,
            spans: [Span::default(); Name::COUNT],
            cseq: CSeq::default(),
            content_length: None,
            anomalies: Anomalies::default(),
        }
    }

    /// Says what the bytes are instead of SIP.
    pub(super) fn set_not_sip(&mut self, looks: Looks) {
        self.kind = Kind::NotSip(looks);
        let (idle, foreign) = match looks {
            Looks::Empty => (Some(Anomaly::Empty), None),
            Looks::KeepAlive => (Some(Anomaly::KeepAlive), None),
            Looks::Tls => (None, Some(Anomaly::LooksTls)),
            Looks::Http => (None, Some(Anomaly::LooksHttp)),
            Looks::Rtp => (None, Some(Anomaly::LooksRtp)),
            Looks::Stun => (None, Some(Anomaly::LooksStun)),
            Looks::Other => (None, None),
        };
        match idle {
            Some(anomaly) => self.anomalies.observe(anomaly),
            None => self.anomalies.reject(Anomaly::NotSip),
        }
        if let Some(anomaly) = foreign {
            self.anomalies.reject(anomaly);
        }
    }

    /// What the bytes are.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// All the bytes that were parsed.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.input
    }

    /// The method as sent; empty if this is no request (HTTP has one too).
    #[must_use]
    pub fn method(&self) -> &'a [u8] {
        self.method.of(self.input)
    }

    /// A response's code, from 100 to 699.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// A response's reason phrase; may be empty.
    #[must_use]
    pub fn reason(&self) -> &'a [u8] {
        self.reason.of(self.input)
    }

    /// The Request-URI, without angle brackets if it had any; empty if this is no request.
    #[must_use]
    pub fn request_uri(&self) -> &'a [u8] {
        self.uri.of(self.input)
    }

    /// The Request-URI in parts.
    #[must_use]
    pub fn request(&self) -> Uri<'a> {
        Uri::parse(self.request_uri())
    }

    /// The user of the Request-URI: see [`Uri::user`].
    #[must_use]
    pub fn request_user(&self) -> Option<&'a [u8]> {
        user_of(self.request_uri())
    }

    /// The first value of a known header, trimmed; a folded one still has its line ends.
    #[must_use]
    #[inline]
    pub fn header(&self, name: Name) -> Option<&'a [u8]> {
        let span = self.spans[name as usize];
        if span.is_absent() { None } else { Some(trim(span.of(self.input))) }
    }

    /// Every header line that has a colon, in order: its name and its value, both trimmed. Stops
    /// after [`HEADER_LINES_MAX`](super::limits::HEADER_LINES_MAX) lines.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        Headers::new(self.input, self.headers_at)
    }

    /// The values of every line of a known header, in order, trimmed. One line may hold a list
    /// ([`List`]).
    pub fn values(&self, name: Name) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        // Only a name that stands on several lines costs another walk over the head.
        let again = self.again & name.bit() != 0;
        let only = if again { None } else { self.header(name) };
        let all = again.then(|| self.headers().values(name));
        only.into_iter().chain(all.into_iter().flatten())
    }

    /// The value of every Via line, in order: what a response copies.
    pub fn vias(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.values(Name::Via)
    }

    /// How many Via values there are, in all lines and lists.
    #[must_use]
    pub fn via_count(&self) -> usize {
        self.vias().map(|value| List::new(value).count()).sum()
    }

    /// The topmost Via value in parts, if it can be read.
    #[must_use]
    pub fn via(&self) -> Option<Via<'a>> {
        Via::parse(List::new(self.header(Name::Via)?).next()?)
    }

    /// The host in the topmost Via; an IPv6 reference keeps its square brackets.
    #[must_use]
    pub fn via_host(&self) -> Option<&'a [u8]> {
        let via = readable(self.header(Name::Via)?);
        plain::via_host(via).or_else(|| self.via().map(|via| via.host))
    }

    /// From in parts.
    #[must_use]
    pub fn from(&self) -> Option<Address<'a>> {
        self.header(Name::From).map(Address::parse)
    }

    /// To in parts.
    #[must_use]
    pub fn to(&self) -> Option<Address<'a>> {
        self.header(Name::To).map(Address::parse)
    }

    /// The first Contact in parts; of a list whose beginning is no address, the first that can be
    /// read.
    #[must_use]
    pub fn contact(&self) -> Option<Address<'a>> {
        let mut address = Address::parse(self.header(Name::Contact)?);
        let params = address.params;
        address.params = &params[..Splitter::new(params).piece_end(params, b',')];
        Some(address)
    }

    /// The user in From: see [`Uri::user`].
    #[must_use]
    pub fn from_user(&self) -> Option<&'a [u8]> {
        user_in(self.header(Name::From)?)
    }

    /// The user in To: see [`Uri::user`].
    #[must_use]
    pub fn to_user(&self) -> Option<&'a [u8]> {
        user_in(self.header(Name::To)?)
    }

    /// The user in [`contact`](Self::contact): see [`Uri::user`].
    #[must_use]
    pub fn contact_user(&self) -> Option<&'a [u8]> {
        user_in(self.header(Name::Contact)?)
    }

    /// The tag in From; an empty one counts as none.
    #[must_use]
    pub fn from_tag(&self) -> Option<&'a [u8]> {
        tag_in(self.header(Name::From)?)
    }

    /// The tag in To, which a request inside a dialog has; an empty one counts as none.
    #[must_use]
    pub fn to_tag(&self) -> Option<&'a [u8]> {
        tag_in(self.header(Name::To)?)
    }

    /// The credentials in every Authorization, and then in every Proxy-Authorization, in parts: a
    /// request may carry some for each realm on its way (RFC 3261, 22.3).
    pub fn credentials(&self) -> impl Iterator<Item = Credentials<'a>> + use<'a> {
        let values = self.values(Name::Authorization).chain(self.values(Name::ProxyAuthorization));
        values.map(Credentials::parse)
    }

    /// Call-ID.
    #[must_use]
    pub fn call_id(&self) -> Option<&'a [u8]> {
        self.header(Name::CallId)
    }

    /// CSeq in parts.
    #[must_use]
    pub fn cseq(&self) -> CSeq<'a> {
        self.cseq
    }

    /// User-Agent; a folded one still has its line ends.
    #[must_use]
    pub fn user_agent(&self) -> Option<&'a [u8]> {
        self.header(Name::UserAgent)
    }

    /// Content-Length in bytes, if it is a number below 2^32.
    #[must_use]
    pub fn content_length(&self) -> Option<u32> {
        self.content_length
    }

    /// The body: what follows the head, up to Content-Length bytes. Bytes that have no head, such as
    /// TLS or RTP, have no body either.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        let rest = &self.input[self.body_at..];
        match self.content_length {
            Some(length) => &rest[..rest.len().min(length as usize)],
            None => rest,
        }
    }

    /// The session description in the body, if Content-Type says that the body is one. One inside of
    /// a multipart body is not looked for.
    #[must_use]
    pub fn session(&self) -> Option<Session<'a>> {
        let kind = split_at_first(self.header(Name::ContentType)?, |byte| byte == b';').0;
        // `m-type SLASH m-subtype`: white space may stand around the slash.
        let (kind, subtype) = kind.split_at(memchr(b'/', kind)?);
        let is_sdp = trim(kind).eq_ignore_ascii_case(b"application")
            && trim(&subtype[1..]).eq_ignore_ascii_case(b"sdp");
        is_sdp.then(|| Session::new(self.body()))
    }

    /// What follows the body.
    #[must_use]
    pub fn trailing(&self) -> &'a [u8] {
        &self.input[self.body_at + self.body().len()..]
    }

    /// Where the body begins in [`bytes`](Self::bytes), if the head has its empty line.
    #[must_use]
    pub fn body_start(&self) -> Option<usize> {
        let cut = self.head_end == self.body_at;
        (!cut).then_some(self.body_at)
    }

    /// What the scan found odd or wrong, and whether a line end or another byte of the head is. [`all_anomalies`](Self::all_anomalies) looks deeper.
    #[must_use]
    pub fn anomalies(&self) -> Anomalies {
        self.anomalies | check::head(&self.input[self.start..self.body_at])
    }

    /// What the scan found, and what is wrong inside the values: several times the scan's work, so
    /// ask once a message.
    #[must_use]
    pub fn all_anomalies(&self) -> Anomalies {
        self.anomalies() | check::message(self)
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("kind", &self.kind)
            .field("anomalies", &self.anomalies.iter().collect::<Vec<_>>())
            .field("input", &String::from_utf8_lossy(self.input))
            .finish_non_exhaustive()
    }
}
