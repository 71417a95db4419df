//! What each fuzz target does with an input. `fuzz_targets/` calls it with whatever libFuzzer makes
//! up, `tests/corpus` with the committed seeds of `corpus/`, on stable.
//!
//! A target panics if the code under test panics, or breaks a promise that holds for every input.

pub mod advertisement;
pub mod certificate;
pub mod config;
pub mod control_frame;
pub mod core_inputs;
pub mod packet_header;
pub mod payload;
pub mod probe;
pub mod proxy_header;
pub mod socks;
pub mod text;
pub mod tunnel_frame;

/// Runs one input.
pub type Target = fn(&[u8]);

/// Every target by its name: that of its file in `fuzz_targets/` and of its folder in `corpus/`.
pub const TARGETS: &[(&str, Target)] = &[
    ("advertisement", advertisement::run),
    ("certificate", certificate::run),
    ("config", config::run),
    ("control_frame", control_frame::run),
    ("core_inputs", core_inputs::run),
    ("packet_header", packet_header::run),
    ("payload", payload::run),
    ("probe", probe::run),
    ("proxy_header", proxy_header::run),
    ("socks", socks::run),
    ("text", text::run),
    ("tunnel_frame", tunnel_frame::run),
];
