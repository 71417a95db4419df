//! Who may be a neighbour. Refusals are logged, retried, and end when the reason ends.

use std::fs;
use std::time::Duration;

use warren::clock::unix_now;
use warren::identity::{Authority, Validity};

use crate::support::command::warren;
use crate::support::mesh::path_text;
use crate::support::traffic::fetch;
use crate::support::{LOOPBACK, Mesh, Spec, Target};

const DEST: &str = "127.0.0.1";

/// Replaces an agent's certificate and key by ones from another CA of the same name.
fn make_foreign(mesh: &mut Mesh, spec: Spec) {
    let foreign = mesh.dir().join("foreign");
    let dir = path_text(&foreign);
    warren(&["cert", "ca", "-n", "test mesh", "-o", &dir]).success();
    let arguments = [
        "cert",
        "agent",
        "--unrestricted",
        "-n",
        &spec.name,
        "--ca",
        &dir,
        "-o",
        &dir,
    ];
    let id = warren(&arguments).success().trim().to_owned();
    for extension in ["crt", "key"] {
        let file = format!("{}.{extension}", spec.name);
        fs::copy(foreign.join(&file), mesh.dir().join(&file)).expect("a writable folder");
    }
    mesh.add_as(spec, id);
}

#[test]
fn a_stranger_is_refused_with_a_line_in_the_log() {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("exit").listen().exit(LOOPBACK));
    mesh.add(Spec::new("friend").socks5().peer("exit"));
    make_foreign(&mut mesh, Spec::new("stranger").socks5().peer("exit"));
    for name in ["exit", "friend", "stranger"] {
        mesh.start(name);
    }
    mesh.await_ready("friend");
    let id = mesh.id("stranger").to_owned();
    mesh.await_log("exit", &["refused", "foreign CA", &id]);
    // The stranger is told, and goes on trying.
    mesh.await_log("stranger", &["refused", "foreign CA"]);
    let attempts = |mesh: &mut Mesh| {
        let log = mesh.process("exit").log();
        let refused = log.lines().filter(|line| line.contains("foreign CA"));
        refused.count()
    };
    crate::support::wait::eventually("the stranger tries again", || {
        (attempts(&mut mesh) >= 2).then_some(())
    });
    mesh.await_peers("exit", 1);
    mesh.await_peers("stranger", 0);
    assert_eq!(mesh.get("stranger", "/ready").status, 503);
    let target = Target::start();
    fetch(mesh.socks("friend"), target.address());
}

#[test]
fn a_peer_with_another_key_than_the_pinned_one_is_refused_until_the_right_one_answers() {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("exit").listen().exit(LOOPBACK));
    mesh.add(Spec::new("impostor").listen().exit(LOOPBACK));
    mesh.add(Spec::new("ingress").socks5().peer("exit"));
    // The impostor has a good certificate of the same mesh, and sits on the exit's address.
    mesh.share_link_port("impostor", "exit");
    mesh.start("impostor");
    mesh.start("ingress");
    let (expected, found) = (mesh.id("exit").to_owned(), mesh.id("impostor").to_owned());
    mesh.await_log("ingress", &["wrong id", &expected, &found]);
    mesh.await_peers("ingress", 0);
    let target = Target::start();
    let code = crate::support::socks::refusal(mesh.socks("ingress"), target.address());
    assert_eq!(code, 0x03);

    mesh.kill("impostor");
    mesh.start("exit");
    mesh.await_chosen("ingress", DEST, &["exit"]);
    fetch(mesh.socks("ingress"), target.address());
}

#[test]
fn a_pinned_peer_needs_no_ca() {
    let mut mesh = Mesh::new();
    let id = |mesh: &Mesh, name: &str| {
        let data = path_text(&mesh.dir().join(format!("{name}-data")));
        warren(&["init", "-d", &data]).success().trim().to_owned()
    };
    let (exit, ingress) = (id(&mesh, "exit"), id(&mesh, "ingress"));
    let allow = format!("trust: {{ allow: ['{ingress}'] }}");
    let own_key = |spec: Spec| spec.self_signed();
    let spec = Spec::new("exit").listen().exit(LOOPBACK).extra(&allow);
    mesh.add_as(own_key(spec), exit);
    mesh.add_as(own_key(Spec::new("ingress").socks5().peer("exit")), ingress);
    mesh.start("exit");
    mesh.start("ingress");
    mesh.await_chosen("ingress", DEST, &["exit"]);
    let target = Target::start();
    fetch(mesh.socks("ingress"), target.address());
}

#[test]
fn a_certificate_that_ended_is_refused() {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("exit").listen().exit(LOOPBACK));
    mesh.add(Spec::new("friend").socks5().peer("exit"));
    let spec = Spec::new("late").socks5().peer("exit");
    let files = ["crt", "key"].map(|extension| mesh.dir().join(format!("late.{extension}")));

    // Its own agent says so at the start.
    let authority = Authority::load(mesh.dir()).expect("the mesh has a CA");
    let now = unix_now();
    let issue = |not_after| {
        let validity = Validity {
            not_before: now - 3600,
            not_after,
        };
        let issued = authority.issue("late", None, validity).expect("a key");
        let _ = files.iter().try_for_each(fs::remove_file);
        issued
            .store(&files[0], &files[1])
            .expect("a writable folder");
        issued.id.to_string()
    };
    let id = issue(now - 60);
    mesh.add_as(spec.clone(), id);
    mesh.start("late");
    let code = mesh.await_exit("late", Duration::from_secs(20));
    assert!(matches!(code, Some(1 | 2)), "exit code {code:?}");
    mesh.await_log("late", &["late.crt", "expired"]);

    // One that ends while it runs is refused by the others.
    let id = issue(unix_now() + 4);
    mesh.add_as(spec, id.clone());
    mesh.start("late");
    crate::support::wait::eventually("the certificate ended", || {
        (unix_now() > now + 6).then_some(())
    });
    mesh.start("exit");
    mesh.start("friend");
    mesh.await_ready("friend");
    mesh.await_log("exit", &["refused", "expired", &id]);
    mesh.await_peers("late", 0);
    mesh.await_peers("exit", 1);
}

#[test]
fn a_peer_that_is_not_there_yet_is_dialled_until_it_is() {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("exit").listen().exit(LOOPBACK));
    mesh.add(Spec::new("ingress").socks5().peer("exit"));
    mesh.start("ingress");
    let address = mesh.link("exit").to_string();
    mesh.await_log("ingress", &[&address]);
    assert_eq!(mesh.get("ingress", "/ready").status, 503);
    mesh.start("exit");
    mesh.await_ready("ingress");
    let target = Target::start();
    fetch(mesh.socks("ingress"), target.address());
}
