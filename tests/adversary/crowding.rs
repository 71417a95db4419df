//! One source that takes all the places it can get, and the neighbour that finds room.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::support::traffic::try_fetch;
use crate::support::{LOOPBACK, Mesh, Spec, Target};

/// Whose connections fill the port: not where the agents and their users are.
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 66));

/// Opens a connection from the stranger's address.
pub(crate) fn open(to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let from = SocketAddr::from((STRANGER, 0));
    socket
        .bind(&from.into())
        .expect("loopback has this address");
    socket.connect(&to.into()).expect("the port listens");
    socket.into()
}

/// How long each of so many downloads took, ascending; all must succeed.
fn fetches(socks: SocketAddr, target: SocketAddr, count: usize) -> Vec<Duration> {
    let fetch = |_| {
        let start = Instant::now();
        assert!(try_fetch(socks, target), "a user was refused");
        start.elapsed()
    };
    let mut took: Vec<Duration> = (0..count).map(fetch).collect();
    took.sort_unstable();
    took
}

#[test]
fn silent_clients_of_one_source_lock_out_no_user() {
    let mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("ingress")
            .socks5_with("max_connections: 300")
            .peer("exit"),
    ]);
    mesh.await_chosen("ingress", "127.0.0.1", &["exit"]);
    let target = Target::start();
    let (socks, target) = (mesh.socks("ingress"), target.address());
    let idle = fetches(socks, target, 100);
    let _silent: Vec<TcpStream> = (0..600).map(|_| open(socks)).collect();
    let crowded = fetches(socks, target, 100);
    println!("idle p50 {:?} p99 {:?}", idle[50], idle[98]);
    println!(
        "beside 600 silent p50 {:?} p99 {:?}",
        crowded[50], crowded[98]
    );
}

#[test]
fn idle_http_connections_of_one_source_close_no_check() {
    let mesh = Mesh::start_all([Spec::new("agent").listen()]);
    let agent = mesh.http("agent");
    crate::support::wait::eventually("the agent answers", || mesh.healthz("agent"));
    let mut idle: Vec<TcpStream> = (0..300).map(|_| open(agent)).collect();
    // From a balancer on another host, which has none of this host's own places.
    let ask = |host: u8| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let from = SocketAddr::from(([127, 0, 0, host], 0));
        socket
            .bind(&from.into())
            .expect("loopback has this address");
        socket.connect(&agent.into()).expect("the port listens");
        let mut stream = TcpStream::from(socket);
        write!(stream, "GET /health HTTP/1.0\r\n\r\n").expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    for host in 70..80 {
        assert!(ask(host).ends_with("OK"), "127.0.0.{host}");
    }
    // Those over the share were closed at once.
    let last = idle.last_mut().expect("300 of them");
    assert_eq!(last.read(&mut [0]).expect("a clean end"), 0);
}

#[test]
fn a_session_comes_about_where_its_source_must_be_proved() {
    // With one place, half of which is taken at once, every handshake is asked for a proof.
    let mesh = Mesh::start_all([
        Spec::new("exit")
            .listen()
            .exit(LOOPBACK)
            .extra("limits: { pending_handshakes: 1 }\n"),
        Spec::new("transit").listen().peer("exit"),
        Spec::new("ingress").socks5().peer("transit"),
    ]);
    mesh.await_chosen("ingress", "127.0.0.1", &["transit", "exit"]);
    let target = Target::start();
    assert!(try_fetch(mesh.socks("ingress"), target.address()));
}
