//! However many connections are not read, others go on and new ones open, within the memory bound.

#![allow(clippy::print_stdout)] // What was seen, with --nocapture.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::support::traffic::{Download, Echo, MIB, fetch};
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target, socks};

/// Three times as many as stopped a session before; with more of them a kernel runs short of its own
/// memory for TCP (`tcp_mem`).
const STALLED: usize = 1_000;

/// Held by the one test that runs: the kernel has memory for its sockets, not for both.
static ALONE: Mutex<()> = Mutex::new(());

/// What one of them would take; more than windows and buffers hold.
const EACH: u64 = 16 * MIB;

/// What a session carries in a second at most that only probes its paths, bytes.
const QUIET: f64 = 65_536.0;

/// Threads that open them.
const OPENERS: usize = 8;

/// Resident memory of an agent at most, bytes: one window of 256 MiB, as much again for what the
/// allocator and packets around short pieces take, and a debug build.
const MEMORY: u64 = 640 * MIB;

fn chain() -> Mesh {
    let room = "max_connections: 20000";
    let mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("transit").listen().peer("exit"),
        Spec::new("ingress").socks5_with(room).peer("transit"),
    ]);
    mesh.await_chosen("ingress", "127.0.0.1", &["transit", "exit"]);
    mesh
}

/// Descriptors for so many connections, in this process and those it starts.
fn allow_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let most = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, most).expect("a soft limit may grow to the hard one");
}

/// Opens connections to `to`, as many as `count`, several at once.
fn open(count: usize, socks: SocketAddr, to: SocketAddr, first: &[u8]) -> Vec<TcpStream> {
    let opened = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for opener in 0..OPENERS {
            let opened = &opened;
            scope.spawn(move || {
                for _ in (opener..count).step_by(OPENERS) {
                    let mut stream = socks::connect(socks, to).expect("a route");
                    // The kernel shall hold little, so that the mesh must, and has some left for others.
                    let socket = SockRef::from(&stream);
                    let set = socket.set_recv_buffer_size(4_096);
                    set.and_then(|()| socket.set_send_buffer_size(16_384))
                        .expect("an open socket");
                    stream.write_all(first).expect("an open connection");
                    opened.lock().expect("no panic").push(stream);
                }
            });
        }
    });
    opened.into_inner().expect("no panic")
}

/// Waits until the session has carried next to nothing for a second, `push`ing all the while. Before,
/// the connections are not stalled: what their readers will not take is still on its way, up to half the
/// session's window, and they take turns with others like all that move.
fn await_standstill(mesh: &Mesh, mut push: impl FnMut()) {
    let carried = || mesh.metric("transit", "warren_forwarded_bytes_total");
    let mut last = (carried(), Instant::now());
    eventually("the stalled connections hold what they may", || {
        push();
        if last.1.elapsed() < Duration::from_secs(1) {
            return None;
        }
        let now = carried();
        let still = now - last.0 < QUIET;
        last = (now, Instant::now());
        still.then_some(())
    });
}

/// While they are being filled there is no bound but [`socks::READ_TIMEOUT`].
fn others_live(mesh: &Mesh, target: &Target, innocent: &mut Echo) {
    let started = Instant::now();
    innocent.round(20_000);
    let echo = started.elapsed();
    fetch(mesh.socks("ingress"), target.address());
    let both = started.elapsed();
    println!(
        "beside what is still carried: 20 kB there and back in {echo:?}, with a new connection {both:?}"
    );
}

/// An innocent connection moves, and new ones open.
fn others_go_on(mesh: &Mesh, target: &Target, innocent: &mut Echo, what: &str) {
    let socks = mesh.socks("ingress");
    let mut rounds: Vec<Duration> = (0..20)
        .map(|_| {
            let started = Instant::now();
            innocent.round(20_000);
            started.elapsed()
        })
        .collect();
    rounds.sort();
    let mut opened: Vec<Duration> = (0..20)
        .map(|_| {
            let started = Instant::now();
            fetch(socks, target.address());
            started.elapsed()
        })
        .collect();
    opened.sort();
    let started = Instant::now();
    Download::start(socks, target.address(), 8 * MIB).finish();
    let bulk = started.elapsed();
    println!(
        "{what}: 20 kB there and back in {:?} (median), {:?} (worst), a new connection and 4 KiB in {:?} (median), \
         {:?} (worst), 8 MiB in {bulk:?}",
        rounds[10], rounds[19], opened[10], opened[19]
    );
    // In a release build on an idle machine they are a hundredth of this.
    assert!(rounds[10] < Duration::from_secs(1), "{rounds:?}");
    assert!(opened[10] < Duration::from_secs(1), "{opened:?}");
}

fn memory_is_bounded(mesh: &mut Mesh, what: &str) {
    for name in ["ingress", "transit", "exit"] {
        let status = format!("/proc/{}/status", mesh.process(name).id());
        let status = std::fs::read_to_string(status).expect("a live process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        let resident = kib.expect("the kernel tells it") * 1_024;
        println!("{what}: {name} holds {} MiB", resident / MIB);
        assert!(resident < MEMORY, "{name}: {resident}");
    }
}

/// Both ends of the session tell that windows are short, or not.
fn told(mesh: &Mesh, short: bool) {
    for name in ["ingress", "exit"] {
        eventually(
            &format!("{name} tells whether windows are short: {short}"),
            || {
                let health = mesh.healthz(name)?;
                let reasons = health["reasons"].as_array()?.iter();
                let tells = reasons.filter_map(|reason| reason.as_str());
                let tells = tells.filter(|reason| reason.contains("not read")).count();
                let gauge = mesh.metric(name, "warren_sessions_short_of_windows");
                (tells == usize::from(short) && (gauge > 0.0) == short).then_some(())
            },
        );
    }
}

#[test]
fn a_thousand_clients_that_stop_reading_stop_nobody_else() {
    allow_descriptors();
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut mesh = chain();
    let target = Target::start_frugal();
    let mut innocent = Echo::open(mesh.socks("ingress"), target.address());
    innocent.round(20_000);
    told(&mesh, false);
    let request = format!("bulk {EACH}\n");
    let socks = mesh.socks("ingress");
    let stalled = open(STALLED, socks, target.address(), request.as_bytes());
    others_live(&mesh, &target, &mut innocent);
    await_standstill(&mesh, || ());
    let what = format!("{STALLED} clients do not read");
    others_go_on(&mesh, &target, &mut innocent, &what);
    told(&mesh, true);
    memory_is_bounded(&mut mesh, &what);
    drop(stalled);
    told(&mesh, false);
    others_go_on(&mesh, &target, &mut innocent, "they have left");
}

/// Accepts and never reads; what it accepted lives as long as what is returned.
fn deaf_target() -> (SocketAddr, Arc<Mutex<Vec<TcpStream>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    // Inherited by what is accepted.
    SockRef::from(&listener)
        .set_recv_buffer_size(4_096)
        .expect("an open socket");
    let address = listener.local_addr().expect("a bound socket");
    let kept: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    let keeping = kept.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            keeping.lock().expect("no panic").push(stream);
        }
    });
    (address, kept)
}

#[test]
fn a_thousand_targets_that_stop_reading_stop_nobody_else() {
    allow_descriptors();
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut mesh = chain();
    let target = Target::start();
    let mut innocent = Echo::open(mesh.socks("ingress"), target.address());
    innocent.round(20_000);
    let (deaf, kept) = deaf_target();
    let mut stalled = open(STALLED, mesh.socks("ingress"), deaf, b"");
    let block = vec![7; 65_536];
    for stream in &stalled {
        stream.set_nonblocking(true).expect("an open socket");
    }
    let mut push = || {
        for stream in &mut stalled {
            while let Ok(1..) = stream.write(&block) {}
        }
    };
    push();
    others_live(&mesh, &target, &mut innocent);
    await_standstill(&mesh, push);
    let what = format!("{STALLED} targets do not read");
    others_go_on(&mesh, &target, &mut innocent, &what);
    told(&mesh, true);
    memory_is_bounded(&mut mesh, &what);
    drop(stalled);
    kept.lock().expect("no panic").clear();
    told(&mesh, false);
    others_go_on(&mesh, &target, &mut innocent, "they have left");
}
