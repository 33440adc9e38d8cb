//! What each shard counts, and how `/metrics` shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sentrypeer_http::metrics::{self, Kind};

/// One thing that a shard counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Count {
    /// Datagrams taken from the kernel.
    Datagrams,
    /// Their bytes.
    DatagramBytes,
    /// Datagrams that the kernel cut.
    DatagramsCut,
    /// Datagrams that the kernel dropped because a socket's buffer was full.
    KernelDrops,
    /// Datagrams that came too late: the kernel turned them away after the sockets had been shut for
    /// the stop, or there was no time left for them.
    StopDrops,
    /// Failed calls to receive datagrams.
    ReceiveErrors,
    /// Messages that streams delivered.
    StreamMessages,
    /// Bytes that streams delivered, as they came over the wire.
    StreamBytes,
    /// Bytes sent on streams, as they went over the wire.
    StreamSentBytes,
    /// Keep-alives on streams (RFC 5626, section 3.5.1).
    KeepAlives,
    /// Events handed to the writer.
    EventsRecorded,
    /// Events of which only the count was kept, for no arena was free.
    EventsCounted,
    /// Events lost because no arena was free, and the table of counts was full as well: the writer
    /// could not keep up.
    ShedNoArena,
    /// Events lost because the writer had ended. They were counted as recorded before.
    ShedNoWriter,
    /// Events whose sender's address the kernel did not tell in a known form.
    ShedNoAddress,
    /// Replies handed to the kernel.
    RepliesSent,
    /// Their bytes.
    ReplyBytes,
    /// Bytes of the datagrams whose source had proven nothing.
    UnprovenBytes,
    /// Bytes of the replies to them.
    UnprovenReplyBytes,
    /// No reply because it would have been longer than the request.
    UnsentTooLong,
    /// No reply because the request lacked a header that a reply must copy.
    UnsentIncomplete,
    /// No reply because of who asked: a broadcast, multicast or unspecified address.
    UnsentAddress,
    /// No reply because who asked has port 0.
    UnsentPortZero,
    /// No reply because who asked has a port of a service that answers everything.
    UnsentReflector,
    /// No reply because who asked is one of our own sockets.
    UnsentOwn,
    /// No reply because its unproven source gets as many as it may.
    UnsentSourceRate,
    /// No reply because its source's network gets as many as it may.
    UnsentNetworkRate,
    /// No reply because all unproven sources together get as many as they may.
    UnsentTotalRate,
    /// No reply because the kernel's send buffer was full.
    UnsentNoRoom,
    /// No reply because the kernel refused to send it.
    UnsentRefused,
    /// TCP connections accepted.
    TcpAccepted,
    /// TLS connections accepted.
    TlsAccepted,
    /// Connections turned away because the shard had as many as it may.
    RefusedShardFull,
    /// Connections that had gone before their other side's address could be read.
    RefusedGone,
    /// Connections turned away because their source had as many as it may.
    RefusedSourceFull,
    /// Connections turned away because as many TLS handshakes went on as may.
    RefusedHandshakes,
    /// Connections of front ends that did not begin with a sound PROXY protocol header.
    RefusedProxyBroken,
    /// Connections of front ends whose header did not come in time.
    RefusedProxyLate,
    /// Connections of front ends that ended before their header had come.
    RefusedProxyMissing,
    /// Connections of front ends turned away because too many waited for their header.
    RefusedProxyFull,
    /// Connections of front ends whose header named a caller.
    ProxiedConnections,
    /// Connections of front ends whose header said that they are its own, or nobody's.
    ProxyLocal,
    /// Failed calls to accept, running out of descriptors among them.
    AcceptErrors,
    /// Connections ended by the other side.
    ClosedByRemote,
    /// Connections ended because nothing came.
    ClosedIdle,
    /// Connections ended because they had lasted long enough.
    ClosedTotal,
    /// Connections ended because the TLS handshake failed or took too long.
    ClosedHandshake,
    /// Connections ended after something that is no SIP message, or one that is too long.
    ClosedProtocol,
    /// Connections ended because their other side did not read what it was sent.
    ClosedSlowReader,
    /// Connections ended because a message took too long to arrive.
    ClosedSlowSender,
    /// Connections ended because all buffers together had become too large, and theirs was the
    /// largest.
    ClosedMemory,
    /// Idle connections ended for a new one of their source, which had as many as it may.
    ClosedForSource,
    /// Idle connections ended for a new one, for the shard had as many as it may.
    ClosedForShard,
    /// TLS handshakes given up for a new one, for as many went on as may.
    ClosedForHandshake,
    /// Connections ended by the node's own stop.
    ClosedStop,
}

const COUNTS: usize = Count::ClosedStop as usize + 1;

/// A count, and the label with its value that tells it from the others of its family.
type Shown = (Count, &'static str, &'static str);

/// Name, help and counts of each metric family.
const FAMILIES: &[(&str, &str, &[Shown])] = &[
    (
        "sentrypeer_datagrams_received_total",
        "Datagrams taken from the kernel.",
        &[(Count::Datagrams, "", "")],
    ),
    (
        "sentrypeer_datagrams_received_bytes_total",
        "Bytes of the datagrams taken from the kernel.",
        &[(Count::DatagramBytes, "", "")],
    ),
    (
        "sentrypeer_datagrams_cut_total",
        "Datagrams that were longer than the receive buffer.",
        &[(Count::DatagramsCut, "", "")],
    ),
    (
        "sentrypeer_kernel_drops_total",
        "Datagrams that the kernel dropped before the node saw them.",
        &[(Count::KernelDrops, "reason", "buffer_full"), (Count::StopDrops, "reason", "stopping")],
    ),
    (
        "sentrypeer_receive_errors_total",
        "Failed calls to receive datagrams.",
        &[(Count::ReceiveErrors, "", "")],
    ),
    (
        "sentrypeer_stream_messages_total",
        "Messages that streams delivered.",
        &[(Count::StreamMessages, "", "")],
    ),
    (
        "sentrypeer_stream_received_bytes_total",
        "Bytes that streams delivered.",
        &[(Count::StreamBytes, "", "")],
    ),
    (
        "sentrypeer_stream_sent_bytes_total",
        "Bytes sent on streams.",
        &[(Count::StreamSentBytes, "", "")],
    ),
    (
        "sentrypeer_stream_keepalives_total",
        "Keep-alives on streams.",
        &[(Count::KeepAlives, "", "")],
    ),
    (
        "sentrypeer_events_recorded_total",
        "Events handed to the writer.",
        &[(Count::EventsRecorded, "", "")],
    ),
    (
        "sentrypeer_events_counted_total",
        "Events of which only the count was kept, for no arena was free.",
        &[(Count::EventsCounted, "", "")],
    ),
    (
        "sentrypeer_events_shed_total",
        "Events lost, by reason.",
        &[
            (Count::ShedNoArena, "reason", "writer_behind"),
            (Count::ShedNoWriter, "reason", "writer_ended"),
            (Count::ShedNoAddress, "reason", "no_address"),
        ],
    ),
    ("sentrypeer_replies_sent_total", "Replies sent.", &[(Count::RepliesSent, "", "")]),
    (
        "sentrypeer_replies_sent_bytes_total",
        "Bytes of replies sent.",
        &[(Count::ReplyBytes, "", "")],
    ),
    (
        "sentrypeer_unproven_received_bytes_total",
        "Bytes of the datagrams whose source had proven nothing.",
        &[(Count::UnprovenBytes, "", "")],
    ),
    (
        "sentrypeer_unproven_sent_bytes_total",
        "Bytes of replies to datagrams whose source had proven nothing.",
        &[(Count::UnprovenReplyBytes, "", "")],
    ),
    (
        "sentrypeer_replies_unsent_total",
        "Replies that were not sent, by reason.",
        &[
            (Count::UnsentTooLong, "reason", "longer_than_request"),
            (Count::UnsentIncomplete, "reason", "incomplete_request"),
            (Count::UnsentAddress, "reason", "address"),
            (Count::UnsentPortZero, "reason", "port_zero"),
            (Count::UnsentReflector, "reason", "reflector_port"),
            (Count::UnsentOwn, "reason", "own_address"),
            (Count::UnsentSourceRate, "reason", "source_rate"),
            (Count::UnsentNetworkRate, "reason", "network_rate"),
            (Count::UnsentTotalRate, "reason", "total_rate"),
            (Count::UnsentNoRoom, "reason", "send_buffer_full"),
            (Count::UnsentRefused, "reason", "send_refused"),
        ],
    ),
    (
        "sentrypeer_connections_accepted_total",
        "Connections accepted.",
        &[(Count::TcpAccepted, "transport", "tcp"), (Count::TlsAccepted, "transport", "tls")],
    ),
    (
        "sentrypeer_connections_refused_total",
        "Connections turned away, by reason.",
        &[
            (Count::RefusedShardFull, "reason", "shard_full"),
            (Count::RefusedSourceFull, "reason", "source_full"),
            (Count::RefusedHandshakes, "reason", "handshakes_full"),
            (Count::RefusedGone, "reason", "gone_at_once"),
            (Count::RefusedProxyBroken, "reason", "proxy_header_broken"),
            (Count::RefusedProxyLate, "reason", "proxy_header_late"),
            (Count::RefusedProxyMissing, "reason", "proxy_header_missing"),
            (Count::RefusedProxyFull, "reason", "proxy_waiting_full"),
        ],
    ),
    (
        "sentrypeer_proxy_headers_total",
        "Connections of front ends with a sound PROXY protocol header.",
        &[(Count::ProxiedConnections, "kind", "proxied"), (Count::ProxyLocal, "kind", "local")],
    ),
    ("sentrypeer_accept_errors_total", "Failed calls to accept.", &[(Count::AcceptErrors, "", "")]),
    (
        "sentrypeer_connections_closed_total",
        "Connections ended, by reason.",
        &[
            (Count::ClosedByRemote, "reason", "remote"),
            (Count::ClosedIdle, "reason", "idle"),
            (Count::ClosedTotal, "reason", "lifetime"),
            (Count::ClosedHandshake, "reason", "handshake"),
            (Count::ClosedProtocol, "reason", "protocol"),
            (Count::ClosedSlowReader, "reason", "slow_reader"),
            (Count::ClosedSlowSender, "reason", "slow_sender"),
            (Count::ClosedMemory, "reason", "memory"),
            (Count::ClosedForSource, "reason", "for_newer_of_source"),
            (Count::ClosedForShard, "reason", "for_newer"),
            (Count::ClosedForHandshake, "reason", "for_newer_handshake"),
            (Count::ClosedStop, "reason", "stopping"),
        ],
    ),
];

/// The counts of one shard. Only that shard's thread writes them; anybody may read.
#[derive(Debug)]
#[repr(align(128))]
pub struct ShardCounters([AtomicU64; COUNTS]);

impl Default for ShardCounters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl ShardCounters {
    /// Adds `n`. There is one writer, so a load and a store will do, without a locked instruction.
    pub fn add(&self, count: Count, n: u64) {
        let cell = &self.0[count as usize];
        cell.store(cell.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The count so far.
    #[must_use]
    pub fn of(&self, count: Count) -> u64 {
        self.0[count as usize].load(Ordering::Relaxed)
    }
}

/// Appends the families in Prometheus' text format, with the shard as a label.
pub fn render(shards: &[Arc<ShardCounters>], out: &mut String) {
    for (name, help, shown) in FAMILIES {
        metrics::family(out, name, Kind::Counter, help);
        for (count, label, word) in *shown {
            for (shard, counters) in shards.iter().enumerate() {
                let shard = shard.to_string();
                let labels = [("shard", shard.as_str()), (label, word)];
                let used = if label.is_empty() { 1 } else { 2 };
                metrics::sample(out, name, &labels[..used], counters.of(*count));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_shown_exactly_once() {
        let mut seen: Vec<usize> =
            FAMILIES.iter().flat_map(|f| f.2).map(|(count, _, _)| *count as usize).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..COUNTS).collect::<Vec<_>>());
    }

    #[test]
    fn a_count_appears_with_its_shard_and_reason() {
        let counters = Arc::new(ShardCounters::default());
        counters.add(Count::ShedNoArena, 3);
        counters.add(Count::ShedNoArena, 4);
        let mut text = String::new();
        render(&[Arc::new(ShardCounters::default()), counters], &mut text);
        assert!(
            text.contains("sentrypeer_events_shed_total{shard=\"1\",reason=\"writer_behind\"} 7\n"),
            "{text}"
        );
        assert!(text.contains("sentrypeer_datagrams_received_total{shard=\"0\"} 0\n"));
    }
}
