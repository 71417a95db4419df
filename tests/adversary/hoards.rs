//! A member that has an exit keep data for it: for targets that do not read, and for itself, which does not
//! take what it asked for.

use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use warren::wire::{ConnectRequest, StreamRequest, Target as Asked};

use crate::member::Member;
use crate::scene::{Scene, Seen};
use crate::support::Spec;
use crate::support::wait::eventually;

/// What an exit may keep for one session, MB, and what else it may need: quinn's own books, and an
/// allocator that gives little back.
const WINDOW: f64 = 16.0;
const BESIDE: f64 = 48.0;

/// Streams of the member.
const STREAMS: usize = 128;

fn scene() -> Scene {
    Scene::with(Spec::new("exit").extra("limits: { session_window: 16MiB }\n"))
}

fn memory(scene: &Scene) -> f64 {
    scene.mesh.metric("exit", "process_resident_memory_bytes") / 1e6
}

fn connect(to: SocketAddr) -> StreamRequest {
    StreamRequest::Connect(ConnectRequest {
        target: Asked::Address(to),
    })
}

fn assert_bounded(before: f64, seen: &Seen) {
    let grown = seen.memory - before;
    assert!(grown < 2.0 * WINDOW + BESIDE, "{grown} MB more");
}

/// A target that accepts and never reads.
fn silent() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    thread::spawn(move || {
        let held: Vec<_> = listener.incoming().flatten().collect();
        drop(held);
    });
    address
}

/// A target that sends without end to whoever connects. One thread for all connections: a hundred that
/// fill their buffers at the same time would leave the agents no processor, for seconds.
fn endless() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    listener.set_nonblocking(true).expect("a bound socket");
    thread::spawn(move || {
        let block = [0; 64 * 1024];
        let mut streams: Vec<TcpStream> = Vec::new();
        loop {
            while let Ok((stream, _)) = listener.accept() {
                stream.set_nonblocking(true).expect("an open socket");
                streams.push(stream);
            }
            streams.retain_mut(|stream| match stream.write(&block) {
                Ok(_) => true,
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            });
            thread::sleep(Duration::from_millis(1));
        }
    });
    address
}

#[test]
fn what_no_target_reads_is_bounded() {
    let mut scene = scene();
    let before = memory(&scene);
    let member = Member::join(&scene.mesh, "transit", None);
    let session = member.session(scene.id("exit")).expect("it is let in");
    let request = connect(silent());
    let opened = (0..STREAMS).map(|_| session.say(&request).expect("a stream"));
    let streams: Mutex<Vec<_>> = Mutex::new(opened.collect());
    let seen = scene.under("exit", "data that no target reads", || {
        let mut streams = streams.lock().expect("no panic while locked");
        let sent = streams.iter_mut().map(|(send, _)| session.fill(send));
        sent.sum::<u64>() + 1
    });
    assert!(seen.sent > 1_000_000, "{} bytes", seen.sent);
    assert_bounded(before, &seen);
    drop(session);
    eventually("nothing is left of it", || {
        let streams = scene.mesh.get("exit", "/api/streams").json();
        (streams.as_array()?.len() == 1).then_some(())
    });
}

#[test]
fn what_a_member_does_not_take_is_bounded() {
    let mut scene = scene();
    let before = memory(&scene);
    let member = Member::join(&scene.mesh, "transit", None);
    let session = member.session(scene.id("exit")).expect("it is let in");
    let request = connect(endless());
    let mut streams: Vec<_> = (0..STREAMS)
        .map(|_| session.say(&request).expect("a stream"))
        .collect();
    for (_, recv) in &mut streams {
        assert!(session.answer(recv).is_some(), "it is connected");
    }
    // Some of it comes, so that the exit takes the way for a fast one.
    thread::sleep(Duration::from_millis(200));
    session.stop_hearing();
    let seen = scene.under("exit", "data that its ingress does not take", || {
        thread::sleep(Duration::from_millis(50));
        u64::from(session.is_open())
    });
    assert!(seen.sent > 10, "the session lives");
    assert_bounded(before, &seen);
}
