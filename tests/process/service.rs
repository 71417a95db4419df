//! The units that are shipped, and those that `warren service` makes, as systemd reads them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::installed::program;
use crate::support::WARREN;
use crate::support::command::{Finished, run, warren};
use crate::support::mesh::path_text;

/// Ten times what `systemd-analyze security` may say.
const EXPOSURE: &str = "20";

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/systemd");
    fs::read_to_string(path.join(name)).expect("a file of the project")
}

/// Lets systemd judge a unit.
fn judge(file: &Path) {
    let analyze = |arguments: &[&str]| {
        let mut command = program("systemd-analyze", "systemd");
        run(command.args(arguments).arg(file), "")
    };
    let verified = analyze(&["verify", "--man=no"]);
    assert_eq!((verified.code, &*verified.stderr), (Some(0), ""));
    let threshold = format!("--threshold={EXPOSURE}");
    analyze(&["security", "--offline=true", "--no-pager", &threshold]).success();
}

#[test]
fn the_units_that_are_shipped_are_sound_and_hardened() {
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    for (name, instance) in [
        ("warren.service", "warren.service"),
        ("warren@.service", "warren@exit.service"),
    ] {
        let unit = shipped(name);
        for line in [
            "Type=notify",
            "StartLimitIntervalSec=0",
            "RestartPreventExitStatus=2",
            "ExecReload=/bin/kill -HUP $MAINPID",
        ] {
            assert!(unit.lines().any(|found| found == line), "{name}: {line}");
        }
        assert!(!unit.contains("ExecStartPre"));
        let file = dir.path().join(instance);
        fs::write(&file, unit.replace("/usr/local/bin/warren", WARREN))
            .expect("the test's folder is writable");
        judge(&file);
    }
    let users = dir.path().join("users.conf");
    fs::write(&users, shipped("warren.sysusers.conf")).expect("the test's folder is writable");
    fs::create_dir(dir.path().join("etc")).expect("the test's folder is writable");
    let mut sysusers = program("systemd-sysusers", "systemd");
    let root = format!("--root={}", dir.path().display());
    run(sysusers.arg(root).arg(&users), "").success();
    let made = fs::read_to_string(dir.path().join("etc/passwd")).expect("users");
    assert!(made.starts_with("warren:"), "{made}");
}

/// A system below a folder, and a file for an agent; not in /tmp, which units do not see.
struct System {
    dir: TempDir,
    file: PathBuf,
}

impl System {
    fn new() -> Self {
        program("systemctl", "systemd");
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo's own folder");
        fs::create_dir_all(dir.path().join("root/etc")).expect("the test's folder is writable");
        let file = dir.path().join("exit-a.yaml");
        let system = Self { dir, file };
        system.write("agent: { data_dir: /var/lib/warren }\n");
        system
    }

    fn write(&self, yaml: &str) {
        fs::write(&self.file, yaml).expect("the test's folder is writable");
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn unit(&self) -> PathBuf {
        self.root().join("etc/systemd/system/warren-exit-a.service")
    }

    fn wants(&self) -> PathBuf {
        let wants = "etc/systemd/system/multi-user.target.wants/warren-exit-a.service";
        self.root().join(wants)
    }

    fn service(&self, what: &str) -> Finished {
        let (file, root) = (path_text(&self.file), path_text(&self.root()));
        warren(&["service", what, "-c", &file, "--root", &root])
    }
}

#[test]
fn a_unit_is_installed_seen_and_removed_and_each_twice() {
    let system = System::new();
    let absent = system.service("status");
    assert_eq!(absent.code, Some(1), "{absent:#?}");
    assert!(absent.stdout.contains("is not there"), "{absent:#?}");

    let first = system.service("install").success();
    assert!(
        first.contains("warren-exit-a.service is written"),
        "{first}"
    );
    assert!(fs::symlink_metadata(system.wants()).is_ok(), "{first}");
    judge(&system.unit());
    let users = fs::read_to_string(system.root().join("etc/passwd")).expect("users");
    assert!(users.contains("warren:"), "{users}");
    let text = fs::read_to_string(system.unit()).expect("the unit");
    let runs = format!("ExecStart={WARREN} run -c {}", system.file.display());
    assert!(text.lines().any(|line| line == runs), "{text}");
    let stat = |path: PathBuf| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let written = stat(system.unit());
    let again = system.service("install").success();
    assert!(
        again.contains("warren-exit-a.service is as it should be"),
        "{again}"
    );
    assert_eq!(stat(system.unit()), written);
    let seen = system.service("status").success();
    assert!(
        seen.contains("is as the file wants it\nenabled  enabled\n"),
        "{seen}"
    );

    // A file that wants another unit.
    system.write("agent: { data_dir: /srv/warren }\ndrain: { timeout: 5m }\n");
    let outdated = system.service("status");
    assert_eq!(outdated.code, Some(1), "{outdated:#?}");
    assert!(
        outdated.stdout.contains("is another than the file wants"),
        "{outdated:#?}"
    );
    system.service("install").success();
    system.service("status").success();
    let text = fs::read_to_string(system.unit()).expect("the unit");
    assert!(text.contains("TimeoutStopSec=315s\n"), "{text}");
    assert!(text.contains("ReadWritePaths=-/srv/warren\n"), "{text}");
    judge(&system.unit());

    let removed = system.service("uninstall").success();
    assert!(removed.contains("is removed"), "{removed}");
    assert!(!system.unit().exists() && fs::symlink_metadata(system.wants()).is_err());
    let again = system.service("uninstall").success();
    assert!(again.contains("is not there"), "{again}");
    assert!(system.file.exists());
}

#[test]
fn what_is_bad_or_somebody_elses_is_left_alone() {
    let system = System::new();
    system.write("agent: { watch: maybe }\n");
    let bad = system.service("install");
    assert_eq!(bad.code, Some(2), "{bad:#?}");
    assert!(bad.stderr.contains("agent.watch"), "{bad:#?}");
    assert!(!system.unit().exists());

    system.write("agent: { data_dir: /var/lib/warren }\n");
    let folder = system.unit();
    let folder = folder.parent().expect("a folder");
    fs::create_dir_all(folder).expect("the test's folder is writable");
    fs::write(system.unit(), "[Service]\n").expect("the test's folder is writable");
    for what in ["install", "uninstall"] {
        let foreign = system.service(what);
        assert_eq!(foreign.code, Some(1), "{foreign:#?}");
        assert!(foreign.stderr.contains("was not made by"), "{foreign:#?}");
    }
    let kept = fs::read_to_string(system.unit()).expect("it is there");
    assert_eq!(kept, "[Service]\n");
    let file = path_text(&system.file);
    let printed = warren(&["service", "install", "-c", &file, "--print"]).success();
    assert!(printed.contains("[Install]"), "{printed}");
    let strange = warren(&[
        "service", "install", "-c", &file, "--name", "a/b", "--print",
    ]);
    assert_eq!(strange.code, Some(1), "{strange:#?}");
    // A host without systemd says so.
    let mut command = Command::new(WARREN);
    let elsewhere = system.dir.path().join("elsewhere");
    let args = ["service", "install", "-c", &file, "--root"];
    command
        .args(args)
        .arg(&elsewhere)
        .env("PATH", "/nonexistent");
    let none = run(&mut command, "");
    assert_eq!(none.code, Some(1), "{none:#?}");
    assert!(none.stderr.contains("is there systemd?"), "{none:#?}");
}
