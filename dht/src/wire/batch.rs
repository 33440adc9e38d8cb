//! A sealed and signed batch: what is put into the DHT, and how it is read.
//!
//! ```text
//! header (121) ‖ signature (64) ‖ sealed body            when that is 600 bytes at most
//! header (121) ‖ signature (64) ‖ SHA-256 of each chunk   otherwise; the chunks lie elsewhere
//! ```
//!
//! A chunk is sealed with ChaCha20-Poly1305 under the batch key, its number as the nonce and the
//! header as additional data. The signature is over "sp2 batch" ‖ header ‖ SHA-256(SHA-256 of each
//! chunk, one after the other).

use ring::aead::Aad;

use super::Refused;
use super::body::Body;
use super::bytes::Input;
use super::header::{HEADER_BYTES, Header, SIGNATURE_BYTES};
use crate::epoch::Sequence;
use crate::keys::{BatchKey, DayKey, Identity, Place, chunk_place, cipher, nonce, sha256, verify};
use crate::limits::{CHUNK_BYTES_MAX, CHUNK_PLAIN_BYTES_MAX, SEAL_BYTES};

const LABEL: &[u8] = b"sp2 batch";

/// Length of a [`Signed`] in bytes.
pub const SIGNED_BYTES: usize = HEADER_BYTES + 32 + SIGNATURE_BYTES;

/// What a node has said and cannot deny: a header, what stands behind it, and its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The header.
    pub header: Header,
    /// SHA-256 of the SHA-256 of each sealed chunk.
    pub hash: [u8; 32],
    /// The node's signature of both.
    pub signature: [u8; SIGNATURE_BYTES],
}

impl Signed {
    /// Names the batch: what the next one calls its previous.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        sha256(&[LABEL, &self.header.encode(), &self.hash].concat())
    }

    /// Its bytes: header, hash, signature.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [&self.header.encode()[..], &self.hash, &self.signature].concat()
    }

    /// Reads what [`Self::encode`] wrote, and checks the signature.
    ///
    /// # Errors
    ///
    /// When the header is wrong or the node has not signed it.
    pub fn decode(input: &mut Input<'_>) -> Result<Self, Refused> {
        let header = Header::decode(input)?;
        let signed = Self { header, hash: input.take()?, signature: input.take()? };
        signed.verify().map(|()| signed)
    }

    fn verify(&self) -> Result<(), Refused> {
        let parts: [&[u8]; 2] = [&self.header.encode(), &self.hash];
        verify(self.header.node, LABEL, &parts, &self.signature)
    }
}

/// A batch as it is put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// What was signed.
    pub signed: Signed,
    /// The value for the place of the node's epoch.
    pub head: Vec<u8>,
    /// Values for places of their own, which their hashes say.
    pub chunks: Vec<Vec<u8>>,
}

impl Sealed {
    /// Bytes of all values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.head.len() + self.chunks.iter().map(Vec::len).sum::<usize>()
    }
}

/// Seals and signs `body`. One sequence must be used once only: see [`crate::publisher`].
#[must_use]
pub fn seal(
    identity: &Identity,
    day_key: &DayKey,
    sequence: Sequence,
    previous: [u8; 32],
    body: &Body,
) -> Sealed {
    let plain = body.encode();
    let mut header = Header {
        kind: body.kind(),
        node: identity.node(),
        sequence,
        previous,
        records: body.len(),
        body_bytes: plain.len() as u32,
        commitment: [0; 32],
    };
    let key = day_key.batch_key(&header);
    header.commitment = key.commitment();
    let chunks = seal_chunks(&key, &header, &plain);
    let hashes: Vec<[u8; 32]> = chunks.iter().map(|chunk| sha256(chunk)).collect();
    let hash = sha256(&hashes.concat());
    let signature = identity.sign(LABEL, &[&header.encode(), &hash]);
    let signed = Signed { header, hash, signature };
    let mut head = [&header.encode()[..], &signature].concat();
    if header.chunks() == 0 {
        head.extend(chunks.concat());
        return Sealed { signed, head, chunks: Vec::new() };
    }
    head.extend(hashes.concat());
    Sealed { signed, head, chunks }
}

/// The sealed chunks of a body; one, if it follows the header.
fn seal_chunks(key: &BatchKey, header: &Header, plain: &[u8]) -> Vec<Vec<u8>> {
    let (cipher, aad) = (cipher(&key.0), header.encode());
    let pieces =
        if plain.is_empty() { vec![plain] } else { plain.chunks(CHUNK_PLAIN_BYTES_MAX).collect() };
    let seal = |(number, piece): (usize, &[u8])| {
        let mut chunk = piece.to_vec();
        let nonce = nonce(number as u32);
        #[expect(clippy::expect_used, reason = "only what is longer than 256 GiB is refused")]
        // A piece has at most 8 KiB.
        cipher.seal_in_place_append_tag(nonce, Aad::from(aad), &mut chunk).expect("8 KiB");
        chunk
    };
    pieces.into_iter().enumerate().map(seal).collect()
}

/// The value at the place of a node's epoch: read, and its signature checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What the node has signed.
    pub signed: Signed,
    body: Rest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rest {
    Inline(Vec<u8>),
    Chunks(Vec<[u8; 32]>),
}

impl Head {
    /// Reads a value.
    ///
    /// # Errors
    ///
    /// When its length is not what the header says, or the node has not signed it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refused> {
        let mut input = Input::new(bytes);
        let header = Header::decode(&mut input)?;
        let signature = input.take()?;
        let (body, hash) = match header.chunks() {
            0 => {
                let sealed = input.slice(header.body_bytes as usize + SEAL_BYTES)?;
                (Rest::Inline(sealed.to_vec()), sha256(&sha256(sealed)))
            }
            chunks => {
                let mut hashes = Vec::with_capacity(chunks);
                for _ in 0..chunks {
                    hashes.push(input.take()?);
                }
                let hash = sha256(&hashes.concat());
                (Rest::Chunks(hashes), hash)
            }
        };
        input.end()?;
        let signed = Signed { header, hash, signature };
        signed.verify()?;
        Ok(Self { signed, body })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.signed.header
    }

    /// Where the chunks lie, in order; empty if the body is here.
    #[must_use]
    pub fn chunk_places(&self) -> Vec<Place> {
        match &self.body {
            Rest::Inline(_) => Vec::new(),
            Rest::Chunks(hashes) => hashes.iter().map(chunk_place).collect(),
        }
    }

    /// Whether `bytes` is chunk `number`.
    #[must_use]
    pub fn is_chunk(&self, number: usize, bytes: &[u8]) -> bool {
        let Rest::Chunks(hashes) = &self.body else { return false };
        bytes.len() <= CHUNK_BYTES_MAX && hashes.get(number) == Some(&sha256(bytes))
    }

    /// Opens the body. `chunks` are those that [`Self::chunk_places`] names, in order.
    ///
    /// # Errors
    ///
    /// When the day key is not the one that it was sealed under, a chunk is another, or what is
    /// inside is no body of the header's kind and count.
    pub fn open(&self, day_key: &DayKey, chunks: &[Vec<u8>]) -> Result<Body, Refused> {
        let header = &self.signed.header;
        let key = day_key.batch_key(header);
        if key.commitment() != header.commitment {
            return Err(Refused::Commitment);
        }
        let mut plain = Vec::with_capacity(header.body_bytes as usize);
        match &self.body {
            Rest::Inline(sealed) => open_chunk(&key, header, 0, sealed, &mut plain)?,
            Rest::Chunks(hashes) => {
                let are_all = hashes.len() == chunks.len()
                    && (0..chunks.len()).all(|number| self.is_chunk(number, &chunks[number]));
                if !are_all {
                    return Err(Refused::Chunk);
                }
                for (number, chunk) in chunks.iter().enumerate() {
                    open_chunk(&key, header, number as u32, chunk, &mut plain)?;
                }
            }
        }
        if plain.len() != header.body_bytes as usize {
            return Err(Refused::Range("body length"));
        }
        Body::decode(header.kind, header.records, &plain)
    }
}

fn open_chunk(
    key: &BatchKey,
    header: &Header,
    number: u32,
    sealed: &[u8],
    plain: &mut Vec<u8>,
) -> Result<(), Refused> {
    let mut chunk = sealed.to_vec();
    let aad = Aad::from(header.encode());
    let opened = cipher(&key.0).open_in_place(nonce(number), aad, &mut chunk);
    plain.extend_from_slice(opened.map_err(|_| Refused::Sealed)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::{Day, Epoch};
    use crate::testing::{body_of, identity};

    fn sealed(records: u32) -> (Sealed, DayKey) {
        let identity = identity(1);
        let day_key = identity.day_key(Day(20_000));
        let sequence = Sequence::new(Epoch(2_880_000), 1);
        (seal(&identity, &day_key, sequence, [5; 32], &body_of(records)), day_key)
    }

    #[test]
    fn a_batch_is_opened_as_it_was_sealed() {
        for records in [0, 1, 50, 64, 100, 2000] {
            let (sealed, day_key) = sealed(records);
            let head = Head::decode(&sealed.head).unwrap();
            assert_eq!(head.signed, sealed.signed);
            assert_eq!(head.chunk_places().len(), sealed.chunks.len());
            assert_eq!(head.open(&day_key, &sealed.chunks), Ok(body_of(records)));
            assert!(!sealed.chunks.is_empty() || sealed.head.len() <= 600);
        }
    }

    #[test]
    fn every_change_of_a_byte_is_refused() {
        let (sealed, day_key) = sealed(5);
        for at in 0..sealed.head.len() {
            let mut head = sealed.head.clone();
            head[at] ^= 1;
            let read = Head::decode(&head).and_then(|head| head.open(&day_key, &[]));
            assert!(read.is_err(), "byte {at}");
        }
        for end in 0..sealed.head.len() {
            assert!(Head::decode(&sealed.head[..end]).is_err());
        }
    }

    #[test]
    fn another_day_key_does_not_open_it() {
        let (sealed, _) = sealed(5);
        let head = Head::decode(&sealed.head).unwrap();
        let other = identity(1).day_key(Day(20_001));
        assert_eq!(head.open(&other, &[]), Err(Refused::Commitment));
    }

    #[test]
    fn chunks_that_were_changed_swapped_or_left_out_are_refused() {
        let (sealed, day_key) = sealed(2000);
        let head = Head::decode(&sealed.head).unwrap();
        let wrong = Err(Refused::Chunk);
        assert!(sealed.chunks.len() > 1);
        let mut swapped = sealed.chunks.clone();
        swapped.swap(0, 1);
        assert_eq!(head.open(&day_key, &swapped), wrong);
        assert_eq!(head.open(&day_key, &sealed.chunks[1..]), wrong);
        assert_eq!(head.open(&day_key, &[]), wrong);
        let mut changed = sealed.chunks.clone();
        changed[1][7] ^= 1;
        assert_eq!(head.open(&day_key, &changed), wrong);
    }

    #[test]
    fn what_was_signed_is_read_by_itself() {
        let (sealed, _) = sealed(3);
        let bytes = sealed.signed.encode();
        assert_eq!(bytes.len(), SIGNED_BYTES);
        assert_eq!(Signed::decode(&mut Input::new(&bytes)), Ok(sealed.signed));
        let mut forged = bytes.clone();
        forged[130] ^= 1;
        assert_eq!(Signed::decode(&mut Input::new(&forged)), Err(Refused::Signature));
    }
}
