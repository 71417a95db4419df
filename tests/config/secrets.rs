//! Hashes in files of their own, and PEM in the file itself: what counts, and what is said of mistakes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;
use warren::config::Config;
use warren::identity::{Authority, Validity};

const HASH: &str = "$2b$04$WUHhXETkX0fnYkrqZU3ta.N8Utt4U77kW4RVbchzgvBvBBEEdCD/u";

/// A folder with files of these contents.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("a writable folder");
    }
    folder
}

fn load(folder: &Path, text: &str) -> Result<Config, String> {
    load_with(folder, text, &[])
}

/// Loads `text` as a file of `folder`, with these variables.
fn load_with(folder: &Path, text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let file = folder.join("agent.yaml");
    fs::write(&file, text).expect("a writable folder");
    let env = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Config::load_with_env(&file, &env).map_err(|errors| errors.to_string())
}

fn token(config: &Config) -> &str {
    let http = config.http.as_ref().expect("it is on by default");
    &http.token_hash.as_ref().expect("there is one").text
}

/// A CA, and a certificate and key under it.
fn pems() -> [String; 3] {
    let validity = Validity::days(warren::clock::unix_now(), 10);
    let (ca, issued) = Authority::create("mesh", validity).expect("a CA");
    let agent = ca.issue("agent", None, validity).expect("a certificate");
    [issued.certificate_pem, agent.certificate_pem, agent.key_pem]
}

/// A block of YAML under `key` of `tls`.
fn block(key: &str, pem: &str) -> String {
    let lines: Vec<String> = pem.lines().map(|line| format!("    {line}\n")).collect();
    format!("  {key}: |\n{}", lines.concat())
}

#[test]
fn a_hash_is_read_from_its_file_with_or_without_the_end_of_its_line() {
    for end in ["", "\n", "\r\n"] {
        let folder = folder(&[("token", &format!("{HASH}{end}"))]);
        let config = load(folder.path(), "http: { token_hash_file: token }").unwrap();
        assert_eq!(token(&config), HASH, "{end:?}");
        assert_eq!(config.files(), [folder.path().join("token")].into());
    }
    let folder = folder(&[("ann", HASH), ("bob", HASH)]);
    let text = "socks5: { enabled: true, auth: { enabled: true, users: [\
                { username: ann, password_hash_file: ann }, { username: bob, password_hash_file: ./bob }] } }";
    let config = load(folder.path(), text).unwrap();
    let users = config.socks5.unwrap().users.unwrap();
    assert!(users.iter().all(|user| user.password_hash.text == HASH));
    assert_eq!(config.secret_files.len(), 2);
}

#[test]
fn a_folder_of_credentials_is_a_variable_as_any_other() {
    let folder = folder(&[("token", HASH)]);
    let text = "http: { token_hash_file: \"${CREDENTIALS_DIRECTORY}/token\" }";
    let error = load(folder.path(), text).unwrap_err();
    let unset = "http.token_hash_file: the variable CREDENTIALS_DIRECTORY is not set";
    assert!(error.contains(unset), "{error}");
    let dir = folder.path().to_str().unwrap().to_owned();
    let config = load_with(folder.path(), text, &[("CREDENTIALS_DIRECTORY", &dir)]);
    assert_eq!(token(&config.unwrap()), HASH);
}

#[test]
fn what_is_wrong_with_a_file_of_a_hash_is_told_without_what_it_holds() {
    let folder = folder(&[
        ("empty", "\n"),
        ("plain", "hunter2\n"),
        ("two", &format!("{HASH}\nhunter2\n")),
        ("costly", &HASH.replace("$04$", "$17$")),
        ("long", &"hunter2 ".repeat(1_000)),
    ]);
    fs::write(folder.path().join("bytes"), b"hunter2\xff").unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    for (name, why) in [
        ("empty", "is empty; it is to hold what `warren hash` prints"),
        (
            "plain",
            "holds no hash: not an argon2 or bcrypt hash; make one with `warren hash`",
        ),
        ("two", "holds no hash: not an argon2"),
        ("costly", "holds no hash: a hash that takes more than"),
        ("long", "cannot be read: longer than 4096 bytes"),
        ("bytes", "cannot be read: not UTF-8"),
        ("folder", "cannot be read: is a directory"),
        ("/dev/zero", "cannot be read: not a regular file"),
        ("none", "cannot be read: No such file or directory"),
    ] {
        let error = load(
            folder.path(),
            &format!("http:\n  token_hash_file: {name}\n"),
        );
        let error = error.unwrap_err();
        let path = folder.path().join(name).display().to_string();
        let told = format!("agent.yaml:2:20: http.token_hash_file: {path} {why}");
        assert!(error.contains(&told), "{name}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn one_of_two_forms_and_never_both() {
    let folder = folder(&[("hash", HASH), ("x.crt", "")]);
    let [ca, certificate, key] = pems();
    let user = format!("{{ username: a, password_hash: '{HASH}', password_hash_file: hash }}");
    for (text, told) in [
        (
            format!("http: {{ token_hash: '{HASH}', token_hash_file: hash }}"),
            "http.token_hash_file: token_hash is given, too; keep one of them",
        ),
        (
            format!("socks5: {{ auth: {{ users: [{user}] }} }}"),
            "socks5.auth.users[0].password_hash_file: password_hash is given, too; keep one of them",
        ),
        (
            format!("tls:\n  ca: x.crt\n{}", block("ca_pem", &ca)),
            "tls.ca_pem: ca is given, too; keep one of them",
        ),
        (
            format!("tls:\n{}", block("cert_pem", &certificate)),
            "tls.cert_pem: tls.key is missing; a certificate needs its key",
        ),
        (
            format!("tls:\n{}", block("key_pem", &key)),
            "tls.key_pem: tls.cert is missing; a key needs its certificate",
        ),
    ] {
        let error = load(folder.path(), &text).unwrap_err();
        assert!(error.contains(told), "{told}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(!error.contains("-----"), "{error}");
    }
}

#[test]
fn pem_in_the_file_counts_as_a_file_does_and_is_never_shown() {
    let folder = folder(&[]);
    let [ca, certificate, key] = pems();
    let text = format!(
        "tls:\n{}{}{}",
        block("ca_pem", &ca),
        block("cert_pem", &certificate),
        block("key_pem", &key)
    );
    let config = load(folder.path(), &text).unwrap();
    let secret = key.lines().nth(1).unwrap();
    assert!(!format!("{config:?}").contains(secret));
    // The key stands in the file, so that this is a file of secrets.
    assert_eq!(
        config.secret_files,
        [folder.path().join("agent.yaml")].into()
    );
    let variables = [("CA", &*ca), ("CERT", &*certificate), ("KEY", &*key)];
    let by_variables = "tls: { ca_pem: \"${CA}\", cert_pem: \"${CERT}\", key_pem: \"${KEY}\" }";
    let other = load_with(folder.path(), by_variables, &variables).unwrap();
    assert_eq!(other.secret_files, [].into());
    assert_eq!(config.diff(&other), []);

    for (text, told) in [
        (
            "tls: { ca_pem: hunter2 }".to_owned(),
            "tls.ca_pem: this text holds no PEM certificate",
        ),
        (
            format!("tls:\n{}", block("ca_pem", &certificate)),
            "tls.ca_pem: this text is not a CA certificate",
        ),
        (
            format!(
                "tls:\n{}{}",
                block("cert_pem", &key),
                block("key_pem", &key)
            ),
            "tls.cert_pem: this text holds no PEM certificate",
        ),
        (
            format!(
                "tls:\n{}{}",
                block("cert_pem", &certificate),
                block("key_pem", &certificate)
            ),
            "tls.key_pem: this text holds no PEM private key (PKCS#8, not encrypted)",
        ),
    ] {
        let error = load(folder.path(), &text).unwrap_err();
        assert!(error.contains(told), "{told}: {error}");
        assert!(
            !error.contains(secret) && !error.contains("hunter2"),
            "{error}"
        );
    }
}

#[test]
fn a_secret_in_the_place_of_its_path_is_not_repeated() {
    let [.., key] = pems();
    let secret = key.lines().nth(1).unwrap();
    let text = format!("tls:\n  cert: a.crt\n{}", block("key", &key));
    for (text, secret) in [
        (text, secret),
        (format!("http: {{ token_hash_file: '{HASH}' }}"), HASH),
    ] {
        let error = load(folder(&[]).path(), &text).unwrap_err();
        let told = "is a hash or PEM itself, where the path of a file is wanted";
        assert!(error.contains(told), "{error}");
        assert!(!error.contains(secret), "{error}");
    }
}

#[test]
fn the_difference_names_the_key_that_the_value_is_from() {
    let folder = folder(&[("hash", HASH)]);
    let inline = load(folder.path(), &format!("http: {{ token_hash: '{HASH}' }}")).unwrap();
    let text = "http: { token_hash_file: hash }";
    let in_file = load(folder.path(), text).unwrap();
    let names = |one: &Config, other: &Config| -> Vec<String> {
        one.diff(other).iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        names(&inline, &in_file),
        ["http.token_hash", "http.token_hash_file"]
    );
    fs::write(folder.path().join("hash"), HASH.replace("$04$", "$05$")).unwrap();
    let changed = load(folder.path(), text).unwrap();
    assert_eq!(names(&in_file, &changed), ["http.token_hash_file"]);
}

#[test]
fn files_of_secrets_that_anybody_may_read_are_warned_of() {
    let folder = folder(&[("hash", HASH)]);
    let path = folder.path().join("hash");
    let config = load(folder.path(), "http: { token_hash_file: hash }").unwrap();
    for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let warnings = config.warnings();
        assert_eq!(!warnings.is_empty(), warned, "{mode:o}: {warnings:?}");
        for warning in warnings {
            let words = format!("{} holds a secret and has mode 644", path.display());
            assert!(warning.to_string().contains(&words), "{warning}");
        }
    }
}
