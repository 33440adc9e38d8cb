//! However a stream is cut into pieces, the same frames come out of it.

use sentrypeer_sip::limits::STREAM_MESSAGE_BYTES_MAX;
use sentrypeer_sip::{Frame, Framer};

/// The first byte says how long the pieces are; the rest is the stream. The oracle is the same
/// stream in one piece.
pub fn check(data: &[u8]) {
    let Some((piece, stream)) = data.split_first() else { return };
    let whole = frames(stream, stream.len().max(1));
    let pieces = frames(stream, usize::from(*piece).max(1));
    assert_eq!(whole, pieces);
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Message(Vec<u8>, u64, u64),
    Ping,
}

#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    frames: Vec<Seen>,
    line_ends: u64,
    discarded: u64,
}

fn frames(stream: &[u8], piece: usize) -> Outcome {
    let mut framer = Framer::new();
    let mut frames = Vec::new();
    let mut message_bytes = 0;
    for mut bytes in stream.chunks(piece) {
        while !bytes.is_empty() {
            let taken = framer.feed(bytes);
            bytes = &bytes[taken..];
            let before = frames.len();
            take(&mut framer, &mut frames, &mut message_bytes);
            assert!(taken > 0 || frames.len() > before, "neither bytes in nor frames out");
            assert!(framer.allocated() <= STREAM_MESSAGE_BYTES_MAX);
        }
    }
    framer.finish();
    take(&mut framer, &mut frames, &mut message_bytes);
    assert!(framer.is_over(), "the stream has ended");
    assert!(message_bytes as u64 + framer.discarded() <= stream.len() as u64, "bytes from nowhere");
    Outcome { frames, line_ends: framer.line_ends(), discarded: framer.discarded() }
}

fn take(framer: &mut Framer, into: &mut Vec<Seen>, message_bytes: &mut usize) {
    while let Some(frame) = framer.next() {
        into.push(match frame {
            Frame::Message { bytes, anomalies } => {
                assert!(!bytes.is_empty() && bytes.len() <= STREAM_MESSAGE_BYTES_MAX);
                *message_bytes += bytes.len();
                Seen::Message(bytes.to_vec(), anomalies.observed, anomalies.invalid)
            }
            Frame::Ping => Seen::Ping,
        });
    }
}
