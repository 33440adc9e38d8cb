//! What goes in comes out, whatever it is, and takes no more than it may.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use sentrypeer_pack::{Decoder, Encoder, Endpoints};

use crate::mix::{self, Mix, hostile};
use crate::{Message, bytes_max, packed, push, raw_bytes, unpacked};

fn any_endpoints() -> impl Strategy<Value = Endpoints> {
    let v4 = (0..4u32).prop_map(|n| IpAddr::from(Ipv4Addr::from_bits(0xcb00_7100 + n)));
    let v6 = prop::array::uniform8(select(vec![0u16, 1, 0x2001, 0xfff]))
        .prop_map(|parts| IpAddr::from(Ipv6Addr::from(parts)));
    let address = || {
        let ip = prop_oneof![3 => v4.clone(), 1 => v6.clone()];
        (ip, select(vec![1u16, 5060, 5061, 65_535]))
            .prop_map(|(ip, port)| SocketAddr::new(ip, port))
    };
    (address(), address()).prop_map(|(source, destination)| Endpoints { source, destination })
}

fn any_class() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let text = |texts: &'static [&'static str]| select(texts).prop_map(Into::into);
    (text(&["", "INVITE", "OPTIONS"]), text(&["", "scan", "a longer user agent 1.2"]))
}

fn message(bytes: Vec<u8>, class: (Vec<u8>, Vec<u8>), endpoints: Endpoints) -> Message {
    Message { bytes, method: class.0, user_agent: class.1, endpoints }
}

fn any_message() -> impl Strategy<Value = Message> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(select(&b"ab1:. \r\n"[..]), 0..300),
    ];
    (bytes, any_class(), any_endpoints()).prop_map(|(a, b, c)| message(a, b, c))
}

/// A piece of a message; `S` and `D` become the source and destination address, `P` the source port.
fn any_token() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{1,6}",
        "[0-9]{9,26}",
        "[0-9a-f]{1,34}",
        "[0-9A-F]{8}",
        "[0-9a-zA-Z]{1,24}",
        "[0-9a-zA-Z._+/~-]{1,24}",
        "(3[0-9]|6[1-9a-f]){8,12}",
        "[1-9][0-9]{0,2}\\.[0-9]{1,3}\\.0\\.[0-9]{1,3}",
        select(vec!["", "S", "D", "P", "S:P", "[S]", "admin", "5060", "005060"])
            .prop_map(str::to_owned),
    ]
}

/// Messages of one layout: most lines are in most of them, and the tokens differ.
fn any_alike() -> impl Strategy<Value = Vec<Message>> {
    const LINES: [&str; 8] = [
        "INVITE sip:#@# SIP/2.0\r\n",
        "Via: SIP/2.0/UDP #:#;branch=z9hG4bK#\r\n",
        "From: \"#\" <sip:#@#>;tag=as#\r\n",
        "Call-ID: #@#\r\n",
        "Max-Forwards: 70\r\n",
        "m=audio # RTP/AVP 0\r\n",
        "a=rtpmap:# #\r\n",
        "X: #\n",
    ];
    let line = (0..LINES.len(), prop::collection::vec(any_token(), 4));
    let text = (prop::bool::weighted(0.7), prop::collection::vec(line, 6..10)).prop_map(
        |(in_order, mut lines)| {
            if in_order {
                lines.sort_by_key(|(line, _)| *line);
            }
            let mut text = String::new();
            for (line, tokens) in lines {
                let mut tokens = tokens.iter();
                for part in LINES[line].split_inclusive('#') {
                    text += part.trim_end_matches('#');
                    text += if part.ends_with('#') { tokens.next().unwrap() } else { "" };
                }
            }
            text
        },
    );
    let one = (text, any_endpoints(), any_class()).prop_map(|(text, endpoints, class)| {
        let Endpoints { source, destination } = endpoints;
        let text = text.replace('S', &source.ip().to_string());
        let text = text.replace('D', &destination.ip().to_string());
        message(text.replace('P', &source.port().to_string()).into(), class, endpoints)
    });
    prop::collection::vec(one, 1..30)
}

/// A change of a message: a place, how many bytes go, and what comes instead.
type Edit = (Index, usize, Vec<u8>);

fn edited(mut message: Message, edits: &[Edit]) -> Message {
    for (place, len, new) in edits {
        let start = place.index(message.bytes.len() + 1);
        let end = (start + len).min(message.bytes.len());
        message.bytes.splice(start..end, new.iter().copied());
    }
    message
}

fn any_edits() -> impl Strategy<Value = Vec<Edit>> {
    let new = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        "[0-9a-f]{0,20}".prop_map(String::into_bytes),
        select(vec!["\r\n", "\n", "\r", ";", "@", "z9hG4bK", "X: y\r\n"]).prop_map(Into::into),
    ];
    prop::collection::vec((any::<Index>(), 0..30usize, new), 0..4)
}

static HONEST: LazyLock<Vec<Message>> =
    LazyLock::new(|| mix::messages(Mix::Long, 400, 50).into_iter().map(Message::from).collect());

fn comes_back(messages: &[Message]) -> Result<(), TestCaseError> {
    let packed = packed(messages);
    prop_assert!(packed.len() <= bytes_max(messages), "{} bytes", packed.len());
    let unpacked = unpacked(&packed, messages);
    let expected: Vec<&[u8]> = messages.iter().map(|message| &message.bytes[..]).collect();
    prop_assert_eq!(unpacked.unwrap(), expected);
    Ok(())
}

proptest! {
    #[test]
    fn any_messages_come_back(messages in prop::collection::vec(any_message(), 0..40)) {
        comes_back(&messages)?;
    }

    #[test]
    fn messages_that_are_alike_come_back(messages in any_alike()) {
        comes_back(&messages)?;
    }

    #[test]
    fn honest_messages_with_any_changes_come_back(
        picks in prop::collection::vec((0..400usize, any_edits()), 1..60),
    ) {
        let messages = picks.into_iter().map(|(n, edits)| edited(HONEST[n].clone(), &edits));
        comes_back(&messages.collect::<Vec<_>>())?;
    }

    #[test]
    fn what_is_passed_over_does_not_change_the_others(
        messages in any_alike(),
        wanted in prop::collection::vec(any::<bool>(), 30),
    ) {
        let packed = packed(&messages);
        let mut decoder = Decoder::new(&packed, messages.len(), raw_bytes(&messages)).unwrap();
        let (mut unpacked, mut expected) = (b"before".to_vec(), b"before".to_vec());
        for (message, wanted) in messages.iter().zip(wanted) {
            let len = message.bytes.len();
            if wanted {
                decoder.next(len, &message.endpoints, &mut unpacked).unwrap();
                expected.extend_from_slice(&message.bytes);
            } else {
                decoder.skip(len).unwrap();
            }
        }
        prop_assert_eq!(unpacked, expected);
        prop_assert!(decoder.skip(0).is_err(), "more messages than were packed");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_block_can_be_packed_at_any_time_and_goes_on(messages in any_alike()) {
        let mut encoder = Encoder::new();
        for (n, message) in messages.iter().enumerate() {
            push(&mut encoder, message);
            let mut so_far = Vec::new();
            encoder.pack(&mut so_far);
            prop_assert_eq!(&so_far, &packed(&messages[..=n]));
            prop_assert_eq!(encoder.raw_bytes(), raw_bytes(&messages[..=n]));
        }
    }

    #[test]
    fn a_used_encoder_packs_like_a_new_one(first in any_alike(), second in any_alike()) {
        let mut encoder = Encoder::new();
        first.iter().for_each(|message| push(&mut encoder, message));
        encoder.clear();
        second.iter().for_each(|message| push(&mut encoder, message));
        let mut after = b"appended to".to_vec();
        encoder.pack(&mut after);
        prop_assert_eq!(&after[11..], packed(&second));
    }
}

#[test]
fn honest_messages_take_hardly_more_than_what_is_random_in_them() {
    for mix in [Mix::Short, Mix::Long] {
        let honest = mix::messages(mix, 1600, 10_000);
        let random = honest.iter().map(|message| message.bits / 8.0).sum::<f64>() as usize;
        let honest: Vec<Message> = honest.into_iter().map(Message::from).collect();
        comes_back(&honest).unwrap();
        let len = packed(&honest).len();
        assert!(len > random, "less than is possible: {len} B");
        assert!(len < random + 14 * honest.len(), "{len} B for {random} B of randomness");
        // Alone, zstd takes more than twice as much.
        let all: Vec<u8> = honest.iter().flat_map(|message| message.bytes.clone()).collect();
        assert!(2 * len < zstd::bulk::compress(&all, 1).unwrap().len());
    }
}

#[test]
fn hostile_messages_come_back_and_take_no_more_than_they_may() {
    for (name, kind) in hostile::KINDS {
        let hostile = hostile::messages(kind, 300_000).into_iter().map(Message::from);
        let result = comes_back(&hostile.collect::<Vec<_>>());
        assert!(result.is_ok(), "{name}: {result:?}");
    }
}

#[test]
fn blocks_of_the_shortest_and_the_longest_messages_come_back() {
    let like = Message::from(mix::messages(Mix::Short, 1, 1).remove(0));
    let of = |bytes: Vec<u8>, count: usize| vec![Message { bytes, ..like.clone() }; count];
    comes_back(&of(Vec::new(), 16_384)).unwrap();
    comes_back(&of(b"x".to_vec(), 16_384)).unwrap();
    let long: Vec<u8> = (0..65_535u32).map(|n| (n * n % 251) as u8).collect();
    comes_back(&of(long, 20)).unwrap();
    // At the bounds of what is compared.
    for len in [63, 64, 65, 16_383, 16_384, 16_385] {
        comes_back(&of(vec![b'a'; len], 30)).unwrap();
    }
}
