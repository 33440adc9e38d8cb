//! The decision: what a message is answered with. Bytes and addresses in, bytes out; no sockets, no
//! clock, nothing remembered.
//!
//! A request gets one final answer that a real SIP stack accepts. An ACK, a response and anything
//! that cannot be read get none.

pub mod persona;
pub mod sdp;
pub mod tag;

use std::io::{Cursor, Write as _};
use std::net::{IpAddr, SocketAddr};

use sentrypeer_storage::event::Transport;

use self::persona::Persona;
use self::tag::{TAG_BYTES, TagKey};
use crate::sip::{Kind, Message, Name, NoReply, Reply};

/// Where a message came from, as far as an answer depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Who sent it, and gets the answer.
    pub source: SocketAddr,
    /// Which of our addresses it was sent to.
    pub destination: SocketAddr,
    /// How it travelled.
    pub transport: Transport,
}

/// Why nothing was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// None is due: an ACK, a response, something unreadable.
    Due,
    /// The request lacks a header that the answer must copy.
    Incomplete,
    /// The answer would be longer than it may be.
    TooLong,
}

impl From<NoReply> for Silence {
    fn from(reason: NoReply) -> Self {
        match reason {
            NoReply::TooLong => Self::TooLong,
            NoReply::NotDue => Self::Due,
            NoReply::Missing(_) | NoReply::TooManyHeaders => Self::Incomplete,
        }
    }
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
    peer: &'a Peer,
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
            received: self.peer.source.ip(),
            rport: self.peer.source.port(),
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
        peer: &Peer,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Silence> {
        if message.kind() != Kind::Request || message.method() == b"ACK" {
            return Err(Silence::Due);
        }
        let tag = self.tags.tag(
            peer.source.ip(),
            message.call_id().unwrap_or_default(),
            message.from_tag().unwrap_or_default(),
        );
        let request = Request { message, peer, tag, limit };
        match outcome(message) {
            Outcome::Plain(status, reason) => self.plain(&request, status, reason, out),
            Outcome::Media => self.media(&request, out),
        }
    }

    fn plain(
        &self,
        request: &Request<'_>,
        status: u16,
        reason: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Silence> {
        let [server, allow, supported] = self.face();
        let with_contact;
        let optional: &[(&str, &[u8])] = match request.message.header(Name::Contact) {
            // A successful REGISTER lists the bindings (RFC 3261, section 10.3, step 8).
            Some(contact) if request.message.method() == b"REGISTER" => {
                with_contact = [("Contact", contact), server, allow, supported];
                &with_contact
            }
            _ => &[server, allow, supported],
        };
        Ok(request.reply(status, reason, optional).write(request.message, request.limit, out)?)
    }

    /// Accepts a call; one whose answer does not fit is busy, one without a common codec is told so.
    fn media(&self, request: &Request<'_>, out: &mut Vec<u8>) -> Result<(), Silence> {
        let message = request.message;
        let mut description = Cursor::new([0; sdp::DESCRIPTION_BYTES_MAX]);
        let offer = if has_sdp(message) { message.body() } else { &[] };
        let ip = request.peer.destination.ip();
        if sdp::describe(offer, ip, MEDIA_PORT, &mut description).is_err() {
            return self.plain(request, 488, "Not Acceptable Here", out);
        }
        let contact = contact(request.peer);
        let written = Reply {
            required: &[("Contact", filled(&contact))],
            body: Some(("application/sdp", filled(&description))),
            ..request.reply(200, "OK", &self.face())
        }
        .write(message, request.limit, out);
        match written {
            Err(NoReply::TooLong) => self.plain(request, 486, "Busy Here", out),
            other => other.map_err(Silence::from),
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
        b"OPTIONS" | b"REGISTER" | b"BYE" | b"CANCEL" | b"INFO" | b"MESSAGE" | b"NOTIFY"
        | b"PRACK" | b"UPDATE" => Outcome::Plain(200, "OK"),
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
fn contact(peer: &Peer) -> Cursor<[u8; CONTACT_BYTES_MAX]> {
    let mut contact = Cursor::new([0; CONTACT_BYTES_MAX]);
    let port = peer.destination.port();
    let _ = match peer.destination.ip() {
        IpAddr::V4(ip) => write!(contact, "<sip:{ip}:{port}"),
        IpAddr::V6(ip) => write!(contact, "<sip:[{ip}]:{port}"),
    };
    let _ = contact.write_all(match peer.transport {
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

    fn ask(text: &str, transport: Transport, limit: usize) -> Result<String, Silence> {
        let honeypot = Honeypot::new(persona::EXCHANGE, TagKey::from_secret(&[1; 32]));
        let peer = Peer {
            source: "198.51.100.7:61000".parse().unwrap(),
            destination: "192.0.2.9:5060".parse().unwrap(),
            transport,
        };
        let mut out = b"before".to_vec();
        let answered = honeypot.answer(&sip::parse(text.as_bytes()), &peer, limit, &mut out);
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
        assert_eq!(ask(&request("ACK", "", ""), Transport::Udp, ROOM), Err(Silence::Due));
        let answer = ask(&request("OPTIONS", "", ""), Transport::Udp, ROOM).unwrap();
        for text in [&answer, "", "\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}"] {
            assert_eq!(ask(text, Transport::Udp, ROOM), Err(Silence::Due), "{text:?}");
        }
        let headless = "OPTIONS sip:x@y SIP/2.0\r\nCall-ID: 1\r\n\r\n";
        assert_eq!(ask(headless, Transport::Udp, ROOM), Err(Silence::Incomplete));
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
        assert_eq!(ask(&call, Transport::Udp, limit), Err(Silence::TooLong));
    }

    #[test]
    fn a_registration_is_told_its_binding() {
        let answer = ask(&request("REGISTER", "", ""), Transport::Udp, ROOM).unwrap();
        assert!(answer.contains("Contact: <sip:100@198.51.100.7:5060>\r\n"), "{answer}");
    }
}
