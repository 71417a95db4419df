#![no_main]
//! See `src/core_inputs.rs`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| warren_fuzz::core_inputs::run(input));
