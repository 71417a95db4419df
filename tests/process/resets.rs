//! What came before a reset arrives, through the mesh and through an agent that is its own exit, as it
//! does between two kernels (RFC 9293 section 3.10.7).

#![allow(clippy::print_stdout)] // What was seen, with --nocapture.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, socks};

/// As many as showed the loss every time.
const TRIES: usize = 24;

const REQUEST: &[u8] = b"a request that nobody reads";
const ANSWER: &[u8] = b"HTTP/1.1 401 Unauthorized\r\n\r\n";
const BANNER: &[u8] = b"220 a banner that nobody reads\r\n";
const LAST_WORDS: &[u8] = b"QUIT\r\n";

/// An ingress with an exit behind it, and an agent that is both.
fn mesh() -> Mesh {
    let mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("transit").listen().peer("exit"),
        Spec::new("ingress").socks5().peer("transit"),
        Spec::new("both").listen().socks5().exit(LOOPBACK),
    ]);
    mesh.await_chosen("ingress", "127.0.0.1", &["transit", "exit"]);
    mesh.await_ready("both");
    mesh
}

fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("127.0.0.1 has a free port")
}

fn address(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("a bound socket")
}

/// Waits for a first byte, which stays unread, says something and leaves: the kernel sends a reset.
fn say_and_leave(mut stream: TcpStream, words: &[u8]) {
    stream.peek(&mut [0]).expect("something to leave unread");
    stream.write_all(words).expect("an open connection");
}

/// Everything that arrives, and how it ends.
fn read_all(mut stream: TcpStream) -> (Vec<u8>, Option<io::ErrorKind>) {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes);
    (bytes, end.err().map(|error| error.kind()))
}

/// Counts the tries of which all arrived, and prints them.
fn tries(what: &str, once: impl Fn() -> (Vec<u8>, Option<io::ErrorKind>), right: &[u8]) {
    let outcomes: Vec<_> = (0..TRIES).map(|_| once()).collect();
    let whole = outcomes.iter().filter(|(bytes, _)| bytes == right).count();
    let reset = Some(io::ErrorKind::ConnectionReset);
    let resets = outcomes.iter().filter(|(_, end)| *end == reset).count();
    println!("{what}: {whole} of {TRIES} whole, {resets} ended by a reset");
    assert_eq!((whole, resets), (TRIES, TRIES), "{what}: {outcomes:?}");
}

/// The kernel alone, for comparison, or through one of the agents.
fn connect(mesh: &Mesh, way: &str, to: SocketAddr) -> TcpStream {
    match way {
        "direct" => TcpStream::connect(to).expect("somebody listens"),
        agent => socks::connect(mesh.socks(agent), to).expect("a route"),
    }
}

#[test]
fn last_bytes_before_a_reset_arrive_both_ways() {
    let mesh = mesh();
    for way in ["direct", "ingress", "both"] {
        let target = listener();
        let to = address(&target);
        let answered = || {
            let mut client = connect(&mesh, way, to);
            client.write_all(REQUEST).expect("an open connection");
            say_and_leave(target.accept().expect("a client").0, ANSWER);
            read_all(client)
        };
        tries(&format!("answers, {way}"), answered, ANSWER);
        let said = || {
            let client = connect(&mesh, way, to);
            let (mut accepted, _) = target.accept().expect("a client");
            accepted.write_all(BANNER).expect("an open connection");
            say_and_leave(client, LAST_WORDS);
            read_all(accepted)
        };
        tries(&format!("last words, {way}"), said, LAST_WORDS);
    }
}

/// Descriptors that a process has open.
fn descriptors(mesh: &mut Mesh, name: &str) -> usize {
    let folder = format!("/proc/{}/fd", mesh.process(name).id());
    std::fs::read_dir(folder).expect("a live process").count()
}

#[test]
fn a_reset_after_a_half_close_leaves_no_descriptor_behind() {
    let mut mesh = mesh();
    for name in ["ingress", "both", "exit"] {
        // What the first connection opens and keeps.
        let target = listener();
        let way = if name == "both" { "both" } else { "ingress" };
        let to = address(&target);
        drop(socks::connect(mesh.socks(way), to).expect("a route"));
        drop(target.accept().expect("a client"));
        thread::sleep(Duration::from_millis(200));
        let before = descriptors(&mut mesh, name);
        for round in 0..20 {
            let client = socks::connect(mesh.socks(way), to).expect("a route");
            let (accepted, _) = target.accept().expect("a client");
            let (leaves, mut stays) = match round % 2 {
                0 => (client, accepted),
                _ => (accepted, client),
            };
            leaves
                .shutdown(Shutdown::Write)
                .expect("an open connection");
            assert_eq!(stays.read(&mut [0]).expect("a half-close"), 0);
            let leaving = socket2::SockRef::from(&leaves).set_linger(Some(Duration::ZERO));
            leaving.expect("an open connection");
            drop(leaves);
            // `stays` lives on, as an application does that has not noticed yet.
            eventually(&format!("{name} has closed what it opened"), || {
                (descriptors(&mut mesh, name) <= before).then_some(())
            });
            drop(stays);
        }
    }
}
