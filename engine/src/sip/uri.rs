//! URIs and the addresses that hold them, taken apart on request.

use memchr::{memchr, memchr2};

use super::bytes::{
    decimal, is_lws, quoted_end, split_at_first, starts_with_lower, trim, trim_start,
};
use super::header::Params;

/// What a URI begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:` (RFC 3261, 19.1).
    Sip,
    /// `sips:` (RFC 3261, 19.1).
    Sips,
    /// `tel:` (RFC 3966).
    Tel,
    /// Another one, or none.
    Other,
}

/// A URI in parts. Nothing is decoded; what is absent is empty unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The scheme.
    pub scheme: Scheme,
    /// The user part, or a tel: URI's number; `None` if the scheme is another one. A sip: URI
    /// without a user part has an empty one.
    pub user: Option<&'a [u8]>,
    /// Whether an `@` ends the user part (so that an empty one was written).
    pub has_at: bool,
    /// The host; an IPv6 reference keeps its square brackets.
    pub host: &'a [u8],
    /// The port as written, without its colon.
    pub port: &'a [u8],
    /// The parameters, with their first `;`.
    pub params: &'a [u8],
    /// The headers, without their `?`.
    pub headers: &'a [u8],
}

impl<'a> Uri<'a> {
    /// Takes `text` apart. Never fails: what is not there is empty.
    ///
    /// ```text
    /// SIP-URI = "sip:" [ userinfo ] hostport uri-parameters [ headers ]    RFC 3261, 25.1
    /// telephone-uri = "tel:" telephone-subscriber                         RFC 3966, 3
    /// ```
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Self {
        let (scheme, rest) = split_scheme(text);
        match scheme {
            Scheme::Sip | Scheme::Sips => Self::parse_sip(scheme, rest),
            Scheme::Tel => {
                let (number, params) = split_at_first(rest, |byte| matches!(byte, b';' | b'?'));
                Self { user: Some(trim(number)), params, ..Self::empty(scheme) }
            }
            Scheme::Other => Self::empty(scheme),
        }
    }

    fn empty(scheme: Scheme) -> Self {
        Self { scheme, user: None, has_at: false, host: &[], port: &[], params: &[], headers: &[] }
    }

    fn parse_sip(scheme: Scheme, rest: &'a [u8]) -> Self {
        let (user, rest, has_at) = split_user(rest);
        let bracket = match rest.first() {
            Some(b'[') => memchr(b']', rest).map_or(0, |close| close + 1),
            _ => 0,
        };
        let (more, rest_of_it) = split_at_first(&rest[bracket..], |byte| {
            matches!(byte, b':' | b';' | b'?') || is_lws(byte)
        });
        let host = &rest[..bracket + more.len()];
        let (port, rest) = match rest_of_it {
            [b':', port @ ..] => {
                split_at_first(port, |byte| matches!(byte, b';' | b'?') || is_lws(byte))
            }
            _ => (&[][..], rest_of_it),
        };
        let (params, headers) = split_at_first(rest, |byte| byte == b'?');
        let headers = headers.get(1..).unwrap_or_default();
        Self { scheme, user: Some(user), has_at, host, port, params: trim(params), headers }
    }

    /// The port as a number, if it is one from 0 to 65535.
    #[must_use]
    pub fn port_number(&self) -> Option<u16> {
        decimal(self.port).and_then(|port| u16::try_from(port).ok())
    }

    /// The URI's parameters.
    #[must_use]
    pub fn params(&self) -> Params<'a> {
        Params::new(self.params)
    }
}

/// Only the user of the URI `text`: see [`Uri::user`].
pub(super) fn user_of(text: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = split_scheme(text);
    match scheme {
        Scheme::Sip | Scheme::Sips => Some(split_user(rest).0),
        Scheme::Tel => Some(trim(split_at_first(rest, |byte| matches!(byte, b';' | b'?')).0)),
        Scheme::Other => None,
    }
}

/// The scheme of `text`, and what follows its colon.
#[inline]
pub(super) fn split_scheme(text: &[u8]) -> (Scheme, &[u8]) {
    if starts_with_lower(text, b"sip:") {
        (Scheme::Sip, &text[4..])
    } else if starts_with_lower(text, b"sips:") {
        (Scheme::Sips, &text[5..])
    } else if starts_with_lower(text, b"tel:") {
        (Scheme::Tel, &text[4..])
    } else {
        (Scheme::Other, text)
    }
}

/// The user before the first `@` (none may stand unescaped behind it), less its password; the rest;
/// and whether there was an `@`. `userinfo = ( user / telephone-subscriber ) [ ":" password ] "@"`.
#[inline]
fn split_user(rest: &[u8]) -> (&[u8], &[u8], bool) {
    let Some(at) = memchr(b'@', rest) else {
        return (&[], rest, false);
    };
    let user = split_at_first(&rest[..at], |byte| byte == b':').0;
    (trim_start(user), &rest[at + 1..], true)
}

/// The value of From, To, Contact and their like: `( name-addr / addr-spec ) *( ";" params )`, RFC
/// 3261, 20.10.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Address<'a> {
    /// The display name, its quotes left on.
    pub display: &'a [u8],
    /// The URI without angle brackets.
    pub uri: &'a [u8],
    /// What follows the URI, from its closing bracket or first `;` on: the header's parameters.
    pub params: &'a [u8],
    /// Whether the URI has an opening angle bracket.
    pub has_angles: bool,
    /// Whether a quoted string in front of the URI does not end.
    pub quote_open: bool,
    /// Whether the opening angle bracket has no counterpart.
    pub angle_open: bool,
}

impl<'a> Address<'a> {
    /// Takes `value` apart. Never fails: without a URI the URI is empty.
    ///
    /// A value that begins with a scheme is an addr-spec, which a `;`, `,` or white space ends
    /// (RFC 3261, 20: otherwise it needs angle brackets). Everything else is a display name until
    /// an angle bracket opens. A quote that is never closed is an ordinary byte.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Self {
        let value = trim(value);
        if split_scheme(value).0 != Scheme::Other {
            return Self::bare(value, &[], false);
        }
        let (angle, quoted_to, quote_open) = find_angle(value);
        let Some(angle) = angle else {
            let (display, rest) = value.split_at(quoted_to);
            return Self::bare(trim_start(rest), display, quote_open);
        };
        let display = trim(&value[..angle]);
        let inside = &value[angle + 1..];
        let (uri, params, angle_open) = match memchr(b'>', inside) {
            Some(close) => (&inside[..close], &inside[close + 1..], false),
            None => {
                let (uri, params) = split_at_first(trim_start(inside), |b| b == b';' || is_lws(b));
                (uri, params, true)
            }
        };
        Self { display, uri: trim(uri), params, has_angles: true, quote_open, angle_open }
    }

    fn bare(value: &'a [u8], display: &'a [u8], quote_open: bool) -> Self {
        let (uri, params) = split_at_first(value, |b| matches!(b, b';' | b',') || is_lws(b));
        Self { display, uri, params, quote_open, ..Self::default() }
    }

    /// The user of the URI: see [`Uri::user`].
    #[must_use]
    pub fn user(&self) -> Option<&'a [u8]> {
        user_of(self.uri)
    }

    /// The header's parameters.
    #[must_use]
    pub fn params(&self) -> Params<'a> {
        Params::new(self.params)
    }

    /// The `tag` parameter, if it has a value.
    #[must_use]
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params().value(b"tag")
    }
}

/// The first opening angle bracket outside quoted strings, where the last quoted string before it
/// ends, and whether one is left open.
fn find_angle(value: &[u8]) -> (Option<usize>, usize, bool) {
    let mut at = 0;
    while let Some(found) = memchr2(b'<', b'"', &value[at..]) {
        let found = at + found;
        if value[found] == b'<' {
            return (Some(found), at, false);
        }
        let Some(end) = quoted_end(value, found) else {
            let angle = memchr(b'<', &value[found..]).map(|angle| found + angle);
            return (angle, at, true);
        };
        at = end;
    }
    (None, at, false)
}
