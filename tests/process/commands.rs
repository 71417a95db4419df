//! The commands that ask a running agent.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;

use serde_json::Value;

use crate::support::command::{run, warren};
use crate::support::mesh::path_text;
use crate::support::traffic::Echo;
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target, WARREN, line};

fn ask(mesh: &Mesh, command: &[&str]) -> Value {
    let url = mesh.api_url("ingress");
    let mut arguments = command.to_vec();
    arguments.extend(["--api", &url, "--json"]);
    let text = warren(&arguments).success();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{command:?}: {error} in {text}"))
}

#[test]
fn a_running_agent_tells_about_itself() {
    let mesh = line::start();
    let target = Target::start();
    let mut echo = Echo::open(mesh.socks("ingress"), target.address());
    echo.round(100);

    let status = ask(&mesh, &["status"]);
    assert!(status.to_string().contains(mesh.id("ingress")), "{status}");
    let peers = ask(&mesh, &["peers"]);
    assert!(peers.to_string().contains(mesh.id("transit")), "{peers}");
    let routes = ask(&mesh, &["routes"]);
    assert!(routes.to_string().contains("127.0.0.0/8"), "{routes}");
    let streams = ask(&mesh, &["streams"]);
    assert!(streams.to_string().contains(mesh.id("exit")), "{streams}");

    let explained = ask(&mesh, &["explain", "127.0.0.1"]);
    assert_eq!(explained["dest"], "127.0.0.1");
    let chosen = &explained["chosen"];
    assert_eq!(chosen["exit"], mesh.id("exit"));
    let path = [mesh.id("transit"), mesh.id("exit")].map(Value::from);
    assert_eq!(chosen["path"].as_array().expect("a list"), &path);
    assert_eq!(chosen["metric"], 2);
    assert!(chosen["rtt_ms"].is_number() || chosen["rtt_ms"].is_null());
    let nowhere = ask(&mesh, &["explain", "10.9.9.9"]);
    assert_eq!(nowhere["chosen"], Value::Null);

    // The same for people.
    let url = mesh.api_url("ingress");
    for command in [
        &["status"][..],
        &["peers"],
        &["routes"],
        &["streams"],
        &["explain", "127.0.0.1"],
    ] {
        let mut arguments = command.to_vec();
        arguments.extend(["--api", &url]);
        let text = warren(&arguments).success();
        assert!(!text.trim().is_empty(), "{command:?} says nothing");
    }
    echo.finish();
}

#[test]
fn an_explanation_says_why_the_others_were_not_chosen() {
    let mesh = Mesh::start_all([
        Spec::new("near").listen().exit(LOOPBACK),
        Spec::new("far").listen().exit(LOOPBACK),
        Spec::new("wide").listen().exit("routes: [126.0.0.0/7]"),
        Spec::new("ingress")
            .socks5()
            .peer("near")
            .peer_at("far", 5)
            .peer("wide"),
    ]);
    mesh.await_paths("ingress", "127.0.0.1", &[&["near"], &["far"], &["wide"]]);
    let explained = ask(&mesh, &["explain", "127.0.0.1"]);
    assert_eq!(explained["chosen"]["exit"], mesh.id("near"));
    for name in ["far", "wide"] {
        let candidates = explained["candidates"].as_array().expect("a list");
        let candidate = candidates.iter().find(|one| one["exit"] == mesh.id(name));
        let candidate = candidate.unwrap_or_else(|| panic!("{name} is not in {explained}"));
        let why = candidate["rejected"].as_str();
        assert!(why.is_some_and(|why| !why.is_empty()), "{candidate}");
    }
}

#[test]
fn an_agent_that_does_not_run_is_an_error_that_names_the_address() {
    let port = crate::support::ports::free_port();
    let url = format!("http://127.0.0.1:{port}");
    for command in ["status", "peers", "routes", "streams"] {
        let finished = warren(&[command, "--api", &url]);
        assert_eq!(finished.code, Some(1), "{finished:#?}");
        assert_eq!(finished.stderr.lines().count(), 1, "{finished:#?}");
        assert!(
            finished.stderr.contains(&format!("127.0.0.1:{port}")),
            "{finished:#?}"
        );
    }
}

#[test]
fn a_check_that_dials_is_no_warning_to_the_peer() {
    let mut mesh = Mesh::start_all([Spec::new("exit").listen().exit(LOOPBACK)]);
    mesh.add(Spec::new("ingress").socks5().peer("exit"));
    eventually("the exit answers", || mesh.healthz("exit"));
    let config = path_text(&mesh.write_config("ingress"));
    let lines = warren(&["check", "-c", &config, "--connect"]).success();
    assert!(lines.contains("answers as exit"), "{lines}");
    let line = mesh.await_log("exit", &["link checked"]);
    assert!(line.contains("INFO"), "{line}");
    let log = mesh.process("exit").log();
    assert!(!log.contains("WARN"), "{log}");
}

#[test]
fn ready_tells_supervisors_by_its_exit_code() {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("exit").listen().exit(LOOPBACK));
    mesh.add(Spec::new("ingress").socks5().peer("exit"));
    mesh.start("ingress");
    eventually("the ingress answers", || mesh.healthz("ingress"));
    let url = mesh.api_url("ingress");
    let ready = || warren(&["ready", "--api", &url]);
    let not_yet = ready();
    assert_eq!((not_yet.code, not_yet.stdout.as_str()), (Some(1), ""));
    let why = not_yet.error_line();
    assert!(why.contains("not ready: no live link to any peer"), "{why}");
    mesh.start("exit");
    mesh.await_ready("ingress");
    assert_eq!(ready().success(), "ready\n");
    mesh.kill("ingress");
    assert_eq!(ready().code, Some(1));
}

#[test]
fn a_check_of_a_running_agents_file_knows_its_ports() {
    let mut mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("ingress").listen().socks5().peer("exit"),
    ]);
    mesh.await_ready("ingress");
    let config = path_text(&mesh.write_config("ingress"));
    let lines = warren(&["check", "-c", &config]).success();
    assert_eq!(
        lines.matches("is in use by this agent").count(),
        3,
        "{lines}"
    );
    // Another agent's file with the same ports is told as ever.
    let yaml = fs::read_to_string(&config).expect("it was written");
    let other = yaml
        .replace("ingress.crt", "exit.crt")
        .replace("ingress.key", "exit.key");
    assert_ne!(yaml, other);
    let path = mesh.dir().join("other.yaml");
    fs::write(&path, other).expect("it is writable");
    let failed = warren(&["check", "-c", &path_text(&path)]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert_eq!(
        failed
            .stdout
            .matches("is an agent running already?")
            .count(),
        3,
        "{failed:?}"
    );
    // And whoever else has them.
    mesh.kill("ingress");
    let _taken = UdpSocket::bind(mesh.link("ingress")).expect("the port is free again");
    let failed = warren(&["check", "-c", &config]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(
        failed.stdout.contains("is an agent running already?"),
        "{failed:?}"
    );
}

#[test]
fn a_taken_port_is_told_once() {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("agent").listen());
    let _taken = UdpSocket::bind(mesh.link("agent")).expect("the port was free");
    let config = path_text(&mesh.write_config("agent"));
    let failed = warren(&["run", "-c", &config]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    let line = failed.error_line();
    assert!(line.contains("listeners[0].address: cannot bind"), "{line}");
    assert_eq!(line.matches("in use").count(), 1, "{line}");
}

#[test]
fn the_development_ca_makes_what_the_files_beside_it_read() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/certs/make-dev-ca.sh");
    let dir = tempfile::tempdir().expect("the system has a folder for temporary files");
    let (some, none) = (dir.path().join("some/certs"), dir.path().join("none/certs"));
    fs::create_dir(dir.path().join("some")).expect("the test's folder is writable");
    let yaml =
        "tls:\n  ca: ./certs/ca.crt\n  cert: ./certs/east-1.crt\n  key: ./certs/east-1.key\n";
    fs::write(dir.path().join("some/a.yaml"), yaml).expect("the test's folder is writable");
    for (out, names, made) in [
        (&some, vec![], vec!["east-1"]),
        (&some, vec!["west"], vec!["west"]),
        (&none, vec![], vec!["exit", "transit", "ingress"]),
    ] {
        let out = path_text(out);
        let mut command = Command::new("sh");
        command.args([script, "-o", &out]).args(&names);
        let printed = run(command.env("WARREN", WARREN), "").success();
        let lines: Vec<&str> = printed.lines().map(str::trim).collect();
        assert_eq!(lines.len(), made.len(), "{printed}");
        for (line, name) in lines.iter().zip(made) {
            let variable = name.to_uppercase().replace('-', "_");
            let id = line.strip_prefix(&format!("export {variable}_ID="));
            let id = id.expect("a line to paste");
            assert_eq!(id.len(), 32, "{line}");
            let info = warren(&["cert", "info", &format!("{out}/{name}.crt")]).success();
            assert!(info.contains(id), "{info}");
        }
    }
}
