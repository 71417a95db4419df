//! An agent that may have few files open: it takes fewer connections, says so, and stays operable.

use std::net::TcpStream;

use crate::support::traffic::try_fetch;
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target};

/// Some hundreds more than the agent needs for itself.
const LIMIT: u32 = 900;

/// More than the limit.
const CLIENTS: usize = 1_000;

fn small() -> Spec {
    Spec::new("agent")
        .open_files(LIMIT)
        .extra("limits: { http_connections: 16, dns_queries: 16 }")
        .exit(LOOPBACK)
}

#[test]
fn the_line_is_a_warning_where_the_operator_chose_the_number() {
    for (keys, level) in [("", "INFO"), ("max_connections: 5000", "WARN")] {
        let mut mesh = Mesh::start_all([small().socks5_with(keys)]);
        let line = mesh.await_log(
            "agent",
            &["fewer connections fit", "socks5.max_connections"],
        );
        assert!(line.contains(level), "{line}");
    }
}

#[test]
fn more_clients_than_files_leave_the_agent_operable() {
    let mut mesh = Mesh::start_all([small().socks5()]);
    let target = Target::start();
    mesh.await_ready("agent");
    let clients: Vec<TcpStream> = (0..CLIENTS)
        .map_while(|_| TcpStream::connect(mesh.socks("agent")).ok())
        .collect();
    assert!(mesh.healthz("agent").is_some());
    drop(clients);
    eventually("clients are served again", || {
        try_fetch(mesh.socks("agent"), target.address()).then_some(())
    });
    let log = mesh.process("agent").log();
    assert!(!log.contains("Too many open files"), "{log}");
}
