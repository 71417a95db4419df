//! A wall clock that jumps: libfaketime before the program's own clock.
//!
//! Only the wall clock is faked (`CLOCK_REALTIME`); the monotonic clock, and with it every timer,
//! goes on. The offset is read from a file each time the program asks for the time, so a step
//! takes effect at once.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// Where Debian's package puts its libraries: below the folder of an architecture.
const LIBRARIES: &str = "/usr/lib";

/// The one for programs with threads.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// The wall clock of the programs that are started with its [environment](Self::environment). It
/// is right again when dropped; the programs must not outlive its folder.
#[derive(Debug)]
pub struct Clock {
    library: PathBuf,
    file: PathBuf,
    /// Milliseconds ahead of the right time.
    ahead: Mutex<i64>,
}

/// A jump of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Forward(Duration),
    Back(Duration),
}

/// Why a clock cannot be faked.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    #[error("{LIBRARY} is not below {LIBRARIES}; install the Debian package `libfaketime`")]
    Missing,
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Clock {
    /// A right clock whose offset is kept in `folder`, which must exist.
    pub fn new(folder: &Path) -> Result<Self, ClockError> {
        let clock = Self {
            library: library().ok_or(ClockError::Missing)?,
            file: folder.join("clock-offset"),
            ahead: Mutex::new(0),
        };
        clock.write(0)?;
        Ok(clock)
    }

    /// What a child process needs in its environment.
    pub fn environment(&self) -> [(&'static str, OsString); 5] {
        let yes = || OsString::from("1");
        [
            ("LD_PRELOAD", self.library.clone().into()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.clone().into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", yes()),
            // The same, as older versions call it.
            ("DONT_FAKE_MONOTONIC", yes()),
            ("FAKETIME_NO_CACHE", yes()),
        ]
    }

    /// Moves the clock from where it is now.
    pub fn step(&self, step: Step) -> Result<(), ClockError> {
        let millis = |by: Duration| i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let mut ahead = self.ahead.lock().expect("no holder panics");
        let moved = match step {
            Step::Forward(by) => ahead.saturating_add(millis(by)),
            Step::Back(by) => ahead.saturating_sub(millis(by)),
        };
        self.write(moved)?;
        *ahead = moved;
        Ok(())
    }

    /// Makes the clock right again.
    pub fn heal(&self) -> Result<(), ClockError> {
        let mut ahead = self.ahead.lock().expect("no holder panics");
        self.write(0)?;
        *ahead = 0;
        Ok(())
    }

    /// Atomically: a program may be reading it.
    fn write(&self, ahead: i64) -> Result<(), ClockError> {
        let sign = if ahead < 0 { '-' } else { '+' };
        let millis = ahead.unsigned_abs();
        let text = format!("{sign}{}.{:03}\n", millis / 1_000, millis % 1_000);
        let fresh = self.file.with_extension("new");
        let written = fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &self.file));
        written.map_err(|source| ClockError::Write {
            path: self.file.clone(),
            source,
        })
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        // The folder may be gone, and the programs with it.
        let _ = self.heal();
    }
}

fn library() -> Option<PathBuf> {
    let folders = fs::read_dir(LIBRARIES).ok()?.flatten();
    folders
        .map(|folder| folder.path().join(LIBRARY))
        .find(|file| file.is_file())
}
