//! What a table of aggregates is looked up by.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::event::SourceKey;
use crate::number;

/// A key of a [`crate::snapshot::Table`]: ordered by its bytes, which are also what is stored.
pub trait Key: Clone + Ord + Hash {
    /// The key's bytes. Two keys are equal exactly when these are.
    fn as_bytes(&self) -> &[u8];

    /// The key with these bytes, if they are one.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

impl Key for SourceKey {
    fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// What a called number counts under: its comparison key, see [`crate::number`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumberKey(ShortBytes);

impl NumberKey {
    /// The key of a number as it was sent, percent-decoded.
    #[must_use]
    pub fn of(number: &[u8]) -> Self {
        let mut buffer = [0; crate::event::NUMBER_BYTES_MAX];
        Self(ShortBytes::new(number::comparison_key(number, &mut buffer)))
    }

    /// The number without visual separators.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Key for NumberKey {
    fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(ShortBytes::new(bytes)))
    }
}

impl fmt::Debug for NumberKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NumberKey({})", self.0.as_bytes().escape_ascii())
    }
}

/// What a user agent counts under: its bytes as sent.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentKey(ShortBytes);

impl AgentKey {
    /// The key of a user agent as it was sent.
    #[must_use]
    pub fn of(agent: &[u8]) -> Self {
        Self(ShortBytes::new(agent))
    }

    /// The user agent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Key for AgentKey {
    fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(ShortBytes::new(bytes)))
    }
}

impl fmt::Debug for AgentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentKey({})", self.0.as_bytes().escape_ascii())
    }
}

/// Bytes that a phone number or a common user agent fits into without an allocation of its own:
/// as many as make the whole 24 bytes long.
const INLINE_MAX: usize = 22;

/// A short byte string of 24 bytes: a million numbers stay small and lie beside each other.
#[derive(Clone)]
enum ShortBytes {
    Inline { len: u8, bytes: [u8; INLINE_MAX] },
    Heap(Box<[u8]>),
}

impl ShortBytes {
    fn new(from: &[u8]) -> Self {
        let mut bytes = [0; INLINE_MAX];
        match (bytes.get_mut(..from.len()), u8::try_from(from.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(from);
                Self::Inline { len, bytes }
            }
            _ => Self::Heap(from.into()),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len).min(INLINE_MAX)],
            Self::Heap(bytes) => bytes,
        }
    }
}

impl PartialEq for ShortBytes {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for ShortBytes {}

impl PartialOrd for ShortBytes {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ShortBytes {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for ShortBytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Without the length that a slice would add: nothing else is hashed with it.
        state.write(self.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_24_bytes_and_keeps_any_length() {
        assert_eq!(size_of::<NumberKey>(), 24);
        for len in [0, 1, 21, 22, 23, 128, 256] {
            let bytes = vec![b'x'; len];
            assert_eq!(AgentKey::of(&bytes).as_bytes(), bytes);
        }
    }

    #[test]
    fn keys_sort_by_their_bytes_whatever_their_length() {
        let long = AgentKey::of(&[b'a'; 100]);
        let short = AgentKey::of(b"b");
        assert!(long < short);
        assert!(AgentKey::of(b"a") < long);
    }
}
