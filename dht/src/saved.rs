//! The ledger and the proofs of lying as bytes, so that they outlive the process.
//!
//! ```text
//! "SP2L", version, 4 nodes, each of 176 bytes; 2 proofs, each of 8 until (s since 1970) and 439;
//! SHA-256 of all before it
//! ```

use crate::epoch::{Day, Epoch, Sequence};
use crate::keys::sha256;
use crate::ledger::{Ledger, Peer};
use crate::limits::{CREDIT_MAX, PEERS_MAX, PROOFS_MAX};
use crate::rules::Rules;
use crate::trust::Trust;
use crate::wire::bytes::{Input, put_opening};
use crate::wire::proof::{PROOF_BYTES, Proof};
use crate::wire::{NodeKey, Refused};

const MAGIC: [u8; 4] = *b"SP2L";

/// The bytes of what must be remembered.
#[must_use]
pub fn encode(ledger: &Ledger, trust: &Trust) -> Vec<u8> {
    let mut out = Vec::new();
    put_opening(&mut out, MAGIC);
    out.extend_from_slice(&(ledger.len() as u32).to_be_bytes());
    let mut peers: Vec<&Peer> = ledger.iter().collect();
    peers.sort_unstable_by_key(|peer| peer.node);
    peers.into_iter().for_each(|peer| put_peer(&mut out, peer));
    let liars: Vec<(u64, &Proof)> = trust.liars().collect();
    out.extend_from_slice(&(liars.len() as u16).to_be_bytes());
    for (until_s, proof) in liars {
        out.extend_from_slice(&until_s.to_be_bytes());
        out.extend_from_slice(&proof.encode());
    }
    let sum = sha256(&out);
    out.extend_from_slice(&sum);
    out
}

/// Reads what [`encode`] wrote: the ledger, and into `trust` who was caught.
///
/// # Errors
///
/// When the bytes are damaged or of another version.
pub fn decode(bytes: &[u8], rules: Rules, trust: &mut Trust) -> Result<Ledger, Refused> {
    let (content, sum) = bytes.split_last_chunk::<32>().ok_or(Refused::Short)?;
    if sha256(content) != *sum {
        return Err(Refused::Range("checksum"));
    }
    let mut input = Input::new(content);
    input.opening(MAGIC)?;
    let mut ledger = Ledger::new(rules).keeping(trust.trusted().clone());
    let peers = input.u32()? as usize;
    if peers > PEERS_MAX {
        return Err(Refused::Range("nodes"));
    }
    for _ in 0..peers {
        let peer = take_peer(&mut input)?;
        if ledger.get(peer.node).is_none() {
            ledger.insert(peer);
        }
    }
    let liars = usize::from(input.u16()?);
    if liars > PROOFS_MAX {
        return Err(Refused::Range("proofs"));
    }
    for _ in 0..liars {
        let until_s = input.u64()?;
        trust.restore(until_s, &Proof::decode(input.slice(PROOF_BYTES)?)?);
    }
    input.end()?;
    Ok(ledger)
}

fn put_peer(out: &mut Vec<u8>, peer: &Peer) {
    out.extend_from_slice(&peer.node.0);
    out.extend_from_slice(&peer.seal_key);
    out.extend_from_slice(&peer.last.0.to_be_bytes());
    out.extend_from_slice(&peer.granted.0.to_be_bytes());
    out.extend_from_slice(&peer.trial_until.0.to_be_bytes());
    out.extend_from_slice(&peer.active.to_be_bytes());
    for number in [
        peer.first_s,
        peer.sequence.0,
        peer.got,
        peer.confirmed,
        peer.refused,
        peer.given,
        peer.credit.to_bits(),
        peer.first.to_bits(),
        peer.credit_s,
    ] {
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn take_peer(input: &mut Input<'_>) -> Result<Peer, Refused> {
    let (node, seal_key) = (NodeKey(input.take()?), input.take()?);
    let mut peer = Peer::new(node, 0, Epoch(input.u32()?));
    peer.seal_key = seal_key;
    (peer.granted, peer.trial_until) = (Day(input.u32()?), Day(input.u32()?));
    peer.active = u128::from_be_bytes(input.take()?);
    (peer.first_s, peer.sequence) = (input.u64()?, Sequence(input.u64()?));
    (peer.got, peer.confirmed) = (input.u64()?, input.u64()?);
    (peer.refused, peer.given) = (input.u64()?, input.u64()?);
    peer.credit = f64::from_bits(input.u64()?);
    (peer.first, peer.credit_s) = (f64::from_bits(input.u64()?), input.u64()?);
    let is_possible = |credit| (0.0..=CREDIT_MAX).contains(credit);
    if !is_possible(&peer.credit) || !is_possible(&peer.first) {
        return Err(Refused::Range("credit"));
    }
    peer.close();
    Ok(peer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Merit;
    use crate::testing::{body_of, identity};
    use crate::wire::batch::seal;

    const NOW: u64 = 1_795_478_400;

    fn known() -> (Ledger, Trust) {
        let mut ledger = Ledger::new(Rules::default());
        for who in 0..50 {
            let (node, epoch) = (NodeKey([who; 32]), Epoch(2_992_464));
            ledger.announced(node, [who; 32], epoch, NOW);
            let (id, _) = ledger.read(node, Sequence::new(epoch, 1), 9, NOW).unwrap();
            ledger.took(id, 9, 2);
            ledger.confirm(id, Merit { amount: 1.5, is_first: true }, epoch, NOW);
        }
        let mut trust = Trust::default();
        let (liar, epoch) = (identity(1), Epoch(2_992_464));
        for records in [1, 2] {
            let sequence = Sequence::new(epoch, 0);
            let key = liar.day_key(Day(1));
            let signed = seal(&liar, &key, sequence, [0; 32], &body_of(records)).signed;
            if let Some(proof) = trust.witness(&signed) {
                trust.convict(&proof, NOW, |_| false);
            }
        }
        (ledger, trust)
    }

    #[test]
    fn what_is_remembered_is_what_was_known() {
        let (ledger, trust) = known();
        let bytes = encode(&ledger, &trust);
        let mut again = Trust::default();
        let mut read = decode(&bytes, Rules::default(), &mut again).unwrap();
        assert_eq!(encode(&read, &again), bytes);
        assert!(again.distrust(identity(1).node(), NOW).is_some());
        let (node, sequence) = (NodeKey([3; 32]), Sequence::new(Epoch(2_992_464), 1));
        assert_eq!(read.get(node).unwrap().got, 9);
        assert_eq!(read.read(node, sequence, 9, NOW), None, "what was read is not read again");
        assert!(read.read(node, Sequence::new(Epoch(2_992_465), 0), 9, NOW).is_some());
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let (ledger, trust) = known();
        let bytes = encode(&ledger, &trust);
        for at in (0..bytes.len()).step_by(37) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(decode(&damaged, Rules::default(), &mut Trust::default()).is_err());
            assert!(decode(&bytes[..at], Rules::default(), &mut Trust::default()).is_err());
        }
    }
}
