//! Challenges: what asks for credentials, and so for our nonce to be brought back.

use std::io::{Cursor, Write as _};

use super::cookie::Slot;
use super::{Honeypot, Request, filled};
use crate::sip::{NoReply, Reply};

/// Longest challenge: realm (an address at most), nonce and the rest of the persona's.
const CHALLENGE_BYTES_MAX: usize = 256;

impl Honeypot {
    /// Asks for credentials (RFC 3261, section 22; RFC 7616).
    pub(super) fn challenge(
        &self,
        request: &Request<'_>,
        proxy: bool,
        tries: u8,
        out: &mut Vec<u8>,
    ) -> Result<(), NoReply> {
        let persona = self.conduct.persona;
        let slot = Slot::of(request.now);
        let nonce = self.key.nonce(request.path.parties(), request.seen.way, slot, tries);
        let nonce = persona.nonce_style(request.lean).write(&nonce, slot);
        let mut text = Cursor::new([0; CHALLENGE_BYTES_MAX]);
        // It has room for the longest of each part.
        let _ = match persona.realm {
            Some(realm) => write!(text, "Digest realm=\"{realm}\""),
            None => write!(text, "Digest realm=\"{}\"", request.path.destination.ip()),
        };
        // RFC 2069, which came before the rest, asks for nothing more.
        let end = if request.lean { &[][..] } else { persona.challenge_end.as_bytes() };
        let parts = [persona.separator.as_bytes(), b"nonce=\"", nonce.as_bytes(), b"\"", end];
        let _ = parts.iter().try_for_each(|part| text.write_all(part));
        let (status, reason, name) = if proxy {
            (407, "Proxy Authentication Required", "Proxy-Authenticate")
        } else {
            (401, "Unauthorized", "WWW-Authenticate")
        };
        let required = [(name, filled(&text))];
        Reply { required: &required, ..request.reply(status, reason, &self.face()) }.write(
            request.message,
            request.limit,
            out,
        )
    }
}
