//! Messages out of a stream: bytes in, whole messages out (RFC 3261, 18.3).
//!
//! A [`Framer`] is pure: somebody else reads the socket. However the bytes of a stream are cut into
//! pieces, the same frames come out in the same order. Each byte is looked at once to find the end
//! of a head, and once more when the head is read.

use std::ops::Range;

use memchr::memchr;

use super::anomaly::{Anomalies, Anomaly};
use super::limits::{FRAMER_KEEP_BYTES, STREAM_MESSAGE_BYTES_MAX};
use super::message::{Kind, Looks};
use super::name::Name;
use super::parse::parse;

/// What a stream brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// One message: SIP, or the first of something else.
    Message {
        /// Its bytes, from its start line to the end of its body.
        bytes: &'a [u8],
        /// What is wrong with its framing: joins what parsing the bytes tells.
        anomalies: Anomalies,
    },
    /// Two line ends between messages: a keep-alive that wants one CR LF as its answer (RFC 5626,
    /// 3.5.1).
    Ping,
}

/// Cuts one stream into messages.
///
/// Feed it what arrives, and after each piece take frames until there are none; at the end of the
/// stream [`finish`](Self::finish) it, and take what is left. A head of more lines than are read
/// makes all that follows one message, for where it ends cannot be known; so does something that is
/// no SIP.
///
/// ```
/// # use sentrypeer_sip::{Frame, Framer};
/// let stream = b"ACK sip:7@192.0.2.1 SIP/2.0\r\nContent-Length: 2\r\n\r\nhiACK sip:7@";
/// let mut framer = Framer::new();
/// let mut messages = Vec::new();
/// for mut piece in stream.chunks(10) {
///     while !piece.is_empty() {
///         piece = &piece[framer.feed(piece)..];
///         while let Some(frame) = framer.next() {
///             if let Frame::Message { bytes, .. } = frame {
///                 messages.push(bytes.to_vec());
///             }
///         }
///     }
/// }
/// assert_eq!(messages.len(), 1);
/// assert!(messages[0].ends_with(b"hi"));
///
/// framer.finish();
/// let Some(Frame::Message { bytes, .. }) = framer.next() else { panic!() };
/// assert_eq!(bytes, b"ACK sip:7@");
/// ```
#[derive(Debug, Default)]
pub struct Framer {
    /// At most [`STREAM_MESSAGE_BYTES_MAX`] bytes; what stands before `start` is done with.
    buffer: Vec<u8>,
    start: usize,
    /// No empty line ends before this position of the buffer.
    scanned: usize,
    state: State,
    /// Whether no more bytes will come.
    ended: bool,
    line_ends: u64,
    discarded: u64,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Between messages; how many line ends came since the last ping or message.
    #[default]
    Between,
    /// As before, with one line end.
    OneLineEnd,
    /// Within a head.
    Head,
    /// The message is `length` bytes long.
    Sized { length: usize, anomalies: Anomalies, then: Then },
    /// There is no telling where the message ends: it takes the rest, up to the limit.
    Rest,
    /// Nothing more is read.
    Over,
}

/// What follows a message.
#[derive(Clone, Copy, Debug)]
enum Then {
    More,
    Nothing,
}

/// [`Frame`] by position.
enum Found {
    Message(Range<usize>, Anomalies),
    Ping,
}

impl Framer {
    /// A framer for a stream that has just begun. Allocates nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes that the stream brought, and says how many. It may be fewer than there are: then
    /// take the frames out with [`next`](Self::next) until there are none, and feed the rest. After
    /// that it takes at least one byte. When the framer [is over](Self::is_over) it takes all and
    /// counts them as [discarded](Self::discarded).
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        if self.is_over() {
            self.discarded += bytes.len() as u64;
            return bytes.len();
        }
        let room = STREAM_MESSAGE_BYTES_MAX - (self.buffer.len() - self.start);
        let bytes = &bytes[..bytes.len().min(room)];
        let needed = self.buffer.len() + bytes.len();
        if needed > STREAM_MESSAGE_BYTES_MAX {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        self.grow(self.buffer.len() + bytes.len());
        self.buffer.extend_from_slice(bytes);
        bytes.len()
    }

    /// Makes room for `needed` bytes in all: doubling, but never beyond the limit.
    fn grow(&mut self, needed: usize) {
        if needed > self.buffer.capacity() {
            let doubled = (self.buffer.capacity() * 2).min(STREAM_MESSAGE_BYTES_MAX);
            self.buffer.reserve_exact(needed.max(doubled) - self.buffer.len());
        }
    }

    /// Says that the stream has ended: what is left comes out as a message that is cut.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// Whether no frame will ever come again: the stream ended, or cannot be followed any further.
    /// Close the connection.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// How many line ends came between messages.
    #[must_use]
    pub fn line_ends(&self) -> u64 {
        self.line_ends
    }

    /// How many bytes came after the framer was over.
    #[must_use]
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    /// How many bytes the framer holds allocated.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.buffer.capacity()
    }

    /// The next frame, if the bytes that were fed complete one.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend its buffer")]
    pub fn next(&mut self) -> Option<Frame<'_>> {
        match self.find() {
            Some(Found::Ping) => Some(Frame::Ping),
            Some(Found::Message(range, anomalies)) => {
                Some(Frame::Message { bytes: &self.buffer[range], anomalies })
            }
            None => {
                self.release();
                None
            }
        }
    }

    /// Gives memory back when nothing is pending.
    fn release(&mut self) {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
            self.scanned = 0;
            if self.buffer.capacity() > FRAMER_KEEP_BYTES {
                self.buffer = Vec::new();
            }
        } else if self.buffer.capacity() > FRAMER_KEEP_BYTES
            && self.buffer.len() - self.start <= FRAMER_KEEP_BYTES / 2
        {
            // The beginning of the next message must not keep the room of a large one.
            self.buffer = self.buffer[self.start..].to_vec();
            self.scanned -= self.start;
            self.start = 0;
        }
    }

    fn find(&mut self) -> Option<Found> {
        loop {
            let pending = self.buffer.len() - self.start;
            match self.state {
                State::Between | State::OneLineEnd => {
                    if self.skip_line_ends()? {
                        return Some(Found::Ping);
                    }
                }
                State::Head => self.head()?,
                State::Sized { length, anomalies, then } if pending >= length => {
                    return Some(self.take(length, anomalies, then));
                }
                State::Rest if pending == STREAM_MESSAGE_BYTES_MAX => {
                    let mut anomalies = Anomalies::default();
                    anomalies.observe(Anomaly::TooLarge);
                    return Some(self.take(pending, anomalies, Then::Nothing));
                }
                State::Sized { .. } | State::Rest if self.ended => return Some(self.cut()),
                State::Sized { .. } | State::Rest | State::Over => return None,
            }
        }
    }

    /// Skips line ends between messages. `Some(true)`: two of them made a ping. `Some(false)`: a
    /// message begins.
    fn skip_line_ends(&mut self) -> Option<bool> {
        while let Some(byte) = self.buffer.get(self.start) {
            if !matches!(byte, b'\r' | b'\n') {
                self.state = State::Head;
                self.scanned = self.start;
                return Some(false);
            }
            self.start += 1;
            if *byte == b'\n' {
                self.line_ends += 1;
                if matches!(self.state, State::OneLineEnd) {
                    self.state = State::Between;
                    return Some(true);
                }
                self.state = State::OneLineEnd;
            }
        }
        if self.ended {
            self.state = State::Over;
        }
        None
    }

    /// Looks for the end of the head. `None`: more bytes are needed.
    fn head(&mut self) -> Option<()> {
        let first = self.buffer.get(self.start).copied();
        // A TLS record: `ContentType` 20 to 23, version 3.x, length (RFC 8446, 5.1).
        if let (Some(20..=23), State::Head) = (first, self.state)
            && let Some(step) = self.tls_record()
        {
            return step;
        }
        // The empty line's LF follows another LF, with or without CR between them.
        while let Some(found) = memchr(b'\n', &self.buffer[self.scanned..]) {
            let lf = self.scanned + found;
            self.scanned = lf + 1;
            if let [.., b'\n'] | [.., b'\n', b'\r'] = self.buffer[self.start..lf] {
                self.state = self.after_head(lf + 1);
                return Some(());
            }
        }
        self.scanned = self.buffer.len();
        if self.ended || self.buffer.len() - self.start == STREAM_MESSAGE_BYTES_MAX {
            self.state = State::Rest;
            return Some(());
        }
        None
    }

    /// Sizes a TLS record. `None`: it is none; `Some(None)`: more bytes are needed.
    fn tls_record(&mut self) -> Option<Option<()>> {
        match self.buffer[self.start..] {
            [_, 3, _, high, low, ..] => {
                let length = 5 + usize::from(u16::from_be_bytes([high, low]));
                self.state = sized(length, Anomalies::default(), Then::Nothing);
                Some(Some(()))
            }
            [_] | [_, 3] | [_, 3, _] | [_, 3, _, _] if !self.ended => Some(None),
            _ => None,
        }
    }

    /// How long the message is whose head ends at `end`, and what follows it.
    fn after_head(&self, end: usize) -> State {
        let head = &self.buffer[self.start..end];
        let message = parse(head);
        let mut anomalies = Anomalies::default();
        let then = match message.kind() {
            Kind::Request | Kind::Response => Then::More,
            Kind::NotSip(_) => Then::Nothing,
        };
        let body = match (message.kind(), message.content_length()) {
            (Kind::NotSip(Looks::Other), _) => 0,
            // A length may stand among the lines that are not read.
            _ if message.anomalies.has(Anomaly::HeaderCap) => return State::Rest,
            (_, Some(length)) => length as usize,
            (_, None) if message.header(Name::ContentLength).is_some() => return State::Rest,
            (Kind::NotSip(_), None) => 0,
            (_, None) => {
                anomalies.reject(Anomaly::ContentLengthMissing);
                0
            }
        };
        sized(head.len().saturating_add(body), anomalies, then)
    }

    fn take(&mut self, length: usize, anomalies: Anomalies, then: Then) -> Found {
        let range = self.start..self.start + length;
        self.start = range.end;
        self.scanned = range.end;
        self.state = match then {
            Then::More => State::Between,
            Then::Nothing => State::Over,
        };
        if let Then::Nothing = then {
            self.discarded += (self.buffer.len() - self.start) as u64;
            self.buffer.truncate(self.start);
        }
        Found::Message(range, anomalies)
    }

    /// What the end of the stream left.
    fn cut(&mut self) -> Found {
        let mut anomalies = Anomalies::default();
        anomalies.observe(Anomaly::StreamCut);
        self.take(self.buffer.len() - self.start, anomalies, Then::Nothing)
    }
}

/// A message of known length, or one that is too long to be read whole.
fn sized(length: usize, anomalies: Anomalies, then: Then) -> State {
    if length > STREAM_MESSAGE_BYTES_MAX {
        return State::Rest;
    }
    State::Sized { length, anomalies, then }
}
