#![no_main]
//! See `src/control_frame.rs`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| warren_fuzz::control_frame::run(input));
