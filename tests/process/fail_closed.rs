//! Refusals: each with the reply code that says why, none by a way around the mesh.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::ports::free_port;
use crate::support::socks::{self, Address, Refused, refusal};
use crate::support::traffic::fetch;
use crate::support::{Mesh, Spec, Target, pair};

const NOT_ALLOWED: u8 = 0x02;
const NO_ROUTE: u8 = 0x03;
const TARGET_REFUSED: u8 = 0x05;
const COMMAND_NOT_SUPPORTED: u8 = 0x07;
const ADDRESS_TYPE_NOT_SUPPORTED: u8 = 0x08;
const UDP_ASSOCIATE: u8 = 3;

#[test]
fn without_a_mesh_nothing_is_reached() {
    let mesh = Mesh::start_all([
        Spec::new("nobody").listen(),
        Spec::new("ingress").socks5().peer("nobody"),
    ]);
    mesh.await_peers("ingress", 1);
    let target = Target::start();
    let socks = mesh.socks("ingress");
    assert_eq!(refusal(socks, target.address()), NO_ROUTE);
    assert_eq!(
        refusal(socks, ("localhost", target.address().port())),
        NO_ROUTE
    );
    assert_eq!(target.accepted(), 0);
}

#[test]
fn an_ingress_alone_refuses_too() {
    let mesh = Mesh::start_all([Spec::new("ingress").socks5()]);
    crate::support::wait::eventually("the ingress runs", || mesh.healthz("ingress"));
    let target = Target::start();
    assert_eq!(refusal(mesh.socks("ingress"), target.address()), NO_ROUTE);
    assert_eq!(target.accepted(), 0);
}

#[test]
fn an_address_outside_every_route_is_refused() {
    let mesh = pair::start();
    let socks = mesh.socks("ingress");
    for outside in ["10.9.9.9:80", "[::1]:80", "0.0.0.0:80"] {
        let address: SocketAddr = outside.parse().expect("an address");
        assert_eq!(refusal(socks, address), NO_ROUTE, "{outside}");
    }
}

#[test]
fn a_refusal_by_the_target_is_told() {
    let mesh = pair::start();
    let closed = SocketAddr::from(([127, 0, 0, 1], free_port()));
    assert_eq!(refusal(mesh.socks("ingress"), closed), TARGET_REFUSED);
}

#[test]
fn commands_and_address_types_we_do_not_know_are_refused() {
    let mesh = pair::start();
    let target = Target::start();
    let socks = mesh.socks("ingress");
    for command in [socks::BIND, UDP_ASSOCIATE, 0x7f] {
        let answer = socks::request(socks, None, command, &target.address().into());
        assert!(
            matches!(answer, Err(Refused::Reply(COMMAND_NOT_SUPPORTED))),
            "command {command}: {answer:?}"
        );
    }
    let odd = Address::Raw(vec![9, 1, 2, 3, 4, 0, 80]);
    assert_eq!(refusal(socks, odd), ADDRESS_TYPE_NOT_SUPPORTED);
    assert_eq!(target.accepted(), 0);
    fetch(socks, target.address());
}

#[test]
fn what_is_not_socks5_is_hung_up_on() {
    let mesh = pair::start();
    let target = Target::start();
    let socks = mesh.socks("ingress");
    for garbage in [
        &b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..],
        b"\x04\x01\x00\x50",
        b"\x05\x00",
    ] {
        let mut stream = TcpStream::connect(socks).expect("the ingress listens");
        stream
            .set_read_timeout(Some(socks::READ_TIMEOUT))
            .expect("a time-out that is not zero");
        stream.write_all(garbage).expect("an open connection");
        let mut answer = Vec::new();
        // A reset is as good as an end: the server did not read everything.
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "{garbage:?}"),
        }
        assert!(!answer.starts_with(&[5, 0]), "{garbage:?}: {answer:?}");
    }
    // A client that says nothing at all must not keep others out.
    let silent: Vec<TcpStream> = (0..20)
        .map(|_| TcpStream::connect(socks).expect("the ingress listens"))
        .collect();
    fetch(socks, target.address());
    drop(silent);
}

#[test]
fn the_exit_dials_only_what_it_advertises_whatever_a_neighbour_asks() {
    // The certificate grants less than the file says: the mesh believes the certificate.
    let mut mesh = Mesh::start_all([
        Spec::new("exit")
            .listen()
            .exit("routes: [127.0.0.1/32, 10.0.0.0/8]")
            .grants(&["--route", "127.0.0.0/8"]),
        Spec::new("ingress").socks5().peer("exit"),
    ]);
    mesh.await_ready("ingress");
    let target = Target::start();
    fetch(mesh.socks("ingress"), target.address());
    let outside: SocketAddr = "10.9.9.9:80".parse().expect("an address");
    assert_eq!(refusal(mesh.socks("ingress"), outside), NO_ROUTE);
    assert!(mesh.process("exit").is_running());
}

#[test]
fn a_default_route_does_not_lead_into_the_exit_and_no_route_to_its_own_listeners() {
    let target = Target::start();
    let port = target.address().port();
    let exit = |routes: &str| {
        let mesh = Mesh::start_all([
            Spec::new("exit").listen().exit(routes),
            Spec::new("ingress").socks5().peer("exit"),
        ]);
        mesh.await_ready("ingress");
        mesh
    };
    let open = exit("routes: ['0.0.0.0/0', '::/0']");
    let socks = open.socks("ingress");
    for inside in [
        "127.0.0.1",
        "127.1.2.3",
        "169.254.169.254",
        "[::1]",
        "[fe80::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ] {
        let address: SocketAddr = format!("{inside}:{port}").parse().expect("an address");
        assert_eq!(refusal(socks, address), NOT_ALLOWED, "{inside}");
    }
    assert_eq!(target.accepted(), 0);

    let meant = exit("routes: ['0.0.0.0/0'], allow_special: [127.0.0.0/8]");
    fetch(meant.socks("ingress"), target.address());
    for own in [meant.http("exit"), meant.link("exit")] {
        assert_eq!(refusal(meant.socks("ingress"), own), NOT_ALLOWED, "{own}");
    }
}
