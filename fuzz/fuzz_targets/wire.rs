//! See `sentrypeer_fuzz::wire`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sentrypeer_fuzz::wire::check(data));
