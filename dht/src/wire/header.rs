//! What stands before every batch, in clear and signed.
//!
//! ```text
//!   0  4  "SP2B"
//!   4  1  version, 1
//!   5  1  kind: 1 sources, 2 numbers, 3 withdrawals
//!   6 32  the node's public key (Ed25519)
//!  38  4  epoch
//!  42  8  sequence: epoch << 16 | n
//!  50 32  id of the node's batch before this one; zeros for its first
//!  82  2  records in the body
//!  84  4  length of the body before sealing
//!  88  1  chunks; 0 if the sealed body follows at once
//!  89 32  key commitment
//! ```

use super::bytes::{Input, put_opening};
use super::{NodeKey, Refused};
use crate::epoch::{Epoch, Sequence};
use crate::limits::{
    BODY_BYTES_MAX, CHUNK_PLAIN_BYTES_MAX, INLINE_BYTES_MAX, RECORDS_MAX, SEAL_BYTES,
};

/// Length of a header in bytes.
pub const HEADER_BYTES: usize = 121;

/// Length of an Ed25519 signature in bytes (RFC 8032).
pub const SIGNATURE_BYTES: usize = 64;

const MAGIC: [u8; 4] = *b"SP2B";

/// What a batch tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Addresses that misbehaved.
    Sources = 1,
    /// Numbers that were called.
    Numbers = 2,
    /// Addresses and numbers that the node takes back.
    Withdrawals = 3,
}

impl Kind {
    /// Every kind, in the order of its code.
    pub const ALL: [Self; 3] = [Self::Sources, Self::Numbers, Self::Withdrawals];

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }

    /// The name that the outside interfaces use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sources => "sources",
            Self::Numbers => "numbers",
            Self::Withdrawals => "withdrawals",
        }
    }
}

/// The header of a batch. One that was read holds together: see [`Header::decode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the batch tells.
    pub kind: Kind,
    /// Who says so.
    pub node: NodeKey,
    /// Which of the node's batches it is.
    pub sequence: Sequence,
    /// The id of the one before it; zeros for the first.
    pub previous: [u8; 32],
    /// Records in the body.
    pub records: u16,
    /// Length of the body before sealing, in bytes.
    pub body_bytes: u32,
    /// What only the right key gives: see [`crate::keys::BatchKey`].
    pub commitment: [u8; 32],
}

impl Header {
    /// The epoch that the batch is of.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.sequence.epoch()
    }

    /// Chunks that the sealed body is cut into; 0 if it follows the header at once, which it does
    /// when everything fits one packet.
    #[must_use]
    pub fn chunks(&self) -> usize {
        let body = self.body_bytes as usize;
        if HEADER_BYTES + SIGNATURE_BYTES + body + SEAL_BYTES <= INLINE_BYTES_MAX {
            0
        } else {
            body.div_ceil(CHUNK_PLAIN_BYTES_MAX)
        }
    }

    /// The bytes that are signed and that sealing depends on.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        put_opening(&mut out, MAGIC);
        out.push(self.kind as u8);
        out.extend_from_slice(&self.node.0);
        out.extend_from_slice(&self.epoch().0.to_be_bytes());
        out.extend_from_slice(&self.sequence.0.to_be_bytes());
        out.extend_from_slice(&self.previous);
        out.extend_from_slice(&self.records.to_be_bytes());
        out.extend_from_slice(&self.body_bytes.to_be_bytes());
        out.push(self.chunks() as u8);
        out.extend_from_slice(&self.commitment);
        let mut header = [0; HEADER_BYTES];
        header.copy_from_slice(&out);
        header
    }

    /// Reads a header.
    ///
    /// # Errors
    ///
    /// When a field is out of range, or two do not agree: epoch and sequence, length and chunks.
    pub fn decode(input: &mut Input<'_>) -> Result<Self, Refused> {
        input.opening(MAGIC)?;
        let kind = Kind::from_code(input.byte()?).ok_or(Refused::Range("kind"))?;
        let node = NodeKey(input.take()?);
        let epoch = Epoch(input.u32()?);
        let sequence = Sequence(input.u64()?);
        let previous = input.take()?;
        let (records, body_bytes, chunks) = (input.u16()?, input.u32()?, input.byte()?);
        let commitment = input.take()?;
        let header = Self { kind, node, sequence, previous, records, body_bytes, commitment };
        if Sequence::new(epoch, sequence.n()) != sequence {
            return Err(Refused::Range("sequence"));
        }
        if usize::from(records) > RECORDS_MAX {
            return Err(Refused::Range("records"));
        }
        if body_bytes as usize > BODY_BYTES_MAX {
            return Err(Refused::Range("body length"));
        }
        if usize::from(chunks) != header.chunks() {
            return Err(Refused::Range("chunks"));
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn header() -> Header {
        Header {
            kind: Kind::Numbers,
            node: NodeKey([7; 32]),
            sequence: Sequence::new(Epoch(2_992_463), 3),
            previous: [8; 32],
            records: 12,
            body_bytes: 20_000,
            commitment: [9; 32],
        }
    }

    fn decode(bytes: &[u8]) -> Result<Header, Refused> {
        let mut input = Input::new(bytes);
        let header = Header::decode(&mut input)?;
        input.end().map(|()| header)
    }

    #[test]
    fn a_header_is_read_as_it_was_written_and_every_cut_is_refused() {
        for body_bytes in [0, 1, 399, 400, 8176, 8177, BODY_BYTES_MAX as u32] {
            let header = Header { body_bytes, ..header() };
            let bytes = header.encode();
            assert_eq!(decode(&bytes), Ok(header));
            for end in 0..bytes.len() {
                assert_eq!(decode(&bytes[..end]), Err(Refused::Short));
            }
        }
    }

    #[test]
    fn fields_that_do_not_agree_are_refused() {
        let changed = |at: usize, to: u8| {
            let mut bytes = header().encode();
            bytes[at] = to;
            decode(&bytes)
        };
        assert_eq!(changed(0, b'X'), Err(Refused::Magic));
        assert_eq!(changed(4, 2), Err(Refused::Version));
        assert_eq!(changed(5, 0), Err(Refused::Range("kind")));
        assert_eq!(changed(5, 4), Err(Refused::Range("kind")));
        assert_eq!(changed(41, 0), Err(Refused::Range("sequence")));
        assert_eq!(changed(42, 1), Err(Refused::Range("sequence")));
        assert_eq!(changed(82, 0xff), Err(Refused::Range("records")));
        assert_eq!(changed(84, 1), Err(Refused::Range("body length")));
        assert_eq!(changed(88, 0), Err(Refused::Range("chunks")));
        assert_eq!(changed(88, 4), Err(Refused::Range("chunks")));
    }

    #[test]
    fn what_fits_one_packet_follows_the_header() {
        let chunks = |body_bytes| Header { body_bytes, ..header() }.chunks();
        assert_eq!((chunks(0), chunks(399), chunks(400)), (0, 0, 1));
        assert_eq!((chunks(8176), chunks(8177)), (1, 2));
    }
}
