//! OpenSSH as a system under test: `ssh -D` through a jump host. Keys, configuration and known
//! hosts live in one temporary folder; nobody's `~/.ssh` is read or written.
//!
//! ```text
//!  ssh -D ── TCP ──► sshd on the transit ── TCP ──► sshd on the exit ── TCP ──► target
//!     └─────────── the inner SSH connection, encrypted end to end ──────┘
//! ```

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::chain::{Chain, left_address};
use crate::process::{Daemon, find, output};
use crate::spot::INSIDE;

/// The cipher of every connection; the fastest that OpenSSH has where AES is in hardware.
pub const CIPHER: &str = "aes128-gcm@openssh.com";

const PORT: u16 = 2222;

/// Making a key takes milliseconds.
const KEYGEN_LIMIT: Duration = Duration::from_secs(10);

/// sshd listens within milliseconds.
const LISTEN_LIMIT: Duration = Duration::from_secs(15);

/// Rest between two looks whether it does.
const POLL: Duration = Duration::from_millis(20);

/// sshd wants an empty `/run/sshd`, which only its service makes. The namespace's own mounts give
/// it one that the host never sees.
const SSHD_WRAPPER: &str =
    "mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec \"$0\" \"$@\"";

/// A running chain of OpenSSH processes.
#[derive(Debug)]
pub struct OpenSsh {
    /// The client, then the servers along the path.
    daemons: Vec<Daemon>,
    _folder: TempDir,
}

/// What is missing to run OpenSSH, with the Debian package that has it.
pub fn missing() -> Option<String> {
    [
        ("ssh", "openssh-client"),
        ("ssh-keygen", "openssh-client"),
        ("sshd", "openssh-server"),
    ]
    .into_iter()
    .find(|(program, _)| find(program).is_none())
    .map(|(program, package)| {
        format!("`{program}` not found; install the Debian package `{package}`")
    })
}

/// What `ssh` says its version is.
pub async fn version() -> String {
    let output = Command::new("ssh").arg("-V").output().await;
    output.map_or_else(
        |error| error.to_string(),
        |output| String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    )
}

impl OpenSsh {
    /// Starts an sshd on every node but the first, and the client there, through all of them.
    /// Returns at once; the proxy answers when the client has logged in.
    pub async fn start(chain: &Chain) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("chaos-openssh-").context("cannot make a folder")?;
        let path = folder.path();
        let sshd = find("sshd").context("sshd is not installed")?;
        keygen(&path.join("user")).await?;
        fs::copy(path.join("user.pub"), path.join("authorized_keys"))?;
        let mut known_hosts = String::new();
        let mut daemons = Vec::new();
        for (index, node) in chain.nodes().iter().enumerate().skip(1) {
            let key = path.join(format!("host{index}"));
            keygen(&key).await?;
            let public = fs::read_to_string(key.with_extension("pub"))?;
            write!(known_hosts, "node{index} {public}")?;
            let config = path.join(format!("sshd{index}.conf"));
            fs::write(&config, server_config(path, index))?;
            let mut command = node.command("sh");
            command.args(["-c", SSHD_WRAPPER]);
            command.arg(&sshd).args(["-D", "-e", "-f"]).arg(&config);
            daemons.push(Daemon::start(&format!("sshd{index}"), command, path)?);
        }
        for (index, node) in chain.nodes().iter().enumerate().skip(1) {
            let address = SocketAddr::from((left_address(index), PORT));
            let listening = node.beside().spawn(listening(address)).await?;
            let server = &daemons[index - 1];
            listening.with_context(|| format!("sshd{index}: {}", server.log_tail()))?;
        }
        fs::write(path.join("known_hosts"), known_hosts)?;
        let config = path.join("ssh.conf");
        let last = chain.nodes().len() - 1;
        fs::write(&config, client_config(path, last))?;
        let mut command = chain.first().command("ssh");
        command.arg("-F").arg(&config);
        let socks = INSIDE.socks.to_string();
        command.args(["-N", "-D", &socks, &format!("node{last}")]);
        daemons.insert(0, Daemon::start("ssh", command, path)?);
        Ok(Self {
            daemons,
            _folder: folder,
        })
    }

    /// Process ids: the client's, then each server's.
    pub fn pids(&self) -> Vec<u32> {
        self.daemons.iter().map(Daemon::pid).collect()
    }

    /// An error if a process is gone.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.daemons.iter_mut().try_for_each(Daemon::check)
    }

    /// Ends all processes.
    pub async fn stop(self) {
        for daemon in self.daemons {
            daemon.stop().await;
        }
    }
}

/// Waits until something accepts connections.
async fn listening(address: SocketAddr) -> anyhow::Result<()> {
    let started = Instant::now();
    while let Err(error) = TcpStream::connect(address).await {
        ensure!(
            started.elapsed() < LISTEN_LIMIT,
            "nothing listens on {address} after {LISTEN_LIMIT:?}: {error}"
        );
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

async fn keygen(file: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f"]);
    command.arg(file).stderr(Stdio::piped());
    let printed = output("ssh-keygen", command, KEYGEN_LIMIT).await?;
    ensure!(file.is_file(), "ssh-keygen made no key: {printed}");
    Ok(())
}

fn server_config(folder: &Path, index: usize) -> String {
    let folder = folder.display();
    format!(
        "ListenAddress {address}:{PORT}\n\
         HostKey {folder}/host{index}\n\
         AuthorizedKeysFile {folder}/authorized_keys\n\
         PidFile none\n\
         StrictModes no\n\
         UsePAM no\n\
         PermitRootLogin prohibit-password\n\
         PasswordAuthentication no\n\
         KbdInteractiveAuthentication no\n\
         AllowTcpForwarding local\n\
         UseDNS no\n\
         Ciphers {CIPHER}\n\
         LogLevel ERROR\n",
        address = left_address(index),
    )
}

/// Options before the first `Host` hold for all of them, the jump hosts' own logins included.
fn client_config(folder: &Path, last: usize) -> String {
    let folder = folder.display();
    let mut config = format!(
        "User root\n\
         Port {PORT}\n\
         IdentityFile {folder}/user\n\
         IdentitiesOnly yes\n\
         IdentityAgent none\n\
         UserKnownHostsFile {folder}/known_hosts\n\
         GlobalKnownHostsFile /dev/null\n\
         StrictHostKeyChecking yes\n\
         UpdateHostKeys no\n\
         BatchMode yes\n\
         Ciphers {CIPHER}\n\
         Compression no\n\
         ControlMaster no\n\
         ControlPath none\n\
         ExitOnForwardFailure yes\n\
         LogLevel ERROR\n"
    );
    for index in 1..=last {
        let address = left_address(index);
        let _ = write!(
            config,
            "Host node{index}\n HostName {address}\n HostKeyAlias node{index}\n"
        );
        if index > 1 {
            let _ = writeln!(config, " ProxyJump node{}", index - 1);
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_jumps_over_every_node_before_the_last() {
        let config = client_config(Path::new("/x"), 2);
        assert!(config.contains("Host node1\n HostName 10.77.0.2\n HostKeyAlias node1\nHost"));
        assert!(
            config.ends_with(
                "Host node2\n HostName 10.77.1.2\n HostKeyAlias node2\n ProxyJump node1\n"
            )
        );
        assert!(!config.contains("~"));
    }
}
