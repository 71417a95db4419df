//! Clients that are slow on purpose: a byte a second, answers that nobody reads, connections that are
//! kept and not used. Others are served as before, and the slow ones are cut.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::crowding::open;
use crate::scene::{Scene, Took};
use crate::support::traffic::{fetch, try_fetch};
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target, http};

/// More than an agent's HTTP connections, and than the clients of the meshes here.
const MANY: usize = 300;

/// Checks that a balancer of this host makes of the agent, and what `/api` takes.
fn checks(agent: SocketAddr, count: usize) -> Took {
    let ask = |number: usize| {
        let start = Instant::now();
        let path = ["/ready", "/health", "/api/peers"][number % 3];
        let answer = http::get(agent, path).expect("the agent answers");
        assert_eq!(answer.status, 200, "{path}");
        let took = start.elapsed();
        thread::sleep(Duration::from_millis(2));
        took
    };
    Took::of((0..count).map(ask).collect())
}

/// Whether the other end has closed it, with or without a word.
fn is_cut(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).expect("an open socket");
    let mut buffer = [0; 4_096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => return true,
        }
    }
}

/// `MANY` connections of one source that send `first`, and then a byte of `rest` each now and then; checks
/// of others go on meanwhile. Returns the connections.
fn dribble(agent: SocketAddr, what: &str, first: &[u8], rest: u8) -> Vec<TcpStream> {
    let idle = checks(agent, 60);
    let mut slow: Vec<TcpStream> = (0..MANY).map(|_| open(agent)).collect();
    for stream in &mut slow {
        // Those beyond the share are closed already.
        let _ = stream.write_all(first);
    }
    let mut took = Vec::new();
    for _ in 0..4 {
        for stream in &mut slow {
            let _ = stream.write_all(&[rest]);
        }
        took.push(checks(agent, 60));
        thread::sleep(Duration::from_millis(250));
    }
    for attacked in took {
        println!(
            "{what}: idle p50 {:?} p99 {:?}, beside {MANY} p50 {:?} p99 {:?}",
            idle.p50, idle.p99, attacked.p50, attacked.p99
        );
        attacked.assert_beside(idle, what);
    }
    slow
}

fn agent() -> (Mesh, SocketAddr) {
    let mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("agent").socks5().peer("exit"),
    ]);
    mesh.await_ready("agent");
    let http = mesh.http("agent");
    (mesh, http)
}

#[test]
fn heads_of_a_byte_a_second_close_no_check_and_are_cut() {
    let (_mesh, agent) = agent();
    let mut slow = dribble(agent, "slow heads", b"GET /ready HTTP/1.1\r\nx: ", b'x');
    // A head has 20 s, however many bytes of it come.
    eventually("they are cut", || {
        for stream in &mut slow {
            stream.set_nonblocking(true).expect("an open socket");
            let _ = stream.write_all(b"x");
        }
        slow.iter_mut().all(is_cut).then_some(())
    });
}

#[test]
fn bodies_of_a_byte_a_second_close_no_check_and_are_not_waited_for() {
    let (_mesh, agent) = agent();
    for path in ["/ready", "/api/events", "/api/nothing"] {
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n");
        let mut slow = dribble(agent, path, head.as_bytes(), b'x');
        eventually("they are cut", || {
            for stream in &mut slow {
                let _ = stream.write_all(b"x");
            }
            slow.iter_mut().all(is_cut).then_some(())
        });
    }
}

#[test]
fn connections_kept_and_not_used_close_no_check() {
    let (_mesh, agent) = agent();
    let request = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut kept = dribble(agent, "kept", request, b'\r');
    // From an address of its own for each: a check finds a place by the idle ones' end at the latest.
    let from = |host: u8, last: u8| {
        let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, host, last)), 0);
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.expect("a socket");
        socket.bind(&from.into()).expect("loopback has it");
        socket.connect(&agent.into()).expect("the port listens");
        TcpStream::from(socket)
    };
    let mut many: Vec<TcpStream> = (0..MANY)
        .map(|n| from(1 + (n / 200) as u8, 1 + (n % 200) as u8))
        .collect();
    many.iter_mut()
        .for_each(|stream| drop(stream.write_all(request)));
    let mut check = from(9, 9);
    let start = Instant::now();
    check
        .write_all(b"GET /ready HTTP/1.0\r\n\r\n")
        .expect("an open connection");
    let mut answer = String::new();
    let read = check.read_to_string(&mut answer);
    println!(
        "beside {MANY} sources: {:?} {answer:?} {read:?}",
        start.elapsed()
    );
    assert!(answer.ends_with("READY\n"), "{answer:?}");
    kept.clear();
}

/// Answers that nobody reads, a thousand asked for at once on each connection.
#[test]
fn answers_that_nobody_reads_hold_up_nobody_and_fill_no_memory() {
    let mut scene = Scene::new();
    let agent = scene.mesh.http("exit");
    let requests = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(1_000);
    let held = Mutex::new(Vec::new());
    let memory = |scene: &Scene| scene.mesh.metric("exit", "process_resident_memory_bytes") / 1e6;
    let before = memory(&scene);
    scene.under("exit", "answers that nobody reads", || {
        let mut stream = open(agent);
        stream.set_nonblocking(true).expect("an open socket");
        let _ = stream.write(&requests);
        let mut held = held.lock().expect("no panic while locked");
        held.push(stream);
        if held.len() > MANY {
            held.clear();
        }
        thread::sleep(Duration::from_millis(2));
        1
    });
    let grown = memory(&scene) - before;
    assert!(grown < 64.0, "{grown} MB more");
}

/// Whole requests, as fast as they are answered, from 16 connections of one source.
#[test]
fn requests_without_end_hold_up_nobody() {
    let mut scene = Scene::new();
    let agent = scene.mesh.http("exit");
    let connections = Mutex::new(Vec::new());
    scene.under("exit", "requests for metrics", || {
        let taken = connections.lock().expect("no panic while locked").pop();
        let mut stream = taken.unwrap_or_else(|| open(agent));
        let asked =
            stream.write_all(&b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(8));
        let mut buffer = vec![0; 256 * 1_024];
        if asked.is_ok() && stream.read(&mut buffer).is_ok_and(|read| read > 0) {
            connections
                .lock()
                .expect("no panic while locked")
                .push(stream);
        }
        8
    });
}

#[test]
fn socks_clients_of_a_byte_a_second_lock_out_no_user_and_are_cut() {
    let mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("ingress")
            .socks5_with("max_connections: 300")
            .extra("limits: { socks_handshake_timeout: 3s }\n")
            .peer("exit"),
    ]);
    mesh.await_chosen("ingress", "127.0.0.1", &["exit"]);
    let target = Target::start();
    let (socks, target) = (mesh.socks("ingress"), target.address());
    let fetches = || {
        let fetch = |_| {
            let start = Instant::now();
            fetch(socks, target);
            start.elapsed()
        };
        Took::of((0..60).map(fetch).collect())
    };
    let idle = fetches();
    // A greeting with 255 methods, which takes minutes at this pace.
    let mut slow: Vec<TcpStream> = (0..2 * MANY).map(|_| open(socks)).collect();
    let begun = Instant::now();
    for byte in [5, 255, 0, 0, 0] {
        slow.iter_mut()
            .for_each(|stream| drop(stream.write_all(&[byte])));
        fetches().assert_beside(idle, "a byte a second");
        thread::sleep(Duration::from_millis(200));
    }
    eventually("they are cut", || {
        for stream in &mut slow {
            let _ = stream.write_all(&[0]);
        }
        slow.iter_mut().all(is_cut).then_some(())
    });
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(try_fetch(socks, target));
}
