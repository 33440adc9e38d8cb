//! Packs the SIP messages of a storage block far smaller than a general compressor does.
//!
//! Scanners send the same message over and over and change some tokens in it: a branch, a tag, a Call-ID,
//! the number to call, the address that they come from. So a message is stored as what differs from an
//! earlier one of the same kind, its *template*, token by token; what is random takes its bits and no
//! more; and zstd packs the little that is left.
//!
//! ```
//! use sentrypeer_pack::{Class, Decoder, Encoder, Endpoints};
//!
//! let class = Class { method: b"OPTIONS", user_agent: b"scan" };
//! let endpoints = |n: u8| Endpoints {
//!     source: ([203, 0, 113, n], 5060).into(),
//!     destination: ([198, 51, 100, 23], 5060).into(),
//! };
//! let message = |n: u8| {
//!     format!(
//!         "OPTIONS sip:100@198.51.100.23 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.{n}\r\n\
//!          Call-ID: {:08x}\r\nCSeq: {n} OPTIONS\r\nUser-Agent: scan\r\n\r\n",
//!         u32::from(n) * 123_456_789,
//!     )
//! };
//!
//! let mut encoder = Encoder::new();
//! for n in 0..20 {
//!     encoder.push(message(n).as_bytes(), class, &endpoints(n));
//! }
//! let mut packed = Vec::new();
//! encoder.pack(&mut packed);
//! assert!(packed.len() < encoder.raw_bytes() / 7);
//!
//! // The lengths and the endpoints of the messages are known from elsewhere.
//! let mut decoder = Decoder::new(&packed, 20, encoder.raw_bytes())?;
//! let mut unpacked = Vec::new();
//! for n in 0..20 {
//!     decoder.next(message(n).len(), &endpoints(n), &mut unpacked)?;
//!     assert!(unpacked.ends_with(message(n).as_bytes()));
//! }
//! # Ok::<(), sentrypeer_pack::Damaged>(())
//! ```
//!
//! # How a message is packed
//!
//! The [`Encoder`] looks for a template of the message's [`Class`], or else for one that is laid out the
//! same, and goes through both, sixteen bytes at a time. Where they differ it cuts out the token that
//! differs (`cut`), writes its value (`value`) and remembers the place as a *slot* of the template, at
//! which later messages need not be compared any more. The list of what was done is the message's
//! *shape*. Nearly all messages of a template have one of a few shapes, so the shape is a number, and all
//! that remains of a message is one byte and the values of its tokens.
//!
//! What helps to do that quickly (slots, what a slot's tokens usually are, which class has which
//! template) is known to the encoder alone. The decoder knows templates and shapes, and carries out what
//! a shape says.
//!
//! # The bytes
//!
//! Numbers marked *v* are in groups of 7 bits, the lowest first, the top bit set in all but the last.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 7 × (v, v) | of each stream of bytes its length, and that of its zstd frame, or 0 if it is stored as it is |
//! | … | the seven streams |
//! | the rest | the stream of bits, from the lowest bit of each byte to the highest, filled up with zeros |
//!
//! | stream | what it holds |
//! |---|---|
//! | `shapes` | v for each message: 0 for one that is stored whole, 1 for one of a new shape, else the number of its shape and 2 |
//! | `ops` | the new shapes: v the number of the whole message that is the template (the first is 0), and the operations |
//! | `lengths` | v, lengths of tokens |
//! | `low`, `high` | the lower and the upper byte of numbers below 65,536 |
//! | `literals` | tokens and lines as they are |
//! | `whole` | messages as they are |
//!
//! A new shape gets the next number, the first one 0, as long as there are less than
//! [`SHAPES_MAX`](limits::SHAPES_MAX) and they have at most [`SHAPE_OPS_MAX`](limits::SHAPE_OPS_MAX)
//! operations with it.
//!
//! An operation is a code (1 byte), v how many bytes are copied from the template, v how many bytes of the
//! template are then passed over, and for some codes v a number. After the copied bytes comes in the
//! message, by the code:
//!
//! | code | | needs |
//! |---|---|---|
//! | 0 | nothing, and this is the shape's last operation | |
//! | 1 | nothing | |
//! | 2, 3 | the source address, the source port | |
//! | 4, 5 | the destination address, the destination port | |
//! | 6 | token number *n* of this message once more, where tokens of codes below 7 do not count | *n* in the operation |
//! | 7 | a number, in decimal without leading zeros | a byte of `low`, one of `high` |
//! | 8 | an IPv4 address | 32 bits |
//! | 9 | a literal | `lengths`, so many bytes of `literals` |
//! | 10 | a literal, each byte as two digits of hex | the same |
//! | 16 + a | *n* characters of alphabet *a* | *n* in the operation, bits |
//! | 32 + a | characters of alphabet *a* | `lengths`, bits |
//!
//! Addresses are written as usual: IPv4 with dots, IPv6 as RFC 5952, section 4, says, without a dotted
//! end. Characters of an alphabet are divided into groups, of which the last may be shorter. A group is a
//! number, its first character being the most significant digit, and takes as many bits as the largest
//! number of so many characters needs.
//!
//! | alphabet | characters | in a group | bits of a group |
//! |---|---|---|---|
//! | 0 | `0-9` | 16 | 54 |
//! | 1 | `0-9a-f` | 8 | 32 |
//! | 2 | `0-9A-F` | 8 | 32 |
//! | 3 | `0-9a-fA-F` | 10 | 45 |
//! | 4 | `0-9a-z` | 10 | 52 |
//! | 5 | `0-9a-zA-Z` | 9 | 54 |
//! | 6 | `0-9a-zA-Z-._+/~` | 9 | 55 |
//!
//! # Why streams
//!
//! zstd codes each byte by how often it is there. A stream in which all bytes mean the same has the most
//! to gain from that: the shapes, the lengths and the upper bytes are nearly always the same few. What is
//! random gains nothing and would spoil the rest, so it goes into the bits, without gaps and past zstd:
//! four fifths of what a block of 1 MiB takes. zstd is asked for level 1; for `ops`, `literals` and
//! `whole`, which are text, for level 3 as long as they are short.
//!
//! The example `ratio` measures all this, with messages as scanners send them and with hostile ones.
//!
//! # What holds
//!
//! - Messages and classes are what anybody in the internet sends. Packing takes time in proportion to the
//!   length of a message, whatever it is: there is a bound on operations, on literals, on lines that are
//!   looked at, on tokens that are compared, and on how often a message is compared with a template in
//!   vain (see [`limits`]).
//! - Packed messages take at most 2 bytes for each message and 64 in all more than the messages.
//! - Unpacking takes any bytes: it gives messages of the lengths that were asked for, or [`Damaged`],
//!   never a panic. Its memory is bounded by what the messages may have in all.
//! - No clock, no randomness, no files, no threads, no `unsafe`: the same messages are always packed to
//!   the same bytes (with the same version of zstd).
//!
//! To read the source: `op`, `shape`, `stream` are the format; `encoder`, `template`, `name`, `diff`,
//! `cut`, `value` pack; `decoder`, `incoming`, `output` unpack; `alphabet`, `digits`, `bits`, `address`,
//! `endpoints`, `text` are what they need.
#![forbid(unsafe_code)]

mod address;
mod alphabet;
mod bits;
mod cut;
mod decoder;
mod diff;
mod digits;
mod encoder;
mod endpoints;
mod incoming;
pub mod limits;
mod name;
mod op;
mod output;
mod shape;
mod stream;
mod template;
mod text;
mod value;

pub use decoder::{Damaged, Decoder};
pub use encoder::{Class, Encoder};
pub use endpoints::Endpoints;
pub use incoming::unpack_zstd;
