//! Every bound of this crate, with the reason for its value.

/// Messages of a block that later ones may be compared with, at most. Scanners and toll-fraud tools have
/// some dozens of layouts; a flood of unlike messages finds no place here, and costs no more than zstd.
pub const TEMPLATES_MAX: usize = 1024;

/// The shortest message that is compared or compared with, in bytes: zstd packs a shorter one as well.
pub const TEMPLATE_BYTES_MIN: usize = 64;

/// The longest message that is compared or compared with, in bytes. Messages of scanners have 300 to
/// 1,500; an operation has 16 bits for a length.
pub const TEMPLATE_BYTES_MAX: usize = 16 * 1024;

/// How often messages of one class are compared with a template of another class that is laid out the
/// same, before one of them is stored whole as their own template. That costs some 200 bytes, and saves
/// one or two for each message that follows.
pub const STAND_INS_MAX: u8 = 16;

/// What a comparison costs that finds a message unlike its template, in messages that were like it: of
/// messages that are made to be compared in vain only one in six is.
pub const UNLIKE_COST: u8 = 5;

/// What a template may have saved up for such comparisons, at most.
pub const CREDIT_MAX: u8 = 10;

/// Places in a template that are known to differ, at most.
pub const SLOTS_MAX: usize = 64;

/// One in so many tokens of a slot is looked at closely, whatever the one before it was.
pub const SLOT_CLOSE_LOOK: u8 = 16;

/// A slot is forgotten when so many of these, one after the other, are what the template has.
pub const SLOT_IDLE_MAX: u8 = 3;

/// Operations that each message may have, however short.
pub const OPS_MIN: usize = 8;

/// One more operation for so many bytes of a message. A message of scanners has one for 30 to 60; what
/// needs more is made to be slow.
pub const BYTES_PER_OP: usize = 24;

/// Operations of one message, at most.
pub const OPS_MAX: usize = 256;

/// Lines of the template that are looked at to find where to go on, at most, whatever the length of the
/// message.
pub const LINES_MIN: usize = 64;

/// One more line for so many bytes of a message.
pub const BYTES_PER_LINE: usize = 16;

/// The part of a message, as a divisor, that may be stored as it is. Beyond it another template is
/// better, and if there is none the message should be one.
pub const LITERAL_SHARE: usize = 4;

/// So many bytes more may be, however short the message.
pub const LITERAL_MIN: usize = 16;

/// Tokens of a message that its later tokens are compared with, at most.
pub const AGAIN_TOKENS_MAX: usize = 32;

/// Shapes of a block that have a number, at most: two bytes say it.
pub const SHAPES_MAX: usize = 8192;

/// Operations of all these together, at most: 512 KiB of memory on either side.
pub const SHAPE_OPS_MAX: usize = 64 * 1024;

/// Bytes that say the shape of one message, at most.
pub const SHAPE_NUMBER_BYTES_MAX: usize = 2;

/// Values that are remembered, to notice those that come again: 16 KiB.
pub const SEEN_VALUES: usize = 4096;

/// The longest address as text, in bytes.
pub const ADDRESS_TEXT_MAX: usize = 39;

const _: () = assert!(TEMPLATE_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(TEMPLATES_MAX < u16::MAX as usize);
const _: () = assert!(OPS_MIN + TEMPLATE_BYTES_MAX / BYTES_PER_OP >= OPS_MAX);
const _: () = assert!(SLOTS_MAX <= OPS_MAX && OPS_MAX <= u16::MAX as usize);
const _: () = assert!(SHAPES_MAX + 2 < 1 << (7 * SHAPE_NUMBER_BYTES_MAX));
const _: () = assert!(SEEN_VALUES.is_power_of_two());
const _: () = assert!(CREDIT_MAX >= UNLIKE_COST);
