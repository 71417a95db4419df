//! Folders, variables and stand-in certificate files.

use std::fs;
use std::path::{Path, PathBuf};

use warren::config::Config;

/// A folder of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The YAML files of a folder and the folders in it, sorted.
pub(crate) fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is part of the project") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            files.extend(yaml_files(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The variables that fixtures use. Every name that ends in `_ID` is an agent id of its own.
pub(crate) fn env(name: &str) -> Option<String> {
    let value = match name {
        "NAME" => "relay-7",
        "SOCKS_ENABLED" => "true",
        "SOCKS_PORT" => "1085",
        "TTL" => "10m",
        "EMPTY" => "",
        "INJECTION" => "true\nmax_connections: 1 # [a, b]",
        "SECRET_TOKEN" => "hunter2",
        "SOCKS_PASSWORD_HASH" => "$2b$04$WUHhXETkX0fnYkrqZU3ta.N8Utt4U77kW4RVbchzgvBvBBEEdCD/u",
        _ if name.ends_with("_ID") => {
            let number = name.bytes().fold(7_u128, |sum, byte| {
                sum.wrapping_mul(257).wrapping_add(byte.into())
            });
            return Some(format!("{number:032x}"));
        }
        _ => return None,
    };
    Some(value.to_owned())
}

/// Parses a text that is expected to be good.
pub(crate) fn parse(text: &str) -> Config {
    Config::parse(text, "agent.yaml", Path::new("/etc/warren"), &env)
        .unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// The error lines of a text that is expected to be bad.
pub(crate) fn errors(text: &str) -> String {
    match Config::parse(text, "agent.yaml", Path::new("/etc/warren"), &env) {
        Ok(config) => panic!("{text:?} was accepted: {config:?}"),
        Err(errors) => errors.to_string(),
    }
}

/// The files that `config` names.
pub(crate) fn named_files(config: &Config) -> Vec<PathBuf> {
    let files = config.files().into_iter();
    files.chain(config.revoke_file.clone()).collect()
}

/// Copies a file to a folder of its own, makes the files it names, and loads it.
pub(crate) fn load_copy(file: &Path) -> Config {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let text = fs::read_to_string(file).expect("a readable fixture");
    let copy = folder.path().join("agent.yaml");
    fs::write(&copy, &text).expect("a writable folder");
    let parsed = Config::parse(&text, "agent.yaml", folder.path(), &env)
        .unwrap_or_else(|errors| panic!("{}: {errors}", file.display()));
    for named in named_files(&parsed) {
        let parent = named.parent().expect("a file has a folder");
        fs::create_dir_all(parent).expect("a writable folder");
        fs::write(&named, "").expect("a writable folder");
    }
    let loaded = Config::load_with_env(&copy, &env)
        .unwrap_or_else(|errors| panic!("{}: {errors}", file.display()));
    assert_eq!(format!("{loaded:?}"), format!("{parsed:?}"));
    loaded
}
