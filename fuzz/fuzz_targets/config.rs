#![no_main]
//! Configuration files as anybody may write them.

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use warren::config::Config;

fuzz_target!(|input: &[u8]| {
    if let Ok(text) = std::str::from_utf8(input) {
        let _ = Config::parse(text, "fuzz.yaml", Path::new("/"), &|_| None);
    }
});
