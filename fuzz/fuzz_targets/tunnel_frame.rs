#![no_main]
//! See `src/tunnel_frame.rs`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| warren_fuzz::tunnel_frame::run(input));
