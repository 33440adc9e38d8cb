//! A day key, sealed for one recipient and signed by who gives it.
//!
//! ```text
//!   0  4  "SP2G"
//!   4  1  version, 1
//!   5 32  the granter's public key (Ed25519)
//!  37 32  the recipient's (Ed25519)
//!  69  4  day
//!  73 32  a key made for this grant (X25519)
//! 105 48  the day key, sealed
//! 153 64  the granter's signature of "sp2 grant" and all before it
//! ```
//!
//! It is sealed with ChaCha20-Poly1305, nonce zero, the first 105 bytes as additional data, under
//! HKDF-SHA256 of what the made key and the recipient's share, with the info "sp2 grant" ‖ made key ‖
//! recipient's seal key ‖ granter ‖ recipient ‖ day.

use ring::aead::Aad;
use x25519_dalek::{PublicKey, StaticSecret};

use super::bytes::{Input, put_opening};
use super::{NodeKey, Refused};
use crate::epoch::Day;
use crate::keys::{DayKey, Identity, cipher, hkdf, nonce, shared, verify};

/// Length of a grant in bytes.
pub const GRANT_BYTES: usize = 217;

const MAGIC: [u8; 4] = *b"SP2G";
const LABEL: &[u8] = b"sp2 grant";
const SIGNED_BYTES: usize = 153;
const AAD_BYTES: usize = 105;

/// Who may read whom on which day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Whose batches it opens.
    pub granter: NodeKey,
    /// The day.
    pub day: Day,
    /// What opens them.
    pub day_key: DayKey,
}

/// Seals the day key of `identity` for `recipient`, whose seal key its announcement told. `made` are
/// 32 random bytes for this grant alone. `None` if the seal key is no key.
#[must_use]
pub fn seal(
    identity: &Identity,
    recipient: NodeKey,
    seal_key: [u8; 32],
    day: Day,
    made: [u8; 32],
) -> Option<Vec<u8>> {
    let made = StaticSecret::from(made);
    let ephemeral = PublicKey::from(&made).to_bytes();
    let secret = shared(&made, seal_key)?;
    let mut out = Vec::with_capacity(GRANT_BYTES);
    put_opening(&mut out, MAGIC);
    out.extend_from_slice(&identity.node().0);
    out.extend_from_slice(&recipient.0);
    out.extend_from_slice(&day.0.to_be_bytes());
    out.extend_from_slice(&ephemeral);
    let key = key(&secret, &ephemeral, &seal_key, &out);
    let mut sealed = identity.day_key(day).0.to_vec();
    let aad = Aad::from(&out[..AAD_BYTES]);
    cipher(&key).seal_in_place_append_tag(nonce(0), aad, &mut sealed).ok()?;
    out.extend_from_slice(&sealed);
    let signature = identity.sign(LABEL, &[&out]);
    out.extend_from_slice(&signature);
    Some(out)
}

/// The key that a grant is sealed with. `clear` are the bytes before the sealed ones.
fn key(secret: &[u8; 32], ephemeral: &[u8; 32], seal_key: &[u8; 32], clear: &[u8]) -> [u8; 32] {
    // Granter, recipient and day as they stand in the grant.
    let parties = &clear[5..73];
    hkdf(secret, &[LABEL, ephemeral, seal_key, parties])
}

/// Opens a grant that was sealed for `identity`.
///
/// # Errors
///
/// When it is for somebody else, was not signed by the granter that it names, or cannot be opened.
pub fn open(identity: &Identity, bytes: &[u8]) -> Result<Grant, Refused> {
    let mut input = Input::new(bytes);
    input.opening(MAGIC)?;
    let (granter, recipient) = (NodeKey(input.take()?), NodeKey(input.take()?));
    let day = Day(input.u32()?);
    let ephemeral: [u8; 32] = input.take()?;
    let sealed: [u8; 48] = input.take()?;
    let signature = input.take()?;
    input.end()?;
    if recipient != identity.node() {
        return Err(Refused::Range("recipient"));
    }
    verify(granter, LABEL, &[&bytes[..SIGNED_BYTES]], &signature)?;
    let secret = identity.shared(ephemeral).ok_or(Refused::Sealed)?;
    let key = key(&secret, &ephemeral, &identity.seal_key(), bytes);
    let mut sealed = sealed;
    let opened = cipher(&key)
        .open_in_place(nonce(0), Aad::from(&bytes[..AAD_BYTES]), &mut sealed)
        .map_err(|_| Refused::Sealed)?;
    let day_key = <[u8; 32]>::try_from(&*opened).map_err(|_| Refused::Sealed)?;
    Ok(Grant { granter, day, day_key: DayKey(day_key) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::identity;

    fn grant() -> Vec<u8> {
        let (from, to) = (identity(1), identity(2));
        seal(&from, to.node(), to.seal_key(), Day(20_000), [9; 32]).unwrap()
    }

    #[test]
    fn a_grant_is_opened_by_whom_it_is_for_and_by_nobody_else() {
        let bytes = grant();
        assert_eq!(bytes.len(), GRANT_BYTES);
        let opened = open(&identity(2), &bytes).unwrap();
        assert_eq!((opened.granter, opened.day), (identity(1).node(), Day(20_000)));
        assert_eq!(opened.day_key, identity(1).day_key(Day(20_000)));
        assert_eq!(open(&identity(3), &bytes), Err(Refused::Range("recipient")));
    }

    #[test]
    fn every_change_of_a_byte_is_refused() {
        let bytes = grant();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(open(&identity(2), &changed).is_err(), "byte {at}");
            assert!(open(&identity(2), &bytes[..at]).is_err());
        }
    }

    #[test]
    fn nothing_is_sealed_for_a_key_that_everybody_shares() {
        let from = identity(1);
        assert_eq!(seal(&from, identity(2).node(), [0; 32], Day(1), [9; 32]), None);
        let mut one = [0; 32];
        one[0] = 1;
        assert_eq!(seal(&from, identity(2).node(), one, Day(1), [9; 32]), None);
    }
}
