//! Secrets from where people keep them: hashes in files of their own, PEM in the configuration itself,
//! credentials of the service manager.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::reload::{self, changes, downs, edit};
use crate::support::command::{run, warren};
use crate::support::mesh::path_text;
use crate::support::traffic::{Echo, fetch};
use crate::support::wait::eventually;
use crate::support::{Mesh, Spec, Target, WARREN, pair, socks};

fn hash(password: &str) -> String {
    run(Command::new(WARREN).arg("hash"), password).success()
}

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).expect("the test's folder is writable");
}

/// PEM files of an agent as keys of its file.
fn inline(mesh: &Mesh, name: &str) -> String {
    let mut tls = "tls:\n".to_owned();
    for (key, file) in [
        ("ca_pem", "ca.crt".to_owned()),
        ("cert_pem", format!("{name}.crt")),
        ("key_pem", format!("{name}.key")),
    ] {
        let pem = fs::read_to_string(mesh.dir().join(file)).expect("a file of the test's folder");
        let lines: Vec<String> = pem.lines().map(|line| format!("    {line}\n")).collect();
        tls.push_str(&format!("  {key}: |\n{}", lines.concat()));
    }
    tls
}

#[test]
fn passwords_and_tokens_in_files_change_without_a_restart() {
    let mut mesh = Mesh::new();
    write(mesh.dir(), "ann.hash", &hash("old"));
    write(mesh.dir(), "token.hash", &hash("first"));
    mesh.add(pair::exit());
    let users = "auth: { enabled: true, users: [{ username: ann, password_hash_file: ann.hash }] }";
    let spec = Spec::new("ingress").socks5_with(users).peer("exit");
    mesh.add(spec.http("token_hash_file: token.hash"));
    mesh.start("exit");
    mesh.start("ingress");
    mesh.await_ready("ingress");
    let target = Target::start();
    let (port, address) = (mesh.socks("ingress"), target.address());
    let login = |password: &str| socks::connect_as(port, "ann", password, address);
    let held = login("old").expect("the password is right");

    let new = hash("new");
    write(mesh.dir(), "ann.hash", &new);
    let socket = path_text(&mesh.dir().join("ingress-data/api.sock"));
    // The operator of this host needs no token.
    let reload = || warren(&["reload", "--api", &socket]);
    let user = "socks5.auth.users[ann].password_hash_file\n";
    assert_eq!(reload().success(), user);
    assert!(login("old").is_err(), "the old password opens nothing");
    login("new").expect("the new one does");

    // A file that is gone, empty, or holds something else changes nothing.
    for (text, told) in [
        (None, "ann.hash cannot be read: No such file"),
        (Some(""), "ann.hash is empty"),
        (Some("hunter2"), "ann.hash holds no hash"),
    ] {
        match text {
            None => fs::remove_file(mesh.dir().join("ann.hash")).expect("it is there"),
            Some(text) => write(mesh.dir(), "ann.hash", text),
        }
        let failed = reload();
        assert_eq!(failed.code, Some(1), "{failed:#?}");
        assert!(failed.stderr.contains(told), "{failed:#?}");
        assert!(!failed.stderr.contains("hunter2"), "{failed:#?}");
        login("new").expect("nothing has changed");
    }
    write(mesh.dir(), "ann.hash", &new);
    drop(held);

    let api = mesh.api_url("ingress");
    let opens = |token: &str| warren(&["peers", "--api", &api, "--token", token]).code == Some(0);
    assert!(opens("first") && !opens("second"));
    write(mesh.dir(), "token.hash", &hash("second"));
    assert_eq!(reload().success(), "http.token_hash_file\n");
    assert!(opens("second") && !opens("first"));
}

#[test]
fn a_watched_file_of_a_hash_counts_by_itself() {
    let mut mesh = Mesh::new();
    write(mesh.dir(), "one", &hash("one"));
    write(mesh.dir(), "two", &hash("two"));
    let link = mesh.dir().join("ann.hash");
    std::os::unix::fs::symlink("one", &link).expect("the test's folder is writable");
    mesh.add(pair::exit());
    let users = "auth: { enabled: true, users: [{ username: ann, password_hash_file: ann.hash }] }";
    mesh.add(Spec::new("ingress").socks5_with(users).peer("exit"));
    let file = mesh.write_config("ingress");
    mesh.start("exit");
    mesh.start("ingress");
    mesh.await_ready("ingress");
    edit(&mesh, "ingress", "  id: auto", "  watch: true\n  id: auto");
    assert_eq!(changes(&mesh, "ingress"), ["agent.watch"]);
    let target = Target::start();
    let (port, address) = (mesh.socks("ingress"), target.address());
    socks::connect_as(port, "ann", "one", address).expect("the password is right");
    // As Kubernetes swaps what it mounts.
    let new = mesh.dir().join("new");
    std::os::unix::fs::symlink("two", &new).expect("the test's folder is writable");
    fs::rename(&new, &link).expect("the test's folder is writable");
    eventually("the other password counts", || {
        socks::connect_as(port, "ann", "two", address).ok()
    });
    assert!(socks::connect_as(port, "ann", "one", address).is_err());
    mesh.await_log("ingress", &["reloaded", "users[ann].password_hash_file"]);
    assert!(file.exists());
}

#[test]
fn an_agent_whose_file_holds_its_certificate_and_key_is_renewed_by_a_reload() {
    let mesh = pair::start();
    let target = Target::start();
    let mut echo = Echo::open(mesh.socks("ingress"), target.address());
    echo.round(1_000);
    let by_path = "tls: { ca: ca.crt, cert: exit.crt, key: exit.key }\n";
    let before = inline(&mesh, "exit");
    edit(&mesh, "exit", by_path, &before);
    // The same in another place: keys differ, and nothing that counts.
    let moved = changes(&mesh, "exit");
    let keys = ["ca", "ca_pem", "cert", "cert_pem", "key", "key_pem"];
    assert_eq!(moved, keys.map(|key| format!("tls.{key}")));
    let dir = path_text(mesh.dir());
    let renew = ["cert", "agent", "--renew", "--days", "700", "-n", "exit"];
    warren(&[&renew[..], &["--ca", &dir, "-o", &dir]].concat()).success();
    edit(&mesh, "exit", &before, &inline(&mesh, "exit"));
    assert_eq!(changes(&mesh, "exit"), ["tls.cert_pem"]);
    assert!(mesh.metric("exit", "warren_certificate_expiry_seconds") > 600.0 * 86_400.0);
    fetch(mesh.socks("ingress"), target.address());
    echo.round(1_000);

    // Half of it is refused where it stands.
    edit(&mesh, "exit", "-----END PRIVATE KEY-----", "");
    let failed = reload::reload(&mesh, "exit");
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    let told = "tls.key_pem: this text holds no PEM private key";
    assert!(failed.stderr.contains(told), "{failed:#?}");
    echo.finish();
    assert_eq!(downs(&mesh, "ingress") + downs(&mesh, "exit"), 0);
}

#[test]
fn loose_modes_are_told_of_and_credentials_have_none() {
    let mut mesh = Mesh::new();
    write(mesh.dir(), "token.hash", &hash("token"));
    let mode = |name: &str, mode: u32| {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(mesh.dir().join(name), permissions).expect("the test's own file");
    };
    mode("token.hash", 0o644);
    mesh.add(
        Spec::new("agent")
            .listen()
            .http("token_hash_file: token.hash"),
    );
    let mode = |name: &str, mode: u32| {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(mesh.dir().join(name), permissions).expect("the test's own file");
    };
    // What systemd gives to a service, which reads it by an access list.
    mode("agent.key", 0o440);
    let file = path_text(&mesh.write_config("agent"));
    let check = |credentials: Option<&Path>| {
        let mut command = Command::new(WARREN);
        command.args(["check", "-c", &file]);
        if let Some(folder) = credentials {
            command.env("CREDENTIALS_DIRECTORY", folder);
        }
        run(&mut command, "").success()
    };
    let told = check(None);
    let warned = |text: &str| {
        told.lines()
            .any(|l| l.starts_with("warn") && l.contains(text))
    };
    assert!(
        warned("token.hash holds a secret and has mode 644"),
        "{told}"
    );
    assert!(warned("agent.key has mode 440"), "{told}");
    let told = check(Some(mesh.dir()));
    assert!(!told.contains("has mode"), "{told}");
}
