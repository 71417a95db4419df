#![no_main]
//! See `src/packet_header.rs`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| warren_fuzz::packet_header::run(input));
