//! What a member can say as fast as its link takes it: small messages, datagrams, new links. Its own
//! link may suffer, and nobody else.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use warren::wire::{ControlMessage, Digest, PathError, Request, Token, encode_frame};

use crate::churn::Stop;
use crate::handshakes::echoes;
use crate::member::Member;
use crate::support::traffic::{Echo, fetch};
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target};

/// An exit behind a transit, and an echo through them.
struct Scene {
    mesh: Mesh,
    target: Target,
    echo: Echo,
}

impl Scene {
    fn new() -> Self {
        let mesh = Mesh::start_all([
            Spec::new("exit").listen().exit(LOOPBACK),
            Spec::new("transit").listen().peer("exit"),
            Spec::new("ingress").socks5().peer("transit"),
        ]);
        mesh.await_chosen("ingress", "127.0.0.1", &["transit", "exit"]);
        let target = Target::start();
        let echo = Echo::open(mesh.socks("ingress"), target.address());
        Self { mesh, target, echo }
    }

    /// Echoes while `flood` is repeated without a pause; each call tells how much it sent. Returns what was
    /// seen.
    fn under(&mut self, what: &str, flood: impl Fn() -> u64 + Send + Sync) -> String {
        let idle = echoes(&mut self.echo, 100);
        let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
        let cpu = |mesh: &Mesh| mesh.metric("transit", "process_cpu_seconds_total");
        let (flooded, used, took) = thread::scope(|scope| {
            let _end = Stop(&stop);
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    sent.fetch_add(flood(), Ordering::Relaxed);
                }
            });
            eventually("the flood has begun", || {
                (sent.load(Ordering::Relaxed) > 0).then_some(())
            });
            let (start, before) = (Instant::now(), cpu(&self.mesh));
            let flooded = echoes(&mut self.echo, 300);
            fetch(self.mesh.socks("ingress"), self.target.address());
            (flooded, cpu(&self.mesh) - before, start.elapsed())
        });
        let (p50, p99) = (flooded[150], flooded[296]);
        let memory = self.mesh.metric("transit", "process_resident_memory_bytes") / 1e6;
        let cpu = 100.0 * used / took.as_secs_f64();
        let report = format!(
            "{what}: idle p50 {:?} p99 {:?}; {} sent, p50 {p50:?} p99 {p99:?}, {cpu:.0} % of a CPU, \
             {memory:.0} MB",
            idle[50],
            idle[98],
            sent.into_inner()
        );
        assert!(p50 < Duration::from_millis(50), "{what}: p50 {p50:?}");
        for (agent, links) in [("exit", 1), ("ingress", 1)] {
            self.mesh.await_peers(agent, links);
        }
        let down = self.mesh.get("ingress", "/api/events").body;
        assert!(!down.contains("link_down"), "{what}: {down}");
        report
    }
}

/// A thousand of the same message, framed.
fn thousand(message: &ControlMessage) -> Vec<u8> {
    let mut frames = Vec::new();
    (0..1_000).for_each(|_| encode_frame(message, &mut frames));
    frames
}

#[test]
fn small_messages_without_end_cost_their_sender() {
    let mut scene = Scene::new();
    let exit = scene.mesh.id("exit").parse::<warren::identity::AgentId>();
    let exit = exit.expect("an agent id");
    let error = PathError {
        reporter: exit,
        next_hop: exit.short(),
        destination: exit.short(),
        back: vec![exit.short()],
    };
    for (what, message) in [
        (
            "requests",
            ControlMessage::Request(Request {
                objects: Vec::new(),
            }),
        ),
        (
            "digests",
            ControlMessage::Digest(Digest {
                buckets: vec![7; 256],
                reach: vec![0; 256].into(),
            }),
        ),
        (
            "short digests",
            ControlMessage::Digest(Digest {
                buckets: Vec::new(),
                reach: Vec::new().into(),
            }),
        ),
        ("tokens", ControlMessage::Token(Token { token: 0 })),
        ("path errors", ControlMessage::PathError(error)),
    ] {
        let member = Member::join(&scene.mesh, "transit", None);
        let frames = thousand(&message);
        let seen = scene.under(what, || {
            member.write(frames.clone());
            1_000
        });
        println!("{seen}");
    }
}

#[test]
fn datagrams_without_end_cost_their_sender() {
    let mut scene = Scene::new();
    let member = Member::join(&scene.mesh, "transit", None);
    let seen = scene.under("datagrams", || {
        let sent = (0..100).filter(|n| member.datagram(vec![*n; 1_000]));
        let sent = sent.count() as u64;
        thread::yield_now();
        sent
    });
    println!("{seen}");
}

#[test]
fn links_made_anew_without_end_cost_their_sender() {
    let mut scene = Scene::new();
    let member = Member::join(&scene.mesh, "transit", None);
    let seen = scene.under("new links", || u64::from(member.relink()));
    println!("{seen}");
}
