//! The targets on a few inputs to begin with: messages that are whole, cut anywhere, and with any
//! byte changed, and what belongs to one target alone.

use sentrypeer_fuzz::{block, frame, parse, record, reply};
use sentrypeer_storage::block::Block;

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
    check(&[INVITE, OTHERS[3], b"\r\n\r\n", INVITE].concat());
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
fn blocks_are_read_or_refused() {
    // One event: the lengths of eleven columns, and then each with what one plain event needs.
    let columns: [&[u8]; 11] = [
        &[2],
        &[0],
        &[1],
        &[203, 0, 113, 7],
        &[0xc4, 0x13],
        &[192, 0, 2, 1],
        &[0xc4, 0x13],
        &[],
        &[5],
        &[0],
        &[3, 0, 0, 0],
    ];
    let lengths = columns.iter().flat_map(|column| (column.len() as u32).to_le_bytes());
    let bytes: Vec<u8> = lengths.chain(columns.concat()).collect();
    let whole = Block::decode(&block::packed(1, &bytes, b"hello")).unwrap();
    assert_eq!(whole.events().next().unwrap().unwrap().1.message, b"hello");

    let split = (bytes.len() as u16).to_le_bytes();
    let whole = [&[1, split[0], split[1]], &bytes[..], b"hello"].concat();
    spoilt(&whole, block::check);
    messages(block::check);
}

#[test]
fn records_are_read_or_refused() {
    const RECORD: &str = r#"{"app_name":"a","app_version":"1","event_timestamp":"t",
        "event_uuid":"019ab0e4-6b8a-7c3e-8f10-2b0b6a1c9d77",
        "created_by_node_id":"7c1a3c52-5f0e-4a39-9d2b-6e0f4f1b8a10","collected_method":"passive",
        "transport_type":"UDP","source_ip":"203.0.113.7:5060","destination_ip":"","called_number":"",
        "sip_method":"OPTIONS","sip_user_agent":"\u00e9","sip_message":""}"#;
    spoilt(RECORD.as_bytes(), record::check);
    messages(record::check);
}
