//! The configuration as users meet it: every fixture, every example file, the reference page, and
//! input that nobody should write.

mod docs;
mod examples;
mod fixtures;
mod robustness;
mod secrets;
mod support;
