//! The decision: what a message is answered with. Bytes and addresses in, bytes out; no sockets, no
//! clock, nothing remembered.
//!
//! A request gets one final answer that a real SIP stack accepts. An ACK, a response and anything
//! that cannot be read get none.

pub mod binding;
pub mod persona;
pub mod sdp;
pub mod tag;

use std::io::{Cursor, Write as _};
use std::net::{IpAddr, SocketAddr};

use sentrypeer_storage::event::Transport;

use self::persona::Persona;
use self::tag::{TAG_BYTES, TagKey};
use crate::limits::RECORD_ROUTES_MAX;
use crate::sip::{Kind, Message, Name, NoReply, Reply};

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

/// What decides about answers; one for the whole node.
#[derive(Debug)]
pub struct Honeypot {
    persona: Persona,
    tags: TagKey,
}

/// The port that our session descriptions name. Nothing listens there: a caller that sends its
/// media gets silence.
const MEDIA_PORT: u16 = 10_000;

/// Longest Contact that [`contact`] writes: an IPv6 address has 39 characters, a port 5, and the
/// rest 22.
const CONTACT_BYTES_MAX: usize = 80;

/// A request that is being answered.
struct Request<'a> {
    message: &'a Message<'a>,
    path: &'a Path,
    tag: [u8; TAG_BYTES],
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
            to_tag: Some(&self.tag),
            received: self.path.source.ip(),
            rport: self.path.source.port(),
            required: &[],
            optional,
            body: None,
        }
    }
}

/// What kind of answer a request gets.
enum Outcome {
    /// A status and nothing that would have to be negotiated.
    Plain(u16, &'static str),
    /// 200 with the caller's bindings.
    Registration,
    /// 200 with a session description.
    Media,
}

impl Honeypot {
    /// A honeypot with this face and these keys.
    #[must_use]
    pub fn new(persona: Persona, tags: TagKey) -> Self {
        Self { persona, tags }
    }

    /// Appends the answer to `message`, at most `limit` bytes of it, to `out`.
    ///
    /// # Errors
    ///
    /// Why there is none; `out` is then as it was.
    pub fn answer(
        &self,
        message: &Message<'_>,
        path: &Path,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), NoReply> {
        if message.kind() != Kind::Request || message.method() == b"ACK" {
            return Err(NoReply::NotDue);
        }
        let tag = self.tags.tag(
            path.source.ip(),
            message.call_id().unwrap_or_default(),
            message.from_tag().unwrap_or_default(),
        );
        let request = Request { message, path, tag, limit };
        match outcome(message) {
            Outcome::Plain(status, reason) => self.plain(&request, status, reason, out),
            Outcome::Registration => self.registration(&request, out),
            Outcome::Media => self.media(&request, out),
        }
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
        let offer = if has_sdp(message) { message.body() } else { &[] };
        let ip = request.path.destination.ip();
        if sdp::describe(offer, ip, MEDIA_PORT, &mut description).is_err() {
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
            Err(NoReply::TooLong) => self.plain(request, 486, "Busy Here", out),
            other => other,
        }
    }

    /// The headers that make the persona, least needed last: they go first when room is short.
    fn face(&self) -> [(&'static str, &'static [u8]); 3] {
        let Persona { server, allow, supported } = self.persona;
        [
            ("Server", server.as_bytes()),
            ("Allow", allow.as_bytes()),
            ("Supported", supported.as_bytes()),
        ]
    }
}

/// Method by method (RFC 3261, 3262, 3311, 3428, 3515, 6086, 6665).
fn outcome(message: &Message<'_>) -> Outcome {
    match message.method() {
        b"INVITE" => Outcome::Media,
        b"UPDATE" if has_sdp(message) => Outcome::Media,
        b"REGISTER" => Outcome::Registration,
        b"OPTIONS" | b"BYE" | b"CANCEL" | b"INFO" | b"MESSAGE" | b"NOTIFY" | b"PRACK"
        | b"UPDATE" => Outcome::Plain(200, "OK"),
        b"SUBSCRIBE" | b"PUBLISH" => Outcome::Plain(489, "Bad Event"),
        b"REFER" => Outcome::Plain(603, "Decline"),
        _ => Outcome::Plain(501, "Not Implemented"),
    }
}

/// Whether the body describes a session.
fn has_sdp(message: &Message<'_>) -> bool {
    let kind = message.header(Name::ContentType).unwrap_or_default();
    !message.body().is_empty()
        && kind.get(..15).is_some_and(|start| start.eq_ignore_ascii_case(b"application/sdp"))
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
mod tests {
    use super::*;
    use crate::sip;

    const ROOM: usize = 8_192;

    fn request(method: &str, extra: &str, body: &str) -> String {
        format!(
            "{method} sip:0046500729221@192.0.2.9 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa;rport\r\n\
             Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKb\r\n\
             From: <sip:100@192.0.2.9>;tag=abc\r\n\
             To: <sip:0046500729221@192.0.2.9>\r\n\
             Call-ID: c1\r\nCSeq: 7 {method}\r\n\
             Contact: <sip:100@198.51.100.7:5060>\r\n{extra}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn ask(text: &str, transport: Transport, limit: usize) -> Result<String, NoReply> {
        let honeypot = Honeypot::new(persona::EXCHANGE, TagKey::from_secret(&[1; 32]));
        let path = Path {
            source: "198.51.100.7:61000".parse().unwrap(),
            destination: "192.0.2.9:5060".parse().unwrap(),
            transport,
        };
        let mut out = b"before".to_vec();
        let answered = honeypot.answer(&sip::parse(text.as_bytes()), &path, limit, &mut out);
        let text = String::from_utf8(out.split_off(6)).unwrap();
        assert_eq!(out, b"before");
        assert!(text.len() <= limit);
        answered.map(|()| text)
    }

    fn status(text: &str) -> u16 {
        let answer = ask(text, Transport::Udp, ROOM).unwrap();
        sip::parse(answer.as_bytes()).status().unwrap()
    }

    #[test]
    fn an_answer_copies_what_a_stack_matches_by() {
        let answer = ask(&request("OPTIONS", "", ""), Transport::Udp, ROOM).unwrap();
        assert!(answer.starts_with("SIP/2.0 200 OK\r\n"), "{answer}");
        assert!(answer.contains("198.51.100.7:5060;branch=z9hG4bKa;"), "{answer}");
        assert!(answer.contains("rport=61000"), "{answer}");
        let read = sip::parse(answer.as_bytes());
        assert_eq!(read.via_count(), 2);
        assert_eq!(read.call_id(), Some(&b"c1"[..]));
        assert_eq!(read.cseq().method, b"OPTIONS");
        assert_eq!(read.from_tag(), Some(&b"abc"[..]));
        assert_eq!(read.to_tag().map(<[u8]>::len), Some(TAG_BYTES));
        assert_eq!(read.anomalies().invalid, 0);
    }

    #[test]
    fn a_retransmission_gets_the_same_bytes() {
        let invite = request("INVITE", "", "");
        assert_eq!(ask(&invite, Transport::Udp, ROOM), ask(&invite, Transport::Udp, ROOM));
    }

    #[test]
    fn each_method_has_its_answer() {
        for method in ["OPTIONS", "REGISTER", "INVITE", "BYE", "CANCEL", "INFO", "MESSAGE", "PRACK"]
        {
            assert_eq!(status(&request(method, "", "")), 200, "{method}");
        }
        assert_eq!(status(&request("SUBSCRIBE", "", "")), 489);
        assert_eq!(status(&request("REFER", "", "")), 603);
        assert_eq!(status(&request("BREW", "", "")), 501);
        // Methods are case-sensitive (RFC 3261, section 7.1).
        assert_eq!(status(&request("invite", "", "")), 501);
    }

    #[test]
    fn nothing_is_said_to_an_ack_a_response_or_noise() {
        assert_eq!(ask(&request("ACK", "", ""), Transport::Udp, ROOM), Err(NoReply::NotDue));
        let answer = ask(&request("OPTIONS", "", ""), Transport::Udp, ROOM).unwrap();
        for text in [&answer, "", "\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}"] {
            assert_eq!(ask(text, Transport::Udp, ROOM), Err(NoReply::NotDue), "{text:?}");
        }
        let headless = "OPTIONS sip:x@y SIP/2.0\r\nCall-ID: 1\r\n\r\n";
        assert_eq!(ask(headless, Transport::Udp, ROOM), Err(NoReply::Missing(Name::Via)));
    }

    #[test]
    fn a_call_is_accepted_with_a_session_and_a_way_back() {
        let sdp = "v=0\r\nm=audio 4000 RTP/AVP 8 101\r\n";
        let call = request("INVITE", "Content-Type: application/sdp\r\n", sdp);
        let answer = ask(&call, Transport::Tcp, ROOM).unwrap();
        assert!(answer.contains("Contact: <sip:192.0.2.9:5060;transport=tcp>\r\n"), "{answer}");
        assert!(answer.ends_with("m=audio 10000 RTP/AVP 8\r\n"), "{answer}");
        let read = sip::parse(answer.as_bytes());
        assert_eq!(read.content_length(), Some(u32::try_from(read.body().len()).unwrap()));
        let video =
            request("INVITE", "Content-Type: application/sdp\r\n", "m=video 1 RTP/AVP 96\r\n");
        assert_eq!(status(&video), 488);
    }

    #[test]
    fn an_answer_gives_up_what_it_can_spare_before_it_is_not_sent() {
        let call = request("INVITE", "", "");
        let whole = ask(&call, Transport::Udp, ROOM).unwrap();
        let (mut limit, mut seen) = (whole.len(), Vec::new());
        while let Ok(answer) = ask(&call, Transport::Udp, limit) {
            let read = sip::parse(answer.as_bytes());
            seen.push((read.status().unwrap(), answer.contains("Server: ")));
            limit -= 1;
        }
        // The persona goes before the call is declined, and the call before nothing is said.
        let calls = seen.iter().filter(|(status, _)| *status == 200).count();
        assert_eq!((seen[0], seen[calls - 1]), ((200, true), (200, false)));
        assert!(calls < seen.len() && seen[calls..].iter().all(|(status, _)| *status == 486));
        assert_eq!(ask(&call, Transport::Udp, limit), Err(NoReply::TooLong));
    }

    #[test]
    fn a_registration_is_told_its_binding() {
        let answer = ask(&request("REGISTER", "", ""), Transport::Udp, ROOM).unwrap();
        assert!(
            answer.contains("Contact: <sip:100@198.51.100.7:5060>;expires=3600\r\n"),
            "{answer}"
        );
    }

    #[test]
    fn a_dialog_goes_the_way_that_its_call_came() {
        let routes = "Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\nRecord-Route: <sip:p3;lr>\r\n";
        let answer = ask(&request("INVITE", routes, ""), Transport::Udp, ROOM).unwrap();
        assert!(answer.contains(routes), "{answer}");
        let many = "Record-Route: <sip:p;lr>\r\n".repeat(RECORD_ROUTES_MAX + 1);
        assert_eq!(status(&request("INVITE", &many, "")), 486);
    }
}
