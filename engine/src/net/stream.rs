//! One connection, plain or TLS: bytes in, events and reply bytes out. It knows no socket and no
//! clock; [`super::streams`] keeps all of a shard's and moves the bytes.

use std::io::{Read, Write};
use std::net::SocketAddr;

use rustls::ServerConnection;
use sentrypeer_storage::event::{Time, Transport, Verification};

use crate::counters::Count;
use crate::limits::{REPLY_BYTES_MAX, STREAM_PENDING_BYTES_MAX, TLS_HEAD_BYTES};
use crate::shard::{Core, Meta};
use crate::sip::{self, Anomalies, Frame, Framer, Kind};

/// Plain bytes taken out of TLS at a time.
const PLAIN_BYTES: usize = 4_096;

/// The state of one connection.
pub struct Stream {
    about: About,
    tls: Option<Tls>,
    framer: Framer,
    /// Wire bytes that wait to be sent.
    out: Vec<u8>,
    /// A message of SIP came.
    proven: bool,
    /// Something came that gave an event.
    recorded: bool,
}

struct Tls {
    connection: Box<ServerConnection>,
    /// The first bytes, kept until the handshake is done: what a scanner sent instead of one.
    head: Vec<u8>,
}

impl Stream {
    /// A connection that was just accepted; `tls` is how it speaks TLS, if it does.
    #[must_use]
    pub fn new(
        peer: SocketAddr,
        local: SocketAddr,
        transport: Transport,
        tls: Option<ServerConnection>,
    ) -> Self {
        let tls = tls.map(|connection| Tls { connection: Box::new(connection), head: Vec::new() });
        Self {
            about: About { peer, local, transport },
            tls,
            framer: Framer::new(),
            out: Vec::new(),
            proven: false,
            recorded: false,
        }
    }

    /// The other side.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.about.peer
    }

    /// Whether a TLS handshake is still going on.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.connection.is_handshaking())
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
    pub fn feed(&mut self, bytes: &[u8], now: Time, core: &mut Core) -> Result<(), Count> {
        core.counters.add(Count::StreamBytes, bytes.len() as u64);
        let fed = match self.tls.take() {
            None => self.plain(bytes, None, now, core),
            Some(mut tls) => {
                let fed = self.encrypted(bytes, &mut tls, now, core);
                self.tls = Some(tls);
                fed
            }
        };
        if fed.is_ok() && self.out.len() > STREAM_PENDING_BYTES_MAX {
            return Err(Count::ClosedSlowReader);
        }
        fed
    }

    fn encrypted(
        &mut self,
        mut bytes: &[u8],
        tls: &mut Tls,
        now: Time,
        core: &mut Core,
    ) -> Result<(), Count> {
        tls.keep_head(bytes);
        while !bytes.is_empty() {
            let taken = tls.connection.read_tls(&mut bytes);
            if !matches!(taken, Ok(1..)) {
                break;
            }
            let processed = tls.connection.process_new_packets();
            if processed.is_err() {
                let handshaking = tls.connection.is_handshaking();
                tls.drain_into(&mut self.out);
                return Err(if handshaking {
                    Count::ClosedHandshake
                } else {
                    Count::ClosedProtocol
                });
            }
            let mut buffer = [0; PLAIN_BYTES];
            while let Ok(n @ 1..) = tls.connection.reader().read(&mut buffer) {
                if let Err(reason) = self.plain(&buffer[..n], Some(tls), now, core) {
                    tls.drain_into(&mut self.out);
                    return Err(reason);
                }
            }
        }
        tls.drain_into(&mut self.out);
        Ok(())
    }

    /// Takes plain bytes, from the wire or out of TLS; replies go the same way back.
    fn plain(
        &mut self,
        mut bytes: &[u8],
        mut tls: Option<&mut Tls>,
        now: Time,
        core: &mut Core,
    ) -> Result<(), Count> {
        let mut reply = Vec::new();
        while !bytes.is_empty() {
            let taken = self.framer.feed(bytes);
            bytes = &bytes[taken..];
            while self.frame(now, core, &mut reply) {
                match &mut tls {
                    None => self.out.append(&mut reply),
                    Some(tls) => {
                        // The library buffers a bounded amount; what is beyond is the loss of a
                        // peer that asks for more than it reads.
                        let _ = tls.connection.writer().write(&reply);
                        reply.clear();
                    }
                }
            }
            if self.framer.is_over() {
                return Err(Count::ClosedProtocol);
            }
        }
        Ok(())
    }

    /// Handles the next frame, if there is one, and appends what it is answered with.
    fn frame(&mut self, now: Time, core: &mut Core, reply: &mut Vec<u8>) -> bool {
        match self.framer.next() {
            None => false,
            Some(Frame::Ping) => {
                core.counters.add(Count::KeepAlives, 1);
                if core.is_responsive() {
                    reply.extend_from_slice(b"\r\n");
                }
                true
            }
            Some(Frame::Message { bytes, anomalies }) => {
                self.recorded = true;
                let message = sip::parse(bytes);
                self.proven |= !matches!(message.kind(), Kind::NotSip(_));
                let meta = self.about.at(now, self.proven, anomalies);
                core.counters.add(Count::StreamMessages, 1);
                core.message(&message, &meta, REPLY_BYTES_MAX, reply);
                true
            }
        }
    }

    /// The connection is over: what came in part is an event too, and so is a connection on which
    /// nothing came.
    pub fn end(&mut self, now: Time, core: &mut Core) {
        self.framer.finish();
        while let Some(frame) = self.framer.next() {
            if let Frame::Message { bytes, anomalies } = frame {
                self.recorded = true;
                core.record(&sip::parse(bytes), &self.about.at(now, self.proven, anomalies));
            }
        }
        if !self.recorded {
            let head = self.tls.as_ref().map_or(&[][..], |tls| &tls.head);
            let meta = self.about.at(now, self.proven, Anomalies::default());
            core.record(&sip::parse(head), &meta);
        }
    }
}

/// What all messages of a connection have in common.
#[derive(Clone, Copy)]
struct About {
    peer: SocketAddr,
    local: SocketAddr,
    transport: Transport,
}

impl About {
    /// `proven`: a message of SIP came, so the peer is who its address says.
    fn at(&self, time: Time, proven: bool, framing: Anomalies) -> Meta {
        let verification = match self.transport {
            Transport::Tcp if proven => Verification::Connected,
            Transport::Tls if proven => Verification::Tls,
            _ => Verification::Unverified,
        };
        Meta {
            time,
            source: self.peer,
            destination: self.local,
            transport: self.transport,
            verification,
            framing,
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
    use crate::shard::testing::core;

    const MESSAGE: &str = "OPTIONS sip:1@x SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n\
        From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\
        Content-Length: 0\r\n\r\n";

    fn stream() -> Stream {
        let address = "192.0.2.1:5060".parse().unwrap();
        Stream::new(address, address, Transport::Tcp, None)
    }

    #[test]
    fn each_message_of_a_stream_is_an_event_and_gets_an_answer() {
        let (mut core, events) = core(true);
        let mut stream = stream();
        for byte in MESSAGE.repeat(3).as_bytes() {
            stream.feed(&[*byte], Time(1), &mut core).unwrap();
        }
        let answers = String::from_utf8_lossy(stream.output()).matches("SIP/2.0 200 OK").count();
        assert_eq!(answers, 3);
        stream.end(Time(2), &mut core);
        let levels: Vec<_> = events(core).into_iter().map(|e| e.0).collect();
        assert_eq!(levels, [Verification::Connected; 3]);
    }

    #[test]
    fn a_passive_stream_says_nothing_even_to_a_ping() {
        let (mut core, events) = core(false);
        let mut stream = stream();
        stream.feed(format!("\r\n\r\n{MESSAGE}").as_bytes(), Time(1), &mut core).unwrap();
        assert!(stream.output().is_empty());
        assert_eq!(core.counters.of(Count::KeepAlives), 1);
        stream.end(Time(2), &mut core);
        assert_eq!(events(core).len(), 1);
    }

    #[test]
    fn what_came_in_part_is_an_event_and_so_is_nothing_at_all() {
        for (bytes, expected) in [(&MESSAGE[..40], &MESSAGE[..40]), ("", "")] {
            let (mut core, events) = core(true);
            let mut stream = stream();
            stream.feed(bytes.as_bytes(), Time(1), &mut core).unwrap();
            stream.end(Time(2), &mut core);
            assert_eq!(events(core), [(Verification::Unverified, expected.as_bytes().to_vec())]);
        }
    }

    #[test]
    fn a_peer_that_does_not_read_is_let_go() {
        let (mut core, _) = core(true);
        let mut stream = stream();
        let flood = MESSAGE.repeat(1_000);
        let fed =
            flood.as_bytes().chunks(4_096).try_for_each(|c| stream.feed(c, Time(1), &mut core));
        assert_eq!(fed, Err(Count::ClosedSlowReader));
        assert!(stream.output().len() < 2 * STREAM_PENDING_BYTES_MAX);
    }
}
