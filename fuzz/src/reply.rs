//! Whatever is asked, the answer is no longer than it may be, and is one that a SIP stack accepts.

use sentrypeer_sip::{Kind, Message, Name, Reply, parse};

/// Headers that a response copies (RFC 3261, 8.2.6.2).
const COPIED: [Name; 4] = [Name::From, Name::To, Name::CallId, Name::CSeq];

/// The oracle is the parser: it must read the answer, find nothing wrong with it that was not wrong
/// with the request, and find the request's own values in it.
pub fn check(data: &[u8]) {
    let request = parse(data);
    let reply = Reply {
        status: 486,
        reason: "Busy Here",
        to_tag: Some(b"0123456789abcdef"),
        received: [203, 0, 113, 9].into(),
        rport: 40_000,
        required: &[],
        optional: &[("Server", b"fuzz")],
        body: None,
    };
    for limit in [data.len(), data.len() / 2, usize::MAX] {
        let mut out = b"before".to_vec();
        let written = reply.write(&request, limit, &mut out);
        let answer =
            out.strip_prefix(b"before").unwrap_or_else(|| panic!("out was not appended to"));
        match written {
            Ok(()) => is_an_answer(&request, answer, limit),
            Err(_) => assert!(answer.is_empty(), "half an answer was left"),
        }
    }
}

fn is_an_answer(request: &Message<'_>, answer: &[u8], limit: usize) {
    assert!(answer.len() <= limit, "longer than it may be");
    assert_eq!(request.kind(), Kind::Request);
    let read = parse(answer);
    assert_eq!(read.kind(), Kind::Response);
    assert_eq!(read.status(), Some(486));
    assert_eq!(read.content_length(), Some(0));
    assert!(answer.ends_with(b"\r\n\r\n") && read.trailing().is_empty(), "one whole head");
    assert_eq!(read.vias().count(), request.vias().count(), "each Via line is copied");
    assert_eq!(
        read.headers().count(),
        request.vias().count() + COPIED.len() + has_server(&read) + 1
    );
    for name in COPIED {
        assert_eq!(read.values(name).count(), 1, "{}", name.text());
    }
    let clean =
        |value: Option<&[u8]>| value.is_some_and(|v| !v.iter().any(|b| b"\r\n\0".contains(b)));
    for name in [Name::CallId, Name::From].into_iter().filter(|name| clean(request.header(*name))) {
        assert_eq!(read.header(name), request.header(name), "{} is copied", name.text());
    }
}

fn has_server(read: &Message<'_>) -> usize {
    usize::from(read.header(Name::Server) == Some(b"fuzz"))
}
