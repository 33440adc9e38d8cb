//! A few messages to begin with, each whole, cut anywhere, and with any byte changed.

/// An INVITE with folds, compact names, two Via values and a body.
const INVITE: &[u8] = b"INVITE sip:+44%32071234567@192.0.2.1;user=phone SIP/2.0\r\n\
    v: SIP/2.0/UDP 203.0.113.7:5060;branch=z9hG4bKa;rport, SIP/2.0/TCP [2001:db8::1]\r\n\
    Via: SIP/2.0/TLS h.example;branch=z9hG4bKb\r\n\
    f: \"A, \\\"B\\\"\" <sip:1001@203.0.113.7>;tag=9\r\n\
    To: <sip:00442071234567@192.0.2.1>\r\n\
    i: 77@203.0.113.7\r\n\
    CSeq: 3 INVITE\r\n\
    Subject: one\r\n  two\r\n\
    m: <sip:1001@203.0.113.7:5066>\r\n\
    User-Agent: seed\r\n\
    l: 5\r\n\
    \r\n\
    v=0\r\n";

const OTHERS: [&[u8]; 6] = [
    b"",
    b"\r\n\r\n",
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
    b"OPTIONS sip:100@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP a\nFrom: sip:1@a;tag=1\nTo: sip:2@b\n\
      Call-ID: 1\nCSeq: 1 OPTIONS\n\n",
    b"\x16\x03\x01\x00\x05hello",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
];

/// Calls `check` with all of them.
pub fn each(check: impl Fn(&[u8])) {
    OTHERS.into_iter().for_each(&check);
    for end in 0..=INVITE.len() {
        check(&INVITE[..end]);
    }
    let mut changed = INVITE.to_vec();
    for at in 0..INVITE.len() {
        for byte in [0, b'\r', b'\n', b' ', b',', b'<', b'"', b':', 0xff] {
            changed[at] = byte;
            check(&changed);
        }
        changed[at] = INVITE[at];
    }
    check(&[INVITE, OTHERS[3], b"\r\n\r\n", INVITE].concat());
}
