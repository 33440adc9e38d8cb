//! Every bound of this crate, with the reason for its value and how the bounds relate.

use sentrypeer_storage::event::{
    MESSAGE_BYTES_MAX, METHOD_BYTES_MAX, NUMBER_BYTES_MAX, USER_AGENT_BYTES_MAX,
};

/// Longest line of a JSON log, in bytes; a longer one is skipped without being kept. The longest that
/// we write is some 400 KiB: every byte of an event's texts as `\u0000`.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// Longest text of an event in a table, in bytes; a row with a longer one is skipped without the text
/// being read. What arrived as one byte may be three there, U+FFFD.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;

/// Longest text of a field that has a fixed form (an id, a time, an address), in bytes.
pub const PLAIN_BYTES_MAX: usize = 128;

/// Bytes at the beginning of a file by which its format is told: a JSON log that was cut at its head
/// must have the beginning of a line in them.
pub const HEAD_BYTES: usize = 64 * 1024;

/// Rows that are read from an SQLite file under one lock. SentryPeer 4.x gives up an event when it
/// finds the file locked, so no lock is held longer than the millisecond or two that these take.
pub const READ_ROWS: u32 = 256;

/// Bytes of rows after which the lock is given back early: rows may be large.
pub const READ_BYTES: usize = 1024 * 1024;

/// Largest value that SQLite may make or keep in memory, in bytes, while it reads a file of others.
pub const SQLITE_VALUE_BYTES_MAX: i32 = 16 * 1024 * 1024;

/// Steps of SQLite's machine in which a file of others must be open: some ten for each table and
/// index that it has, and 4.x's has four. SQLite keeps all of them in memory, and its time to read
/// them grows with the square of their number.
pub const OPEN_STEPS: i32 = 10_000;

/// Longest definition of a table or index in a file of others, in bytes.
pub const DEFINITION_BYTES_MAX: i32 = 16 * 1024;

/// Most columns of a table in a file of others.
pub const COLUMNS_MAX: i32 = 100;

/// Milliseconds for which an SQLite file may be locked by somebody else before that is an error.
pub const LOCKED_MS: u64 = 5_000;

/// Rows that are looked at to see by how much the times of a file are off.
pub const OFFSET_ROWS: u32 = 256;

/// Events of an export in one SQLite transaction, at most. They wait in memory.
pub const EXPORT_ROWS: usize = 4096;

/// Bytes of messages of an export in one SQLite transaction, at most.
pub const EXPORT_BYTES: usize = 4 * 1024 * 1024;

/// Pages of an SQLite file that we write which are kept in memory, at most, in KiB. Sources and numbers
/// come in any order, so each event changes a page of two indexes anywhere.
pub const CACHE_KIB: i32 = 32 * 1024;

/// Pages of the write-ahead log after which they are moved into the file: 64 MiB. A page that changed
/// many times is moved once; with SQLite's own 1,000 pages a third of the events go in a second.
pub const CHECKPOINT_PAGES: u32 = 16 * 1024;

/// The write-ahead log of an SQLite file that we write is cut to this size when it can be, in bytes.
/// It grows beyond while somebody reads the file for long.
pub const WAL_BYTES: u32 = 64 * 1024 * 1024;

/// Uncompressed bytes after which a page of a Parquet column is closed: what readers like best.
pub const PAGE_BYTES: usize = 1024 * 1024;

/// Uncompressed bytes after which a row group of a Parquet file is written. It waits in memory,
/// compressed, so this bounds what an export needs.
pub const GROUP_BYTES: usize = 32 * 1024 * 1024;

/// Rows of a row group of a Parquet file, at most.
pub const GROUP_ROWS: usize = 256 * 1024;

const EVENT_TEXTS_MAX: usize =
    MESSAGE_BYTES_MAX + USER_AGENT_BYTES_MAX + NUMBER_BYTES_MAX + METHOD_BYTES_MAX;

// What we wrote ourselves must be readable.
const _: () = assert!(LINE_BYTES_MAX > "\\u0000".len() * EVENT_TEXTS_MAX + 4096);
const _: () = assert!(TEXT_BYTES_MAX > "\u{fffd}".len() * MESSAGE_BYTES_MAX);
const _: () = assert!(SQLITE_VALUE_BYTES_MAX as usize > 4 * TEXT_BYTES_MAX);
const _: () = assert!(CHECKPOINT_PAGES * 4096 <= WAL_BYTES);
// A page is a 32-bit number of bytes.
const _: () = assert!(PAGE_BYTES + TEXT_BYTES_MAX < i32::MAX as usize);
