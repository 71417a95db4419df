//! `run`, `soak` and `list` as a shell sees them, as far as they need no mesh.

#![allow(clippy::unwrap_used)] // What cannot be run fails the test.

use std::process::{Command, Output};

use internal_chaos::scenario::ladder::Length;

fn chaos(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_internal-chaos");
    Command::new(program).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn list_has_a_line_for_each_scenario() {
    let output = chaos(&["list"]);
    assert_eq!(output.status.code(), Some(0));
    let lines = text(&output.stdout);
    assert_eq!(
        lines.lines().count(),
        internal_chaos::scenario::library::all(Length::Short).count()
    );
    let line = lines.lines().find(|line| line.starts_with("transit-kill "));
    assert!(line.unwrap().ends_with("live on over the other one"));
}

#[test]
fn a_bad_scenario_is_told_with_its_place_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.yaml");
    let bad = "summary: Bad\nduration: 5s\nagents: { a: { roles: [ingress] } }\nlinks:\n  \
               - { between: [a, b] }\nworkload:\n  - { do: connect }\n";
    std::fs::write(&file, bad).unwrap();
    let file = file.to_str().unwrap();
    let expected = format!("{file}:5:5: no agent is called `b`; known are a\n");
    for arguments in [&["run", file][..], &["soak", "--scenario", file]] {
        let output = chaos(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(text(&output.stderr), expected);
    }
}

#[test]
fn a_name_that_nothing_has_is_exit_code_2() {
    let output = chaos(&["run", "earthquake"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("internal-chaos list"));
}

#[test]
fn a_soak_too_short_to_judge_is_not_begun() {
    let output = chaos(&["soak", "--minutes", "3"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--minutes"));
}
