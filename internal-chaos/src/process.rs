//! Child processes in namespaces: they die with their guard, and with this process.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::process::{Child, Command};

use crate::netns::Netns;

/// Raises the limit on open files as far as allowed and ties the process to its parent's life.
/// `exec` all the way, so that the process id that we see is the program's own.
const WRAPPER: &str = "ulimit -n 65536 2>/dev/null || ulimit -n \"$(ulimit -Hn)\"; \
                       exec setpriv --pdeathsig KILL \"$0\" \"$@\"";

/// As much as [`WRAPPER`] gives.
const MOST_OPEN_FILES: u64 = 65_536;

/// How many lines of a log an error quotes.
const LOG_TAIL: usize = 8;

/// A command that runs `program` inside `namespace`, with no input and killed when dropped.
/// Arguments added to it go to the program.
pub fn command_in(namespace: &Netns, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", namespace.name(), "sh", "-c", WRAPPER])
        .arg(program);
    prepared(command)
}

/// As [`command_in`], where this process is.
pub fn command_here(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", WRAPPER]).arg(program);
    prepared(command)
}

/// A command with no input, killed when dropped.
pub fn prepared(mut command: Command) -> Command {
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Raises this process's own limit on open files as far as allowed: both ends of all loads are here.
pub fn raise_open_files() {
    let limit = |most| Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    let allowed = getrlimit(Resource::Nofile)
        .maximum
        .unwrap_or(MOST_OPEN_FILES);
    let most = [allowed.max(MOST_OPEN_FILES), allowed];
    // Only root may go beyond what is allowed.
    let _ = most
        .into_iter()
        .find(|most| setrlimit(Resource::Nofile, limit(*most)).is_ok());
}

/// Where a program that may be outside `PATH` is.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// A long-running process whose output goes to a file. Killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command`; its stdout and stderr go to `folder/name.log`.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file =
            File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let child = command
            .stdout(file.try_clone().context("cannot share the log")?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// The process id; 0 once it was seen dead.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Waits until it has ended by itself; after `limit` it is killed, and that is an error.
    pub async fn wait_end(&mut self, limit: Duration) -> anyhow::Result<()> {
        if let Ok(ended) = tokio::time::timeout(limit, self.child.wait()).await {
            ended.with_context(|| format!("cannot watch {}", self.name))?;
            return Ok(());
        }
        // Already dead is as good.
        let _ = self.child.kill().await;
        bail!("{} did not end within {limit:?}", self.name)
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// An error with the end of its log, if the process is gone.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => bail!("{} ended ({status}); {}", self.name, self.log_tail()),
            Err(error) => Err(error).with_context(|| format!("cannot watch {}", self.name)),
        }
    }

    /// Kills the process and waits for its end.
    pub async fn stop(mut self) {
        // Already dead is as good.
        let _ = self.child.kill().await;
    }

    /// The last lines of the log, on one line.
    pub fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL)..];
        format!("its log ends: {}", tail.join(" | "))
    }
}

/// Runs `command` to its end, at most `limit`, and returns its standard output.
pub async fn output(name: &str, mut command: Command, limit: Duration) -> anyhow::Result<String> {
    let running = command.kill_on_drop(true).stdin(Stdio::null()).output();
    let Ok(result) = tokio::time::timeout(limit, running).await else {
        bail!("{name} did not end within {limit:?}");
    };
    finished(name, result)
}

/// Judges how a process ended and returns its standard output.
pub fn finished(name: &str, result: io::Result<Output>) -> anyhow::Result<String> {
    let output = result.with_context(|| format!("cannot run {name}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    bail!("{name} failed ({}): {}", output.status, message.trim())
}
