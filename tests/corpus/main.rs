//! Replays the committed seeds of `fuzz/corpus` through the bodies of the fuzz targets, on stable.
//! `docs/fuzzing.md` says how seeds come about.

// The fuzz crate's targets are its interface; here they are the test's own.
#[allow(unreachable_pub)]
#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Most seeds of one target: a replay takes seconds, and a clone of the repository stays small.
const MOST_FILES: usize = 64;

/// Most bytes of one target's seeds.
const MOST_BYTES: u64 = 256 * 1024;

fn fuzz(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(folder)
}

/// The names of what is in a folder, without any `.rs`.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("a plain name");
    entries
        .map(|entry| name(entry.expect("a readable folder")))
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .collect()
}

fn replay(target: &str) {
    let (_, run) = targets::TARGETS
        .iter()
        .find(|(name, _)| *name == target)
        .expect("a target");
    let folder = fuzz("corpus").join(target);
    let seeds = names(&folder);
    assert!(!seeds.is_empty(), "{folder:?} is empty");
    assert!(seeds.len() <= MOST_FILES, "{folder:?}: {}", seeds.len());
    let mut bytes = 0;
    for seed in &seeds {
        let input = fs::read(folder.join(seed)).expect("a readable seed");
        bytes += input.len() as u64;
        if catch_unwind(AssertUnwindSafe(|| run(&input))).is_err() {
            panic!(
                "{target} fails; see it alone: cargo +nightly fuzz run {target} fuzz/corpus/{target}/{seed}"
            );
        }
    }
    assert!(bytes <= MOST_BYTES, "{folder:?} holds {bytes} bytes");
}

macro_rules! replays {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                replay(stringify!($target));
            }
        )*

        const REPLAYED: &[&str] = &[$(stringify!($target)),*];
    };
}

replays! {
    advertisement certificate config control_frame core_inputs packet_header payload probe
    proxy_header socks text tunnel_frame
}

#[test]
fn every_target_is_built_has_seeds_and_is_replayed() {
    let targets: BTreeSet<String> = targets::TARGETS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let replayed: BTreeSet<String> = REPLAYED.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(replayed, targets);
    assert_eq!(names(&fuzz("fuzz_targets")), targets);
    assert_eq!(names(&fuzz("corpus")), targets);
    let manifest = fs::read_to_string(fuzz("Cargo.toml")).expect("the fuzz package");
    for target in targets {
        let line = format!("path = \"fuzz_targets/{target}.rs\"");
        assert!(manifest.contains(&line), "{target} is not built");
    }
}
