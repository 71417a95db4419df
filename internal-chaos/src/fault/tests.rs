//! Faults of real child processes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime};

use rustix::thread::sched_getaffinity;

use super::*;
use crate::procstat::state;

/// Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A shell that does what it is told, line by line. It ends with its input.
struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Shell {
    fn start() -> Self {
        Self::spawn(&mut Command::new("sh"))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn victim(&self) -> Victim {
        Victim::open(self.child.id()).unwrap()
    }

    /// One command, one line of output.
    fn ask(&mut self, command: &str) -> String {
        writeln!(self.input, "{command}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Whether the command succeeds.
    fn can(&mut self, command: &str) -> bool {
        self.ask(&format!("if {command}; then echo yes; else echo no; fi")) == "yes"
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn await_state(pid: u32, stopped: bool) {
    let begun = std::time::Instant::now();
    while (state(pid) == Some('T')) != stopped {
        let state = state(pid);
        assert!(begun.elapsed() < PATIENCE, "process {pid} is {state:?}");
        std::thread::yield_now();
    }
}

#[test]
fn some_processes_are_never_touched() {
    for pid in [0, 1, std::process::id()] {
        let refused = Victim::open(pid).unwrap_err();
        assert!(matches!(refused, FaultError::Forbidden { .. }), "{pid}");
    }
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let refused = Victim::open(gone.id()).unwrap_err();
    assert!(matches!(refused, FaultError::Process { .. }));
}

#[test]
fn a_stopped_process_goes_on_when_the_guard_is_dropped() {
    let mut shell = Shell::start();
    let stopped = shell.victim().stop().unwrap();
    await_state(shell.child.id(), true);
    drop(stopped);
    await_state(shell.child.id(), false);
    assert_eq!(shell.ask("echo alive"), "alive");
}

#[test]
fn a_killed_process_is_dead_and_its_number_is_not_reused_by_the_guard() {
    let mut shell = Shell::start();
    let victim = shell.victim();
    let stopped = victim.stop().unwrap();
    victim.kill().unwrap();
    let status = shell.child.wait().unwrap();
    assert_eq!(status.signal(), Some(9));
    drop(stopped);
    assert!(victim.kill().is_err());
}

#[test]
fn a_slowed_process_is_pinned_to_one_core_and_freed_again() {
    let mut shell = Shell::start();
    let victim = shell.victim();
    let cores = || sched_getaffinity(Some(victim.raw())).unwrap();
    let before = cores();
    let slowed = Slowed::strike(&victim, 1, PATIENCE).unwrap();
    assert_eq!(cores().count(), 1);
    assert_eq!(shell.ask("echo slow"), "slow");
    drop(slowed);
    assert_eq!(cores(), before);
}

#[test]
fn hogs_end_with_their_time() {
    let mut hog = Hog::start(2, Duration::from_millis(1)).unwrap();
    // Would hang if they did not.
    hog.join();
}

#[test]
fn a_starved_process_cannot_open_files_until_the_guard_is_dropped() {
    const OPEN: &str = "true </dev/null";
    let mut shell = Shell::start();
    assert!(shell.can(OPEN));
    let starved = Starved::strike(&shell.victim(), 0).unwrap();
    assert!(!shell.can(OPEN));
    drop(starved);
    assert!(shell.can(OPEN));
}

#[test]
fn a_full_disk_is_the_childs_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kept"), "old").unwrap();
    let disk = SmallDisk::new(folder.path(), 64 * 1024);
    let mut shell = Command::new("sh");
    shell.current_dir("/");
    let mut shell = Shell::spawn(&mut disk.wrap(&shell));
    let at = |name: &str| folder.path().join(name).display().to_string();
    // The shell runs: its disk is mounted.
    assert_eq!(shell.ask(&format!("cat {}; echo", at("kept"))), "old");
    // Fresh files: one that is written anew has its own room.
    let write = |name: &str| format!("(echo data >{}) 2>/dev/null", at(name));
    assert!(shell.can(&write("before")));
    let filled = Filled::strike(&shell.victim(), folder.path()).unwrap();
    assert!(!shell.can(&write("meanwhile")));
    drop(filled);
    assert!(shell.can(&write("after")));
    let outside: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert_eq!(outside.len(), 1, "{outside:?}");
}

#[test]
fn a_real_disk_is_never_filled() {
    let folder = tempfile::tempdir().unwrap();
    let shell = Shell::start();
    let refused = Filled::strike(&shell.victim(), folder.path()).unwrap_err();
    assert!(matches!(refused, FaultError::NotSmall { .. }), "{refused}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn clocks_jump_both_ways_and_come_back() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::new(folder.path()).unwrap();
    // Seconds that a child's clock is ahead, within a minute.
    let ahead = || {
        let mut date = Command::new("date");
        date.arg("+%s").envs(clock.environment());
        let shown = String::from_utf8(date.output().unwrap().stdout).unwrap();
        let right = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let right = i64::try_from(right.unwrap().as_secs()).unwrap();
        let ahead = shown.trim().parse::<i64>().unwrap() - right;
        (ahead + 30).div_euclid(60) * 60
    };
    assert_eq!(ahead(), 0);
    clock.step(Step::Forward(HOUR)).unwrap();
    assert_eq!(ahead(), 3_600);
    clock.step(Step::Back(2 * HOUR)).unwrap();
    assert_eq!(ahead(), -3_600);
    clock.heal().unwrap();
    assert_eq!(ahead(), 0);
}
