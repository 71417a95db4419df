//! Harness of the tests that run real `warren` processes on loopback.
//!
//! A [`Mesh`] makes certificates with the `warren` commands, writes one YAML file per agent and
//! runs the agents as child processes. Traffic comes from a SOCKS5 client here and ends in a
//! [`Target`] here, so that every byte can be checked. A test that fails prints the end of every
//! agent's log. Nothing leaves 127.0.0.1, and only child processes are ever signalled.
#![allow(
    dead_code,
    reason = "each test target uses its own part of the harness"
)]
#![allow(
    clippy::print_stderr,
    reason = "logs of a failed test go to the test's output"
)]

pub(crate) mod clock;
pub(crate) mod command;
pub(crate) mod diamond;
pub(crate) mod dns;
pub(crate) mod http;
pub(crate) mod line;
pub(crate) mod mesh;
pub(crate) mod pair;
pub(crate) mod pattern;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod socket;
pub(crate) mod socks;
pub(crate) mod spec;
pub(crate) mod target;
pub(crate) mod traffic;
pub(crate) mod wait;

pub(crate) use mesh::Mesh;
pub(crate) use spec::Spec;
pub(crate) use target::Target;

/// The program under test.
pub(crate) const WARREN: &str = env!("CARGO_BIN_EXE_warren");

/// What an exit in these meshes serves, and a part of the address space that no test dials for
/// real.
pub(crate) const LOOPBACK: &str = "routes: [127.0.0.0/8]";
