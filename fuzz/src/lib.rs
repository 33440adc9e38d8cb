//! What the fuzz targets check, as functions of bytes that panic when something does not hold.
//!
//! Each has an oracle: a second way to the same answer, a round trip, or a bound. `tests/` tries
//! them on a few seeds, on stable Rust; `scripts/fuzz` feeds them with everything else.

#![forbid(unsafe_code)]

pub mod block;
pub mod frame;
pub mod pack;
pub mod parse;
pub mod record;
pub mod reply;
pub mod wire;

/// The second reader that the parser's own tests compare it with.
#[path = "../../engine/sip/tests/it/slow.rs"]
pub mod slow;
