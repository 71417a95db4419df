//! Files that the pages of `docs` name are there, and what the log says is explained. The decisions in
//! `docs/adr` tell of their time.

use std::fs;
use std::path::{Path, PathBuf};

use super::{is_test, root, sources, src};

/// Folders of the repository that pages name files of.
const FOLDERS: [&str; 9] = [
    "src",
    "tests",
    "internal-chaos",
    "benches",
    "fuzz",
    "configs",
    "certs",
    "docker",
    "docs",
];

/// Where the files are named that a request, a packet and the like pass, by the folders before them.
const WALKS: &str = "## Four walks through the files";

#[test]
fn files_that_pages_name_are_there() {
    let mut missing = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let mut names = code(&text);
        names.retain(|name| is_path(name) && !root().join(name).exists());
        missing.extend(
            names
                .iter()
                .map(|name| format!("{}: {name}", page.display())),
        );
    }
    assert!(missing.is_empty(), "not there:\n{}", missing.join("\n"));
}

#[test]
fn the_walks_pass_files_that_are_there() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let (_, walks) = text.split_once(WALKS).unwrap();
    let walks = walks.split("\n## ").next().unwrap();
    let walks = walks.lines().filter(|line| line.starts_with("**"));
    let mut missing = Vec::new();
    let mut count = 0;
    for walk in walks {
        count += 1;
        let mut folders = vec![src()];
        for name in code(walk) {
            if !name.ends_with(".rs") && !name.contains('/') {
                continue;
            }
            match folders.iter().find(|folder| folder.join(name).exists()) {
                Some(folder) => folders.extend(above(&folder.join(name))),
                None => missing.push(name.to_owned()),
            }
        }
    }
    assert_eq!(count, 4, "one paragraph a walk");
    assert!(missing.is_empty(), "not there: {}", missing.join(", "));
}

/// Those at `info` and above, which people see without asking.
#[test]
fn lines_of_the_log_are_explained() {
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let mut missing = Vec::new();
    for file in sources(&src()).iter().filter(|file| !is_test(file)) {
        let text = fs::read_to_string(file).unwrap();
        for call in ["info!(", "warn!(", "error!("] {
            let messages = text.split(call).skip(1).filter_map(message);
            let untold = messages.filter(|message| !page.contains(message.as_str()));
            missing.extend(untold.map(|message| format!("{}: {message}", file.display())));
        }
    }
    assert!(missing.is_empty(), "no row:\n{}", missing.join("\n"));
}

/// The fixed beginning of the last text in a call; `None`: it has none, as where an error is all that is
/// said.
fn message(arguments: &str) -> Option<String> {
    let (mut depth, mut last) = (1, None);
    let mut rest = arguments;
    while depth > 0 {
        let at = rest.find(['(', ')', '"'])?;
        let (found, behind) = rest[at..].split_at(1);
        rest = behind;
        match found {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {
                let (text, behind) = rest.split_once('"')?;
                (last, rest) = (Some(text), behind);
            }
        }
    }
    let beginning = last?.split(['{', ':', ';', ',', '\\']).next()?.trim();
    (!beginning.is_empty()).then(|| beginning.to_owned())
}

/// The folders that a path goes through, below `src`.
fn above(path: &Path) -> Vec<PathBuf> {
    let folders = path.ancestors().skip(usize::from(path.is_file()));
    let below = folders.take_while(|folder| *folder != src());
    below.map(Path::to_owned).collect()
}

fn pages() -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("docs")).unwrap();
    let mut pages: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    pages.retain(|page| page.extension().is_some_and(|end| end == "md"));
    pages.push(root().join("README.md"));
    pages
}

/// What stands between backticks in prose.
fn code(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose
        .flat_map(|prose| prose.split('`').skip(1).step_by(2))
        .collect()
}

/// Whether it names one file or folder of the repository.
fn is_path(name: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    let first = name.split('/').next().unwrap();
    let is_example = name.contains("NAME");
    first != name && FOLDERS.contains(&first) && name.chars().all(is_plain) && !is_example
}
