//! The Contact of the answer to a REGISTER: the bindings that the caller now has (RFC 3261, section
//! 10.3, step 8).

use std::io::{Cursor, Write as _};

use crate::limits::{BINDINGS_BYTES_MAX, BINDINGS_MAX};
use crate::sip::{Address, List, Message, Name};

/// Seconds that a binding lasts when the caller names none (RFC 3261, section 10.2.1.1).
const DEFAULT_EXPIRES_S: u32 = 3_600;

/// Longest that a binding may last; a caller that asks for more is given this.
const EXPIRES_S_MAX: u32 = 86_400;

/// A value for Contact, in a buffer of its own.
pub type Bindings = Cursor<[u8; BINDINGS_BYTES_MAX]>;

/// Every binding that the request asks for, each with the seconds that it lasts. Empty if there is
/// none, if all are given up (`*`, or an expiry of 0), or if they are more or longer than is
/// answered.
#[must_use]
pub fn bindings(request: &Message<'_>) -> Bindings {
    let mut out = Cursor::new([0; BINDINGS_BYTES_MAX]);
    let default = seconds(request.header(Name::Expires)).unwrap_or(DEFAULT_EXPIRES_S);
    let contacts = request.values(Name::Contact).flat_map(List::new).take(BINDINGS_MAX + 1);
    for (index, contact) in contacts.enumerate() {
        if index == BINDINGS_MAX || !put(contact, default, &mut out) {
            return Cursor::new([0; BINDINGS_BYTES_MAX]);
        }
    }
    out
}

/// Appends one binding; false if there is no room for it.
fn put(contact: &[u8], default_s: u32, out: &mut Bindings) -> bool {
    let named =
        Address::parse(contact).params().find(|(name, _)| name.eq_ignore_ascii_case(b"expires"));
    let expires_s = named.map_or(default_s, |(_, value)| seconds(value).unwrap_or(default_s));
    if contact == b"*" || expires_s == 0 {
        return true;
    }
    let separator: &[u8] = if out.position() == 0 { b"" } else { b", " };
    let written = out.write_all(separator).and_then(|()| out.write_all(contact)).and_then(|()| {
        // What the caller wrote stays; of two values of one parameter the first counts.
        if named.is_some() {
            Ok(())
        } else {
            write!(out, ";expires={}", expires_s.min(EXPIRES_S_MAX))
        }
    });
    written.is_ok()
}

/// A number of seconds, if that is what `value` is.
fn seconds(value: Option<&[u8]>) -> Option<u32> {
    std::str::from_utf8(value?).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::honeypot::filled;
    use crate::sip;

    fn answered(headers: &str) -> String {
        let text = format!("REGISTER sip:x SIP/2.0\r\n{headers}\r\n");
        let bindings = bindings(&sip::parse(text.as_bytes()));
        String::from_utf8(filled(&bindings).to_vec()).unwrap()
    }

    #[test]
    fn each_binding_is_told_how_long_it_lasts() {
        assert_eq!(answered("Contact: <sip:a@b>\r\n"), "<sip:a@b>;expires=3600");
        assert_eq!(answered("Contact: <sip:a@b>\r\nExpires: 60\r\n"), "<sip:a@b>;expires=60");
        assert_eq!(
            answered("Contact: <sip:a@b>;expires=7, \"x, y\" <sip:c@d>\r\nm: <sip:e@f>\r\n"),
            "<sip:a@b>;expires=7, \"x, y\" <sip:c@d>;expires=3600, <sip:e@f>;expires=3600"
        );
    }

    #[test]
    fn a_binding_that_is_given_up_is_not_listed() {
        assert_eq!(answered("Contact: *\r\nExpires: 0\r\n"), "");
        assert_eq!(answered("Contact: <sip:a@b>\r\nExpires: 0\r\n"), "");
        assert_eq!(
            answered("Contact: <sip:a@b>;expires=0, <sip:c@d>\r\n"),
            "<sip:c@d>;expires=3600"
        );
        assert_eq!(answered(""), "");
    }

    #[test]
    fn more_or_longer_bindings_than_are_answered_give_none() {
        assert_eq!(answered(&"Contact: <sip:a@b>\r\n".repeat(BINDINGS_MAX + 1)), "");
        assert_eq!(answered(&format!("Contact: <sip:{}@b>\r\n", "a".repeat(2_000))), "");
    }
}
