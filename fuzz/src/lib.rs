//! What the fuzz targets check, as functions of bytes that panic when something does not hold.
//!
//! Each has an oracle: a second way to the same answer, a round trip, or a bound. `tests/` tries
//! them on a few seeds, on stable Rust; `scripts/fuzz` feeds them with everything else.

#![forbid(unsafe_code)]

pub mod block;
pub mod frame;
pub mod parse;
pub mod record;
pub mod reply;

// By its files and not as a part of the engine: it needs nothing else of it, and so a target builds
// in a minute instead of ten. If it ever does need something, this no longer compiles.
#[path = "../../engine/src/sip/mod.rs"]
pub mod sip;
