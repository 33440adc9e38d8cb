//! The streams of a packed block, as they are read.

use std::cell::RefCell;

use zstd::bulk::Decompressor;

use crate::bits::BitReader;
use crate::op::{Op, varint};
use crate::stream::{LENGTHS, LITERALS, OPS, STREAMS};

/// The streams, and how far they are read.
pub(crate) struct Incoming<'a> {
    /// All streams but that of the bits, one after the other.
    bytes: Vec<u8>,
    at: [usize; STREAMS],
    ends: [usize; STREAMS],
    pub(crate) bits: BitReader<'a>,
}

impl<'a> Incoming<'a> {
    /// Unpacks the streams if they have at most `bytes_max` bytes.
    pub(crate) fn new(packed: &'a [u8], bytes_max: usize) -> Option<Self> {
        let mut rest = packed;
        let mut table = [(0, 0); STREAMS];
        for (len, packed_len) in &mut table {
            *len = varint(&mut rest)?;
            *packed_len = varint(&mut rest)?;
        }
        let sum = table.iter().map(|(len, _)| len).sum();
        if sum > bytes_max {
            return None;
        }
        let mut bytes = vec![0; sum];
        let (mut at, mut ends, mut end) = ([0; STREAMS], [0; STREAMS], 0);
        for (n, (len, packed_len)) in table.into_iter().enumerate() {
            at[n] = end;
            end += len;
            ends[n] = end;
            let stored = if packed_len == 0 { len } else { packed_len };
            let (stream, others) = rest.split_at_checked(stored)?;
            rest = others;
            unpack(stream, packed_len > 0, &mut bytes[at[n]..end])?;
        }
        Some(Self { bytes, at, ends, bits: BitReader::new(rest) })
    }

    /// All streams. [`Self::take`] and [`Self::literal`] give places in it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What is left of a stream.
    fn rest(&self, stream: usize) -> &[u8] {
        &self.bytes[self.at[stream]..self.ends[stream]]
    }

    /// Takes something off the begin of a stream.
    #[inline]
    fn read<T>(&mut self, stream: usize, read: impl FnOnce(&mut &[u8]) -> Option<T>) -> Option<T> {
        let mut rest = self.rest(stream);
        let before = rest.len();
        let found = read(&mut rest)?;
        self.at[stream] += before - rest.len();
        Some(found)
    }

    /// Takes a number from a stream.
    #[inline]
    pub(crate) fn varint(&mut self, stream: usize) -> Option<usize> {
        self.read(stream, varint)
    }

    /// Takes an operation.
    pub(crate) fn op(&mut self) -> Option<Op> {
        self.read(OPS, Op::read)
    }

    /// Takes a literal: where it begins, and its length.
    #[inline]
    pub(crate) fn literal(&mut self) -> Option<(usize, usize)> {
        let len = self.varint(LENGTHS)?;
        Some((self.take(LITERALS, len)?, len))
    }

    /// Takes a byte from a stream.
    #[inline]
    pub(crate) fn byte(&mut self, stream: usize) -> Option<u8> {
        let place = self.take(stream, 1)?;
        self.bytes.get(place).copied()
    }

    /// Takes so many bytes from a stream: where they begin.
    #[inline]
    pub(crate) fn take(&mut self, stream: usize, len: usize) -> Option<usize> {
        let start = self.at[stream];
        let end = start.checked_add(len).filter(|end| *end <= self.ends[stream])?;
        self.at[stream] = end;
        Some(start)
    }
}

thread_local! {
    /// Kept, for making one takes as long as unpacking a small stream.
    static ZSTD: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Puts a stream where it belongs.
fn unpack(stream: &[u8], is_packed: bool, to: &mut [u8]) -> Option<()> {
    if !is_packed {
        to.copy_from_slice(stream);
        return Some(());
    }
    let len = unpack_zstd(stream, to)?;
    (len == to.len()).then_some(())
}

/// Unpacks one zstd frame into `to`, which it need not fill, and returns its length. `None` if it is not
/// one or does not fit.
pub fn unpack_zstd(frame: &[u8], to: &mut [u8]) -> Option<usize> {
    ZSTD.with_borrow_mut(|zstd| {
        let zstd = match zstd {
            Some(zstd) => zstd,
            None => zstd.insert(Decompressor::new().ok()?),
        };
        zstd.decompress_to_buffer(frame, to).ok()
    })
}
