//! The decision: what a message is answered with. Bytes, addresses and the time in, bytes out; no
//! sockets, no clock, nothing remembered.
//!
//! A request gets one final answer that a real SIP stack accepts. An ACK, a response and anything
//! that cannot be read get none. What must be known of an earlier answer comes back in cookies
//! ([`cookie`], [`proof`]).

pub mod binding;
pub mod calls;
mod challenge;
mod conduct;
pub mod cookie;
pub mod persona;
pub mod proof;
mod ringing;
pub mod sdp;
pub mod style;

use std::io::{Cursor, Write as _};
use std::net::{IpAddr, SocketAddr};

use sentrypeer_storage::event::{Time, Transport, Verification};

use self::conduct::reason_of;
pub use self::conduct::{Calls, Conduct};
use self::cookie::{CookieKey, Parties, Slot};
use self::persona::Persona;
use self::proof::{Dialog, Seen};
use self::style::Text;
use crate::limits::RECORD_ROUTES_MAX;
use crate::sip::{Anomaly, Kind, Message, Name, NoReply, Reply};

/// The way of a message: from where, to which of our addresses, and how.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// Who sent it, and gets the answer.
    pub source: SocketAddr,
    /// Which of our addresses it was sent to.
    pub destination: SocketAddr,
    /// How it travelled.
    pub transport: Transport,
}

impl Path {
    /// What of it a cookie covers.
    #[must_use]
    pub fn parties(&self) -> Parties {
        Parties { source: self.source.ip(), ours: self.destination.ip() }
    }
}

/// What decides about answers; one for the whole node.
#[derive(Debug)]
pub struct Honeypot {
    conduct: Conduct,
    key: CookieKey,
}

/// The port that our session descriptions name. Nothing listens there: a caller that sends its
/// media gets silence.
const MEDIA_PORT: u16 = 10_000;

/// Longest Contact that [`contact`] writes: an IPv6 address has 39 characters, a port 5, and the
/// rest 22.
const CONTACT_BYTES_MAX: usize = 80;

/// Longest option tag of a Require header that is told back.
const OPTION_TAG_BYTES_MAX: usize = 64;

/// A message that asks for an answer, with all that the decision needs to know of it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The message.
    pub message: &'a Message<'a>,
    /// How it came.
    pub path: &'a Path,
    /// What a look at it told.
    pub seen: &'a Seen,
    /// When it came.
    pub now: Time,
}

/// A request that is being answered.
struct Request<'a> {
    message: &'a Message<'a>,
    path: &'a Path,
    seen: &'a Seen,
    now: Time,
    tag: Text,
    /// Whether there is so little room that cookies are written short and calls are declined.
    lean: bool,
    limit: usize,
}

impl Request<'_> {
    fn reply<'r>(
        &'r self,
        status: u16,
        reason: &'r str,
        optional: &'r [(&'r str, &'r [u8])],
    ) -> Reply<'r> {
        Reply {
            status,
            reason,
            to_tag: Some(self.tag.as_bytes()),
            received: self.path.source.ip(),
            rport: self.path.source.port(),
            required: &[],
            optional,
            body: None,
        }
    }
}

/// What kind of answer a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome<'a> {
    /// A status and nothing that would have to be negotiated.
    Plain(u16, &'static str),
    /// 420: an extension is required that the persona does not have.
    BadExtension(&'a [u8]),
    /// 401 or 407 with a nonce of ours, which this many answers came before.
    Challenge { proxy: bool, tries: u8 },
    /// 200 with the caller's bindings.
    Registration,
    /// 200 with a session description.
    Media,
}

/// For a PRACK: no provisional answer of ours waits for one.
const NO_PROVISIONAL: Outcome<'static> = Outcome::Plain(481, "Call/Transaction Does Not Exist");

impl Honeypot {
    /// A honeypot that behaves so and has this key.
    #[must_use]
    pub fn new(conduct: Conduct, key: CookieKey) -> Self {
        Self { conduct, key }
    }

    /// What there is to see of a message. `level` is what the way that it came proves by itself.
    #[must_use]
    pub fn look(&self, message: &Message<'_>, path: &Path, level: Verification, now: Time) -> Seen {
        proof::look(message, path, level, now, (&self.key, self.conduct.persona))
    }

    /// Appends the answer to a message, at most `limit` bytes of it, to `out`.
    ///
    /// # Errors
    ///
    /// Why there is none; `out` is then as it was.
    pub fn answer(&self, asked: Asked<'_>, limit: usize, out: &mut Vec<u8>) -> Result<(), NoReply> {
        let Asked { message, seen, .. } = asked;
        if message.kind() != Kind::Request || message.method() == b"ACK" {
            return Err(NoReply::NotDue);
        }
        let outcome = self.outcome(message, seen);
        let mut written = Err(NoReply::TooLong);
        for lean in [false, true] {
            let request = self.request(asked, lean, limit);
            written = self.write(outcome, &request, out);
            if written != Err(NoReply::TooLong) {
                break;
            }
        }
        written
    }

    /// A request with the tag that its answer has.
    fn request<'a>(&self, asked: Asked<'a>, lean: bool, limit: usize) -> Request<'a> {
        let Asked { message, path, seen, now } = asked;
        let slot = Slot::of(now);
        let call_id = message.call_id().unwrap_or_default();
        let from_tag = message.from_tag().unwrap_or_default();
        let cookie = self.key.tag(path.parties(), seen.way, slot, call_id, from_tag);
        let tag = self.conduct.persona.tag_style(lean).write(&cookie, slot);
        Request { message, path, seen, now, tag, lean, limit }
    }

    fn write(
        &self,
        outcome: Outcome<'_>,
        request: &Request<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), NoReply> {
        match outcome {
            Outcome::Plain(status, reason) => self.plain(request, status, reason, out),
            Outcome::BadExtension(name) => {
                let name = &name[..name.len().min(OPTION_TAG_BYTES_MAX)];
                let required = [("Unsupported", name)];
                Reply { required: &required, ..request.reply(420, "Bad Extension", &self.face()) }
                    .write(request.message, request.limit, out)
            }
            Outcome::Challenge { proxy, tries } => self.challenge(request, proxy, tries, out),
            Outcome::Registration => self.registration(request, out),
            Outcome::Media => self.media(request, out),
        }
    }

    /// Method by method (RFC 3261, 3262, 3311, 3428, 3515, 6086, 6665).
    fn outcome<'a>(&self, message: &Message<'a>, seen: &Seen) -> Outcome<'a> {
        let method = message.method();
        if seen.anomalies.invalid & Anomaly::Version.bit() != 0 {
            return Outcome::Plain(505, "Version Not Supported");
        }
        if method == b"CANCEL" {
            return Outcome::Plain(200, "OK");
        }
        if seen.anomalies.has(Anomaly::UriScheme) {
            return Outcome::Plain(416, "Unsupported URI Scheme");
        }
        if !is_known(method) {
            // The method is looked at first (RFC 3261, section 8.2).
            return Outcome::Plain(501, "Not Implemented");
        }
        if let Some(name) = self.missing_extension(message) {
            return Outcome::BadExtension(name);
        }
        let within = matches!(method, b"BYE" | b"INFO" | b"PRACK" | b"UPDATE");
        if seen.dialog == Dialog::Foreign || (within && seen.dialog == Dialog::New) {
            return Outcome::Plain(481, "Call/Transaction Does Not Exist");
        }
        if matches!(method, b"INVITE" | b"UPDATE") && has_foreign_body(message) {
            return Outcome::Plain(415, "Unsupported Media Type");
        }
        match method {
            b"INVITE" => self.call(seen),
            b"UPDATE" if message.session().is_some() => Outcome::Media,
            b"REGISTER" => self.register(seen),
            b"OPTIONS" | b"BYE" | b"INFO" | b"MESSAGE" | b"NOTIFY" | b"UPDATE" => {
                Outcome::Plain(200, "OK")
            }
            b"PRACK" => NO_PROVISIONAL,
            b"SUBSCRIBE" | b"PUBLISH" => Outcome::Plain(489, "Bad Event"),
            _ => Outcome::Plain(603, "Decline"),
        }
    }

    fn call<'a>(&self, seen: &Seen) -> Outcome<'a> {
        match self.conduct.calls {
            _ if seen.dialog == Dialog::Ours => Outcome::Media,
            Calls::Answer => Outcome::Media,
            Calls::Challenge if seen.tries.is_some() => Outcome::Media,
            Calls::Challenge => {
                Outcome::Challenge { proxy: self.conduct.persona.challenges_as_proxy, tries: 0 }
            }
            Calls::Reject(status) => Outcome::Plain(status, reason_of(status)),
        }
    }

    fn register<'a>(&self, seen: &Seen) -> Outcome<'a> {
        let tries = seen.tries.unwrap_or(0);
        if tries >= self.conduct.register_tries {
            Outcome::Registration
        } else {
            Outcome::Challenge { proxy: false, tries }
        }
    }

    /// The first extension that the request requires and the persona does not have (RFC 3261,
    /// section 8.2.2.3).
    fn missing_extension<'a>(&self, message: &Message<'a>) -> Option<&'a [u8]> {
        let supported = self.conduct.persona.supported;
        let has = |name: &[u8]| {
            supported.split(", ").any(|tag| tag.as_bytes().eq_ignore_ascii_case(name))
        };
        let required = message.values(Name::Require).flat_map(|value| value.split(|b| *b == b','));
        required.map(<[u8]>::trim_ascii).find(|name| !name.is_empty() && !has(name))
    }

    fn plain(
        &self,
        request: &Request<'_>,
        status: u16,
        reason: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), NoReply> {
        request.reply(status, reason, &self.face()).write(request.message, request.limit, out)
    }

    fn registration(&self, request: &Request<'_>, out: &mut Vec<u8>) -> Result<(), NoReply> {
        let bindings = binding::bindings(request.message);
        let [server, allow, supported] = self.face();
        // Over UDP there may be no room for the bindings: a registration without them succeeds too.
        let with_contact = [("Contact", filled(&bindings)), server, allow, supported];
        let optional =
            if filled(&bindings).is_empty() { &with_contact[1..] } else { &with_contact };
        request.reply(200, "OK", optional).write(request.message, request.limit, out)
    }

    /// Accepts a call; one whose answer does not fit is busy, one without a common codec is told so.
    fn media(&self, request: &Request<'_>, out: &mut Vec<u8>) -> Result<(), NoReply> {
        let message = request.message;
        let mut description = Cursor::new([0; sdp::DESCRIPTION_BYTES_MAX]);
        let offer = if message.session().is_some() { message.body() } else { &[] };
        let ip = request.path.destination.ip();
        let Persona { session_origin, session_name, .. } = self.conduct.persona;
        let face = sdp::Face { origin: session_origin, name: session_name, ip, port: MEDIA_PORT };
        if sdp::describe(offer, face, &mut description).is_err() {
            return self.plain(request, 488, "Not Acceptable Here", out);
        }
        let contact = contact(request.path);
        // The way that the call came is the way that its dialog goes (RFC 3261, section 12.1.1).
        let mut required = [("Record-Route", &[][..]); 1 + RECORD_ROUTES_MAX];
        required[0] = ("Contact", filled(&contact));
        let mut used = 1;
        for route in message.values(Name::RecordRoute) {
            if used == required.len() {
                return self.plain(request, 486, "Busy Here", out);
            }
            required[used].1 = route;
            used += 1;
        }
        let written = Reply {
            required: &required[..used],
            body: Some(("application/sdp", filled(&description))),
            ..request.reply(200, "OK", &self.face())
        }
        .write(message, request.limit, out);
        match written {
            Err(NoReply::TooLong) if request.lean => self.plain(request, 486, "Busy Here", out),
            other => other,
        }
    }

    /// The headers that make the persona, least needed last: they go first when room is short.
    fn face(&self) -> [(&'static str, &'static [u8]); 3] {
        let Persona { agent_header, agent, allow, supported, .. } = *self.conduct.persona;
        [
            (agent_header, agent.as_bytes()),
            ("Allow", allow.as_bytes()),
            ("Supported", supported.as_bytes()),
        ]
    }
}

/// Whether the body is neither a session description nor something that may hold one.
fn has_foreign_body(message: &Message<'_>) -> bool {
    let kind = message.header(Name::ContentType).unwrap_or_default();
    let is_multipart = kind.get(..9).is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart"));
    !message.body().is_empty() && message.session().is_none() && !is_multipart
}

/// Whether there is an answer to requests of this method; ACK has none, and is not asked about.
fn is_known(method: &[u8]) -> bool {
    const METHODS: [&[u8]; 13] = [
        b"INVITE",
        b"CANCEL",
        b"BYE",
        b"OPTIONS",
        b"REGISTER",
        b"INFO",
        b"PRACK",
        b"UPDATE",
        b"MESSAGE",
        b"NOTIFY",
        b"SUBSCRIBE",
        b"PUBLISH",
        b"REFER",
    ];
    METHODS.contains(&method)
}

/// Where requests of the dialog are to go: the address that this one came to.
fn contact(path: &Path) -> Cursor<[u8; CONTACT_BYTES_MAX]> {
    let mut contact = Cursor::new([0; CONTACT_BYTES_MAX]);
    let port = path.destination.port();
    let _ = match path.destination.ip() {
        IpAddr::V4(ip) => write!(contact, "<sip:{ip}:{port}"),
        IpAddr::V6(ip) => write!(contact, "<sip:[{ip}]:{port}"),
    };
    let _ = contact.write_all(match path.transport {
        Transport::Udp => b">",
        Transport::Tcp => b";transport=tcp>",
        Transport::Tls => b";transport=tls>",
    });
    contact
}

/// What was written so far.
fn filled<const N: usize>(buffer: &Cursor<[u8; N]>) -> &[u8] {
    let end = usize::try_from(buffer.position()).unwrap_or(N).min(N);
    &buffer.get_ref()[..end]
}

#[cfg(test)]
mod tests;
