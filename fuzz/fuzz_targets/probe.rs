#![no_main]
//! See `src/probe.rs`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| warren_fuzz::probe::run(input));
