//! See `sentrypeer_fuzz::parse`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sentrypeer_fuzz::parse::check(data));
