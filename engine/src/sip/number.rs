//! The number that a request tried to reach.

use super::bytes::hex_pair;
use super::limits::NUMBER_BYTES_MAX;
use super::message::{Kind, Message};

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumberKind {
    /// There is no number.
    None,
    /// Somebody wanted to reach it: INVITE, MESSAGE, REFER.
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
        let to = self.to();
        let in_dialog = to.is_some_and(|to| to.tag().is_some());
        let to_user = || to.and_then(|to| to.user()).unwrap_or_default();
        if in_dialog || self.method() == b"REGISTER" {
            return to_user();
        }
        match self.request_user() {
            Some(user) if !user.is_empty() => user,
            _ => to_user(),
        }
    }

    /// The called number, its percent-escapes decoded, written into `buf` and cut to its length;
    /// empty if there is none. Bytes, not text: they come from the network.
    pub fn called_number<'b>(&self, buf: &'b mut [u8; NUMBER_BYTES_MAX]) -> &'b [u8] {
        let length = decode(self.number_user(), buf);
        &buf[..length]
    }

    /// What the called number is.
    #[must_use]
    pub fn number_kind(&self) -> NumberKind {
        if self.number_user().is_empty() {
            return NumberKind::None;
        }
        match self.method() {
            b"INVITE" | b"MESSAGE" | b"REFER" => NumberKind::Called,
            _ => NumberKind::Account,
        }
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
