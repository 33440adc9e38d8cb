//! See `sentrypeer_fuzz::reply`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sentrypeer_fuzz::reply::check(data));
