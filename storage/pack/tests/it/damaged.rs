//! Whatever there is to unpack: messages of the lengths that were asked for, or an error.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use sentrypeer_pack::{Damaged, Decoder, Endpoints};

use crate::mix::{self, Mix};
use crate::{Message, packed, raw_bytes, unpacked};

fn endpoints() -> Endpoints {
    Endpoints {
        source: "[2001:db8::7]:5071".parse().unwrap(),
        destination: "198.51.100.23:5060".parse().unwrap(),
    }
}

/// Unpacks messages of these lengths in every way. How many there were.
fn read(packed: &[u8], lengths: &[usize], bytes: usize) -> usize {
    let Ok(mut decoder) = Decoder::new(packed, lengths.len(), bytes) else { return 0 };
    let mut to = b"before".to_vec();
    let mut count = 0;
    for (n, len) in lengths.iter().enumerate() {
        let before = to.len();
        let read = if n % 5 == 4 {
            decoder.skip(*len)
        } else {
            let read = decoder.next(*len, &endpoints(), &mut to);
            assert_eq!(to.len(), before + if read.is_ok() { *len } else { 0 });
            read
        };
        if read.is_err() {
            assert_eq!(decoder.next(0, &endpoints(), &mut to), Err(Damaged), "after an error");
            break;
        }
        count += 1;
    }
    assert!(to.starts_with(b"before") && to.len() <= bytes + 6);
    count
}

fn honest() -> Vec<Message> {
    static HONEST: LazyLock<Vec<Message>> =
        LazyLock::new(|| mix::messages(Mix::Long, 60, 10).into_iter().map(Message::from).collect());
    HONEST.clone()
}

/// Streams as they are, as a malicious writer would make them.
fn stored(streams: &[Vec<u8>; 7], bits: &[u8]) -> Vec<u8> {
    let mut packed = vec![1];
    for stream in streams {
        let len = stream.len();
        packed.extend([len as u8 | 0x80, (len >> 7) as u8, 0]);
    }
    streams.iter().for_each(|stream| packed.extend(stream));
    packed.extend(bits);
    packed
}

fn any_stream(max: u8) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![9 => 0..max, 1 => any::<u8>()], 0..60)
}

proptest! {
    #[test]
    fn any_bytes_give_messages_or_an_error(
        mut bytes in prop::collection::vec(any::<u8>(), 0..300),
        lengths in prop::collection::vec(0..200usize, 0..20),
        is_version_1 in any::<bool>(),
    ) {
        if let (Some(version), true) = (bytes.first_mut(), is_version_1) {
            *version = 1;
        }
        read(&bytes, &lengths, 10_000);
    }

    /// Insides that get as far as the operations.
    #[test]
    fn hostile_streams_never_panic(
        shapes in any_stream(6),
        ops in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(vec![0u8, 1, 2, 3, 6, 7, 8, 9, 10, 16, 17, 20, 22, 32, 33, 38, 39]),
            4 => 0..12u8,
            1 => any::<u8>(),
        ], 0..200),
        others in prop::array::uniform4(any_stream(40)),
        bits in any_stream(255),
        lengths in prop::collection::vec(0..120usize, 1..30),
    ) {
        let [a, b, c, literals] = others;
        let whole = b"OPTIONS sip:100@192.0.2.1 SIP/2.0\r\n".repeat(30);
        let packed = stored(&[[vec![0, 0, 1], shapes].concat(), ops, a, b, c, literals, whole], &bits);
        let lengths = [vec![40, 40], lengths].concat();
        prop_assert!(read(&packed, &lengths, 20_000) >= 2);
    }

    #[test]
    fn a_changed_byte_gives_other_messages_or_an_error(place in any::<Index>(), bit in 0..8u8) {
        let messages = honest();
        let mut packed = packed(&messages);
        let place = place.index(packed.len());
        packed[place] ^= 1 << bit;
        if let Ok(unpacked) = unpacked(&packed, &messages) {
            let lengths = unpacked.iter().map(Vec::len);
            prop_assert!(lengths.eq(messages.iter().map(|message| message.bytes.len())));
        }
    }

    #[test]
    fn what_is_cut_off_gives_no_message_that_was_not_there(end in any::<Index>()) {
        let messages = honest();
        let packed = packed(&messages);
        let end = end.index(packed.len());
        let Ok(mut decoder) = Decoder::new(&packed[..end], messages.len(), raw_bytes(&messages)) else {
            return Ok(());
        };
        for message in &messages {
            let mut bytes = Vec::new();
            if decoder.next(message.bytes.len(), &message.endpoints, &mut bytes).is_err() {
                return Ok(());
            }
            prop_assert_eq!(&bytes, &message.bytes);
        }
        prop_assert!(false, "all messages from a part of the bytes");
    }

    #[test]
    fn wrong_lengths_give_messages_of_these_lengths_or_an_error(
        changes in prop::collection::vec((0..60usize, 0..900usize), 1..4),
    ) {
        let messages = honest();
        let mut lengths: Vec<usize> = messages.iter().map(|message| message.bytes.len()).collect();
        changes.into_iter().for_each(|(n, len)| lengths[n] = len);
        read(&packed(&messages), &lengths, raw_bytes(&messages) + 900);
    }
}

#[test]
fn another_version_is_refused() {
    let mut packed = packed(&honest());
    packed[0] = 2;
    assert_eq!(Decoder::new(&packed, 60, 1 << 20).err(), Some(Damaged));
    assert_eq!(Decoder::new(&[], 60, 1 << 20).err(), Some(Damaged));
}

#[test]
fn more_bytes_than_the_messages_may_have_are_refused_before_memory_is_taken() {
    let messages = honest();
    let packed = packed(&messages);
    assert!(Decoder::new(&packed, 60, raw_bytes(&messages)).is_ok());
    assert!(Decoder::new(&packed, 60, 1000).is_err());
    // A stream of 2^32 bytes, of which there is none.
    assert!(Decoder::new(&[1, 0xff, 0xff, 0xff, 0xff, 0x0f, 5], 60, 1 << 20).is_err());
}

#[test]
fn a_frame_that_unpacks_to_more_than_the_table_says_is_refused() {
    let bomb = zstd::bulk::compress(&vec![0; 8 << 20], 3).unwrap();
    let len = bomb.len();
    let mut packed = vec![1, 100, len as u8 | 0x80, (len >> 7) as u8];
    packed.extend([0; 12]);
    packed.extend(bomb);
    assert!(Decoder::new(&packed, 1000, 1 << 20).is_err());
}

#[test]
fn a_decoder_gives_no_more_than_it_was_told() {
    let messages = honest();
    let packed = packed(&messages);
    let mut decoder = Decoder::new(&packed, 2, raw_bytes(&messages)).unwrap();
    let mut to = Vec::new();
    for message in &messages[..2] {
        decoder.next(message.bytes.len(), &message.endpoints, &mut to).unwrap();
    }
    let third = &messages[2];
    assert!(decoder.next(third.bytes.len(), &third.endpoints, &mut to).is_err());
    assert_eq!(to, [&messages[0].bytes[..], &messages[1].bytes].concat());
}
