//! The bounds of the configuration, each with its reason.

use sentrypeer_dht::limits::VOTERS_MAX;
use sentrypeer_export::limits::OUTPUTS_MAX;
use sentrypeer_storage::limits::ROLLUP_HOURS_MAX;

/// Largest configuration file, in bytes. A real one has a few kilobytes; more is a wrong file, a
/// device or a mistake in a template, and would only cost memory.
pub(super) const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Largest file that holds the client secret, in bytes. Identity providers issue 32 to 512.
pub(super) const SECRET_BYTES_MAX: u64 = 8 * 1024;

/// Most addresses that one setting may name. Each costs a socket per shard and transport.
pub(super) const ADDRESSES_PER_SETTING_MAX: usize = 32;

/// Most addresses, or numbers, of the allow-list that one setting may name. Each takes some bytes; a
/// longer list belongs into a file.
pub(super) const ALLOWED_PER_SETTING_MAX: usize = 1024;

/// Largest file of the allow-list, in bytes: some 60,000 prefixes.
pub(super) const ALLOW_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Most shards. More threads than any machine of today has processors would only cost memory.
pub(super) const SHARDS_MAX: usize = 256;

/// Most webhooks beside the first: what a node may have of outputs, less one of each other kind.
pub(super) const WEBHOOKS_MAX: usize = OUTPUTS_MAX - 5;

/// Longest name of a webhook, in bytes; with what stands before it is the name of a cursor.
pub(super) const WEBHOOK_NAME_BYTES_MAX: usize = 32;

/// Most requests a second that a limit of the API may name: far beyond what its workers answer.
pub(super) const API_RATE_MAX: usize = 1_000_000;

/// Most connections that an address may be given; the API has no more in all.
pub(super) const API_CONNECTIONS_MAX: usize = sentrypeer_http::limits::API_CONNECTIONS_MAX;

/// Longest name of a host (RFC 1035, section 2.3.4), in bytes.
pub(super) const HOST_BYTES_MAX: usize = 253;

/// Most passwords that a caller may have to try. Their number travels in one byte of a nonce; who
/// tries more than a handful is a dictionary, which is caught by then.
pub(super) const REGISTER_TRIES_MAX: usize = 9;

/// Most answers a second that a limit may name; more than any shard can send is no limit.
pub(super) const ANSWER_RATE_MAX: usize = 1_000_000;

/// Longest that a call may ring, in milliseconds: callers hang up after a minute at the latest, and
/// until then each takes a place of its shard's table.
pub(super) const RING_MS_MAX: usize = 60_000;

/// Longest that events may be kept, in days. Memory has a row for each source and number that was seen
/// meanwhile; and whoever had an address a month ago does not have it now.
pub(super) const EVENTS_KEEP_DAYS_MAX: usize = 30;

/// Longest that the counts of hours may be kept, in days: a year and a month, so that a month can be
/// held against the same one of last year.
pub(super) const HOURS_KEEP_DAYS_MAX: usize = 400;

/// Smallest size of the log, in millions of bytes: some blocks, so that there is always something to see.
pub(super) const LOG_SIZE_MB_MIN: usize = 16;

/// Largest size of the log that may be named, in millions of bytes: a petabyte. More is a slip.
pub(super) const LOG_SIZE_MB_MAX: usize = 1_000_000_000;

/// Most keys of nodes that a setting may name: more than a pool of one operator has nodes.
pub(super) const PEER_KEYS_MAX: usize = 1024;

/// Most nodes that may be demanded to agree: so many are remembered for each subject.
pub(super) const PEER_QUORUM_MAX: usize = VOTERS_MAX;

/// Longest epoch, in seconds: that of the public network.
pub(super) const PEER_EPOCH_S_MAX: usize = sentrypeer_dht::limits::EPOCH_S as usize;

/// Shortest epoch, in seconds. Less is shorter than what is put takes to be found.
pub(super) const PEER_EPOCH_S_MIN: usize = 6;

/// Most problems that are shown, so that a file of the wrong kind does not fill the screen. The
/// rest is counted.
pub(super) const PROBLEMS_SHOWN_MAX: usize = 40;

/// Most characters of an operator's text that a message repeats.
pub(super) const TEXT_SHOWN_CHARS_MAX: usize = 80;

/// Longest name for which a similar one is looked for, in bytes. No setting's name is as long, and
/// the search takes time in proportion to the length.
pub(super) const SIMILAR_BYTES_MAX: usize = 64;

/// Largest `timeout` of an ipset entry, in seconds: the kernel keeps milliseconds in 32 bits and
/// refuses more (ipset(8), "timeout").
pub(super) const IPSET_TIMEOUT_S_MAX: u32 = 2_147_483;

/// Longest pause of the firewall agent between two looks, in seconds: who wants one a day wants `--once`.
pub(super) const FIREWALL_INTERVAL_S_MAX: u64 = 3_600;

const _: () = assert!(HOURS_KEEP_DAYS_MAX * 24 <= ROLLUP_HOURS_MAX as usize);
const _: () = assert!(SECRET_BYTES_MAX < FILE_BYTES_MAX);
