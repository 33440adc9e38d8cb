//! Parts of the grammar that one value as a whole is held against; all of it is RFC 3261, section
//! 25.1, unless it says otherwise.

use std::net::Ipv6Addr;

use memchr::memchr;

use super::bytes::{is_lws, quoted_end};
use super::class::{HOST, TOKEN, WORD, all_are, is};
use super::uri::Uri;

/// `telephone-subscriber = global-number / local-number`, RFC 3966, section 3; a local number says
/// where it is one (5.1.5).
#[inline]
pub(super) fn is_telephone(uri: &Uri<'_>) -> bool {
    let number = uri.user.unwrap_or_default();
    let digits = number.strip_prefix(b"+").unwrap_or(number);
    let global = digits.len() < number.len();
    let dialled = |byte: &u8| match byte {
        b'-' | b'.' | b'(' | b')' => true,
        b'*' | b'#' => !global,
        byte if global => byte.is_ascii_digit(),
        byte => byte.is_ascii_hexdigit(),
    };
    let is_digit = |byte: &u8| byte.is_ascii_hexdigit() || b"*#".contains(byte);
    let has_context = global || uri.params().has(b"phone-context");
    digits.iter().any(is_digit) && digits.iter().all(dialled) && has_context
}

/// `host = hostname / IPv4address / IPv6reference`; of a name only the letters are looked at.
#[inline]
pub(super) fn is_host(host: &[u8]) -> bool {
    match host {
        [b'[', address @ .., b']'] => {
            std::str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok())
        }
        name => !name.is_empty() && all_are(name, HOST),
    }
}

/// `scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )`, and its colon.
#[inline]
pub(super) fn has_scheme(uri: &[u8]) -> bool {
    let end = uri.iter().position(|byte| *byte == b':');
    end.is_some_and(|end| {
        uri[0].is_ascii_alphabetic()
            && uri[..end]
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    })
}

/// `display-name = *( token LWS ) / quoted-string`. What is quoted has been looked at before.
#[inline]
pub(super) fn is_display_name(name: &[u8]) -> bool {
    match name {
        [b'"', ..] => quoted_end(name, 0) == Some(name.len()),
        _ => name.iter().all(|byte| is(*byte, TOKEN) || is_lws(*byte)),
    }
}

/// `rfc1123-date = wkday "," SP date1 SP time SP "GMT"`, as in `Sat, 13 Nov 2010 23:29:00 GMT`.
#[inline]
pub(super) fn is_date(date: &[u8]) -> bool {
    const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
    const MONTHS: [&[u8]; 12] = [
        b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov",
        b"Dec",
    ];
    const FORM: &[u8; 29] = b"ddd, 00 mmm 0000 00:00:00 GMT";
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'd' | b'm' => true,
        b'0' => byte.is_ascii_digit(),
        form => byte == form,
    };
    date.len() == FORM.len()
        && date.iter().zip(FORM).all(fits)
        && DAYS.contains(&&date[..3])
        && MONTHS.contains(&&date[8..11])
}

/// `callid = word [ "@" word ]`.
#[inline]
pub(super) fn is_call_id(id: &[u8]) -> bool {
    let is_word = |part: &[u8]| !part.is_empty() && all_are(part, WORD);
    match memchr(b'@', id) {
        Some(at) => is_word(&id[..at]) && is_word(&id[at + 1..]),
        None => is_word(id),
    }
}
