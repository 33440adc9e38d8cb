//! Every bound of the crate, each with its reason.

/// Largest record that is read, in bytes.
///
/// SentryPeer 4.x puts the whole message into its record: 1,024 bytes of it, up to six times that
/// once JSON has escaped every byte, and the parts of it again in members of their own. Twice the
/// worst of that is allowed for other writers. OpenDHT itself carries no more than 64 KiB.
pub const RECORD_READ_BYTES_MAX: usize = 16 * 1024;

/// Largest record that is written, in bytes.
///
/// Our records carry no message and no user agent. What an attacker chooses in them is the number
/// and the method; the rest is less than 512 bytes. An honest one stays below 600 bytes, which
/// OpenDHT sends in one packet.
pub const RECORD_WRITTEN_BYTES_MAX: usize =
    512 + ESCAPED_MAX * (NUMBER_BYTES_MAX + METHOD_BYTES_MAX);

/// Longest `app_name`, `app_version`, `collected_method`, `transport_type`, `event_timestamp` or
/// `source_ip` that is read, in bytes. The longest honest one is an IPv6 address with its port and
/// brackets, 47 bytes.
pub const PLAIN_MEMBER_BYTES_MAX: usize = 64;

/// Bytes that JSON makes of one byte at worst: `\u0001`.
const ESCAPED_MAX: usize = 6;

// What an attacker writes is cut to what an event of our own may hold, so that both fit the same
// tables.
pub use sentrypeer_storage::event::{METHOD_BYTES_MAX, NUMBER_BYTES_MAX, USER_AGENT_BYTES_MAX};

const _: () = {
    assert!(RECORD_WRITTEN_BYTES_MAX < RECORD_READ_BYTES_MAX, "we must be able to read our own");
    assert!(RECORD_READ_BYTES_MAX <= 64 * 1024, "OpenDHT refuses larger values");
};
