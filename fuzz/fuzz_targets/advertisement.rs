#![no_main]
//! See `src/advertisement.rs`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| warren_fuzz::advertisement::run(input));
