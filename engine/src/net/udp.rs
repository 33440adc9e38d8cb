//! Datagrams: taken from the kernel in batches, answered in batches.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use sentrypeer_storage::event::{Time, Transport, Verification};

use super::Turn;
use super::limiter::Limiters;
use super::listen::UdpPort;
use super::outlet::{self, Withheld};
use super::syscall::{Outgoing, ReceiveBatch, Received, SendBatch};
use crate::counters::{Count, ShardCounters};
use crate::honeypot::Path;
use crate::limits::{
    BUSY_DATAGRAMS, BUSY_WINDOW_MS, CALLS_PER_TURN, DATAGRAMS_PER_CALL, REPLY_BATCH_BYTES,
    REPLY_BYTES_MAX, RETRY_MS,
};
use crate::recorder::{Meta, Recorder};
use crate::sip::{self, Anomalies, Kind};

/// The buffers that all datagrams of a shard pass through.
#[derive(Default)]
pub struct Datagrams {
    receive: ReceiveBatch,
    send: SendBatch,
    replies: Vec<Outgoing>,
    text: Vec<u8>,
    rate: Rate,
    limiters: Limiters,
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
                            limiters: &mut self.limiters,
                        };
                        handle(&datagram, port, now, recorder, replies);
                    }
                    None => recorder.counters.add(Count::ShedNoAddress, 1),
                }
                if self.text.len() > REPLY_BATCH_BYTES - REPLY_BYTES_MAX {
                    self.flush(port, &recorder.counters);
                }
            }
            recorder.counters.add(Count::Datagrams, count as u64);
            self.flush(port, &recorder.counters);
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

    /// Adds something that is due without having been asked for just now: an answer that a call waits
    /// for. [`flush`](Self::flush) sends it.
    pub fn add(&mut self, port: &UdpPort, to: SocketAddr, ours: IpAddr, bytes: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        let from = port.is_wildcard().then_some(ours);
        self.replies.push(Outgoing { to, from, range: start..self.text.len() });
    }

    /// Sends the replies gathered so far; what the kernel does not take is dropped and counted.
    pub fn flush(&mut self, port: &UdpPort, counters: &ShardCounters) {
        let mut rest = self.replies.as_slice();
        while !rest.is_empty() {
            match self.send.send(port.socket.as_raw_fd(), &self.text, rest) {
                Ok(0) => {
                    counters.add(Count::UnsentNoRoom, rest.len() as u64);
                    break;
                }
                Ok(sent) => {
                    let bytes: usize = rest[..sent].iter().map(|r| r.range.len()).sum();
                    counters.add(Count::RepliesSent, sent as u64);
                    counters.add(Count::ReplyBytes, bytes as u64);
                    rest = &rest[sent..];
                }
                Err(error) => {
                    counters.add(Count::UnsentRefused, 1);
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
    limiters: &'a mut Limiters,
}

/// Records a datagram, and gathers the answer to it if it gets one.
fn handle(
    datagram: &Received<'_>,
    port: &UdpPort,
    now: Time,
    recorder: &mut Recorder,
    replies: Replies<'_>,
) {
    let Replies { list, text, limiters } = replies;
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
    let message = sip::parse(datagram.payload);
    let seen = recorder.look(&message, &meta);
    let proven = seen.verification >= Verification::ReturnPath;
    if !proven {
        recorder.counters.add(Count::UnprovenBytes, datagram.payload.len() as u64);
    }
    // What is answered is kept: without room for the event there is no answer either.
    if !recorder.record(&message, &meta, &seen) {
        return;
    }
    if message.kind() != Kind::Request || !recorder.is_responsive() {
        return;
    }
    // What is withheld is not even written: a flood must not cost what its answers would.
    let allowed = outlet::check(datagram.source, ip, &port.rules.own).and_then(|()| {
        if message.method() == b"ACK" {
            return Ok(());
        }
        let rules = (port.rules.limits, port.rules.seed);
        limiters.allow(datagram.source.ip(), proven, now, rules).map_err(Withheld::Rate)
    });
    if let Err(withheld) = allowed {
        recorder.counters.add(withheld.count(), 1);
        return;
    }
    // Not longer than what came: nobody gains anything by forging the source of a request.
    let limit = if proven { REPLY_BYTES_MAX } else { datagram.payload.len().min(REPLY_BYTES_MAX) };
    let start = text.len();
    recorder.answer(&message, &meta, &seen, limit, text);
    if text.len() == start {
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
    use std::net::UdpSocket;
    use std::num::NonZeroU32;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::net::limiter::Limits;
    use crate::net::outlet::Rules;
    use crate::recorder::testing::recorder;

    fn port(source_rate: u32) -> UdpPort {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let limits = Limits { source: NonZeroU32::new(source_rate), ..Limits::default() };
        let rules = Arc::new(Rules { limits, ..Rules::default() });
        UdpPort { local: socket.local_addr().unwrap(), socket, rules }
    }

    /// What is answered to datagrams that come at once from one address, each with its length.
    fn answers(
        port: &UdpPort,
        datagrams: &[Vec<u8>],
        recorder: &mut Recorder,
    ) -> Vec<(usize, String)> {
        let (mut list, mut text, mut limiters) = Default::default();
        let mut answers = Vec::new();
        for payload in datagrams {
            let source = "192.0.2.1:5060".parse().unwrap();
            let received = Received { payload, source, destination: None, truncated: false };
            let replies = Replies { list: &mut list, text: &mut text, limiters: &mut limiters };
            handle(&received, port, Time(1 << 60), recorder, replies);
            for reply in list.drain(..) {
                let text = String::from_utf8_lossy(&text[reply.range]).into_owned();
                answers.push((payload.len(), text));
            }
        }
        answers
    }

    fn request(method: &str, padding: usize, tag: &str) -> String {
        format!(
            "{method} sip:0046500729221@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP \
             192.0.2.1:5060;branch=z9hG4bKa{}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>{tag}\r\n\
             Call-ID: 1\r\nCSeq: 1 {method}\r\nContact: <sip:a@192.0.2.1>\r\n\
             Content-Length: 0\r\n\r\n",
            "x".repeat(padding)
        )
    }

    proptest! {
        #[test]
        fn who_has_proven_nothing_gets_no_more_bytes_than_came(
            methods in proptest::collection::vec("INVITE|OPTIONS|REGISTER|BYE|SUBSCRIBE|BREW", 1..20),
            padding in 0..600_usize, cut in 0..900_usize,
        ) {
            let (mut recorder, _) = recorder(true);
            let whole = methods.iter().map(|method| request(method, padding, "").into_bytes());
            let cut = whole.clone().map(|bytes| bytes[..cut.min(bytes.len())].to_vec());
            let datagrams: Vec<Vec<u8>> = whole.chain(cut).collect();
            for (came, answer) in answers(&port(0), &datagrams, &mut recorder) {
                prop_assert!(answer.len() <= came, "{came}: {answer}");
            }
            let count = |count| recorder.counters.of(count);
            prop_assert!(count(Count::UnprovenReplyBytes) <= count(Count::UnprovenBytes));
            prop_assert_eq!(count(Count::UnprovenBytes), count(Count::DatagramBytes));
        }
    }

    #[test]
    fn beyond_its_rate_a_source_is_recorded_and_not_answered() {
        let (mut recorder, events) = recorder(true);
        let datagrams = vec![request("OPTIONS", 300, "").into_bytes(); 9];
        assert_eq!(answers(&port(3), &datagrams, &mut recorder).len(), 3);
        assert_eq!(recorder.counters.of(Count::UnsentSourceRate), 6);
        assert_eq!(events(recorder).len(), 9);
    }

    #[test]
    fn who_brings_back_our_tag_is_answered_at_any_rate() {
        let (mut recorder, _) = recorder(true);
        let port = port(3);
        let first = answers(&port, &[request("INVITE", 300, "").into_bytes()], &mut recorder);
        let answer = sip::parse(first[0].1.as_bytes());
        let tag = String::from_utf8_lossy(answer.to_tag().unwrap()).into_owned();
        let bye = request("BYE", 0, &format!(";tag={tag}")).into_bytes();
        assert_eq!(answers(&port, &vec![bye; 9], &mut recorder).len(), 9);
        assert_eq!(recorder.counters.of(Count::UnsentSourceRate), 0);
    }

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
