//! Every bound of the parser, with its reason.

/// Header lines that are read, folds not counted. The longest message of RFC 4475 has 42; a real
/// request behind many proxies has fewer than 100. Lines beyond it are skipped and flagged.
pub const HEADER_LINES_MAX: usize = 256;

/// Via and Contact values that the deep checks look at, over all lines and lists: as many as there
/// may be lines. 64 KB hold 65,000 empty ones, and each costs as much as a whole address.
pub const LIST_VALUES_MAX: usize = HEADER_LINES_MAX;

/// Bytes of one From, To, Contact or Via value that are taken apart: a dozen looks are taken at some
/// of them for each message, and 64 KB of quotes would make every one dear. Real ones have a few
/// hundred. Of a longer one, or a longer Request-URI, the beginning is read, it is flagged, and what
/// is in it is not checked; a request with one is not answered.
pub const VALUE_BYTES_MAX: usize = 4_096;

/// Bytes that a response may copy from its request, in all: as they stand there, with their folds.
pub const COPIED_BYTES_MAX: usize = 16_384;

/// Longest message that a stream may carry, in bytes: as much as a datagram can, so that both make
/// events of the same size.
pub const STREAM_MESSAGE_BYTES_MAX: usize = 65_535;

/// What an idle framer's buffer may keep allocated, in bytes. Ordinary messages are smaller, so a
/// connection does not allocate for each; ten thousand idle connections hold 40 MB at most.
pub const FRAMER_KEEP_BYTES: usize = 4_096;

/// Longest input that is read, in bytes: positions are kept as `u32`.
pub const INPUT_BYTES_MAX: usize = u32::MAX as usize;

/// Longest called number, in bytes, after its percent-escapes are decoded.
pub const NUMBER_BYTES_MAX: usize = 128;

const _: () = assert!(FRAMER_KEEP_BYTES < STREAM_MESSAGE_BYTES_MAX);
const _: () = assert!(STREAM_MESSAGE_BYTES_MAX <= INPUT_BYTES_MAX);
