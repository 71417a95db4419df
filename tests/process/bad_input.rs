//! What a wrong file, a busy port or a wrong key looks like: one line, what, where, what to do.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use crate::support::command::{Finished, warren};
use crate::support::mesh::path_text;
use crate::support::{LOOPBACK, Mesh, Spec};

const BAD_USAGE: i32 = 2;

/// Runs an agent that cannot start.
fn start_fails(mesh: &Mesh, name: &str) -> Finished {
    let config = path_text(&mesh.write_config(name));
    let finished = warren(&["run", "-c", &config]);
    assert!(matches!(finished.code, Some(1 | 2)), "{finished:#?}");
    assert_eq!(finished.stdout, "", "errors belong on stderr");
    for noise in ["panicked", "RUST_BACKTRACE", "Err("] {
        assert!(!finished.stderr.contains(noise), "{finished:#?}");
    }
    finished
}

/// The error is one line that holds all these words.
fn names(finished: &Finished, words: &[&str]) {
    let line = finished.error_line();
    for word in words {
        assert!(
            line.contains(word),
            "no {word:?} in {line:?}: {finished:#?}"
        );
    }
}

fn whole() -> Mesh {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("agent").listen().socks5().exit(LOOPBACK));
    mesh
}

#[test]
fn a_wrong_file_is_refused_with_file_line_and_column() {
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let path = dir.path().join("agent.yaml");
    let file = path_text(&path);
    for (yaml, words) in [
        (
            "socks5:\n  enabledd: true\n",
            &["agent.yaml:2:3", "enabledd", "enabled"][..],
        ),
        (
            "agent:\n  display_name: a\n  display_name: b\n",
            &["agent.yaml:3:", "display_name"],
        ),
        (
            "connections:\n  dead_after: soon\n",
            &["agent.yaml:2:", "dead_after"],
        ),
        (
            "connections:\n  heartbeat: 1h\n",
            &["agent.yaml:2:", "heartbeat"],
        ),
        (
            "exit:\n  enabled: true\n  routes:\n    - 10.0.0.1/8\n",
            &["agent.yaml:4:", "10.0.0.1/8"],
        ),
        (
            "agent:\n  display_name: ${NO_SUCH_VARIABLE_HERE}\n",
            &["agent.yaml:2:", "NO_SUCH_VARIABLE_HERE"],
        ),
        ("agent: [\n", &["agent.yaml:"]),
        (
            "peers:\n  - id: abc\n    address: 127.0.0.1:1\n",
            &["agent.yaml:2:", "id"],
        ),
    ] {
        fs::write(&path, yaml).expect("a writable folder");
        for command in ["run", "check"] {
            let finished = warren(&[command, "-c", &file]);
            assert_eq!(finished.code, Some(BAD_USAGE), "{yaml:?}: {finished:#?}");
            names(&finished, words);
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let finished = warren(&["run", "-c", "/nonexistent/agent.yaml"]);
    assert_eq!(finished.code, Some(BAD_USAGE), "{finished:#?}");
    names(&finished, &["/nonexistent/agent.yaml"]);
}

#[test]
fn wrong_usage_is_2() {
    for arguments in [
        &["frobnicate"][..],
        &["run"],
        &["status", "--api", "not a url"],
    ] {
        let finished = warren(arguments);
        assert_eq!(
            finished.code,
            Some(BAD_USAGE),
            "{arguments:?}: {finished:#?}"
        );
    }
}

#[test]
fn a_busy_port_is_named_with_its_key() {
    let mesh = whole();
    let link = UdpSocket::bind(mesh.link("agent")).expect("the port is free");
    names(
        &start_fails(&mesh, "agent"),
        &[&mesh.link("agent").to_string(), "listeners"],
    );
    drop(link);
    let socks = TcpListener::bind(mesh.socks("agent")).expect("the port is free");
    names(
        &start_fails(&mesh, "agent"),
        &[&mesh.socks("agent").to_string(), "socks5.address"],
    );
    drop(socks);
    let http = TcpListener::bind(mesh.http("agent")).expect("the port is free");
    names(
        &start_fails(&mesh, "agent"),
        &[&mesh.http("agent").to_string(), "http.address"],
    );
    drop(http);
}

#[test]
fn an_address_of_another_host_is_named() {
    let mut mesh = Mesh::new();
    // TEST-NET-1 (RFC 5737): no host has it.
    let yaml = "listeners: [{ transport: quic, address: '192.0.2.1:4433' }]";
    mesh.add(Spec::new("agent").extra(yaml));
    names(
        &start_fails(&mesh, "agent"),
        &["192.0.2.1:4433", "listeners"],
    );
}

#[test]
fn files_of_the_identity_that_do_not_fit_are_named() {
    let mut mesh = whole();
    let (key, certificate) = (mesh.dir().join("agent.key"), mesh.dir().join("agent.crt"));
    let good = fs::read(&key).expect("the key was made");

    fs::write(&key, b"").expect("a writable folder");
    names(&start_fails(&mesh, "agent"), &["agent.key"]);
    fs::write(
        &key,
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    )
    .expect("a writable folder");
    names(&start_fails(&mesh, "agent"), &["agent.key"]);

    mesh.add(Spec::new("other").listen());
    fs::copy(mesh.dir().join("other.key"), &key).expect("a writable folder");
    names(
        &start_fails(&mesh, "agent"),
        &["agent.key", "agent.crt", "belong"],
    );

    fs::remove_file(&key).expect("a writable folder");
    // A folder in its place cannot be read by anybody, not even by root.
    fs::create_dir(&key).expect("a writable folder");
    names(&start_fails(&mesh, "agent"), &["agent.key"]);
    fs::remove_dir(&key).expect("a writable folder");
    names(&start_fails(&mesh, "agent"), &["agent.key"]);

    fs::write(&key, good).expect("a writable folder");
    fs::write(&certificate, b"not a certificate").expect("a writable folder");
    names(&start_fails(&mesh, "agent"), &["agent.crt"]);
}

#[test]
fn an_id_that_is_not_the_keys_is_refused() {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("other"));
    let other = mesh.id("other").to_owned();
    mesh.add(Spec::new("agent").id(&other));
    names(&start_fails(&mesh, "agent"), &["agent.id", &other]);
}

#[test]
fn check_finds_the_same_faults_and_passes_a_good_file() {
    let mesh = whole();
    let config = path_text(&mesh.write_config("agent"));
    let good = warren(&["check", "-c", &config]);
    assert_eq!(good.code, Some(0), "{good:#?}");
    assert!(
        good.stdout.lines().count() >= 3,
        "a line per check: {good:#?}"
    );

    let (ip, port) = (Ipv4Addr::LOCALHOST, mesh.socks("agent").port());
    let busy = TcpListener::bind((ip, port)).expect("the port is free");
    let bad = warren(&["check", "-c", &config]);
    assert_eq!(bad.code, Some(1), "{bad:#?}");
    let said = format!("{}{}", bad.stdout, bad.stderr);
    assert!(said.contains(&mesh.socks("agent").to_string()), "{bad:#?}");
    drop(busy);
}
