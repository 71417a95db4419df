//! One child process: its log, its signals, its end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::wait::within;

/// Lines of a log that a failed test prints.
const TAIL: usize = 60;

/// A running child. Killed by its id when dropped; its log is printed if the test failed.
pub(crate) struct Process {
    name: String,
    log: PathBuf,
    child: Child,
    /// Files to remove once it has ended.
    remains: Vec<PathBuf>,
}

impl Process {
    /// Starts `command` with its output appended to the file `log`.
    pub(crate) fn spawn(name: &str, command: &mut Command, log: &Path) -> Self {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("the test's folder is writable");
        let errors = file.try_clone().expect("a file handle can be cloned");
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self {
            name: name.to_owned(),
            log: log.to_owned(),
            child,
            remains: Vec::new(),
        }
    }

    /// Names files that it leaves behind when it is killed.
    pub(crate) fn leaves(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        self.remains.extend(files);
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        // The shell's own `kill` exists wherever a shell does.
        let status = Command::new("sh")
            .args(["-c", &format!("kill -s {name} {}", self.child.id())])
            .status()
            .expect("sh runs");
        assert!(status.success(), "cannot send {name} to {}", self.name);
    }

    /// Ends the process at once, as by SIGKILL, and waits for its end.
    pub(crate) fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for file in self.remains.drain(..) {
            // One that ended in order took them along.
            let _ = fs::remove_file(file);
        }
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        within(limit, &what, || {
            self.child.try_wait().expect("a child can be waited for")
        })
    }

    /// Whether the process has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        let ended = self.child.try_wait().expect("a child can be waited for");
        ended.is_none()
    }

    /// Everything it said so far, over all its starts.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(TAIL)..];
            eprintln!(
                "---- end of the log of {} ----\n{}",
                self.name,
                tail.join("\n")
            );
        }
    }
}
