//! Packing messages.

use crate::diff::{Diff, Unlike};
use crate::endpoints::{EndpointTexts, Endpoints};
use crate::limits::{SHAPE_NUMBER_BYTES_MAX, TEMPLATE_BYTES_MAX, TEMPLATE_BYTES_MIN};
use crate::name::{Known, Names};
use crate::op::{OP_BYTES_MAX, Op, VARINT_BYTES_MAX, put_varint};
use crate::shape::Shapes;
use crate::stream::{OPS, Packer, SHAPES, Streams, WHOLE};
use crate::template::Templates;
use crate::text::{hash, layout_hash};
use crate::value::{Place, Seen, Values};

/// What messages have in common that are probably alike.
#[derive(Clone, Copy, Debug)]
pub struct Class<'a> {
    /// The method, empty if there is none.
    pub method: &'a [u8],
    /// The user agent, empty if there is none.
    pub user_agent: &'a [u8],
}

/// The version with which packed messages begin.
pub(crate) const VERSION: u8 = 1;

/// In the stream of shapes: the message is the next of the whole ones.
pub(crate) const WHOLE_MESSAGE: usize = 0;
/// The message's shape is the next of the stream of operations.
pub(crate) const NEW_SHAPE: usize = 1;
/// What is added to the number of a shape.
pub(crate) const FIRST_SHAPE: usize = 2;

/// Packs the messages of one block, one after the other.
///
/// Adding a message does all the work but zstd's, which is little: so a block that is not full yet can be
/// packed again and again. All memory is kept and used again: some mebibytes, and three times as much as
/// the messages have if they have nothing in common.
pub struct Encoder {
    streams: Streams,
    /// How many messages are whole.
    whole: usize,
    templates: Templates,
    names: Names,
    shapes: Shapes,
    seen: Seen,
    packer: Packer,
    raw_bytes: usize,
    message: Message,
}

/// What is only needed while a message is added.
#[derive(Default)]
struct Message {
    texts: EndpointTexts,
    is_v6: bool,
    ops: Vec<Op>,
    named: Vec<Place>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An empty block.
    #[must_use]
    pub fn new() -> Self {
        Self {
            streams: Streams::default(),
            whole: 0,
            templates: Templates::default(),
            names: Names::default(),
            shapes: Shapes::default(),
            seen: Seen::new(),
            packer: Packer::new(),
            raw_bytes: 0,
            message: Message::default(),
        }
    }

    /// Bytes of all messages so far.
    #[must_use]
    pub fn raw_bytes(&self) -> usize {
        self.raw_bytes
    }

    /// Adds a message of any bytes. Whoever unpacks it must know its length and its endpoints; its class
    /// is forgotten.
    pub fn push(&mut self, message: &[u8], class: Class<'_>, endpoints: &Endpoints) {
        self.raw_bytes += message.len();
        if !(TEMPLATE_BYTES_MIN..=TEMPLATE_BYTES_MAX).contains(&message.len()) {
            self.put_whole(message);
            return;
        }
        self.message.texts.set(endpoints);
        self.message.is_v6 = endpoints.source.is_ipv6();
        let method = hash(0, class.method);
        let own = hash(method, class.user_agent);
        let known = self.names.find(own);
        if self.put_as(known, message) {
            return;
        }
        let alike = layout_hash(method, message);
        if known != Known::WornOut && self.put_alike(known, own, alike, message) {
            return;
        }
        let (start, number) = self.put_whole(message);
        if let Some(template) = self.templates.add(start, message.len(), number) {
            self.names.own(own, template);
            self.names.own(alike, template);
        }
    }

    /// Stores a message as what differs from a template that is laid out the same, if there is one. It
    /// stands in for one of the message's class, if nothing is known of that.
    fn put_alike(&mut self, known: Known, own: u64, alike: u64, message: &[u8]) -> bool {
        let other = self.names.find(alike);
        let is_like = self.put_as(other, message);
        if let (Known::Nothing, Known::Template { template, .. }, true) = (known, other, is_like) {
            self.names.stand_in(own, template);
        }
        is_like
    }

    /// Stores a message as what differs from a template, if there is one and it is like it.
    fn put_as(&mut self, known: Known, message: &[u8]) -> bool {
        let Known::Template { template, place } = known else { return false };
        let mark = self.streams.mark();
        let like = self.put_values(template, message).and_then(|()| {
            let written = self.streams.written_since(&mark);
            self.put_shape(template, message.len().saturating_sub(written))
        });
        if like.is_err() {
            self.streams.rewind(&mark);
        }
        self.names.judge(place, like.is_ok());
        like.is_ok()
    }

    /// Finds the operations that make a message from a template, and stores the values that they need.
    fn put_values(&mut self, template: usize, message: &[u8]) -> Result<(), Unlike> {
        let Message { texts, is_v6, ops, named } = &mut self.message;
        let [_, _, lengths, low, high, literals, whole] = &mut self.streams.bytes;
        let (bits, seen) = (&mut self.streams.bits, &mut self.seen);
        let values = Values { lengths, low, high, literals, bits, seen, texts, named };
        let template = self.templates.get(template);
        let text = &whole[template.start..template.start + template.len];
        Diff::new(message, text, &mut template.slots, ops, values, *is_v6).run()
    }

    /// Stores the operations that were found, if all takes less than the message: `room` is what it may
    /// still take.
    fn put_shape(&mut self, template: usize, room: usize) -> Result<(), Unlike> {
        let template = self.templates.get(template);
        let ops = &self.message.ops[..];
        let last = template.last_shape.filter(|last| self.shapes.is(*last, ops));
        let known = last.or_else(|| self.shapes.find(template.number, ops));
        let is_new = known.is_none();
        let new = if is_new { VARINT_BYTES_MAX + ops.len() * OP_BYTES_MAX } else { 0 };
        if SHAPE_NUMBER_BYTES_MAX + new > room {
            return Err(Unlike);
        }
        let shape = known.map_or(NEW_SHAPE, |shape| usize::from(shape) + FIRST_SHAPE);
        put_varint(&mut self.streams.bytes[SHAPES], shape);
        template.last_shape = known;
        if is_new {
            template.last_shape = self.shapes.add(template.number, ops);
            let stream = &mut self.streams.bytes[OPS];
            put_varint(stream, template.number);
            ops.iter().for_each(|op| op.write(stream));
        }
        Ok(())
    }

    /// Stores a message whole. Says where, and how many there were before it.
    fn put_whole(&mut self, message: &[u8]) -> (usize, usize) {
        let whole = &mut self.streams.bytes[WHOLE];
        let place = (whole.len(), self.whole);
        whole.extend_from_slice(message);
        put_varint(&mut self.streams.bytes[SHAPES], WHOLE_MESSAGE);
        self.whole += 1;
        place
    }

    /// Appends what there is, packed, and keeps it.
    pub fn pack(&mut self, to: &mut Vec<u8>) {
        to.push(VERSION);
        self.packer.pack(&self.streams, to);
    }

    /// Removes all messages and keeps the memory.
    pub fn clear(&mut self) {
        self.streams.clear();
        self.whole = 0;
        self.templates.clear();
        self.names.clear();
        self.shapes.clear();
        self.seen.clear();
        self.raw_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::Decoder;
    use crate::op::{
        AGAIN, DESTINATION, DESTINATION_PORT, END, FIXED, Kind, LITERAL, LITERAL_HEX, NUMBER, SKIP,
        SOURCE, SOURCE_PORT, V4, VARIED,
    };

    const CLASS: Class<'static> = Class { method: b"OPTIONS", user_agent: b"scan" };
    const TEMPLATE: &str = "OPTIONS sip:100@198.51.100.23:5060 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.1:1024;branch=z9hG4bKaaaaaaaa;rport\r\nCSeq: 1 OPTIONS\r\n\
        To: <sip:500@a>\r\n";

    fn endpoints() -> Endpoints {
        Endpoints {
            source: "203.0.113.7:5071".parse().unwrap(),
            destination: "198.51.100.99:5090".parse().unwrap(),
        }
    }

    /// An encoder of these messages, which have been unpacked from it.
    fn packed(messages: &[String]) -> Encoder {
        let mut encoder = Encoder::new();
        messages.iter().for_each(|message| encoder.push(message.as_bytes(), CLASS, &endpoints()));
        let mut packed = Vec::new();
        encoder.pack(&mut packed);
        let mut decoder = Decoder::new(&packed, messages.len(), encoder.raw_bytes()).unwrap();
        for message in messages {
            let mut unpacked = Vec::new();
            decoder.next(message.len(), &endpoints(), &mut unpacked).unwrap();
            assert_eq!(String::from_utf8_lossy(&unpacked), message[..]);
        }
        encoder
    }

    /// The operations of a message that has `new` where the template has `old`.
    fn ops(old: &str, new: &str) -> Vec<Kind> {
        assert!(TEMPLATE.contains(old));
        let encoder = packed(&[TEMPLATE.to_owned(), TEMPLATE.replace(old, new)]);
        assert_eq!(encoder.whole, 1, "{new} is stored whole");
        encoder.message.ops.iter().map(|op| op.kind()).collect()
    }

    fn codes(old: &str, new: &str) -> Vec<u8> {
        ops(old, new).iter().map(|kind| kind.code).collect()
    }

    #[test]
    fn the_endpoints_are_not_stored() {
        assert_eq!(codes("192.0.2.1:1024", "203.0.113.7:5071"), [SOURCE, SOURCE_PORT, END]);
        let destination = [DESTINATION, DESTINATION_PORT, END];
        assert_eq!(codes("198.51.100.23:5060", "198.51.100.99:5090"), destination);
    }

    #[test]
    fn another_address_is_32_bits() {
        assert_eq!(codes("192.0.2.1", "10.0.0.200"), [V4, END]);
        assert_eq!(codes("192.0.2.1", "192.0.2.01"), [VARIED, END], "not as it is usually written");
    }

    #[test]
    fn a_small_number_is_two_bytes() {
        assert_eq!(codes("500@", "65535@"), [NUMBER, END]);
        assert_eq!(codes("500@", "65536@"), [VARIED, END]);
        assert_eq!(codes("500@", "050@"), [FIXED, END]);
    }

    #[test]
    fn characters_take_the_bits_of_their_alphabet() {
        for (token, alphabet) in [
            ("12345678", 0),
            ("1234567f", 1),
            ("1234567F", 2),
            ("123456fF", 3),
            ("1234567z", 4),
            ("123456zZ", 5),
            ("12345z-Z", 6),
        ] {
            assert_eq!(codes("aaaaaaaa", token), [FIXED + alphabet, END], "{token}");
        }
        let longer = ops("aaaaaaaa", "1234567890abcdef12");
        assert_eq!(longer[0], Kind { code: VARIED + 1, number: 0 });
    }

    #[test]
    fn a_word_is_a_literal() {
        assert_eq!(codes("500@", "reception@"), [LITERAL, END]);
        assert_eq!(codes("aaaaaaaa", "*!*"), [LITERAL, END]);
    }

    #[test]
    fn hex_of_text_is_text() {
        let hex: String = "1001 and more".bytes().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(codes("aaaaaaaa", &hex), [LITERAL_HEX, END]);
    }

    #[test]
    fn a_token_that_comes_again_is_not_stored_again() {
        let template = TEMPLATE.replace("500@", "aaaaaaaa@");
        let message = template.replace("aaaaaaaa", "12c45e78");
        let encoder = packed(&[template, message]);
        let kinds: Vec<Kind> = encoder.message.ops.iter().map(|op| op.kind()).collect();
        assert_eq!(kinds[1], Kind { code: AGAIN, number: 0 });
        assert_eq!(kinds.len(), 3);
    }

    #[test]
    fn a_line_more_is_a_literal_and_a_line_less_is_skipped() {
        assert_eq!(codes("To: <sip:500@a>", "Max-Forwards: 70\r\nTo: <sip:500@a>"), [LITERAL, END]);
        assert_eq!(codes("CSeq: 1 OPTIONS\r\n", ""), [SKIP, END]);
    }

    #[test]
    fn one_shape_does_for_all_messages_that_differ_alike() {
        let messages: Vec<String> = (0..1000u32)
            .map(|n| {
                let branch = format!("{:08x}", n.wrapping_mul(2_654_435_761));
                TEMPLATE.replace("aaaaaaaa", &branch).replace("500", &(n % 900 + 100).to_string())
            })
            .collect();
        let encoder = packed(&messages);
        assert_eq!(encoder.whole, 1);
        assert!(encoder.streams.bytes[OPS].len() < 100);
        let bits = encoder.streams.bits.len_bits();
        assert!(bits.abs_diff(999 * 32) < 999, "{bits} bits for {} of randomness", 999 * 32);
    }

    #[test]
    fn values_that_come_again_are_left_to_zstd() {
        let message = |n: usize| {
            let number = ["00442071230000", "00972599000000", "0046500729221"][n * n % 7 % 3];
            TEMPLATE.replace("500@", &format!("{number}@"))
        };
        let encoder = packed(&(0..300).map(message).collect::<Vec<_>>());
        let (bits, literals) =
            (encoder.streams.bits.len_bits(), encoder.streams.bytes[crate::stream::LITERALS].len());
        assert!(bits < 30 * 47 && literals > 250 * 13, "{bits} bits, {literals} B of literals");
    }

    #[test]
    fn a_class_gets_a_template_of_its_own_when_it_turns_out_to_be_a_frequent_one() {
        let mut encoder = Encoder::new();
        let other = Class { user_agent: b"other", ..CLASS };
        encoder.push(TEMPLATE.as_bytes(), CLASS, &endpoints());
        (0..100).for_each(|_| encoder.push(TEMPLATE.as_bytes(), other, &endpoints()));
        assert_eq!(encoder.whole, 2);
    }

    #[test]
    fn a_flood_of_classes_does_not_make_templates() {
        let mut encoder = Encoder::new();
        for n in 0..1000u32 {
            let user_agent = n.to_le_bytes();
            let class = Class { user_agent: &user_agent, ..CLASS };
            encoder.push(TEMPLATE.as_bytes(), class, &endpoints());
        }
        assert_eq!(encoder.whole, 1);
    }

    #[test]
    fn shapes_that_find_no_number_come_back_too() {
        let message = |n: usize| {
            let kinds = (0..14).map(|bit| if n >> bit & 1 == 0 { "<7>" } else { "<word>" });
            kinds.fold(TEMPLATE.repeat(4), |text, token| text + token + " and ")
        };
        let mut encoder = packed(&(0..9000).map(message).collect::<Vec<_>>());
        assert!(encoder.whole < 20);
        assert_eq!(encoder.shapes.add(0, &[Op::new(0, Kind::of(SKIP), 0); 20]), None);
    }
}
