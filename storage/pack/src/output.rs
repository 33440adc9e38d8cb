//! Where a message is put together.
//!
//! Most pieces are short, and of every length. So whole words are written, and what is too much is
//! overwritten by the next piece or cut off in the end: that costs less than to find out how to copy five
//! bytes.

use crate::digits::hex_text;

/// How much may be written after the end of a message.
const SLACK: usize = 16;

/// What is longer is copied exactly.
const SHORT_MAX: usize = 128;

/// A message of known length that is put together at the end of a buffer.
pub(crate) struct Output<'a> {
    bytes: &'a mut Vec<u8>,
    begin: usize,
    at: usize,
    end: usize,
}

impl<'a> Output<'a> {
    /// Begins a message of `len` bytes.
    pub(crate) fn new(bytes: &'a mut Vec<u8>, len: usize) -> Self {
        let begin = bytes.len();
        let end = begin + len;
        bytes.resize(end + SLACK, 0);
        Self { bytes, begin, at: begin, end }
    }

    /// Takes off what does not belong to it, and says whether it has its length.
    pub(crate) fn finish(self) -> Option<()> {
        if self.at < self.end {
            return self.give_up();
        }
        self.bytes.truncate(self.end);
        Some(())
    }

    /// Takes off all of it.
    pub(crate) fn give_up(self) -> Option<()> {
        self.bytes.truncate(self.begin);
        None
    }

    /// Where we are.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Appends `len` bytes of `from` that begin at `start`.
    #[inline]
    pub(crate) fn copy(&mut self, from: &[u8], start: usize, len: usize) -> Option<()> {
        let next = self.step(len)?;
        let mut done = 0;
        while done < len && len <= SHORT_MAX {
            let (Some(to), Some(from)) = (
                self.bytes.get_mut(self.at + done..).and_then(<[u8]>::first_chunk_mut::<SLACK>),
                from.get(start + done..).and_then(<[u8]>::first_chunk::<SLACK>),
            ) else {
                break;
            };
            *to = *from;
            done += SLACK;
        }
        if done < len {
            self.bytes[self.at + done..next].copy_from_slice(from.get(start + done..start + len)?);
        }
        self.at = next;
        Some(())
    }

    /// Appends what was written from `start` to `end`.
    #[inline]
    pub(crate) fn again(&mut self, start: usize, end: usize) -> Option<()> {
        let next = self.step(end - start)?;
        self.bytes.copy_within(start..end, self.at);
        self.at = next;
        Some(())
    }

    /// Appends the first `len` of eight bytes.
    #[inline]
    pub(crate) fn eight(&mut self, word: u64, len: usize) -> Option<()> {
        self.sixteen(u128::from(word), len)
    }

    /// Appends the first `len` of sixteen bytes.
    #[inline]
    pub(crate) fn sixteen(&mut self, word: u128, len: usize) -> Option<()> {
        let next = self.step(len)?;
        *self.bytes.get_mut(self.at..)?.first_chunk_mut::<SLACK>()? = word.to_le_bytes();
        self.at = next;
        Some(())
    }

    /// Appends a byte as two digits of hex.
    pub(crate) fn hex(&mut self, byte: u8) -> Option<()> {
        self.eight(hex_text(byte.into(), 2, b'a'), 2)
    }

    /// Where we are after so many bytes, if there is room for them.
    fn step(&self, len: usize) -> Option<usize> {
        self.at.checked_add(len).filter(|next| *next <= self.end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_of_every_length_make_the_message(
            before in prop::collection::vec(any::<u8>(), 0..3),
            pieces in prop::collection::vec((0..200usize, 0..200usize), 0..10),
        ) {
            let from: Vec<u8> = (0..200).collect();
            let pieces = pieces.into_iter().map(|(start, len)| (start, len.min(from.len() - start)));
            let pieces: Vec<(usize, usize)> = pieces.collect();
            let expected: Vec<u8> =
                pieces.iter().flat_map(|(start, len)| &from[*start..start + len]).copied().collect();
            let mut bytes = before.clone();
            let mut output = Output::new(&mut bytes, expected.len());
            for (start, len) in pieces {
                prop_assert!(output.copy(&from, start, len).is_some());
            }
            prop_assert!(output.eight(0, 1).is_none());
            prop_assert!(output.finish().is_some());
            prop_assert_eq!(bytes, [before, expected].concat());
        }
    }

    #[test]
    fn a_piece_that_does_not_fit_or_is_not_there_is_refused() {
        let mut bytes = b"before".to_vec();
        let mut output = Output::new(&mut bytes, 20);
        assert!(output.copy(b"abc", 0, 3).is_some());
        assert!(output.copy(b"abc", 1, 3).is_none());
        assert!(output.copy(&[0; 40], 0, 18).is_none());
        assert!(output.again(6, 26).is_none());
        assert!(output.again(6, 9).is_some());
        assert!(output.sixteen(0, 15).is_none());
        assert!(output.hex(0x3f).is_some());
        assert!(output.finish().is_none(), "a message that is too short");
        assert_eq!(bytes, b"before");
    }
}
