//! Numbers of up to 56 bits, one after the other without gaps, the lowest bit first.

/// Most bits that one number may have.
pub(crate) const WIDTH_MAX: u32 = 56;

/// Writes numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    /// The bits of the word that is not full yet.
    last: u64,
    used: u32,
}

/// How far a writer was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BitMark {
    len: usize,
    last: u64,
    used: u32,
}

impl BitWriter {
    /// Appends the lowest `width` bits of `number`; those above must be 0.
    #[inline]
    pub(crate) fn put(&mut self, number: u64, width: u32) {
        debug_assert!(width <= WIDTH_MAX && number >> width == 0);
        self.last |= number << self.used;
        self.used += width;
        if self.used >= u64::BITS {
            self.bytes.extend_from_slice(&self.last.to_le_bytes());
            self.used -= u64::BITS;
            // What found no place any more: less than `width`, which is less than a word.
            self.last = number >> (width - self.used);
        }
    }

    pub(crate) fn len_bits(&self) -> usize {
        self.bytes.len() * 8 + self.used as usize
    }

    pub(crate) fn mark(&self) -> BitMark {
        BitMark { len: self.bytes.len(), last: self.last, used: self.used }
    }

    pub(crate) fn rewind(&mut self, mark: BitMark) {
        self.bytes.truncate(mark.len);
        (self.last, self.used) = (mark.last, mark.used);
    }

    /// Appends what there is to `to`, filled up with zeros to a whole byte.
    pub(crate) fn copy_to(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.bytes);
        to.extend_from_slice(&self.last.to_le_bytes()[..self.used.div_ceil(8) as usize]);
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        (self.last, self.used) = (0, 0);
    }
}

/// Reads numbers.
#[derive(Clone, Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next number of `width` bits, at most [`WIDTH_MAX`].
    pub(crate) fn take(&mut self, width: u32) -> Option<u64> {
        let from = self.at / 8;
        let shift = (self.at % 8) as u32;
        self.skip(width as usize)?;
        let rest = self.bytes.get(from..)?;
        let word = match rest.first_chunk::<8>() {
            Some(word) => u64::from_le_bytes(*word),
            None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        Some(word >> shift & !(u64::MAX << width))
    }

    /// Passes over `width` bits.
    pub(crate) fn skip(&mut self, width: usize) -> Option<()> {
        let end = self.at.checked_add(width)?;
        (end <= self.bytes.len() * 8).then(|| self.at = end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back_as_they_went_in(
            numbers in prop::collection::vec((any::<u64>(), 0..=WIDTH_MAX), 0..200),
        ) {
            let numbers: Vec<(u64, u32)> =
                numbers.into_iter().map(|(n, width)| (n & !(u64::MAX << width), width)).collect();
            let mut writer = BitWriter::default();
            numbers.iter().for_each(|(number, width)| writer.put(*number, *width));
            let mut bytes = Vec::new();
            writer.copy_to(&mut bytes);
            prop_assert_eq!(bytes.len(), writer.len_bits().div_ceil(8));
            let mut reader = BitReader::new(&bytes);
            for (number, width) in numbers {
                prop_assert_eq!(reader.take(width), Some(number));
            }
            prop_assert_eq!(reader.take(8), None);
        }
    }

    #[test]
    fn a_writer_goes_back_to_where_it_was() {
        let mut writer = BitWriter::default();
        writer.put(5, 3);
        let mark = writer.mark();
        (0..20).for_each(|n| writer.put(n, 50));
        writer.rewind(mark);
        writer.put(1, 1);
        let mut bytes = Vec::new();
        writer.copy_to(&mut bytes);
        assert_eq!(bytes, [0b1101]);
    }

    #[test]
    fn a_byte_that_is_not_there_is_not_read() {
        let mut reader = BitReader::new(&[0xff; 3]);
        assert_eq!(reader.take(20), Some(0xf_ffff));
        assert_eq!(reader.take(5), None);
        assert_eq!(reader.take(4), Some(0xf));
        assert_eq!(reader.skip(usize::MAX), None);
    }
}
