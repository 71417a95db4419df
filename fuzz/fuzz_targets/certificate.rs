#![no_main]
//! See `src/certificate.rs`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| warren_fuzz::certificate::run(input));
