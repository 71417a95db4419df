#![no_main]
//! See `src/config.rs`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| warren_fuzz::config::run(input));
