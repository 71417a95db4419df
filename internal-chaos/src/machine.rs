//! Where and when a run happened: a figure without its machine means nothing.

use std::fs;
use std::thread::available_parallelism;
use std::time::Duration;

use procfs::{CpuInfo, Current, LoadAverage, Meminfo};
use serde::Serialize;
use tokio::process::Command;

use crate::process::output;

/// The machine, the moment and the command.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_mib: u64,
    pub kernel: String,
    /// Runnable tasks on average over the minute before the run; another's load spoils figures.
    pub load_before: String,
    /// UTC, RFC 3339.
    pub date: String,
    pub command: String,
}

#[cfg(test)]
impl Machine {
    /// One that ran `command`.
    pub(crate) fn example(command: &str) -> Self {
        Self {
            cpu: "A CPU".to_owned(),
            cores: 2,
            memory_mib: 1024,
            kernel: "6.0".to_owned(),
            load_before: "0.10".to_owned(),
            date: "2026-01-01T00:00:00Z".to_owned(),
            command: command.to_owned(),
        }
    }
}

impl Machine {
    /// Looks around.
    pub async fn here() -> Self {
        let mut date = Command::new("date");
        date.args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]);
        let date = output("date", date, Duration::from_secs(5)).await;
        let cpu = CpuInfo::current().ok();
        let cpu = cpu.and_then(|info| info.model_name(0).map(str::to_owned));
        let load = LoadAverage::current().map(|load| format!("{:.2}", load.one));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cpu: cpu.unwrap_or_else(unknown),
            cores: available_parallelism().map_or(0, usize::from),
            memory_mib: Meminfo::current().map_or(0, |memory| memory.mem_total >> 20),
            load_before: load.unwrap_or_else(|_| unknown()),
            kernel: kernel.trim().to_owned(),
            date: date.map_or_else(|_| unknown(), |text| text.trim().to_owned()),
            command: std::env::args().collect::<Vec<_>>().join(" "),
        }
    }

    /// The lines that a report begins with.
    pub fn heading(&self) -> Vec<String> {
        let Self {
            cpu,
            cores,
            memory_mib,
            load_before,
            kernel,
            date,
            command,
        } = self;
        vec![
            format!("{cpu}, {cores} cores, {memory_mib} MiB, Linux {kernel}"),
            format!("{date}, load average before the run {load_before}"),
            format!("command: {command}"),
        ]
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}
