//! How a token is packed: as what is known, as an earlier token, as a number, as characters of an
//! alphabet, or as it is.

use crate::address::{number, number_prefix, v4};
use crate::alphabet::Alphabet;
use crate::bits::BitWriter;
use crate::endpoints::EndpointTexts;
use crate::limits::{AGAIN_TOKENS_MAX, SEEN_VALUES};
use crate::op::{
    AGAIN, DESTINATION_PORT, FIXED, Kind, LITERAL, LITERAL_HEX, NUMBER, SOURCE, V4, VARIED,
    put_varint,
};
use crate::template::Slot;
use crate::text::{Extent, classes, token_end, token_hash};

/// Shorter tokens are not looked for among the earlier ones of the message: they are too often the same
/// by chance.
const AGAIN_MIN: usize = 3;
/// A token of so many characters is remembered: a shorter one takes as little as a literal.
const SEEN_MIN: usize = 6;
/// From so many characters on, a token of letters and digits may be random; else it is a word.
const RANDOM_MIN: usize = 6;
/// Bits that a token may take more in the usual alphabet of its slot than in the smallest. A new alphabet
/// would be a new shape.
const USUAL_BITS_MORE: usize = 8;
/// Hex of text is looked for in tokens of at least so many characters. In one of 2^8 random ones the first
/// digit of each two is below 8, too.
const HEX_OF_TEXT_MIN: usize = 16;

/// Values that came before in this block, as far as they are remembered: the hash of one in each place.
pub(crate) struct Seen(Vec<u32>);

impl Seen {
    pub(crate) fn new() -> Self {
        Self(vec![0; SEEN_VALUES])
    }

    /// Whether it came before, and remembers it.
    fn again(&mut self, hash: u64) -> bool {
        let place = &mut self.0[(hash >> 32) as usize % SEEN_VALUES];
        let rest = hash as u32 | 1;
        std::mem::replace(place, rest) == rest
    }

    pub(crate) fn clear(&mut self) {
        self.0.fill(0);
    }
}

/// Where a token begins and ends in its message.
pub(crate) type Place = (usize, usize);

/// Where the values of the tokens of one message go, and what is known of it.
pub(crate) struct Values<'a> {
    pub(crate) lengths: &'a mut Vec<u8>,
    pub(crate) low: &'a mut Vec<u8>,
    pub(crate) high: &'a mut Vec<u8>,
    pub(crate) literals: &'a mut Vec<u8>,
    pub(crate) bits: &'a mut BitWriter,
    pub(crate) seen: &'a mut Seen,
    pub(crate) texts: &'a EndpointTexts,
    /// The tokens that a later one may be the same as.
    pub(crate) named: &'a mut Vec<Place>,
}

impl Values<'_> {
    /// Writes what is needed to know the token at `from`, if it is of the usual kind of its slot and
    /// followed by `after`. Says how, and where it ends.
    pub(crate) fn put_usual(
        &mut self,
        message: &[u8],
        from: usize,
        after: Option<&u8>,
        slot: &mut Slot,
    ) -> Option<(Kind, usize)> {
        let usual = slot.usual;
        let ends = |end: &usize| *end <= message.len() && message.get(*end) == after;
        let (kind, end) = match usual.code {
            SOURCE..=DESTINATION_PORT => {
                let end = from + self.texts.len_at(usual.code, message, from)?;
                return Some((usual, end)).filter(|(_, end)| ends(end));
            }
            AGAIN => {
                let (start, end) = *self.named.get(usize::from(usual.number))?;
                let end = Some(from + end - start).filter(ends)?;
                let is = message[from..end] == message[start..start + end - from];
                return is.then_some((usual, end));
            }
            NUMBER => {
                let (number, len) = number_prefix(&message[from..])?;
                let end = Some(from + len).filter(ends)?;
                (self.number(number), end)
            }
            FIXED.. if slot.popular <= 0 => {
                let fixed = from + usize::from(usual.number);
                let is_fixed = usual.code < VARIED;
                let end = if is_fixed { fixed } else { token_end(message, from, slot.extent) };
                let end = Some(end).filter(ends)?;
                (self.pack_usual(message, (from, end), slot)?, end)
            }
            _ => {
                let end = Some(token_end(message, from, slot.extent)).filter(ends)?;
                (self.put_new(&message[from..end], slot), end)
            }
        };
        self.named.push((from, end));
        Some((kind, end))
    }

    fn pack_usual(&mut self, message: &[u8], place: Place, slot: &mut Slot) -> Option<Kind> {
        let alphabet = slot.usual.alphabet();
        let (from, end) = place;
        if alphabet.repeats() && end - from >= SEEN_MIN {
            slot.count_popular(self.seen.again(token_hash(&message[from..end])));
        }
        self.pack(&message[from..], end - from, alphabet, slot)
    }

    /// Writes what is needed to know a token, and says how.
    pub(crate) fn put(&mut self, message: &[u8], place: Place, slot: &mut Slot) -> Kind {
        let token = &message[place.0..place.1];
        if let Some(code) = self.texts.code(token, slot.extent) {
            return Kind::of(code);
        }
        if token.len() >= AGAIN_MIN {
            let mut earlier = self.named.iter().take(AGAIN_TOKENS_MAX);
            if let Some(n) = earlier.position(|(start, end)| message[*start..*end] == *token) {
                return Kind::again(n);
            }
        }
        self.named.push(place);
        self.put_new(token, slot)
    }

    fn put_new(&mut self, token: &[u8], slot: &mut Slot) -> Kind {
        if let Some(number) = number(token) {
            return self.number(number);
        }
        let address = if slot.extent == Extent::Hard { v4(token) } else { None };
        if let Some(address) = address {
            self.bits.put(u64::from(address), u32::BITS);
            return Kind::of(V4);
        }
        let classes = classes(token);
        if Alphabet::HEX.is_in(classes) && is_hex_of_text(token) {
            return self.literal_hex(token);
        }
        let alphabet = self.alphabet(token, classes, slot);
        let packed = alphabet.and_then(|alphabet| self.pack(token, token.len(), alphabet, slot));
        packed.unwrap_or_else(|| self.literal(token))
    }

    /// The alphabet that makes a token smallest, or none if it is better left to zstd: because it is a
    /// word, or because it or others of its slot came before.
    fn alphabet(&mut self, token: &[u8], classes: u8, slot: &mut Slot) -> Option<Alphabet> {
        let smallest = Alphabet::smallest(classes)?;
        if token.len() >= SEEN_MIN {
            slot.count_popular(self.seen.again(token_hash(token)));
        }
        let usual = slot.alphabet.filter(|usual| usual.is_in(classes));
        let is_word = smallest.has_words() && usual.is_none() && is_word(token);
        if slot.popular > 0 || is_word || token.is_empty() {
            return None;
        }
        let most = smallest.bits(token.len()) + USUAL_BITS_MORE;
        let usual = usual.filter(|usual| usual.bits(token.len()) <= most);
        slot.alphabet = Some(usual.unwrap_or(smallest));
        slot.alphabet
    }

    /// The first `len` bytes of `text` as characters of an alphabet, if they are.
    fn pack(
        &mut self,
        text: &[u8],
        len: usize,
        alphabet: Alphabet,
        slot: &mut Slot,
    ) -> Option<Kind> {
        alphabet.pack(text, len, self.bits)?;
        if !slot.is_varied && slot.len() == len {
            return Some(Kind::fixed(alphabet, len));
        }
        slot.is_varied = true;
        put_varint(self.lengths, len);
        Some(Kind::varied(alphabet))
    }

    fn number(&mut self, number: u16) -> Kind {
        let [low, high] = number.to_le_bytes();
        self.low.push(low);
        self.high.push(high);
        Kind::of(NUMBER)
    }

    fn literal(&mut self, token: &[u8]) -> Kind {
        put_varint(self.lengths, token.len());
        self.literals.extend_from_slice(token);
        Kind::of(LITERAL)
    }

    fn literal_hex(&mut self, token: &[u8]) -> Kind {
        put_varint(self.lengths, token.len() / 2);
        let value = |digit: u8| (digit & 0xf) + if digit > b'9' { 9 } else { 0 };
        let bytes = token.chunks_exact(2).map(|pair| value(pair[0]) << 4 | value(pair[1]));
        self.literals.extend(bytes);
        Kind::of(LITERAL_HEX)
    }

    /// Writes a part of a message that is no token.
    pub(crate) fn put_literal(&mut self, message: &[u8], place: Place) -> Kind {
        self.named.push(place);
        self.literal(&message[place.0..place.1])
    }
}

fn is_word(token: &[u8]) -> bool {
    token.len() < RANDOM_MIN || !token.iter().any(u8::is_ascii_digit)
}

/// Whether each two characters of a token look like the hex of an ASCII character.
pub(crate) fn is_hex_of_text(token: &[u8]) -> bool {
    token.len() >= HEX_OF_TEXT_MIN
        && token.len().is_multiple_of(2)
        && token.iter().step_by(2).all(|digit| (b'0'..b'8').contains(digit))
}
