//! The targets on a few inputs to begin with: messages that are whole, cut anywhere, and with any
//! byte changed, and what belongs to one target alone.

use sentrypeer_dht::record::Record;
use sentrypeer_fuzz::{block, frame, pack, parse, record, reply, wire};
use sentrypeer_storage::block::Block;

/// An INVITE with folds, compact names, two Via values and a body.
const INVITE: &[u8] = include_bytes!("../seeds/invite.sip");
const OPTIONS: &[u8] = include_bytes!("../seeds/options.sip");

const OTHERS: [&[u8]; 7] = [
    b"",
    b"\r\n\r\n",
    OPTIONS,
    include_bytes!("../seeds/response.sip"),
    include_bytes!("../seeds/stream.bin"),
    b"\x16\x03\x01\x00\x05hello",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
];

/// Calls `check` with `whole` cut anywhere and with each byte changed.
fn spoilt(whole: &[u8], check: impl Fn(&[u8])) {
    for end in 0..=whole.len() {
        check(&whole[..end]);
    }
    let mut changed = whole.to_vec();
    for at in 0..whole.len() {
        for byte in [0, b'\r', b'\n', b' ', b',', b'<', b'"', b':', 0xff] {
            changed[at] = byte;
            check(&changed);
        }
        changed[at] = whole[at];
    }
}

fn messages(check: impl Fn(&[u8])) {
    OTHERS.into_iter().for_each(&check);
    check(&[INVITE, OPTIONS, b"\r\n\r\n", INVITE].concat());
    spoilt(INVITE, check);
}

#[test]
fn messages_are_parsed() {
    messages(parse::check);
}

#[test]
fn messages_are_answered() {
    messages(reply::check);
}

#[test]
fn streams_are_cut_into_messages() {
    for piece in [1, 2, 7, 255] {
        messages(|message| frame::check(&[&[piece], message].concat()));
    }
}

#[test]
fn messages_that_were_packed_come_back() {
    messages(pack::check);
    pack::check(include_bytes!("../seeds/pack.bin"));
    // One after the other they are compared with each other.
    messages(|message| pack::check(&[INVITE, b"\0", message, b"\0", INVITE].concat()));
}

#[test]
fn blocks_are_read_or_refused() {
    // How many events, how long the columns are, the columns of one plain event, its message.
    let seed = include_bytes!("../seeds/block.bin");
    let (columns, message) =
        seed[3..].split_at(usize::from(u16::from_le_bytes([seed[1], seed[2]])));
    let whole = Block::decode(&block::packed(1, 1, columns, message)).unwrap();
    assert_eq!(whole.events().next().unwrap().unwrap().1.message, b"hello");
    spoilt(seed, block::check);
    messages(block::check);
}

#[test]
fn records_are_read_or_refused() {
    let seed = include_bytes!("../seeds/record.json");
    assert!(Record::read(seed).is_ok());
    spoilt(seed, record::check);
    messages(record::check);
}

#[test]
fn what_peers_send_is_read_or_refused() {
    let seeds: [&[u8]; 8] = [
        include_bytes!("../seeds/wire-sources.bin"),
        include_bytes!("../seeds/wire-numbers.bin"),
        include_bytes!("../seeds/wire-withdrawals.bin"),
        include_bytes!("../seeds/wire-header.bin"),
        include_bytes!("../seeds/wire-batch.bin"),
        include_bytes!("../seeds/wire-announcement.bin"),
        include_bytes!("../seeds/wire-grant.bin"),
        include_bytes!("../seeds/wire-proof.bin"),
    ];
    for seed in seeds {
        // Every decoder on every seed; each byte changed where there is no signature to check.
        for which in 0..16 {
            wire::check(&[&[which], &seed[1..]].concat());
        }
        if seed[0] < 4 {
            spoilt(seed, wire::check);
        }
    }
}
