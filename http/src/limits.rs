//! Every bound of this crate, each with its reason.

use std::time::Duration;

use crate::pace::Rate;

/// Connections that the API front keeps open at once. For one more the one that has waited longest
/// for its client has to go, or the new one. Each
/// may hold [`HTTP1_BUFFER_BYTES_MAX`] twice, so this is 128 MiB at the very worst.
pub const API_CONNECTIONS_MAX: usize = 1_024;

/// How long a connection may wait for its client before it may have to go for a new one, when there
/// are as many as there may be.
pub const SEAT_TIME_MIN: Duration = Duration::from_secs(1);

/// How long a new connection waits until the one that has to go for it has gone.
pub const SEAT_WAIT_MAX: Duration = Duration::from_secs(1);

/// Connections that one address of another machine keeps open at once (an IPv6 /64 is one address):
/// what a browser, a monitor and some firewalls behind one NAT need, and far from all there are.
pub const ADDRESS_CONNECTIONS_MAX: u32 = 64;

/// Requests of one address of another machine. Dips during call set-up come from this machine or
/// carry a token of their own rate; who pulls feeds asks once a minute.
pub const ADDRESS_RATE: Rate = Rate { per_s: 200, burst: 400 };

/// Addresses that are watched at once. One without a connection is forgotten when its bucket is full
/// again, two seconds after its last request at most, and nobody takes a place without a handshake
/// of TCP. An entry takes about 64 bytes.
pub const ADDRESSES_MAX: usize = 8_192;

/// How long a full table of addresses is not walked again.
pub const ADDRESS_SWEEP_PERIOD: Duration = Duration::from_secs(1);

/// Tokens of the operator: one for each firewall, PBX and person of a large site. Their file is read
/// and written as a whole.
pub const TOKENS_MAX: usize = 1_024;

/// Longest name of a token, in bytes.
pub const TOKEN_NAME_BYTES_MAX: usize = 64;

/// Longest file of tokens that is read, in bytes; [`TOKENS_MAX`] take about 400 bytes each.
pub const TOKEN_FILE_BYTES_MAX: u64 = 1 << 20;

/// Requests of one token that has no rate of its own: dips of a busy site, far below what would
/// keep others waiting.
pub const TOKEN_RATE: Rate = Rate { per_s: 2_000, burst: 4_000 };

/// Short-lived tokens of one client: each of its processes needs one.
pub const ISSUED_PER_CLIENT_MAX: usize = 16;

/// How long a short-lived token lasts.
pub const ISSUED_TIME_MAX: Duration = Duration::from_secs(3_600);

/// Longest body of a request, in bytes. What is sent here are credentials and single entries.
pub const REQUEST_BODY_BYTES_MAX: usize = 16 * 1024;

/// Longest reason of an entry of the allow-list, in bytes: it stands in a line of the log.
pub const ALLOW_REASON_BYTES_MAX: usize = 256;

/// How long a request's body may take.
pub const REQUEST_BODY_TIME_MAX: Duration = Duration::from_secs(5);

/// A TLS handshake, from the connection to its end. A slow line and a slow client need two seconds.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// Requests that one HTTP/2 connection has under way at once. A browser wants about ten.
pub const H2_STREAMS_MAX: u32 = 32;

/// Streams that a peer may reset before they were answered, or break by its own fault, and that wait
/// to be cleared away; more end the connection.
pub const H2_RESETS_MAX: usize = 20;

/// What waits to be sent on one stream, in bytes.
pub const H2_SEND_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Largest frame that is taken, in bytes: the smallest value that the protocol allows.
pub const H2_FRAME_BYTES_MAX: u32 = 16 * 1024;

/// What a peer may send before it is told to go on, in bytes, on a stream and on a connection.
/// Requests are small here.
pub const H2_WINDOW_BYTES: u32 = 64 * 1024;

/// How often a quiet HTTP/2 connection is asked whether it is still there.
pub const H2_PING_PERIOD: Duration = Duration::from_secs(20);

/// How long it may take to say so.
pub const H2_PING_TIME_MAX: Duration = Duration::from_secs(10);

/// How often the answers of an HTTP/2 connection are looked at.
pub const PULSE_PERIOD: Duration = Duration::from_secs(1);

/// Worker threads of the API front. Answers are short or stream in slices, so two are enough to
/// keep a dip from waiting behind a list, and the cores belong to the shards.
pub const API_WORKERS: usize = 2;

/// Lists that are sent at once. Each holds 32 bytes a row while it is sent, so this bounds what many
/// readers of a large node can take together.
pub const API_LISTS_MAX: usize = 8;

/// Feeds that are sent at once, apart from the lists: who reads those slowly keeps no firewall from
/// its feed.
pub const API_FEEDS_MAX: usize = 8;

/// Threads that prepare such documents. Preparing one is pure computing, so more would only take
/// time from the shards.
pub const API_DOCUMENT_THREADS: usize = 2;

/// Lists that are prepared at once: a thread is left for what a firewall waits for.
pub const API_LISTS_PREPARED_MAX: usize = API_DOCUMENT_THREADS - 1;

/// How long a request waits for its turn among [`API_LISTS_MAX`] or [`API_FEEDS_MAX`] before it is told to come
/// back: shorter than what clients wait, long enough to bridge a burst.
pub const API_DOCUMENT_WAIT_MAX: Duration = Duration::from_secs(5);

/// How old the count of blocked sources in `/metrics` may be: counting walks the table.
pub const BLOCKED_COUNT_PERIOD: Duration = Duration::from_secs(30);

/// Longest request line with headers, in bytes. What a browser or a proxy adds to a path of
/// [`TARGET_BYTES_MAX`] fits.
pub const REQUEST_HEAD_BYTES_MAX: usize = 16 * 1024;

/// Most header lines in a request.
pub const REQUEST_HEADERS_MAX: usize = 64;

/// Buffer of one direction of a connection, in bytes: what a reader that stops reading can make
/// us keep beyond the kernel's own buffer.
pub const HTTP1_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// From a request's first byte to its last. A client on a slow line needs one second; one that
/// drips a byte at a time is not waited for.
pub const REQUEST_HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a connection may wait for its next request: what common proxies keep.
pub const IDLE_TIME_MAX: Duration = Duration::from_secs(60);

/// How long a reader may take nothing of an answer that waits for it.
pub const WRITE_STALL_MAX: Duration = Duration::from_secs(10);

/// Life of a connection from end to end. It ends a reader who takes just enough not to stall; a
/// million rows at 250 kB/s fit.
pub const CONNECTION_TIME_MAX: Duration = Duration::from_secs(600);

/// How long answers that are under way may take when the front stops.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);

/// Pause after the kernel refused to accept (no descriptor left): trying again at once would
/// spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Size at which a slice of a streamed document is handed over, in bytes.
pub const CHUNK_BYTES: usize = 32 * 1024;

/// Longest single row of a streamed document, in bytes; a slice is made with so much room to
/// spare. A number of 128 control characters takes 6 bytes each in JSON, plus the other members.
pub const ROW_BYTES_MAX: usize = 2 * 1024;

/// Longest path with query that the router looks at, in bytes; a number of 128 escaped bytes and
/// an address fit many times.
pub const TARGET_BYTES_MAX: usize = 4 * 1024;

/// Rows of a page if nothing is said, and at most: a page of the largest rows is about 600 kB.
pub const PAGE_ROWS: usize = 100;
/// See [`PAGE_ROWS`].
pub const PAGE_ROWS_MAX: usize = 1_000;

/// Hours of counts that are in memory at once while a longer span is read: an hour that has ended
/// takes about 100 kB, one that is under way up to ten times that.
pub const ROLLUP_READ_HOURS: u32 = 24;

/// Live streams that are open at once; one more is told to come back. Each may hold what
/// [`STREAM_EVENTS_MAX`] events take as JSON, about 300 kB and at worst 2 MB.
pub const API_STREAMS_MAX: usize = 16;

/// Events that a live stream reads at once.
pub const STREAM_EVENTS_MAX: usize = 512;

/// How often a live stream looks for what has come: commits come about as often.
pub const STREAM_LOOK_PERIOD: Duration = Duration::from_millis(200);

/// How long a live stream is silent at most. A client that has gone is noticed by what is sent to it,
/// and its place is another's then.
pub const STREAM_KEEP_ALIVE_PERIOD: Duration = Duration::from_secs(5);

/// How long a client may take for what a live stream has read at once.
pub const STREAM_TAKE_TIME_MAX: Duration = Duration::from_secs(20);

/// How long a live stream lasts before its client has to come back: its token is looked at again then,
/// and it ends in good order before its connection has lived as long as one may.
pub const STREAM_TIME_MAX: Duration = Duration::from_secs(540);

/// What a client is told to wait before it comes back, in milliseconds.
pub const STREAM_RETRY_MS: u32 = 2_000;

/// Longest cursor of a page, in bytes: the key of a row takes two digits a byte.
pub const CURSOR_BYTES_MAX: usize = 640;

/// User agents that the list in the form of 4.x shows; there are pages of them under `/api/v1`.
pub const AGENTS_SHOWN_MAX: usize = 4_096;

/// Shorter answers are sent as they are: they fit into one segment anyway.
pub const CODED_BYTES_MIN: usize = 1_024;

/// How hard gzip, brotli and zstd try. These are the quickest levels that still pack JSON and lists
/// of addresses to a fifth.
pub const CODING_GZIP_LEVEL: u32 = 3;
/// See [`CODING_GZIP_LEVEL`].
pub const CODING_BROTLI_QUALITY: u32 = 3;
/// See [`CODING_GZIP_LEVEL`].
pub const CODING_ZSTD_LEVEL: i32 = 1;

/// How far brotli looks back, as a power of two: with 18 an answer that is being packed takes about
/// 1 MB.
pub const CODING_BROTLI_WINDOW_BITS: u32 = 18;

/// What a client is told to wait before it asks a starting node again, in seconds.
pub const RETRY_AFTER_S: u32 = 1;

/// Longest body on the dip lane, in bytes: its server keeps every answer whole in memory.
pub const DIP_BODY_BYTES_MAX: usize = 64 * 1024;

/// Connections on the dip lane; more are closed at once and counted. A PBX on the same machine
/// keeps a handful. Each costs about 100 KiB while open.
pub const DIP_CONNECTIONS_MAX: usize = 256;

/// Bytes that one connection on the dip lane is answered before it is closed in good order. Its
/// server puts no bound on answers to a peer that sends and never reads; this is that bound.
pub const DIP_ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Requests behind a refused one that are refused too before the connection is cut hard.
pub const DIP_REFUSALS_MAX: u32 = 16;

/// How long a connection on the dip lane may go without a request. A PBX may well be quiet for
/// minutes.
pub const DIP_IDLE_TIME_MAX: Duration = Duration::from_secs(300);

/// How often idle connections are looked for.
pub const DIP_SWEEP_PERIOD: Duration = Duration::from_secs(5);

/// How often it is seen whether there are descriptors, and how long the lane can spin when there are
/// none.
pub const DIP_DESCRIPTOR_PERIOD: Duration = Duration::from_millis(100);

/// Descriptors that the dip lane keeps to let its loop have one when there are no others. More than
/// one, because somebody else may be faster.
pub const DIP_SPARE_DESCRIPTORS: usize = 4;

/// Threads of the dip lane's scheduler: with one, a single slow answer would hold up all.
pub const DIP_WORKERS: usize = 2;

/// Stack of one connection on the dip lane, in words: what JSON and the router need with room to
/// spare (a smaller one overflowed in trials). Only touched pages take memory.
pub const DIP_STACK_WORDS: usize = 0x8000;

/// Stacks that the dip lane keeps ready. All are made at start, so few.
pub const DIP_STACKS_KEPT: usize = 16;

/// Entries of a feed, at most: what [`IPSET_ENTRIES_MAX`] lets a firewall hold.
pub const FEED_ENTRIES_MAX: usize = IPSET_ENTRIES_MAX;

/// Elements that one command of nft adds: longer ones take its parser more memory and time than they
/// save.
pub const NFT_CHUNK_ENTRIES: usize = 10_000;

/// Addresses in one answer to a client of APIBAN, as the service itself has them.
pub const APIBAN_ENTRIES_MAX: usize = 250;

/// How long resolvers keep what a zone says, in seconds.
pub const ZONE_TTL_S: u32 = 300;

/// `maxelem` of every set. The same on every document of every node, because `create … -exist`
/// fails where a set exists with another one. 1,048,576 addresses take about 40 MB in the kernel.
pub const IPSET_ENTRIES_MAX: usize = 1 << 20;

/// So much earlier than its generation a delta says that it holds, in ns: what is seen waits for a shard's
/// arena and for a commit before it is published.
pub const DELTA_OVERLAP_NS: u64 = 10_000_000_000;

/// Longest name that the kernel takes for a set (`IPSET_MAXNAMELEN` less its NUL), in bytes.
pub const IPSET_NAME_BYTES_MAX: usize = 31;

/// Largest timeout of an entry, in seconds: the kernel keeps it in milliseconds in 31 bits.
pub const IPSET_TIMEOUT_S_MAX: u64 = 2_147_483;

/// Rows that are looked at to tell how large a set should be: they take about 2 ms, and are within 2 %
/// of the truth.
pub const IPSET_SAMPLE_ROWS: usize = 16 * 1024;

/// How long a document for ipset has the same name at most, in seconds, when nothing changes.
pub const IPSET_NAME_TIME_S_MAX: u64 = 3_600;

/// Smallest and largest `hashsize` that a document asks for. The kernel grows a set by itself;
/// starting near the right size saves it from rehashing while it fills.
pub const IPSET_HASHSIZE: std::ops::RangeInclusive<usize> = 1_024..=(1 << 19);

// A slice must have room for a row, and a connection of the dip lane for at least one answer.
const _: () = assert!(ROW_BYTES_MAX < CHUNK_BYTES);
const _: () = assert!(DIP_BODY_BYTES_MAX < DIP_ANSWER_BYTES_MAX);
const _: () = assert!(REQUEST_HEAD_BYTES_MAX <= HTTP1_BUFFER_BYTES_MAX);
const _: () = assert!(TARGET_BYTES_MAX < REQUEST_HEAD_BYTES_MAX);
const _: () = assert!(IPSET_HASHSIZE.end().is_power_of_two());
// A live stream must be heard of before it counts as idle or not taken, and end before its connection.
const _: () = assert!(STREAM_KEEP_ALIVE_PERIOD.as_secs() < WRITE_STALL_MAX.as_secs());
const _: () = assert!(STREAM_TIME_MAX.as_secs() < CONNECTION_TIME_MAX.as_secs());
const _: () = assert!(API_STREAMS_MAX < API_CONNECTIONS_MAX);
// The table of addresses must have room for all that have a connection, and for others.
const _: () = assert!(ADDRESSES_MAX >= 4 * API_CONNECTIONS_MAX);
const _: () = assert!((ADDRESS_CONNECTIONS_MAX as usize) < API_CONNECTIONS_MAX);
// An answer is looked at several times before it counts as not taken.
const _: () = assert!(4 * PULSE_PERIOD.as_secs() <= WRITE_STALL_MAX.as_secs());
// An HTTP/2 answer must not count as not taken while its request's body is awaited.
const _: () = assert!(REQUEST_BODY_TIME_MAX.as_secs() < WRITE_STALL_MAX.as_secs());
const _: () = assert!(TOKENS_MAX as u64 * 512 <= TOKEN_FILE_BYTES_MAX);
// Both fronts take their descriptors from one limit: a full dip lane must hold fewer than the API.
const _: () = assert!(DIP_CONNECTIONS_MAX < API_CONNECTIONS_MAX);
