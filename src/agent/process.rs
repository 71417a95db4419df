//! What this process takes of the host, under the names that Prometheus's own libraries use.
//!
//! Read from `/proc` (proc(5)); where that does not exist, nothing is told.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Ticks a second of the times in `/proc`: the same on every Linux that Rust supports (USER_HZ).
const TICKS: f64 = 100.0;

/// Registered without a prefix.
#[derive(Debug)]
pub(super) struct Process;

/// `/proc/self/stat`: processor time and start, in ticks.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu: u64,
    /// Since the host started.
    start: u64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        if let Some(stat) = stat(&read("/proc/self/stat")) {
            let counter = ConstCounter::new(stat.cpu as f64 / TICKS);
            let help = "Total user and system CPU time spent in seconds";
            let kind = counter.metric_type();
            let family = encoder.encode_descriptor("process_cpu_seconds", help, None, kind)?;
            counter.encode(family)?;
            let boot = row(&read("/proc/stat"), "btime", ' ');
            if let Some(boot) = boot {
                let start = boot as f64 + stat.start as f64 / TICKS;
                let help = "Start time of the process since unix epoch in seconds";
                gauge(&mut encoder, "process_start_time_seconds", help, start)?;
            }
        }
        let status = read("/proc/self/status");
        for (key, name, help) in [
            (
                "VmRSS",
                "process_resident_memory_bytes",
                "Resident memory size in bytes",
            ),
            (
                "VmSize",
                "process_virtual_memory_bytes",
                "Virtual memory size in bytes",
            ),
        ] {
            if let Some(kilobytes) = row(&status, key, ':') {
                gauge(&mut encoder, name, help, kilobytes as f64 * 1_024.0)?;
            }
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // The one by which they are counted is among them.
            let open = open.count().saturating_sub(1) as f64;
            let help = "Number of open file descriptors";
            gauge(&mut encoder, "process_open_fds", help, open)?;
        }
        if let Some(most) = max_fds(&read("/proc/self/limits")) {
            let help = "Maximum number of open file descriptors";
            gauge(&mut encoder, "process_max_fds", help, most)?;
        }
        Ok(())
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let gauge = ConstGauge::new(value);
    let family = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
    gauge.encode(family)
}

fn stat(text: &str) -> Option<Stat> {
    // The name in parentheses may hold anything, spaces and parentheses too.
    let (_, fields) = text.rsplit_once(") ")?;
    // The state is field 3 of the manual page, user and system time 14 and 15, the start 22.
    let field = |number: usize| fields.split(' ').nth(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        cpu: field(14)? + field(15)?,
        start: field(22)?,
    })
}

/// The number behind a key at the start of a line.
fn row(text: &str, key: &str, end: char) -> Option<u64> {
    let mut rows = text
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix(end));
    rows.next()?.split_whitespace().next()?.parse().ok()
}

fn max_fds(limits: &str) -> Option<f64> {
    let mut rows = limits.lines();
    let row = rows.find_map(|line| line.strip_prefix("Max open files"))?;
    match row.split_whitespace().next()? {
        "unlimited" => Some(f64::INFINITY),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_whatever_the_process_is_called() {
        let text = "42 (a ) b) S 1 42 42 0 -1 0 0 0 0 0 250 50 0 0 20 0 3 0 9000 1 2 3";
        let expected = Stat {
            cpu: 300,
            start: 9_000,
        };
        assert_eq!(stat(text), Some(expected));
        assert_eq!(stat("42 (short) S 1"), None);
        assert_eq!(row("Name:\tx\nVmRSS:\t  12 kB\n", "VmRSS", ':'), Some(12));
        assert_eq!(
            row("cpu 1 2\nbtime 1700000000\n", "btime", ' '),
            Some(1_700_000_000)
        );
        assert_eq!(
            max_fds("Max open files   1024   4096 files\n"),
            Some(1_024.0)
        );
        assert_eq!(
            max_fds("Max open files   unlimited unlimited\n"),
            Some(f64::INFINITY)
        );
    }
}
