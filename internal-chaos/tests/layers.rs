//! The order of the rooms, which the language does not hold.

#![allow(clippy::unwrap_used)] // A source tree that cannot be read fails the test.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms from the lowest layer up, as `lib.rs` lists them. A room imports lower rows only.
const LAYERS: &[&[&str]] = &[
    &[
        "fault", "http", "names", "netns", "packet", "plot", "ports", "procstat", "stats", "table",
        "units", "verdict", "window",
    ],
    &["host", "impairment", "process", "wiring"],
    &["condition", "machine", "rules", "spot"],
    &["mesh", "report"],
    &["chain", "relay", "workload"],
    &["drill", "openssh", "scenario", "shares"],
    &["bench"],
];

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension() {
            None if path.is_dir() => files.extend(sources(&path)),
            Some(end) if end == "rs" && !path.ends_with("tests.rs") => files.push(path),
            _ => {}
        }
    }
    files
}

/// The names that follow `crate::` in a line, one or a group.
fn imported(line: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let after = line.split("crate::").skip(1);
    let names = after.flat_map(|rest| match rest.strip_prefix('{') {
        Some(group) => group.split(", ").collect(),
        None => vec![rest],
    });
    let ends = |name: &str| name.find(|c| !is_name(c)).unwrap_or(name.len());
    names.map(|name| &name[..ends(name)]).collect()
}

#[test]
fn imports_go_down_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in sources(&src) {
        let inside = file
            .strip_prefix(&src)
            .unwrap()
            .components()
            .next()
            .unwrap();
        let room = inside.as_os_str().to_str().unwrap().trim_end_matches(".rs");
        if ["lib", "main"].contains(&room) {
            continue;
        }
        let own = layer(room).unwrap_or_else(|| panic!("{room} has no layer"));
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for line in code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            let up = |name: &&str| *name != room && layer(name).is_some_and(|it| it >= own);
            wrong.extend(
                imported(line)
                    .iter()
                    .filter(|it| up(it))
                    .map(|_| format!("{}: {line}", file.display())),
            );
        }
    }
    assert!(
        wrong.is_empty(),
        "imports that go up:\n{}",
        wrong.join("\n")
    );
}
