//! Every bound of the engine, each with its reason, and their relations asserted at compile time.

use sentrypeer_http::limits::ALLOW_REASON_BYTES_MAX;
use sentrypeer_storage::event::{
    MESSAGE_BYTES_MAX, METHOD_BYTES_MAX, NUMBER_BYTES_MAX, USER_AGENT_BYTES_MAX,
};
use sentrypeer_storage::limits::{
    IMPORT_EVENTS_MAX, LOG_READ_BYTES_MAX, STOP_PATIENCE, STOP_SWEEP_PATIENCE,
};

/// Datagrams taken from the kernel by one call. More brought nothing when measured, and 64 slots of
/// [`DATAGRAM_SLOT_BYTES`] stay within the second-level cache's reach for ordinary messages.
pub const DATAGRAMS_PER_CALL: usize = 64;

/// Distance between two receive slots: the largest datagram, and then some, so that the first bytes
/// of neighbouring slots do not fall into the same cache sets.
pub const DATAGRAM_SLOT_BYTES: usize = 65_536 + 4_096 + 192;

/// Calls that one wake-up of a socket may make before the shard's other sockets get their turn.
pub const CALLS_PER_TURN: usize = 16;

/// How long a shard naps between two looks at a busy UDP socket, in microseconds. At 50,000 datagrams
/// a second it then takes 25 at a time instead of waking up for each; an answer comes this much later
/// at most.
pub const NAP_US: u64 = 500;

/// A shard that takes this many datagrams in [`BUSY_WINDOW_MS`] is busy: below 5,000 a second naps
/// would gather fewer than two.
pub const BUSY_DATAGRAMS: u64 = 50;

/// Over how long a shard counts to see whether it is busy.
pub const BUSY_WINDOW_MS: u64 = 10;

/// Receive buffer asked of the kernel for each UDP socket. It holds about 25,000 ordinary requests:
/// a quarter of a second at 100,000 a second, which is what a shard may be kept from its processor.
pub const RECEIVE_BUFFER_BYTES: usize = 32 * 1024 * 1024;

/// Send buffer asked of the kernel for each UDP socket.
pub const SEND_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of replies gathered before they are handed to the kernel.
pub const REPLY_BATCH_BYTES: usize = 128 * 1024;

/// Longest reply that is ever written, in bytes. A request may bring a long Via chain, which has to
/// be copied; nothing that a telephone sends comes near.
pub const REPLY_BYTES_MAX: usize = 8 * 1024;

/// How many times as often as others a source is answered that has proven itself, as a factor of each
/// rate: a call has four requests where a scanner sends one.
pub const PROVEN_RATE_FACTOR: std::num::NonZeroU32 = std::num::NonZeroU32::MIN.saturating_add(4);
/// Sources that the answer limiter knows, at 16 bytes each. One that was granted an answer is worth
/// knowing for a second at most, and the default limit grants 2,000 a second to a whole node.
pub const ANSWER_SOURCES: usize = 16_384;

/// Networks that it knows. There are fewer of them, and their grants last as long.
pub const ANSWER_NETWORKS: usize = 4_096;

/// Places that an address may have in these tables: eight fill two cache lines.
pub const ANSWER_WAYS: usize = 8;

/// Connections that one shard holds, TCP and TLS together. Each may hold one message of 64 KiB that is
/// not complete yet.
pub const STREAMS_PER_SHARD_MAX: usize = 4_096;

/// Connections that one source may hold on one shard. The kernel spreads a source's connections over
/// the shards, which share nothing: on a node of many shards a source may hold that many times more.
pub const STREAMS_PER_SOURCE_MAX: usize = 256;

/// A connection that was not heard of for this long may be closed for a newcomer. Who talks is not;
/// and a flood of newcomers does not push out each other before they could say a word.
pub const STREAM_SPARE_MS: u64 = 1_000;

/// Connections of a shard that are being closed and whose end the driver has not seen yet. It sees
/// it at its next look; more only means that newcomers come faster than it looks.
pub const STREAMS_CLOSING_MAX: usize = 64;

/// Bytes that all connections of a shard keep in buffers. Each may keep 64 KiB of a message that is
/// not complete, and answers that its other side does not read; 4,096 of them would keep 256 MiB.
pub const STREAM_BUFFERS_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A message may take this long from its first bytes to its last: a telephone sends it in one go,
/// and gives up on an answer after 32 s (RFC 3261, 17.1.1.2, timer B).
pub const STREAM_MESSAGE_MS: u64 = 20_000;

/// TLS handshakes that go on at once in one shard. A handshake takes two round trips and the shard
/// about a millisecond: more of them at once are stalled ones, and each keeps about 10 KiB.
pub const TLS_HANDSHAKES_MAX: usize = 256;

/// Longest PROXY protocol header of version 1, with its line end (proxy-protocol.txt, 2.1).
pub const PROXY_V1_BYTES_MAX: usize = 107;

/// Most bytes that a header of version 2 may say follow its first 16. Front ends send some hundred:
/// addresses, a host name, an identifier; a client's certificate has its place in TLS.
pub const PROXY_V2_BYTES_MAX: usize = 4_096;

/// Connections from front ends that wait for their header in one shard. A front end sends it with
/// the first packet, so each waits for as long as the shard takes to look.
pub const PROXY_WAITING_MAX: usize = 64;

/// A header that takes longer is not waited for, as a TLS handshake is not.
pub const PROXY_HEADER_MS: u64 = TLS_HANDSHAKE_MS;

/// Bytes read from a connection at a time. What they are answered with is all that can ever wait to
/// be sent, for a connection whose peer does not read is not read either: the smallest request has
/// about 100 bytes, its answer 500.
pub const STREAM_READ_BYTES: usize = 16 * 1024;

/// Plain bytes taken out of TLS at a time.
pub const STREAM_PLAIN_BYTES: usize = 4_096;

/// Reads of [`STREAM_READ_BYTES`] that one wake-up of a connection may make.
pub const STREAM_READS_PER_TURN: usize = 8;

/// Connections that one wake-up of a listener may accept.
pub const ACCEPTS_PER_TURN: usize = 64;

/// How long a socket is left alone that has failed, or whose other side does not read; each time
/// twice as long, up to [`RETRY_MS_MAX`].
pub const RETRY_MS: u64 = 10;
/// See [`RETRY_MS`].
pub const RETRY_MS_MAX: u64 = 640;

/// A connection whose other side does not take all that it was sent for this long is closed.
pub const STREAM_BLOCKED_MS: u64 = 10_000;

/// Send and receive buffer of a connection, in the kernel. Without a limit of its own the kernel
/// gives each up to several megabytes, out of memory that the whole machine shares.
pub const STREAM_KERNEL_BYTES: usize = 64 * 1024;

/// A connection that sends nothing for this long is closed.
pub const STREAM_IDLE_MS: u64 = 60_000;

/// A connection is closed after this long, whatever it does.
pub const STREAM_TOTAL_MS: u64 = 600_000;

/// A TLS handshake that takes longer is given up.
pub const TLS_HANDSHAKE_MS: u64 = 10_000;

/// What a TLS connection counts for in the budget of buffers, beside what the node itself keeps for it:
/// a record that came in part, keys and counters of the TLS library. Measured: 17 KB at rest, and twice
/// as much with half of a record.
pub const TLS_CONNECTION_BYTES: usize = 16 * 1024;
/// First bytes of a failed TLS handshake that are kept as the event's message.
pub const TLS_HEAD_BYTES: usize = 1_024;

/// How long a shard waits before it accepts again after descriptors ran out.
pub const ACCEPT_PAUSE_MS: u64 = 100;

/// How long an address that is in use is tried again before that is an error, and how often.
pub const BIND_PATIENCE_MS: u64 = 1_000;
/// See [`BIND_PATIENCE_MS`].
pub const BIND_RETRY_MS: u64 = 20;

/// Ports that the system is asked for until one is free for UDP and TCP alike.
pub const PORT_TRIES: usize = 32;

/// Connections that wait in the kernel for a shard to accept them.
pub const LISTEN_BACKLOG: i32 = 1_024;

/// An arena with events in it is handed to the writer at this age at the latest.
pub const ARENA_AGE_MS: u64 = 20;

/// How often a shard looks at its arena while that holds events.
pub const TICK_BUSY_MS: u64 = 10;

/// How often a shard looks at its clock and at the stop flag while nothing happens. An event that
/// comes just after a look is old enough to be handed over at the next.
pub const TICK_IDLE_MS: u64 = 20;

/// How often a shard looks for connections that are past their time, and reads the kernel's drop
/// counts.
pub const SWEEP_MS: u64 = 1_000;

/// How long a stopping shard goes on emptying its sockets.
pub const DRAIN_MS: u64 = 1_500;

/// After a stop was asked for, the process is gone at the latest after this long: all that may take its time
/// one after the other, with a second for the last commits.
pub const STOP_MS: u64 = 10_000;

/// Descriptors that are not for SIP connections: the API's and the dip lane's connections, the
/// database, sockets and rings, and six for each output that there may be.
pub const DESCRIPTORS_RESERVED: u64 = 1_600;

/// Fewest connections of a shard, however few descriptors there are.
pub const STREAMS_PER_SHARD_MIN: usize = 16;

/// Readiness events that the poll driver takes from the kernel by one call.
pub const READINESS_PER_CALL: usize = 256;

/// How long a database may take to open before a subcommand gives up.
pub const OPEN_PATIENCE_MS: u64 = 60_000;

/// How often the main thread looks whether the database is ready, until it is.
pub const READY_POLL_MS: u64 = 5;

/// Submission queue entries of a shard's io_uring: one for each socket and connection that is
/// waited for is not needed, for a full queue is submitted early.
pub const RING_ENTRIES: usize = 128;

/// Memory that glommio keeps for direct IO, which the engine does not use: its smallest value.
pub const RING_IO_BYTES: usize = 64 * 1024;

/// glommio refuses to start below this locked-memory limit (bytes).
pub const MEMLOCK_BYTES_MIN: u64 = 512 * 1024;

/// Media descriptions of an offer that an answer takes up; RFC 3264 wants one line for each.
pub const SDP_MEDIA_MAX: usize = 8;

/// Longest word of an offer that comes back in the answer.
pub const SDP_WORD_BYTES_MAX: usize = 32;

/// Calls of proven sources that ring, or wait for an ACK, on one shard. With what they remember that
/// is 32 MiB; when there are more, the final answer comes at once.
pub const CALLS_PER_SHARD_MAX: usize = 8_192;
/// Calls of one source (of IPv6, of its /64) that ring on one shard; more are answered at once. Each may
/// be sent a dozen answers for one request, and not everybody behind an address has asked for them.
pub const CALLS_PER_SOURCE_MAX: usize = 8;
/// Bytes of the three answers that a call is remembered by. Those of a telephone have 2,000; a call
/// through a long chain of proxies is answered at once.
pub const CALL_ANSWERS_BYTES_MAX: usize = 4_096;
/// Answers of calls that are sent at one look at the clock, so that they do not hold up the sockets.
pub const CALL_ANSWERS_PER_TICK: usize = 1_024;
/// Record-Route lines that an answer copies; a call that came through more proxies is busy.
pub const RECORD_ROUTES_MAX: usize = 8;

/// Bindings that the answer to a REGISTER lists, and their bytes in all.
pub const BINDINGS_MAX: usize = 4;
/// See [`BINDINGS_MAX`].
pub const BINDINGS_BYTES_MAX: usize = 1_024;

/// Longest file with certificates or a key that is read, in bytes: a bundle of all public CAs has a
/// quarter of it.
pub const PEM_BYTES_MAX: u64 = 1 << 20;

/// Longest document that the firewall agent takes, in bytes: the million entries of a full set take 45 MB.
pub const FIREWALL_DOCUMENT_BYTES_MAX: usize = 128 << 20;

/// How often the firewall agent holds its sets against the whole list if nothing else is said, in s: who else changed the set, and what fell out of
/// the list without being taken back, is noticed then.
pub const FIREWALL_WHOLE_S: u64 = 3_600;

/// By how much the times of two deltas overlap, in s: an event is known by the time at which it came, and
/// a slow disk may commit it this much later.
pub const FIREWALL_OVERLAP_S: u64 = 60;

/// Most that the firewall agent takes out of a set at once if nothing else is said, in hundredths of the set.
pub const FIREWALL_SHRINK_PERCENT: u32 = 50;

/// So many entries may always go: half of a small set is soon gone.
pub const FIREWALL_SHRINK_ENTRIES: usize = 10;

/// How often `sentrypeer tail` asks for new events: five commits a second make some visible.
pub const TAIL_LOOK_MS: u64 = 200;

/// How long the outputs may take to finish what they are at when the node stops. What a receiver has
/// not confirmed by then comes again after the next start.
pub const OUTPUTS_STOP_MS: u64 = 1_000;

/// How long the node waits for OpenDHT when it stops, beside the outputs. What has to be remembered is on
/// the disk by then; OpenDHT may take longer to say goodbye.
pub const PEERS_STOP_MS: u64 = 1_500;

/// Longest request line that the control socket takes, in bytes.
pub const CONTROL_REQUEST_BYTES_MAX: usize = 4_096;

/// Clients that the control socket serves at once.
pub const CONTROL_CLIENTS_MAX: usize = 8;

/// Entries that may be added to the allow-list while the node runs. Each change writes all of them; who has
/// more puts them into the file that the configuration names.
pub const ALLOW_ADDED_MAX: usize = 4_096;

/// Largest file of them, in bytes: of each a subject, a reason of which every byte is escaped, and the end.
pub const ALLOW_ADDED_BYTES_MAX: usize =
    ALLOW_ADDED_MAX * (NUMBER_BYTES_MAX + 2 * ALLOW_REASON_BYTES_MAX + 96) + 64;

/// How often the clock is looked at while an entry of the allow-list has an end, in ms: who sets the clock
/// sees it end this much later at most.
pub const ALLOW_LOOK_MS: u64 = 1_000;

/// Bytes of a batch of events that the control socket takes or gives at once: the messages
/// that one read of the log returns, the last of which may be large, and of each event 92 bytes and its
/// other texts. A client has it in memory, and its events.
pub const CONTROL_BATCH_BYTES_MAX: usize = LOG_READ_BYTES_MAX
    + MESSAGE_BYTES_MAX
    + IMPORT_EVENTS_MAX * (92 + METHOD_BYTES_MAX + NUMBER_BYTES_MAX + USER_AGENT_BYTES_MAX)
    + 64;

/// While an order takes long, the client hears of the node this often, in ms.
pub const CONTROL_PULSE_MS: u64 = 1_000;

/// How long an order to forget is waited for. A few minutes are enough to make every block of a
/// large log anew.
pub const FORGET_PATIENCE_S: u64 = 300;

/// How long a batch of an import is waited for: some commits, also of a slow disk.
pub const IMPORT_PATIENCE_S: u64 = 120;

/// First bytes of a file by which an import knows it again, at most: a page of an SQLite file, or what
/// stands at the beginning of a line with its time and id.
pub const IMPORT_HEAD_BYTES: usize = 4_096;

/// Bytes of an export that are written at a time.
pub const EXPORT_BUFFER_BYTES: usize = 64 * 1024;

/// How often an import says how far it is where there is no terminal, in seconds.
pub const PROGRESS_LINE_S: u64 = 10;

/// How long a client of the control socket may take to send its request or to read on, in ms.
pub const CONTROL_STALL_MS: u64 = 60_000;

/// Bytes of an answer that the control socket sends in one piece.
pub const CONTROL_PIECE_BYTES_MAX: usize = 1 << 20;

const _: () = assert!(DATAGRAM_SLOT_BYTES > MESSAGE_BYTES_MAX);
const _: () = assert!(REPLY_BYTES_MAX * 4 <= REPLY_BATCH_BYTES);
const _: () = assert!(TICK_BUSY_MS * 2 <= ARENA_AGE_MS && TICK_IDLE_MS <= ARENA_AGE_MS);
const _: () = assert!(crate::sip::limits::NUMBER_BYTES_MAX == NUMBER_BYTES_MAX);
const _: () = assert!(crate::sip::limits::STREAM_MESSAGE_BYTES_MAX <= MESSAGE_BYTES_MAX);
const _: () = {
    let writer_ms = STOP_PATIENCE.as_millis() + STOP_SWEEP_PATIENCE.as_millis();
    let all_ms = (OUTPUTS_STOP_MS + PEERS_STOP_MS + DRAIN_MS) as u128 + writer_ms;
    assert!(all_ms + 1_000 <= STOP_MS as u128);
};
const _: () = assert!(CONTROL_PULSE_MS * 10 < CONTROL_STALL_MS);
const _: () = assert!(ANSWER_SOURCES.is_multiple_of(ANSWER_WAYS));
const _: () = assert!(ANSWER_NETWORKS.is_multiple_of(ANSWER_WAYS));
const _: () = assert!(TLS_HANDSHAKE_MS < STREAM_IDLE_MS && STREAM_IDLE_MS < STREAM_TOTAL_MS);
const _: () = assert!(STREAM_MESSAGE_MS < STREAM_IDLE_MS && STREAM_SPARE_MS < TLS_HANDSHAKE_MS);
// Idle connections alone, and one that fills its buffers, do not go beyond the budget.
const _: () = assert!(
    STREAMS_PER_SHARD_MAX * crate::sip::limits::FRAMER_KEEP_BYTES
        + crate::sip::limits::STREAM_MESSAGE_BYTES_MAX
        < STREAM_BUFFERS_BYTES_MAX
);
const _: () = assert!(TLS_HEAD_BYTES <= MESSAGE_BYTES_MAX);
