//! Made-up bytes: from noise to messages that are almost right.

use proptest::collection::vec;
use proptest::prelude::*;

use super::own::MESSAGES;

/// Pieces of SIP, dense in what the parser has to decide about.
const PIECES: &[&[u8]] = &[
    b"INVITE ",
    b"REGISTER ",
    b"options ",
    b"sip:",
    b"sips:",
    b"tel:",
    b"SIP/2.0",
    b" SIP/2.0\r\n",
    b"SIP/2.0 200 OK\r\n",
    b"HTTP/1.1",
    b"\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b"\r\n ",
    b"Via:",
    b"v: SIP/2.0/UDP ",
    b"From: ",
    b"f:",
    b"To: ",
    b"t :",
    b"Call-ID: ",
    b"i:",
    b"CSeq: 1 INVITE",
    b"CSeq: ",
    b"Contact: ",
    b"m:",
    b"Content-Length: ",
    b"l:",
    b"User-Agent: ",
    b"Proxy-Authorization: ",
    b"X-Unknown-Header-With-A-Long-Name: ",
    b"X: ",
    b":",
    b";",
    b",",
    b"<",
    b">",
    b"\"",
    b"\\",
    b"@",
    b"?",
    b"=",
    b"/",
    b"tag=",
    b";tag=x",
    b"branch=z9hG4bK1",
    b"rport",
    b";rport",
    b"received=1.2.3.4",
    b"%41",
    b"%0",
    b"100",
    b"7",
    b"4294967296",
    b"192.0.2.1",
    b"[2001:db8::1]",
    b"host",
    b"\0",
    b"\xff",
    b"\xc3\xa9",
    b"*",
    b"a",
];

/// Pieces of SIP, put together in any order.
pub fn soup() -> impl Strategy<Value = Vec<u8>> {
    vec(prop::sample::select(PIECES), 0..60).prop_map(|pieces| pieces.concat())
}

/// One of our own messages with a few places changed.
pub fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), 0_u8..4, any::<u8>(), soup());
    (0..MESSAGES.len(), vec(change, 0..6)).prop_map(|(which, changes)| {
        let mut bytes = MESSAGES[which].bytes.to_vec();
        for (index, what, byte, piece) in changes {
            let at = index.index(bytes.len() + 1);
            match what {
                0 => bytes.truncate(at.max(1)),
                1 => bytes.insert(at, byte),
                2 => drop(bytes.splice(at..at, piece.into_iter().take(12))),
                _ => drop(bytes.splice(at..bytes.len().min(at + usize::from(byte % 8)), [])),
            }
        }
        bytes
    })
}

/// Noise, soup, or a mutated message.
pub fn any_input() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => vec(any::<u8>(), 0..300),
        4 => soup(),
        4 => mutated(),
        2 => soup().prop_map(|soup| [b"INVITE sip:7@h SIP/2.0\r\n", &soup[..]].concat()),
    ]
}

/// A message that can be answered, with soup in what is copied.
pub fn answerable() -> impl Strategy<Value = Vec<u8>> {
    let value = || {
        soup().prop_map(|soup| {
            // Within one header: a line end only as a fold.
            let mut value: Vec<u8> =
                soup.into_iter().map(|b| if b == b'\n' { b'-' } else { b }).collect();
            if value.len() > 9 {
                value.splice(5..5, *b"\r\n \t");
            }
            value.insert(0, b'x');
            value
        })
    };
    (vec(value(), 1..4), value(), value(), value(), value()).prop_map(
        |(vias, from, to, id, more)| {
            let mut bytes = b"OPTIONS sip:7@h SIP/2.0\r\n".to_vec();
            for via in vias {
                bytes.extend([b"Via: SIP/2.0/UDP ", &via[..], b"\r\n"].concat());
            }
            bytes.extend(
                [b"From: ", &from[1..], b"x\r\nTo: <sip:", &to[..], b"\r\nCall-ID: ", &id[..]]
                    .concat(),
            );
            bytes.extend([b"\r\nCSeq: 1 OPTIONS\r\nX: ", &more[..], b"\r\n\r\n"].concat());
            bytes
        },
    )
}
