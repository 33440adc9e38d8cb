//! Keys of NATS: who we are, and the signature that proves it.
//!
//! A seed is text in base32: two bytes that say that it is a seed and whose, 32 bytes, and a checksum. A server
//! sends a nonce and gets its Ed25519 signature; the seed stays here.

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use ring::signature::{Ed25519KeyPair, KeyPair};

/// What the key of a user begins with: `U` in base32.
const USER: u8 = 20 << 3;
/// What the seed of a user begins with: `SU` in base32.
const USER_SEED: [u8; 2] = [18 << 3 | USER >> 5, (USER & 31) << 3];

/// Who we are.
pub(super) struct Credentials {
    /// What an operator has signed, for servers that trust only that.
    pub(super) jwt: Option<String>,
    pair: Ed25519KeyPair,
}

/// Why a text has no credentials. It repeats nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CredentialsError {
    #[error("the file of credentials has no seed of a user (a line that begins with SU)")]
    NoSeed,
    #[error("the seed in the file of credentials is damaged")]
    Damaged,
}

impl Credentials {
    /// Reads a file of credentials: a seed in a line of its own, and perhaps a JWT in another. Lines around them are
    /// for people.
    pub(super) fn read(text: &str) -> Result<Self, CredentialsError> {
        let lines = || text.lines().map(str::trim);
        let seed = lines().find(|line| line.starts_with("SU")).ok_or(CredentialsError::NoSeed)?;
        let is_jwt = |line: &&str| line.starts_with("ey") && line.matches('.').count() == 2;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed_bytes(seed)?);
        Ok(Self {
            jwt: lines().find(is_jwt).map(str::to_owned),
            pair: pair.map_err(|_| CredentialsError::Damaged)?,
        })
    }

    /// Our public key, as servers name it.
    pub(super) fn public(&self) -> String {
        let mut bytes = vec![USER];
        bytes.extend_from_slice(self.pair.public_key().as_ref());
        bytes.extend_from_slice(&checksum(&bytes).to_le_bytes());
        BASE32_NOPAD.encode(&bytes)
    }

    pub(super) fn sign(&self, nonce: &str) -> String {
        BASE64URL_NOPAD.encode(self.pair.sign(nonce.as_bytes()).as_ref())
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

fn seed_bytes(seed: &str) -> Result<[u8; 32], CredentialsError> {
    let bytes = BASE32_NOPAD.decode(seed.as_bytes()).map_err(|_| CredentialsError::Damaged)?;
    let (body, sum) = bytes.split_last_chunk::<2>().ok_or(CredentialsError::Damaged)?;
    match body.split_first_chunk::<2>() {
        Some((&USER_SEED, seed)) if checksum(body) == u16::from_le_bytes(*sum) => {
            seed.try_into().map_err(|_| CredentialsError::Damaged)
        }
        _ => Err(CredentialsError::Damaged),
    }
}

/// CRC-16 with the polynomial 0x1021 and nothing before it (XMODEM's).
fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte) << 8, |sum, _| {
            if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    fn seed(bytes: [u8; 32]) -> String {
        let mut all = USER_SEED.to_vec();
        all.extend_from_slice(&bytes);
        all.extend_from_slice(&checksum(&all).to_le_bytes());
        BASE32_NOPAD.encode(&all)
    }

    #[test]
    fn the_checksum_is_that_of_xmodem() {
        assert_eq!(checksum(b"123456789"), 0x31c3);
    }

    #[test]
    fn a_seed_has_a_public_key_and_signs() {
        let seed = seed([7; 32]);
        assert!(seed.starts_with("SU") && seed.len() == 58, "{seed}");
        let text = format!("-----BEGIN USER NKEY SEED-----\n{seed}\r\n------END------\n");
        let read = Credentials::read(&text).unwrap();
        assert_eq!((read.jwt.as_deref(), read.public().len()), (None, 56));
        assert!(read.public().starts_with('U'));
        let signature = BASE64URL_NOPAD.decode(read.sign("nonce").as_bytes()).unwrap();
        let public = UnparsedPublicKey::new(&ED25519, read.pair.public_key().as_ref());
        public.verify(b"nonce", &signature).unwrap();
    }

    #[test]
    fn a_jwt_stands_in_a_line_of_its_own() {
        let text =
            format!("-----BEGIN NATS USER JWT-----\neyJ0.eyJq.sig\n---\n{}\n", seed([1; 32]));
        assert_eq!(Credentials::read(&text).unwrap().jwt.as_deref(), Some("eyJ0.eyJq.sig"));
    }

    #[test]
    fn what_is_no_seed_is_refused() {
        let good = seed([7; 32]);
        let damaged = good.replacen('A', "B", 1);
        for (text, error) in [
            ("", CredentialsError::NoSeed),
            ("SAAA", CredentialsError::NoSeed),
            ("SU", CredentialsError::Damaged),
            (&good[..56], CredentialsError::Damaged),
            (&damaged, CredentialsError::Damaged),
        ] {
            assert_eq!(Credentials::read(text).unwrap_err(), error, "{text}");
        }
    }
}
