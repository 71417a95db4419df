//! The order of the layers, the circles within a room, the size of files, and the files that pages name,
//! which the language does not hold.

#![allow(clippy::unwrap_used)] // A source tree that cannot be read fails the test.

mod circles;
mod pages;

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms from the lowest layer up; rooms of one row may import each other.
const LAYERS: &[&[&str]] = &[
    &["limit"],
    &["identity"],
    &["config"],
    &["names"],
    &["wire"],
    &["routing"],
    &["record"],
    &["forward"],
    &["link"],
    &["tunnel"],
    &["exit"],
    &["ingress"],
    &["api", "cli"],
    &["agent"],
    &["demo"],
];

/// The same inside a room: its files and rooms from the lowest up.
const ROOMS: [(&str, &[&[&str]]); 2] = [("routing", ROUTING), ("tunnel", TUNNEL)];

const ROUTING: &[&[&str]] = &[&["liveness", "paths"], &["database", "table"], &["mesh"]];

const TUNNEL: &[&[&str]] = &[
    &["path"],
    &["socket"],
    &["stream"],
    &["context", "sizes"],
    &["session"],
    &["setup"],
];

/// No file is longer.
const MOST_LINES: usize = 400;

/// What asks for monotonic time past `crate::clock`, which a test can stop.
const UNSTOPPED: &[&str] = &["Instant::now()", ".elapsed()"];

/// What starts a task past `crate::task`.
const SPAWNS: &[&str] = &["tokio::spawn(", "JoinSet", "spawn_local("];

/// Files and folders that may know quinn: the seam of each kind of connection, and what is built on a
/// session's streams. A link is carried by `link/transport/quic` alone.
const KNOW_QUINN: &[&str] = &[
    "quic.rs",
    "link/transport/quic.rs",
    "link/transport/quic",
    // The UDP port, and its share that quinn takes for a socket.
    "forward/adjacency.rs",
    "forward/inbox.rs",
    "forward/kernel.rs",
    "forward/port.rs",
    "forward/quic_queue.rs",
    "forward/quic_socket.rs",
    "forward/receive.rs",
    // Sessions are QUIC over virtual sockets, whatever carries the links.
    "tunnel/session",
    "tunnel/socket",
    "tunnel/stream",
    "exit/serve.rs",
    "exit/sessions.rs",
    // Names it, to keep its own lines out of the log.
    "agent/logging.rs",
];

/// What the pure rooms must not know: crates that wait, send or draw lots, clocks, what others change
/// meanwhile, and the log.
const IMPURE: &[&str] = &[
    "tokio",
    "quinn",
    "rand",
    "SystemTime::now",
    "Instant::now",
    "clock::",
    "Atomic",
    "Mutex",
    "tracing",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn src() -> PathBuf {
    root().join("src")
}

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

/// The room of a file below `src/`; `None` for the crate's own files.
fn room(file: &Path) -> Option<String> {
    let inside = file.strip_prefix(src()).unwrap();
    let first = inside.components().next().unwrap();
    let name = first.as_os_str().to_str().unwrap();
    (!name.ends_with(".rs")).then(|| name.to_owned())
}

#[test]
fn every_room_has_a_layer() {
    for file in sources(&src()) {
        if let Some(room) = room(&file) {
            assert!(layer(&room).is_some(), "{room} has no layer");
        }
    }
}

#[test]
fn imports_go_down_only() {
    let mut wrong = Vec::new();
    for file in sources(&src()) {
        let Some(room) = room(&file) else { continue };
        let own = layer(&room).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for used in line.split("crate::").skip(1) {
                let name: String = used
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                if layer(&name).is_some_and(|other| other > own) {
                    wrong.push(format!("{}:{}: {line}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "imports of higher layers:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn rooms_within_rooms_import_downwards_only() {
    let wrong = ROOMS.map(|(room, levels)| imports_of_higher(room, levels));
    let wrong = wrong.concat();
    assert!(
        wrong.is_empty(),
        "imports of higher rooms:\n{}",
        wrong.join("\n")
    );
}

fn imports_of_higher(room: &str, levels: &[&[&str]]) -> Vec<String> {
    let folder = src().join(room);
    let crate_path = format!("crate::{room}::");
    let level = |name: &str| levels.iter().position(|names| names.contains(&name));
    let mut wrong = Vec::new();
    for file in sources(&folder) {
        let inside = file.strip_prefix(&folder).unwrap();
        let first = inside.components().next().unwrap();
        let name = first.as_os_str().to_str().unwrap().trim_end_matches(".rs");
        let Some(own) = level(name) else {
            assert!(
                ["mod", "testing", "fixture"].contains(&name),
                "{name} has no level"
            );
            continue;
        };
        for line in lines_with(&file, &[&crate_path, "use super::"]) {
            let above = |used: &str| {
                let used = used.split(|c: char| !c.is_alphanumeric() && c != '_');
                let used = used.into_iter().next().unwrap_or_default();
                level(used).is_some_and(|other| other > own)
            };
            let by_crate = line.split(&crate_path).skip(1).any(above);
            let is_top = inside.components().count() == 1;
            let by_super = is_top && line.split("use super::").skip(1).any(above);
            if by_crate || by_super {
                wrong.push(line);
            }
        }
    }
    wrong
}

/// The lines of `file` that hold one of `words`; comments and tests aside.
fn lines_with(file: &Path, words: &[&str]) -> Vec<String> {
    if is_test(file) {
        return Vec::new();
    }
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().enumerate().filter(|(_, line)| {
        let line = line.split("//").next().unwrap();
        words.iter().any(|word| line.contains(word))
    });
    lines
        .map(|(number, line)| format!("{}:{}: {line}", file.display(), number + 1))
        .collect()
}

/// Whether the file is for tests only.
fn is_test(file: &Path) -> bool {
    let name = file.file_name().unwrap().to_str().unwrap();
    ["tests.rs", "fixture.rs", "testing.rs"].contains(&name)
        || file.components().any(|part| part.as_os_str() == "tests")
}

#[test]
fn routing_and_path_control_are_pure() {
    let rooms = ["routing", "tunnel/path"];
    let files = rooms.iter().flat_map(|room| sources(&src().join(room)));
    let wrong: Vec<String> = files.flat_map(|f| lines_with(&f, IMPURE)).collect();
    assert!(wrong.is_empty(), "impure:\n{}", wrong.join("\n"));
}

#[test]
fn quinn_is_known_where_it_is_named() {
    let known: Vec<PathBuf> = KNOW_QUINN.iter().map(|path| src().join(path)).collect();
    for path in &known {
        assert!(path.exists(), "{} is no more: take it out", path.display());
    }
    let mut files = sources(&src());
    files.retain(|file| !known.iter().any(|path| file.starts_with(path)));
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|file| lines_with(file, &["quinn"]))
        .collect();
    assert!(wrong.is_empty(), "quinn:\n{}", wrong.join("\n"));
}

/// A task that nobody watches may leave half an agent behind. Commands end with their own.
#[test]
fn every_task_is_vital_or_serves_one_connection() {
    let mut files = sources(&src());
    files.retain(|file| !file.ends_with("task.rs") && room(file).as_deref() != Some("cli"));
    let mut wrong: Vec<String> = files.iter().flat_map(|f| lines_with(f, SPAWNS)).collect();
    // The one that waits for its clients, contained, before it ends.
    wrong.retain(|line| !line.contains("api/server.rs"));
    assert!(wrong.is_empty(), "use crate::task:\n{}", wrong.join("\n"));
}

/// The demo watches its agents from outside, by the machine's time.
#[test]
fn time_comes_from_the_clock() {
    let mut files = sources(&src());
    files.retain(|file| !file.ends_with("clock.rs") && room(file).as_deref() != Some("demo"));
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|file| lines_with(file, UNSTOPPED))
        .collect();
    assert!(wrong.is_empty(), "use crate::clock:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_grows_without_bound() {
    let folders = ["src", "tests", "benches", "fuzz/src", "internal-chaos"];
    let long: Vec<String> = folders
        .iter()
        .flat_map(|folder| sources(&root().join(folder)))
        .map(|file| (fs::read_to_string(&file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > MOST_LINES)
        .map(|(lines, file)| format!("{}: {lines} lines", file.display()))
        .collect();
    assert!(
        long.is_empty(),
        "over {MOST_LINES} lines:\n{}",
        long.join("\n")
    );
}
