#![no_main]
//! See `src/proxy_header.rs`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| warren_fuzz::proxy_header::run(input));
