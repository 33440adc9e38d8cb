//! The project's own messages, in its own words, and what has to be read out of them.

use sentrypeer_sip::{Anomaly, Kind, Looks, NumberKind, parse};

/// One message and what it says. Fields that are not named are not looked at.
pub struct Case {
    pub bytes: &'static [u8],
    kind: Kind,
    method: &'static str,
    /// In order: From's user, To's user, Contact's user, Via's host, Call-ID, User-Agent.
    fields: [Option<&'static str>; 6],
    cseq: Option<u32>,
    length: Option<u32>,
    number: (&'static str, NumberKind),
    body: &'static str,
    observed: &'static [Anomaly],
    invalid: &'static [Anomaly],
}

const NOTHING: Case = Case {
    bytes: b"",
    kind: Kind::Request,
    method: "",
    fields: [None; 6],
    cseq: None,
    length: None,
    number: ("", NumberKind::None),
    body: "",
    observed: &[],
    invalid: &[],
};

pub const MESSAGES: [Case; 18] = [
    Case {
        bytes: b"INVITE sip:00442079460001@pbx.example SIP/2.0\r\n\
            Via: SIP/2.0/UDP 192.0.2.44:5070;rport;branch=z9hG4bKq1w2\r\n\
            Max-Forwards: 70\r\nFrom: \"1000\" <sip:1000@pbx.example>;tag=aa1\r\n\
            To: <sip:00442079460001@pbx.example>\r\nCall-ID: first@192.0.2.44\r\nCSeq: 21 INVITE\r\n\
            Contact: <sip:1000@192.0.2.44:5070>\r\nUser-Agent: dialler 7\r\n\
            Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n",
        method: "INVITE",
        fields: [
            Some("1000"), Some("00442079460001"), Some("1000"), Some("192.0.2.44"),
            Some("first@192.0.2.44"), Some("dialler 7"),
        ],
        cseq: Some(21),
        length: Some(5),
        number: ("00442079460001", NumberKind::Called),
        body: "v=0\r\n",
        ..NOTHING
    },
    Case {
        // Line ends of a tool that was written by hand.
        bytes: b"OPTIONS sip:203.0.113.9 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\n\
            From: <sip:a@b>;tag=1\nTo: <sip:300@b>\nCall-ID: lf\nCSeq: 1 OPTIONS\nMax-Forwards: 1\n\
            Content-Length: 0\n\n",
        method: "OPTIONS",
        fields: [Some("a"), Some("300"), None, Some("192.0.2.1"), Some("lf"), None],
        cseq: Some(1),
        length: Some(0),
        number: ("300", NumberKind::Account),
        invalid: &[Anomaly::BareLf],
        ..NOTHING
    },
    Case {
        bytes: b"REGISTER sip:pbx.example SIP/2.0\r\nVia: SIP/2.0/TCP\r\n\t10.1.1.1\r\n ;branch=z9hG4bKf\r\n\
            From:\r\n <sip:200@pbx.example>\r\n ;tag=t\r\nTo: \"two\r\n hundred\" <sip:200@pbx.example>\r\n\
            Call-ID:\r\n  folded\r\nCSeq: 7\r\n REGISTER\r\nMax-Forwards: 70\r\nUser-Agent: a\r\n b\r\n\
            Content-Length:\r\n 0\r\n\r\n",
        method: "REGISTER",
        fields: [
            Some("200"), Some("200"), None, Some("10.1.1.1"), Some("folded"), Some("a\r\n b"),
        ],
        cseq: Some(7),
        length: Some(0),
        number: ("200", NumberKind::Account),
        observed: &[Anomaly::Folded],
        ..NOTHING
    },
    Case {
        bytes: b"INVITE sip:9001@h SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.3;branch=z9hG4bKc\r\nf: <sip:1@h>;tag=2\r\n\
            t: <sip:9001@h>\r\ni: short\r\nm: <sip:1@192.0.2.3>\r\nCSeq: 2 INVITE\r\nMax-Forwards: 9\r\n\
            c: application/sdp\r\nl: 0\r\n\r\n",
        method: "INVITE",
        fields: [Some("1"), Some("9001"), Some("1"), Some("192.0.2.3"), Some("short"), None],
        cseq: Some(2),
        length: Some(0),
        number: ("9001", NumberKind::Called),
        ..NOTHING
    },
    Case {
        bytes: b"INVITE tel:+1-202-555-0123;phone-context=+1 SIP/2.0\r\n\
            Via: SIP/2.0/TLS gw.example;branch=z9hG4bKt\r\nFrom: <tel:+12025550100>;tag=9\r\n\
            To: <tel:+1-202-555-0123>\r\nCall-ID: tel\r\nCSeq: 1 INVITE\r\nMax-Forwards: 9\r\n\
            Content-Length: 0\r\n\r\n",
        method: "INVITE",
        fields: [
            Some("+12025550100"), Some("+1-202-555-0123"), None, Some("gw.example"), Some("tel"), None,
        ],
        cseq: Some(1),
        length: Some(0),
        number: ("+1-202-555-0123", NumberKind::Called),
        ..NOTHING
    },
    Case {
        bytes: b"MESSAGE sip:bob@[2001:db8::5]:5080 SIP/2.0\r\n\
            Via: SIP/2.0/UDP [2001:db8::7]:5066;branch=z9hG4bK6\r\nFrom: <sip:al@[2001:db8::7]>;tag=6\r\n\
            To: <sip:bob@[2001:db8::5]>\r\nCall-ID: six@[2001:db8::7]\r\nCSeq: 3 MESSAGE\r\n\
            Max-Forwards: 70\r\nContent-Length: 2\r\n\r\nhi",
        method: "MESSAGE",
        fields: [
            Some("al"), Some("bob"), None, Some("[2001:db8::7]"), Some("six@[2001:db8::7]"), None,
        ],
        cseq: Some(3),
        length: Some(2),
        number: ("bob", NumberKind::Called),
        body: "hi",
        ..NOTHING
    },
    Case {
        // `+` and `#` escaped, a password that is no part of the number, a display name that lies.
        bytes: b"INVITE sip:%2B4420%23:pw@h;user=phone SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK7\r\n\
            From: \"<sip:not@me>, \\\"x\\\"\" <sip:a%20b@h>;tag=7\r\nTo: <sip:%2B4420%23@h>\r\n\
            Call-ID: esc\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        method: "INVITE",
        fields: [Some("a%20b"), Some("%2B4420%23"), None, Some("192.0.2.1"), Some("esc"), None],
        cseq: Some(1),
        length: Some(0),
        number: ("+4420#", NumberKind::Called),
        ..NOTHING
    },
    Case {
        // Inside a dialog the Request-URI is our own Contact: the number is in To.
        bytes: b"BYE sip:honey@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK8\r\n\
            From: <sip:a@h>;tag=1\r\nTo: <sip:0033123@h>;tag=ours\r\nCall-ID: bye\r\nCSeq: 2 BYE\r\n\
            Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        method: "BYE",
        fields: [Some("a"), Some("0033123"), None, Some("192.0.2.1"), Some("bye"), None],
        cseq: Some(2),
        length: Some(0),
        number: ("0033123", NumberKind::Called),
        ..NOTHING
    },
    Case {
        bytes: b"SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK9\r\nFrom: <sip:a@h>;tag=1\r\n\
            To: <sip:b@h>;tag=2\r\nCall-ID: busy\r\nCSeq: 5 INVITE\r\nContent-Length: 0\r\n\r\n",
        kind: Kind::Response,
        fields: [Some("a"), Some("b"), None, Some("192.0.2.1"), Some("busy"), None],
        cseq: Some(5),
        length: Some(0),
        observed: &[Anomaly::Response],
        ..NOTHING
    },
    Case {
        bytes: &[
            22, 3, 1, 0, 49, 1, 0, 0, 45, 3, 3, 9, 8, 7, 6, 5, 4, 3, 2, 1, b'V', b'i', b'a', b':', b'\n',
        ],
        kind: Kind::NotSip(Looks::Tls),
        invalid: &[Anomaly::NotSip, Anomaly::LooksTls],
        ..NOTHING
    },
    Case {
        bytes: b"GET /admin HTTP/1.1\r\nHost: 198.51.100.1:5060\r\nUser-Agent: crawler\r\n\r\n",
        kind: Kind::NotSip(Looks::Http),
        method: "GET",
        fields: [None, None, None, None, None, Some("crawler")],
        invalid: &[Anomaly::NotSip, Anomaly::LooksHttp],
        ..NOTHING
    },
    Case {
        kind: Kind::NotSip(Looks::Empty),
        observed: &[Anomaly::Empty],
        ..NOTHING
    },
    Case {
        bytes: b"\r\n\r\n",
        kind: Kind::NotSip(Looks::KeepAlive),
        observed: &[Anomaly::KeepAlive],
        ..NOTHING
    },
    Case {
        // Cut in the middle of a header line.
        bytes: b"INVITE sip:0044@h SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nFrom: <sip:a@h>;ta",
        method: "INVITE",
        fields: [Some("a"), None, None, Some("192.0.2.1"), None, None],
        number: ("0044", NumberKind::Called),
        observed: &[
            Anomaly::MaxForwardsMissing, Anomaly::ContentLengthMissing, Anomaly::TagMissing,
        ],
        invalid: &[Anomaly::NoBlankLine, Anomaly::HeaderMissing],
        ..NOTHING
    },
    Case {
        // The start line was lost: the headers still say who it was.
        bytes: b"From: <sip:lost@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: lost\r\nCSeq: 4 INVITE\r\n\r\n",
        kind: Kind::NotSip(Looks::Other),
        fields: [Some("lost"), Some("b"), None, None, Some("lost"), None],
        cseq: Some(4),
        invalid: &[Anomaly::NotSip],
        ..NOTHING
    },
    Case {
        // Every list is empty somewhere, and everything that can be is left open.
        bytes: b"SUBSCRIBE <sip:7@h> SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;;branch=z9hG4bKb,\r\n\
            From: \"open <sip:q@h>;tag=1\r\nTo: <sip:7@h\r\nCall-ID: a b\r\nCSeq: 1 NOTIFY\r\n\
            Contact: sip:7@h?x=y\r\nno colon here\r\nMax-Forwards: 256\r\nContent-Length: 9\r\n\r\nshort",
        method: "SUBSCRIBE",
        fields: [Some("q"), Some("7"), Some("7"), Some("192.0.2.1"), Some("a b"), None],
        cseq: Some(1),
        length: Some(9),
        number: ("7", NumberKind::Account),
        body: "short",
        observed: &[Anomaly::ViaSeveral],
        invalid: &[
            Anomaly::UriAngles, Anomaly::NoColon, Anomaly::CSeqMethod, Anomaly::ContentLengthBeyond,
            Anomaly::QuoteOpen, Anomaly::AngleOpen, Anomaly::DisplayName, Anomaly::AnglesMissing,
            Anomaly::ParameterSyntax, Anomaly::ViaSyntax, Anomaly::MaxForwardsSyntax,
            Anomaly::CallIdSyntax,
        ],
        ..NOTHING
    },
    Case {
        // CR, NUL and Latin-1 where they may not be, and more than one of what may stand once.
        bytes: b"OPTIONS sip:x@h SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKc\r\nFrom: <sip:a@h>;tag=1\r\n\
            To: <sip:b@h>\r\nTo: <sip:c@h>\r\nCall-ID: bytes\r\nCSeq: 1 OPTIONS\r\nSubject: \rX\0Y\xe9\r\n\
            Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        method: "OPTIONS",
        fields: [Some("a"), Some("b"), None, Some("192.0.2.1"), Some("bytes"), None],
        cseq: Some(1),
        length: Some(0),
        number: ("x", NumberKind::Account),
        observed: &[Anomaly::Nul],
        invalid: &[Anomaly::BareCr, Anomaly::Nul, Anomaly::NotUtf8, Anomaly::HeaderRepeated],
        ..NOTHING
    },
    Case {
        bytes: &[
            0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
        ],
        kind: Kind::NotSip(Looks::Stun),
        invalid: &[Anomaly::NotSip, Anomaly::LooksStun],
        ..NOTHING
    },
];

#[test]
fn our_own_messages_read_as_they_were_meant() {
    for (index, case) in MESSAGES.iter().enumerate() {
        let m = parse(case.bytes);
        let mut buf = [0; 128];
        let (number, kind) = m.called_number(&mut buf);
        let text = |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8(b.to_vec()).unwrap());
        let fields = [
            m.from_user(),
            m.to_user(),
            m.contact_user(),
            m.via_host(),
            m.call_id(),
            m.user_agent(),
        ];
        assert_eq!(m.kind(), case.kind, "message {index}");
        assert_eq!(m.method(), case.method.as_bytes(), "message {index}");
        assert_eq!(fields.map(text), case.fields.map(|f| f.map(str::to_owned)), "message {index}");
        assert_eq!(m.cseq().number, case.cseq, "message {index}");
        assert_eq!(m.content_length(), case.length, "message {index}");
        assert_eq!((number, kind), (case.number.0.as_bytes(), case.number.1), "message {index}");
        assert_eq!(m.body(), case.body.as_bytes(), "message {index}");
        let found = m.all_anomalies();
        let bits = |anomalies: &[Anomaly]| anomalies.iter().fold(0, |bits, a| bits | a.bit());
        let named = |bits: u64| {
            let has = |a: &Anomaly| a.bit() & bits != 0;
            Anomaly::ALL.into_iter().filter(has).collect::<Vec<_>>()
        };
        assert_eq!(named(found.observed), named(bits(case.observed)), "message {index}");
        assert_eq!(named(found.invalid), named(bits(case.invalid)), "message {index}");
    }
}
