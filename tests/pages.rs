//! Whether the tests that `docs/security.md` names are there: each cell of its threat table says what holds
//! it, and each line of its attack table how to repeat it.

#![allow(clippy::unwrap_used)] // A tree that cannot be read fails the test.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join("docs/security.md")).unwrap()
}

/// The lines of the table under a heading, without its head.
fn table<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let rest = page
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("no heading {heading:?}"))
        .1;
    let section = rest.split("\n## ").next().unwrap();
    let lines: Vec<&str> = section.lines().filter(|l| l.starts_with('|')).collect();
    lines[2..].to_vec()
}

/// The texts between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The file or folder of tests that a name in the table means: `adversary/churn` under `tests`,
/// `identity::tls` under `src`.
fn place(name: &str) -> Option<PathBuf> {
    let (folder, rest) = match name.split_once('/') {
        Some((target @ ("adversary" | "process" | "simulation"), file)) => {
            (root().join("tests").join(target), file.to_owned())
        }
        _ => (root().join("src"), name.replace("::", "/")),
    };
    let known = name.contains('/') || name.contains("::");
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/');
    (known && rest.chars().all(is_word)).then(|| folder.join(rest))
}

/// The source of a module: its file, and that of its tests.
fn source(place: &Path) -> Option<String> {
    let files = [
        place.with_extension("rs"),
        place.join("tests.rs"),
        place.join("mod.rs"),
    ];
    let texts: Vec<String> = files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect();
    (!texts.is_empty()).then(|| texts.concat())
}

/// Whether a test of that name, or of one that begins so if it ends with an ellipsis, is in the source.
fn has_test(source: &str, name: &str) -> bool {
    match name.strip_suffix('…') {
        Some(begin) => source.contains(&format!("fn {begin}")),
        None => source.contains(&format!("fn {name}(")),
    }
}

#[test]
fn every_test_that_the_threats_name_is_there() {
    let page = page();
    let mut seen = 0;
    for line in table(&page, "Threats") {
        let mut current = None;
        for name in quoted(line) {
            if let Some(place) = place(name) {
                let source = source(&place);
                assert!(source.is_some(), "{name} in: {line}");
                current = source;
            } else if name.contains('_') && !name.contains('.') {
                let source = current.as_deref();
                let source = source.unwrap_or_else(|| panic!("{name} without a file in: {line}"));
                assert!(has_test(source, name), "{name} in: {line}");
                seen += 1;
            }
        }
    }
    assert!(
        seen >= 8,
        "only {seen} tests were found: is the table still read?"
    );
}

#[test]
fn every_threat_has_a_cell_for_every_want() {
    let page = page();
    let lines = table(&page, "Threats");
    let who = |line: &str| line.split('|').nth(1).unwrap().trim().to_owned();
    for role in [
        "stranger",
        "observer",
        "client",
        "local user",
        "ingress",
        "transit",
        "exit",
        "resolver",
        "neighbour",
        "who holds the CA's key",
    ] {
        let of = lines.iter().filter(|line| who(line).starts_with(role));
        assert_eq!(of.count(), 1, "{role}");
    }
    for line in lines {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 6, "{line}");
        assert!(
            cells.iter().all(|cell| !cell.is_empty()),
            "an empty cell: {line}"
        );
    }
}

#[test]
fn every_measured_attack_can_be_repeated() {
    let page = page();
    for line in table(&page, "Attacks, measured") {
        let command = quoted(line.rsplit('|').nth(1).unwrap());
        let filter = *command
            .first()
            .unwrap_or_else(|| panic!("no command: {line}"));
        let (target, filter) = filter.split_once(' ').unwrap_or(("adversary", filter));
        let (file, test) = filter.split_once("::").unwrap();
        let source = source(&root().join("tests").join(target).join(file));
        let source = source.unwrap_or_else(|| panic!("no file {file}: {line}"));
        assert!(
            source.contains(&format!("fn {test}")),
            "no test {test}: {line}"
        );
    }
}
