//! URIs and the addresses that hold them, taken apart on request.

use memchr::memchr;

use super::bytes::{decimal, is_lws, quoted_end, readable, split_at_first, trim, trim_start};
use super::header::Params;
use super::plain;

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

    /// The `phone-context` of a local number, as in `tel:7042;phone-context=+46` or in the user part
    /// of a sip: URI, of which it is a part like the number itself. RFC 3966, 5.1.5: it says where
    /// the number is valid.
    ///
    /// ```
    /// use sentrypeer_sip::Uri;
    ///
    /// let uri = Uri::parse(b"sip:7042;phone-context=example.com@192.0.2.1;user=phone");
    /// assert_eq!(uri.phone_context(), Some(&b"example.com"[..]));
    /// assert_eq!(Uri::parse(b"tel:7042;phone-context=+46").phone_context(), Some(&b"+46"[..]));
    /// ```
    #[must_use]
    pub fn phone_context(&self) -> Option<&'a [u8]> {
        let params = match self.scheme {
            Scheme::Tel => self.params,
            _ => self.user?,
        };
        Params::new(params).value(b"phone-context")
    }

    /// The URI's parameters.
    #[must_use]
    pub fn params(&self) -> Params<'a> {
        Params::new(self.params)
    }
}

/// Only the user of the URI `text`: see [`Uri::user`].
#[inline]
pub(super) fn user_of(text: &[u8]) -> Option<&[u8]> {
    if let Some(user) = plain::user_of(text) {
        return Some(user);
    }
    let (scheme, rest) = split_scheme(text);
    match scheme {
        Scheme::Sip | Scheme::Sips => Some(split_user(rest).0),
        Scheme::Tel => Some(trim(split_at_first(rest, |byte| matches!(byte, b';' | b'?')).0)),
        Scheme::Other => None,
    }
}

/// Only the user of the address `value`: what [`Address::parse`] would find.
#[inline]
pub(super) fn user_in(value: &[u8]) -> Option<&[u8]> {
    let value = readable(value);
    plain::user_in(value).or_else(|| Address::parse(value).user())
}

/// Only the tag of the address `value`: what [`Address::tag`] would find.
#[inline]
pub(super) fn tag_in(value: &[u8]) -> Option<&[u8]> {
    let value = readable(value);
    plain::tag_in(value).unwrap_or_else(|| Address::parse(value).tag())
}

/// The scheme of `text`, and what follows its colon.
#[inline]
pub(super) fn split_scheme(text: &[u8]) -> (Scheme, &[u8]) {
    const SIP: u32 = u32::from_le_bytes(*b"sip:");
    const SIPS: u32 = u32::from_le_bytes(*b"sips");
    const TEL: u32 = u32::from_le_bytes(*b"tel:");
    /// The bits that a letter's case is in: a colon has none.
    const THREE: u32 = 0x0020_2020;
    const FOUR: u32 = 0x2020_2020;
    let Some((first, rest)) = text.split_first_chunk() else {
        return (Scheme::Other, text);
    };
    let word = u32::from_le_bytes(*first);
    match word | THREE {
        SIP => (Scheme::Sip, rest),
        TEL => (Scheme::Tel, rest),
        _ => match rest {
            [b':', rest @ ..] if word | FOUR == SIPS => (Scheme::Sips, rest),
            _ => (Scheme::Other, text),
        },
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
    /// Whether white space stands between the URI and its angle brackets.
    pub has_space: bool,
    /// Whether a quoted string in front of the URI does not end.
    pub quote_open: bool,
    /// Whether the opening angle bracket has no counterpart.
    pub angle_open: bool,
}

impl<'a> Address<'a> {
    /// Takes the first [`VALUE_BYTES_MAX`](super::limits::VALUE_BYTES_MAX) bytes of `value` apart.
    /// Never fails: without a URI the URI is empty.
    ///
    /// A value that begins with a scheme is an addr-spec, which a `;`, `,` or white space ends
    /// (RFC 3261, 20: otherwise it needs angle brackets). Everything else is a display name until
    /// an angle bracket opens. A quote that is never closed is an ordinary byte.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Self {
        let value = trim(readable(value));
        if let Some(angle) = plain::angle_of(value) {
            return Self::in_angles(value, angle, false);
        }
        if split_scheme(value).0 != Scheme::Other {
            return Self::bare(value, &[], false);
        }
        let (angle, quote_open) = find_angle(value);
        let Some(angle) = angle else {
            // Only what stands at the very start can be a name; quotes behind it are in parameters.
            let quoted = if value.starts_with(b"\"") { quoted_end(value, 0) } else { None };
            let (display, rest) = value.split_at(quoted.unwrap_or(0));
            return Self::bare(trim_start(rest), display, quote_open);
        };
        Self::in_angles(value, angle, quote_open)
    }

    /// The address whose opening angle bracket stands at `angle`.
    #[inline]
    fn in_angles(value: &'a [u8], angle: usize, quote_open: bool) -> Self {
        let display = trim(&value[..angle]);
        let inside = &value[angle + 1..];
        let (inside, params, angle_open) = match memchr(b'>', inside) {
            Some(close) => (&inside[..close], &inside[close + 1..], false),
            None => {
                // Cut where it cannot be a URI any more, but not within its user part.
                let user = memchr(b'@', inside).unwrap_or(inside.len() - trim_start(inside).len());
                let rest = split_at_first(&inside[user..], |b| b == b';' || is_lws(b)).1;
                let (uri, params) = inside.split_at(inside.len() - rest.len());
                (uri, params, true)
            }
        };
        let uri = trim(inside);
        let has_space = uri.len() != inside.len();
        Self { display, uri, params, has_angles: true, has_space, quote_open, angle_open }
    }

    fn bare(value: &'a [u8], display: &'a [u8], quote_open: bool) -> Self {
        // A user part may hold the `;` that ends the URI elsewhere: it goes to its `@`, which no
        // parameter has unless it is quoted.
        let ends = |b: &u8| matches!(b, b'@' | b',' | b'"' | b'<' | b'>') || is_lws(*b);
        let at = value.iter().position(ends);
        let user = at.filter(|at| value[*at] == b'@').unwrap_or(0);
        let rest = split_at_first(&value[user..], |b| matches!(b, b';' | b',') || is_lws(b)).1;
        let (uri, params) = value.split_at(value.len() - rest.len());
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
        plain::tag_of(self.params).unwrap_or_else(|| self.params().value(b"tag"))
    }
}

/// The first opening angle bracket outside quoted strings, and whether one of those is left open.
fn find_angle(value: &[u8]) -> (Option<usize>, bool) {
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        match byte {
            b'<' => return (Some(at), false),
            b'"' => match quoted_end(value, at) {
                Some(end) => at = end,
                None => return (memchr(b'<', &value[at..]).map(|angle| at + angle), true),
            },
            _ => at += 1,
        }
    }
    (None, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    /// User, host, port, parameters, headers.
    fn uri(uri: &str) -> (Option<&str>, &str, &str, &str, &str) {
        let uri = Uri::parse(uri.as_bytes());
        let parts = [uri.host, uri.port, uri.params, uri.headers].map(text);
        (uri.user.map(text), parts[0], parts[1], parts[2], parts[3])
    }

    #[test]
    fn a_sip_uri_has_the_parts_of_its_grammar() {
        assert_eq!(uri("sip:h"), (Some(""), "h", "", "", ""));
        assert_eq!(
            uri("SIPS:a:pw@h.example:5061;transport=tcp;lr?Subject=x&y=z"),
            (Some("a"), "h.example", "5061", ";transport=tcp;lr", "Subject=x&y=z")
        );
        assert_eq!(
            uri("sip:a@[2001:db8::1]:5060;x"),
            (Some("a"), "[2001:db8::1]", "5060", ";x", "")
        );
        // Semicolons and question marks may stand in a user part (RFC 4475, 3.1.1.9).
        assert_eq!(uri("sip:a;b=c?d@h;e"), (Some("a;b=c?d"), "h", "", ";e", ""));
    }

    #[test]
    fn a_tel_uri_is_a_number_and_parameters() {
        assert_eq!(
            uri("tel:+1-201-555-0123;ext=5"),
            (Some("+1-201-555-0123"), "", "", ";ext=5", "")
        );
    }

    #[test]
    fn a_uri_of_another_scheme_or_of_none_has_no_user() {
        for other in ["http://a@b", "isbn:1", "a@b", "", "sip", "sip;a@b"] {
            assert_eq!(uri(other).0, None, "{other}");
        }
    }

    #[test]
    fn what_is_not_closed_in_a_uri_ends_with_it() {
        assert_eq!(uri("sip:a@[2001:db8::1"), (Some("a"), "[2001", "db8::1", "", ""));
        assert_eq!(uri("sip:@"), (Some(""), "", "", "", ""));
        assert_eq!(uri("sip:a@:"), (Some("a"), "", "", "", ""));
    }

    #[test]
    fn a_port_is_a_number_up_to_65535() {
        let port = |text: &str| Uri::parse(text.as_bytes()).port_number();
        assert_eq!(port("sip:h:65535"), Some(65_535));
        for none in ["sip:h", "sip:h:", "sip:h:65536", "sip:h:x", "tel:1:2"] {
            assert_eq!(port(none), None, "{none}");
        }
    }

    /// Display name, URI, tag.
    fn address(value: &str) -> (&str, &str, Option<&str>) {
        let address = Address::parse(value.as_bytes());
        (text(address.display), text(address.uri), address.tag().map(text))
    }

    #[test]
    fn an_address_has_a_name_a_uri_and_parameters() {
        assert_eq!(address("sip:a@b;tag=1"), ("", "sip:a@b", Some("1")));
        assert_eq!(address("<sip:a@b;tag=uri>;x;TAG = 2"), ("", "sip:a@b;tag=uri", Some("2")));
        assert_eq!(address("A. B <sip:a@b>"), ("A. B", "sip:a@b", None));
        assert_eq!(
            address("\"<sip:x@y>;tag=0 \\\" \" < sip:a@b >;tag=3"),
            ("\"<sip:x@y>;tag=0 \\\" \"", "sip:a@b", Some("3"))
        );
        assert_eq!(address("<sip:a@b>;x=\";tag=no\";tag=4"), ("", "sip:a@b", Some("4")));
    }

    #[test]
    fn an_address_that_is_broken_gives_what_can_be_read() {
        assert_eq!(address("\"open <sip:a@b>;tag=1"), ("\"open", "sip:a@b", Some("1")));
        assert_eq!(address("<sip:a@b;tag=1"), ("", "sip:a@b", Some("1")));
        assert_eq!(address("\"name\" sip:a@b;tag=1"), ("\"name\"", "sip:a@b", Some("1")));
        assert_eq!(address("<>;tag=1"), ("", "", Some("1")));
        assert_eq!(address("mailto:a@b;x=\"y\";tag=1"), ("", "mailto:a@b", Some("1")));
        assert_eq!(address("\"n\" sip:a@b;x=\"y\";tag=2"), ("\"n\"", "sip:a@b", Some("2")));
        assert_eq!(address("sip:+35;postd=p@h;tag=1"), ("", "sip:+35;postd=p@h", Some("1")));
        assert_eq!(address("sip:h;x=1, sip:c@d"), ("", "sip:h", None));
        assert_eq!(address(""), ("", "", None));
        assert_eq!(address("sip:a@b, sip:c@d"), ("", "sip:a@b", None));
    }
}
