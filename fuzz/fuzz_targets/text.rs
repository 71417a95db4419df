#![no_main]
//! See `src/text.rs`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| warren_fuzz::text::run(input));
