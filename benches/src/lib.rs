//! Benches of sentrypeer.
//!
//! `src/bin/blast.rs` sends paced SIP over UDP to this machine; `src/bin/sink.rs` is the bare loop
//! that `scripts/bench` compares the program with; `benches/` holds the criterion benches.

#![forbid(unsafe_code)]
