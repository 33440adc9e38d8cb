//! Every path that there is: one table that the router, access, `/metrics`, the OpenAPI document and
//! the tests read.

use crate::access::{Need, Scope};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Endpoint {
    /// The node answers.
    Root,
    /// 4.x's health.
    HealthCheck,
    /// The process answers.
    Live,
    /// The node is ready.
    Ready,
    /// What is counted.
    Metrics,
    /// 4.x's list of sources.
    IpAddresses,
    /// A document for `ipset restore`.
    Ipset,
    /// 4.x's dip for an address.
    IpAddress,
    /// 4.x's list of numbers.
    Numbers,
    /// 4.x's dip for a number.
    Number,
    /// The list of countries in the form of 4.x.
    Countries,
    /// The list of user agents in the form of 4.x.
    UserAgents,
    /// The list of methods in the form of 4.x.
    SipMethods,
    /// Both dips, with what is blocked.
    Check,
    /// How the node does.
    Status,
    /// The program's version.
    Version,
    /// Sources, by page.
    V1Sources,
    /// One source.
    V1Source,
    /// Numbers, by page.
    V1Numbers,
    /// One number.
    V1Number,
    /// User agents, by page.
    V1UserAgents,
    /// Events by method.
    V1Methods,
    /// Events by transport.
    V1Transports,
    /// Numbers by country.
    V1Countries,
    /// What was seen in the last hour, day, week or month.
    V1Rollups,
    /// Events, by page.
    V1Events,
    /// Events as they come.
    V1EventStream,
    /// One event with its message.
    V1Event,
    /// The operator's allow-list.
    AllowList,
    /// One entry of it.
    AllowEntry,
    /// A document for what blocks, in one of many formats.
    Feed,
    /// The files that a MISP server fetches.
    FeedMisp,
    /// What bouncers of CrowdSec ask.
    CrowdSec,
    /// What clients of APIBAN ask first.
    ApiBan,
    /// What they ask then.
    ApiBanAfter,
    /// What the API is, for programs.
    OpenApi,
    /// The same, for people.
    Docs,
    /// A short-lived token for a client.
    OauthToken,
    /// A path under `/api/v1` that there is not.
    V1Unknown,
    /// Any other path that there is not.
    Unknown,
}

/// How much work an answer is, which decides where a front has it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It is there at once.
    Little,
    /// It walks a table or reads the log.
    List,
    /// It is a document for what blocks, which must not wait behind lists.
    Feed,
    /// It goes on for as long as the client listens.
    Stream,
    /// It may walk a table and must not wait behind anything: it is asked when all is lost.
    Apart,
}

/// What is known about a path.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Which.
    pub endpoint: Endpoint,
    /// The path; `{name}` stands for one whole segment.
    pub pattern: &'static str,
    /// What stands before the first open segment, if there is one.
    fixed: Option<&'static str>,
    /// What who asks must be allowed.
    pub need: Need,
    /// How much work it is.
    pub work: Work,
    /// The methods, as in `Allow`.
    pub methods: &'static str,
    /// Whether SentryPeer 4.x has it too. Pages of any origin may read those, as there.
    pub is_of_4x: bool,
    /// Whether the dip lane has it.
    pub is_dip: bool,
}

const fn spec(endpoint: Endpoint, pattern: &'static str) -> Spec {
    Spec {
        endpoint,
        pattern,
        fixed: fixed(pattern),
        need: Need::Scope(Scope::Read),
        work: Work::Little,
        methods: "GET, HEAD",
        is_of_4x: false,
        is_dip: false,
    }
}

/// What stands before the first `{`. Found once, when the program is built: every request is compared
/// with every pattern.
const fn fixed(pattern: &'static str) -> Option<&'static str> {
    let mut at = 0;
    while at < pattern.len() {
        if pattern.as_bytes()[at] == b'{' {
            return Some(pattern.split_at(at).0);
        }
        at += 1;
    }
    None
}

impl Spec {
    /// The open segments of a path that this pattern fits.
    fn matched<'a>(&self, path: &'a str) -> Option<[&'a str; PARTS_MAX]> {
        match self.fixed {
            None => (self.pattern == path).then_some([""; PARTS_MAX]),
            Some(fixed) if path.starts_with(fixed) => matched(self.pattern, path),
            Some(_) => None,
        }
    }

    const fn of_4x(self) -> Self {
        Self { is_of_4x: true, ..self }
    }

    const fn dip(self) -> Self {
        Self { is_dip: true, ..self }
    }

    const fn list(self) -> Self {
        Self { work: Work::List, ..self }
    }

    const fn feed(self) -> Self {
        Self { work: Work::Feed, need: Need::Scope(Scope::Feed), ..self }
    }

    const fn apart(self) -> Self {
        Self { work: Work::Apart, ..self }
    }

    const fn stream(self) -> Self {
        Self { work: Work::Stream, ..self.with("GET") }
    }

    const fn with(self, methods: &'static str) -> Self {
        Self { methods, ..self }
    }

    const fn needs(self, need: Need) -> Self {
        Self { need, ..self }
    }
}

/// All of them, in the order of [`Endpoint`]. Where two patterns fit a path, the first counts.
pub const SPECS: [Spec; Endpoint::Unknown as usize + 1] = [
    spec(Endpoint::Root, "/").of_4x(),
    spec(Endpoint::HealthCheck, "/health-check").of_4x().dip(),
    spec(Endpoint::Live, "/livez").needs(Need::Nothing),
    spec(Endpoint::Ready, "/readyz").needs(Need::Nothing),
    spec(Endpoint::Metrics, "/metrics").needs(Need::Scope(Scope::Metrics)).apart(),
    spec(Endpoint::IpAddresses, "/ip-addresses").of_4x().list(),
    spec(Endpoint::Ipset, "/ip-addresses/ipset").feed(),
    spec(Endpoint::IpAddress, "/ip-addresses/{ip}").of_4x().dip(),
    spec(Endpoint::Numbers, "/numbers").of_4x().list(),
    spec(Endpoint::Number, "/numbers/{number}").of_4x().dip(),
    spec(Endpoint::Countries, "/countries").of_4x().list(),
    spec(Endpoint::UserAgents, "/user-agents").of_4x().list(),
    spec(Endpoint::SipMethods, "/sip-methods").of_4x(),
    spec(Endpoint::Check, "/api/v1/check").dip(),
    spec(Endpoint::Status, "/api/v1/status").needs(Need::Scope(Scope::Metrics)),
    spec(Endpoint::Version, "/api/v1/version"),
    spec(Endpoint::V1Sources, "/api/v1/sources").list(),
    spec(Endpoint::V1Source, "/api/v1/sources/{ip}").list(),
    spec(Endpoint::V1Numbers, "/api/v1/numbers").list(),
    spec(Endpoint::V1Number, "/api/v1/numbers/{number}").list(),
    spec(Endpoint::V1UserAgents, "/api/v1/user-agents").list(),
    spec(Endpoint::V1Methods, "/api/v1/methods"),
    spec(Endpoint::V1Transports, "/api/v1/transports"),
    spec(Endpoint::V1Countries, "/api/v1/countries").list(),
    spec(Endpoint::V1Rollups, "/api/v1/rollups").list(),
    spec(Endpoint::V1Events, "/api/v1/events").list(),
    spec(Endpoint::V1EventStream, "/api/v1/events/stream").stream(),
    spec(Endpoint::V1Event, "/api/v1/events/{id}").list(),
    spec(Endpoint::AllowList, "/api/v1/allow-list").with("GET, HEAD, POST"),
    spec(Endpoint::AllowEntry, "/api/v1/allow-list/{entry}").with("DELETE"),
    spec(Endpoint::Feed, "/api/v1/feeds/{format}").feed(),
    spec(Endpoint::FeedMisp, "/api/v1/feeds/misp/{file}").feed(),
    spec(Endpoint::CrowdSec, "/v1/decisions/stream").feed(),
    spec(Endpoint::ApiBan, "/api/{key}/banned").feed(),
    spec(Endpoint::ApiBanAfter, "/api/{key}/banned/{id}").feed(),
    spec(Endpoint::OpenApi, "/openapi.json").needs(Need::Nothing),
    spec(Endpoint::Docs, "/docs").needs(Need::Nothing),
    spec(Endpoint::OauthToken, "/oauth2/token").needs(Need::Nothing).with("POST"),
    spec(Endpoint::V1Unknown, "/api/v1/{other}"),
    spec(Endpoint::Unknown, "other"),
];

/// An endpoint, and the segments of the path that its pattern leaves open, percent-encoded as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// Which.
    pub endpoint: Endpoint,
    /// The open segments; empty where there are fewer.
    pub parts: [&'a str; PARTS_MAX],
}

/// Most open segments of a pattern.
const PARTS_MAX: usize = 2;

impl<'a> Route<'a> {
    /// The route of a path. A path matches whole: one slash more is another path.
    #[must_use]
    pub fn of(path: &'a str) -> Self {
        for spec in &SPECS {
            if let Some(parts) = spec.matched(path) {
                return Self { endpoint: spec.endpoint, parts };
            }
        }
        let is_v1 = path.starts_with("/api/v1/");
        let endpoint = if is_v1 { Endpoint::V1Unknown } else { Endpoint::Unknown };
        Self { endpoint, parts: [""; PARTS_MAX] }
    }

    /// What is known about it.
    #[must_use]
    pub fn spec(self) -> &'static Spec {
        &SPECS[self.endpoint as usize]
    }

    /// The first open segment.
    #[must_use]
    pub fn part(self) -> &'a str {
        self.parts[0]
    }

    /// Whether the path has this method.
    #[must_use]
    pub fn has(self, method: &str) -> bool {
        self.spec().methods.split(", ").any(|has| has == method)
    }

    /// Whether a request by this method has a body that is read. Every other is refused with one.
    #[must_use]
    pub fn takes_body(self, method: &str) -> bool {
        method == "POST" && self.has(method)
    }

    /// Whether there is no such path.
    #[must_use]
    pub fn is_unknown(self) -> bool {
        matches!(self.endpoint, Endpoint::Unknown | Endpoint::V1Unknown)
    }

    /// Whether errors have the form of RFC 9457 here.
    #[must_use]
    pub fn is_v1(self) -> bool {
        self.spec().pattern.starts_with("/api/v1/")
    }
}

/// The open segments of a path that a pattern fits. An open segment is never empty.
fn matched<'a>(pattern: &str, path: &'a str) -> Option<[&'a str; PARTS_MAX]> {
    let mut parts = [""; PARTS_MAX];
    let (mut pattern, mut path) = (pattern, path);
    let mut open = parts.iter_mut();
    while let Some(at) = pattern.find('{') {
        let (before, rest) = pattern.split_at(at);
        path = path.strip_prefix(before)?;
        let end = path.find('/').unwrap_or(path.len());
        let part;
        (part, path) = path.split_at(end);
        if part.is_empty() {
            return None;
        }
        *open.next()? = part;
        pattern = rest.split_once('}')?.1;
    }
    (pattern == path).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_matches_whole() {
        for path in ["", "//", "/ip-addresses/", "/ip-addresses/1.2.3.4/", "/numbers//", "/x"] {
            assert_eq!(Route::of(path).endpoint, Endpoint::Unknown, "{path}");
        }
        for path in ["/api/v1/", "/api/v1/x", "/api/v1/x/y", "/api/v1/sources/1/2"] {
            assert_eq!(Route::of(path).endpoint, Endpoint::V1Unknown, "{path}");
        }
        let number = Route::of("/numbers/+44%2F1");
        assert_eq!((number.endpoint, number.part()), (Endpoint::Number, "+44%2F1"));
        assert_eq!(Route::of("/ip-addresses/ipset").endpoint, Endpoint::Ipset);
    }

    #[test]
    fn every_endpoint_has_its_own_pattern_and_is_found_by_it() {
        for (index, spec) in SPECS.iter().enumerate() {
            assert_eq!(spec.endpoint as usize, index, "{}", spec.pattern);
            let path = spec.pattern.replace(['{', '}'], "");
            if spec.endpoint != Endpoint::Unknown {
                assert_eq!(Route::of(&path).endpoint, spec.endpoint, "{path}");
            }
        }
    }

    #[test]
    fn a_pattern_may_have_two_open_segments() {
        assert_eq!(matched("/a/{x}/b/{y}", "/a/1/b/2"), Some(["1", "2"]));
        assert_eq!(matched("/a/{x}/b", "/a/1/b"), Some(["1", ""]));
        for path in ["/a/1/b/", "/a//b/2", "/a/1/c/2", "/a/1/b/2/3"] {
            assert_eq!(matched("/a/{x}/b/{y}", path), None, "{path}");
        }
    }
}
