//! Every bound of the outputs, with its reason.

use std::time::Duration;

/// How long an output waits for a commit before it looks at its orders again. A pause, a reset or
/// a stop takes at most this long when nothing comes.
pub const IDLE_WAIT: Duration = Duration::from_millis(200);

/// How long an output lets events gather after it has read everything there was. The writer commits
/// five times a second; with this a trickle costs a file two syncs a second, and no event is later than
/// one second.
pub const GATHER: Duration = Duration::from_millis(400);

/// First pause after a failure.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(250);

/// Longest pause after a failure: a receiver that comes back is noticed within this.
pub const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// The longest that a receiver may ask us to stay away (`Retry-After`).
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Longest text of a last error, in bytes: a part of it may be the receiver's.
pub const ERROR_BYTES_MAX: usize = 512;

/// The same failure again is logged at most this often.
pub const FAILURE_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Outputs of one node: each is a thread and a cursor, and the database has room for 256 cursors.
pub const OUTPUTS_MAX: usize = 32;

/// Events that the JSON log takes at a time. Large enough that the sync of each batch is a small
/// part of the work; the log returns no more than 8 MiB of messages whatever is asked for.
pub const JSON_LOG_EVENTS_MAX: usize = 16_384;

/// Lines are handed to the kernel in pieces of this size: escaped, 8 MiB of hostile bytes are 48 MiB.
pub const JSON_LOG_BUFFER_BYTES: usize = 1024 * 1024;

/// How far back the last newline of a log is looked for. The longest line that we write is a message of 64 KiB of
/// which each byte takes six, and its few short fields. A file without a newline there is not our log.
pub const TORN_LINE_BYTES_MAX: u64 = 1024 * 1024;

/// Lines that syslog gets at a time; what was not confirmed of them comes again.
pub const SYSLOG_EVENTS_MAX: usize = 1000;

/// Longest name of this machine in a line: RFC 5424, section 6.
pub const HOST_BYTES_MAX: usize = 255;

/// Longest method in a line: the longest that an event keeps.
pub const METHOD_CHARS_MAX: usize = 32;

/// How long a connection may take to come about.
pub const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// How long the local daemon may keep us waiting before that is a failure.
pub const SEND_PATIENCE: Duration = Duration::from_secs(10);

/// How long a receiver may read nothing, or may need for the rest of a batch that the kernel already
/// holds: a slow one reads an event a second, and a batch has 1,000.
pub const CONFIRM_PATIENCE: Duration = Duration::from_secs(1200);

/// Rows that one transaction adds to an SQLite file. A reader that waits for a lock waits for one of these.
#[cfg(feature = "sqlite")]
pub const SQLITE_EVENTS_MAX: usize = 8192;

/// How often expired rows are looked for in an SQLite file.
#[cfg(feature = "sqlite")]
pub const SQLITE_EXPIRE_INTERVAL: Duration = Duration::from_secs(10);

/// Rows that are removed at a time, so that new ones do not wait long.
#[cfg(feature = "sqlite")]
pub const SQLITE_EXPIRE_ROWS: u32 = 4096;

/// Most events in one request.
pub const WEBHOOK_EVENTS_MAX: usize = 10_000;

/// Events that are posted one by one before orders are looked at again.
pub const WEBHOOK_SINGLES_MAX: usize = 16;

/// No event is added to a body of this size: receivers commonly take a few megabytes.
pub const WEBHOOK_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long a request may take in all. A receiver that needs longer for a batch wants smaller ones.
pub const WEBHOOK_PATIENCE: Duration = Duration::from_secs(60);

/// What is read of an answer. Nothing of it is kept but a token.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A token is renewed so long before it expires: clocks differ, and requests take time.
pub const TOKEN_RENEW_BEFORE: Duration = Duration::from_secs(60);

/// How long a token is used that does not say how long it holds.
pub const TOKEN_LIFE_DEFAULT: Duration = Duration::from_secs(300);

/// The longest that a token is used, whatever it says.
pub const TOKEN_LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// How large a dead-letter file may become. When it is full the webhook stops and says so.
pub const DEAD_LETTER_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Messages that a stream gets at a time; what was not acknowledged of them comes again.
#[cfg(feature = "nats")]
pub const NATS_EVENTS_MAX: usize = 1000;

/// How long a server may acknowledge nothing while it has something of ours.
#[cfg(feature = "nats")]
pub const NATS_PATIENCE: Duration = Duration::from_secs(60);

/// How long a connection may rest and be used again. A server asks every two minutes whether we are there, and
/// closes whom it has asked three times.
#[cfg(feature = "nats")]
pub const NATS_IDLE_MAX: Duration = Duration::from_secs(60);

/// Longest line of a server: what it says of itself names every server of its cluster.
#[cfg(feature = "nats")]
pub const NATS_LINE_BYTES_MAX: usize = 64 * 1024;

/// Longest message of a server. An acknowledgement has about 50 bytes, and a refusal a sentence more.
#[cfg(feature = "nats")]
pub const NATS_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// No message is put behind others that are as long and wait for the kernel.
#[cfg(feature = "nats")]
pub const NATS_OUT_BYTES: usize = 64 * 1024;

/// What is read of a server at a time.
#[cfg(feature = "nats")]
pub const NATS_READ_BYTES: usize = 16 * 1024;

/// What a server must take in one message: the longest that an event becomes, with room. A server of which an attacker
/// could send what it never takes would hold up all events behind that one.
#[cfg(feature = "nats")]
pub const NATS_PAYLOAD_BYTES: usize = 512 * 1024;

/// Longest file that is taken for a secret.
pub const SECRET_BYTES_MAX: u64 = 64 * 1024;

const _: () = assert!(CONFIRM_PATIENCE.as_secs() > SYSLOG_EVENTS_MAX as u64);
const _: () = assert!(
    TORN_LINE_BYTES_MAX as usize > 6 * sentrypeer_storage::event::MESSAGE_BYTES_MAX + 16 * 1024
);
const _: () = assert!(OUTPUTS_MAX < sentrypeer_storage::limits::CURSORS_MAX);
#[cfg(feature = "nats")]
const _: () =
    assert!(NATS_PAYLOAD_BYTES > 6 * sentrypeer_storage::event::MESSAGE_BYTES_MAX + 16 * 1024);
