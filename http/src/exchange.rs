//! One request and its response, as the router sees them: no sockets, no bytes of HTTP.

use std::borrow::Cow;

use sentrypeer_storage::event::Time;
use serde::Serialize;

use crate::coding::Coding;
use crate::json;
use crate::timestamp;

/// Where a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The API front.
    Api,
    /// The dip lane: a handful of small questions, nothing else.
    Dip,
    /// The control socket: the operator, whose identity has been checked.
    Control,
}

/// What the router is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method as sent: methods are case-sensitive (RFC 9110, section 9.1).
    pub method: &'a str,
    /// The path as sent, still percent-encoded, without the query.
    pub path: &'a str,
    /// The query as sent, without its `?`; empty if there is none.
    pub query: &'a str,
    /// The request's `Content-Type`: 4.x takes it to say which form `/health-check` has.
    pub content_type: Option<&'a str>,
    /// The request's `Accept`.
    pub accept: Option<&'a str>,
    /// The request's `Accept-Encoding`.
    pub accept_encoding: Option<&'a str>,
    /// The request's `If-None-Match`.
    pub if_none_match: Option<&'a str>,
    /// When it arrived.
    pub now: Time,
    /// Where it came in.
    pub lane: Lane,
}

impl Request<'_> {
    /// The content coding that the client likes best of those that there are.
    #[must_use]
    pub fn coding(&self) -> Coding {
        if self.lane != Lane::Api {
            return Coding::Identity;
        }
        self.accept_encoding.map_or(Coding::Identity, Coding::best_of)
    }
}

/// The bytes of an answer.
pub enum Body {
    /// None. `length` is what a `GET` would have had, if that is known.
    Empty {
        /// In bytes.
        length: Option<u64>,
    },
    /// All of it.
    Bytes(Vec<u8>),
    /// Slice by slice, made while it is sent.
    Chunks(Chunks),
}

/// The slices of a streamed body; none of them is empty.
pub type Chunks = Box<dyn Iterator<Item = Vec<u8>> + Send>;

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty { length } => write!(f, "Empty({length:?})"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Chunks(_) => f.write_str("Chunks"),
        }
    }
}

impl Body {
    /// The whole body in one piece. For the control socket and for tests: a large document takes
    /// as much memory as it is long.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Empty { .. } => Vec::new(),
            Self::Bytes(bytes) => bytes,
            Self::Chunks(chunks) => chunks.flatten().collect(),
        }
    }

    /// The same answer to `HEAD`.
    fn omitted(self) -> Self {
        match self {
            Self::Bytes(bytes) => Self::Empty { length: Some(bytes.len() as u64) },
            Self::Chunks(_) => Self::Empty { length: None },
            empty @ Self::Empty { .. } => empty,
        }
    }
}

/// `Content-Type` of JSON, as 4.x writes it.
pub const JSON: &str = "application/json";
/// `Content-Type` of a web page.
pub const HTML: &str = "text/html; charset=utf-8";
/// `Content-Type` of plain text.
pub const TEXT: &str = "text/plain; charset=utf-8";
/// `Content-Type` of the Prometheus text format 0.0.4.
pub const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `Content-Type` of a live stream (HTML, section 9.2).
pub const EVENT_STREAM: &str = "text/event-stream";

/// `Content-Type` of what went wrong under `/api/v1` (RFC 9457).
pub const PROBLEM: &str = "application/problem+json";

/// Every type of body that the router gives on the dip lane.
pub const CONTENT_TYPES: [&str; 5] = [JSON, HTML, TEXT, PROMETHEUS, PROBLEM];

/// What the router answers.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// `Content-Type`; 304 has none.
    pub content_type: Option<&'static str>,
    /// `ETag`, with its quotes.
    pub etag: Option<String>,
    /// `Allow`: the methods that the path has, where the request's is not one of them.
    pub allow: Option<&'static str>,
    /// `Retry-After`, in seconds.
    pub retry_after_s: Option<u32>,
    /// Whether pages of any origin may read the answer: on the paths of 4.x only.
    pub any_origin: bool,
    /// `X-SentryPeer-Version`.
    pub version: &'static str,
    /// What went wrong, if something did.
    reason: Option<String>,
    /// What else the header has. The dip lane leaves it out.
    pub more: Vec<(&'static str, Cow<'static, str>)>,
    /// The body.
    pub body: Body,
}

/// The reason phrases of the errors that there are (RFC 9110, section 15).
fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Error",
    }
}

/// `X-Powered-By` of every answer.
pub const POWERED_BY: &str = "SentryPeer";

impl Response {
    fn new(status: u16, content_type: &'static str, body: Body) -> Self {
        Self {
            status,
            content_type: Some(content_type),
            etag: None,
            allow: None,
            retry_after_s: None,
            any_origin: false,
            version: "",
            reason: None,
            more: Vec::new(),
            body,
        }
    }

    /// JSON in the style of 4.x.
    pub(crate) fn json(status: u16, value: &impl Serialize) -> Self {
        Self::new(status, JSON, Body::Bytes(json::to_vec(value)))
    }

    /// JSON slice by slice.
    pub(crate) fn json_chunks(chunks: Chunks) -> Self {
        Self::new(200, JSON, Body::Chunks(chunks))
    }

    /// `{"error": "…"}`.
    pub(crate) fn error(status: u16, reason: &str) -> Self {
        #[derive(Serialize)]
        struct Refusal<'a> {
            error: &'a str,
        }
        let mut response = Self::json(status, &Refusal { error: reason });
        response.reason = Some(reason.to_owned());
        response
    }

    /// An error in the form of RFC 9457. Anything else stays as it is.
    pub(crate) fn with_problem(mut self) -> Self {
        #[derive(Serialize)]
        struct Problem<'a> {
            r#type: &'static str,
            title: &'static str,
            status: u16,
            detail: &'a str,
        }
        if let Some(detail) = &self.reason {
            let (title, status) = (title(self.status), self.status);
            let problem = Problem { r#type: "about:blank", title, status, detail };
            self.content_type = Some(PROBLEM);
            self.body = Body::Bytes(json::to_vec(&problem));
        }
        self
    }

    /// `{"message": "…"}`: how 4.x says that there is nothing.
    pub(crate) fn nothing(message: &str) -> Self {
        #[derive(Serialize)]
        struct Nothing<'a> {
            message: &'a str,
        }
        Self::json(404, &Nothing { message })
    }

    /// Text of a type.
    pub(crate) fn text(status: u16, content_type: &'static str, text: impl Into<Vec<u8>>) -> Self {
        Self::new(status, content_type, Body::Bytes(text.into()))
    }

    /// Something else slice by slice.
    pub(crate) fn chunks(content_type: &'static str, chunks: Chunks) -> Self {
        Self::new(200, content_type, Body::Chunks(chunks))
    }

    /// The client has it already (RFC 9110, section 15.4.5).
    pub(crate) fn not_modified() -> Self {
        let mut response = Self::new(304, JSON, Body::Empty { length: None });
        response.content_type = None;
        response
    }

    /// Adds a line to the header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.more.push((name, value.into()));
        self
    }

    /// Says when the node last published what this was made from.
    pub(crate) fn with_last_modified(self, time: Time) -> Self {
        self.with("Last-Modified", timestamp::http_date(time))
    }

    pub(crate) fn with_etag(mut self, etag: String) -> Self {
        self.etag = Some(etag);
        self
    }

    pub(crate) fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    pub(crate) fn with_allow(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods);
        self
    }

    /// The same answer to `HEAD`: its headers alone (RFC 9110, section 9.3.2).
    pub(crate) fn without_body(mut self) -> Self {
        self.body = self.body.omitted();
        self
    }

    /// The header lines, less what belongs to the connection (`Date`, `Content-Length`).
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
        let any_origin = self.any_origin.then_some("*");
        [
            ("Content-Type", self.content_type.map(Cow::Borrowed)),
            ("Access-Control-Allow-Origin", any_origin.map(Cow::Borrowed)),
            ("X-Powered-By", Some(Cow::Borrowed(POWERED_BY))),
            ("X-SentryPeer-Version", Some(Cow::Borrowed(self.version))),
            ("ETag", self.etag.as_deref().map(Cow::Borrowed)),
            ("Allow", self.allow.map(Cow::Borrowed)),
            ("Retry-After", self.retry_after_s.map(|s| Cow::Owned(s.to_string()))),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .chain(self.more.iter().map(|(name, value)| (*name, Cow::Borrowed(&**value))))
    }
}
