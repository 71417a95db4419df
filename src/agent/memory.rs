//! Fits what a session may hold to the memory that this process may have: one member must not take an
//! agent of a small host down.

use std::fs;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::config::{Config, Limits};

/// A session holds this part at most in each direction, one in so many: two sessions of members that take
/// all that they are given leave three quarters.
const PART: u64 = 16;

/// A session with less carries nothing at speed.
const LEAST: u64 = 4 * 1024 * 1024;

/// Lowers `limits.session_window` to what fits.
pub(super) fn fit(config: &mut Config) {
    let Some(memory) = memory() else { return };
    let (key, wanted) = ("limits.session_window", config.limits.session_window);
    let fit = window(memory, wanted);
    config.limits.session_window = fit;
    if fit < wanted {
        let text = "memory: sessions get smaller windows than the file allows";
        match wanted == Limits::default().session_window {
            true => info!(key, memory, wanted, fit, "{text}"),
            false => warn!(key, memory, wanted, fit, "{text}"),
        }
    }
}

fn window(memory: u64, wanted: usize) -> usize {
    let part = (memory / PART).max(LEAST);
    wanted.min(usize::try_from(part).unwrap_or(usize::MAX))
}

/// Bytes that this process may have: of the host, or of its control groups, if they have a limit.
fn memory() -> Option<u64> {
    let host = fs::read_to_string("/proc/meminfo").ok();
    let host = host.and_then(|text| total(&text));
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let groups = limits(&own).into_iter().filter_map(|path| {
        let text = fs::read_to_string(path).ok()?;
        text.trim().parse().ok()
    });
    groups.chain(host).min()
}

/// `MemTotal` of `/proc/meminfo`, bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

/// Where the limits of the groups in `/proc/self/cgroup` stand. Inside a container they stand at the root,
/// whatever the path is called outside.
fn limits(groups: &str) -> Vec<PathBuf> {
    let v2 = Path::new("/sys/fs/cgroup");
    let v1 = v2.join("memory");
    let mut found = vec![v2.join("memory.max"), v1.join("memory.limit_in_bytes")];
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            found.push(v2.join(path).join("memory.max"));
        } else if controllers.split(',').any(|name| name == "memory") {
            found.push(v1.join(path).join("memory.limit_in_bytes"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_a_part_of_little_memory() {
        const MIB: u64 = 1024 * 1024;
        let default = Limits::default().session_window;
        for (memory, wanted, fit) in [
            (64 * 1024 * MIB, default, default),
            (4 * 1024 * MIB, default, default),
            (1024 * MIB, default, 64 * MIB as usize),
            (1024 * MIB, MIB as usize, MIB as usize),
            (16 * MIB, default, LEAST as usize),
        ] {
            assert_eq!(window(memory, wanted), fit, "{memory}");
        }
    }

    #[test]
    fn the_memory_is_read_where_the_kernel_says_it() {
        assert_eq!(
            total("MemTotal:       1024 kB\nMemFree: 1 kB\n"),
            Some(1 << 20)
        );
        assert_eq!(total("MemFree: 1 kB\n"), None);
        let text = |groups: &str| {
            let found = limits(groups).into_iter().skip(2);
            let found = found.map(|path| path.to_str().unwrap().to_owned());
            found.collect::<Vec<_>>()
        };
        assert_eq!(
            text("0::/system.slice/warren.service\n"),
            ["/sys/fs/cgroup/system.slice/warren.service/memory.max"]
        );
        assert_eq!(
            text("5:cpu:/a\n4:memory:/a:b\nodd\n"),
            ["/sys/fs/cgroup/memory/a:b/memory.limit_in_bytes"]
        );
        assert!(memory().is_none_or(|memory| memory > 1 << 20));
    }
}
