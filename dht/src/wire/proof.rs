//! Two batches that one node has signed with one sequence: it lies to somebody, and this shows it to
//! everybody.
//!
//! ```text
//!   0   4  "SP2E"
//!   4   1  version, 1
//!   5 217  header, hash and signature of one
//! 222 217  the same of the other; its header and hash are greater
//! ```

use super::batch::{SIGNED_BYTES, Signed};
use super::bytes::{Input, put_opening};
use super::{NodeKey, Refused};
use crate::epoch::Sequence;

/// Length of a proof in bytes.
pub const PROOF_BYTES: usize = 5 + 2 * SIGNED_BYTES;

const MAGIC: [u8; 4] = *b"SP2E";

/// A proof that holds: only [`Proof::of`] and [`Proof::decode`] make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    one: Signed,
    other: Signed,
}

impl Proof {
    /// The proof that these two make, whose signatures have been checked. `None` if they are of two
    /// nodes or sequences, or say the same.
    #[must_use]
    pub fn of(a: &Signed, b: &Signed) -> Option<Self> {
        let same = a.header.node == b.header.node && a.header.sequence == b.header.sequence;
        let (one, other) = if said(a) < said(b) { (*a, *b) } else { (*b, *a) };
        (same && said(&one) != said(&other)).then_some(Self { one, other })
    }

    /// Who lies.
    #[must_use]
    pub fn node(&self) -> NodeKey {
        self.one.header.node
    }

    /// With which sequence.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.one.header.sequence
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PROOF_BYTES);
        put_opening(&mut out, MAGIC);
        out.extend(self.one.encode());
        out.extend(self.other.encode());
        out
    }

    /// Reads a proof and checks it.
    ///
    /// # Errors
    ///
    /// When it proves nothing, or is not written in the one way there is.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refused> {
        let mut input = Input::new(bytes);
        input.opening(MAGIC)?;
        let (one, other) = (Signed::decode(&mut input)?, Signed::decode(&mut input)?);
        input.end()?;
        let proof = Self::of(&one, &other).ok_or(Refused::Range("proof"))?;
        if proof.one == one { Ok(proof) } else { Err(Refused::Order) }
    }
}

/// What was signed, without the signature: that can differ without another meaning.
fn said(signed: &Signed) -> Vec<u8> {
    [&signed.header.encode()[..], &signed.hash].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::{Day, Epoch};
    use crate::testing::{body_of, identity};
    use crate::wire::batch;

    fn signed(who: u8, n: u16, records: u32) -> Signed {
        let identity = identity(who);
        let sequence = Sequence::new(Epoch(2_880_000), n);
        batch::seal(&identity, &identity.day_key(Day(1)), sequence, [0; 32], &body_of(records))
            .signed
    }

    #[test]
    fn two_batches_with_one_sequence_prove_a_lie() {
        let proof = Proof::of(&signed(1, 0, 1), &signed(1, 0, 2)).unwrap();
        assert_eq!(proof, Proof::of(&signed(1, 0, 2), &signed(1, 0, 1)).unwrap());
        assert_eq!(proof.node(), identity(1).node());
        let bytes = proof.encode();
        assert_eq!((bytes.len(), Proof::decode(&bytes)), (PROOF_BYTES, Ok(proof)));
    }

    #[test]
    fn an_honest_node_cannot_be_accused() {
        assert_eq!(Proof::of(&signed(1, 0, 1), &signed(1, 0, 1)), None, "the same twice");
        assert_eq!(Proof::of(&signed(1, 0, 1), &signed(1, 1, 2)), None, "two sequences");
        assert_eq!(Proof::of(&signed(1, 0, 1), &signed(2, 0, 2)), None, "two nodes");
        let bytes = Proof::of(&signed(1, 0, 1), &signed(1, 0, 2)).unwrap().encode();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Proof::decode(&changed).is_err(), "byte {at}");
        }
        let swapped = [&bytes[..5], &bytes[222..], &bytes[5..222]].concat();
        assert_eq!(Proof::decode(&swapped), Err(Refused::Order));
        let twice = [&bytes[..222], &bytes[5..222]].concat();
        assert_eq!(Proof::decode(&twice), Err(Refused::Range("proof")));
    }
}
