//! Every bound of this crate, with the reason for its value and how the bounds relate.

use std::time::Duration;

use crate::event::{MESSAGE_BYTES_MAX, METHOD_BYTES_MAX, NUMBER_BYTES_MAX, USER_AGENT_BYTES_MAX};

/// Most bytes of raw events that one arena takes. A channel send costs 6 to 48 ns an event at this
/// size, and a shard on its own core fills it in some milliseconds under load.
pub const ARENA_BYTES: usize = 256 * 1024;

/// Arenas that all shards together may have made, at least: 128 MiB, about one second of 300,000
/// events a second, so that a disk which stalls that long loses nothing.
pub const ARENAS_IN_ALL_MIN: usize = 512;

/// Arenas that one shard may have made, at least, on a machine with so many cores that its share of
/// [`ARENAS_IN_ALL_MIN`] would be too small to fill one while others wait.
pub const ARENAS_PER_SHARD_MIN: usize = 64;

/// Idle arenas that a shard keeps; what a burst needed beyond them is freed when it comes back.
pub const ARENAS_KEPT: usize = 8;

/// Kinds of messages (source, transport, verification, method) that are counted while there is no room
/// for events, at most, by each shard: some 400 KiB, and only once they are needed.
pub const REPEATS_MAX: usize = 4096;

/// Sources that are counted to find the heaviest while the writer is behind. See `shed.rs`.
pub const HEAVY_COUNTERS: usize = 256;

/// The part of what came lately, as a divisor, from which on a source is heavy. So at most as many are,
/// and what one of them sends is worth dropping.
pub const HEAVY_SHARE: u32 = 64;

/// Events of a source that are kept whole in any case before it is heavy.
pub const HEAVY_EVENTS_MIN: u32 = 16;

/// Events that are "lately": after so many, all counters are halved. A fifth of a second of 300,000
/// events a second.
pub const HEAVY_WINDOW: u32 = 64 * 1024;

/// Shards, at most: their number is a `u16` in an arena.
pub const SHARDS_MAX: usize = 4096;

/// A block is closed when its raw messages reach this size. Four times as much would take a seventh less of
/// the disk, but whoever looks for the events of one source unpacks something of a block for about each
/// of them, and that would take four times as long.
pub const BLOCK_RAW_BYTES: usize = 256 * 1024;

/// Events in one block, at most. Without it a block of empty messages would never be closed.
pub const BLOCK_EVENTS_MAX: usize = 16 * 1024;

/// [`BLOCK_RAW_BYTES`] of earlier programs, whose blocks are read.
const BLOCK_RAW_BYTES_ONCE: usize = 1024 * 1024;

/// Raw messages of one block, at most, in bytes: the last event may reach over
/// [`BLOCK_RAW_BYTES`] by its own size.
pub const BLOCK_MESSAGES_MAX: usize = BLOCK_RAW_BYTES_ONCE + EVENT_BLOB_MAX;

/// Raw columns of one block, at most, in bytes. What one event adds is bounded by
/// [`crate::block::EVENT_COLUMNS_MAX`].
pub const BLOCK_COLUMNS_MAX: usize = BLOCK_EVENTS_MAX * crate::block::EVENT_COLUMNS_MAX;

/// The last block of the log is rewritten with what came since, until it holds this many bytes of
/// raw messages. So an idle node, whose commits hold one or two events, still stores blocks that
/// compress, and a commit rewrites little.
pub const TAIL_RAW_BYTES: usize = 64 * 1024;

/// The last block of the log is closed when its first event is older than this, full or not, so that
/// the events of a quiet node expire when they should and not with their youngest neighbour.
pub const TAIL_AGE_MAX_NS: u64 = 3600 * NS_PER_S;

/// Largest value that is stored, in bytes. redb rounds a large value's pages up to a power of two
/// and adds some bytes of its own, so this stays just under 256 KiB.
pub const VALUE_BYTES_MAX: usize = 256 * 1024 - PAGE_SLACK;

/// What redb adds to a value in its pages, in bytes, rounded up: a header of 4 to 12 bytes and the
/// key.
pub const PAGE_SLACK: usize = 64;

/// Most values that one block is split into.
pub const BLOCK_PARTS_MAX: usize = 64;

/// Packed blocks that wait for their commit, at most, in bytes: past it the commit is made early.
pub const PENDING_PACKED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Blocks that are packed or wait for it, at most: the writer waits for the packer then.
pub const PACKING_MAX: usize = 32;

/// Pause between two commits. Shorter costs a sync each, longer shows events later.
pub const COMMIT_INTERVAL: Duration = Duration::from_millis(200);

/// Pause between two looks at the clock when there is nothing to store: how late an entry may leave
/// the snapshot after it has expired.
pub const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// By how much the system's clock may be corrected without a doubt, in ns: more than any time server
/// changes at once, and less than what matters to expiry.
pub const CLOCK_JUMP_NS: u64 = 3600 * NS_PER_S;

/// How long a clock that has jumped must show its new time before anything is deleted because of it:
/// long enough that somebody notices. See `clock.rs`.
pub const CLOCK_BELIEF: Duration = Duration::from_secs(24 * 3600);

/// What a backup copies with one commit, in bytes: it is in memory until then.
pub const BACKUP_COMMIT_BYTES: usize = 8 * 1024 * 1024;

/// Blocks that are looked at behind one whose times are in the future, at most, by one commit: see
/// `arrival.rs`.
pub const ARRIVAL_LOOKS_MAX: usize = 1024;

/// Pause between two attempts to store what the disk refused.
pub const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// While the disk refuses writes, one line is logged about every so many seconds.
pub const RETRY_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// How long the writer tries to store the last events when the process ends while the disk refuses
/// writes.
pub const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Pause between two attempts in that time.
pub const STOP_RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// How long the writer sweeps when the process ends, so that the next start need not replay anything: a
/// million rows take some two seconds.
pub const STOP_SWEEP_PATIENCE: Duration = Duration::from_secs(3);

/// Rows that one commit writes for the sweep then, at most.
pub const STOP_SWEEP_ROWS_MAX: usize = 128 * 1024;

/// Rows that one commit writes for the sweep, at most. With the rows of a table in the order in
/// which they are stored, this is some hundred pages and 20 ms, a tenth of the writer's time. A million
/// sources that all send are swept in half a minute.
pub const SWEEP_ROWS_MAX: usize = 8 * 1024;

/// Pause between the beginnings of two sweeps: how much of the log is replayed after a crash,
/// against how often a row that changes all the time is written.
pub const SWEEP_INTERVAL_NS: u64 = 2 * NS_PER_S;

/// Events that a replay gathers before it merges them into the tables, about: so that what is
/// gathered stays small whatever there is to replay.
pub const REPLAY_EVENTS_MAX: usize = 64 * 1024;

/// Threads that unpack what a start replays, at most: more is unpacked by them than one can count.
pub const REPLAY_THREADS_MAX: usize = 3;

/// Blocks that each of these threads has unpacked and nobody has taken yet, at most.
pub const UNPACKED_MAX: usize = 8;

/// Heads of blocks that a start has in memory, at most.
pub const REPLAY_HEADS_MAX: usize = 16 * 1024;

/// Blocks that one commit takes out of the rows, at most: 320 a second, faster than 100,000
/// events/s fill them.
pub const EXPIRE_BLOCKS_MAX: usize = 64;

/// Blocks that one commit takes the messages out of, at most: some 20 ms.
pub const STRIP_BLOCKS_MAX: usize = 32;

/// Blocks that one commit erases something in, at most. See `forget.rs`.
pub const FORGET_BLOCKS_MAX: usize = 32;

/// Blocks that one commit unpacks to erase something, at most: some 50 ms.
pub const FORGET_LOOKS_MAX: usize = 128;

/// Rows of others that one commit stores because something was erased, about.
pub const FORGET_ROWS_MAX: usize = 16 * 1024;

/// Hours that one commit looks at to erase something, at most.
pub const FORGET_HOURS_MAX: usize = 64;

/// Blocks that one commit looks at to erase something, at most.
pub const FORGET_HEADS_MAX: usize = 4096;

/// Events of an import that are handed over at once, at most.
pub const IMPORT_EVENTS_MAX: usize = 4096;

/// Longest name of an import, in bytes.
pub const IMPORT_NAME_BYTES_MAX: usize = 128;

/// Names of imported events that one commit forgets, at most.
pub const IMPORT_DELETES_MAX: usize = 4096;

/// Sources, and numbers, that other nodes say are bad and that are acted on, at most: some 8 MiB each.
pub const PEER_ENTRIES_MAX: usize = 200_000;

/// Orders to the writer that wait, at most.
pub const ORDERS_MAX: usize = 16;

/// Blocks that one commit deletes, at most.
pub const DELETE_BLOCKS_MAX: usize = 256;

/// Rows that one commit removes because of their age, about: the last bucket of a table that it
/// looks at is looked at whole.
pub const AGE_OUT_ROWS_MAX: usize = 8 * 1024;

/// Buckets of tables that one commit makes anew because a row in them has expired, at most: with a
/// million rows that is some 10 ms.
pub const AGE_OUT_BUCKETS_MAX: usize = 128;

/// Pause between the beginnings of two passes for expired rows: about how long one stays in the
/// tables after it has expired.
pub const AGE_OUT_INTERVAL_NS: u64 = NS_PER_S;

/// Buckets that a table is divided into: an update copies one bucket in the worst case.
pub const BUCKETS: usize = 1024;

/// Sources that are kept: about 100 bytes each. Beyond it those go that have proven nothing, the
/// longest not seen first (see `evict.rs`), and proven sources only when they are
/// [`PROVEN_FACTOR`] times as many, so that a flood of forged addresses cannot push real ones out.
pub const SOURCES_MAX: usize = 2_000_000;

/// Numbers that are kept. See [`SOURCES_MAX`].
pub const NUMBERS_MAX: usize = 2_000_000;

/// User agents that are kept. There are some hundred honest ones; the rest is random.
pub const AGENTS_MAX: usize = 65_536;

/// Different numbers that the row of a source knows, at most: who tries one number dialled it, who
/// tries six is searching. Four bytes each, a million times.
pub const SOURCE_NUMBERS_MAX: usize = 6;

/// Different sources that the row of a number knows, at most. See [`SOURCE_NUMBERS_MAX`].
pub const NUMBER_SOURCES_MAX: usize = 3;

/// Different proven sources that the row of a number knows, at most: as many as it takes to block it.
pub const NUMBER_PROVEN_SOURCES_MAX: usize = 2;

/// Hours that are counted apart when nothing else is said: 30 days. See `rollup.rs`.
pub const ROLLUP_HOURS: u32 = 30 * 24;

/// Hours that are counted apart, at most: 400 days, some 150 MiB.
pub const ROLLUP_HOURS_MAX: u32 = 400 * 24;

/// Keys of a dimension that an hour counts apart while it is written, at least; up to twice as many
/// for a while. All of an hour is then some 100 KiB, and with attackers' longest keys 7 MiB.
pub const ROLLUP_KEYS_MAX: usize = 4096;

/// Keys of a dimension that an hour keeps when it has ended: 30 days of hours are some 10 MiB.
pub const ROLLUP_KEYS_KEPT: usize = 256;

/// Hours that one commit deletes, at most.
pub const ROLLUP_DELETES_MAX: usize = 24;

/// By how much proven entries may exceed the size of a table.
pub const PROVEN_FACTOR: usize = 2;

/// The part of a table's size, as a divisor, that is kept for entries that have proven nothing,
/// however many others there are: what happens now must be seen.
pub const UNPROVEN_SHARE: usize = 16;

/// The part of a bucket's rows, as a divisor, that leaves when the table is full. A smaller part would
/// copy more rows for each that leaves, a larger one would let rows go that are not old.
pub const EVICT_SHARE: usize = 16;

/// Rows that one commit copies because others leave a full table, about, and of which it stores those
/// that have changed: 64 buckets of a table with two million rows, all buckets of a small one. When more
/// would be needed, each bucket gives up more than its [`EVICT_SHARE`].
pub const EVICT_COPIES_MAX: usize = 128 * 1024;

/// Memory that redb may use to keep pages, in bytes. It fills up only when pages are read or
/// written; its own default of 1 GiB would be the largest part of the program.
pub const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// How long events and rows are kept when nothing else is said: 7 days.
pub const RETENTION_NS: u64 = 7 * 86_400 * NS_PER_S;

/// Bits of a block's filter for each source and number in it: with [`FILTER_PROBES`] one block in a
/// hundred is unpacked for nothing. 2.5 bytes an event where all are different.
pub const FILTER_BITS_PER_KEY: usize = 10;

/// Bits that a key sets in a filter.
pub const FILTER_PROBES: u32 = 7;

/// Blocks that one search unpacks, at most: some tenth of a second.
pub const QUERY_BLOCKS_MAX: usize = 1024;

/// Blocks that one search looks at, at most: some 40 ms for what is passed over.
pub const QUERY_HEADS_MAX: usize = 64 * 1024;

/// Readers of the log with a cursor, at most: each is a few bytes in memory and in the file.
pub const CURSORS_MAX: usize = 256;

/// Longest name of a cursor, in bytes.
pub const CURSOR_NAME_BYTES_MAX: usize = 64;

/// Messages that one read of the log returns, at most, in bytes of memory.
pub const LOG_READ_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The largest blob of one event: its message, and the fields that are not part of it.
pub const EVENT_BLOB_MAX: usize =
    MESSAGE_BYTES_MAX + METHOD_BYTES_MAX + NUMBER_BYTES_MAX + USER_AGENT_BYTES_MAX;

pub(crate) const NS_PER_S: u64 = 1_000_000_000;

const _: () = assert!(EVENT_BLOB_MAX + crate::arena::HEADER_BYTES <= ARENA_BYTES);
const _: () = assert!(TAIL_RAW_BYTES < BLOCK_RAW_BYTES);
const _: () = assert!(BLOCK_RAW_BYTES <= BLOCK_RAW_BYTES_ONCE);
const _: () = assert!(BLOCK_COLUMNS_MAX + BLOCK_MESSAGES_MAX <= 4 * 1024 * 1024);
const _: () = assert!(3 * BUCKETS <= u16::MAX as usize + 1);
const _: () = assert!(EVICT_COPIES_MAX >= 2 * SOURCES_MAX / BUCKETS && UNPROVEN_SHARE > 1);
// An event that has a counter less than it should must not hide a heavy source.
const _: () = assert!(HEAVY_COUNTERS as u32 >= 2 * HEAVY_SHARE);
const _: () = assert!(HEAVY_WINDOW <= u32::MAX / HEAVY_SHARE);
const _: () = assert!(STOP_RETRY_INTERVAL.as_millis() < STOP_PATIENCE.as_millis());
const _: () = assert!(ARENAS_KEPT < ARENAS_PER_SHARD_MIN);
const _: () = assert!(ARENAS_IN_ALL_MIN * ARENA_BYTES >= 128 * 1024 * 1024);
// An incompressible block still fits: zstd adds less than one part in 128.
const _: () =
    assert!((BLOCK_COLUMNS_MAX + BLOCK_MESSAGES_MAX) / VALUE_BYTES_MAX + 8 <= BLOCK_PARTS_MAX);
