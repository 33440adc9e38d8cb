//! The decision as a whole: what is asked, what is answered, what it proves.

use proptest::prelude::*;

use super::cookie::Way;
use super::*;
use crate::sip;

const HOUR: u64 = 3_600_000_000_000;
const NOW: Time = Time(1_795_521_600_000_000_000);

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

/// A caller: where it asks from and when, and how the honeypot that it asks behaves.
#[derive(Clone)]
struct Caller {
    path: Path,
    now: Time,
    conduct: Conduct,
    secret: u8,
}

impl Caller {
    fn over(transport: Transport) -> Self {
        let path = Path {
            source: "198.51.100.7:61000".parse().unwrap(),
            destination: "192.0.2.9:5060".parse().unwrap(),
            transport,
        };
        // One that registers at once, unless a test is about that.
        let conduct = Conduct { register_tries: 0, ..Conduct::default() };
        Self { path, now: NOW, conduct, secret: 1 }
    }

    fn honeypot(&self) -> Honeypot {
        Honeypot::new(self.conduct, CookieKey::from_secret(&[self.secret; 32]))
    }

    fn look(&self, text: &str) -> Seen {
        let level = match self.path.transport {
            Transport::Udp => Verification::Unverified,
            Transport::Tcp => Verification::Connected,
            Transport::Tls => Verification::Tls,
        };
        self.honeypot().look(&sip::parse(text.as_bytes()), &self.path, level, self.now)
    }

    fn proves(&self, text: &str) -> Verification {
        self.look(text).verification
    }

    fn ask(&self, text: &str, limit: usize) -> Result<String, NoReply> {
        let seen = self.look(text);
        let mut out = b"before".to_vec();
        let message = sip::parse(text.as_bytes());
        let asked = Asked { message: &message, path: &self.path, seen: &seen, now: self.now };
        let answered = self.honeypot().answer(asked, limit, &mut out);
        let text = String::from_utf8(out.split_off(6)).unwrap();
        assert_eq!(out, b"before");
        assert!(text.len() <= limit);
        answered.map(|()| text)
    }
}

fn ask(text: &str, transport: Transport, limit: usize) -> Result<String, NoReply> {
    Caller::over(transport).ask(text, limit)
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
    assert_eq!(read.to_tag().map(<[u8]>::len), Some("0f8fad5b-d9cb-469f-a165-70867728950e".len()));
    assert_eq!(read.anomalies().invalid, 0);
}

#[test]
fn a_retransmission_gets_the_same_bytes() {
    let invite = request("INVITE", "", "");
    assert_eq!(ask(&invite, Transport::Udp, ROOM), ask(&invite, Transport::Udp, ROOM));
}

#[test]
fn each_method_has_its_answer() {
    for method in ["OPTIONS", "REGISTER", "INVITE", "CANCEL", "MESSAGE", "NOTIFY"] {
        assert_eq!(status(&request(method, "", "")), 200, "{method}");
    }
    // Only a dialog has room for these (RFC 3261, 15; 6086, 4; 3262, 3; 3311, 5).
    for method in ["BYE", "INFO", "PRACK", "UPDATE"] {
        assert_eq!(status(&request(method, "", "")), 481, "{method}");
    }
    assert_eq!(status(&request("SUBSCRIBE", "", "")), 489);
    assert_eq!(status(&request("REFER", "", "")), 603);
    assert_eq!(status(&request("BREW", "", "")), 501);
    // Methods are case-sensitive (RFC 3261, section 7.1).
    assert_eq!(status(&request("invite", "", "")), 501);
}

#[test]
fn what_cannot_be_done_is_said() {
    let options = request("OPTIONS", "", "");
    assert_eq!(status(&options.replace(" SIP/2.0\r\nVia", " SIP/3.0\r\nVia")), 505);
    assert_eq!(status(&options.replacen("sip:", "isbn:", 1)), 416);
    let requires = request("INVITE", "Require: 100rel, warp\r\n", "");
    let answer = ask(&requires, Transport::Udp, ROOM).unwrap();
    assert!(answer.starts_with("SIP/2.0 420 ") && answer.contains("\r\nUnsupported: warp\r\n"));
    assert_eq!(status(&request("INVITE", "Require: 100rel\r\n", "")), 200);
    let body = "<x/>";
    assert_eq!(status(&request("INVITE", "Content-Type: application/xml\r\n", body)), 415);
    assert_eq!(status(&request("INVITE", "Content-Type: multipart/mixed\r\n", body)), 200);
    // A CANCEL is never refused for that (RFC 3261, section 9.1).
    assert_eq!(status(&request("CANCEL", "Require: warp\r\n", "")), 200);
}

/// With one Via only, as a caller sends it that talks to us directly.
fn direct(method: &str, extra: &str) -> String {
    request(method, extra, "").replace("Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKb\r\n", "")
}

/// The request as it is sent inside the dialog that `answer` made.
fn inside(request: &str, answer: &str) -> String {
    let tag = sip::parse(answer.as_bytes()).to_tag().map(<[u8]>::to_vec).unwrap();
    let to = "To: <sip:0046500729221@192.0.2.9>";
    request.replace(to, &format!("{to};tag={}", String::from_utf8(tag).unwrap()))
}

#[test]
fn who_brings_our_tag_back_has_received_it() {
    for persona in persona::PERSONAS {
        let mut caller = Caller::over(Transport::Udp);
        caller.conduct.persona = persona;
        let answer = caller.ask(&direct("INVITE", ""), ROOM).unwrap();
        assert_eq!(caller.proves(&direct("INVITE", "")), Verification::Unverified);
        for method in ["ACK", "BYE", "INVITE", "INFO", "UPDATE"] {
            let request = inside(&direct(method, ""), &answer);
            let seen = caller.look(&request);
            assert_eq!((seen.verification, seen.dialog), (Verification::ReturnPath, Dialog::Ours));
            if method != "ACK" {
                assert!(caller.ask(&request, ROOM).unwrap().starts_with("SIP/2.0 200 "));
            }
        }
    }
}

#[test]
fn a_tag_is_refused_from_elsewhere_too_late_and_with_another_key() {
    let caller = Caller::over(Transport::Udp);
    let bye = inside(&direct("BYE", ""), &caller.ask(&direct("INVITE", ""), ROOM).unwrap());
    let mut others = vec![caller.clone(); 4];
    others[0].path.source = "198.51.100.8:61000".parse().unwrap();
    others[1].path.destination = "192.0.2.10:5060".parse().unwrap();
    others[2].now.0 += 2 * HOUR;
    others[3].secret = 2;
    for other in &others {
        let seen = other.look(&bye);
        assert_eq!((seen.verification, seen.dialog), (Verification::Unverified, Dialog::Foreign));
        assert!(other.ask(&bye, ROOM).unwrap().starts_with("SIP/2.0 481 "));
    }
    for changed in [bye.replace("Call-ID: c1", "Call-ID: c2"), bye.replace("tag=abc", "tag=abd")] {
        assert_eq!(caller.proves(&changed), Verification::Unverified);
    }
    let mut later = caller;
    later.now.0 += HOUR;
    // A translator may give the caller another port.
    later.path.source.set_port(5);
    assert_eq!(later.proves(&bye), Verification::ReturnPath);
}

proptest! {
    #[test]
    fn no_other_tag_source_key_time_or_dialog_proves_anything(
        which in 0..persona::PERSONAS.len(),
        source in any::<[u8; 4]>(),
        later in 2..10_000_u64,
        secret in 2..=255_u8,
        at in any::<prop::sample::Index>(),
        letter in "[0-9a-zA-Z./-]",
        call_id in "[a-z0-9]{1,20}",
    ) {
        let mut caller = Caller::over(Transport::Udp);
        caller.conduct.persona = persona::PERSONAS[which];
        let answer = caller.ask(&direct("INVITE", ""), ROOM).unwrap();
        let bye = inside(&direct("BYE", ""), &answer);
        prop_assert_eq!(caller.proves(&bye), Verification::ReturnPath);

        let mut elsewhere = caller.clone();
        elsewhere.path.source.set_ip(IpAddr::from(source));
        prop_assert_eq!(
            elsewhere.proves(&bye) == Verification::ReturnPath,
            elsewhere.path.source.ip() == caller.path.source.ip()
        );
        let mut late = caller.clone();
        late.now.0 += later * HOUR;
        prop_assert_eq!(late.proves(&bye), Verification::Unverified);
        let mut stranger = caller.clone();
        stranger.secret = secret;
        prop_assert_eq!(stranger.proves(&bye), Verification::Unverified);

        let tag = sip::parse(answer.as_bytes()).to_tag().unwrap().to_vec();
        let mut changed = tag.clone();
        changed[at.index(tag.len())] = letter.as_bytes()[0];
        let [tag, changed] = [tag, changed].map(|tag| String::from_utf8(tag).unwrap());
        let expected = if tag == changed { Verification::ReturnPath } else { Verification::Unverified };
        prop_assert_eq!(caller.proves(&bye.replace(&tag, &changed)), expected);
        let other = bye.replace("Call-ID: c1", &format!("Call-ID: {call_id}"));
        prop_assert_eq!(caller.proves(&other) == Verification::ReturnPath, call_id == "c1");
    }
}

#[test]
fn what_may_have_come_through_a_relay_proves_nothing() {
    let caller = Caller::over(Transport::Udp);
    for relayed in [
        request("INVITE", "", ""),
        direct("INVITE", "v: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKb\r\n"),
        direct("INVITE", "").replace(";rport", ";rport,\r\n SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKb"),
        direct("INVITE", "X: a\rVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKb\r\n"),
        direct("INVITE", "V\u{0}ia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKb\r\n"),
        direct("INVITE", "Via SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKb\r\n"),
        direct("INVITE", "").replace("branch=z9hG4bKa", "branch=a"),
        // What a proxy may take for a second value.
        direct("INVITE", "").replace(";rport", ";x=<, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKb;z=>"),
        direct("INVITE", "")
            .replace(";rport", ";x=\"a\\\", SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKb;y=\""),
        direct("INVITE", "").replace(";rport", ";q=\"a\r\n b\\\", SIP/2.0/UDP 10.0.0.1;m=\""),
        // What a proxy may take for the answer to a request that it has sent.
        direct("INVITE", "").replace("z9hG4bKa", "z9hG4bK1a2b.0123456789abcdef0123456789abcdef.0"),
    ] {
        let seen = caller.look(&relayed);
        assert_eq!(seen.way, Way::Relayed, "{relayed}");
        let answer = caller.ask(&relayed, ROOM).unwrap();
        // It goes on as a dialog, and is no proof, however directly it comes then.
        let bye = caller.look(&inside(&direct("BYE", ""), &answer));
        assert_eq!((bye.verification, bye.dialog), (Verification::Unverified, Dialog::Ours));
    }
}

#[test]
fn a_connection_that_carries_another_ones_request_is_relayed() {
    for (transport, level) in
        [(Transport::Tcp, Verification::Connected), (Transport::Tls, Verification::Tls)]
    {
        let caller = Caller::over(transport);
        assert_eq!(caller.proves(&direct("OPTIONS", "")), level);
        assert_eq!(caller.proves(&request("OPTIONS", "", "")), Verification::Relayed);
    }
}

#[test]
fn what_is_earned_on_a_connection_that_relayed_proves_nothing_anywhere() {
    let over_tcp = Caller::over(Transport::Tcp);
    let honeypot = over_tcp.honeypot();
    let invite = direct("INVITE", "");
    let message = sip::parse(invite.as_bytes());
    let mut udp = over_tcp.clone();
    udp.path.transport = Transport::Udp;
    for (level, expected) in [
        (Verification::Connected, Verification::ReturnPath),
        (Verification::Relayed, Verification::Unverified),
    ] {
        let seen = honeypot.look(&message, &over_tcp.path, level, NOW);
        assert_eq!(seen.verification, level);
        let mut answer = Vec::new();
        let asked = Asked { message: &message, path: &over_tcp.path, seen: &seen, now: NOW };
        honeypot.answer(asked, ROOM, &mut answer).unwrap();
        // Whoever got the tag brings it back on the connection, and in a forged datagram.
        let bye = inside(&direct("BYE", ""), &String::from_utf8(answer).unwrap());
        let again = honeypot.look(&sip::parse(bye.as_bytes()), &over_tcp.path, level, NOW);
        assert_eq!((again.verification, again.dialog), (level, Dialog::Ours));
        assert_eq!(udp.proves(&bye), expected);
    }
}

/// An answer to the challenge in `answer`.
fn credentials(answer: &str, header: &str) -> String {
    let challenge = answer.lines().find(|line| line.contains("Digest ")).unwrap();
    let (_, nonce) = challenge.split_once("nonce=\"").unwrap();
    let nonce = nonce.split('"').next().unwrap();
    format!("{header}: Digest username=\"100\",realm=\"x\",nonce=\"{nonce}\",response=\"0\"\r\n")
}

#[test]
fn a_registration_succeeds_at_the_try_that_was_chosen() {
    for persona in persona::PERSONAS {
        for wanted in 0..4 {
            let mut caller = Caller::over(Transport::Udp);
            caller.conduct = Conduct { persona, register_tries: wanted, ..caller.conduct };
            let mut extra = String::new();
            for attempt in 0..=wanted {
                let register = direct("REGISTER", &extra);
                let proof = caller.proves(&register);
                assert_eq!(proof == Verification::ReturnPath, attempt > 0);
                let answer = caller.ask(&register, ROOM).unwrap();
                assert_eq!(answer.starts_with("SIP/2.0 200 "), attempt == wanted, "{answer}");
                if attempt < wanted {
                    assert!(answer.contains("\r\nWWW-Authenticate: Digest realm=\""), "{answer}");
                    extra = credentials(&answer, "Authorization");
                }
            }
        }
    }
}

/// As small as scanners send it: a challenge has to fit into as many bytes.
fn small(method: &str, extra: &str) -> String {
    format!(
        "{method} sip:192.0.2.9 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 198.51.100.7:5061;branch=z9hG4bK-2740951846;rport\r\n\
         Content-Length: 0\r\n\
         From: \"1001\" <sip:1001@192.0.2.9>; tag=31303031\r\n\
         Accept: application/sdp\r\nUser-Agent: friendly-scanner\r\n\
         To: \"1001\" <sip:1001@192.0.2.9>\r\nContact: sip:1001@192.0.2.9\r\n\
         CSeq: 1 {method}\r\nCall-ID: 2948182105\r\nMax-Forwards: 70\r\n{extra}\r\n"
    )
}

#[test]
fn a_small_request_is_challenged_with_a_short_nonce_that_proves_as_much() {
    for persona in persona::PERSONAS {
        let mut caller = Caller::over(Transport::Udp);
        caller.conduct = Conduct { persona, register_tries: 1, ..caller.conduct };
        let register = small("REGISTER", "");
        let answer = caller.ask(&register, register.len()).unwrap();
        assert!(answer.starts_with("SIP/2.0 401 "), "{answer}");
        let again = small("REGISTER", &credentials(&answer, "Authorization"));
        assert_eq!(caller.proves(&again), Verification::ReturnPath);
        assert!(caller.ask(&again, again.len()).unwrap().starts_with("SIP/2.0 200 "));

        // Every tag that a smaller limit leads to proves the same.
        let invite = direct("INVITE", "");
        let mut limit = ROOM;
        while let Ok(answer) = caller.ask(&invite, limit) {
            let bye = inside(&direct("BYE", ""), &answer);
            assert_eq!(caller.proves(&bye), Verification::ReturnPath, "{answer}");
            limit = answer.len() - 1;
        }
    }
}

#[test]
fn a_nonce_is_refused_from_elsewhere_too_late_and_changed() {
    let mut caller = Caller::over(Transport::Udp);
    caller.conduct.register_tries = 1;
    let answer = caller.ask(&direct("REGISTER", ""), ROOM).unwrap();
    let given = credentials(&answer, "Authorization");
    let register = direct("REGISTER", &given);
    assert_eq!(caller.proves(&register), Verification::ReturnPath);
    let mut others = vec![caller.clone(); 3];
    others[0].path.source = "198.51.100.8:61000".parse().unwrap();
    others[1].now.0 += 2 * HOUR;
    others[2].secret = 2;
    for other in others {
        assert_eq!(other.proves(&register), Verification::Unverified);
        assert!(other.ask(&register, ROOM).unwrap().starts_with("SIP/2.0 401 "));
    }
    // Another count in the last byte, and another digit of the time before it.
    for (from, to) in [("\",response", "0\",response"), ("nonce=\"1", "nonce=\"2")] {
        let changed = direct("REGISTER", &given.replace(from, to));
        assert_eq!(caller.proves(&changed), Verification::Unverified, "{changed}");
    }
    // A nonce that was earned through a relay proves nothing either.
    let answer = caller.ask(&request("REGISTER", "", ""), ROOM).unwrap();
    let relayed = direct("REGISTER", &credentials(&answer, "Authorization"));
    assert_eq!(caller.proves(&relayed), Verification::Unverified);
    assert!(caller.ask(&relayed, ROOM).unwrap().starts_with("SIP/2.0 200 "));
}

#[test]
fn calls_are_answered_challenged_or_rejected() {
    let mut caller = Caller::over(Transport::Udp);
    caller.conduct.calls = Calls::Reject(486);
    assert!(
        caller.ask(&direct("INVITE", ""), ROOM).unwrap().starts_with("SIP/2.0 486 Busy Here\r\n")
    );
    for persona in persona::PERSONAS {
        caller.conduct = Conduct { persona, calls: Calls::Challenge, ..caller.conduct };
        let answer = caller.ask(&direct("INVITE", ""), ROOM).unwrap();
        let (status, header) = if persona.challenges_as_proxy {
            ("SIP/2.0 407 ", "Proxy-Authorization")
        } else {
            ("SIP/2.0 401 ", "Authorization")
        };
        assert!(answer.starts_with(status), "{answer}");
        let call = direct("INVITE", &credentials(&answer, header));
        assert!(caller.ask(&call, ROOM).unwrap().starts_with("SIP/2.0 200 "));
    }
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
    let video = request("INVITE", "Content-Type: application/sdp\r\n", "m=video 1 RTP/AVP 96\r\n");
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
    assert!(answer.contains("Contact: <sip:100@198.51.100.7:5060>;expires=3600\r\n"), "{answer}");
}

#[test]
fn a_dialog_goes_the_way_that_its_call_came() {
    let routes = "Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\nRecord-Route: <sip:p3;lr>\r\n";
    let answer = ask(&request("INVITE", routes, ""), Transport::Udp, ROOM).unwrap();
    assert!(answer.contains(routes), "{answer}");
    let many = "Record-Route: <sip:p;lr>\r\n".repeat(RECORD_ROUTES_MAX + 1);
    assert_eq!(status(&request("INVITE", &many, "")), 486);
}

#[test]
fn a_call_of_a_proven_source_rings_and_nobody_elses_does() {
    use super::calls::Calls as CallTable;
    let mut caller = Caller::over(Transport::Udp);
    caller.conduct.calls = Calls::Challenge;
    let mut table = CallTable::new((1, 2));
    let mut respond = |caller: &Caller, text: &str| {
        let mut out = Vec::new();
        let (message, seen) = (sip::parse(text.as_bytes()), caller.look(text));
        let asked = Asked { message: &message, path: &caller.path, seen: &seen, now: caller.now };
        let answered = caller.honeypot().respond((&mut table, caller.now), asked, ROOM, &mut out);
        (answered.map(|()| String::from_utf8(out).unwrap()), table.len())
    };
    let (challenge, calls) = respond(&caller, &direct("INVITE", ""));
    let challenge = challenge.unwrap();
    assert_eq!(calls, 0);
    let given = credentials(&challenge, "Authorization") + "Supported: 100rel\r\n";
    let invite = direct("INVITE", &given);
    let (ringing, calls) = respond(&caller, &invite);
    let ringing = ringing.unwrap();
    assert!(ringing.starts_with("SIP/2.0 180 Ringing\r\n") && calls == 1, "{ringing}");
    assert!(ringing.contains("Require: 100rel\r\nRSeq: 1\r\n"), "{ringing}");
    assert_eq!(sip::parse(ringing.as_bytes()).all_anomalies().invalid, 0);
    // Again, it is the same call, and rings on.
    assert_eq!(respond(&caller, &invite), (Ok(ringing.clone()), 1));
    let prack = inside(&direct("PRACK", "RAck: 1 7 INVITE\r\n"), &ringing);
    for _ in 0..2 {
        assert!(respond(&caller, &prack).0.unwrap().starts_with("SIP/2.0 200 "));
    }
    let foreign = prack.replacen(";tag=", ";tag=0", 2);
    assert!(respond(&caller, &foreign).0.unwrap().starts_with("SIP/2.0 481 "));
    assert!(respond(&caller, &direct("CANCEL", "")).0.unwrap().starts_with("SIP/2.0 200 "));
    let ack = inside(&direct("ACK", ""), &ringing);
    assert_eq!(respond(&caller, &ack), (Err(NoReply::NotDue), 0));

    // Over TCP, unproven, or with no time to ring, the call is answered at once.
    let over_tcp =
        Caller { path: Path { transport: Transport::Tcp, ..caller.path }, ..caller.clone() };
    let mut at_once = caller.clone();
    at_once.conduct.rings_ms = 0;
    let mut unproven = caller.clone();
    unproven.conduct.calls = Calls::Answer;
    for (caller, invite) in
        [(over_tcp, &invite), (at_once, &invite), (unproven, &direct("INVITE", ""))]
    {
        let (answer, calls) = respond(&caller, invite);
        assert!(answer.unwrap().starts_with("SIP/2.0 200 ") && calls == 0);
    }
    let key = table.key(caller.path.source.ip(), b"c1", b"abc");
    assert_eq!(table.again(key), None);
}
