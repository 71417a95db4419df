//! A process that something is done to, and signals.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use procfs::ProcResult;
use procfs::process::Process;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process by its descriptor: it stays this process, even when its number is used again.
#[derive(Clone, Debug)]
pub struct Victim {
    pid: Pid,
    fd: Arc<OwnedFd>,
}

/// Why a fault did not strike or was not healed.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    #[error("process {pid} is not one to break: it is the system's first, or this one")]
    Forbidden { pid: u32 },
    #[error("cannot {action} process {pid}")]
    Process {
        action: &'static str,
        pid: u32,
        #[source]
        source: io::Error,
    },
    #[error("cannot {action} {}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is {what}; only a small tmpfs is ever filled", path.display())]
    NotSmall { path: PathBuf, what: String },
}

/// A process that stands still until the guard is dropped.
#[derive(Debug)]
#[must_use = "the process goes on when the guard is dropped"]
pub struct Stopped {
    victim: Victim,
}

impl Victim {
    /// The running process with this number. Never the first one of the system, nor this one.
    pub fn open(pid: u32) -> Result<Self, FaultError> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let number = number.filter(|_| pid > 1 && pid != std::process::id());
        let number = number.ok_or(FaultError::Forbidden { pid })?;
        let fd = pidfd_open(number, PidfdFlags::empty()).map_err(|source| FaultError::Process {
            action: "find",
            pid,
            source: source.into(),
        })?;
        Ok(Self {
            pid: number,
            fd: Arc::new(fd),
        })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub(super) fn raw(&self) -> Pid {
        self.pid
    }

    /// What `/proc` tells of it.
    pub(super) fn process(&self) -> ProcResult<Process> {
        Process::new(self.pid.as_raw_nonzero().get())
    }

    /// Its folder in `/proc`. Meaningful while the process lives.
    pub(super) fn proc(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.pid()))
    }

    /// SIGKILL. It cannot be healed: whoever owns the process starts another.
    pub fn kill(&self) -> Result<(), FaultError> {
        self.signal("kill", Signal::KILL)
    }

    /// SIGTERM; it ends by itself.
    pub fn terminate(&self) -> Result<(), FaultError> {
        self.signal("terminate", Signal::TERM)
    }

    /// SIGSTOP until the guard is dropped.
    pub fn stop(&self) -> Result<Stopped, FaultError> {
        self.signal("stop", Signal::STOP)?;
        Ok(Stopped {
            victim: self.clone(),
        })
    }

    /// SIGCONT, for one that something else has stopped.
    pub fn resume(&self) -> Result<(), FaultError> {
        self.signal("resume", Signal::CONT)
    }

    pub(super) fn failed(&self, action: &'static str, source: impl Into<io::Error>) -> FaultError {
        FaultError::Process {
            action,
            pid: self.pid(),
            source: source.into(),
        }
    }

    fn signal(&self, action: &'static str, signal: Signal) -> Result<(), FaultError> {
        pidfd_send_signal(&*self.fd, signal).map_err(|source| self.failed(action, source))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have been killed meanwhile.
        let _ = self.victim.resume();
    }
}
