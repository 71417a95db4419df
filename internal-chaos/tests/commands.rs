//! The commands as an operator types them.

#![allow(clippy::unwrap_used)] // What goes wrong here fails the test.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use internal_chaos::procstat::state;
use serde_json::Value;

/// Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

fn chaos(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_internal-chaos"));
    command.args(arguments);
    command
}

/// A running command that is talked to line by line. Killed when dropped.
struct Running {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = chaos(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    fn ask(&mut self, command: &str) -> Value {
        writeln!(self.input, "{command}").unwrap();
        self.line()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn conditions_are_listed() {
    let output = chaos(&["conditions"]).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for name in ["lan", "lossy-wan", "satellite", "black-hole"] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}");
    }
}

#[test]
fn a_relay_carries_and_obeys() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let to = server.local_addr().unwrap().to_string();
    let arguments = ["relay", "--listen", "127.0.0.1:0", "--to", &to];
    let mut relay = Running::start(&[&arguments[..], &["--seed", "3"]].concat());
    let started = relay.line();
    assert_eq!(started["condition"], "clear");
    assert_eq!(started["seed"], 3);
    let listen: SocketAddr = started["listen"].as_str().unwrap().parse().unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(listen).unwrap();
    let mut buffer = [0; 16];
    client.send(b"carried").unwrap();
    assert_eq!(server.recv(&mut buffer).unwrap(), 7);

    assert_eq!(relay.ask("cut to-server")["ok"], true);
    client.send(b"cut").unwrap();
    let begun = Instant::now();
    while relay.ask("counters")["to_server"]["cut"] != 1 {
        assert!(begun.elapsed() < PATIENCE, "nothing is cut");
    }
    assert_eq!(relay.ask("condition wan")["ok"], true);
    assert_eq!(relay.ask("show")["to_client"]["delay"], "20ms");
    let error = relay.ask("condition earthquake")["error"].to_string();
    assert!(error.contains("black-hole"), "{error}");
    client.send(b"again").unwrap();
    assert_eq!(server.recv(&mut buffer).unwrap(), 5);
    assert_eq!(relay.ask("quit")["ok"], true);
    assert!(relay.child.wait().unwrap().success());
}

#[test]
fn a_relay_beyond_loopback_has_to_be_allowed() {
    let arguments = ["relay", "--listen", "0.0.0.0:0", "--to", "127.0.0.1:9"];
    let refused = chaos(&arguments).stdin(Stdio::null()).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(error.contains("not on loopback"), "{error}");
    let allowed = [&arguments[..], &["--allow-non-loopback"]].concat();
    let mut relay = Running::start(&allowed);
    assert!(relay.line()["listen"].is_string());
}

#[test]
fn a_fault_is_healed_when_its_command_is_told_to_end() {
    let mut victim = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = victim.id().to_string();
    let mut fault = chaos(&["fault", "stop", "--pid", &pid, "--seconds", "60"])
        .spawn()
        .unwrap();
    await_state(victim.id(), true);
    let told = Command::new("kill").arg(fault.id().to_string()).status();
    assert!(told.unwrap().success());
    fault.wait().unwrap();
    await_state(victim.id(), false);
    victim.kill().unwrap();
    victim.wait().unwrap();
    let gone = chaos(&["fault", "stop", "--pid", &pid]).output().unwrap();
    assert_eq!(gone.status.code(), Some(1));
}

/// Waits until a process is stopped, or no longer.
fn await_state(pid: u32, stopped: bool) {
    let begun = Instant::now();
    while (state(pid) == Some('T')) != stopped {
        assert!(begun.elapsed() < PATIENCE, "{pid}: {:?}", state(pid));
        std::thread::yield_now();
    }
}

#[test]
fn a_load_that_checks_itself_reports() {
    let mut server = Running::start(&["workload", "serve", "--checked", "127.0.0.1:0"]);
    let to = server.line()["checked"].as_str().unwrap().to_owned();
    let load = ["workload", "checked", "--to", &to, "--bytes", "100000"];
    for kind in ["both", "half-close", "storm"] {
        let output = chaos(&[&load[..], &["--kind", kind]].concat())
            .output()
            .unwrap();
        assert!(output.status.success(), "{kind}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["connections"]["ok"], 1, "{kind}: {report}");
        assert_eq!(report["bytes"], report["exact"], "{kind}");
    }
}
