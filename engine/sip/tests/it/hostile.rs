//! Inputs that are made to be expensive are read like any other. What they cost is measured by the
//! benches, for no test fails on a time.

use sentrypeer_sip::{Frame, Framer, parse};

use super::expensive::{everything, inputs};
use super::slow;

#[test]
fn a_slow_reader_reads_expensive_inputs_the_same() {
    // The slow reader needs the square of the length for some of them.
    for (name, bytes) in inputs(8_000) {
        assert_eq!(slow::of(&parse(&bytes)), slow::read(&bytes), "{name}");
    }
}

#[test]
fn everything_can_be_asked_of_64_kb() {
    let answers = inputs(64_000).into_iter().map(|(_, bytes)| everything(&bytes));
    assert!(answers.sum::<usize>() > 0);
}

#[test]
fn a_stream_of_single_bytes_gives_expensive_inputs_whole() {
    for (name, bytes) in inputs(64_000) {
        let mut whole = Framer::new();
        whole.feed(&bytes);
        let mut framer = Framer::new();
        let mut frames = Vec::new();
        for byte in &bytes {
            framer.feed(std::slice::from_ref(byte));
            collect(&mut framer, &mut frames);
        }
        for framer in [&mut framer, &mut whole] {
            framer.finish();
        }
        collect(&mut framer, &mut frames);
        let mut expected = Vec::new();
        collect(&mut whole, &mut expected);
        assert_eq!(frames.len(), expected.len(), "{name}");
        assert!(frames == expected, "{name}");
    }
}

/// The messages that the framer has.
fn collect(framer: &mut Framer, into: &mut Vec<Vec<u8>>) {
    while let Some(frame) = framer.next() {
        if let Frame::Message { bytes, .. } = frame {
            into.push(bytes.to_vec());
        }
    }
}
