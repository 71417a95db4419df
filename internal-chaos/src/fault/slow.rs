//! A process that gets too little CPU.

use std::io;
use std::time::Duration;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::hog::Hog;
use super::victim::{FaultError, Victim};

/// A process that shares one core with threads that never rest: of `n` rivals it gets about one
/// (`n` + 1)th. Dropping it ends the rivals and gives every thread of the process its cores back.
#[derive(Debug)]
#[must_use = "the process gets its cores back when the guard is dropped"]
pub struct Slowed {
    before: Vec<(Pid, CpuSet)>,
    _rivals: Hog,
}

impl Slowed {
    /// Pins the process, with all threads that it has now, to the first core that it may use, and
    /// so many rivals beside it, for at most `time`; the pinning lasts until the guard is dropped.
    pub fn strike(victim: &Victim, rivals: u32, time: Duration) -> Result<Self, FaultError> {
        let failed = |source: rustix::io::Errno| victim.failed("slow", source);
        let allowed = sched_getaffinity(Some(victim.raw())).map_err(failed)?;
        let mut core = CpuSet::new();
        let first = (0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu));
        core.set(first.expect("a process has at least one core"));
        let mut before = Vec::new();
        for thread in threads(victim)? {
            // A thread that ended meanwhile needs no pinning.
            if let Ok(cores) = sched_getaffinity(Some(thread)) {
                before.push((thread, cores));
            }
        }
        let hog = Hog::start_on(rivals, time, Some(core))
            .map_err(|source| victim.failed("burn beside", source))?;
        let slowed = Self {
            before,
            _rivals: hog,
        };
        for (thread, _) in &slowed.before {
            let _ = sched_setaffinity(Some(*thread), &core);
        }
        Ok(slowed)
    }
}

impl Drop for Slowed {
    fn drop(&mut self) {
        for (thread, cores) in &self.before {
            // Ended threads need nothing.
            let _ = sched_setaffinity(Some(*thread), cores);
        }
    }
}

fn threads(victim: &Victim) -> Result<Vec<Pid>, FaultError> {
    let tasks = victim.process().and_then(|process| process.tasks());
    let tasks = tasks.map_err(|source| victim.failed("look at", io::Error::other(source)))?;
    let threads = tasks.flatten().filter_map(|task| Pid::from_raw(task.tid));
    Ok(threads.collect())
}
