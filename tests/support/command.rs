//! Commands that run to their end.

use std::fs;
use std::io::{Seek, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::WARREN;

/// A command that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    /// `None`: ended by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Finished {
    /// The output of a command that must have worked.
    pub(crate) fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }

    /// The last line on stderr, which is where an error is told.
    pub(crate) fn error_line(&self) -> &str {
        self.stderr.lines().last().unwrap_or_default()
    }
}

/// Runs `warren` with these arguments.
pub(crate) fn warren(arguments: &[&str]) -> Finished {
    run(Command::new(WARREN).args(arguments), "")
}

/// Runs a command with `input` on stdin; panics if it does not start or does not end.
pub(crate) fn run(command: &mut Command, input: &str) -> Finished {
    let start = Instant::now();
    // Files and not pipes: a child of the child may keep a pipe open for ever.
    let dir = tempfile::tempdir().expect("the system has a folder for temporary files");
    let (out, err) = (dir.path().join("out"), dir.path().join("err"));
    let create = |path| fs::File::create(path).expect("the test's folder is writable");
    let mut stdin = tempfile::tempfile().expect("the system has a folder for temporary files");
    stdin
        .write_all(input.as_bytes())
        .and_then(|()| stdin.rewind())
        .expect("the test's folder is writable");
    let mut child = command
        .stdin(Stdio::from(stdin))
        .stdout(create(&out))
        .stderr(create(&err))
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let mut status = None;
    while status.is_none() && start.elapsed() < LIMIT {
        status = child.try_wait().expect("a child can be waited for");
        std::thread::sleep(Duration::from_millis(5));
    }
    if status.is_none() {
        let _ = child.kill();
    }
    let _ = child.wait();
    let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let finished = Finished {
        code: status.and_then(|status| status.code()),
        stdout: read(&out),
        stderr: read(&err),
        took: start.elapsed(),
    };
    assert!(status.is_some(), "{command:?} hangs: {finished:#?}");
    finished
}
