//! One core: its sockets' buffers, its arena, its connections, its counters. Nothing here is shared
//! with another shard, and nothing here waits: the drivers in [`crate::net`] do that.

use std::net::SocketAddr;
use std::os::fd::{AsFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use sentrypeer_storage::arena::Arena;
use sentrypeer_storage::event::{
    Anomalies, Collected, EventRef, NumberKind, Time, Transport, Verification,
};
use sentrypeer_storage::intake::ShardIntake;

use crate::counters::{Count, ShardCounters};
use crate::honeypot::{Honeypot, Peer, Silence};
use crate::limits::{ARENA_AGE_MS, DRAIN_MS, SWEEP_MS, TICK_BUSY_MS, TICK_IDLE_MS};
use crate::net::Turn;
use crate::net::listen::UdpPort;
use crate::net::streams::{StreamId, Streams};
use crate::net::syscall;
use crate::net::udp::Datagrams;
use crate::sip::limits::NUMBER_BYTES_MAX;
use crate::sip::{self, Message};

/// Where a message came from, and how.
#[derive(Clone, Copy, Debug)]
pub struct Meta {
    /// When it arrived.
    pub time: Time,
    /// Who sent it.
    pub source: SocketAddr,
    /// Where it was sent to.
    pub destination: SocketAddr,
    /// How it travelled.
    pub transport: Transport,
    /// How well `source` is proven.
    pub verification: Verification,
    /// What was wrong with how a stream was cut into messages.
    pub framing: sip::Anomalies,
}

/// What a shard is made of.
pub struct Parts {
    /// Its way to the writer.
    pub intake: ShardIntake,
    /// What it answers with; none in passive mode.
    pub honeypot: Option<Arc<Honeypot>>,
    /// Its counters.
    pub counters: Arc<ShardCounters>,
    /// How TLS is spoken; none where nothing listens for it.
    pub tls: Option<Arc<ArcSwap<ServerConfig>>>,
    /// Its UDP sockets.
    pub udp: Vec<UdpPort>,
    /// Set when the node is to stop.
    pub stop: Arc<AtomicBool>,
}

/// The path of one message from its bytes to the arena and the reply: no sockets, no waiting.
pub struct Core {
    /// The shard's counters.
    pub counters: Arc<ShardCounters>,
    /// Gone once the shard has finished: the writer ends when the last one goes.
    intake: Option<ShardIntake>,
    arena: Option<Arena>,
    /// When the first event came into the arena.
    arena_since: Instant,
    honeypot: Option<Arc<Honeypot>>,
}

impl Core {
    /// Whether the node answers.
    #[must_use]
    pub fn is_responsive(&self) -> bool {
        self.honeypot.is_some()
    }

    /// Records a message and, if the node answers and the event is kept, appends the reply (at most
    /// `limit` bytes) to `reply`.
    pub fn message(
        &mut self,
        message: &Message<'_>,
        meta: &Meta,
        limit: usize,
        reply: &mut Vec<u8>,
    ) {
        // What is answered is kept: without room for the event there is no answer either.
        if !self.record(message, meta) {
            return;
        }
        let Some(honeypot) = &self.honeypot else { return };
        let peer =
            Peer { source: meta.source, destination: meta.destination, transport: meta.transport };
        match honeypot.answer(message, &peer, limit, reply) {
            Ok(()) | Err(Silence::Due) => {}
            Err(Silence::Incomplete) => self.counters.add(Count::UnsentIncomplete, 1),
            Err(Silence::TooLong) => self.counters.add(Count::UnsentTooLong, 1),
        }
    }

    /// Records a message as an event; says whether there was room.
    pub fn record(&mut self, message: &Message<'_>, meta: &Meta) -> bool {
        let mut digits = [0; NUMBER_BYTES_MAX];
        let anomalies = message.all_anomalies();
        let (number, kind) = message.called_number(&mut digits);
        let event = EventRef {
            time: meta.time,
            source: meta.source,
            destination: meta.destination,
            transport: meta.transport,
            verification: meta.verification,
            collected: match self.honeypot {
                Some(_) => Collected::Responsive,
                None => Collected::Passive,
            },
            number_kind: match kind {
                sip::NumberKind::None => NumberKind::None,
                sip::NumberKind::Called => NumberKind::Called,
                sip::NumberKind::Account => NumberKind::Account,
            },
            anomalies: Anomalies {
                observed: anomalies.observed | meta.framing.observed,
                invalid: anomalies.invalid | meta.framing.invalid,
            },
            method: message.method(),
            number,
            user_agent: message.user_agent().unwrap_or_default(),
            message: message.bytes(),
        };
        let kept = self.push(&event);
        self.counters.add(if kept { Count::EventsRecorded } else { Count::ShedNoArena }, 1);
        kept
    }

    /// Copies the event into the arena, the one copy between the wire and the block.
    fn push(&mut self, event: &EventRef<'_>) -> bool {
        if let Some(arena) = &mut self.arena {
            if arena.push(event).is_ok() {
                return true;
            }
            self.hand_over();
        }
        let Some(mut arena) = self.intake.as_mut().and_then(ShardIntake::take) else {
            return false;
        };
        // An empty arena takes any event: its size is asserted to be larger than the largest.
        let kept = arena.push(event).is_ok();
        self.arena = Some(arena);
        self.arena_since = Instant::now();
        kept
    }

    fn hand_over(&mut self) {
        if let (Some(arena), Some(intake)) = (self.arena.take(), &mut self.intake) {
            intake.hand_over(arena);
        }
    }

    fn hand_over_if_due(&mut self) {
        let due = Duration::from_millis(ARENA_AGE_MS - TICK_BUSY_MS);
        if self.arena.is_some() && self.arena_since.elapsed() >= due {
            self.hand_over();
        }
    }
}

/// One shard, as its driver sees it.
pub struct Shard {
    core: Core,
    streams: Streams,
    datagrams: Datagrams,
    udp: Vec<UdpPort>,
    /// The kernel's drop count of each UDP socket when it was last asked.
    drops: Vec<u32>,
    stop: Arc<AtomicBool>,
    swept: Instant,
}

impl Shard {
    /// Puts a shard together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let drops = vec![0; parts.udp.len()];
        Self {
            core: Core {
                counters: parts.counters,
                intake: Some(parts.intake),
                arena: None,
                arena_since: Instant::now(),
                honeypot: parts.honeypot,
            },
            streams: Streams::new(parts.tls),
            datagrams: Datagrams::default(),
            udp: parts.udp,
            drops,
            stop: parts.stop,
            swept: Instant::now(),
        }
    }

    /// The UDP sockets, in the order that [`Self::datagrams`] counts them.
    #[must_use]
    pub fn datagram_ports(&self) -> &[UdpPort] {
        &self.udp
    }

    /// Takes what waits at UDP socket `index`.
    pub fn datagrams(&mut self, index: usize) -> Turn {
        self.datagrams.turn(&self.udp[index], &mut self.core)
    }

    /// Takes a new connection, or turns it away (counted).
    pub fn admit(
        &mut self,
        socket: RawFd,
        peer: SocketAddr,
        local: SocketAddr,
        transport: Transport,
    ) -> Option<StreamId> {
        self.streams.admit(socket, peer, local, transport, &mut self.core)
    }

    /// Counts a failed accept, and says so once in a while.
    pub fn accept_failed(&mut self, error: &std::io::Error) {
        self.core.counters.add(Count::AcceptErrors, 1);
        if self.core.counters.of(Count::AcceptErrors).is_power_of_two() {
            log::warn!("accepting a connection failed: {error}; accepting goes on in a moment");
        }
    }

    /// Takes what waits at a connection; nothing means that it is over.
    pub fn readable(&mut self, id: StreamId) -> Option<Turn> {
        self.streams.readable(id, &mut self.core)
    }

    /// Forgets a connection whose socket is about to be closed.
    pub fn ended(&mut self, id: StreamId) {
        self.streams.ended(id, &mut self.core);
    }

    /// What the clock brings: old arenas go to the writer, old connections are shut, waiting output
    /// is tried again, the kernel is asked what it dropped.
    pub fn tick(&mut self) {
        self.core.hand_over_if_due();
        self.streams.flush_pending(&self.core.counters);
        if self.swept.elapsed() >= Duration::from_millis(SWEEP_MS) {
            self.swept = Instant::now();
            self.streams.sweep();
            self.read_drops(Count::KernelDrops);
        }
    }

    /// How long the driver may wait before the next tick.
    #[must_use]
    pub fn tick_interval(&self) -> Duration {
        let busy = self.core.arena.is_some() || self.streams.has_pending();
        Duration::from_millis(if busy { TICK_BUSY_MS } else { TICK_IDLE_MS })
    }

    /// Whether the node is to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Empties the sockets and hands over what they held, and gives up the way to the writer. What
    /// arrives from now on the kernel turns away and counts.
    pub fn finish(&mut self) {
        self.read_drops(Count::KernelDrops);
        for port in &self.udp {
            if let Err(error) = syscall::shut_out(port.socket.as_fd()) {
                log::debug!("shutting {}: {error}", port.local);
            }
        }
        let deadline = Instant::now() + Duration::from_millis(DRAIN_MS);
        for index in 0..self.udp.len() {
            while self.datagrams(index) == Turn::More && Instant::now() < deadline {}
        }
        self.read_drops(Count::StopDrops);
        self.streams.finish(&mut self.core);
        self.core.hand_over();
        self.core.intake = None;
    }

    fn read_drops(&mut self, count: Count) {
        for (port, last) in self.udp.iter().zip(&mut self.drops) {
            if let Ok(drops) = syscall::kernel_drops(port.socket.as_fd()) {
                self.core.counters.add(count, u64::from(drops.wrapping_sub(*last)));
                *last = drops;
            }
        }
    }
}

#[cfg(test)]
pub mod testing {
    //! A core without a shard around it.

    use super::*;
    use crate::honeypot::persona::EXCHANGE;
    use crate::honeypot::tag::TagKey;
    use sentrypeer_storage::intake;

    /// What is looked at of an event: its verification and its bytes.
    pub type Seen = (Verification, Vec<u8>);

    /// A core, and what gives the events that it has recorded when it is done.
    pub fn core(responsive: bool) -> (Core, impl Fn(Core) -> Vec<Seen>) {
        let (mut intakes, _writer) = intake::channel(1);
        let honeypot = Honeypot::new(EXCHANGE, TagKey::from_secret(&[3; 32]));
        let core = Core {
            counters: Arc::new(ShardCounters::default()),
            intake: Some(intakes.remove(0)),
            arena: None,
            arena_since: Instant::now(),
            honeypot: responsive.then(|| Arc::new(honeypot)),
        };
        let events = |core: Core| {
            let arena = core.arena.unwrap_or_default();
            arena.iter().map(|e| (e.verification, e.message.to_vec())).collect()
        };
        (core, events)
    }
}
