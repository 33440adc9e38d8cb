//! Calls that ring before they are answered: what is decided with the table of [`calls`](super::calls).

use sentrypeer_storage::event::{Time, Transport, Verification};

use super::calls::{Calls, NewCall};
use super::proof::Dialog;
use super::{Asked, Honeypot, NO_PROVISIONAL, Outcome, contact, filled};
use crate::limits::REPLY_BYTES_MAX;
use crate::sip::{Name, NoReply, Reply};

impl Honeypot {
    /// Like [`answer`](Self::answer), with a memory: calls of proven sources over UDP ring first, and
    /// what is about such a call is answered out of `calls`. `clock` is the table's time, which nobody
    /// can set.
    ///
    /// # Errors
    ///
    /// Why there is no answer; `out` is then as it was.
    pub fn respond(
        &self,
        (calls, clock): (&mut Calls, Time),
        asked: Asked<'_>,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), NoReply> {
        let Asked { message, path, .. } = asked;
        let method = message.method();
        let rings = method == b"INVITE" && self.rings(asked);
        if rings || !calls.is_empty() {
            let call_id = message.call_id().unwrap_or_default();
            let from_tag = message.from_tag().unwrap_or_default();
            let key = calls.key(path.source.ip(), call_id, from_tag);
            match method {
                b"INVITE" if rings => {
                    if let Some(bytes) = calls.again(key) {
                        out.extend_from_slice(bytes);
                        return Ok(());
                    }
                    if let Some(call) = self.new_call(asked) {
                        let start = out.len();
                        out.extend_from_slice(&call.ringing);
                        if calls.ring(key, call, clock) {
                            return Ok(());
                        }
                        out.truncate(start);
                    }
                }
                b"CANCEL" => calls.cancel(key, clock),
                b"ACK" | b"BYE" => calls.finish(key),
                b"PRACK" if self.is_prack_in_order(asked) && calls.acknowledge_ringing(key) => {
                    let request = self.request(asked, false, limit);
                    return self.plain(&request, 200, "OK", out);
                }
                _ => {}
            }
        }
        self.answer(asked, limit, out)
    }

    /// Whether a PRACK is in order but for the 180 that it must be about.
    fn is_prack_in_order(&self, asked: Asked<'_>) -> bool {
        let is_in_order = self.outcome(asked.message, asked.seen) == NO_PROVISIONAL;
        asked.seen.dialog == Dialog::Ours && is_in_order
    }

    /// Whether a call rings before it is answered: the design lets only those that have proven their
    /// source be sent more than one answer.
    fn rings(&self, asked: Asked<'_>) -> bool {
        let Asked { message, path, seen, .. } = asked;
        self.conduct.rings_ms > 0
            && path.transport == Transport::Udp
            && seen.verification >= Verification::ReturnPath
            && seen.dialog == Dialog::New
            && self.outcome(message, seen) == Outcome::Media
    }

    /// The answers of a call; none if it is not going to be accepted.
    fn new_call(&self, asked: Asked<'_>) -> Option<NewCall> {
        let Asked { message, path, .. } = asked;
        let request = self.request(asked, false, REPLY_BYTES_MAX);
        let mut answer = Vec::new();
        self.media(&request, &mut answer).ok()?;
        if !answer.starts_with(b"SIP/2.0 200 ") {
            return None;
        }
        let knows = |name: Name| {
            let tags = message.values(name).flat_map(|value| value.split(|b| *b == b','));
            tags.map(<[u8]>::trim_ascii).any(|tag| tag.eq_ignore_ascii_case(b"100rel"))
        };
        let reliable = self.conduct.persona.supported.contains("100rel")
            && (knows(Name::Require) || knows(Name::Supported));
        let mut ringing = Vec::new();
        let contact = contact(path);
        let mut required = vec![("Contact", filled(&contact))];
        // The way of the dialog begins with this answer already (RFC 3261, section 12.1.1).
        required.extend(message.values(Name::RecordRoute).map(|route| ("Record-Route", route)));
        if reliable {
            required.extend([("Require", &b"100rel"[..]), ("RSeq", b"1")]);
        }
        Reply { required: &required, ..request.reply(180, "Ringing", &self.face()) }
            .write(message, REPLY_BYTES_MAX, &mut ringing)
            .ok()?;
        let mut terminated = Vec::new();
        self.plain(&request, 487, "Request Terminated", &mut terminated).ok()?;
        let rings_ns = u64::from(self.conduct.rings_ms) * 1_000_000;
        let (to, ours) = (path.source, path.destination);
        Some(NewCall { to, ours, rings_ns, ringing, reliable, answer, terminated })
    }
}
