//! What says that a node has published in an epoch, and how to seal a grant for it.
//!
//! ```text
//!   0  4  "SP2A"
//!   4  1  version, 1
//!   5 32  the node's public key (Ed25519)
//!  37  4  epoch
//!  41  1  batches of this epoch, 1 to 8; in a pool also 0
//!  42  2  records in them, at most 2000; 0 if there is no batch
//!  44 32  what grants are sealed for (X25519)
//!  76  1  0: public; 1: 16 bytes follow that prove membership of a pool
//!  77 64  signature of "sp2 announce" and all before it (93 in a pool)
//! ```

use super::bytes::{Input, put_opening};
use super::{NodeKey, Refused};
use crate::epoch::Epoch;
use crate::keys::{Identity, Network, verify};
use crate::limits::{BATCHES_MAX, RECORDS_MAX};

const MAGIC: [u8; 4] = *b"SP2A";
const LABEL: &[u8] = b"sp2 announce";

/// That a node has published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The node.
    pub node: NodeKey,
    /// When.
    pub epoch: Epoch,
    /// Batches, 1 to [`BATCHES_MAX`]; in a pool also 0, from a member that has nothing to tell yet.
    pub batches: u8,
    /// Records in all of them, at most [`RECORDS_MAX`].
    pub records: u16,
    /// What grants to it are sealed for.
    pub seal_key: [u8; 32],
}

impl Announcement {
    /// Its bytes, signed by `identity`, which must be the node's, and with the network's proof.
    #[must_use]
    pub fn encode(&self, identity: &Identity, network: &Network) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        put_opening(&mut out, MAGIC);
        out.extend_from_slice(&self.node.0);
        out.extend_from_slice(&self.epoch.0.to_be_bytes());
        out.push(self.batches);
        out.extend_from_slice(&self.records.to_be_bytes());
        out.extend_from_slice(&self.seal_key);
        match network.proof(self.node, self.epoch) {
            None => out.push(0),
            Some(proof) => {
                out.push(1);
                out.extend_from_slice(&proof);
            }
        }
        let signature = identity.sign(LABEL, &[&out]);
        out.extend_from_slice(&signature);
        out
    }

    /// Reads an announcement of a member of `network`.
    ///
    /// # Errors
    ///
    /// When a field is out of range, the node has not signed it, or it belongs to another network.
    pub fn decode(bytes: &[u8], network: &Network) -> Result<Self, Refused> {
        let mut input = Input::new(bytes);
        input.opening(MAGIC)?;
        let node = NodeKey(input.take()?);
        let epoch = Epoch(input.u32()?);
        let (batches, records) = (input.byte()?, input.u16()?);
        let seal_key = input.take()?;
        let proof = match input.byte()? {
            0 => None,
            1 => Some(input.take()?),
            _ => return Err(Refused::Range("network")),
        };
        let signed = bytes.len() - input.len();
        let signature = input.take()?;
        input.end()?;
        let may_be_none = network.is_pool() && records == 0;
        if (batches == 0 && !may_be_none) || usize::from(batches) > BATCHES_MAX {
            return Err(Refused::Range("batches"));
        }
        if usize::from(records) > RECORDS_MAX {
            return Err(Refused::Range("records"));
        }
        if proof != network.proof(node, epoch) {
            return Err(Refused::Range("network"));
        }
        verify(node, LABEL, &[&bytes[..signed]], &signature)?;
        Ok(Self { node, epoch, batches, records, seal_key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::identity;

    fn announcement() -> (Announcement, Identity) {
        let identity = identity(1);
        let (node, seal_key) = (identity.node(), identity.seal_key());
        let epoch = Epoch(2_880_000);
        (Announcement { node, epoch, batches: 2, records: 17, seal_key }, identity)
    }

    #[test]
    fn an_announcement_is_small_and_read_as_it_was_written() {
        let (said, identity) = announcement();
        for network in [Network::default(), Network::pool(b"secret")] {
            let bytes = said.encode(&identity, &network);
            assert!(bytes.len() < 200);
            assert_eq!(Announcement::decode(&bytes, &network), Ok(said));
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                assert!(Announcement::decode(&changed, &network).is_err(), "byte {at}");
                assert!(Announcement::decode(&bytes[..at], &network).is_err());
            }
        }
    }

    #[test]
    fn whoever_lacks_the_key_of_a_pool_is_not_in_it() {
        let (said, identity) = announcement();
        let pool = Network::pool(b"secret");
        for other in [Network::default(), Network::pool(b"guess")] {
            let bytes = said.encode(&identity, &other);
            assert_eq!(Announcement::decode(&bytes, &pool), Err(Refused::Range("network")));
            let bytes = said.encode(&identity, &pool);
            assert_eq!(Announcement::decode(&bytes, &other), Err(Refused::Range("network")));
        }
    }

    #[test]
    fn counts_out_of_range_are_refused_though_they_are_signed() {
        let (said, identity) = announcement();
        let public = Network::default();
        for wrong in [
            Announcement { batches: 0, ..said },
            Announcement { batches: 9, ..said },
            Announcement { records: 2001, ..said },
        ] {
            let bytes = wrong.encode(&identity, &public);
            let read = Announcement::decode(&bytes, &public);
            assert!(matches!(read, Err(Refused::Range(_))), "{wrong:?}");
        }
    }

    #[test]
    fn a_member_of_a_pool_may_have_nothing_to_tell_and_a_stranger_may_not() {
        let (said, identity) = announcement();
        let nothing = Announcement { batches: 0, records: 0, ..said };
        let pool = Network::pool(b"secret");
        let bytes = nothing.encode(&identity, &pool);
        assert_eq!(Announcement::decode(&bytes, &pool), Ok(nothing));
        let records = Announcement { records: 1, ..nothing }.encode(&identity, &pool);
        assert_eq!(Announcement::decode(&records, &pool), Err(Refused::Range("batches")));
        let public = Network::default();
        let bytes = nothing.encode(&identity, &public);
        assert_eq!(Announcement::decode(&bytes, &public), Err(Refused::Range("batches")));
    }
}
