//! Who may use the SOCKS5 port, and how many at once.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use crate::support::command::run;
use crate::support::socks::{self, Refused};
use crate::support::traffic::{Echo, fetch, try_fetch};
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target, WARREN};

fn mesh(socks5: &str) -> Mesh {
    let mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("ingress").socks5_with(socks5).peer("exit"),
    ]);
    mesh.await_ready("ingress");
    mesh
}

/// A hash made as the documentation says.
pub(crate) fn hash(password: &str) -> String {
    let hash = run(Command::new(WARREN).arg("hash"), &format!("{password}\n")).success();
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    hash.trim().to_owned()
}

#[test]
fn a_password_hashed_by_warren_opens_the_port_and_nothing_else_does() {
    let hash = hash("correct horse");
    let mesh = mesh(&format!(
        "auth: {{ enabled: true, users: [{{ username: alice, password_hash: '{hash}' }}] }}"
    ));
    let target = Target::start();
    let socks = mesh.socks("ingress");

    let mut stream = socks::connect_as(socks, "alice", "correct horse", target.address())
        .expect("the right password");
    stream.write_all(b"hold\n").expect("an open connection");
    stream.read_exact(&mut [0; 5]).expect("the target answers");
    let seen = target.accepted();

    for (user, password) in [
        ("alice", "wrong"),
        ("alice", ""),
        ("bob", "correct horse"),
        ("", ""),
    ] {
        let answer = socks::connect_as(socks, user, password, target.address());
        let refused = matches!(answer, Err(Refused::Login(_) | Refused::Io(_)));
        assert!(refused, "{user}:{password}: {answer:?}");
    }
    let answer = socks::connect(socks, target.address());
    assert!(matches!(answer, Err(Refused::Method(0xff))), "{answer:?}");
    assert_eq!(target.accepted(), seen);

    let second = socks::connect_as(socks, "alice", "correct horse", target.address());
    second.expect("the right password after wrong ones");
}

#[test]
fn max_connections_is_enforced_and_room_comes_back() {
    let mesh = mesh("max_connections: 3");
    let target = Target::start();
    let socks = mesh.socks("ingress");
    let mut held: Vec<Echo> = (0..3)
        .map(|_| Echo::open(socks, target.address()))
        .collect();
    held.iter_mut().for_each(|echo| echo.round(100));

    // Refused, and not kept waiting.
    assert!(!try_fetch(socks, target.address()));
    let mut stream = TcpStream::connect(socks).expect("the ingress listens");
    stream
        .set_read_timeout(Some(socks::READ_TIMEOUT))
        .expect("a time-out that is not zero");
    let answer = stream
        .write_all(&[5, 1, 0])
        .and_then(|()| stream.read(&mut [0; 2]));
    assert!(!matches!(answer, Ok(2)), "a fourth connection is served");

    held.iter_mut().for_each(|echo| echo.round(100));
    held.pop().expect("three are held").finish();
    eventually("there is room for one again", || {
        try_fetch(socks, target.address()).then_some(())
    });
    drop(held);
    fetch(socks, target.address());
}
