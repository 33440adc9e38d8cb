//! The streams of a packed block, as they are written.

use zstd::bulk::Compressor;
use zstd::zstd_safe::{self, CParameter};

use crate::bits::{BitMark, BitWriter};
use crate::op::put_varint;

/// How many streams of bytes there are.
pub(crate) const STREAMS: usize = 7;

/// For each message its shape.
pub(crate) const SHAPES: usize = 0;
/// The operations of new shapes.
pub(crate) const OPS: usize = 1;
/// Lengths of tokens.
pub(crate) const LENGTHS: usize = 2;
/// The lower bytes of numbers.
pub(crate) const LOW: usize = 3;
/// Their upper bytes.
pub(crate) const HIGH: usize = 4;
/// Tokens and lines that are in no template.
pub(crate) const LITERALS: usize = 5;
/// Messages that are stored whole. They are the templates.
pub(crate) const WHOLE: usize = 6;

/// The streams of the messages so far.
#[derive(Default)]
pub(crate) struct Streams {
    pub(crate) bytes: [Vec<u8>; STREAMS],
    /// What is random and therefore not packed any further.
    pub(crate) bits: BitWriter,
}

/// How far the streams were.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    lengths: [usize; STREAMS],
    bits: BitMark,
    bits_len: usize,
}

impl Streams {
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            lengths: std::array::from_fn(|n| self.bytes[n].len()),
            bits: self.bits.mark(),
            bits_len: self.bits.len_bits(),
        }
    }

    /// Takes back what was written since.
    pub(crate) fn rewind(&mut self, mark: &Mark) {
        for (stream, len) in self.bytes.iter_mut().zip(mark.lengths) {
            stream.truncate(len);
        }
        self.bits.rewind(mark.bits);
    }

    /// Bytes that were written since.
    pub(crate) fn written_since(&self, mark: &Mark) -> usize {
        let streams = self.bytes.iter().zip(mark.lengths);
        let bytes: usize = streams.map(|(stream, before)| stream.len() - before).sum();
        bytes + (self.bits.len_bits() - mark.bits_len).div_ceil(8)
    }

    /// Removes everything and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.iter_mut().for_each(Vec::clear);
        self.bits.clear();
    }
}

/// Packs streams.
pub(crate) struct Packer {
    zstd: Compressor<'static>,
    frame: Vec<u8>,
    data: Vec<u8>,
}

/// What zstd is asked for.
const FAST: i32 = 1;
/// What it is asked for where text is worth a little more time.
const THOROUGH: i32 = 3;
/// There is so much text only when messages have nothing in common, perhaps on purpose.
const THOROUGH_MAX: usize = 64 * 1024;
/// A stream of so few bytes is stored as it is: a frame has about ten bytes of its own.
const STORED_MAX: usize = 16;

impl Packer {
    pub(crate) fn new() -> Self {
        let mut zstd = or_out_of_memory(Compressor::new(FAST));
        // The table of the streams has the lengths, and the block a checksum.
        for extra in [CParameter::ContentSizeFlag(false), CParameter::ChecksumFlag(false)] {
            or_out_of_memory(zstd.set_parameter(extra));
        }
        Self { zstd, frame: Vec::new(), data: Vec::new() }
    }

    /// Appends the table of the streams and then the streams.
    pub(crate) fn pack(&mut self, streams: &Streams, to: &mut Vec<u8>) {
        self.data.clear();
        for (n, stream) in streams.bytes.iter().enumerate() {
            let is_packed = self.squeeze(stream, level(n, stream.len()));
            put_varint(to, stream.len());
            put_varint(to, if is_packed { self.frame.len() } else { 0 });
            self.data.extend_from_slice(if is_packed { &self.frame } else { stream });
        }
        to.extend_from_slice(&self.data);
        streams.bits.copy_to(to);
    }

    /// Makes a frame of a stream, and says whether it is smaller.
    fn squeeze(&mut self, stream: &[u8], level: i32) -> bool {
        if stream.len() <= STORED_MAX {
            return false;
        }
        or_out_of_memory(self.zstd.set_compression_level(level));
        self.frame.clear();
        self.frame.reserve(zstd_safe::compress_bound(stream.len()));
        or_out_of_memory(self.zstd.compress_to_buffer(stream, &mut self.frame));
        self.frame.len() < stream.len()
    }
}

/// In most streams zstd finds nothing but how often each byte is there, and is quick with that.
fn level(stream: usize, len: usize) -> i32 {
    let is_text = matches!(stream, OPS | LITERALS | WHOLE);
    if is_text && len <= THOROUGH_MAX { THOROUGH } else { FAST }
}

/// The result of a call of zstd that fails only for want of memory.
fn or_out_of_memory<T>(result: std::io::Result<T>) -> T {
    #[expect(clippy::expect_used, reason = "as when any allocation of Rust fails, this is the end")]
    // The levels and parameters are constants that zstd has and the buffer is as large as zstd asks for,
    // so only a lack of memory is left.
    result.expect("memory for zstd")
}
