//! Datagrams: taken from the kernel in batches, answered in batches.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use sentrypeer_storage::event::{Time, Transport, Verification};

use super::Turn;
use super::limiter::Limiter;
use super::listen::UdpPort;
use super::outlet::{self, Withheld};
use super::syscall::{Outgoing, ReceiveBatch, Received, SendBatch};
use crate::counters::Count;
use crate::honeypot::Path;
use crate::limits::{
    BUSY_DATAGRAMS, BUSY_WINDOW_MS, CALLS_PER_TURN, DATAGRAMS_PER_CALL, REPLY_BATCH_BYTES,
    REPLY_BYTES_MAX, RETRY_MS,
};
use crate::shard::{Meta, Recorder};
use crate::sip::{self, Anomalies};

/// The buffers that all datagrams of a shard pass through.
#[derive(Default)]
pub struct Datagrams {
    receive: ReceiveBatch,
    send: SendBatch,
    replies: Vec<Outgoing>,
    text: Vec<u8>,
    rate: Rate,
    /// Made when the first answer to somebody who has proven nothing is due.
    limiter: Option<Limiter>,
}

/// Whether datagrams come in so fast that naps pay.
#[derive(Default)]
struct Rate {
    since: Time,
    count: u64,
    busy: bool,
}

impl Rate {
    fn add(&mut self, count: usize, now: Time) {
        self.count += count as u64;
        // A clock that jumps back starts a new window.
        let age_ns = now.0.checked_sub(self.since.0).unwrap_or(u64::MAX);
        if age_ns >= BUSY_WINDOW_MS * 1_000_000 {
            // After a pause the window is longer than it should be, and the rate lower.
            self.busy = age_ns < 2 * BUSY_WINDOW_MS * 1_000_000 && self.count >= BUSY_DATAGRAMS;
            *self = Self { since: now, count: 0, busy: self.busy };
        }
    }
}

impl Datagrams {
    /// Takes and handles what waits at `port`, up to a bound that leaves the other sockets their
    /// turn.
    pub fn turn(&mut self, port: &UdpPort, recorder: &mut Recorder) -> Turn {
        for call in 0..CALLS_PER_TURN {
            let count = match self.receive.receive(port.socket.as_raw_fd()) {
                Ok(count) => count,
                Err(error) => {
                    recorder.counters.add(Count::ReceiveErrors, 1);
                    log::debug!("receiving at {}: {error}", port.local);
                    return Turn::Later(RETRY_MS);
                }
            };
            // One look at the clock serves the whole batch.
            let now = Time::now();
            for i in 0..count {
                match self.receive.datagram(i) {
                    Some(datagram) => {
                        let replies = Replies {
                            list: &mut self.replies,
                            text: &mut self.text,
                            limiter: &mut self.limiter,
                        };
                        handle(&datagram, port, now, recorder, replies);
                    }
                    None => recorder.counters.add(Count::ShedNoAddress, 1),
                }
                if self.text.len() > REPLY_BATCH_BYTES - REPLY_BYTES_MAX {
                    self.flush(port, recorder);
                }
            }
            recorder.counters.add(Count::Datagrams, count as u64);
            self.flush(port, recorder);
            self.rate.add(count, now);
            if count < DATAGRAMS_PER_CALL {
                let came = call > 0 || count > 0;
                return if came && self.rate.busy { Turn::Soon } else { Turn::Done };
            }
        }
        Turn::More
    }

    /// Takes what is left at `port` without looking at it, and counts it: there is no time.
    pub fn discard(&mut self, port: &UdpPort, recorder: &Recorder) {
        while let Ok(count @ 1..) = self.receive.receive(port.socket.as_raw_fd()) {
            recorder.counters.add(Count::StopDrops, count as u64);
        }
    }

    /// Sends the replies gathered so far; what the kernel does not take is dropped and counted.
    fn flush(&mut self, port: &UdpPort, recorder: &Recorder) {
        let mut rest = self.replies.as_slice();
        while !rest.is_empty() {
            match self.send.send(port.socket.as_raw_fd(), &self.text, rest) {
                Ok(0) => {
                    recorder.counters.add(Count::UnsentNoRoom, rest.len() as u64);
                    break;
                }
                Ok(sent) => {
                    let bytes: usize = rest[..sent].iter().map(|r| r.range.len()).sum();
                    recorder.counters.add(Count::RepliesSent, sent as u64);
                    recorder.counters.add(Count::ReplyBytes, bytes as u64);
                    rest = &rest[sent..];
                }
                Err(error) => {
                    recorder.counters.add(Count::UnsentRefused, 1);
                    log::debug!("replying to {}: {error}", rest[0].to);
                    rest = &rest[1..];
                }
            }
        }
        self.replies.clear();
        self.text.clear();
    }
}

/// What [`handle`] adds to.
struct Replies<'a> {
    list: &'a mut Vec<Outgoing>,
    text: &'a mut Vec<u8>,
    limiter: &'a mut Option<Limiter>,
}

/// Records a datagram, and gathers the answer to it if it gets one.
fn handle(
    datagram: &Received<'_>,
    port: &UdpPort,
    now: Time,
    recorder: &mut Recorder,
    replies: Replies<'_>,
) {
    let Replies { list, text, limiter } = replies;
    recorder.counters.add(Count::DatagramBytes, datagram.payload.len() as u64);
    if datagram.truncated {
        recorder.counters.add(Count::DatagramsCut, 1);
    }
    let ip = datagram.destination.unwrap_or(port.local.ip());
    let meta = Meta {
        time: now,
        path: Path {
            source: datagram.source,
            destination: SocketAddr::new(ip, port.local.port()),
            transport: Transport::Udp,
        },
        verification: Verification::Unverified,
        framing: Anomalies::default(),
    };
    let proven = meta.verification >= Verification::ReturnPath;
    if !proven {
        recorder.counters.add(Count::UnprovenBytes, datagram.payload.len() as u64);
    }
    let start = text.len();
    // Never longer than what came: nobody gains anything by forging the source of a request.
    let limit = datagram.payload.len().min(REPLY_BYTES_MAX);
    recorder.message(&sip::parse(datagram.payload), &meta, limit, text);
    if text.len() == start {
        return;
    }
    let allowed = outlet::check(datagram.source, ip, &port.rules.own).and_then(|()| {
        if proven {
            return Ok(());
        }
        let limiter =
            limiter.get_or_insert_with(|| Limiter::new(port.rules.limits, port.rules.seed));
        limiter.allow(datagram.source.ip(), now).map_err(Withheld::Rate)
    });
    if let Err(withheld) = allowed {
        recorder.counters.add(withheld.count(), 1);
        text.truncate(start);
        return;
    }
    if !proven {
        let bytes = (text.len() - start) as u64;
        recorder.counters.add(Count::UnprovenReplyBytes, bytes);
    }
    let from = port.is_wildcard().then_some(ip);
    list.push(Outgoing { to: datagram.source, from, range: start..text.len() });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naps_begin_at_the_rate_that_makes_them_pay_and_end_with_it() {
        let mut rate = Rate::default();
        let window_ns = BUSY_WINDOW_MS * 1_000_000;
        let mut now = Time(1_000 * window_ns);
        rate.add(1, now);
        let per_window = usize::try_from(BUSY_DATAGRAMS).unwrap();
        now.0 += window_ns;
        rate.add(per_window, now);
        assert!(rate.busy);
        now.0 += window_ns;
        rate.add(per_window - 1, now);
        assert!(!rate.busy);
        now.0 += 10 * window_ns;
        rate.add(per_window, now);
        assert!(!rate.busy, "a burst after a pause is no rate");
    }
}
