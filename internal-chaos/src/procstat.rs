//! What process trees and the machine cost, read from `/proc`.
//!
//! Trees, because a system may split its work over children (OpenSSH does): CPU time and resident
//! memory are sums over a process and all its descendants. CPU time includes reaped children, so
//! that a child that ends between two samples is not lost.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// Ticks per second of the CPU times in `/proc`: `USER_HZ`, 100 on every architecture that warren
/// is built for.
const TICKS_PER_SECOND: f64 = 100.0;

/// One process's line of `/proc/PID/stat`, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// User and system time of the process and its reaped children.
    ticks: u64,
}

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
    let stats = all_stats();
    roots
        .iter()
        .map(|&root| {
            let mut sum = Usage::default();
            for pid in tree(&stats, root) {
                sum.cpu_seconds += stats.get(&pid).map_or(0, |stat| stat.ticks) as f64;
                sum.rss_bytes += resident(pid);
            }
            sum.cpu_seconds /= TICKS_PER_SECOND;
            sum
        })
        .collect()
}

/// CPU seconds that the whole machine was busy since boot: user, nice, system, irq and softirq of
/// all cores. Covers kernel work that no process is charged for.
pub fn machine_cpu_seconds() -> f64 {
    fs::read_to_string("/proc/stat")
        .ok()
        .and_then(|text| busy_ticks(&text))
        .unwrap_or(0) as f64
        / TICKS_PER_SECOND
}

/// How long a process's main thread was ready to run and had no core, since its start. `None` if
/// the process is gone or the kernel does not count it.
pub fn waited(pid: u32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    run_delay(&text)
}

/// The state of a process as proc(5) names it: `R`, `S`, `T` while it is stopped. `None` if it is
/// gone.
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.trim().chars().next()
}

/// The process itself and all its descendants.
fn tree(stats: &BTreeMap<u32, Stat>, root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(
            stats
                .iter()
                .filter(|(_, stat)| stat.parent == parent)
                .map(|(&pid, _)| pid),
        );
        next += 1;
    }
    found
}

fn all_stats() -> BTreeMap<u32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return BTreeMap::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| {
            let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, parse_stat(&text)?))
        })
        .collect()
}

fn resident(pid: u32) -> u64 {
    fs::read_to_string(format!("/proc/{pid}/status"))
        .ok()
        .and_then(|text| resident_bytes(&text))
        .unwrap_or(0)
}

/// proc(5): the command is in parentheses and may hold any byte, so fields count from the last
/// one: state, ppid (fields 3 and 4), …, utime, stime, cutime, cstime (fields 14 to 17).
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let ticks = fields
        .get(11..15)?
        .iter()
        .map(|field| field.parse::<u64>().ok())
        .sum::<Option<u64>>()?;
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        ticks,
    })
}

/// Time on a core, time waiting for one (both ns), and time slices.
fn run_delay(schedstat: &str) -> Option<Duration> {
    let mut fields = schedstat.split_ascii_whitespace();
    fields.nth(1)?.parse().ok().map(Duration::from_nanos)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// proc(5) `/proc/stat`: user nice system idle iowait irq softirq steal guest guest_nice.
fn busy_ticks(text: &str) -> Option<u64> {
    let fields: Vec<u64> = text
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_ascii_whitespace()
        .map(|field| field.parse().ok())
        .collect::<Option<_>>()?;
    [0, 1, 2, 5, 6].iter().map(|&at| fields.get(at)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_with_hostile_names() {
        let line = "42 (a) b (c d) S 7 42 42 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 1 0 5 6 7";
        assert_eq!(
            parse_stat(line),
            Some(Stat {
                parent: 7,
                ticks: 11 + 22 + 33 + 44
            })
        );
        assert_eq!(parse_stat("42 (cut) S 7"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn resident_set_is_in_kib() {
        let status = "Name:\tx\nVmHWM:\t    9999 kB\nVmRSS:\t    1234 kB\nThreads:\t1\n";
        assert_eq!(resident_bytes(status), Some(1234 * 1024));
        assert_eq!(resident_bytes("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn machine_time_leaves_out_idle_wait_and_steal() {
        let text = "cpu  1 2 4 1000 1000 8 16 1000 1000 1000\ncpu0 0 0\n";
        assert_eq!(busy_ticks(text), Some(31));
    }

    #[test]
    fn trees_include_grandchildren_only_of_the_root() {
        let stat = |parent| Stat { parent, ticks: 0 };
        let stats = BTreeMap::from([
            (1, stat(0)),
            (10, stat(1)),
            (11, stat(10)),
            (12, stat(11)),
            (20, stat(1)),
        ]);
        assert_eq!(tree(&stats, 10), [10, 11, 12]);
    }

    #[test]
    fn waiting_is_the_second_field() {
        assert_eq!(run_delay("5 1500 7\n"), Some(Duration::from_nanos(1_500)));
        assert_eq!(run_delay(""), None);
    }

    #[test]
    fn own_process_is_visible() {
        let own = usage(&[std::process::id()]);
        assert!(state(std::process::id()).is_some());
        assert!(own[0].rss_bytes > 100 * 1024);
        assert!(machine_cpu_seconds() > 0.0);
    }
}
