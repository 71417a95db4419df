//! What the pages give a new operator to use as it is: the patterns on one host.

use std::time::Duration;

use crate::installed::program;
use crate::support::WARREN;
use crate::support::command::run;
use crate::support::process::Process;
use crate::support::wait::eventually;

const PATTERNS: [&str; 4] = [
    "redundant-transit",
    "multiple-exits",
    "geographic",
    "active-active",
];

/// Starts each pattern as its script does, and does what the script says to try.
#[test]
fn each_pattern_runs_on_one_host() {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/configs/high-availability/try.sh"
    );
    for pattern in PATTERNS {
        let dir = tempfile::tempdir().expect("a folder for temporary files");
        let mut command = program("bash", "bash");
        command.args([script, pattern]).arg(dir.path().join("mesh"));
        let log = dir.path().join("script.log");
        let mut running = Process::spawn(pattern, command.env("WARREN", WARREN), &log);
        eventually("everything is started", || {
            assert!(running.is_running(), "{pattern} ended: {}", running.log());
            running.log().contains("Ctrl-C ends all.").then_some(())
        });
        let told = running.log();
        let lines: Vec<&str> = told.lines().map(str::trim).collect();
        let tries = lines.iter().filter(|line| line.starts_with("curl "));
        let mut ingresses = 0;
        for line in tries {
            ingresses += 1;
            eventually(line, || {
                let words = line.split_whitespace().skip(1);
                let mut curl = program("curl", "curl");
                let finished = run(curl.args(["-q", "-s", "-m", "5"]).args(words), "");
                (finished.stdout == "OK").then_some(())
            });
        }
        let own = |name: &str| lines.iter().filter(|line| line.starts_with(name)).count();
        assert_eq!(ingresses, own("ingress") + own("agent-"), "{told}");
        running.signal("TERM");
        let status = running.wait_exit(Duration::from_secs(10));
        assert_eq!(status.code(), Some(0), "{}", running.log());
    }
}
