//! What process trees and the machine cost, read from `/proc`.
//!
//! Trees, because a system may split its work over children (OpenSSH does): CPU time and resident
//! memory are sums over a process and all its descendants. CPU time includes reaped children, so
//! that a child that ends between two samples is not lost.

use std::collections::BTreeMap;
use std::time::Duration;

use procfs::process::{Process, Stat, all_processes};
use procfs::{CurrentSI, KernelStats, ticks_per_second};

/// What one process tree has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// User and system time.
    pub cpu_seconds: f64,
    /// Resident set; pages shared inside the tree count once per process.
    pub rss_bytes: u64,
}

/// Samples the trees under `roots`, in their order. A process that is gone counts nothing.
pub fn usage(roots: &[u32]) -> Vec<Usage> {
    let processes = all_processes().into_iter().flatten().flatten();
    let stats: BTreeMap<i32, Stat> = processes
        .filter_map(|process| Some((process.pid, process.stat().ok()?)))
        .collect();
    let parents: Vec<(i32, i32)> = stats.iter().map(|(pid, stat)| (*pid, stat.ppid)).collect();
    let cost = |pid: i32| Usage {
        cpu_seconds: stats.get(&pid).map_or(0.0, cpu_seconds),
        rss_bytes: resident(pid).unwrap_or(0),
    };
    let of_tree = |root: &u32| {
        let tree = tree(&parents, root.cast_signed()).into_iter().map(cost);
        tree.fold(Usage::default(), |sum, one| Usage {
            cpu_seconds: sum.cpu_seconds + one.cpu_seconds,
            rss_bytes: sum.rss_bytes + one.rss_bytes,
        })
    };
    roots.iter().map(of_tree).collect()
}

fn cpu_seconds(stat: &Stat) -> f64 {
    let reaped = (stat.cutime + stat.cstime).max(0).unsigned_abs();
    (stat.utime + stat.stime + reaped) as f64 / ticks_per_second() as f64
}

fn process(pid: u32) -> Option<Process> {
    Process::new(pid.cast_signed()).ok()
}

fn resident(pid: i32) -> Option<u64> {
    let status = Process::new(pid).ok()?.status().ok()?;
    Some(status.vmrss? * 1_024)
}

/// Resident memory in bytes and open descriptors of one process; `None` if it is gone.
pub fn size(pid: u32) -> Option<(u64, u64)> {
    let descriptors = process(pid)?.fd_count().ok()?;
    Some((resident(pid.cast_signed())?, descriptors as u64))
}

/// CPU seconds that the whole machine was busy since boot: user, nice, system, irq and softirq of
/// all cores. Covers kernel work that no process is charged for.
pub fn machine_cpu_seconds() -> f64 {
    let busy = KernelStats::current().map(|stats| {
        let cpu = stats.total;
        let interrupts = cpu.irq.unwrap_or(0) + cpu.softirq.unwrap_or(0);
        cpu.user + cpu.nice + cpu.system + interrupts
    });
    busy.unwrap_or(0) as f64 / ticks_per_second() as f64
}

/// How long a process's main thread was ready to run and had no core, since its start. `None` if
/// the process is gone or the kernel does not count it.
pub fn waited(pid: u32) -> Option<Duration> {
    let schedule = process(pid)?.schedstat().ok()?;
    Some(Duration::from_nanos(schedule.run_delay))
}

/// The state of a process as proc(5) names it: `R`, `S`, `T` while it is stopped. `None` if it is
/// gone.
pub fn state(pid: u32) -> Option<char> {
    Some(process(pid)?.stat().ok()?.state)
}

/// The process itself and all its descendants, by pairs of process and parent.
fn tree(parents: &[(i32, i32)], root: i32) -> Vec<i32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        let children = parents.iter().filter(|(_, other)| *other == parent);
        found.extend(children.map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_include_grandchildren_only_of_the_root() {
        let parents = [(1, 0), (10, 1), (11, 10), (12, 11), (20, 1)];
        assert_eq!(tree(&parents, 10), [10, 11, 12]);
    }

    #[test]
    fn own_process_is_visible() {
        let own = std::process::id();
        let usage = usage(&[own])[0];
        assert!(usage.rss_bytes > 100 * 1024);
        assert!(size(own).is_some_and(|(memory, open)| memory > 100 * 1024 && open > 2));
        assert!(state(own).is_some() && waited(own).is_some());
        assert!(machine_cpu_seconds() > 0.0);
    }
}
