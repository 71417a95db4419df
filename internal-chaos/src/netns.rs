//! Network namespaces that remove themselves, and only themselves.

use std::io;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Numbers the namespaces of this process, so that names never repeat.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Why a namespace could not be made or set up.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    #[error("cannot run `{command}`; install the Debian package `{package}`")]
    Missing {
        command: &'static str,
        package: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("`{command}` failed: {message}")]
    Failed { command: String, message: String },
    #[error("`{command}` is not permitted ({message}): network namespaces need root")]
    NotPermitted { command: String, message: String },
}

/// A network namespace made by this process. Dropping it kills what still runs inside and deletes
/// it, with its interfaces.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes a namespace. Its name holds the process id, a number and `label`; an existing one is
    /// never adopted.
    pub fn create(label: &str) -> Result<Self, NetnsError> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("chaos{}-{number}-{label}", std::process::id());
        ip(&["netns", "add", &name])?;
        Ok(Self { name })
    }

    /// The name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a shell script inside and returns what it printed; its first failing command ends it.
    pub fn script(&self, script: &str) -> Result<String, NetnsError> {
        ip(&["netns", "exec", &self.name, "sh", "-ec", script])
    }

    /// Joins two namespaces by a veth pair whose ends bear the given names.
    pub fn join(
        &self,
        interface: &str,
        peer: &Self,
        peer_interface: &str,
        mtu: u32,
    ) -> Result<(), NetnsError> {
        let mtu = mtu.to_string();
        let left = ["link", "add", "name", interface, "mtu", &mtu];
        let left_place = ["netns", &self.name, "type", "veth"];
        let right = ["peer", "name", peer_interface, "mtu", &mtu];
        let right_place = ["netns", &peer.name];
        let arguments = [&left[..], &left_place, &right, &right_place].concat();
        ip(&arguments).map(drop)
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // Whatever is left runs in a namespace that this process made, so it is ours to end.
        if let Ok(pids) = ip(&["netns", "pids", &self.name])
            && !pids.trim().is_empty()
        {
            let _ = Command::new("sh")
                .args(["-c", "kill -KILL $0 2>/dev/null"])
                .arg(pids.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
                .status();
        }
        let _ = ip(&["netns", "del", &self.name]);
    }
}

/// Runs `ip` and returns its standard output.
fn ip(arguments: &[&str]) -> Result<String, NetnsError> {
    let output = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| NetnsError::Missing {
            command: "ip",
            package: "iproute2",
            source,
        })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let command = format!("ip {}", arguments.join(" "));
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(
        if message.contains("not permitted") || message.contains("ermission denied") {
            NetnsError::NotPermitted { command, message }
        } else {
            NetnsError::Failed { command, message }
        },
    )
}
