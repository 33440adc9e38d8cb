//! All connections of a shard: who may come in, how bytes move between socket and state, and when
//! a connection has to go.

use std::collections::HashMap;
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
use super::stream::{Closing, Stream};
use crate::counters::{Count, ShardCounters};
use crate::honeypot::Path;
use crate::limits::{
    LISTEN_BACKLOG, RETRY_MS, RETRY_MS_MAX, STREAM_BLOCKED_MS, STREAM_IDLE_MS, STREAM_READ_BYTES,
    STREAM_READS_PER_TURN, STREAM_TOTAL_MS, STREAMS_PER_SOURCE_MAX, TLS_HANDSHAKE_MS,
};
use crate::shard::Recorder;

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
    /// Since when its other side takes nothing, and how long to leave it alone next time (ms).
    blocked: Option<(Instant, u64)>,
    /// Why it is being closed, once that is decided.
    closing: Option<Closing>,
}

/// A shard's table of connections.
pub struct Streams {
    streams_max: usize,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    per_source: HashMap<SourceKey, u32>,
    tls: Option<Arc<ArcSwap<ServerConfig>>>,
    buffer: Box<[u8]>,
}

impl Streams {
    /// An empty table for at most `streams_max` connections; `tls` is how TLS is spoken.
    #[must_use]
    pub fn new(streams_max: usize, tls: Option<Arc<ArcSwap<ServerConfig>>>) -> Self {
        Self {
            streams_max,
            slots: Vec::new(),
            free: Vec::new(),
            per_source: HashMap::new(),
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
        let accepted =
            if path.transport == Transport::Tls { Count::TlsAccepted } else { Count::TcpAccepted };
        recorder.counters.add(accepted, 1);
        if self.slots.len() - self.free.len() >= self.streams_max {
            recorder.counters.add(Count::RefusedShardFull, 1);
            return None;
        }
        let held = self.per_source.entry(SourceKey::of(path.source.ip())).or_insert(0);
        if *held >= STREAMS_PER_SOURCE_MAX {
            recorder.counters.add(Count::RefusedSourceFull, 1);
            return None;
        }
        *held += 1;
        let stream = Stream::new(path, self.tls_state(path.transport));
        let now = Instant::now();
        Some(self.place(Slot {
            stream,
            socket,
            opened: now,
            heard: now,
            blocked: None,
            closing: None,
        }))
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
        for _ in 0..STREAM_READS_PER_TURN {
            // Who does not read is not read either: what it sends waits in the kernel.
            if slot.flush(&recorder.counters) && slot.closing.is_none() {
                return Some(Turn::Later(slot.back_off()));
            }
            match recv(slot.socket, &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(0) | Err(Errno::ECONNRESET) => return slot.close(Closing::Remote),
                Ok(n) => {
                    slot.heard = Instant::now();
                    let fed = slot.stream.feed(&self.buffer[..n], Time::now(), recorder);
                    if let Err(reason) = fed {
                        slot.flush(&recorder.counters);
                        return slot.close(reason);
                    }
                }
                Err(Errno::EAGAIN) => return Some(Turn::Done),
                Err(Errno::EINTR) => {}
                Err(_) => return slot.close(Closing::Remote),
            }
        }
        Some(Turn::More)
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
            if let Some(id) = self.admit(socket.as_raw_fd(), path, recorder) {
                self.finish_one(id, recorder);
            }
        }
    }

    /// Forgets a connection, whose socket the driver closes next; what came in part is recorded.
    pub fn ended(&mut self, id: StreamId, recorder: &mut Recorder) {
        let Some(mut slot) = self.slots.get_mut(id.0).and_then(Option::take) else { return };
        self.free.push(id.0);
        slot.stream.end(Time::now(), recorder);
        recorder.counters.add(slot.closing.unwrap_or(Closing::Remote).count(), 1);
        let key = SourceKey::of(slot.stream.source());
        if let Some(held) = self.per_source.get_mut(&key) {
            *held -= 1;
            if *held == 0 {
                self.per_source.remove(&key);
            }
        }
    }

    /// Shuts the connections that are past their time. The driver then finds them at their end.
    pub fn sweep(&mut self) {
        for slot in self.slots.iter_mut().flatten() {
            if slot.closing.is_none()
                && let Some(reason) = slot.overdue()
            {
                slot.closing = Some(reason);
                slot.shut();
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
    /// Sends what can be sent now; says whether something is left.
    fn flush(&mut self, counters: &ShardCounters) -> bool {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        while !self.stream.output().is_empty() {
            match send(self.socket, self.stream.output(), flags) {
                Ok(n) => {
                    counters.add(Count::StreamSentBytes, n as u64);
                    self.stream.sent(n);
                    self.blocked = None;
                }
                Err(Errno::EAGAIN) => return true,
                Err(Errno::EINTR) => {}
                // The connection has gone; reading it will say so.
                Err(_) => {
                    self.stream.sent(usize::MAX);
                    return false;
                }
            }
        }
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

    fn overdue(&self) -> Option<Closing> {
        let ms = Duration::from_millis;
        if self.stream.is_handshaking() && self.opened.elapsed() > ms(TLS_HANDSHAKE_MS) {
            Some(Closing::Handshake)
        } else if self.blocked.is_some_and(|(since, _)| since.elapsed() > ms(STREAM_BLOCKED_MS)) {
            Some(Closing::SlowReader)
        } else if self.heard.elapsed() > ms(STREAM_IDLE_MS) {
            Some(Closing::Idle)
        } else if self.opened.elapsed() > ms(STREAM_TOTAL_MS) {
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
