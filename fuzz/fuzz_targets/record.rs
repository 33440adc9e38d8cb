//! See `sentrypeer_fuzz::record`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sentrypeer_fuzz::record::check(data));
