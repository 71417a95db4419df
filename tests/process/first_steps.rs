//! What the pages give a new operator to use as it is: the patterns on one host, and the unit.

use std::process::Command;
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

/// Ten times what `systemd-analyze security` may say.
const EXPOSURE: &str = "20";

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

/// The unit of the operations page, as systemd reads it, and its user.
#[test]
fn the_unit_is_sound_and_hardened() {
    let page = include_str!("../../docs/operations.md");
    let (_, rest) = page.split_once("```ini\n").expect("the unit");
    let (unit, _) = rest.split_once("```").expect("its end");
    assert!(unit.contains("StartLimitIntervalSec=0\n") && !unit.contains("ExecStartPre"));
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let file = dir.path().join("warren.service");
    let unit = unit.replace("/usr/local/bin/warren", WARREN);
    std::fs::write(&file, unit).expect("the test's folder is writable");
    let analyze = |arguments: &[&str]| {
        let mut command = program("systemd-analyze", "systemd");
        run(command.args(arguments).arg(&file), "")
    };
    let verified = analyze(&["verify", "--man=no"]);
    assert_eq!((verified.code, &*verified.stderr), (Some(0), ""));
    let threshold = format!("--threshold={EXPOSURE}");
    analyze(&["security", "--offline=true", "--no-pager", &threshold]).success();

    let user = page
        .lines()
        .find(|line| line.starts_with("systemd-sysusers"));
    let user = user.expect("the unit's user is made");
    program("systemd-sysusers", "systemd");
    std::fs::create_dir(dir.path().join("etc")).expect("the test's folder is writable");
    let root = format!("systemd-sysusers --root={}", dir.path().display());
    let made = user.replace("systemd-sysusers", &root);
    run(Command::new("sh").args(["-c", &made]), "").success();
    let users = std::fs::read_to_string(dir.path().join("etc/passwd")).expect("users");
    assert!(users.starts_with("warren:"), "{users}");
}
