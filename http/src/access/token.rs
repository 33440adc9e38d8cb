//! The text of a token, and what is kept of it.
//!
//! A token is `sp_`, its id, `_` and its secret, the last two in hexadecimal: the id says where to
//! look, so only one hash is compared, in constant time. What is kept is the plain SHA-256 of the
//! secret. That is right for 256 random bits: slow hashes are for what people choose, of which there
//! are few enough to try; nobody tries 2^256.

use std::fmt::Write;

use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

/// Bytes of randomness that a token is made of: 8 for its id, 32 for its secret.
pub const RANDOM_BYTES: usize = ID_BYTES + SECRET_BYTES;

const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
const PREFIX: &str = "sp_";

/// A token's text, which is shown once and never kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
}

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) id: String,
    pub(super) hash: Hash,
}

/// A SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hash(pub(super) [u8; 32]);

impl Secret {
    /// A new token of random bytes.
    pub(super) fn new(random: &[u8; RANDOM_BYTES]) -> (Self, Kept) {
        let (id, secret) = random.split_at(ID_BYTES);
        let (id, secret) = (hex(id), hex(secret));
        let hash = Hash::of(&secret);
        (Self { text: format!("{PREFIX}{id}_{secret}") }, Kept { id, hash })
    }

    /// The text that a client shows.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A log had better not have it.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// The id and the secret of a token's text; `None` for what cannot be one.
pub(super) fn parts(text: &str) -> Option<(&str, &str)> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let fits = id.len() == 2 * ID_BYTES && secret.len() == 2 * SECRET_BYTES;
    fits.then_some((id, secret))
}

impl Hash {
    fn of(secret: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
        Self(hash)
    }

    /// Whether this is the hash of `secret`, in a time that says nothing about it.
    pub(super) fn is_of(&self, secret: &str) -> bool {
        self.0.ct_eq(&Self::of(secret).0).into()
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing into a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes that hexadecimal digits stand for, if there are just so many.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_hash_alone() {
        let (secret, kept) = Secret::new(&[0xa5; RANDOM_BYTES]);
        let (id, text) = parts(secret.text()).unwrap();
        assert_eq!(id, kept.id);
        assert!(kept.hash.is_of(text));
        assert!(!kept.hash.is_of(&text.replace("a5", "a6")));
        assert!(!format!("{secret:?} {kept:?}").contains(text));
    }

    #[test]
    fn what_is_no_token_has_no_parts() {
        let (secret, _) = Secret::new(&[7; RANDOM_BYTES]);
        let good = secret.text();
        assert!(parts(good).is_some());
        for bad in ["", "sp_", "sp__", &good[1..], &good[..good.len() - 1], &format!("{good}0")] {
            assert!(parts(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn hexadecimal_goes_both_ways_and_takes_nothing_else() {
        assert_eq!(hex(&[0, 255, 16]), "00ff10");
        assert_eq!(unhex("00FF10"), Some([0, 255, 16]));
        for bad in ["00ff1", "00ff1g", "00ff1000", "+0ff10", "ä0000"] {
            assert_eq!(unhex::<3>(bad), None, "{bad}");
        }
    }
}
