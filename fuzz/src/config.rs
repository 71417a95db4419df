//! Configuration files as anybody may write them, with variables.

use std::path::Path;

use warren::config::Config;

/// An environment with something set, something empty, and something that looks like YAML.
fn env(name: &str) -> Option<String> {
    match name {
        "A" => Some("10.0.0.0/8".to_owned()),
        "ID" => Some("0123456789abcdef0123456789abcdef".to_owned()),
        "EMPTY" => Some(String::new()),
        "TRICK" => Some("x\nrouting: { max_hops: 3 }\n${A}".to_owned()),
        _ => None,
    }
}

/// A text is a configuration, or a list of errors of one line each.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let Err(errors) = Config::parse(text, "fuzz.yaml", Path::new("/"), &env) else {
        return;
    };
    assert!(errors.iter().next().is_some(), "a refusal has a reason");
    for error in errors.iter() {
        let line = error.to_string();
        assert!(line.starts_with("fuzz.yaml"), "{line:?}");
        assert!(!line.contains(['\n', '\r']), "{line:?}");
    }
}
