//! Programs that a test needs.

use std::process::{Command, Stdio};

/// A command for a program; panics with the package to install if it is missing.
pub(crate) fn program(name: &str, package: &str) -> Command {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {name}")])
        .stdout(Stdio::null())
        .status()
        .expect("sh runs");
    assert!(
        found.success(),
        "{name} is not installed: apt-get install {package}"
    );
    Command::new(name)
}
