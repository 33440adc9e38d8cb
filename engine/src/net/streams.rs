//! All connections of a shard: who may come in, how bytes move between socket and state, and when
//! a connection has to go.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, Shutdown, recv, send, shutdown};
use rustls::{ServerConfig, ServerConnection};
use sentrypeer_storage::event::{SourceKey, Time, Transport};

use super::Turn;
use super::listen::StreamPort;
use super::lobby;
use super::roster::{Bounds, Full, Roster};
use super::stream::{Closing, Stream};
use crate::counters::{Count, ShardCounters};
use crate::honeypot::Path;
use crate::limits::{
    LISTEN_BACKLOG, RETRY_MS, RETRY_MS_MAX, STREAM_BLOCKED_MS, STREAM_BUFFERS_BYTES_MAX,
    STREAM_IDLE_MS, STREAM_MESSAGE_MS, STREAM_READ_BYTES, STREAM_READS_PER_TURN, STREAM_TOTAL_MS,
    STREAMS_CLOSING_MAX, STREAMS_PER_SOURCE_MAX, TLS_HANDSHAKE_MS, TLS_HANDSHAKES_MAX,
};
use crate::recorder::Recorder;

/// A connection's place in its shard's table. Places are used again, so an id is only good until
/// [`Streams::ended`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamId(usize);

impl StreamId {
    /// The id with this index.
    #[must_use]
    pub fn new(index: usize) -> Self {
        Self(index)
    }

    /// Small and dense, fit to index a table.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

struct Slot {
    stream: Stream,
    /// Open for as long as the driver has not called [`Streams::ended`].
    socket: RawFd,
    opened: Instant,
    heard: Instant,
    /// Frames that had come, and since when a part of the next one waits for its rest.
    frames: u64,
    partial: Option<Instant>,
    /// Since when its other side has not taken all that it was sent, and how long to leave it alone
    /// next time (ms).
    blocked: Option<(Instant, u64)>,
    /// Why it is being closed, once that is decided.
    closing: Option<Closing>,
}

/// A shard's table of connections.
pub struct Streams {
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    /// Who holds which place, but for those that are being closed.
    roster: Roster,
    tls: Option<Arc<ArcSwap<ServerConfig>>>,
    buffer: Box<[u8]>,
}

impl Streams {
    /// An empty table for at most `streams_max` connections; `tls` is how TLS is spoken.
    #[must_use]
    pub fn new(streams_max: usize, tls: Option<Arc<ArcSwap<ServerConfig>>>) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            roster: Roster::new(Bounds {
                streams: streams_max,
                per_source: STREAMS_PER_SOURCE_MAX,
                handshakes: TLS_HANDSHAKES_MAX,
                bytes: STREAM_BUFFERS_BYTES_MAX,
            }),
            tls,
            buffer: vec![0; STREAM_READ_BYTES].into_boxed_slice(),
        }
    }

    /// Takes a new connection into the table, or turns it away and counts that.
    pub fn admit(
        &mut self,
        socket: RawFd,
        path: Path,
        recorder: &mut Recorder,
    ) -> Option<StreamId> {
        let is_tls = path.transport == Transport::Tls;
        recorder.counters.add(if is_tls { Count::TlsAccepted } else { Count::TcpAccepted }, 1);
        let now = Instant::now();
        let key = SourceKey::of(path.source.ip());
        if let Err(full) = self.make_room(key, is_tls, now, recorder) {
            let count = match full {
                Full::Shard => Count::RefusedShardFull,
                Full::Source => Count::RefusedSourceFull,
                Full::Handshakes => Count::RefusedHandshakes,
            };
            recorder.counters.add(count, 1);
            return None;
        }
        let stream = Stream::new(path, self.tls_state(path.transport));
        let id = self.place(Slot::new(stream, socket, now));
        self.roster.enter(id.0, key, is_tls, now);
        Some(id)
    }

    /// Closes idle connections for a newcomer, until there is room for it.
    fn make_room(
        &mut self,
        source: SourceKey,
        is_tls: bool,
        now: Instant,
        recorder: &mut Recorder,
    ) -> Result<(), Full> {
        // At most one for each bound that there is.
        while let Some((index, full)) = self.roster.room(source, is_tls, now)? {
            if self.slots.len() - self.free.len() - self.roster.count() >= STREAMS_CLOSING_MAX {
                return Err(full);
            }
            self.displace(index, Closing::Displaced(full), recorder);
        }
        Ok(())
    }

    /// Ends a connection of our own accord: its event is recorded, its buffers go, and the driver
    /// finds it at its end.
    fn displace(&mut self, index: usize, reason: Closing, recorder: &mut Recorder) {
        self.roster.leave(index);
        let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut) else { return };
        slot.closing.get_or_insert(reason);
        slot.stream.end(Time::now(), recorder);
        slot.shut();
    }

    fn tls_state(&self, transport: Transport) -> Option<ServerConnection> {
        if transport != Transport::Tls {
            return None;
        }
        let config = self.tls.as_ref()?.load_full();
        // Making the state fails only for a configuration that `server_config` does not make.
        ServerConnection::new(config).ok()
    }

    fn place(&mut self, slot: Slot) -> StreamId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[index] = Some(slot);
        StreamId(index)
    }

    /// Takes what waits at a connection, up to a bound that leaves the others their turn. Nothing
    /// means that the connection is over.
    pub fn readable(&mut self, id: StreamId, recorder: &mut Recorder) -> Option<Turn> {
        let slot = self.slots.get_mut(id.0)?.as_mut()?;
        // Line ends and single bytes keep nobody's place.
        let messages = slot.stream.messages();
        let turn = slot.turn(&mut self.buffer, recorder);
        if slot.closing.is_some() {
            self.roster.leave(id.0);
            return turn;
        }
        if slot.stream.messages() != messages {
            self.roster.heard(id.0, slot.heard);
        }
        if !slot.stream.is_handshaking() {
            self.roster.handshaken(id.0);
        }
        self.roster.holds(id.0, slot.stream.buffered());
        while let Some(largest) = self.roster.beyond_budget() {
            self.displace(largest, Closing::Memory, recorder);
        }
        let slot = self.slots.get(id.0)?.as_ref()?;
        turn.filter(|_| !slot.stream.is_over())
    }

    /// Takes the connections that a listener has not accepted yet, with what they have sent so far,
    /// and ends them: the node stops.
    pub fn take_backlog(&mut self, port: &StreamPort, recorder: &mut Recorder) {
        if port.socket.set_nonblocking(true).is_err() {
            return;
        }
        for _ in 0..LISTEN_BACKLOG {
            let Ok((socket, source)) = port.socket.accept() else { return };
            let destination = socket.local_addr().unwrap_or(port.local);
            let path = Path { source, destination, transport: port.transport };
            let path = match port.is_front_end(source) {
                true => lobby::at_once(socket.as_raw_fd(), path, &recorder.counters),
                false => Some(path),
            };
            let Some(path) = path else { continue };
            if let Some(id) = self.admit(socket.as_raw_fd(), path, recorder) {
                self.finish_one(id, recorder);
            }
        }
    }

    /// Forgets a connection, whose socket the driver closes next; what came in part is recorded.
    pub fn ended(&mut self, id: StreamId, recorder: &mut Recorder) {
        let Some(mut slot) = self.slots.get_mut(id.0).and_then(Option::take) else { return };
        self.free.push(id.0);
        self.roster.leave(id.0);
        slot.stream.end(Time::now(), recorder);
        recorder.counters.add(slot.closing.unwrap_or(Closing::Remote).count(), 1);
    }

    /// Shuts the connections that are past their time. The driver then finds them at their end.
    pub fn sweep(&mut self) {
        let now = Instant::now();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let Some(slot) = slot else { continue };
            if slot.closing.is_none()
                && let Some(reason) = slot.overdue(now)
            {
                slot.closing = Some(reason);
                slot.shut();
                self.roster.leave(index);
            }
        }
    }

    /// Ends every connection: the node stops.
    pub fn finish(&mut self, recorder: &mut Recorder) {
        for index in 0..self.slots.len() {
            self.finish_one(StreamId(index), recorder);
        }
    }

    /// Takes what waits at a connection once more, and ends it.
    fn finish_one(&mut self, id: StreamId, recorder: &mut Recorder) {
        let _ = self.readable(id, recorder);
        if let Some(slot) = &mut self.slots[id.0] {
            slot.closing.get_or_insert(Closing::Stopping);
            slot.shut();
        }
        self.ended(id, recorder);
    }
}

impl Slot {
    fn new(stream: Stream, socket: RawFd, now: Instant) -> Self {
        Self {
            stream,
            socket,
            opened: now,
            heard: now,
            frames: 0,
            partial: None,
            blocked: None,
            closing: None,
        }
    }

    /// Reads, by way of `buffer`, and answers.
    fn turn(&mut self, buffer: &mut [u8], recorder: &mut Recorder) -> Option<Turn> {
        for _ in 0..STREAM_READS_PER_TURN {
            if self.stream.is_over() {
                return None;
            }
            // Who does not read is not read either: what it sends waits in the kernel.
            if self.flush(&recorder.counters) && self.closing.is_none() {
                return Some(Turn::Later(self.back_off()));
            }
            match recv(self.socket, buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(0) | Err(Errno::ECONNRESET) => return self.close(Closing::Remote),
                Ok(n) => {
                    self.heard = Instant::now();
                    let fed = self.stream.feed(&buffer[..n], Time::now(), recorder);
                    self.note_progress();
                    if let Err(reason) = fed {
                        self.flush(&recorder.counters);
                        return self.close(reason);
                    }
                }
                Err(Errno::EAGAIN) => return Some(Turn::Done),
                Err(Errno::EINTR) => {}
                Err(_) => return self.close(Closing::Remote),
            }
        }
        Some(Turn::More)
    }

    /// Notes since when a part of a message waits for its rest.
    fn note_progress(&mut self) {
        let (frames, partial) = self.stream.progress();
        if frames != self.frames || !partial {
            self.partial = None;
        }
        self.frames = frames;
        if partial {
            self.partial.get_or_insert(self.heard);
        }
    }

    /// Sends what can be sent now; says whether something is left.
    fn flush(&mut self, counters: &ShardCounters) -> bool {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        while !self.stream.output().is_empty() {
            match send(self.socket, self.stream.output(), flags) {
                Ok(n) => {
                    counters.add(Count::StreamSentBytes, n as u64);
                    self.stream.sent(n);
                    // It goes on, so it is looked at again soon. Only who has taken everything is
                    // no slow reader.
                    self.blocked = self.blocked.map(|(since, _)| (since, RETRY_MS));
                }
                Err(Errno::EAGAIN) => return true,
                Err(Errno::EINTR) => {}
                // The connection has gone; reading it will say so.
                Err(_) => self.stream.sent(usize::MAX),
            }
        }
        self.blocked = None;
        false
    }

    /// How long to leave a connection alone whose other side takes nothing: longer each time, for
    /// thousands of them must not keep the shard busy.
    fn back_off(&mut self) -> u64 {
        let (since, ms) = self.blocked.unwrap_or((Instant::now(), RETRY_MS));
        self.blocked = Some((since, (ms * 2).min(RETRY_MS_MAX)));
        ms
    }

    /// Notes why the connection is over, unless that was known before.
    fn close(&mut self, reason: Closing) -> Option<Turn> {
        self.closing.get_or_insert(reason);
        None
    }

    /// Why it has to go at `now`, if it has to.
    fn overdue(&self, now: Instant) -> Option<Closing> {
        let longer = |since: Instant, ms| now.duration_since(since) > Duration::from_millis(ms);
        if self.stream.is_handshaking() && longer(self.opened, TLS_HANDSHAKE_MS) {
            Some(Closing::Handshake)
        } else if self.blocked.is_some_and(|(since, _)| longer(since, STREAM_BLOCKED_MS)) {
            Some(Closing::SlowReader)
        } else if self.partial.is_some_and(|since| longer(since, STREAM_MESSAGE_MS)) {
            Some(Closing::SlowSender)
        } else if longer(self.heard, STREAM_IDLE_MS) {
            Some(Closing::Idle)
        } else if longer(self.opened, STREAM_TOTAL_MS) {
            Some(Closing::Lifetime)
        } else {
            None
        }
    }

    fn shut(&self) {
        // It fails only if the other side was faster.
        let _ = shutdown(self.socket, Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::testing::recorder;

    fn slot(now: Instant) -> Slot {
        let address = "192.0.2.1:5060".parse().unwrap();
        let path = Path { source: address, destination: address, transport: Transport::Tcp };
        Slot::new(Stream::new(path, None), -1, now)
    }

    fn hears(slot: &mut Slot, text: &str, at: Instant) {
        let (mut recorder, _) = recorder(true);
        slot.heard = at;
        slot.stream.feed(text.as_bytes(), Time(1), &mut recorder).unwrap();
        slot.note_progress();
    }

    const MESSAGE: &str = "OPTIONS sip:1@x SIP/2.0\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn a_message_that_comes_byte_by_byte_has_its_time_however_lively_it_is() {
        let start = Instant::now();
        let mut slot = slot(start);
        let second = Duration::from_secs(1);
        for i in 0..=20_u32 {
            let text = if i == 0 { "OPTIONS sip:1@x SIP/2.0\r\nX: " } else { "x" };
            hears(&mut slot, text, start + second * i);
            assert_eq!(slot.overdue(start + second * i), None, "{i}");
        }
        assert_eq!(slot.overdue(start + second * 21), Some(Closing::SlowSender));
    }

    #[test]
    fn each_message_has_a_time_of_its_own() {
        let start = Instant::now();
        let mut slot = slot(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        hears(&mut slot, &MESSAGE[..10], at(0));
        hears(&mut slot, &MESSAGE[10..], at(15));
        assert_eq!(slot.overdue(at(30)), None);
        hears(&mut slot, &MESSAGE[..10], at(30));
        hears(&mut slot, &format!("{}{MESSAGE}", &MESSAGE[10..]), at(45));
        assert_eq!(slot.overdue(at(70)), None);
        // Keep-alives and lone line ends are no messages.
        hears(&mut slot, "\r\n\r\n", at(100));
        hears(&mut slot, "\r\n", at(130));
        assert_eq!(slot.overdue(at(189)), None);
        assert_eq!(slot.overdue(at(191)), Some(Closing::Idle));
    }

    #[test]
    fn who_takes_a_little_at_a_time_is_a_slow_reader() {
        let start = Instant::now();
        let mut slot = slot(start);
        assert_eq!(slot.back_off(), RETRY_MS);
        assert_eq!(slot.back_off(), 2 * RETRY_MS);
        let late = Instant::now() + Duration::from_millis(STREAM_BLOCKED_MS + 1);
        assert_eq!(slot.overdue(late), Some(Closing::SlowReader));
    }
}
