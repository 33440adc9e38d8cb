//! Whatever is packed comes out again, and whatever is unpacked gives messages or an error.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use sentrypeer_pack::{Class, Decoder, Encoder, Endpoints};

/// The bytes are messages, with a zero after each, that must come out as they went in; and they are
/// packed messages of some lengths, which must come out with these lengths, or not at all.
pub fn check(data: &[u8]) {
    comes_back(data);
    let Some((lengths, packed)) = data.split_first_chunk::<8>() else { return };
    unpacks(packed, lengths);
}

fn comes_back(data: &[u8]) {
    let messages: Vec<&[u8]> = data.split(|byte| *byte == 0).collect();
    let mut encoder = Encoder::new();
    for (n, message) in messages.iter().enumerate() {
        encoder.push(message, class(message), &endpoints(n));
    }
    assert_eq!(encoder.raw_bytes() + messages.len(), data.len() + 1);
    let mut packed = Vec::new();
    encoder.pack(&mut packed);
    assert!(packed.len() <= encoder.raw_bytes() + 2 * messages.len() + 64, "larger than it may be");
    let mut all = decoder(&packed, &messages);
    let mut some = decoder(&packed, &messages);
    for (n, message) in messages.iter().enumerate() {
        let mut unpacked = Vec::new();
        assert_eq!(all.next(message.len(), &endpoints(n), &mut unpacked), Ok(()));
        assert_eq!(unpacked, *message);
        if n % 2 == 0 {
            assert_eq!(some.skip(message.len()), Ok(()));
        } else {
            assert_eq!(some.next(message.len(), &endpoints(n), &mut unpacked), Ok(()));
            assert_eq!(&unpacked[message.len()..], *message);
        }
    }
    assert!(all.skip(0).is_err(), "more messages than were packed");
}

fn decoder<'a>(packed: &'a [u8], messages: &[&[u8]]) -> Decoder<'a> {
    let bytes = messages.iter().map(|message| message.len()).sum();
    Decoder::new(packed, messages.len(), bytes)
        .unwrap_or_else(|damaged| panic!("what was packed is damaged: {damaged}"))
}

/// The bytes as they are, and with the right version before them.
fn unpacks(packed: &[u8], lengths: &[u8; 8]) {
    const BYTES_MAX: usize = 1 << 20;
    let versioned = [&[1], packed].concat();
    for packed in [packed, &versioned] {
        let Ok(mut decoder) = Decoder::new(packed, 1000, BYTES_MAX) else { continue };
        let mut unpacked = Vec::new();
        for n in 0..1000 {
            let (len, before) = (usize::from(lengths[n % 8]) * 4, unpacked.len());
            let next = decoder.next(len, &endpoints(n), &mut unpacked);
            assert_eq!(unpacked.len(), before + if next.is_ok() { len } else { 0 });
            if next.is_err() {
                break;
            }
        }
    }
}

/// As a parser would find it, more or less.
fn class(message: &[u8]) -> Class<'_> {
    let method = message.split(|byte| *byte == b' ').next().unwrap_or_default();
    Class { method: &method[..method.len().min(16)], user_agent: b"" }
}

/// Some of each family; those of the seeds are among them.
fn endpoints(n: usize) -> Endpoints {
    let last = (n / 4 % 8) as u8;
    let source: SocketAddr = match n % 4 {
        0 | 1 => (Ipv4Addr::new(203, 0, 113, last), 5060).into(),
        2 => (Ipv4Addr::new(203, 0, 113, 45), 5060 + u16::from(last)).into(),
        _ => (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()), 5060).into(),
    };
    Endpoints { source, destination: (Ipv4Addr::new(198, 51, 100, 23), 5060).into() }
}
