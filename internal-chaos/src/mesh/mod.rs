//! Meshes of real agents, driven from outside: keys and configurations are written with the binary's
//! own commands and documented keys, processes are started, asked over HTTP and ended.
//!
//! One driver, two grounds: an agent stands either on loopback, on ports of its own, or in a network
//! namespace ([`Spot`](crate::spot::Spot)). The benchmark, the drill, scenarios and the soak differ in
//! who dials whom and where, which stands in their [`Plan`]s.
//!
//! | file | what lives there |
//! |---|---|
//! | [`Plan`] | what an agent shall be, and its configuration file |
//! | [`certificates`] | the CA and the agents' certificates |
//! | [`Agents`] | the processes |
//! | [`Whole`] | what a mesh lacks until it has formed; pure |

mod agents;
pub mod certificates;
mod config;
mod whole;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tokio::process::Command;

pub use agents::Agents;
pub use config::{AgentId, Peer, Plan, Settings, merge};
pub use whole::Whole;

use crate::process::output;

/// A command of the binary that does not run an agent takes milliseconds; a debug build on a busy
/// machine takes longer.
const COMMAND_LIMIT: Duration = Duration::from_secs(20);

/// The warren binary to drive: the one named, or the one beside this program.
pub fn binary(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()
            .context("cannot find this program's file")?
            .with_file_name("warren"),
    };
    path.canonicalize().with_context(|| {
        format!(
            "no warren binary at {}; build it with `cargo build --release` or name it with --warren",
            path.display()
        )
    })
}

/// What the binary says its version is; why not, if it does not.
pub async fn version(warren: &Path) -> String {
    let mut command = Command::new(warren);
    command.arg("--version");
    match output("warren --version", command, COMMAND_LIMIT).await {
        Ok(text) => text.trim().to_owned(),
        Err(error) => format!("{error:#}"),
    }
}
