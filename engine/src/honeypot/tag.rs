//! The To-tag of our answers: a keyed hash, so that a retransmission gets the same answer although
//! nothing is remembered.

use std::hash::Hasher as _;
use std::net::IpAddr;

use sentrypeer_storage::event::SourceKey;
use siphasher::sip128::{Hasher128, SipHasher24};

/// Characters of a tag: 80 bits in hexadecimal.
pub const TAG_BYTES: usize = 20;

/// The key that tags are made with; it belongs to one node and survives its restarts.
#[derive(Clone)]
pub struct TagKey([u8; 16]);

impl std::fmt::Debug for TagKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TagKey(..)")
    }
}

impl TagKey {
    /// The tag key of a node with this secret.
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        // A hash of the secret, and not the secret itself, which other keys will come from too.
        let mut hasher = SipHasher24::new_with_keys(word(&secret[..8]), word(&secret[8..16]));
        hasher.write(b"to-tag");
        hasher.write(&secret[16..]);
        Self(hasher.finish128().as_bytes())
    }

    /// The tag for a dialog that `source` opens with this Call-ID and From tag.
    #[must_use]
    pub fn tag(&self, source: IpAddr, call_id: &[u8], from_tag: &[u8]) -> [u8; TAG_BYTES] {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(&SourceKey::of(source).0);
        // Lengths keep "ab" + "c" and "a" + "bc" apart.
        hasher.write_usize(call_id.len());
        hasher.write(call_id);
        hasher.write(from_tag);
        let hash = hasher.finish128().as_bytes();
        let mut tag = [0; TAG_BYTES];
        for (pair, byte) in tag.chunks_exact_mut(2).zip(hash) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        tag
    }
}

const HEX: [u8; 16] = *b"0123456789abcdef";

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retransmission_gets_the_same_tag_and_any_other_request_another() {
        let key = TagKey::from_secret(&[7; 32]);
        let source = IpAddr::from([192, 0, 2, 1]);
        let tag = key.tag(source, b"ab", b"c");
        assert_eq!(tag, key.tag(source, b"ab", b"c"));
        assert_ne!(tag, key.tag(source, b"a", b"bc"));
        assert_ne!(tag, key.tag(IpAddr::from([192, 0, 2, 2]), b"ab", b"c"));
        assert_ne!(tag, TagKey::from_secret(&[8; 32]).tag(source, b"ab", b"c"));
        assert!(tag.iter().all(u8::is_ascii_hexdigit));
    }
}
