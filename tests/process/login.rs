//! Who may use the SOCKS5 port, and how many at once.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

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

/// Sources of the flood, and logins a second of each.
const SOURCES: u8 = 100;
const RATE: u32 = 10;
const FLOOD: Duration = Duration::from_secs(6);

/// One wrong login from 127.0.1.`source`, not waited for.
fn guess(socks: SocketAddr, source: u8) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
    let from: IpAddr = Ipv4Addr::new(127, 0, 1, source).into();
    socket.bind(&SocketAddr::new(from, 0).into()).ok()?;
    socket.connect(&socks.into()).ok()?;
    let mut stream = TcpStream::from(socket);
    let login = b"\x05\x01\x02\x01\x05alice\x05guess";
    stream.write_all(login).ok()?;
    Some(stream)
}

/// Guesses from [`SOURCES`] sources until told to stop; each connection is held for half a second.
fn flood(socks: SocketAddr, stop: &AtomicBool, sent: &AtomicUsize) {
    let turn = Duration::from_secs(1) / RATE;
    let mut held = std::collections::VecDeque::new();
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        for source in 1..=SOURCES {
            held.push_back(guess(socks, source));
            sent.fetch_add(1, Ordering::Relaxed);
        }
        while held.len() > usize::from(SOURCES) * 5 {
            held.pop_front();
        }
        due += turn;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

fn status_of(pid: u32, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running agent");
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let value = line.and_then(|rest| rest.trim_matches([':', '\t', ' ']).split(' ').next());
    value
        .and_then(|value| value.parse().ok())
        .expect("a number")
}

#[test]
fn a_flood_of_wrong_passwords_disturbs_nobody() {
    let hash = hash("correct horse");
    // Hashes whose clients were given up were the ones that nobody counted.
    let auth = format!(
        "auth: {{ enabled: true, users: [{{ username: alice, password_hash: '{hash}' }}] }}"
    );
    let mut mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("ingress")
            .socks5_with(&auth)
            .extra("limits: { socks_handshake_timeout: 500ms }")
            .peer("exit"),
    ]);
    mesh.await_ready("ingress");
    let target = Target::start();
    let (socks, http) = (mesh.socks("ingress"), mesh.http("ingress"));
    let log_in = || socks::connect_as(socks, "alice", "correct horse", target.address());
    log_in().expect("the right password before the flood");
    let pid = mesh.process("ingress").id();
    let before = status_of(pid, "VmRSS");

    let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (mut logins, mut answers, mut threads) = (Vec::new(), Vec::new(), 0);
    let begun = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| flood(socks, &stop, &sent));
        while begun.elapsed() < FLOOD {
            let asked = Instant::now();
            let answer = crate::support::http::get(http, "/health");
            answers.push((asked.elapsed(), answer.is_ok_and(|a| a.status == 200)));
            let asked = Instant::now();
            let login = log_in();
            logins.push((asked.elapsed(), login.is_ok()));
            threads = threads.max(status_of(pid, "Threads"));
            thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let grown = status_of(pid, "VmRSS").saturating_sub(before);
    let took = |seen: &[(Duration, bool)]| {
        let mut took: Vec<Duration> = seen.iter().map(|(took, _)| *took).collect();
        took.sort();
        let at = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)];
        (at(50), at(99), at(100))
    };
    let (health, login) = (took(&answers), took(&logins));
    let seen = format!(
        "{} logins in {:?}; p50, p99 and worst: health {health:?}, alice {login:?}; \
         {threads} threads, {grown} kB more",
        sent.load(Ordering::Relaxed),
        begun.elapsed(),
    );
    println!("{seen}");
    assert!(answers.iter().all(|(_, ok)| *ok), "/health failed: {seen}");
    assert!(
        logins.iter().all(|(_, ok)| *ok),
        "alice was refused: {seen}"
    );
    // The worst is left room for, because others test on the same processors.
    let (usual, ever) = (Duration::from_millis(100), Duration::from_secs(1));
    assert!(health.0 < usual && health.2 < ever, "{seen}");
    assert!(login.0 < usual && login.2 < ever, "{seen}");
    // The runtime's own, one hash per thread, and the pool that writes epochs and snapshots.
    assert!(threads <= 12, "{seen}");
    assert!(grown < 200_000, "{seen}");
    assert!(!mesh.process("ingress").log().contains("link down"));
    assert_eq!(mesh.metric("ingress", "warren_failovers_total"), 0.0);
}
