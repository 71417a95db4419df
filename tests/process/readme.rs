//! The README's mesh, pasted as a whole into a shell, shows what the README shows.
//!
//! In a network namespace of its own, where its ports are free (needs root), and a process namespace,
//! so that nothing outlives it.

use std::path::Path;
use std::process::Command;

use crate::installed::program;
use crate::support::WARREN;
use crate::support::command::run;

/// For a debug build on a busy machine, as everywhere in these tests.
const PATIENCE: &str = "connections: { dead_after: 10 }";

const SECTION: &str = "## A real mesh in five minutes\n";

/// The lines of the section's blocks: what is pasted, and what is shown.
fn blocks(readme: &str) -> (String, Vec<String>) {
    let (_, section) = readme.split_once(SECTION).expect("the section is there");
    let section = section.split("\n## ").next().expect("at least one part");
    let (mut paste, mut shown) = (String::new(), Vec::new());
    let mut language = None;
    for line in section.lines() {
        match (line.strip_prefix("```"), language) {
            (Some(begins), None) => language = Some(begins),
            (Some(_), Some(_)) => language = None,
            (None, Some("sh")) => paste += &format!("{line}\n"),
            (None, Some("")) => shown.push(line.to_owned()),
            (None, _) => {}
        }
    }
    (paste, shown)
}

/// A line without what differs from run to run: ids, round trips, how wide a column is.
fn constant(line: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(['(', ')', ',']);
        let id = matches!(bare.len(), 8 | 32) && bare.bytes().all(|b| b.is_ascii_hexdigit());
        match id || bare.parse::<f64>().is_ok() && bare.contains('.') {
            true => word.replace(bare, "_"),
            false => word.to_owned(),
        }
    };
    let words: Vec<String> = line.split_whitespace().map(word).collect();
    words.join(" ")
}

/// A shell as people have it, with this build's `warren`, in `folder`.
fn shell(folder: &Path) -> Command {
    let programs = Path::new(WARREN).parent().expect("it lies in a folder");
    let path = std::env::var("PATH").expect("there is a PATH");
    let mut shell = program("unshare", "util-linux");
    shell
        .args(["--net", "--pid", "--fork", "--kill-child"])
        .args(["sh", "-c"])
        .arg("ip link set lo up && exec bash --norc --noprofile -i")
        .env("PATH", format!("{}:{path}", programs.display()))
        .env_remove("http_proxy")
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .current_dir(folder);
    shell
}

#[test]
fn one_paste_of_the_readme_shows_what_it_says() {
    for (tool, package) in [("ip", "iproute2"), ("curl", "curl"), ("python3", "python3")] {
        program(tool, package);
    }
    let readme = include_str!("../../README.md");
    let (paste, shown) = blocks(readme);
    let paste = paste.replace("\nEND\n", &format!("\n{PATIENCE}\nEND\n"));
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let finished = run(&mut shell(folder.path()), &paste);
    let mut seen = finished.stdout.lines().map(constant);
    for line in shown.iter().filter(|line| *line != "…") {
        let line = constant(line);
        assert!(
            seen.any(|seen| seen == line),
            "not shown, or not in this order: {line}\n{finished:#?}"
        );
    }
    for trouble in ["not found", "curl: (", "error:", "No such"] {
        assert!(
            !finished.stderr.contains(trouble),
            "{trouble}: {finished:#?}"
        );
    }
    let log = std::fs::read_to_string(folder.path().join("mesh.log")).expect("a log");
    for name in ["exit", "transit-a", "transit-b", "ingress"] {
        let own = |line: &str| line.split_whitespace().nth(1) == Some(name);
        assert!(log.lines().any(own), "{name} has no line of its own: {log}");
    }
}
