//! Streams: whatever the pieces, the same frames.

use proptest::collection::vec;
use proptest::prelude::*;

use super::generate::{any_input, mutated};
use super::own::MESSAGES;
use sentrypeer_sip::limits::{FRAMER_KEEP_BYTES, STREAM_MESSAGE_BYTES_MAX};
use sentrypeer_sip::{Anomalies, Anomaly, Frame, Framer};

/// What came out of a stream, and the counts at its end.
#[derive(Debug, Default, PartialEq)]
struct Run {
    messages: Vec<(Vec<u8>, Anomalies)>,
    /// How many messages had come when each ping came.
    pings: Vec<usize>,
    line_ends: u64,
    discarded: u64,
}

/// Feeds `pieces`, and takes every frame after each.
fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Run {
    let mut framer = Framer::new();
    let mut run = Run::default();
    let mut take = |framer: &mut Framer| {
        while let Some(frame) = framer.next() {
            match frame {
                Frame::Message { bytes, anomalies } => {
                    run.messages.push((bytes.to_vec(), anomalies));
                }
                Frame::Ping => run.pings.push(run.messages.len()),
            }
        }
        assert!(framer.allocated() <= STREAM_MESSAGE_BYTES_MAX);
    };
    for mut piece in pieces {
        while !piece.is_empty() {
            let taken = framer.feed(piece);
            assert!(taken > 0, "a framer whose frames are taken always has room");
            piece = &piece[taken..];
            take(&mut framer);
        }
    }
    framer.finish();
    take(&mut framer);
    assert!(framer.is_over());
    run.line_ends = framer.line_ends();
    run.discarded = framer.discarded();
    run
}

fn messages(run: &Run) -> Vec<&[u8]> {
    run.messages.iter().map(|(bytes, _)| &bytes[..]).collect()
}

/// `bytes` in pieces of the given lengths, over and over.
fn split<'a>(bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for length in lengths.iter().cycle() {
        let (piece, next) = rest.split_at((*length).clamp(1, rest.len().max(1)).min(rest.len()));
        pieces.push(piece);
        rest = next;
        if rest.is_empty() {
            break;
        }
    }
    pieces
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        3 => mutated(),
        3 => (0..MESSAGES.len()).prop_map(|which| MESSAGES[which].bytes.to_vec()),
        1 => any_input(),
        1 => Just(b"\r\n\r\n".to_vec()),
        1 => Just(b"\r\n".to_vec()),
    ];
    vec(part, 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_split_of_a_stream_gives_the_same_frames(
        bytes in stream(),
        lengths in vec(prop_oneof![Just(1_usize), 1..40_usize, 1..4000_usize], 1..8),
    ) {
        prop_assert_eq!(run(split(&bytes, &lengths)), run([&bytes[..]]));
    }

    #[test]
    fn every_byte_of_a_stream_comes_out_or_is_counted(bytes in stream()) {
        let run = run([&bytes[..]]);
        let in_messages: usize = messages(&run).iter().map(|m| m.len()).sum();
        let counted = in_messages + usize::try_from(run.line_ends + run.discarded).unwrap();
        // CR between messages are not counted; everything else is.
        let returns = bytes.iter().filter(|byte| **byte == b'\r').count();
        prop_assert!(counted <= bytes.len() && bytes.len() <= counted + returns);
    }
}

#[test]
fn whole_messages_come_out_as_they_went_in() {
    let whole: Vec<&[u8]> = [0, 1, 2, 3, 4, 5, 6, 7, 8].map(|which| MESSAGES[which].bytes).to_vec();
    for gap in ["", "\r\n", "\n", "\r\n\r\n\r\n"] {
        let bytes = whole.join(gap.as_bytes());
        for length in [1, 2, 3, 7, 100, bytes.len()] {
            let run = run(bytes.chunks(length));
            assert_eq!(messages(&run), whole);
            assert!(run.messages.iter().all(|(_, anomalies)| anomalies.is_empty()));
        }
    }
}

#[test]
fn two_line_ends_are_a_ping_and_one_is_counted() {
    let invite = MESSAGES[0].bytes;
    let run = run([b"\r\n", &b"\r\n\r"[..], b"\n", invite, b"\r\n\r\n", invite]);
    assert_eq!(run.pings, [0, 1]);
    assert_eq!(run.line_ends, 5);
    assert_eq!(messages(&run), [invite, invite]);
}

#[test]
fn no_content_length_means_no_body_on_a_stream() {
    let bytes = b"ACK sip:a@b SIP/2.0\r\nTo: <sip:a@b>\r\n\r\nACK sip:c@d SIP/2.0\r\n\r\n";
    let run = run([&bytes[..]]);
    assert_eq!(run.messages.len(), 2);
    assert!(run.messages[0].0.ends_with(b"<sip:a@b>\r\n\r\n"));
    assert_eq!(run.messages[0].1.invalid, Anomaly::ContentLengthMissing.bit());
}

#[test]
fn a_content_length_that_cannot_be_read_takes_the_rest_of_the_stream() {
    let bytes = b"ACK sip:a@b SIP/2.0\r\nContent-Length: -1\r\n\r\nACK sip:c@d SIP/2.0\r\n\r\n";
    assert_eq!(messages(&run([&bytes[..]])), [&bytes[..]]);
}

#[test]
fn a_message_beyond_the_limit_comes_out_up_to_the_limit_and_ends_the_stream() {
    for head in ["ACK sip:a@b SIP/2.0\r\nl: 70000\r\n\r\n", "ACK sip:a@b SIP/2.0\r\nX: "] {
        let bytes = [head.as_bytes(), &[b'x'; 70_000]].concat();
        for length in [1, 1000, 70_000] {
            let run = run(bytes.chunks(length));
            assert_eq!(messages(&run), [&bytes[..STREAM_MESSAGE_BYTES_MAX]]);
            assert!(run.messages[0].1.has(Anomaly::TooLarge));
            assert_eq!(run.discarded, (bytes.len() - STREAM_MESSAGE_BYTES_MAX) as u64);
        }
    }
}

#[test]
fn what_is_left_when_the_stream_ends_comes_out_cut() {
    let whole = MESSAGES[0].bytes;
    for end in 1..whole.len() {
        let run = run([&whole[..end]]);
        assert_eq!(messages(&run), [&whole[..end]]);
        assert_eq!(run.messages[0].1.observed, Anomaly::StreamCut.bit());
    }
}

#[test]
fn a_tls_record_and_an_http_request_come_out_when_they_are_whole() {
    let hello = [22, 3, 1, 0, 3, 1, 2, 3];
    let request = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nok";
    for bytes in [&hello[..], &request[..]] {
        let mut framer = Framer::new();
        assert_eq!(framer.feed(&bytes[..bytes.len() - 1]), bytes.len() - 1);
        assert_eq!(framer.next(), None);
        framer.feed(&bytes[bytes.len() - 1..]);
        let Some(Frame::Message { bytes: out, .. }) = framer.next() else { panic!("no frame") };
        assert_eq!(out, bytes);
        assert!(framer.is_over());
        assert_eq!((framer.feed(b"more"), framer.discarded()), (4, 4));
    }
}

#[test]
fn an_idle_framer_holds_little() {
    let mut framer = Framer::new();
    assert_eq!(framer.allocated(), 0);
    let big = [b"ACK sip:a@b SIP/2.0\r\nl: 20000\r\n\r\n", &[b'x'; 20_000][..]].concat();
    framer.feed(&big);
    assert!(framer.next().is_some());
    assert!(framer.next().is_none());
    assert!(framer.allocated() <= FRAMER_KEEP_BYTES);
}

#[test]
fn the_beginning_of_a_message_does_not_keep_the_room_of_a_large_one() {
    let mut framer = Framer::new();
    let large =
        format!("MESSAGE sip:a@h SIP/2.0\r\nContent-Length: 60000\r\n\r\n{}", "x".repeat(60_000));
    framer.feed(large.as_bytes());
    framer.feed(b"AC");
    assert!(
        matches!(framer.next(), Some(Frame::Message { bytes, .. }) if bytes.len() == large.len())
    );
    assert!(framer.next().is_none());
    assert!(framer.allocated() <= FRAMER_KEEP_BYTES);
    framer.feed(b"K sip:a@h SIP/2.0\r\nl: 0\r\n\r\n");
    assert!(
        matches!(framer.next(), Some(Frame::Message { bytes, .. }) if bytes.starts_with(b"ACK sip"))
    );
}
