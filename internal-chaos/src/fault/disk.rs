//! A data folder that is full: on a small file system of its own, never on the real disk.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{AtFlags, Mode, OFlags, fstatfs, openat, unlinkat};

use super::victim::{FaultError, Victim};

/// Mounts a tmpfs over the folder, in a mount namespace that nobody else sees, copies what was in
/// the folder into it, and becomes the program. `unshare` makes the new mounts private.
const SCRIPT: &str = "set -e; exec 3<\"$0\"; \
                      mount -t tmpfs -o \"size=$1,mode=0700\" chaos \"$0\"; \
                      cp -a /proc/self/fd/3/. \"$0\"; exec 3<&-; shift; exec \"$@\"";

/// Nothing larger is ever filled.
const LARGEST: u64 = 64 * 1024 * 1024;

/// `TMPFS_MAGIC` of statfs(2).
const TMPFS: i64 = 0x0102_1994;

/// The file that takes the room.
const FILLER: &str = ".chaos-filler";

/// Written at once.
const BLOCK: [u8; 4_096] = [0x5a; 4_096];

/// A small file system for a folder of a program that is about to start.
#[derive(Clone, Debug)]
pub struct SmallDisk {
    folder: PathBuf,
    bytes: u64,
}

/// A full file system; dropping it makes room again.
#[derive(Debug)]
#[must_use = "there is room again when the guard is dropped"]
pub struct Filled {
    folder: OwnedFd,
}

impl SmallDisk {
    /// A tmpfs of `bytes` (at most 64 MiB) over `folder`, which must exist. It begins with a copy
    /// of what is in the folder and ends with the program: nothing is written back.
    pub fn new(folder: impl Into<PathBuf>, bytes: u64) -> Self {
        Self {
            folder: folder.into(),
            bytes: bytes.min(LARGEST),
        }
    }

    /// The same command, on its own disk. Needs root; the process keeps the id that it is started
    /// with. Program, arguments, environment and working folder are taken over, redirections are
    /// not.
    pub fn wrap(&self, command: &Command) -> Command {
        let mut wrapped = Command::new("unshare");
        wrapped
            .args(["--mount", "sh", "-c", SCRIPT])
            .arg(&self.folder)
            .arg(self.bytes.to_string())
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            wrapped.current_dir(folder);
        }
        wrapped
    }
}

impl Filled {
    /// Fills the file system of `folder` (absolute) as the process sees it. Anything but a tmpfs
    /// of at most 64 MiB is refused.
    pub fn strike(victim: &Victim, folder: &Path) -> Result<Self, FaultError> {
        let inside = folder.strip_prefix("/").unwrap_or(folder);
        let path = victim.proc().join("root").join(inside);
        let failed = |action, source: rustix::io::Errno| FaultError::File {
            action,
            path: path.clone(),
            source: source.into(),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(&path, flags, Mode::empty());
        let folder = folder.map_err(|source| failed("open", source))?;
        let system = fstatfs(&folder).map_err(|source| failed("look at", source))?;
        let bytes = system
            .f_blocks
            .saturating_mul(system.f_bsize.unsigned_abs());
        if system.f_type != TMPFS || bytes > LARGEST {
            return Err(FaultError::NotSmall {
                path,
                what: format!("{bytes} bytes of type {:#x}", system.f_type),
            });
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
        let filler = openat(&folder, FILLER, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|source| failed("create a file in", source))?;
        let filled = Self { folder };
        loop {
            match rustix::io::write(&filler, &BLOCK) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(filled),
                Err(error) => return Err(failed("fill", error)),
            }
        }
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        // Gone already if the process and its file system are.
        let _ = unlinkat(&self.folder, FILLER, AtFlags::empty());
    }
}
