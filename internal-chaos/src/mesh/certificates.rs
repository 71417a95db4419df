//! The mesh CA and the agents' certificates, made with the binary's own commands.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::process::Command;

use super::COMMAND_LIMIT;
use crate::fault::{Clock, Step};
use crate::process::output;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Makes a mesh CA and a certificate for every name, in `folder/certs`; returns the agents' ids in
/// order.
pub async fn make(warren: &Path, folder: &Path, names: &[&str]) -> anyhow::Result<Vec<String>> {
    let run = async |arguments: &[&str]| {
        let mut command = Command::new(warren);
        command.args(arguments).current_dir(folder);
        let name = format!("{} {}", warren.display(), arguments.join(" "));
        output(&name, command, COMMAND_LIMIT).await
    };
    fs::create_dir(folder.join("certs")).context("cannot make a folder")?;
    run(&["cert", "ca", "-n", "internal-chaos", "-o", "certs"]).await?;
    let mut ids = Vec::new();
    for name in names {
        let arguments = ["cert", "agent", "-n", name, "--ca", "certs", "-o", "certs"];
        let printed = match run(&[&arguments[..], &["--unrestricted"]].concat()).await {
            Ok(printed) => printed,
            // A binary from before the flag, to compare with, restricts nobody by itself.
            Err(_) => run(&arguments).await?,
        };
        let id = printed.trim().to_owned();
        ensure!(
            id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "`warren cert agent` should print an agent id, not `{id}`"
        );
        ids.push(id);
    }
    if ids.iter().collect::<BTreeSet<_>>().len() != names.len() {
        bail!("`warren cert agent` printed one id twice: {ids:?}");
    }
    Ok(ids)
}

/// Renews a certificate as if it were almost a day ago, for a day: it expires after so long.
pub(super) async fn expire(
    warren: &Path,
    folder: &Path,
    name: &str,
    after: Duration,
) -> anyhow::Result<()> {
    let clock = Clock::new(folder)?;
    clock.step(Step::Back(DAY.saturating_sub(after)))?;
    let mut command = Command::new(warren);
    command
        .args(["cert", "agent", "--renew", "--days", "1", "-n", name])
        .args(["--ca", "certs", "-o", "certs"])
        .current_dir(folder);
    command.envs(clock.environment());
    output("warren cert agent", command, COMMAND_LIMIT).await?;
    Ok(())
}
