#![no_main]
//! See `src/socks.rs`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| warren_fuzz::socks::run(input));
