//! Answers: what a strict stack has to find in them, and what nobody may get into them.

use std::net::IpAddr;

use proptest::prelude::*;

use super::generate::{answerable, any_input};
use sentrypeer_sip::{Anomaly, Kind, Message, Name, NoReply, Reply, parse};

const SOURCE: &str = "192.0.2.44";

fn reply() -> Reply<'static> {
    Reply {
        status: 200,
        reason: "OK",
        to_tag: Some(b"our.tag"),
        received: SOURCE.parse().unwrap(),
        rport: 5099,
        required: &[],
        optional: &[],
        body: None,
    }
}

fn write(reply: &Reply<'_>, request: &str, limit: usize) -> Result<String, NoReply> {
    let mut out = b"before".to_vec();
    let result = reply.write(&parse(request.as_bytes()), limit, &mut out);
    let text = String::from_utf8(out).unwrap();
    let text = text.strip_prefix("before").expect("what was there stays there");
    match result {
        Ok(()) => Ok(text.to_owned()),
        Err(error) => {
            assert_eq!(text, "");
            Err(error)
        }
    }
}

fn request(vias: &str, to: &str) -> String {
    format!(
        "OPTIONS sip:1@h SIP/2.0\r\n{vias}\r\nFrom: <sip:a@h>;tag=1\r\nTo: {to}\r\nCall-ID: id@h\r\n\
        CSeq: 7 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

fn top_via(via: &str, source: &str) -> String {
    let reply = Reply { received: source.parse().unwrap(), ..reply() };
    let text = write(&reply, &request(&format!("Via: {via}"), "<sip:1@h>"), usize::MAX).unwrap();
    text.lines().nth(1).unwrap().strip_prefix("Via: ").unwrap().to_owned()
}

#[test]
fn an_answer_copies_what_it_has_to() {
    let vias = "Via: SIP/2.0/UDP 192.0.2.44:5070;branch=z9hG4bK1\r\nv: SIP/2.0/TCP a;branch=2, SIP/2.0/TCP b";
    let text = write(&reply(), &request(vias, "<sip:1@h>"), usize::MAX).unwrap();
    assert_eq!(
        text,
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.44:5070;branch=z9hG4bK1\r\n\
        Via: SIP/2.0/TCP a;branch=2, SIP/2.0/TCP b\r\nFrom: <sip:a@h>;tag=1\r\n\
        To: <sip:1@h>;tag=our.tag\r\nCall-ID: id@h\r\nCSeq: 7 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn the_topmost_via_says_where_the_request_came_from() {
    let own = "SIP/2.0/UDP 192.0.2.44:5070;branch=z9hG4bK1";
    assert_eq!(top_via(own, SOURCE), own);
    // RFC 3261, 18.2.1: the host differs, or is a name.
    assert_eq!(top_via(own, "192.0.2.9"), format!("{own};received=192.0.2.9"));
    let named = "SIP/2.0/UDP pc33.example;branch=z9hG4bK1";
    assert_eq!(top_via(named, SOURCE), format!("{named};received={SOURCE}"));
    // RFC 3581, 4: with rport always both.
    assert_eq!(
        top_via("SIP/2.0/UDP 192.0.2.44;rport;branch=z9hG4bK1", SOURCE),
        "SIP/2.0/UDP 192.0.2.44;rport=5099;branch=z9hG4bK1;received=192.0.2.44"
    );
    // Only in the topmost value, also when all stand in one line.
    assert_eq!(
        top_via("SIP/2.0/UDP 10.0.0.1 ; rport , SIP/2.0/UDP b;rport", SOURCE),
        "SIP/2.0/UDP 10.0.0.1 ;rport=5099;received=192.0.2.44, SIP/2.0/UDP b;rport"
    );
}

#[test]
fn a_request_cannot_say_itself_where_it_came_from() {
    assert_eq!(
        top_via(
            "SIP/2.0/UDP 192.0.2.44;received=8.8.8.8;RPORT=53;rport;Received=9.9.9.9;x=1",
            SOURCE
        ),
        "SIP/2.0/UDP 192.0.2.44;rport=5099;x=1;received=192.0.2.44"
    );
    assert_eq!(
        top_via("SIP/2.0/UDP 192.0.2.44;received=8.8.8.8", SOURCE),
        "SIP/2.0/UDP 192.0.2.44"
    );
}

#[test]
fn an_ipv6_source_is_written_without_brackets_and_compared_as_an_address() {
    let own = "SIP/2.0/UDP [2001:DB8::0:7]:5060";
    assert_eq!(top_via(own, "2001:db8::7"), own);
    assert_eq!(top_via(own, "2001:db8::8"), format!("{own};received=2001:db8::8"));
    assert_eq!(top_via("SIP/2.0/UDP 192.0.2.44", "::ffff:192.0.2.44"), "SIP/2.0/UDP 192.0.2.44");
}

#[test]
fn a_tag_that_is_there_stays_and_an_empty_one_is_none() {
    let to = |to: &str| {
        let text =
            write(&reply(), &request("Via: SIP/2.0/UDP 192.0.2.44", to), usize::MAX).unwrap();
        parse(text.as_bytes()).to_tag().map(|tag| String::from_utf8(tag.to_vec()).unwrap())
    };
    assert_eq!(to("<sip:1@h>;tag=theirs").as_deref(), Some("theirs"));
    assert_eq!(to("<sip:1@h;tag=uri>").as_deref(), Some("our.tag"));
    assert_eq!(to("<sip:1@h>;tag=").as_deref(), Some("our.tag"));
    assert_eq!(to("sip:1@h").as_deref(), Some("our.tag"));
    assert_eq!(to("\"open <sip:1@h>").as_deref(), Some("our.tag"));
    assert_eq!(to("<sip:1@h").as_deref(), Some("our.tag"));
}

#[test]
fn optional_headers_go_first_then_long_names_and_then_nothing_is_sent() {
    let reply = Reply {
        required: &[("Contact", b"<sip:h>")],
        optional: &[("Server", b"pbx"), ("Allow", b"ACK")],
        body: Some(("text/plain", b"hello")),
        ..reply()
    };
    let request = request("Via: SIP/2.0/UDP 192.0.2.44", "<sip:1@h>");
    let full = write(&reply, &request, usize::MAX).unwrap();
    assert!(full.ends_with("Contact: <sip:h>\r\nServer: pbx\r\nAllow: ACK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"));
    let mut before = full.len();
    assert_eq!(write(&reply, &request, before).unwrap(), full);
    let mut seen = Vec::new();
    for limit in (0..full.len()).rev() {
        let Ok(text) = write(&reply, &request, limit) else {
            assert_eq!(write(&reply, &request, limit), Err(NoReply::TooLong));
            continue;
        };
        assert!(text.len() <= limit && text.len() <= before && text.ends_with("\r\n\r\nhello"));
        let m = parse(text.as_bytes());
        assert_eq!((m.all_anomalies().invalid, m.body()), (0, &b"hello"[..]));
        if text.len() < before {
            seen.push((text.contains("Server:"), text.contains("Allow:"), text.contains("From:")));
        }
        before = text.len();
    }
    seen.dedup();
    assert_eq!(seen[..2], [(true, false, true), (false, false, true)]);
    assert!(seen[2..].iter().all(|(_, _, long)| !long));
}

#[test]
fn nobody_answers_what_is_not_a_request() {
    let text = request("Via: SIP/2.0/UDP 192.0.2.44", "<sip:1@h>");
    for bad in ["", "\r\n\r\n", "hello\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n"] {
        assert_eq!(write(&reply(), bad, 999), Err(NoReply::NotDue));
    }
    assert_eq!(write(&reply(), &text.replace("OPTIONS", "ACK"), 999), Err(NoReply::NotDue));
    for (name, line) in [
        (Name::Via, "Via: SIP/2.0/UDP 192.0.2.44\r\n"),
        (Name::From, "From: <sip:a@h>;tag=1\r\n"),
        (Name::To, "To: <sip:1@h>\r\n"),
        (Name::CallId, "Call-ID: id@h\r\n"),
        (Name::CSeq, "CSeq: 7 OPTIONS\r\n"),
    ] {
        assert_eq!(write(&reply(), &text.replace(line, ""), 999), Err(NoReply::Missing(name)));
        let (header, _) = line.split_once(' ').unwrap();
        let empty = text.replace(line, &format!("{header}\r\n"));
        assert_eq!(write(&reply(), &empty, 999), Err(NoReply::Missing(name)));
    }
    let many = text.replace("Max-Forwards: 70\r\n", &"X: 1\r\n".repeat(300));
    assert_eq!(write(&reply(), &many, usize::MAX), Err(NoReply::TooManyHeaders));
}

#[test]
fn nothing_that_a_request_carries_becomes_a_line_of_the_answer() {
    let bytes = b"OPTIONS sip:1@h SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.44;x=\rEvil: 1\r\nFrom: <sip:a@h>\r\n ;tag=1\r\n\
        To: <sip:1@h>;x=\0\r\n\tEvil: 2\r\nCall-ID: a\rb\0c\r\nCSeq: 7\n OPTIONS\r\n\r\n";
    let mut out = Vec::new();
    reply().write(&parse(bytes), usize::MAX, &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.44;x= Evil: 1\r\nFrom: <sip:a@h> ;tag=1\r\n\
        To: <sip:1@h>;x=_ Evil: 2;tag=our.tag\r\nCall-ID: a b_c\r\nCSeq: 7 OPTIONS\r\n\
        Content-Length: 0\r\n\r\n"
    );
}

/// A value as it is copied, its white space aside: a fold is a space, a NUL is `_`.
fn unfolded(value: Option<&[u8]>) -> Option<String> {
    let text: String = value?.iter().map(|b| char::from(*b)).collect();
    let text = text.replace('\0', "_");
    let words = text.split(|c| " \t\r\n".contains(c)).filter(|word| !word.is_empty());
    Some(words.collect::<Vec<_>>().join(" "))
}

proptest! {
    #[test]
    fn an_answer_to_anything_is_clean(
        input in prop_oneof![answerable(), any_input()],
        limit in prop_oneof![Just(usize::MAX), 0..2000_usize],
        v6 in any::<bool>(),
    ) {
        let request = parse(&input);
        let received: IpAddr = if v6 { "2001:db8::9" } else { SOURCE }.parse().unwrap();
        let body: Option<(&str, &[u8])> = v6.then_some(("text/plain", b"v=0\r\n\r\n"));
        let reply = Reply { received, body, optional: &[("Server", b"x"), ("Allow", b"y")], ..reply() };
        let mut out = Vec::new();
        if let Err(error) = reply.write(&request, limit, &mut out) {
            prop_assert!(out.is_empty(), "{error}");
            return Ok(());
        }
        prop_assert!(out.len() <= limit);
        let answer = parse(&out);
        prop_assert_eq!((answer.kind(), answer.status()), (Kind::Response, Some(200)));
        // What is copied may be wrong inside; the frame around it may not.
        for anomaly in answer.anomalies().iter() {
            let copied = matches!(anomaly, Anomaly::CSeqSyntax | Anomaly::CSeqLarge | Anomaly::NotUtf8);
            prop_assert!(copied || anomaly == Anomaly::Response, "{anomaly}");
        }
        for name in [Name::From, Name::CallId, Name::CSeq] {
            prop_assert_eq!(unfolded(answer.header(name)), unfolded(request.header(name)));
        }
        let other_vias = |m: &Message<'_>| m.vias().skip(1).map(|v| unfolded(Some(v))).collect::<Vec<_>>();
        prop_assert_eq!(other_vias(&answer), other_vias(&request));
        let host = |m: &Message<'_>| unfolded(m.via().map(|via| via.host));
        prop_assert_eq!(host(&answer), host(&request));
        let tag = request.to_tag().map_or(Some("our.tag".to_owned()), |tag| unfolded(Some(tag)));
        prop_assert_eq!(unfolded(answer.to_tag()), tag);
        prop_assert_eq!(answer.body(), body.map_or(&b""[..], |(_, body)| body));
        prop_assert_eq!(answer.trailing(), b"");
    }
}

#[test]
fn what_is_too_long_to_be_read_whole_is_not_copied() {
    let request = |via: &str, to: &str| {
        format!(
            "OPTIONS sip:1@h SIP/2.0\r\nVia: SIP/2.0/UDP h;received=9.9.9.9{via}\r\n\
             From: <sip:a@h>;tag=1\r\nTo: <sip:1@h>{to};tag=ours\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"
        )
    };
    let long = format!(";x={}", "y".repeat(sentrypeer_sip::limits::VALUE_BYTES_MAX));
    let answer = |text: &str| {
        let mut out = Vec::new();
        let reply = Reply {
            status: 200,
            reason: "OK",
            to_tag: Some(b"new"),
            received: IpAddr::from([192, 0, 2, 1]),
            rport: 5060,
            required: &[],
            optional: &[],
            body: None,
        };
        reply.write(&parse(text.as_bytes()), usize::MAX, &mut out)
    };
    assert_eq!(answer(&request("", "")), Ok(()));
    assert_eq!(answer(&request(&long, "")), Err(NoReply::TooLong));
    assert_eq!(answer(&request("", &long)), Err(NoReply::TooLong));
    let vias = "\r\nVia: SIP/2.0/UDP h".repeat(200);
    assert_eq!(answer(&request(&vias, "")), Ok(()));
    let vias = format!("\r\nVia: SIP/2.0/UDP h;x={}", "y".repeat(100)).repeat(200);
    assert_eq!(answer(&request(&vias, "")), Err(NoReply::TooLong));
}
