//! Unpacking messages.

use std::fmt;

use crate::address::{ip_text, number_text, v4_text};
use crate::encoder::{FIRST_SHAPE, NEW_SHAPE, VERSION, WHOLE_MESSAGE};
use crate::endpoints::Endpoints;
use crate::incoming::Incoming;
use crate::limits::{OPS_MAX, SHAPE_NUMBER_BYTES_MAX};
use crate::op::{
    AGAIN, DESTINATION, DESTINATION_PORT, END, FIXED, Kind, LITERAL, LITERAL_HEX, NUMBER, Op, SKIP,
    SOURCE, SOURCE_PORT, V4, VARIED,
};
use crate::output::Output;
use crate::shape::has_room;
use crate::stream::{HIGH, LENGTHS, LOW, OPS, SHAPES, WHOLE};

/// The bytes are not packed messages, or not those that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("packed messages that do not unpack")
    }
}

impl std::error::Error for Damaged {}

/// Gives back the messages of one block, one after the other, in the order in which they were packed.
///
/// It takes as much memory as all messages have bytes, two bytes for each of them, and less than a
/// mebibyte.
pub struct Decoder<'a> {
    streams: Incoming<'a>,
    /// Bytes and number of the messages that are still to come, at most.
    bytes_left: usize,
    messages_left: usize,
    /// Where the whole messages begin, and how long they are.
    whole: Vec<(usize, usize)>,
    shapes: Vec<Shape>,
    /// The operations of all shapes.
    ops: Vec<Op>,
    /// Where in the output the tokens of the message at hand are.
    named: Vec<(usize, usize)>,
}

/// A template, and the operations that make a message from it.
#[derive(Clone, Copy)]
struct Shape {
    /// Where the template begins.
    template: usize,
    /// Where the operations begin and end.
    ops: (usize, usize),
}

impl<'a> Decoder<'a> {
    /// Begins with the first of so many messages that have so many bytes in all.
    ///
    /// # Errors
    ///
    /// [`Damaged`].
    pub fn new(packed: &'a [u8], messages: usize, bytes: usize) -> Result<Self, Damaged> {
        let (version, streams) = packed.split_first().ok_or(Damaged)?;
        if *version != VERSION {
            return Err(Damaged);
        }
        // Whatever a message is stored as, it takes less than it is long, and its shape.
        let bytes_max = messages.saturating_mul(SHAPE_NUMBER_BYTES_MAX).saturating_add(bytes);
        Ok(Self {
            streams: Incoming::new(streams, bytes_max).ok_or(Damaged)?,
            bytes_left: bytes,
            messages_left: messages,
            whole: Vec::new(),
            shapes: Vec::new(),
            ops: Vec::new(),
            named: Vec::new(),
        })
    }

    /// Appends the next message, which has `len` bytes, to `to`. After an error nothing is appended, and
    /// there are no more messages.
    ///
    /// # Errors
    ///
    /// [`Damaged`].
    pub fn next(
        &mut self,
        len: usize,
        endpoints: &Endpoints,
        to: &mut Vec<u8>,
    ) -> Result<(), Damaged> {
        self.one(len, |decoder, shape| {
            let mut output = Output::new(to, len);
            let done = decoder.message(len, shape, endpoints, &mut output);
            if done.is_some() { output.finish() } else { output.give_up() }
        })
    }

    /// Passes over the next message, which has `len` bytes. That takes a fraction of the time.
    ///
    /// # Errors
    ///
    /// [`Damaged`].
    pub fn skip(&mut self, len: usize) -> Result<(), Damaged> {
        self.one(len, |decoder, shape| decoder.pass(len, shape))
    }

    /// Does something with the next message and its shape.
    fn one(
        &mut self,
        len: usize,
        read: impl FnOnce(&mut Self, Option<Shape>) -> Option<()>,
    ) -> Result<(), Damaged> {
        let mut done = None;
        if let Some(left) = self.bytes_left.checked_sub(len)
            && let Some(others) = self.messages_left.checked_sub(1)
        {
            (self.bytes_left, self.messages_left) = (left, others);
            done = self.shape().and_then(|shape| read(self, shape));
        }
        if done.is_none() {
            self.messages_left = 0;
        }
        done.ok_or(Damaged)
    }

    /// The shape of the next message; inside, none if it is stored whole.
    fn shape(&mut self) -> Option<Option<Shape>> {
        Some(match self.streams.varint(SHAPES)? {
            WHOLE_MESSAGE => None,
            NEW_SHAPE => Some(self.new_shape()?),
            known => Some(*self.shapes.get(known - FIRST_SHAPE)?),
        })
    }

    /// Reads a shape, and gives it a number if the encoder did.
    fn new_shape(&mut self) -> Option<Shape> {
        let number = self.streams.varint(OPS)?;
        let (template, len) = *self.whole.get(number)?;
        // What has got no number is not needed any more.
        let first = self.shapes.last().map_or(0, |last| last.ops.1);
        self.ops.truncate(first);
        let mut there = 0;
        loop {
            let op = self.streams.op()?;
            there += op.same() + op.skip();
            if there > len || self.ops.len() - first == OPS_MAX {
                return None;
            }
            self.ops.push(op);
            if op.kind().code == END {
                break;
            }
        }
        let shape = Shape { template, ops: (first, self.ops.len()) };
        if has_room(self.shapes.len(), self.ops.len()) {
            self.shapes.push(shape);
        }
        Some(shape)
    }

    fn take_whole(&mut self, len: usize) -> Option<usize> {
        let start = self.streams.take(WHOLE, len)?;
        self.whole.push((start, len));
        Some(start)
    }

    fn message(
        &mut self,
        len: usize,
        shape: Option<Shape>,
        endpoints: &Endpoints,
        to: &mut Output<'_>,
    ) -> Option<()> {
        let Some(Shape { template, ops }) = shape else {
            let start = self.take_whole(len)?;
            return to.copy(self.streams.bytes(), start, len);
        };
        self.named.clear();
        let mut there = template;
        for n in ops.0..ops.1 {
            let op = *self.ops.get(n)?;
            to.copy(self.streams.bytes(), there, op.same())?;
            there += op.same() + op.skip();
            let (start, kind) = (to.at(), op.kind());
            self.token(kind, endpoints, to)?;
            if kind.is_named() {
                self.named.push((start, to.at()));
            }
        }
        Some(())
    }

    fn token(&mut self, kind: Kind, endpoints: &Endpoints, to: &mut Output<'_>) -> Option<()> {
        let streams = &mut self.streams;
        match kind.code {
            END | SKIP => Some(()),
            SOURCE => ip_text(endpoints.source.ip(), to),
            SOURCE_PORT => number_text(endpoints.source.port(), to),
            DESTINATION => ip_text(endpoints.destination.ip(), to),
            DESTINATION_PORT => number_text(endpoints.destination.port(), to),
            AGAIN => {
                let (start, end) = *self.named.get(usize::from(kind.number))?;
                to.again(start, end)
            }
            NUMBER => {
                let bytes = [streams.byte(LOW)?, streams.byte(HIGH)?];
                number_text(u16::from_le_bytes(bytes), to)
            }
            V4 => v4_text(streams.bits.take(u32::BITS)? as u32, to),
            LITERAL => {
                let (start, len) = streams.literal()?;
                to.copy(streams.bytes(), start, len)
            }
            LITERAL_HEX => {
                let (start, len) = streams.literal()?;
                streams.bytes().get(start..start + len)?.iter().try_for_each(|byte| to.hex(*byte))
            }
            FIXED..VARIED => kind.alphabet().unpack(kind.number.into(), &mut streams.bits, to),
            _ => {
                let len = streams.varint(LENGTHS)?;
                kind.alphabet().unpack(len, &mut streams.bits, to)
            }
        }
    }

    fn pass(&mut self, len: usize, shape: Option<Shape>) -> Option<()> {
        let Some(Shape { ops, .. }) = shape else { return self.take_whole(len).map(drop) };
        for n in ops.0..ops.1 {
            let kind = self.ops.get(n)?.kind();
            self.pass_token(kind)?;
        }
        Some(())
    }

    fn pass_token(&mut self, kind: Kind) -> Option<()> {
        let streams = &mut self.streams;
        match kind.code {
            NUMBER => streams.take(LOW, 1).and(streams.take(HIGH, 1)).map(drop),
            V4 => streams.bits.skip(u32::BITS as usize),
            LITERAL | LITERAL_HEX => streams.literal().map(drop),
            FIXED..VARIED => streams.bits.skip(kind.alphabet().bits(kind.number.into())),
            VARIED.. => {
                let len = streams.varint(LENGTHS)?;
                streams.bits.skip(kind.alphabet().bits(len))
            }
            _ => Some(()),
        }
    }
}
