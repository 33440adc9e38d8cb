//! One core: its sockets' buffers, its arena, its connections, its counters. Nothing here is shared
//! with another shard, and nothing here waits: the drivers in [`crate::net`] do that.

use std::os::fd::{AsFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use sentrypeer_storage::intake::ShardIntake;

use crate::counters::{Count, ShardCounters};
use crate::honeypot::{Honeypot, Path};
use crate::limits::{CALL_ANSWERS_PER_TICK, DRAIN_MS, SWEEP_MS, TICK_BUSY_MS, TICK_IDLE_MS};
use crate::net::Turn;
use crate::net::listen::{StreamPort, UdpPort};
use crate::net::outlet;
use crate::net::streams::{StreamId, Streams};
use crate::net::syscall;
use crate::net::udp::Datagrams;
use crate::recorder::Recorder;

/// What a shard is made of.
pub struct Parts {
    /// Its way to the writer.
    pub intake: ShardIntake,
    /// What it answers with; none in passive mode.
    pub honeypot: Option<Arc<Honeypot>>,
    /// Its counters.
    pub counters: Arc<ShardCounters>,
    /// Connections that it may hold.
    pub streams_max: usize,
    /// How TLS is spoken; none where nothing listens for it.
    pub tls: Option<Arc<ArcSwap<ServerConfig>>>,
    /// Its UDP sockets.
    pub udp: Vec<UdpPort>,
    /// Set when the node is to stop.
    pub stop: Arc<AtomicBool>,
}

/// One shard, as its driver sees it.
pub struct Shard {
    recorder: Recorder,
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
            recorder: Recorder::new(parts.intake, parts.honeypot, parts.counters),
            streams: Streams::new(parts.streams_max, parts.tls),
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
        self.datagrams.turn(&self.udp[index], &mut self.recorder)
    }

    /// Takes a new connection, or turns it away (counted).
    pub fn admit(&mut self, socket: RawFd, path: Path) -> Option<StreamId> {
        self.streams.admit(socket, path, &mut self.recorder)
    }

    /// Counts a failed accept, and says so once in a while.
    pub fn accept_failed(&mut self, error: &std::io::Error) {
        self.recorder.counters.add(Count::AcceptErrors, 1);
        if self.recorder.counters.of(Count::AcceptErrors).is_power_of_two() {
            log::warn!("accepting a connection failed: {error}; accepting goes on in a moment");
        }
    }

    /// Counts a connection that had gone before anybody could look at it.
    pub fn accepted_too_late(&self) {
        self.recorder.counters.add(Count::RefusedGone, 1);
    }

    /// Takes what waits at a connection; nothing means that it is over.
    pub fn readable(&mut self, id: StreamId) -> Option<Turn> {
        self.streams.readable(id, &mut self.recorder)
    }

    /// Forgets a connection whose socket is about to be closed.
    pub fn ended(&mut self, id: StreamId) {
        self.streams.ended(id, &mut self.recorder);
    }

    /// What the clock brings: old arenas go to the writer, old connections are shut, the kernel is
    /// asked what it dropped.
    pub fn tick(&mut self) {
        self.recorder.hand_over_if_due();
        self.send_due();
        if self.swept.elapsed() >= Duration::from_millis(SWEEP_MS) {
            self.swept = Instant::now();
            self.streams.sweep();
            self.read_drops(Count::KernelDrops);
        }
    }

    /// Sends the answers that calls wait for.
    fn send_due(&mut self) {
        let counters = Arc::clone(&self.recorder.counters);
        let (calls, clock) = self.recorder.calls();
        if calls.is_empty() {
            return;
        }
        let (ports, datagrams) = (&self.udp, &mut self.datagrams);
        let mut last = None;
        calls.due(clock, CALL_ANSWERS_PER_TICK, |due| {
            let Some(port) = ports.iter().find(|port| port.is_for(due.ours)) else { return };
            if let Some(last) = last.replace(port)
                && !std::ptr::eq(last, port)
            {
                datagrams.flush(last, &counters);
            }
            match outlet::check(due.to, due.ours.ip(), &port.rules.own) {
                Ok(()) => datagrams.add(port, due.to, due.ours.ip(), due.bytes),
                Err(withheld) => counters.add(withheld.count(), 1),
            }
        });
        if let Some(port) = last {
            datagrams.flush(port, &counters);
        }
    }

    /// How long the driver may wait before the next tick.
    #[must_use]
    pub fn tick_interval(&self) -> Duration {
        let busy = self.recorder.is_collecting();
        Duration::from_millis(if busy { TICK_BUSY_MS } else { TICK_IDLE_MS })
    }

    /// Whether the node is to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Empties the sockets and hands over what they held, and gives up the way to the writer. What
    /// arrives from now on the kernel turns away and counts; what there was no time for is counted
    /// with it.
    pub fn finish(&mut self, listeners: &[StreamPort]) {
        self.read_drops(Count::KernelDrops);
        for port in &self.udp {
            if let Err(error) = syscall::shut_out(port.socket.as_fd()) {
                log::debug!("shutting {}: {error}", port.local);
            }
        }
        let deadline = Instant::now() + Duration::from_millis(DRAIN_MS);
        for index in 0..self.udp.len() {
            while self.datagrams(index) == Turn::More {
                if Instant::now() >= deadline {
                    self.datagrams.discard(&self.udp[index], &self.recorder);
                }
            }
        }
        self.read_drops(Count::StopDrops);
        for port in listeners {
            self.streams.take_backlog(port, &mut self.recorder);
        }
        self.streams.finish(&mut self.recorder);
        self.recorder.finish();
    }

    fn read_drops(&mut self, count: Count) {
        for (port, last) in self.udp.iter().zip(&mut self.drops) {
            if let Ok(drops) = syscall::kernel_drops(port.socket.as_fd()) {
                self.recorder.counters.add(count, u64::from(drops.wrapping_sub(*last)));
                *last = drops;
            }
        }
    }
}
