//! Who is trusted no more, by revocation or by time, is out within a second: links, sessions, routes,
//! handshakes.

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::support::socks;
use crate::support::traffic::{Echo, fetch, try_fetch};
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target};

const DAY: i64 = 86_400;

/// A connection that nobody sends on.
fn hold(proxy: SocketAddr, target: &Target) -> TcpStream {
    let stream = socks::connect(proxy, target.address()).expect("a way to the target");
    let patience = Some(Duration::from_secs(30));
    stream.set_read_timeout(patience).expect("an open socket");
    stream
}

/// Waits until the other end is gone.
fn await_end(mut stream: TcpStream) {
    match stream.read(&mut [0]) {
        Ok(0) => {}
        Ok(_) => panic!("nobody sent anything"),
        Err(error) => {
            let kind = error.kind();
            assert_eq!(kind, std::io::ErrorKind::ConnectionReset, "{error}");
        }
    }
}

#[test]
fn who_is_revoked_loses_sessions_links_and_routes_and_may_come_back() {
    let mesh = Mesh::new();
    let list = |name: &str| mesh.dir().join(format!("{name}.revoked"));
    for name in ["exit", "transit"] {
        fs::write(list(name), "# nobody\n").expect("a writable folder");
    }
    let revoking = |name: &str| {
        let file = format!("trust: {{ revoke_file: './{name}.revoked' }}");
        Spec::new(name).listen().extra(&file)
    };
    let lists = ["exit", "transit"].map(list);
    let mut mesh = mesh;
    mesh.add(revoking("exit").exit(LOOPBACK));
    mesh.add(revoking("transit").peer("exit"));
    mesh.add(Spec::new("bad").socks5().peer("transit"));
    mesh.add(Spec::new("good").socks5().peer("transit"));
    for name in ["exit", "transit", "bad", "good"] {
        mesh.start(name);
    }
    for name in ["bad", "good"] {
        mesh.await_chosen(name, "127.0.0.1", &["transit", "exit"]);
    }
    let target = Target::start();
    let (bad, good) = (mesh.socks("bad"), mesh.socks("good"));
    let mut echo = Echo::open(good, target.address());
    let held = hold(bad, &target);
    let id = mesh.id("bad").to_owned();

    // At the exit alone: the session ends, while the link with the transit lives.
    fs::write(&lists[0], format!("{id} # stolen\n")).expect("a writable folder");
    await_end(held);
    mesh.await_log("exit", &["session ends", "revoked", &id]);
    eventually("no new session", || {
        (!try_fetch(bad, target.address())).then_some(())
    });
    mesh.await_peers("transit", 3);

    // At its neighbour: the link ends, and none comes instead.
    fs::write(&lists[1], format!("{id}\n")).expect("a writable folder");
    mesh.await_peers("transit", 2);
    mesh.await_log("transit", &["link ends", "revoked", &id]);
    mesh.await_log("bad", &["revoked"]);
    echo.round(1_000);
    fetch(good, target.address());

    for list in &lists {
        fs::write(list, "").expect("a writable folder");
    }
    eventually("it is back", || {
        try_fetch(bad, target.address()).then_some(())
    });
    echo.finish();
}

#[test]
fn what_lives_by_a_certificate_ends_with_it() {
    let mut mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK).own_clock(),
        Spec::new("late")
            .socks5()
            .peer("exit")
            .grants(&["--ingress", "--days", "1"]),
        Spec::new("friend").socks5().peer("exit"),
    ]);
    for name in ["late", "friend"] {
        mesh.await_chosen(name, "127.0.0.1", &["exit"]);
    }
    let target = Target::start();
    let mut echo = Echo::open(mesh.socks("friend"), target.address());
    let held = hold(mesh.socks("late"), &target);
    let id = mesh.id("late").to_owned();

    // Clocks may be two minutes apart.
    mesh.set_clock("exit", DAY + 30);
    mesh.await_log("exit", &["this host's clock was set", "ahead"]);
    let ended = |mesh: &mut Mesh| mesh.process("exit").log().contains("counts no more");
    assert!(!ended(&mut mesh));

    mesh.set_clock("exit", DAY + 600);
    await_end(held);
    mesh.await_log("exit", &["session ends", "expired", &id]);
    mesh.await_log("exit", &["link ends", "expired", &id]);
    mesh.await_peers("exit", 1);
    echo.round(1_000);
    echo.finish();
}

#[test]
fn a_list_that_cannot_be_read_starts_nobody_and_frees_nobody() {
    let mut mesh = Mesh::new();
    let list = mesh.dir().join("revoked");
    fs::write(&list, "not an id\n").expect("a writable folder");
    let exit = Spec::new("exit").listen().exit(LOOPBACK);
    mesh.add(exit.extra("trust: { revoke_file: ./revoked }"));
    mesh.add(Spec::new("bad").socks5().peer("exit"));
    mesh.start("exit");
    let code = mesh.await_exit("exit", Duration::from_secs(20));
    assert!(matches!(code, Some(1 | 2)), "exit code {code:?}");
    mesh.await_log("exit", &["revoked", "line 1"]);

    let id = mesh.id("bad").to_owned();
    fs::write(&list, &id).expect("a writable folder");
    mesh.start("exit");
    mesh.start("bad");
    mesh.await_log("bad", &["revoked"]);
    for text in ["not an id\n", ""] {
        fs::write(&list, text).expect("a writable folder");
        if text.is_empty() {
            fs::remove_file(&list).expect("it is there");
        }
        mesh.await_log("exit", &["what was revoked stays so"]);
    }
    mesh.await_peers("exit", 0);
}
