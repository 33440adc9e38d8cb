//! See `sentrypeer_fuzz::block`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sentrypeer_fuzz::block::check(data));
