//! The pieces that all layouts are made of: fixed fields and varints.

use super::Refused;

/// Bytes that are still to be read.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    ///
    /// When there are not as many.
    pub fn take<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Refused::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    ///
    /// When there are not as many.
    pub fn slice(&mut self, len: usize) -> Result<&'a [u8], Refused> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Refused::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next byte.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn byte(&mut self) -> Result<u8, Refused> {
        self.take::<1>().map(|[byte]| byte)
    }

    /// The next two bytes as a number.
    ///
    /// # Errors
    ///
    /// When they are not there.
    pub fn u16(&mut self) -> Result<u16, Refused> {
        self.take().map(u16::from_be_bytes)
    }

    /// The next four bytes as a number.
    ///
    /// # Errors
    ///
    /// When they are not there.
    pub fn u32(&mut self) -> Result<u32, Refused> {
        self.take().map(u32::from_be_bytes)
    }

    /// The next eight bytes as a number.
    ///
    /// # Errors
    ///
    /// When they are not there.
    pub fn u64(&mut self) -> Result<u64, Refused> {
        self.take().map(u64::from_be_bytes)
    }

    /// The next varint: seven bits a byte, the lowest first, the high bit set in all but the last.
    ///
    /// # Errors
    ///
    /// When it ends in the middle, is larger than `max`, or has a byte more than it needs. `what` is
    /// the name of the field.
    pub fn varint(&mut self, max: u64, what: &'static str) -> Result<u64, Refused> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                return Err(Refused::Range(what));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return if value <= max { Ok(value) } else { Err(Refused::Range(what)) };
            }
        }
        Err(Refused::Range(what))
    }

    /// What begins a layout: four bytes that name it, and its version.
    ///
    /// # Errors
    ///
    /// When it is something else, or of another version.
    pub fn opening(&mut self, magic: [u8; 4]) -> Result<(), Refused> {
        if self.take()? != magic {
            return Err(Refused::Magic);
        }
        if self.byte()? == super::VERSION { Ok(()) } else { Err(Refused::Version) }
    }

    /// How many bytes are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The end.
    ///
    /// # Errors
    ///
    /// When something is left.
    pub fn end(self) -> Result<(), Refused> {
        if self.0.is_empty() { Ok(()) } else { Err(Refused::Long) }
    }
}

/// Appends a varint; see [`Input::varint`].
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends what begins a layout; see [`Input::opening`].
pub fn put_opening(out: &mut Vec<u8>, magic: [u8; 4]) {
    out.extend_from_slice(&magic);
    out.push(super::VERSION);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<u64, Refused> {
        let mut input = Input::new(bytes);
        let value = input.varint(u64::MAX, "it")?;
        input.end().map(|()| value)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value: u64) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            prop_assert_eq!(read(&bytes), Ok(value));
        }

        #[test]
        fn what_is_read_would_be_written_so(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            if let Ok(value) = read(&bytes) {
                let mut again = Vec::new();
                put_varint(&mut again, value);
                prop_assert_eq!(again, bytes);
            }
        }
    }

    #[test]
    fn a_varint_that_is_longer_than_it_needs_is_refused() {
        let wrong = Err(Refused::Range("it"));
        assert_eq!(read(&[0x80, 0]), wrong);
        assert_eq!(read(&[0xff, 0x80, 0x00]), wrong);
        assert_eq!(read(&[0xff; 11]), wrong);
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), wrong);
        assert_eq!(read(&[0x80]), Err(Refused::Short));
        let mut input = Input::new(&[5]);
        assert_eq!(input.varint(4, "it"), wrong);
    }
}
