//! One connection, plain or TLS: bytes in, events and reply bytes out. It knows no socket and no
//! clock; [`super::streams`] keeps all of a shard's and moves the bytes.

use std::io::{Read, Write};
use std::net::IpAddr;

use rustls::ServerConnection;
use sentrypeer_storage::event::{Time, Transport, Verification};

use super::roster::Full;
use crate::counters::Count;
use crate::honeypot::Path;
use crate::honeypot::cookie::Way;
use crate::limits::{REPLY_BYTES_MAX, STREAM_PLAIN_BYTES, TLS_CONNECTION_BYTES, TLS_HEAD_BYTES};
use crate::recorder::{Meta, Recorder};
use crate::sip::{self, Anomalies, Frame, Framer, Kind};

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The other side ended it.
    Remote,
    /// Nothing came.
    Idle,
    /// It had lasted long enough.
    Lifetime,
    /// The TLS handshake failed or took too long.
    Handshake,
    /// Something came that is no SIP message, or one that is too long.
    Protocol,
    /// The other side did not read what it was sent.
    SlowReader,
    /// A message took too long to arrive.
    SlowSender,
    /// All buffers together had become too large, and its were the largest.
    Memory,
    /// It was idle, and a newer one needed its place.
    Displaced(Full),
    /// The node stops.
    Stopping,
}

impl Closing {
    /// Where it is counted.
    #[must_use]
    pub fn count(self) -> Count {
        match self {
            Self::Remote => Count::ClosedByRemote,
            Self::Idle => Count::ClosedIdle,
            Self::Lifetime => Count::ClosedTotal,
            Self::Handshake => Count::ClosedHandshake,
            Self::Protocol => Count::ClosedProtocol,
            Self::SlowReader => Count::ClosedSlowReader,
            Self::SlowSender => Count::ClosedSlowSender,
            Self::Memory => Count::ClosedMemory,
            Self::Displaced(Full::Source) => Count::ClosedForSource,
            Self::Displaced(Full::Shard) => Count::ClosedForShard,
            Self::Displaced(Full::Handshakes) => Count::ClosedForHandshake,
            Self::Stopping => Count::ClosedStop,
        }
    }
}

/// The state of one connection.
pub struct Stream {
    caller: Caller,
    tls: Option<Tls>,
    framer: Framer,
    /// Wire bytes that wait to be sent.
    out: Vec<u8>,
    /// Messages that came so far.
    messages: u64,
    /// Something came that gave an event.
    recorded: bool,
    /// Frames that came so far.
    frames: u64,
    /// A part of the next message came.
    partial: bool,
    /// It is over: what there was to record is recorded.
    over: bool,
}

/// Whose connection it is, and what is known of that.
struct Caller {
    path: Path,
    /// A message of SIP came.
    proven: bool,
    /// A message came that somebody else may have sent: whose the others are cannot be known either.
    relayed: bool,
}

impl Caller {
    /// What is known of a message that comes now.
    fn meta(&self, time: Time, framing: Anomalies) -> Meta {
        let verification = match self.path.transport {
            _ if !self.proven => Verification::Unverified,
            _ if self.relayed => Verification::Relayed,
            Transport::Tls => Verification::Tls,
            _ => Verification::Connected,
        };
        Meta { time, path: self.path, verification, framing }
    }
}

struct Tls {
    connection: Box<ServerConnection>,
    /// The first bytes, kept until the handshake is done: what a scanner sent instead of one.
    head: Vec<u8>,
}

impl Stream {
    /// A connection that was just accepted; `tls` is how it speaks TLS, if it does.
    #[must_use]
    pub fn new(path: Path, tls: Option<ServerConnection>) -> Self {
        let tls = tls.map(|connection| Tls { connection: Box::new(connection), head: Vec::new() });
        Self {
            caller: Caller { path, proven: false, relayed: false },
            tls,
            framer: Framer::new(),
            out: Vec::new(),
            messages: 0,
            recorded: false,
            frames: 0,
            partial: false,
            over: false,
        }
    }

    /// The other side's address.
    #[must_use]
    pub fn source(&self) -> IpAddr {
        self.caller.path.source.ip()
    }

    /// Whether a TLS handshake is still going on.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.connection.is_handshaking())
    }

    /// How many frames came, and whether more bytes came than they had. What comes in one piece
    /// with the end of a frame counts when the next piece comes.
    #[must_use]
    pub fn progress(&self) -> (u64, bool) {
        (self.frames, self.partial)
    }

    /// Bytes that its buffers keep, without those inside the TLS library.
    #[must_use]
    pub fn buffered(&self) -> usize {
        let tls = self.tls.as_ref().map_or(0, |tls| match tls.connection.is_handshaking() {
            true => tls.head.capacity(),
            false => TLS_CONNECTION_BYTES,
        });
        self.framer.allocated() + self.out.capacity() + tls
    }

    /// Messages that came so far: what keeps a connection from giving way to a newcomer.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Whether [`Self::end`] was called.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Bytes that are to be sent.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.out
    }

    /// The first `n` bytes of the output were sent.
    pub fn sent(&mut self, n: usize) {
        if n >= self.out.len() {
            // An idle connection keeps no buffer.
            self.out = Vec::new();
        } else {
            self.out.drain(..n);
        }
    }

    /// Takes bytes from the wire.
    ///
    /// # Errors
    ///
    /// Why the connection is to be closed; what there is to send before is in the output.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        now: Time,
        recorder: &mut Recorder,
    ) -> Result<(), Closing> {
        recorder.counters.add(Count::StreamBytes, bytes.len() as u64);
        match self.tls.take() {
            None => self.plain(bytes, None, now, recorder),
            Some(mut tls) => {
                let fed = self.encrypted(bytes, &mut tls, now, recorder);
                tls.drain_into(&mut self.out);
                self.tls = Some(tls);
                fed
            }
        }
    }

    fn encrypted(
        &mut self,
        mut bytes: &[u8],
        tls: &mut Tls,
        now: Time,
        recorder: &mut Recorder,
    ) -> Result<(), Closing> {
        tls.keep_head(bytes);
        while !bytes.is_empty() {
            if !matches!(tls.connection.read_tls(&mut bytes), Ok(1..)) {
                break;
            }
            let processed = tls.connection.process_new_packets();
            // A bad record may stand behind good ones: what those said comes first.
            let mut buffer = [0; STREAM_PLAIN_BYTES];
            while let Ok(n @ 1..) = tls.connection.reader().read(&mut buffer) {
                self.plain(&buffer[..n], Some(tls), now, recorder)?;
            }
            if processed.is_err() {
                return Err(if tls.connection.is_handshaking() {
                    Closing::Handshake
                } else {
                    Closing::Protocol
                });
            }
        }
        Ok(())
    }

    /// Takes plain bytes, from the wire or out of TLS; replies go the same way back.
    fn plain(
        &mut self,
        mut bytes: &[u8],
        mut tls: Option<&mut Tls>,
        now: Time,
        recorder: &mut Recorder,
    ) -> Result<(), Closing> {
        let mut reply = Vec::new();
        while !bytes.is_empty() {
            let taken = self.framer.feed(bytes);
            let (piece, rest) = bytes.split_at(taken);
            let before = self.frames;
            bytes = rest;
            while self.frame(now, recorder, &mut reply) {
                match &mut tls {
                    None => self.out.append(&mut reply),
                    Some(tls) => tls.encrypt(&mut reply, &mut self.out),
                }
            }
            // Line ends between messages are no part of one.
            let part = piece.iter().any(|byte| !matches!(byte, b'\r' | b'\n'));
            self.partial = self.frames == before && (self.partial || part);
            if self.framer.is_over() {
                return Err(Closing::Protocol);
            }
        }
        Ok(())
    }

    /// Handles the next frame, if there is one, and appends what it is answered with.
    fn frame(&mut self, now: Time, recorder: &mut Recorder, reply: &mut Vec<u8>) -> bool {
        let frame = self.framer.next();
        self.frames += u64::from(frame.is_some());
        match frame {
            None => false,
            Some(Frame::Ping) => {
                recorder.counters.add(Count::KeepAlives, 1);
                if recorder.is_responsive() {
                    reply.extend_from_slice(b"\r\n");
                }
                true
            }
            Some(Frame::Message { bytes, anomalies }) => {
                self.recorded = true;
                let message = sip::parse(bytes);
                self.messages += 1;
                recorder.counters.add(Count::StreamMessages, 1);
                self.caller.proven |= !matches!(message.kind(), Kind::NotSip(_));
                let meta = self.caller.meta(now, anomalies);
                let seen = recorder.look(&message, &meta);
                self.caller.relayed |= seen.way == Way::Relayed;
                // What is answered is kept: without room for the event there is no answer either.
                if recorder.record(&message, &meta, &seen) {
                    recorder.answer(&message, &meta, &seen, REPLY_BYTES_MAX, reply);
                }
                true
            }
        }
    }

    /// The connection is over: what came in part is an event too, and so is a connection on which
    /// nothing came. Its buffers go at once. A second call does nothing.
    pub fn end(&mut self, now: Time, recorder: &mut Recorder) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        self.record_rest(now, recorder);
        self.framer = Framer::new();
        self.out = Vec::new();
        self.tls = None;
    }

    fn record_rest(&mut self, now: Time, recorder: &mut Recorder) {
        self.framer.finish();
        while let Some(frame) = self.framer.next() {
            if let Frame::Message { bytes, anomalies } = frame {
                self.recorded = true;
                let message = sip::parse(bytes);
                let meta = self.caller.meta(now, anomalies);
                let seen = recorder.look(&message, &meta);
                recorder.record(&message, &meta, &seen);
            }
        }
        if !self.recorded {
            let head = self.tls.as_ref().map_or(&[][..], |tls| &tls.head);
            let meta = self.caller.meta(now, Anomalies::default());
            let message = sip::parse(head);
            let seen = recorder.look(&message, &meta);
            recorder.record(&message, &meta, &seen);
        }
    }
}

impl Tls {
    fn keep_head(&mut self, bytes: &[u8]) {
        if self.connection.is_handshaking() {
            let room = TLS_HEAD_BYTES - self.head.len();
            self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        } else {
            self.head = Vec::new();
        }
    }

    /// Encrypts `plain`, piece by piece as the library takes it, into `out`.
    fn encrypt(&mut self, plain: &mut Vec<u8>, out: &mut Vec<u8>) {
        let mut rest = plain.as_slice();
        while let Ok(taken @ 1..) = self.connection.writer().write(rest) {
            rest = &rest[taken..];
            self.drain_into(out);
        }
        plain.clear();
    }

    fn drain_into(&mut self, out: &mut Vec<u8>) {
        while self.connection.wants_write() {
            // Writing into memory does not fail.
            if !matches!(self.connection.write_tls(out), Ok(1..)) {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::testing::recorder;

    const MESSAGE: &str = "OPTIONS sip:1@x SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n\
        From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\
        Content-Length: 0\r\n\r\n";

    fn stream() -> Stream {
        let address = "192.0.2.1:5060".parse().unwrap();
        Stream::new(Path { source: address, destination: address, transport: Transport::Tcp }, None)
    }

    #[test]
    fn each_message_of_a_stream_is_an_event_and_gets_an_answer() {
        let (mut recorder, events) = recorder(true);
        let mut stream = stream();
        for byte in MESSAGE.repeat(3).as_bytes() {
            stream.feed(&[*byte], Time(1), &mut recorder).unwrap();
        }
        let answers = String::from_utf8_lossy(stream.output()).matches("SIP/2.0 200 OK").count();
        assert_eq!(answers, 3);
        stream.end(Time(2), &mut recorder);
        let levels: Vec<_> = events(recorder).into_iter().map(|e| e.0).collect();
        assert_eq!(levels, [Verification::Connected; 3]);
    }

    #[test]
    fn whose_the_messages_of_a_relay_are_is_not_known_of_any() {
        let (mut recorder, events) = recorder(true);
        let mut stream = stream();
        let relayed =
            MESSAGE.replace("z9hG4bK1\r\n", "z9hG4bK1\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK2\r\n");
        let many = MESSAGE.replace("From:", &format!("{}From:", "X: y\r\n".repeat(300)));
        for text in [MESSAGE, &relayed, MESSAGE, &many] {
            stream.feed(text.as_bytes(), Time(1), &mut recorder).unwrap();
        }
        stream.end(Time(2), &mut recorder);
        let levels: Vec<_> = events(recorder).into_iter().map(|e| e.0).collect();
        let relayed = Verification::Relayed;
        assert_eq!(levels, [Verification::Connected, relayed, relayed, relayed]);
    }

    #[test]
    fn a_passive_stream_says_nothing_even_to_a_ping() {
        let (mut recorder, events) = recorder(false);
        let mut stream = stream();
        stream.feed(format!("\r\n\r\n{MESSAGE}").as_bytes(), Time(1), &mut recorder).unwrap();
        assert!(stream.output().is_empty());
        assert_eq!(recorder.counters.of(Count::KeepAlives), 1);
        stream.end(Time(2), &mut recorder);
        assert_eq!(events(recorder).len(), 1);
    }

    #[test]
    fn an_end_is_recorded_once_and_gives_the_memory_back() {
        let (mut recorder, events) = recorder(true);
        let mut stream = stream();
        stream.feed(&[b'x'; 50_000], Time(1), &mut recorder).unwrap();
        assert!(stream.buffered() >= 50_000);
        stream.end(Time(2), &mut recorder);
        stream.end(Time(3), &mut recorder);
        assert_eq!((stream.buffered(), stream.is_over()), (0, true));
        assert_eq!(events(recorder).len(), 1);
    }

    #[test]
    fn what_came_in_part_is_an_event_and_so_is_nothing_at_all() {
        for (bytes, expected) in [(&MESSAGE[..40], &MESSAGE[..40]), ("", "")] {
            let (mut recorder, events) = recorder(true);
            let mut stream = stream();
            stream.feed(bytes.as_bytes(), Time(1), &mut recorder).unwrap();
            stream.end(Time(2), &mut recorder);
            assert_eq!(
                events(recorder),
                [(Verification::Unverified, expected.as_bytes().to_vec())]
            );
        }
    }
}
