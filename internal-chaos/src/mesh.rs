//! A chain of warren agents, driven from outside: certificates and configurations are written
//! with the binary's own commands, one agent runs in every namespace of a chain.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use tokio::process::Command;

use crate::chain::{Chain, TARGET_PREFIX, left_address};
use crate::process::{Daemon, command_in, output};

/// Where the ingress's SOCKS5 proxy listens, inside the first namespace.
pub const SOCKS: &str = "127.0.0.1:1080";

/// Where every agent's HTTP listens, inside its own namespace.
pub(crate) const HTTP: &str = "127.0.0.1:8080";

const LINK_PORT: u16 = 4433;

/// A certificate takes milliseconds; a debug build on a busy machine takes longer.
const CERT_LIMIT: Duration = Duration::from_secs(20);

/// Links, a flood and a tunnel take about a second in all.
const READY_SECONDS: u64 = 15;

/// Running agents, ingress first.
#[derive(Debug)]
pub struct Mesh {
    agents: Vec<Daemon>,
    _folder: TempDir,
}

/// What an agent of a chain is called.
pub fn name(index: usize, count: usize) -> String {
    match index {
        0 => "ingress".to_owned(),
        _ if index + 1 == count => "exit".to_owned(),
        _ => format!("transit{index}"),
    }
}

/// What the binary says its version is; why not, if it does not.
pub async fn version(warren: &Path) -> String {
    let mut command = Command::new(warren);
    command.arg("--version");
    match output("warren --version", command, CERT_LIMIT).await {
        Ok(text) => text.trim().to_owned(),
        Err(error) => format!("{error:#}"),
    }
}

impl Mesh {
    /// Starts an agent in every namespace of `chain`, each linked to its neighbours, and waits
    /// until all of them are ready.
    pub async fn start(chain: &Chain, warren: &Path) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("chaos-mesh-").context("cannot make a folder")?;
        let count = chain.nodes().len();
        let names: Vec<String> = (0..count).map(|index| name(index, count)).collect();
        let ids = certificates(warren, folder.path(), &names).await?;
        let mut agents = Vec::new();
        for (index, node) in chain.nodes().iter().enumerate() {
            let name = name(index, count);
            let file = folder.path().join(format!("{name}.yaml"));
            fs::write(&file, config(index, count, ids.get(index + 1)))
                .with_context(|| format!("cannot write {}", file.display()))?;
            let mut command = command_in(node, warren);
            command.args(["run", "-c"]).arg(&file);
            agents.push(Daemon::start(&name, command, folder.path())?);
        }
        let mut mesh = Self {
            agents,
            _folder: folder,
        };
        mesh.wait_ready(chain).await?;
        Ok(mesh)
    }

    async fn wait_ready(&mut self, chain: &Chain) -> anyhow::Result<()> {
        let this = std::env::current_exe().context("cannot find this program's file")?;
        for (index, node) in chain.nodes().iter().enumerate() {
            let mut command = command_in(node, &this);
            command.args(["workload", "ready", HTTP, "--seconds"]);
            command.arg(READY_SECONDS.to_string());
            let limit = Duration::from_secs(READY_SECONDS + 5);
            let ready = output("the wait for /ready", command, limit).await;
            self.check()?;
            let agent = &self.agents[index];
            ready.with_context(|| {
                let name = name(index, self.agents.len());
                format!("{name} is not ready; {}", agent.log_tail())
            })?;
        }
        Ok(())
    }

    /// Process ids, ingress first.
    pub fn pids(&self) -> Vec<u32> {
        self.agents.iter().map(Daemon::pid).collect()
    }

    /// An error if an agent is gone.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.agents.iter_mut().try_for_each(Daemon::check)
    }

    /// Kills all agents.
    pub async fn stop(self) {
        for agent in self.agents {
            agent.stop().await;
        }
    }
}

/// Makes a mesh CA and a certificate for every name, in `folder/certs`; returns the agents' ids in
/// order.
pub(crate) async fn certificates(
    warren: &Path,
    folder: &Path,
    names: &[String],
) -> anyhow::Result<Vec<String>> {
    let run = async |arguments: &[&str]| {
        let mut command = Command::new(warren);
        command.args(arguments).current_dir(folder);
        let name = format!("{} {}", warren.display(), arguments.join(" "));
        output(&name, command, CERT_LIMIT).await
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

/// What every agent's configuration begins with; its files are relative to the folder of
/// [`certificates`]. `log` holds keys of the section `agent`, in flow style.
pub(crate) fn base(name: &str, log: &str) -> String {
    format!(
        "agent: {{ display_name: {name}, data_dir: ./data-{name}, {log} }}\n\
         tls: {{ ca: ./certs/ca.crt, cert: ./certs/{name}.crt, key: ./certs/{name}.key }}\n\
         listeners:\n  - transport: quic\n    address: \"0.0.0.0:{LINK_PORT}\"\n\
         http:\n  enabled: true\n  address: \"{HTTP}\"\n"
    )
}

/// An entry of `peers`.
pub(crate) fn peer(id: &str, address: Ipv4Addr) -> String {
    format!("  - id: \"{id}\"\n    transport: quic\n    address: \"{address}:{LINK_PORT}\"\n")
}

/// The configuration of agent `index`, which dials its right neighbour, `next`.
fn config(index: usize, count: usize, next: Option<&String>) -> String {
    let mut yaml = base(&name(index, count), "log_level: warn");
    if let Some(id) = next {
        yaml.push_str("peers:\n");
        yaml.push_str(&peer(id, left_address(index + 1)));
    }
    if index == 0 {
        yaml.push_str(&format!(
            "socks5:\n  enabled: true\n  address: \"{SOCKS}\"\n"
        ));
    }
    if index + 1 == count {
        yaml.push_str(&format!(
            "exit:\n  enabled: true\n  routes: [\"{TARGET_PREFIX}\"]\n"
        ));
    }
    yaml
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_follow_from_the_place_in_the_chain() {
        let id = "0123456789abcdef0123456789abcdef".to_owned();
        let ingress = config(0, 3, Some(&id));
        assert!(ingress.contains("socks5:") && ingress.contains(&id));
        assert!(ingress.contains("address: \"10.77.0.2:4433\""));
        assert!(!ingress.contains("exit:"));
        let transit = config(1, 3, Some(&id));
        assert!(!transit.contains("socks5:") && !transit.contains("exit:"));
        assert!(transit.contains("display_name: transit1, "));
        let exit = config(2, 3, None);
        assert!(exit.contains("exit:\n  enabled: true") && !exit.contains("peers:"));
    }
}
