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
/// packed again and again. All memory is kept and used again.
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
