//! Where and when a run happened: a figure without its machine means nothing.

use std::fs;
use std::thread::available_parallelism;
use std::time::Duration;

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

impl Machine {
    /// Looks around.
    pub async fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let mut date = Command::new("date");
        date.args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]);
        let date = output("date", date, Duration::from_secs(5)).await;
        Self {
            cpu: field(&read("/proc/cpuinfo"), "model name")
                .unwrap_or("unknown")
                .to_owned(),
            cores: available_parallelism().map_or(0, usize::from),
            memory_mib: field(&read("/proc/meminfo"), "MemTotal")
                .and_then(|value| value.strip_suffix("kB")?.trim().parse::<u64>().ok())
                .unwrap_or(0)
                / 1024,
            load_before: read("/proc/loadavg")
                .split(' ')
                .next()
                .unwrap_or("unknown")
                .to_owned(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            date: date.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned()),
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

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc_files() {
        let text = "processor\t: 0\nmodel name\t: A CPU: fast\nmodel name\t: B\n";
        assert_eq!(field(text, "model name"), Some("A CPU: fast"));
        assert_eq!(field(text, "MemTotal"), None);
    }
}
