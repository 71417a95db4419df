//! A wall clock of an agent's own, which a test can set: Debian's libfaketime under the agent. The
//! monotonic clock stays the host's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A clock that begins as the host's. One agent at a time runs on it.
pub(crate) struct WallClock {
    library: PathBuf,
    /// Seconds that it is ahead of the host's.
    offset: PathBuf,
}

impl WallClock {
    /// Keeps its file in `dir`. Panics with the package to install if libfaketime is missing.
    pub(crate) fn new(dir: &Path, agent: &str) -> Self {
        let clock = Self {
            library: library(),
            offset: dir.join(format!("{agent}.clock")),
        };
        clock.set(0);
        clock
    }

    /// Sets the clock to so many seconds ahead of the host's; a running agent sees it at once.
    pub(crate) fn set(&self, seconds: i64) {
        // Renamed into place: an agent may read at any moment.
        let new = self.offset.with_extension("new");
        fs::write(&new, format!("{seconds:+}\n"))
            .and_then(|()| fs::rename(&new, &self.offset))
            .expect("the test's folder is writable");
    }

    /// Puts it under a program that is about to start.
    pub(crate) fn wear(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.offset)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }

    /// What libfaketime leaves behind of a process that is killed.
    pub(crate) fn remains(pid: u32) -> [PathBuf; 2] {
        [
            format!("/dev/shm/faketime_shm_{pid}").into(),
            format!("/dev/shm/sem.faketime_sem_{pid}").into(),
        ]
    }
}

/// The variant for programs of several threads, below the folder of the host's architecture.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("every Debian has it");
    let libraries = folders.flatten().map(|folder| {
        let library = "faketime/libfaketimeMT.so.1";
        folder.path().join(library)
    });
    let found = libraries.into_iter().find(|library| library.exists());
    found.expect("libfaketime is not installed: apt-get install libfaketime")
}
