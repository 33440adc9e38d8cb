//! Proof of an address, without a memory: what an answer carries so that, when it comes back, the
//! address that it came from must have received it.
//!
//! A cookie is the first 128 bits of HMAC-SHA-256 (RFC 2104), under a key of 256 bits that only this
//! node knows, over
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version of this table, 1 |
//! | 1 | label: 1 tag, 2 nonce; with 128 added, one that was earned through a relay |
//! | 1 | nonce: how many answers to a challenge came before; tag: 0 |
//! | 8 | slot: hours since 1970-01-01T00:00 UTC, big-endian |
//! | 16 | source address, without port, for translators move it (IPv4 as IPv4-mapped IPv6) |
//! | 16 | our address that it was sent to, likewise |
//! | 4 + n | tag: the Call-ID after its length, big-endian |
//! | n | tag: the From tag |
//!
//! The eleventh byte of a nonce is the number of tries instead, XORed with the first byte. A cookie
//! is good in its slot and in the next one. A relayed cookie says that an answer of ours was
//! received, and not by whom, so it proves nothing.

use std::net::IpAddr;

use ring::hmac;
use sentrypeer_storage::event::Time;

/// How many bytes of the hash a cookie has. Every persona shows at least ten of them.
pub const COOKIE_BYTES: usize = 16;

const VERSION: u8 = 1;

/// Where a nonce has its number of tries.
const TRIES_AT: usize = 10;
/// Length of a slot, in seconds.
pub const SLOT_S: u64 = 3_600;

/// What is shown to the other side, as bytes; a persona writes it in its own style.
pub type Cookie = [u8; COOKIE_BYTES];

/// What a cookie is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// A To-tag.
    Tag = 1,
    /// The nonce of a challenge.
    Nonce = 2,
}

/// Whether somebody may stand between the source and us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The request names one Via, and nothing in it is odd.
    Direct,
    /// It names more than one, or could be read in another way by a proxy: whoever had it sent
    /// through a proxy receives the answer as well, and would have proven the proxy's address.
    Relayed,
}

impl Way {
    /// Both, the one that proves something first.
    pub const ALL: [Self; 2] = [Self::Direct, Self::Relayed];
}

/// Who talks to whom, as far as a cookie is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Parties {
    /// The source.
    pub source: IpAddr,
    /// Our address.
    pub ours: IpAddr,
}

/// The key that cookies are made with. It belongs to one node and survives its restarts.
#[derive(Clone)]
pub struct CookieKey(hmac::Key);

impl std::fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CookieKey(..)")
    }
}

impl CookieKey {
    /// The cookie key of a node with this secret.
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        // Not the secret itself, which other keys come from too.
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = hmac::sign(&root, b"sentrypeer cookie");
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    /// The To-tag for a dialog with this Call-ID and From tag, as of `slot`.
    #[must_use]
    pub fn tag(
        &self,
        parties: Parties,
        way: Way,
        slot: Slot,
        call_id: &[u8],
        from_tag: &[u8],
    ) -> Cookie {
        let mut mac = self.begin(Label::Tag, 0, parties, way, slot);
        // The length keeps "ab" + "c" and "a" + "bc" apart. No message is longer than 64 KiB.
        mac.update(&u32::try_from(call_id.len()).unwrap_or(u32::MAX).to_be_bytes());
        mac.update(call_id);
        mac.update(from_tag);
        cut(&mac.sign())
    }

    /// The nonce of a challenge before which `tries` answers came, as of `slot`. Its eleventh byte
    /// says how many, behind 80 bits of the hash.
    #[must_use]
    pub fn nonce(&self, parties: Parties, way: Way, slot: Slot, tries: u8) -> Cookie {
        let mut nonce = cut(&self.begin(Label::Nonce, tries, parties, way, slot).sign());
        nonce[TRIES_AT] = nonce[0] ^ tries;
        nonce
    }

    /// How many answers came before the challenge with this nonce, if it is one of ours.
    #[must_use]
    pub fn tries_of(nonce: &Cookie) -> u8 {
        nonce[TRIES_AT] ^ nonce[0]
    }

    fn begin(
        &self,
        label: Label,
        tries: u8,
        parties: Parties,
        way: Way,
        slot: Slot,
    ) -> hmac::Context {
        let relayed = if way == Way::Relayed { 128 } else { 0 };
        let mut head = [0; 43];
        head[..3].copy_from_slice(&[VERSION, label as u8 | relayed, tries]);
        head[3..11].copy_from_slice(&slot.0.to_be_bytes());
        head[11..27].copy_from_slice(&octets(parties.source));
        head[27..].copy_from_slice(&octets(parties.ours));
        let mut mac = hmac::Context::with_key(&self.0);
        mac.update(&head);
        mac
    }
}

/// An hour, by which cookies grow old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u64);

impl Slot {
    /// The slot that `now` is in.
    #[must_use]
    pub fn of(now: Time) -> Self {
        Self(now.0 / (SLOT_S * 1_000_000_000))
    }

    /// Seconds from 1970 to its beginning.
    #[must_use]
    pub fn first_second(self) -> u64 {
        self.0.saturating_mul(SLOT_S)
    }

    /// The slots whose cookies are good in this one: itself, and the one before.
    #[must_use]
    pub fn good(self) -> [Self; 2] {
        [self, Self(self.0.saturating_sub(1))]
    }
}

/// Whether two texts are the same, in a time that does not tell where they differ.
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

fn cut(tag: &hmac::Tag) -> Cookie {
    let mut cookie = [0; COOKIE_BYTES];
    cookie.copy_from_slice(&tag.as_ref()[..COOKIE_BYTES]);
    cookie
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3_600_000_000_000;

    fn parties(source: [u8; 4]) -> Parties {
        Parties { source: source.into(), ours: [192, 0, 2, 1].into() }
    }

    fn key(byte: u8) -> CookieKey {
        CookieKey::from_secret(&[byte; 32])
    }

    #[test]
    fn a_retransmission_gets_the_same_tag_and_any_other_request_another() {
        let slot = Slot(7);
        let of = |source, way, slot, id: &str, tag: &str| {
            key(1).tag(parties(source), way, slot, id.as_bytes(), tag.as_bytes())
        };
        let tag = of([198, 51, 100, 1], Way::Direct, slot, "ab", "c");
        assert_eq!(tag, of([198, 51, 100, 1], Way::Direct, slot, "ab", "c"));
        for other in [
            of([198, 51, 100, 1], Way::Direct, slot, "a", "bc"),
            of([198, 51, 100, 2], Way::Direct, slot, "ab", "c"),
            of([198, 51, 100, 1], Way::Relayed, slot, "ab", "c"),
            of([198, 51, 100, 1], Way::Direct, Slot(8), "ab", "c"),
            key(2).tag(parties([198, 51, 100, 1]), Way::Direct, slot, b"ab", b"c"),
        ] {
            assert_ne!(tag, other);
        }
        let elsewhere = Parties { ours: [192, 0, 2, 2].into(), ..parties([198, 51, 100, 1]) };
        assert_ne!(tag, key(1).tag(elsewhere, Way::Direct, slot, b"ab", b"c"));
    }

    #[test]
    fn a_nonce_knows_how_often_it_was_tried_and_is_no_tag() {
        let nonce = |tries| key(1).nonce(parties([198, 51, 100, 1]), Way::Direct, Slot(7), tries);
        assert_ne!(nonce(0), nonce(1));
        let tag = key(1).tag(parties([198, 51, 100, 1]), Way::Direct, Slot(7), b"", b"");
        assert_ne!(nonce(0), tag);
    }

    #[test]
    fn a_cookie_is_good_in_its_hour_and_the_next() {
        let made = Slot::of(Time(5 * HOUR + 1));
        for (now, good) in [(5, true), (6, true), (7, false), (4, false)] {
            assert_eq!(Slot::of(Time(now * HOUR)).good().contains(&made), good, "{now}");
        }
    }

    #[test]
    fn an_ipv4_mapped_address_is_the_ipv4_address() {
        let mapped = Parties { source: "::ffff:198.51.100.1".parse().unwrap(), ..parties([0; 4]) };
        let plain = parties([198, 51, 100, 1]);
        let tag = |parties| key(1).tag(parties, Way::Direct, Slot(1), b"i", b"f");
        assert_eq!(tag(mapped), tag(plain));
    }

    proptest! {
        #[test]
        fn texts_are_the_same_if_all_bytes_are(a: [u8; 8], b: [u8; 8], at in 0..8_usize, x in 1..=255_u8) {
            prop_assert!(same(&a, &a));
            prop_assert_eq!(same(&a, &b), a == b);
            let mut changed = a;
            changed[at] ^= x;
            prop_assert!(!same(&a, &changed) && !same(&a, &a[..7]));
        }
    }
}
