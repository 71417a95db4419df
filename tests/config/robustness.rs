//! Input that nobody should write: noise, bombs, wrong files.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use warren::config::{Config, ConfigErrors, MAX_FILE_BYTES, Problem};

use crate::support::{env, errors, project, yaml_files};

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(text, "agent.yaml", Path::new(""), &env)
}

/// Errors are lines that start with the file's name, whatever the file holds.
fn check_lines(errors: &ConfigErrors) {
    for error in errors.iter() {
        let line = error.to_string();
        assert!(line.starts_with("agent.yaml"), "{line:?}");
        assert!(!line.contains(['\n', '\r']), "{line:?}");
    }
    assert!(errors.iter().next().is_some());
}

/// A text made of pieces of real files, so that it gets past the first line.
fn shuffled() -> impl Strategy<Value = String> {
    let mut pieces: Vec<String> = [
        "&a ",
        "*a",
        "<<: ",
        "- ",
        "? ",
        "!!str ",
        "{",
        "}",
        "[",
        "]",
        "|\n",
        ">-\n",
        "---\n",
        "\t",
        "\u{feff}",
        "\0",
        "${",
        "}",
        "${A:-",
        "'",
        "\"",
        "#",
        "%YAML 1.2\n",
        "~",
        "\r\n",
        "  ",
    ]
    .map(str::to_owned)
    .to_vec();
    for file in yaml_files(&project("tests/data/config")) {
        let text = fs::read_to_string(file).expect("a readable fixture");
        pieces.extend(text.lines().map(|line| format!("{line}\n")));
    }
    prop::collection::vec(prop::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}|[ -~\n]{0,200}") {
        if let Err(errors) = parse(&text) {
            check_lines(&errors);
        }
    }

    #[test]
    fn no_shuffled_file_makes_the_parser_panic(text in shuffled()) {
        if let Err(errors) = parse(&text) {
            check_lines(&errors);
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn what_a_variable_holds_is_never_yaml(value in "\\PC{0,60}|[ -~\n]{0,60}") {
        let env = |_: &str| Some(value.clone());
        let text = "routing:\n  max_hops: 3\nagent:\n  display_name: ${V}\n";
        match Config::parse(text, "agent.yaml", Path::new(""), &env) {
            Ok(config) => {
                prop_assert_eq!(config.agent.display_name.unwrap_or_default(), value);
                prop_assert_eq!(config.routing.max_hops, 3);
            }
            Err(errors) => {
                check_lines(&errors);
                prop_assert!(errors.iter().all(|error| error.key == "agent.display_name"));
            }
        }
    }
}

#[test]
fn a_file_beyond_the_limit_is_refused_unread() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let file = folder.path().join("agent.yaml");
    fs::write(&file, "#".repeat(MAX_FILE_BYTES + 1)).expect("a writable folder");
    let said = Config::load(&file).expect_err("too large").to_string();
    assert!(
        said.ends_with("agent.yaml: the file is larger than 4194304 bytes"),
        "{said}"
    );
    assert!(errors(&"#".repeat(MAX_FILE_BYTES + 1)).contains("larger than"));
}

#[test]
fn a_file_full_of_faults_is_cut_short() {
    let text: String = (0..20_000)
        .map(|number| format!("key{number}: 1\n"))
        .collect();
    let said = errors(&text);
    assert_eq!(said.lines().count(), 51);
    assert!(said.ends_with("and 19950 more errors"), "{said}");
}

#[test]
fn the_largest_file_of_routes_is_read() {
    let count = 40_000;
    let mut text = format!("limits: {{ routes_per_origin: {count} }}\n");
    text.push_str("exit:\n  enabled: true\n  routes:\n");
    for number in 0..count {
        text.push_str(&format!(
            "    - 10.{}.{}.0/24\n",
            number / 256,
            number % 256
        ));
    }
    assert!(text.len() < MAX_FILE_BYTES);
    let exit = parse(&text).expect("valid").exit.expect("it is on");
    assert_eq!(exit.routes.len(), count);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let said = Config::load(Path::new("/nonexistent/agent.yaml"))
        .expect_err("there is none")
        .to_string();
    assert!(
        said.starts_with("/nonexistent/agent.yaml: cannot read the file: "),
        "{said}"
    );
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let said = Config::load(folder.path())
        .expect_err("a folder")
        .to_string();
    assert!(said.contains("cannot read the file"), "{said}");
}

#[test]
fn bytes_that_are_not_text_are_placed() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let file = folder.path().join("agent.yaml");
    fs::write(&file, b"agent:\n  display_name: \"\xc3\xa4\xff\"\n").expect("a writable folder");
    let errors = Config::load(&file).expect_err("not UTF-8");
    let said = errors.to_string();
    assert!(
        said.contains("agent.yaml:2:19: the file is not UTF-8 text"),
        "{said}"
    );
}

#[test]
fn missing_certificate_files_are_named_where_they_stand() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let file = folder.path().join("agent.yaml");
    let text = "tls:\n  ca: ./ca.crt\n  cert: agent.crt\n  key: agent.key\npeers:\n  - id: \"${PEER_ID}\"\n    address: host:1\n    tls: { ca: other.crt }\n";
    fs::write(&file, text).expect("a writable folder");
    fs::write(folder.path().join("agent.crt"), "").expect("a writable folder");
    // A folder in the place of a file cannot be read by anybody, not even by root.
    fs::create_dir(folder.path().join("agent.key")).expect("a writable folder");
    let errors = Config::load_with_env(&file, &env).expect_err("files are missing");
    let places: Vec<_> = errors
        .iter()
        .map(|error| {
            assert!(
                matches!(error.problem, Problem::UnreadableFile { .. }),
                "{error}"
            );
            let line = error.place.expect("a value has a place").line;
            (line, error.key.as_str())
        })
        .collect();
    assert_eq!(
        places,
        [(2, "tls.ca"), (4, "tls.key"), (8, "peers[0].tls.ca")]
    );
    let path = folder.path().join("ca.crt").display().to_string();
    assert!(errors.to_string().contains(&path), "{errors}");
}

#[test]
fn secrets_are_never_repeated() {
    for text in [
        "http:\n  token_hash: hunter2\n",
        "http:\n  token_hash: \"${SECRET_TOKEN}\"\n",
        "socks5: { auth: { users: [{ username: u, password_hash: hunter2 }] } }\n",
        "http:\n  token_hash: a password with ${hunter2\n",
    ] {
        let said = errors(text);
        assert!(!said.contains("hunter2"), "{said}");
        assert!(
            said.contains("warren hash") || text.contains("${hunter2"),
            "{said}"
        );
    }
    for url in [
        "http://user:hunter2@host/",
        "http://user:hunter2/3@host/",
        "https://user:hunter2@host/",
        "user:hunter2@host",
    ] {
        let said = errors(&format!("exit: {{ health_checks: [{{ http: '{url}' }}] }}"));
        assert!(!said.contains("hunter2"), "{said}");
    }
}
