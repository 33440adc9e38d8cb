//! Whatever another node sends, what is read of it is within bounds, and is written as it was read.

use sentrypeer_dht::bootstrap::Bootstrap;
use sentrypeer_dht::epoch::{Day, Epoch};
use sentrypeer_dht::keys::{Identity, Network, sha256};
use sentrypeer_dht::limits::{CHUNKS_MAX, NUMBER_WIRE_BYTES_MAX, RECORDS_MAX};
use sentrypeer_dht::publisher::{Publisher, Stamp};
use sentrypeer_dht::rules::Rules;
use sentrypeer_dht::saved;
use sentrypeer_dht::trust::Trust;
use sentrypeer_dht::wire::NodeKey;
use sentrypeer_dht::wire::announcement::Announcement;
use sentrypeer_dht::wire::batch::{Head, Signed};
use sentrypeer_dht::wire::body::{Body, Records};
use sentrypeer_dht::wire::bytes::Input;
use sentrypeer_dht::wire::grant;
use sentrypeer_dht::wire::header::{HEADER_BYTES, Header, Kind, SIGNATURE_BYTES};
use sentrypeer_dht::wire::proof::Proof;

/// The first byte says which decoder gets the rest. The oracle is the bounds, and one encoding for
/// all that is read.
pub fn check(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else { return };
    match which % 16 {
        0..=2 => body(Kind::ALL[usize::from(which % 16)], rest),
        3 => header(rest),
        4 => head(rest),
        5 => announcement(rest, &Network::default()),
        8 => announcement(rest, &Network::pool(b"fuzz")),
        9 => signed_head(rest),
        10 => signed_grant(rest),
        11 => text(rest),
        6 => {
            let _ = grant::open(&Identity::from_seed(&[1; 32]), rest);
            if let Ok(proof) = Proof::decode(rest) {
                assert_eq!(proof.encode(), rest);
            }
        }
        _ => state(rest),
    }
}

fn body(kind: Kind, data: &[u8]) {
    let Some((count, bytes)) = data.split_first_chunk::<2>() else { return };
    let count = u16::from_be_bytes(*count);
    let Ok(body) = Body::decode(kind, count, bytes) else { return };
    assert!(body.len() == count && usize::from(count) <= RECORDS_MAX);
    assert_eq!(body.encode(), bytes);
    let is_sorted = match body.records() {
        Records::Sources(records) => records.windows(2).all(|two| two[0].source != two[1].source),
        Records::Numbers(records) => {
            assert!(records.iter().all(|r| r.number.as_bytes().len() <= NUMBER_WIRE_BYTES_MAX));
            records.windows(2).all(|two| two[0].number < two[1].number)
        }
        Records::Withdrawals(taken) => taken.numbers.windows(2).all(|two| two[0] < two[1]),
    };
    assert!(is_sorted);
}

fn header(data: &[u8]) {
    let mut input = Input::new(data);
    if let Ok(header) = Header::decode(&mut input) {
        assert_eq!(header.encode()[..], data[..data.len() - input.len()]);
        assert!(header.chunks() <= CHUNKS_MAX);
    }
}

fn head(data: &[u8]) {
    if let Ok(head) = Head::decode(data) {
        assert!(head.chunk_places().len() <= CHUNKS_MAX);
        let key = Identity::from_seed(&[1; 32]).day_key(Day(20_781));
        let _ = head.open(&key, &[]);
    }
    if let Ok(signed) = Signed::decode(&mut Input::new(data)) {
        assert_eq!(signed.encode()[..], data[..signed.encode().len()]);
    }
}

/// Whatever a node may sign.
fn announcement(data: &[u8], network: &Network) {
    let identity = Identity::from_seed(&[1; 32]);
    let _ = Announcement::decode(data, network);
    let mut whole = data.to_vec();
    if let Some(node) = whole.get_mut(5..37) {
        node.copy_from_slice(&identity.node().0);
    }
    let signature = identity.sign(b"sp2 announce", &[&whole]);
    whole.extend_from_slice(&signature);
    if let Ok(said) = Announcement::decode(&whole, network) {
        assert_eq!(said.encode(&identity, network), whole);
    }
}

/// A batch of which the signature holds, whatever else is in it.
fn signed_head(data: &[u8]) {
    let Some((header, rest)) = data.split_at_checked(HEADER_BYTES) else { return };
    let identity = Identity::from_seed(&[1; 32]);
    let mut header = header.to_vec();
    header[6..38].copy_from_slice(&identity.node().0);
    let is_inline = header[88] == 0;
    let hash = if is_inline { sha256(&sha256(rest)) } else { sha256(rest) };
    let signature = identity.sign(b"sp2 batch", &[&header, &hash]);
    let whole = [&header, &signature[..], rest].concat();
    let Ok(head) = Head::decode(&whole) else { return };
    assert_eq!(head.signed.header.encode()[..], header);
    assert_eq!(head.chunk_places().len(), if is_inline { 0 } else { rest.len() / 32 });
    let chunks = vec![rest.to_vec(); head.chunk_places().len()];
    let _ = head.open(&identity.day_key(Day(20_781)), &chunks);
}

/// A grant to us of which the signature holds.
fn signed_grant(data: &[u8]) {
    let (granter, recipient) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
    let mut whole = data[..data.len().min(grant::GRANT_BYTES - SIGNATURE_BYTES)].to_vec();
    let Some(parties) = whole.get_mut(5..69) else { return };
    parties[..32].copy_from_slice(&granter.node().0);
    parties[32..].copy_from_slice(&recipient.node().0);
    let signature = granter.sign(b"sp2 grant", &[&whole]);
    whole.extend_from_slice(&signature);
    if let Ok(grant) = grant::open(&recipient, &whole) {
        assert_eq!((grant.granter, whole.len()), (granter.node(), grant::GRANT_BYTES));
    }
}

/// What an operator writes is shown as it is read.
fn text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(node) = text.parse::<NodeKey>() {
        assert_eq!(node.to_string().parse(), Ok(node));
    }
    if let Ok(node) = text.parse::<Bootstrap>() {
        assert!(node.to_string().parse::<Bootstrap>().is_ok_and(|again| again == node));
    }
}

/// Whatever a file may hold whose checksum is right.
fn state(data: &[u8]) {
    let whole = [data, &sha256(data)].concat();
    let mut trust = Trust::default();
    if let Ok(ledger) = saved::decode(&whole, Rules::default(), &mut trust) {
        let bytes = saved::encode(&ledger, &trust);
        let mut again = Trust::default();
        let read = saved::decode(&bytes, Rules::default(), &mut again);
        assert!(read.is_ok_and(|ledger| saved::encode(&ledger, &again) == bytes));
    }
    let _ = Publisher::load(&whole, Stamp([0; 32]), Epoch(1));
}
