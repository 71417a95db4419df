//! What a member can say as fast as its link takes it: small messages, datagrams, new links. Its own
//! link may suffer, and nobody else.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use warren::identity::AgentId;
use warren::wire::{
    BucketSummary, ControlMessage, Digest, ObjectKey, ObjectKind, PathError, Request, Token,
    Version, encode_frame,
};

use crate::member::Member;
use crate::scene::Scene;
use crate::support::wait::eventually;

/// A thousand of the same message, framed.
fn thousand(message: &ControlMessage) -> Vec<u8> {
    let mut frames = Vec::new();
    (0..1_000).for_each(|_| encode_frame(message, &mut frames));
    frames
}

/// Memory of the kernel for packets that wait in a port: twice as much as there is in them, and some for
/// innocents.
const WAITING: usize = 1024 * 1024;

/// As much as waits in that UDP port.
fn waiting(port: u16) -> usize {
    let table = fs::read_to_string("/proc/net/udp").expect("Linux tells it");
    let queue = table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (own, queues) = (fields.next()?, fields.nth(2)?);
        let (_, waiting) = queues.split_once(':')?;
        own.ends_with(&format!(":{port:04X}")).then_some(waiting)
    });
    queue.map_or(0, |waiting| {
        usize::from_str_radix(waiting, 16).expect("hex digits")
    })
}

#[test]
fn small_messages_without_end_cost_their_sender() {
    let mut scene = Scene::new();
    let exit = scene.id("exit");
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
        scene.under("transit", what, || {
            member.write(frames.clone());
            1_000
        });
    }
}

#[test]
fn datagrams_without_end_cost_their_sender() {
    let mut scene = Scene::new();
    let member = Member::join(&scene.mesh, "transit", None);
    scene.under("transit", "datagrams", || {
        let sent = (0..100).filter(|n| member.datagram(vec![*n; 1_000]));
        let sent = sent.count() as u64;
        thread::yield_now();
        sent
    });
}

#[test]
fn links_made_anew_without_end_cost_their_sender() {
    let mut scene = Scene::new();
    let member = Member::join(&scene.mesh, "transit", None);
    scene.under("transit", "new links", || u64::from(member.relink()));
}

/// Offers of what nobody has, other ones each time, from a neighbour that does not read what it is asked
/// then: what waits for it must not fill the agent's memory.
#[test]
fn who_offers_without_end_and_does_not_listen_fills_no_memory() {
    let mut scene = Scene::new();
    let member = Member::join(&scene.mesh, "transit", None);
    member.stop_listening();
    let memory = |scene: &Scene| {
        let bytes = scene
            .mesh
            .metric("transit", "process_resident_memory_bytes");
        bytes / 1e6
    };
    let before = memory(&scene);
    let key = |number: u32| {
        let mut origin = [3; 16];
        origin[..4].copy_from_slice(&number.to_be_bytes());
        ObjectKey {
            origin: AgentId(origin),
            kind: ObjectKind::Link,
            fragment: 0,
            version: Version {
                epoch: 1,
                sequence: 1,
                check: 1,
            },
        }
    };
    let objects: Vec<ObjectKey> = (0..4_000).map(key).collect();
    let reach = vec![8; objects.len()].into();
    let mut frame = Vec::new();
    let summary = BucketSummary { objects, reach };
    encode_frame(&ControlMessage::BucketSummary(summary), &mut frame);
    let (port, longest) = (scene.mesh.link("transit").port(), AtomicUsize::new(0));
    scene.under("transit", "summaries", || {
        member.write(frame.clone());
        longest.fetch_max(waiting(port), Ordering::Relaxed);
        1
    });
    // Everybody's packets wait behind them.
    let longest = longest.into_inner();
    println!("{longest} bytes of memory waited in the transit's port at most");
    assert!(
        longest < WAITING,
        "{longest} bytes wait in the port that all share"
    );
    let grown = memory(&scene) - before;
    assert!(grown < 64.0, "{grown} MB more than {before}");
    // Whoever does not listen is let go in the end, or stays; in any case it costs nobody anything.
    eventually("the mesh is as before", || {
        (memory(&scene) < before + 64.0).then_some(())
    });
}
