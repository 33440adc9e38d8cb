//! What goes over the wire, byte by byte. `docs/peer-protocol.md` has the layouts and test vectors.
//!
//! Every decoder is strict: what it takes has exactly one encoding, and what is left over or out of
//! range is refused. So two nodes never read the same bytes differently, and nobody can make two
//! values of one. Nothing here allocates by a number that is not bounded first.
//!
//! Numbers of fixed length are big-endian. Read [`bytes`] (varints), [`header`], [`body`] with
//! [`source`] and [`number`], [`batch`], then [`announcement`], [`grant`] and [`proof`].

pub mod announcement;
pub mod batch;
pub mod body;
pub mod bytes;
pub mod grant;
pub mod header;
pub mod number;
pub mod proof;
pub mod source;

use std::fmt;

/// The version that all layouts carry.
pub const VERSION: u8 = 1;

/// A node's Ed25519 public key (RFC 8032), which is its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey(pub [u8; 32]);

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begin = &self.0[..4];
        f.write_str("NodeKey(")?;
        begin.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…)")
    }
}

/// A text that is no node key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the key of a node, which is 64 hexadecimal digits")]
pub struct NotANodeKey;

impl std::str::FromStr for NodeKey {
    type Err = NotANodeKey;

    fn from_str(text: &str) -> Result<Self, NotANodeKey> {
        let mut key = [0; 32];
        let digits = text.as_bytes();
        if digits.len() != 2 * key.len() || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(NotANodeKey);
        }
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| NotANodeKey)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NotANodeKey)?;
        }
        Ok(Self(key))
    }
}

/// Why bytes from another node were refused. All of them are the other node's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// It ends in the middle.
    #[error("too short")]
    Short,
    /// There is more than there should be.
    #[error("too long")]
    Long,
    /// It does not begin as it should.
    #[error("something else")]
    Magic,
    /// It is of a version that this program does not know.
    #[error("of an unknown version")]
    Version,
    /// A field is out of its range, or not written in the one way there is.
    #[error("{0} out of range")]
    Range(&'static str),
    /// Records are not in order, or one is there twice.
    #[error("records out of order")]
    Order,
    /// The signature is not the node's.
    #[error("wrong signature")]
    Signature,
    /// The key that opens it is not the one that it was made for.
    #[error("wrong key commitment")]
    Commitment,
    /// What is sealed was changed, or is sealed for another key.
    #[error("cannot be opened")]
    Sealed,
    /// A chunk is not the one that the manifest names.
    #[error("wrong chunk")]
    Chunk,
}

impl Refused {
    /// A short name for counts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Short | Self::Long => "length",
            Self::Magic => "magic",
            Self::Version => "version",
            Self::Range(_) => "range",
            Self::Order => "order",
            Self::Signature => "signature",
            Self::Commitment => "commitment",
            Self::Sealed => "sealed",
            Self::Chunk => "chunk",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_key_is_read_as_it_is_shown() {
        let key = NodeKey(std::array::from_fn(|at| at as u8 * 7));
        assert_eq!(key.to_string().parse(), Ok(key));
        for wrong in ["", "00", &"g".repeat(64), &"é".repeat(32), &"0".repeat(65)] {
            assert_eq!(wrong.parse::<NodeKey>(), Err(NotANodeKey));
        }
    }
}
