//! Inputs that are made to be expensive, and all that can be asked of a message. The benches measure
//! with these as well.

use sentrypeer_sip::{Reply, parse};

/// Inputs of about `size` bytes.
pub fn inputs(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let start = "INVITE sip:7@h SIP/2.0\r\n";
    let filled = |front: &str, piece: &str| {
        let mut bytes = [start, front].concat().into_bytes();
        while bytes.len() < size {
            bytes.extend_from_slice(piece.as_bytes());
        }
        bytes.extend_from_slice(b"\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: i\r\nCSeq: 1 INVITE\r\n\r\n");
        bytes
    };
    vec![
        ("header lines", filled("", "A:\r\n")),
        ("long header lines", filled("", "Unknown-Header-That-Is-Long: x\r\n")),
        ("empty lines of folds", filled("X:", "\r\n ")),
        ("folds of LF", filled("To: ", "\n\t")),
        ("one long line", filled("Subject: ", "x")),
        ("a long name", filled("", "x")),
        ("a long method", vec![b'A'; size]),
        (
            "spaces in the start line",
            [b"INVITE".to_vec(), vec![b' '; size], b"sip:7@h SIP/2.0\r\n\r\n".to_vec()].concat(),
        ),
        ("quotes in To", filled("To: ", "\"")),
        ("escaped quotes in To", filled("To: \"", "\\\"")),
        ("escaped quotes and commas in Contact", filled("Contact: \"", "\\\",")),
        ("escaped quotes and semicolons in To", filled("To: <sip:a@b>;x=\"", "\\\";")),
        ("escaped quotes and commas in Via", filled("Via: SIP/2.0/UDP h;x=\"", "\\\",")),
        ("brackets in Contact", filled("Contact: ", "<,")),
        ("brackets in From", filled("From: ", "<")),
        ("parameters in To", filled("To: <sip:a@b>", ";tag")),
        ("parameters in Via", filled("Via: SIP/2.0/UDP h", ";rport")),
        ("parameters in Contact", filled("Contact: <sip:a@b>", ";a=1")),
        ("Via values", filled("Via: SIP/2.0/UDP h", ",SIP/2.0/UDP h")),
        ("commas in Contact", filled("Contact: ", ",")),
        ("slashes in Via", filled("Via: ", "/")),
        ("escapes in To", filled("To: <sip:", "%00")),
        ("NULs", vec![0; size]),
        ("line ends", b"\r\n".repeat(size / 2)),
        ("CRs in a line", filled("X: ", "\r")),
        ("two bytes of UTF-8", filled("X: ", "\u{e9}")),
    ]
    .into_iter()
    .chain(mixtures(size))
    .collect()
}

/// Pieces in an order that no branch predictor learns.
fn mixtures(size: usize) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    const END: &str = "\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: i\r\nCSeq: 1 INVITE\r\n\r\n";
    let kinds: [(&str, &str, &[&[u8]]); 8] = [
        ("mixed escapes in To", "\r\nTo: \"", &[b"\\\0", b"+", b"\xc3\xa9"]),
        ("mixed escapes in the Request-URI", "", &[b"\xc3\xa9", b"%", b"\\\0", b"%4"]),
        ("mixed quotes in Contact", "\r\nContact: ", &[b"\\\"", b"\"", b",", b"<", b">"]),
        ("mixed parameters in To", "\r\nTo: <sip:a@b>", &[b";a", b"=", b"\"\"", b"b"]),
        ("mixed parameters in Via", "\r\nVia: SIP/2.0/UDP h", &[b";", b"\0", b"a", b"\""]),
        ("NULs in From", "\r\nFrom: ", &[b"\0", b"a"]),
        ("CRs in From", "\r\nFrom: ", &[b"\r", b"a"]),
        ("mixed folds", "\r\nX: ", &[b"\r\n ", b"\n\t", b"a", b":\r\nVia: x"]),
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    kinds.into_iter().map(move |(name, front, pieces)| {
        let mut bytes = format!("INVITE sip:h{front}").into_bytes();
        while bytes.len() < size {
            // xorshift64 (Marsaglia).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(pieces[(state >> 32) as usize % pieces.len()]);
        }
        if front.is_empty() {
            bytes.extend_from_slice(b" SIP/2.0");
        } else {
            bytes.splice(12..12, *b" SIP/2.0");
        }
        bytes.extend_from_slice(END.as_bytes());
        (name, bytes)
    })
}

/// Everything that can be asked of a message, and an answer to it.
pub fn everything(bytes: &[u8]) -> usize {
    let m = parse(bytes);
    let mut buf = [0; 128];
    let mut out = Vec::new();
    let reply = Reply {
        status: 200,
        reason: "OK",
        to_tag: Some(b"t"),
        received: std::net::IpAddr::from([192, 0, 2, 1]),
        rport: 5060,
        required: &[],
        optional: &[],
        body: None,
    };
    let answered =
        reply.write(&m, 8_192, &mut out).is_ok() || reply.write(&m, usize::MAX, &mut out).is_ok();
    m.headers().count()
        + m.via_count()
        + usize::from(answered)
        + m.called_number(&mut buf).0.len()
        + m.all_anomalies().iter().count()
        + [m.from_user(), m.to_user(), m.contact_user(), m.via_host(), m.to_tag(), m.from_tag()]
            .into_iter()
            .flatten()
            .count()
}
