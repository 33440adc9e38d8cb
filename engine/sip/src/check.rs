//! What is wrong inside the values: looked for once an event, not in the scan.
//!
//! Each check cites the grammar that it holds a value against; all of it is RFC 3261, section 25.1,
//! unless it says otherwise.

use super::anomaly::{Anomalies, Anomaly};
use super::bytes::{Census, decimal, hex_pair, is_lws, quoted_end};
use super::class::{TOKEN, URI_PARAMETERS, USER, VALUE, all_are, is};
use super::grammar::{has_scheme, is_call_id, is_date, is_display_name, is_host, is_telephone};
use super::header::{List, Params};
use super::limits::{LIST_VALUES_MAX, VALUE_BYTES_MAX};
use super::message::{Kind, Message};
use super::name::Name;
use super::plain;
use super::uri::{Address, Scheme, Uri};
use super::via::Via;

/// Line ends and bytes that should not be in a head.
pub(super) fn head(head: &[u8]) -> Anomalies {
    let mut found = Anomalies::default();
    let census = Census::of(head);
    if census.bare_lf {
        found.reject(Anomaly::BareLf);
    }
    if census.bare_cr {
        found.reject(Anomaly::BareCr);
    }
    if census.nul {
        found.observe(Anomaly::Nul);
        if !nuls_are_hidden(head) {
            found.reject(Anomaly::Nul);
        }
    }
    if census.high && std::str::from_utf8(head).is_err() {
        found.reject(Anomaly::NotUtf8);
    }
    found
}

/// Whether a backslash that is not hidden itself stands before every NUL (`quoted-pair`).
fn nuls_are_hidden(head: &[u8]) -> bool {
    let mut hides = false;
    head.iter().all(|byte| {
        let hidden = *byte != 0 || hides;
        hides = *byte == b'\\' && !hides;
        hidden
    })
}

/// Everything that is odd or wrong inside the values of a SIP message; nothing for what is no SIP.
pub(super) fn message(message: &Message<'_>) -> Anomalies {
    let mut found = Anomalies::default();
    if matches!(message.kind(), Kind::NotSip(_)) {
        return found;
    }
    let uri = message.request_uri();
    note_length(uri, &mut found);
    let is_short = uri.len() <= VALUE_BYTES_MAX;
    if message.kind() == Kind::Request && is_short && !plain::is_uri(uri) {
        request_uri(uri, &mut found);
    }
    header_lines(message, &mut found);
    for name in [Name::From, Name::To] {
        let Some(value) = message.header(name) else {
            continue;
        };
        note_length(value, &mut found);
        if value.len() > VALUE_BYTES_MAX {
            continue;
        }
        if let Some(tagged) = plain::address(value) {
            if name == Name::From && !tagged {
                found.observe(Anomaly::TagMissing);
            }
            continue;
        }
        let parts = Address::parse(value);
        // One address and no list: a comma that ends a bare URI belongs to it.
        if parts.params.first() == Some(&b',') {
            found.reject(Anomaly::AnglesMissing);
        }
        if name == Name::From && parts.tag().is_none() {
            found.observe(Anomaly::TagMissing);
        }
        address(&parts, &mut found);
    }
    numbers(message, &mut found);
    if message.header(Name::Date).is_some_and(|date| !is_date(date)) {
        found.reject(Anomaly::DateSyntax);
    }
    if message.call_id().is_some_and(|id| !is_call_id(id)) {
        found.reject(Anomaly::CallIdSyntax);
    }
    found
}

/// The Request-URI.
pub(super) fn request_uri(text: &[u8], found: &mut Anomalies) {
    let uri = Uri::parse(text);
    if text.iter().any(|byte| is_lws(*byte)) {
        found.reject(Anomaly::UriSpace);
    }
    if !uri.headers.is_empty() {
        found.reject(Anomaly::UriHeaders);
    }
    if uri.scheme == Scheme::Other && !text.is_empty() && !has_scheme(text) {
        found.reject(Anomaly::UriScheme);
    }
    check_uri(text, &uri, found);
}

/// Looks at each value of Via and Contact, and at what the scan said of the names.
fn header_lines(message: &Message<'_>, found: &mut Anomalies) {
    let mut left = LIST_VALUES_MAX;
    let mut vias = 0;
    let check_via = |value: &[u8], found: &mut Anomalies| {
        via_value(value, vias, found);
        vias += 1;
    };
    each_value(message, Name::Via, &mut left, found, check_via);
    let check_contact = |value: &[u8], found: &mut Anomalies| contact(message, value, found);
    each_value(message, Name::Contact, &mut left, found, check_contact);
    // `header-name = token`. The first line looks like a fold of the start line, which may have none.
    let first = message.bytes().get(message.headers_at);
    if message.bad_name || matches!(first, Some(b' ' | b'\t')) {
        found.reject(Anomaly::NameSyntax);
    }
}

/// Says so if a value is too long to be taken apart. Nothing else is said of such a one.
fn note_length(value: &[u8], found: &mut Anomalies) {
    if value.len() > VALUE_BYTES_MAX {
        found.observe(Anomaly::HeaderCap);
    }
}

/// Visits the values of all lines with this name, as many as are `left`. Only a name that stands on
/// several lines costs another walk over the head.
fn each_value(
    message: &Message<'_>,
    name: Name,
    left: &mut usize,
    found: &mut Anomalies,
    mut visit: impl FnMut(&[u8], &mut Anomalies),
) {
    let mut line = |value, found: &mut Anomalies| {
        for value in List::new(value) {
            if *left == 0 {
                found.observe(Anomaly::HeaderCap);
                return;
            }
            *left -= 1;
            note_length(value, found);
            if value.len() <= VALUE_BYTES_MAX {
                visit(value, found);
            }
        }
    };
    if message.again & name.bit() != 0 {
        message.values(name).for_each(|value| line(value, found));
    } else if let Some(value) = message.header(name) {
        line(value, found);
    }
}

/// One Via value with `above` others before it.
fn via_value(value: &[u8], above: usize, found: &mut Anomalies) {
    if above > 0 {
        found.observe(Anomaly::ViaSeveral);
    }
    if let Some(branched) = plain::via(value, is_branch) {
        if above == 0 && !branched {
            found.observe(Anomaly::ViaBranch);
        }
        return;
    }
    let Some(parts) = Via::parse(value) else {
        return found.reject(Anomaly::ViaSyntax);
    };
    if above == 0 && !parts.branch().is_some_and(is_branch) {
        found.observe(Anomaly::ViaBranch);
    }
    via(&parts, found);
}

/// One Via value, but for its branch.
pub(super) fn via(via: &Via<'_>, found: &mut Anomalies) {
    if !is_via(via) {
        found.reject(Anomaly::ViaSyntax);
    }
    check_params(via.params(), found);
}

/// What every branch of RFC 3261 begins with, and something unique behind it (8.1.1.7).
pub(super) fn is_branch(branch: &[u8]) -> bool {
    branch.strip_prefix(b"z9hG4bK").is_some_and(|unique| !unique.is_empty())
}

/// `via-parm = "SIP" SLASH "2.0" SLASH transport LWS host [ COLON port ] *( SEMI via-params )`.
fn is_via(via: &Via<'_>) -> bool {
    via.protocol.eq_ignore_ascii_case(b"SIP")
        && via.version == b"2.0"
        && !via.transport.is_empty()
        && all_are(via.transport, TOKEN)
        && is_host(via.host)
        && (via.port.is_empty() || via.port_number().is_some())
        && begins_params(via.params)
}

/// One Contact value.
fn contact(message: &Message<'_>, value: &[u8], found: &mut Anomalies) {
    if plain::address(value).is_some() {
        return;
    }
    if value != b"*" {
        address(&Address::parse(value), found);
    } else if message.method() != b"REGISTER" {
        found.observe(Anomaly::ContactStar);
    }
}

/// `( name-addr / addr-spec ) *( SEMI generic-param )`.
pub(super) fn address(address: &Address<'_>, found: &mut Anomalies) {
    if address.quote_open {
        found.reject(Anomaly::QuoteOpen);
    }
    if address.angle_open {
        found.reject(Anomaly::AngleOpen);
    }
    if !is_display_name(address.display) {
        found.reject(Anomaly::DisplayName);
    }
    if address.has_space || address.uri.iter().any(|byte| is_lws(*byte)) {
        found.reject(Anomaly::AddressSpace);
    }
    let bare = !address.has_angles;
    let uri = Uri::parse(address.uri);
    let user = uri.user.unwrap_or_default();
    let needs_angles = address.uri.contains(&b'?') || user.contains(&b';');
    if bare && (!address.display.is_empty() || needs_angles) {
        found.reject(Anomaly::AnglesMissing);
    }
    if uri.scheme != Scheme::Other {
        check_uri(address.uri, &uri, found);
    } else if has_scheme(address.uri) {
        found.observe(Anomaly::AddressScheme);
    } else {
        found.reject(Anomaly::AddressSyntax);
    }
    if !begins_params(address.params) {
        found.reject(Anomaly::AddressSyntax);
    }
    check_params(address.params(), found);
}

/// Whether nothing follows, or parameters do.
fn begins_params(rest: &[u8]) -> bool {
    rest.iter().find(|byte| !is_lws(**byte)).is_none_or(|byte| *byte == b';')
}

/// `generic-param = token [ EQUAL gen-value ]`, `gen-value = token / host / quoted-string`.
fn check_params(params: Params<'_>, found: &mut Anomalies) {
    for (name, value) in params {
        if name.is_empty() || !all_are(name, TOKEN) {
            found.reject(Anomaly::ParameterSyntax);
        }
        match value {
            None => {}
            Some(quoted @ [b'"', ..]) => match quoted_end(quoted, 0) {
                Some(end) if end == quoted.len() => {}
                Some(_) => found.reject(Anomaly::ParameterSyntax),
                None => found.reject(Anomaly::QuoteOpen),
            },
            Some(value) if value.is_empty() || !all_are(value, VALUE) => {
                found.reject(Anomaly::ParameterSyntax);
            }
            Some(_) => {}
        }
    }
}

/// The parts of a URI that every address has.
fn check_uri(text: &[u8], uri: &Uri<'_>, found: &mut Anomalies) {
    // A loop over all bytes: a search for each of 20,000 percent signs would cost ten times as much.
    for (at, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        match text.get(at + 1..at + 3) {
            Some([high, low]) => match hex_pair(*high, *low) {
                Some(0) => found.observe(Anomaly::UriEscapedNul),
                Some(_) => {}
                None => found.reject(Anomaly::UriEscape),
            },
            _ => found.reject(Anomaly::UriEscape),
        }
    }
    if matches!(uri.scheme, Scheme::Sip | Scheme::Sips) {
        if !is_host(uri.host) || !(uri.port.is_empty() || uri.port_number().is_some()) {
            found.reject(Anomaly::UriHost);
        }
        // White space has a bit of its own.
        let is_escaped_or = |byte: &u8, class| *byte == b'%' || is(*byte, class) || is_lws(*byte);
        let user = uri.user.unwrap_or_default();
        if (uri.has_at && user.is_empty())
            || !user.iter().all(|byte| is_escaped_or(byte, USER))
            || !uri.params.iter().all(|byte| is_escaped_or(byte, URI_PARAMETERS))
        {
            found.reject(Anomaly::UriSyntax);
        }
    } else if uri.scheme == Scheme::Tel && !is_telephone(uri) {
        found.reject(Anomaly::UriSyntax);
    }
}

/// Max-Forwards (RFC 3261, 20.22) and Expires (20.19).
fn numbers(message: &Message<'_>, found: &mut Anomalies) {
    let hops = message.header(Name::MaxForwards);
    if hops.is_some_and(|value| decimal(value).is_none_or(|hops| hops > 255)) {
        found.reject(Anomaly::MaxForwardsSyntax);
    }
    if message.header(Name::Expires).is_some_and(|value| decimal(value).is_none()) {
        found.reject(Anomaly::ExpiresSyntax);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    /// What is wrong with an OPTIONS to which `lines` are added and which is fine without them.
    fn wrong(lines: &str) -> Vec<Anomaly> {
        let text = format!(
            "OPTIONS sip:1@h SIP/2.0\r\n{lines}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
            From: <sip:a@h>;tag=1\r\nTo: <sip:1@h>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\
            Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        let invalid = parse(text.as_bytes()).all_anomalies().invalid;
        let repeated = Anomaly::HeaderRepeated.bit();
        Anomaly::ALL.into_iter().filter(|a| a.bit() & invalid & !repeated != 0).collect()
    }

    #[test]
    fn a_date_is_in_the_one_form_that_there_is() {
        assert_eq!(wrong("Date: Sat, 13 Nov 2010 23:29:00 GMT"), []);
        for date in [
            "Sat, 13 Nov 2010 23:29:00 EST",
            "Sat, 13 Nov 2010 23:29:00",
            "13 Nov 2010 23:29:00 GMT",
            "Sat, 13 nov 2010 23:29:00 GMT",
            "Sat, 1 Nov 2010 23:29:00 GMT",
            "",
            "Sat, 13 Nov 2010 23:29:0x GMT",
        ] {
            assert_eq!(wrong(&format!("Date: {date}")), [Anomaly::DateSyntax], "{date}");
        }
    }

    #[test]
    fn a_call_id_is_one_word_or_two() {
        for id in ["a", "a@b", "<(\"a\")>@[::1]", "%+~"] {
            assert_eq!(wrong(&format!("Call-ID: {id}")), [], "{id}");
        }
        for id in ["a b", "@", "a@", "@b", "a@b@c", "a;b", "\u{e9}"] {
            assert_eq!(wrong(&format!("Call-ID: {id}")), [Anomaly::CallIdSyntax], "{id}");
        }
    }

    #[test]
    fn a_contact_is_held_against_its_grammar() {
        use Anomaly::{
            AddressSpace, AddressSyntax, AngleOpen, AnglesMissing, DisplayName, ParameterSyntax,
            QuoteOpen, UriEscape, UriHost, UriSyntax,
        };
        let contacts: [(&str, &[Anomaly]); 17] = [
            ("<sip:a@h>, \"x, y\" <sip:b@[::1]:5>;q=1, sip:c@h;expires=3", &[]),
            ("<tel:+1>, <http://h/a,b>", &[]),
            ("\"x <sip:a@h>", &[QuoteOpen, DisplayName]),
            ("<sip:a@h", &[AngleOpen]),
            ("x, y <sip:a@h>", &[AddressSyntax]),
            ("x(y) <sip:a@h>", &[DisplayName]),
            ("< sip:a@h>", &[AddressSpace]),
            ("<sip:a b@h>", &[AddressSpace]),
            ("\"x\" sip:a@h", &[AnglesMissing]),
            ("sip:a@h?x=y", &[AnglesMissing]),
            ("nobody", &[AddressSyntax]),
            ("<sip:a@h>;;q=1", &[ParameterSyntax]),
            ("<sip:%4g@h>, <sip:a@h;x=%>", &[UriEscape]),
            ("<sip:a@>", &[UriHost]),
            ("<sip:a@h_h>", &[UriHost]),
            ("<sip:a@h:70000>", &[UriHost]),
            ("<sip:@h>", &[UriSyntax]),
        ];
        for (contact, expected) in contacts {
            assert_eq!(wrong(&format!("Contact: {contact}")), expected, "{contact}");
        }
    }

    #[test]
    fn what_follows_an_address_is_parameters() {
        use Anomaly::{AddressSyntax, AnglesMissing, ParameterSyntax, QuoteOpen};
        let contacts: [(&str, &[Anomaly]); 12] = [
            ("<sip:a@h> ;x=\"a, b\";y=[::1];z", &[]),
            ("mailto:a@b;x=\"y\";q=1", &[]),
            ("<sip:a@h> junk;q=1", &[AddressSyntax]),
            ("<sip:a@h>>;q=1", &[AddressSyntax]),
            ("sip:a@h junk", &[AddressSyntax]),
            ("<sip:a@h>;x=", &[ParameterSyntax]),
            ("<sip:a@h>;x y=1", &[ParameterSyntax]),
            ("<sip:a@h>;x=a@b", &[ParameterSyntax]),
            ("<sip:a@h>;x=\"a\"b", &[ParameterSyntax]),
            ("<sip:a@h>;x=\"a", &[QuoteOpen]),
            ("\"n\" sip:a@b;x=\"y\"", &[AnglesMissing]),
            ("sip:7;x=1@h", &[AnglesMissing]),
        ];
        for (contact, expected) in contacts {
            assert_eq!(wrong(&format!("Contact: {contact}")), expected, "{contact}");
        }
    }

    #[test]
    fn a_uri_is_held_against_its_grammar() {
        use Anomaly::{DisplayName, UriScheme, UriSyntax};
        for uri in ["sip:a%23&=+$,;?/b@h;lr;x=[::1]", "tel:+1-(201).5", "tel:*7#;phone-context=a"] {
            assert_eq!(wrong(&format!("Contact: <{uri}>")), [], "{uri}");
        }
        for uri in [
            "sip:1#2@h",
            "sip:a\"b@h",
            "sip:\u{e9}@h",
            "sip:a@h;x=\"y\"",
            "tel:",
            "tel:+",
            "tel:abc!",
            "tel:+1a",
            "tel:7042",
        ] {
            assert_eq!(wrong(&format!("Contact: <{uri}>")), [UriSyntax], "{uri}");
        }
        assert_eq!(wrong("Contact: \"a\" \"b\" <sip:a@h>"), [DisplayName]);
        for (uri, expected) in
            [("nonsense", vec![UriScheme]), ("/", vec![UriScheme]), ("a:b", vec![])]
        {
            let text = format!("OPTIONS {uri} SIP/2.0\r\n\r\n");
            let found = parse(text.as_bytes()).all_anomalies();
            let rejected =
                if found.invalid & UriScheme.bit() != 0 { vec![UriScheme] } else { vec![] };
            assert_eq!(rejected, expected, "{uri}");
        }
    }

    #[test]
    fn a_nul_is_hidden_by_a_backslash_that_is_none_itself() {
        for (text, hidden) in
            [("\\\0", true), ("\\\\\0", false), ("\0", false), ("a\\\\\\\0", true)]
        {
            let found = head(text.as_bytes());
            assert_eq!(found.invalid & Anomaly::Nul.bit() == 0, hidden, "{text:?}");
            assert_ne!(found.observed & Anomaly::Nul.bit(), 0);
        }
    }

    #[test]
    fn a_via_is_held_against_its_grammar() {
        for via in
            ["SIP/2.0/UDP h, SIP / 2.0 / X-Y [::1] : 7 ; a", "sip/2.0/udp 192.0.2.1;a=\"b,c\""]
        {
            assert_eq!(wrong(&format!("Via: {via}")), [], "{via}");
        }
        for via in [
            "SIP/3.0/UDP h",
            "X/2.0/UDP h",
            "SIP/2.0/U@P h",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP h:x",
            "SIP/2.0/UDP h h",
            "SIP/2.0/UDP [::1",
            "SIP/2.0/UDP h,",
        ] {
            assert_eq!(wrong(&format!("Via: {via}")), [Anomaly::ViaSyntax], "{via}");
        }
    }

    #[test]
    fn of_a_long_value_the_beginning_is_looked_at() {
        let contact = |length| format!("Contact: <sip:a@h>;x={}", "y".repeat(length - 12));
        for (length, flagged) in [(VALUE_BYTES_MAX, false), (VALUE_BYTES_MAX + 1, true)] {
            let text = format!("OPTIONS sip:1@h SIP/2.0\r\n{}\r\n\r\n", contact(length));
            let found = parse(text.as_bytes()).all_anomalies();
            assert_eq!(found.observed & Anomaly::HeaderCap.bit() != 0, flagged);
        }
    }

    #[test]
    fn a_header_name_is_a_token() {
        assert_eq!(wrong("X-!%*_+`'~.: 1"), []);
        for name in ["a b: 1", ": 1", "a(b): 1", "\u{e9}: 1", " X: 1"] {
            assert_eq!(wrong(name), [Anomaly::NameSyntax], "{name}");
        }
    }

    #[test]
    fn only_so_many_values_of_lists_are_looked_at() {
        let commas = |count| format!("Contact: <sip:a@h>{}", ", <sip:a@h>".repeat(count));
        assert_eq!(wrong(&commas(LIST_VALUES_MAX - 2)), []);
        let text = format!("OPTIONS sip:1@h SIP/2.0\r\n{}\r\n\r\n", commas(LIST_VALUES_MAX));
        assert!(parse(text.as_bytes()).all_anomalies().has(Anomaly::HeaderCap));
        assert!(!parse(text.as_bytes()).anomalies().has(Anomaly::HeaderCap));
    }
}
