//! Keys, what is derived from them, and the places in the DHT that they lead to.
//!
//! Everything of a node comes from one seed of 32 bytes: its signing key, the key that grants to it are
//! sealed for, and its day keys. So a restored backup has the same day keys, and nothing else needs to
//! be kept secret.

use ring::aead::{CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::hmac;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::epoch::{Day, Epoch};
use crate::limits::SHARDS;
use crate::wire::header::{Header, SIGNATURE_BYTES};
use crate::wire::{NodeKey, Refused};

/// A place in the DHT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub [u8; 20]);

/// HKDF-SHA256 (RFC 5869) without a salt, for one block of output.
#[must_use]
pub fn hkdf(secret: &[u8], info: &[&[u8]]) -> [u8; 32] {
    let extracted = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[0; 32]), secret);
    let mut context =
        hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, extracted.as_ref()));
    info.iter().for_each(|part| context.update(part));
    context.update(&[1]);
    first_32(context.sign().as_ref())
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    first_32(digest(&SHA256, bytes).as_ref())
}

fn first_32(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(&bytes[..32]);
    out
}

/// ChaCha20-Poly1305 (RFC 8439) under `key`.
pub(crate) fn cipher(key: &[u8; 32]) -> LessSafeKey {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key);
    #[expect(clippy::expect_used, reason = "only a key of another length is refused")]
    // The algorithm takes 32 bytes, and these are 32 bytes.
    LessSafeKey::new(key.expect("32 bytes"))
}

/// The nonce with this number.
pub(crate) fn nonce(number: u32) -> Nonce {
    let mut bytes = [0; 12];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Who a node is: what it signs and opens with. Shown without its secrets.
pub struct Identity {
    signing: Ed25519KeyPair,
    sealing: StaticSecret,
    days: [u8; 32],
    node: NodeKey,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Identity {
    /// The identity that this seed makes. Whoever has the seed is the node.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let signing = Ed25519KeyPair::from_seed_unchecked(&hkdf(seed, &[b"sp2 sign"]));
        #[expect(clippy::expect_used, reason = "only a seed of another length is refused")]
        // A seed is 32 bytes, and so is what hkdf gives.
        let signing = signing.expect("32 bytes");
        let mut node = NodeKey([0; 32]);
        node.0.copy_from_slice(signing.public_key().as_ref());
        let sealing = StaticSecret::from(hkdf(seed, &[b"sp2 seal"]));
        Self { signing, sealing, days: hkdf(seed, &[b"sp2 days"]), node }
    }

    /// Its name.
    #[must_use]
    pub fn node(&self) -> NodeKey {
        self.node
    }

    /// What grants to it are sealed for (X25519, RFC 7748).
    #[must_use]
    pub fn seal_key(&self) -> [u8; 32] {
        PublicKey::from(&self.sealing).to_bytes()
    }

    /// What opens its batches of one day.
    #[must_use]
    pub fn day_key(&self, day: Day) -> DayKey {
        DayKey(hkdf(&self.days, &[b"sp2 day", &day.0.to_be_bytes()]))
    }

    /// Signs `label` and `parts`, one after the other.
    #[must_use]
    pub fn sign(&self, label: &[u8], parts: &[&[u8]]) -> [u8; SIGNATURE_BYTES] {
        let signature = self.signing.sign(&joined(label, parts));
        let mut out = [0; SIGNATURE_BYTES];
        out.copy_from_slice(signature.as_ref());
        out
    }

    /// What both sides of a grant share, if the other's key is one at all.
    pub(crate) fn shared(&self, ephemeral: [u8; 32]) -> Option<[u8; 32]> {
        shared(&self.sealing, ephemeral)
    }
}

/// What `secret` shares with the owner of `public`. `None` if the key is of small order, so that
/// everybody would share it (RFC 7748, section 6.1).
pub(crate) fn shared(secret: &StaticSecret, public: [u8; 32]) -> Option<[u8; 32]> {
    let shared = secret.diffie_hellman(&PublicKey::from(public));
    shared.was_contributory().then(|| shared.to_bytes())
}

/// Whether `node` has signed `label` and `parts`.
///
/// # Errors
///
/// [`Refused::Signature`] if it has not.
pub fn verify(
    node: NodeKey,
    label: &[u8],
    parts: &[&[u8]],
    signature: &[u8; SIGNATURE_BYTES],
) -> Result<(), Refused> {
    let key = UnparsedPublicKey::new(&ED25519, node.0);
    key.verify(&joined(label, parts), signature).map_err(|_| Refused::Signature)
}

fn joined(label: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut message = label.to_vec();
    parts.iter().for_each(|part| message.extend_from_slice(part));
    message
}

/// What opens the batches that one node made on one day, and says where they lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DayKey(pub [u8; 32]);

impl std::fmt::Debug for DayKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DayKey(…)")
    }
}

impl DayKey {
    /// The key of one batch.
    #[must_use]
    pub fn batch_key(&self, header: &Header) -> BatchKey {
        let (epoch, sequence) = (header.epoch().0.to_be_bytes(), header.sequence.0.to_be_bytes());
        let info: [&[u8]; 5] =
            [b"sp2 body", &header.node.0, &epoch, &sequence, &[header.kind as u8]];
        BatchKey(hkdf(&self.0, &info))
    }

    /// Where the batches of an epoch lie. Only who has the day key knows, so nobody else can drown
    /// them.
    #[must_use]
    pub fn place(&self, epoch: Epoch) -> Place {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let secret = hmac::sign(&key, &epoch.0.to_be_bytes());
        sha1(b"sp2/n/", &[secret.as_ref()])
    }

    /// Where the grant of the day after this key's lies for `recipient`. Only who can read the granter
    /// already knows, so nobody else can come between the two.
    #[must_use]
    pub fn renewal(&self, recipient: NodeKey, day: Day) -> Place {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let text = [&b"renewal"[..], &recipient.0, &day.0.to_be_bytes()].concat();
        sha1(b"sp2/h/", &[hmac::sign(&key, &text).as_ref()])
    }
}

/// What seals one batch.
#[derive(Clone, Copy)]
pub struct BatchKey(pub(crate) [u8; 32]);

impl BatchKey {
    /// What the header tells of the key, so that it opens under this key and no other: an AEAD alone
    /// does not promise that.
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        hkdf(&self.0, &[b"sp2 commit"])
    }
}

fn sha1(label: &[u8], parts: &[&[u8]]) -> Place {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &joined(label, parts));
    let mut place = Place([0; 20]);
    place.0.copy_from_slice(hash.as_ref());
    place
}

/// Where a chunk lies.
#[must_use]
pub fn chunk_place(hash: &[u8; 32]) -> Place {
    sha1(b"sp2/c/", &[hash])
}

/// The shard that a node is announced in.
#[must_use]
pub fn shard(node: NodeKey) -> u8 {
    // The first six bits.
    node.0[0] / (u8::MAX / SHARDS + 1)
}

/// Where the members of one network find each other: everybody, or those of a private pool.
#[derive(Clone, Default)]
pub struct Network {
    pool: Option<Pool>,
}

#[derive(Clone)]
struct Pool {
    tag: [u8; 32],
    proof: [u8; 32],
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_pool() { "Network(pool)" } else { "Network(public)" })
    }
}

impl Network {
    /// The network of those who have this pre-shared key, and of nobody else.
    #[must_use]
    pub fn pool(key: &[u8]) -> Self {
        let tag = hkdf(key, &[b"sp2 pool place"]);
        Self { pool: Some(Pool { tag, proof: hkdf(key, &[b"sp2 pool proof"]) }) }
    }

    /// Whether it is a private pool.
    #[must_use]
    pub fn is_pool(&self) -> bool {
        self.pool.is_some()
    }

    /// What shows that an announcement is a member's: 16 bytes, or none in the public network.
    #[must_use]
    pub fn proof(&self, node: NodeKey, epoch: Epoch) -> Option<[u8; 16]> {
        let pool = self.pool.as_ref()?;
        let mut message = node.0.to_vec();
        message.extend_from_slice(&epoch.0.to_be_bytes());
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &pool.proof), &message);
        let mut proof = [0; 16];
        proof.copy_from_slice(&tag.as_ref()[..16]);
        Some(proof)
    }

    fn tag(&self) -> &[u8] {
        self.pool.as_ref().map_or(&[], |pool| &pool.tag)
    }

    /// Where a page of announcements lies.
    #[must_use]
    pub fn announcements(&self, epoch: Epoch, shard: u8, page: u8) -> Place {
        sha1(b"sp2/a/", &[self.tag(), &epoch.0.to_be_bytes(), &[shard, page]])
    }

    /// Where the grants to `recipient` of the granters of one shard lie.
    #[must_use]
    pub fn grants(&self, recipient: NodeKey, day: Day, shard: u8) -> Place {
        sha1(b"sp2/g/", &[self.tag(), &recipient.0, &day.0.to_be_bytes(), &[shard]])
    }

    /// Where proofs lie that `node` has signed two batches with one sequence.
    #[must_use]
    pub fn proofs(&self, node: NodeKey) -> Place {
        sha1(b"sp2/e/", &[self.tag(), &node.0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn hkdf_is_that_of_the_rfc() {
        // RFC 5869, appendix A.3: no salt, no info; its first 32 bytes.
        let okm = hkdf(&[0x0b; 22], &[]);
        assert_eq!(hex(&okm), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
    }

    #[test]
    fn an_identity_is_its_seed() {
        let (one, again) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[1; 32]));
        assert_eq!((one.node(), one.seal_key()), (again.node(), again.seal_key()));
        assert_eq!(one.day_key(Day(5)), again.day_key(Day(5)));
        assert_ne!(one.day_key(Day(5)), one.day_key(Day(6)));
        assert_ne!(one.node(), Identity::from_seed(&[2; 32]).node());
        let signature = one.sign(b"label", &[b"a", b"b"]);
        assert_eq!(verify(one.node(), b"label", &[b"ab"], &signature), Ok(()));
        assert_eq!(verify(one.node(), b"label", &[b"ac"], &signature), Err(Refused::Signature));
    }

    #[test]
    fn secrets_are_not_shown() {
        let identity = Identity::from_seed(&[1; 32]);
        let shown = format!("{identity:?} {:?}", identity.day_key(Day(1)));
        assert!(!shown.contains(&hex(&identity.day_key(Day(1)).0)[..8]), "{shown}");
    }

    #[test]
    fn a_pool_is_elsewhere_and_only_members_can_show_that_they_are() {
        let (public, pool) = (Network::default(), Network::pool(b"secret"));
        let node = NodeKey([3; 32]);
        assert_ne!(public.announcements(Epoch(1), 2, 0), pool.announcements(Epoch(1), 2, 0));
        assert_ne!(public.grants(node, Day(1), 0), pool.grants(node, Day(1), 0));
        assert_eq!(public.proof(node, Epoch(1)), None);
        assert_ne!(pool.proof(node, Epoch(1)), Network::pool(b"other").proof(node, Epoch(1)));
        assert_ne!(pool.proof(node, Epoch(1)), pool.proof(node, Epoch(2)));
    }

    #[test]
    fn shards_are_the_first_six_bits() {
        let of =
            |first: u8| shard(NodeKey(std::array::from_fn(|at| if at == 0 { first } else { 0 })));
        assert_eq!((of(0), of(3), of(4), of(255)), (0, 0, 1, 63));
    }
}
