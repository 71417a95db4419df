//! `warren demo`: the first thing that a stranger tries.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use crate::support::command::warren;
use crate::support::process::Process;
use crate::support::traffic::fetch;
use crate::support::wait::eventually;
use crate::support::{Target, WARREN, http};

const SOCKS: &str = "127.0.0.1:1080";
const HTTP: &str = "127.0.0.1:8080";

#[test]
fn the_drill_loses_no_byte() {
    let drill = warren(&["demo", "--drill"]);
    assert_eq!(drill.code, Some(0), "{drill:#?}");
    assert!(!drill.stdout.is_empty(), "the drill tells what happened");
}

#[test]
fn a_taken_port_is_told_with_the_option_that_gives_another() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("127.0.0.1 has a free port");
    let address = taken.local_addr().expect("it is bound");
    let port = address.port().to_string();
    for (option, other) in [("--port", "--http-port"), ("--http-port", "--port")] {
        let failed = warren(&["demo", option, &port, other, "0"]);
        assert_eq!(failed.code, Some(1), "{failed:#?}");
        assert_eq!(failed.stderr.lines().count(), 1, "{failed:#?}");
        let line = failed.error_line();
        assert!(line.contains(&format!("{address} is in use")), "{line}");
        assert!(line.contains(&format!("another port: {option} ")), "{line}");
    }
}

#[test]
fn the_demo_serves_on_the_ports_of_the_documentation() {
    let address = |text: &str| -> SocketAddr { text.parse().expect("an address") };
    for port in [SOCKS, HTTP] {
        let free = TcpListener::bind(address(port));
        assert!(
            free.is_ok(),
            "{port} is in use: stop what listens there and run the test again"
        );
    }
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let mut demo = Process::spawn(
        "demo",
        Command::new(WARREN).arg("demo").current_dir(dir.path()),
        &dir.path().join("demo.log"),
    );
    eventually("the demo is ready", || {
        let answer = http::get(address(HTTP), "/ready").ok()?;
        (answer.status == 200).then_some(())
    });
    let target = Target::start();
    fetch(address(SOCKS), target.address());
    eventually("a line to try is printed", || {
        demo.log().contains("curl").then_some(())
    });

    demo.signal("INT");
    let status = demo.wait_exit(Duration::from_secs(10));
    assert_eq!(status.code(), Some(0));
    let files = std::fs::read_dir(dir.path()).expect("a readable folder");
    assert_eq!(
        files.count(),
        1,
        "no file but the test's own log is left behind"
    );
}
