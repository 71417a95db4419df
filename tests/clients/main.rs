//! Clients that people really use, each through a real mesh: curl, Python's socks module,
//! OpenSSH, proxychains4, and clients that pack the bytes of the protocol in odd ways.
//!
//! A client that is not installed fails its test with the name of the Debian package.

#[path = "../support/mod.rs"]
mod support;

mod curl;
mod installed;
mod openssh;
mod packing;
mod proxychains;
mod python;
mod world;
