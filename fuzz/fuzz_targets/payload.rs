#![no_main]
//! See `src/payload.rs`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| warren_fuzz::payload::run(input));
