//! The number that a request tried to reach.

use memchr::memchr;

use super::bytes::hex_pair;
use super::limits::NUMBER_BYTES_MAX;
use super::message::{Kind, Message};

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumberKind {
    /// There is no number.
    None,
    /// Somebody wanted to reach it: INVITE, MESSAGE, REFER, and what goes with a call.
    Called,
    /// Somebody tried the extension: REGISTER, SUBSCRIBE, OPTIONS and the rest.
    Account,
}

impl<'a> Message<'a> {
    /// The user part that names the number, as sent; empty if there is none.
    ///
    /// Outside a dialog it is the Request-URI's user, or To's if that has none. REGISTER names its
    /// account in To (RFC 3261, 10.2), and inside a dialog (To has a tag) the Request-URI is our
    /// own Contact, so there it is To's user.
    #[must_use]
    pub fn number_user(&self) -> &'a [u8] {
        if self.kind != Kind::Request {
            return &[];
        }
        let asked = if self.method() == b"REGISTER" { None } else { self.request_user() };
        match asked {
            Some(user) if !user.is_empty() && self.to_tag().is_none() => user,
            _ => self.to_user().unwrap_or_default(),
        }
    }

    /// The called number with its percent-escapes decoded, cut to the length of `buf` (into which it
    /// is written if it has any), and what it is. Empty if there is none. Bytes, not text: they come
    /// from the network.
    pub fn called_number<'b>(&self, buf: &'b mut [u8; NUMBER_BYTES_MAX]) -> (&'b [u8], NumberKind)
    where
        'a: 'b,
    {
        let user = self.number_user();
        if user.is_empty() {
            return (&[], NumberKind::None);
        }
        let kind = match self.method() {
            b"INVITE" | b"MESSAGE" | b"REFER" => NumberKind::Called,
            // These go with a call, to whoever was called.
            b"ACK" | b"BYE" | b"CANCEL" | b"INFO" | b"PRACK" | b"UPDATE" => NumberKind::Called,
            _ => NumberKind::Account,
        };
        if memchr(b'%', user).is_none() {
            return (&user[..user.len().min(NUMBER_BYTES_MAX)], kind);
        }
        let length = decode(user, buf);
        (&buf[..length], kind)
    }
}

/// Writes `user` with its escapes decoded (`escaped = "%" HEXDIG HEXDIG`, RFC 3261, 25.1) and says
/// how many bytes that were. A percent sign without two digits stands for itself.
fn decode(user: &[u8], buf: &mut [u8]) -> usize {
    let mut rest = user;
    let mut length = 0;
    for slot in buf {
        let (byte, used) = match rest {
            [] => break,
            [b'%', high, low, ..] => match hex_pair(*high, *low) {
                Some(byte) => (byte, 3),
                None => (b'%', 1),
            },
            [byte, ..] => (*byte, 1),
        };
        *slot = byte;
        length += 1;
        rest = &rest[used..];
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn number(method: &str, uri: &str, to: &str) -> (String, NumberKind) {
        let text = format!("{method} {uri} SIP/2.0\r\nTo: {to}\r\n\r\n");
        let mut buf = [0; NUMBER_BYTES_MAX];
        let message = parse(text.as_bytes());
        let (number, kind) = message.called_number(&mut buf);
        (String::from_utf8_lossy(number).into_owned(), kind)
    }

    #[test]
    fn outside_a_dialog_the_request_uri_is_what_is_called() {
        for method in ["INVITE", "MESSAGE", "REFER", "ACK", "BYE", "CANCEL"] {
            let found = number(method, "sip:0044@h", "<sip:other@h>");
            assert_eq!(found, ("0044".into(), NumberKind::Called));
        }
        for method in ["OPTIONS", "SUBSCRIBE", "invite"] {
            let found = number(method, "sip:100@h", "<sip:other@h>");
            assert_eq!(found, ("100".into(), NumberKind::Account));
        }
    }

    #[test]
    fn a_request_uri_without_a_user_leaves_it_to_to() {
        for uri in ["sip:h", "sip:@h", "http://x", "nonsense"] {
            assert_eq!(number("INVITE", uri, "<sip:7@h>").0, "7", "{uri}");
        }
    }

    #[test]
    fn inside_a_dialog_and_in_register_it_is_to() {
        let found = number("INVITE", "sip:honey@h", "<sip:0044@h>;tag=ours");
        assert_eq!(found, ("0044".into(), NumberKind::Called));
        assert_eq!(
            number("REGISTER", "sip:x@h", "<sip:100@h>"),
            ("100".into(), NumberKind::Account)
        );
        assert_eq!(
            number("BYE", "sip:honey@h", "<sip:h>;tag=1"),
            (String::new(), NumberKind::None)
        );
    }

    #[test]
    fn escapes_are_decoded_and_what_is_none_stays() {
        assert_eq!(number("INVITE", "sip:%2B44%2a%23@h", "x").0, "+44*#");
        assert_eq!(number("INVITE", "sip:%%4%zz%3@h", "x").0, "%%4%zz%3");
        assert_eq!(number("INVITE", "tel:+44-20-7946;phone-context=x", "x").0, "+44-20-7946");
    }

    #[test]
    fn a_long_number_is_cut_to_the_buffer() {
        let found = number("INVITE", &format!("sip:{}@h", "%31".repeat(200)), "x").0;
        assert_eq!(found, "1".repeat(NUMBER_BYTES_MAX));
    }

    #[test]
    fn only_a_request_has_a_number() {
        let message = parse(b"SIP/2.0 200 OK\r\nTo: <sip:7@h>\r\n\r\n");
        let mut buf = [0; NUMBER_BYTES_MAX];
        assert_eq!(message.called_number(&mut buf), (&b""[..], NumberKind::None));
    }
}
