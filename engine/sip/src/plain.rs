//! The forms that nearly all values have, in which nothing is wrong.
//!
//! Each function here knows a part of what the grammar allows, and says yes only to what the checks
//! in [`check`](super::check) find nothing wrong with; those look at the rest. One walk over the
//! bytes, a table to say what may stand where, and no way back: that is a third of the time.

use memchr::memchr;

use super::bytes::decimal;
use super::class::{DISPLAY, HOST, QUOTED, TOKEN, URI_PARAMETERS, USER, VALUE, is};

/// What is left of a value.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// Takes the bytes of a class, as many as there are.
    #[inline]
    fn run(&mut self, class: u8) -> &'a [u8] {
        let end = self.0.iter().position(|byte| !is(*byte, class)).unwrap_or(self.0.len());
        let (run, rest) = self.0.split_at(end);
        self.0 = rest;
        run
    }

    /// Takes `text`, if that is next.
    #[inline]
    fn eat(&mut self, text: &[u8]) -> bool {
        let rest = self.0.strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// `[ display-name ]`
    #[inline]
    fn display(&mut self) -> bool {
        if self.0.first() != Some(&b'"') {
            self.run(DISPLAY);
            return true;
        }
        self.0 = &self.0[1..];
        self.run(QUOTED);
        let closed = self.eat(b"\"");
        self.eat(b" ");
        closed
    }

    /// `"sip:" user "@"`
    #[inline]
    fn sip_user(&mut self) -> Option<&'a [u8]> {
        let user = if self.eat(b"sip:") { self.run(USER) } else { &[] };
        (!user.is_empty() && self.eat(b"@")).then_some(user)
    }

    /// `host [ ":" port ]`, and no IPv6 reference.
    #[inline]
    fn host_port(&mut self) -> bool {
        if self.run(HOST).is_empty() {
            return false;
        }
        let Some((b':', rest)) = self.0.split_first() else {
            return true;
        };
        let digits = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        let (port, rest) = rest.split_at(digits);
        self.0 = rest;
        decimal(port).is_some_and(|port| port <= u32::from(u16::MAX))
    }

    /// `"sip:" [ user "@" ] host [ ":" port ] *( ";" uri-parameter )`, in lower case and with neither
    /// escapes nor a password.
    #[inline]
    fn sip_uri(&mut self) -> bool {
        let start = self.0;
        if self.sip_user().is_none() {
            self.0 = start;
            if !self.eat(b"sip:") {
                return false;
            }
        }
        if !self.host_port() {
            return false;
        }
        if self.0.first() == Some(&b';') {
            self.run(URI_PARAMETERS);
        }
        true
    }

    /// `*( ";" token [ "=" value ] )` to the end, without white space and quotes; whether `name` is
    /// the first of its name and has a value that `fits`.
    #[inline]
    fn parameters(&mut self, name: &[u8], fits: impl Fn(&[u8]) -> bool) -> Option<bool> {
        let mut found = None;
        while let Some((b';', rest)) = self.0.split_first() {
            self.0 = rest;
            let this = self.run(TOKEN);
            if this.is_empty() {
                return None;
            }
            let value = if self.eat(b"=") { self.run(VALUE) } else { &[] };
            if found.is_none() && !value.is_empty() && this.eq_ignore_ascii_case(name) {
                found = Some(fits(value));
            }
        }
        self.0.is_empty().then_some(found.unwrap_or(false))
    }
}

/// Whether `uri` is a plain sip: URI.
pub(super) fn is_uri(uri: &[u8]) -> bool {
    let mut rest = Rest(uri);
    rest.sip_uri() && rest.0.is_empty()
}

/// Whether `value` is one plain address, and if so, whether it has a tag.
pub(super) fn address(value: &[u8]) -> Option<bool> {
    let mut rest = Rest(value);
    let plain = rest.display() && rest.eat(b"<") && rest.sip_uri() && rest.eat(b">");
    if plain { rest.parameters(b"tag", |_| true) } else { None }
}

/// Whether `value` is one plain Via, and if so, whether its branch is one of RFC 3261.
pub(super) fn via(value: &[u8], is_branch: impl Fn(&[u8]) -> bool) -> Option<bool> {
    let mut rest = Rest(value);
    let plain =
        rest.eat(b"SIP/2.0/") && !rest.run(TOKEN).is_empty() && rest.eat(b" ") && rest.host_port();
    if plain { rest.parameters(b"branch", is_branch) } else { None }
}

/// The user of a plain sip: URI that has one.
#[inline]
pub(super) fn user_of(uri: &[u8]) -> Option<&[u8]> {
    Rest(uri).sip_user()
}

/// The user of an address that begins as plain ones do.
#[inline]
pub(super) fn user_in(value: &[u8]) -> Option<&[u8]> {
    let mut rest = Rest(value);
    if rest.display() && rest.eat(b"<") { rest.sip_user() } else { None }
}

/// The tag of a plain address, if it has no parameter before that.
#[inline]
pub(super) fn tag_in(value: &[u8]) -> Option<Option<&[u8]>> {
    let mut rest = Rest(value);
    if !rest.display() || !rest.eat(b"<") {
        return None;
    }
    tag_of(&rest.0[memchr(b'>', rest.0)? + 1..])
}

/// The tag of an address' parameters, if it comes first or there are none.
#[inline]
pub(super) fn tag_of(params: &[u8]) -> Option<Option<&[u8]>> {
    if params.is_empty() {
        return Some(None);
    }
    let mut rest = Rest(params);
    let tag = if rest.eat(b";tag=") { rest.run(VALUE) } else { &[] };
    let ends = matches!(rest.0.first(), None | Some(b';'));
    (!tag.is_empty() && ends).then_some(Some(tag))
}

/// Where the opening angle bracket stands behind a plain display name.
#[inline]
pub(super) fn angle_of(value: &[u8]) -> Option<usize> {
    let mut rest = Rest(value);
    let found = rest.display() && rest.0.first() == Some(&b'<');
    found.then_some(value.len() - rest.0.len())
}

/// The host of a plain Via.
#[inline]
pub(super) fn via_host(value: &[u8]) -> Option<&[u8]> {
    let mut rest = Rest(value);
    let plain = rest.eat(b"SIP/2.0/") && !rest.run(TOKEN).is_empty() && rest.eat(b" ");
    let host = if plain { rest.run(HOST) } else { &[] };
    let ends = matches!(rest.0.first(), None | Some(b':' | b';'));
    (!host.is_empty() && ends).then_some(host)
}
