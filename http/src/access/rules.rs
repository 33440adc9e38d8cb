//! Whether a request may be asked.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use sentrypeer_storage::event::Time;

use super::scope::{Scope, Scopes};
use super::{Access, Grant, Who};

/// Where a request came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Whether it comes from this machine.
    pub local: bool,
    /// Whether the operator asked by name for a front that is open to whoever reaches it.
    pub open: bool,
    /// The beginning of the SHA-256 of the client certificate that was shown, and verified.
    pub certificate: Option<Arc<str>>,
}

/// What of a request's head is looked at. Each header that is there twice is given as text that is
/// good for nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    /// The method.
    pub method: &'a str,
    /// `Host` or `:authority`, with its port.
    pub host: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// `X-Api-Key`: how clients of CrowdSec show a token.
    pub api_key: Option<&'a str>,
}

/// What a path demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it says only whether the node is well, or asks for who it is by itself.
    Nothing,
    /// This scope, where there is a token.
    Scope(Scope),
}

/// Why a request is refused. The texts are what the client reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// There is no `Host`, or several.
    #[error("The request must name one host.")]
    NoHost,
    /// A name that is not ours: somebody's DNS may lead a browser here.
    #[error(
        "This node does not answer to that name. Use its address, or have the name configured."
    )]
    ForeignHost,
    /// A token is needed.
    #[error("A token is needed: send it as Authorization: Bearer.")]
    NoToken,
    /// The token is of no use.
    #[error("The token is not known, or has ended.")]
    BadToken,
    /// The token is for other things.
    #[error("The token lacks the scope \"{}\".", .0.name())]
    LacksScope(Scope),
    /// The token asked too often.
    #[error("There are more requests with this token than it may send.")]
    TooOften {
        /// When to come back.
        wait_s: u32,
    },
    /// A page of another site asks for a change.
    #[error("Pages of other sites change nothing here.")]
    ForeignOrigin,
    /// A change in a form that a page of another site could send.
    #[error("A change must come as application/json.")]
    NotJson,
}

impl Denial {
    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::NoHost => 400,
            Self::NoToken | Self::BadToken => 401,
            Self::LacksScope(_) | Self::ForeignOrigin => 403,
            Self::NotJson => 415,
            Self::ForeignHost => 421,
            Self::TooOften { .. } => 429,
        }
    }

    /// `WWW-Authenticate` (RFC 6750, section 3), where the client should show a token, or another.
    #[must_use]
    pub fn challenge(&self) -> Option<String> {
        let realm = "Bearer realm=\"sentrypeer\"";
        match self {
            Self::NoToken => Some(realm.to_owned()),
            Self::BadToken => Some(format!("{realm}, error=\"invalid_token\"")),
            Self::LacksScope(scope) => {
                let scope = scope.name();
                Some(format!("{realm}, error=\"insufficient_scope\", scope=\"{scope}\""))
            }
            _ => None,
        }
    }
}

/// Whether a method only reads (RFC 9110, section 9.2.1).
fn only_reads(method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

impl Access {
    /// Whether a request is made to this node under a name that it has.
    ///
    /// # Errors
    ///
    /// [`Denial::NoHost`] and [`Denial::ForeignHost`].
    pub fn knows_host(&self, head: &Head<'_>) -> Result<(), Denial> {
        let host = head.host.ok_or(Denial::NoHost)?;
        let name = name_of(host).ok_or(Denial::NoHost)?;
        let own = |own: &String| own.eq_ignore_ascii_case(name);
        let known = is_address(name)
            || name.eq_ignore_ascii_case("localhost")
            || self.settings.hosts.iter().any(own);
        if known { Ok(()) } else { Err(Denial::ForeignHost) }
    }

    /// Who asks. A token that is shown must be good, whatever else would do.
    ///
    /// # Errors
    ///
    /// [`Denial::BadToken`], [`Denial::NoToken`] and [`Denial::TooOften`].
    pub fn who(
        &self,
        line: &Line,
        head: &Head<'_>,
        need: Need,
        now: Time,
    ) -> Result<Grant, Denial> {
        if need == Need::Nothing {
            return Ok(Grant { who: Who::Nobody, scopes: Scopes::default() });
        }
        if let Some(token) = token_of(head)? {
            let grant = self.holder(token, now).ok_or(Denial::BadToken)?;
            if let Who::Token(record) = &grant.who {
                self.take(record, now).map_err(|wait_s| Denial::TooOften { wait_s })?;
            }
            return Ok(grant);
        }
        if let Some(digest) = &line.certificate {
            let who = Who::Certificate(Arc::clone(digest));
            return Ok(Grant { who, scopes: self.settings.certificate_scopes });
        }
        if line.local || line.open {
            let all_but_changes = Scopes::of([Scope::Read, Scope::Feed, Scope::Metrics]);
            return Ok(Grant { who: Who::Nobody, scopes: all_but_changes });
        }
        Err(Denial::NoToken)
    }

    /// Whether who asks may ask for this.
    ///
    /// # Errors
    ///
    /// [`Denial::LacksScope`], and for changes what a page of another site could have sent.
    pub fn allows(&self, grant: &Grant, head: &Head<'_>, need: Need) -> Result<(), Denial> {
        let Need::Scope(scope) = need else { return Ok(()) };
        if only_reads(head.method) {
            let has = grant.scopes.has(scope);
            return if has { Ok(()) } else { Err(Denial::LacksScope(scope)) };
        }
        if grant.who == Who::Nobody {
            return Err(Denial::NoToken);
        }
        if !grant.scopes.has(Scope::Write) {
            return Err(Denial::LacksScope(Scope::Write));
        }
        is_of_no_other_site(head)?;
        let is_json = head.content_type.is_some_and(|value| is_media(value, "application/json"));
        if is_json { Ok(()) } else { Err(Denial::NotJson) }
    }
}

/// Whether a value of `Content-Type` is this media type, whatever its parameters.
pub(super) fn is_media(value: &str, media: &str) -> bool {
    value.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(media))
}

/// A browser names the site whose page asks. Only a page of the very host that is asked may.
pub(super) fn is_of_no_other_site(head: &Head<'_>) -> Result<(), Denial> {
    let Some(origin) = head.origin else { return Ok(()) };
    let site = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let is_own = site.zip(head.host).is_some_and(|(site, host)| site.eq_ignore_ascii_case(host));
    if is_own { Ok(()) } else { Err(Denial::ForeignOrigin) }
}

/// The token that is shown, if there is one.
fn token_of<'a>(head: &Head<'a>) -> Result<Option<&'a str>, Denial> {
    let Some(value) = head.authorization else { return Ok(head.api_key) };
    let (scheme, token) = value.split_once(' ').ok_or(Denial::BadToken)?;
    let is_bearer = scheme.eq_ignore_ascii_case("Bearer");
    is_bearer.then_some(Some(token.trim_start_matches(' '))).ok_or(Denial::BadToken)
}

/// The host of `host[:port]`, an IPv6 address without its brackets.
fn name_of(host: &str) -> Option<&str> {
    if let Some(rest) = host.strip_prefix('[') {
        let (name, port) = rest.split_once(']')?;
        let is_v6 = name.parse::<Ipv6Addr>().is_ok();
        let port = if port.is_empty() { "0" } else { port.strip_prefix(':')? };
        return (is_v6 && is_port(port)).then_some(name);
    }
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    // A dot at the end says that the name is whole.
    let name = name.strip_suffix('.').unwrap_or(name);
    (!name.is_empty() && is_port(port)).then_some(name)
}

fn is_port(port: &str) -> bool {
    port.parse::<u16>().is_ok() && port.bytes().all(|digit| digit.is_ascii_digit())
}

/// A literal address cannot be rebound by anybody's DNS.
fn is_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::book::{Book, Wanted};
    use super::super::token::{RANDOM_BYTES, Secret};
    use super::super::{Access, Settings};
    use super::*;
    use crate::pace::Rate;

    const NOW: Time = Time(1_795_477_956_000_000_000);
    const READ: Need = Need::Scope(Scope::Read);

    /// Access with a token for reading, another for changes, and a slow one.
    fn access() -> (Access, [String; 3]) {
        let mut book = Book::default();
        let mut make = |name, scope, rate, seed| {
            let wanted = Wanted { name, scopes: Scopes::of(scope), expires: None, rate };
            let random = [seed; RANDOM_BYTES];
            let (secret, _): (Secret, _) = book.make(&wanted, &random, NOW).unwrap();
            format!("Bearer {}", secret.text())
        };
        let tokens = [
            make("read", vec![Scope::Read], None, 1),
            make("write", vec![Scope::Write], None, 2),
            make("slow", vec![Scope::Read], Some(Rate { per_s: 1, burst: 1 }), 3),
        ];
        let hosts = vec!["Pot.Example.net".to_owned()];
        (Access::new(Settings { hosts, ..Settings::default() }, book), tokens)
    }

    fn ask(access: &Access, line: &Line, head: &Head<'_>, need: Need) -> Result<(), u16> {
        let asked = access
            .knows_host(head)
            .and_then(|()| access.who(line, head, need, NOW))
            .and_then(|grant| access.allows(&grant, head, need));
        asked.map_err(|denial| denial.status())
    }

    fn get() -> Head<'static> {
        Head { method: "GET", host: Some("127.0.0.1:8082"), ..Head::default() }
    }

    fn local() -> Line {
        Line { local: true, ..Line::default() }
    }

    #[test]
    fn a_name_that_is_not_ours_is_misdirected() {
        let access = access().0;
        let asked = |host| ask(&access, &local(), &Head { host, ..get() }, READ);
        for good in [
            "localhost",
            "LOCALHOST:8082",
            "198.51.100.7",
            "198.51.100.7:80",
            "[::1]",
            "[2001:db8::7]:8082",
            "pot.example.NET",
            "pot.example.net.:443",
        ] {
            assert_eq!(asked(Some(good)), Ok(()), "{good}");
        }
        for foreign in ["example.net", "localhost.example.net", "xpot.example.net", "0x7f000001"] {
            assert_eq!(asked(Some(foreign)), Err(421), "{foreign}");
        }
        for bad in ["", ":80", "[::1", "[localhost]", "[::1]x", "a:b", "a:99999", "a:+80", "::1"] {
            assert_eq!(asked(Some(bad)), Err(400), "{bad}");
        }
        assert_eq!(asked(None), Err(400));
    }

    #[test]
    fn without_a_token_only_this_machine_reads_unless_the_front_is_open() {
        let access = access().0;
        let far = Line::default();
        let open = Line { open: true, ..Line::default() };
        for method in ["GET", "HEAD"] {
            let head = Head { method, ..get() };
            for scope in [Scope::Read, Scope::Feed, Scope::Metrics] {
                assert_eq!(ask(&access, &local(), &head, Need::Scope(scope)), Ok(()));
                assert_eq!(ask(&access, &open, &head, Need::Scope(scope)), Ok(()));
                assert_eq!(ask(&access, &far, &head, Need::Scope(scope)), Err(401));
            }
            assert_eq!(ask(&access, &far, &head, Need::Nothing), Ok(()));
        }
        for method in ["POST", "PUT", "DELETE", "PATCH", "get", ""] {
            let head = Head { method, content_type: Some("application/json"), ..get() };
            for line in [&far, &local(), &open] {
                assert_eq!(ask(&access, line, &head, READ), Err(401), "{method}");
            }
        }
    }

    #[test]
    fn a_token_opens_what_it_is_for_and_a_bad_one_nothing_even_here() {
        let (access, [read, write, _]) = access();
        let far = Line::default();
        let with = |token: &str, need| {
            let head = Head { authorization: Some(token), ..get() };
            ask(&access, &far, &head, need)
        };
        assert_eq!(with(&read, READ), Ok(()));
        assert_eq!(with(&read.replace("Bearer", "bearer"), READ), Ok(()));
        assert_eq!(with(&read, Need::Scope(Scope::Feed)), Err(403));
        assert_eq!(with(&write, READ), Err(403));
        let wrong = format!("{}0", &read[..read.len() - 1]);
        for bad in [wrong.as_str(), "Bearer x", "Bearer", "", "Basic eDp5"] {
            let head = Head { authorization: Some(bad), ..get() };
            assert_eq!(ask(&access, &local(), &head, READ), Err(401), "{bad}");
        }
        let key = read.strip_prefix("Bearer ");
        assert_eq!(ask(&access, &far, &Head { api_key: key, ..get() }, READ), Ok(()));
        access.set_book(Book::default());
        assert_eq!(with(&read, READ), Err(401));
    }

    #[test]
    fn a_change_needs_a_token_for_it_and_what_no_page_of_another_site_can_send() {
        let (access, [read, write, _]) = access();
        let far = Line::default();
        let change = Head {
            method: "POST",
            content_type: Some("application/json; charset=utf-8"),
            authorization: Some(&write),
            ..get()
        };
        assert_eq!(ask(&access, &far, &change, READ), Ok(()));
        let own = Head { origin: Some("https://127.0.0.1:8082"), ..change };
        assert_eq!(ask(&access, &far, &own, READ), Ok(()));
        for origin in ["https://evil.example", "null", "https://127.0.0.1", "127.0.0.1:8082", ""] {
            let foreign = Head { origin: Some(origin), ..change };
            assert_eq!(ask(&access, &far, &foreign, READ), Err(403), "{origin}");
        }
        for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
            assert_eq!(ask(&access, &far, &Head { content_type, ..change }, READ), Err(415));
        }
        let reader = Head { authorization: Some(&read), ..change };
        assert_eq!(ask(&access, &local(), &reader, READ), Err(403));
    }

    #[test]
    fn a_client_certificate_counts_as_a_token_of_what_the_operator_set() {
        let access = access().0;
        let line = Line { certificate: Some("ab12".into()), ..Line::default() };
        assert_eq!(ask(&access, &line, &get(), Need::Scope(Scope::Feed)), Ok(()));
        let change = Head { method: "DELETE", content_type: Some("application/json"), ..get() };
        assert_eq!(ask(&access, &line, &change, READ), Err(403));
    }

    #[test]
    fn a_token_that_asks_too_often_is_told_when_to_come_back() {
        let (access, [read, _, slow]) = access();
        let head = Head { authorization: Some(&slow), ..get() };
        assert_eq!(ask(&access, &local(), &head, READ), Ok(()));
        let refused = access.who(&local(), &head, READ, NOW).unwrap_err();
        assert_eq!(refused, Denial::TooOften { wait_s: 1 });
        let other = Head { authorization: Some(&read), ..get() };
        assert_eq!(ask(&access, &local(), &other, READ), Ok(()));
    }

    #[test]
    fn who_is_refused_for_a_token_is_told_which() {
        let challenge = |denial: Denial| denial.challenge().unwrap_or_default();
        assert_eq!(challenge(Denial::NoToken), "Bearer realm=\"sentrypeer\"");
        assert!(challenge(Denial::BadToken).ends_with("error=\"invalid_token\""));
        assert!(challenge(Denial::LacksScope(Scope::Feed)).ends_with("scope=\"feed\""));
        assert_eq!(challenge(Denial::ForeignHost), "");
    }
}
