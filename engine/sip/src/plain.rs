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
            if self.eat(b"=") {
                let value = self.run(VALUE);
                if value.is_empty() {
                    return None;
                }
                if found.is_none() && this.eq_ignore_ascii_case(name) {
                    found = Some(fits(value));
                }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::anomaly::Anomalies;
    use crate::check;
    use crate::uri::{Address, Uri};
    use crate::via::Via;

    /// Values that are plain, and values that nearly are: every piece may be missing or odd.
    fn near(pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        let piece = |pattern: &'static &'static str| {
            let odd = "[ -~]{0,3}|\r\n |\\PC";
            prop_oneof![12 => *pattern, 1 => Just(String::new()), 1 => odd]
        };
        pieces.iter().map(piece).collect::<Vec<_>>().prop_map(|found| found.concat().into_bytes())
    }

    const ADDRESS: &[&str] = &[
        "(\"[ !#-~]{0,9}\" ?|[a-zA-Z0-9 .-]{0,9})",
        "<",
        "sip:",
        "([a-z0-9+*;&=$,?/._!~'()-]{1,9}@)?",
        "[a-z0-9.-]{1,9}",
        "(:[0-9]{1,6})?",
        "(;[a-z]{1,5}(=[a-z0-9]{0,4})?){0,2}",
        ">",
        "(;[a-z]{1,5}(=[a-z0-9]{0,4})?){0,2}",
        "(;[tT]ag=[a-z0-9]{0,4})?",
        "(;[a-z]{1,5}(=[a-z0-9:.]{0,4})?){0,2}",
    ];
    const VIA: &[&str] = &[
        "SIP/2.0/",
        "(UDP|TLS|[a-z]{1,4})",
        " ",
        "[a-z0-9.-]{1,9}",
        "(:[0-9]{1,6})?",
        "(;[a-z]{1,5}(=[a-z0-9]{0,4})?){0,2}",
        "(;branch=(z9hG4bK)?[a-z0-9]{0,4})?",
        "(;rport)?",
    ];

    /// What the thorough checks find.
    fn found(check: impl FnOnce(&mut Anomalies)) -> Anomalies {
        let mut found = Anomalies::default();
        check(&mut found);
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn nothing_is_wrong_with_a_plain_address(value in near(ADDRESS)) {
            let value = value.trim_ascii();
            let long = Address::parse(value);
            if let Some(tagged) = address(value) {
                let found = found(|found| check::address(&long, found));
                prop_assert!(found.is_empty(), "{:?}", found.iter().collect::<Vec<_>>());
                prop_assert_eq!(tagged, long.params().value(b"tag").is_some());
            }
            if let Some(tag) = tag_in(value) {
                prop_assert_eq!(tag, long.params().value(b"tag"));
            }
            if let Some(user) = user_in(value) {
                prop_assert_eq!(Some(user), Uri::parse(long.uri).user);
            }
        }

        #[test]
        fn nothing_is_wrong_with_a_plain_uri(value in near(&ADDRESS[2..7])) {
            let uri = Uri::parse(&value);
            if is_uri(&value) {
                let found = found(|found| check::request_uri(&value, found));
                prop_assert!(found.is_empty(), "{:?}", found.iter().collect::<Vec<_>>());
            }
            if let Some(user) = user_of(&value) {
                prop_assert_eq!(Some(user), uri.user);
            }
        }

        #[test]
        fn nothing_is_wrong_with_a_plain_via(value in near(VIA)) {
            let long = Via::parse(&value);
            if let Some(branched) = via(&value, check::is_branch) {
                let long = long.unwrap();
                let found = found(|found| check::via(&long, found));
                prop_assert!(found.is_empty(), "{:?}", found.iter().collect::<Vec<_>>());
                prop_assert_eq!(branched, long.branch().is_some_and(check::is_branch));
            }
            if let Some(host) = via_host(&value) {
                prop_assert_eq!(Some(host), long.map(|via| via.host));
            }
        }
    }

    #[test]
    fn what_scanners_send_is_plain() {
        for value in
            ["\"sip vicious\"<sip:100@1.1.1.1>", "<sip:7@h:5060;transport=udp>", "A <sip:h>"]
        {
            assert_eq!(address(value.as_bytes()), Some(false), "{value}");
        }
        assert_eq!(address(b"<sip:7@h>;x;tag=1a"), Some(true));
        assert!(is_uri(b"sip:+4420#@h") != is_uri(b"sip:+4420@h:5060;user=phone"));
        assert_eq!(
            via(b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport", check::is_branch),
            Some(true)
        );
        for value in [
            "<sip:7%20@h>",
            "<sip:@h>",
            "sip:7@h",
            "<sip:7@h>;;a",
            "<sip:7@h:70000>",
            "\"a<sip:7@h>",
        ] {
            assert_eq!(address(value.as_bytes()), None, "{value}");
        }
    }
}
