//! Session handshakes of a member in the names of agents that do not exist, through a transit: whoever
//! has a link can write any source behind itself.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use warren::identity::AgentId;

use crate::handshakes::first_packets;
use crate::member::{Header, Member};
use crate::scene::Scene;
use crate::support::traffic::try_fetch;
use crate::support::wait::eventually;
use crate::support::{Mesh, Spec, Target};

/// Packet type of docs/wire-format.md.
const TO_EXIT: u8 = 0x01;

/// First packets at a time, a hundred times a second.
const BATCH: u64 = 50;

/// Sends first packets to the exit in the name of `source(number)`, [`BATCH`] at a time, from behind the
/// liar by one of several ways.
fn flood<'a>(
    scene: &Scene,
    liar: &'a Member,
    source: impl Fn(u64) -> AgentId + Send + Sync + 'a,
) -> Box<dyn Fn() -> u64 + Send + Sync + 'a> {
    let (own, transit, exit) = (liar.id(), scene.id("transit"), scene.id("exit"));
    let packets = first_packets(scene.mesh.link("exit"), 2_000);
    let ways: Vec<Vec<AgentId>> = (0..8)
        .map(|way| match way {
            0 => vec![own, transit, exit],
            way => vec![AgentId([way; 16]), own, transit, exit],
        })
        .collect();
    let (start, sent) = (OnceLock::new(), AtomicU64::new(0));
    Box::new(move || {
        for _ in 0..BATCH {
            let number = sent.fetch_add(1, Ordering::Relaxed);
            let hops = &ways[number as usize % ways.len()];
            let header = Header {
                kind: TO_EXIT,
                index: hops.len() as u8 - 2,
                token: liar.token(),
                source: source(number),
                hops,
            };
            liar.packet(&header, &packets[number as usize % packets.len()]);
        }
        let due = Duration::from_millis(sent.load(Ordering::Relaxed) / BATCH * 10);
        let start: &Instant = start.get_or_init(Instant::now);
        thread::sleep(due.saturating_sub(start.elapsed()));
        BATCH
    })
}

/// An ingress that begins its first session now.
fn come_late(mesh: &mut Mesh, target: &Target) {
    mesh.start("late");
    mesh.await_chosen("late", "127.0.0.1", &["transit", "exit"]);
    let start = Instant::now();
    // On a machine that does much else it may take a few tries; kept out, it would never come about.
    eventually("its first session comes about", || {
        try_fetch(mesh.socks("late"), target.address()).then_some(())
    });
    println!("a new session: {:?}", start.elapsed());
}

#[test]
fn handshakes_in_invented_names_keep_no_ingress_out() {
    let mut scene = Scene::new();
    scene.mesh.add(Spec::new("late").socks5().peer("transit"));
    let liar = Member::join(&scene.mesh, "transit", None);
    let invented = |number: u64| {
        let mut source = [9; 16];
        source[..8].copy_from_slice(&(number + 1).to_be_bytes());
        AgentId(source)
    };
    let flood = flood(&scene, &liar, invented);
    scene.under_and("exit", "handshakes in invented names", flood, come_late);
}

/// In the name of one ingress, along ways that do not lead there.
#[test]
fn handshakes_in_the_name_of_an_ingress_do_not_keep_it_out() {
    let mut scene = Scene::new();
    scene.mesh.add(Spec::new("late").socks5().peer("transit"));
    let liar = Member::join(&scene.mesh, "transit", None);
    let late = scene.id("late");
    let flood = flood(&scene, &liar, |_| late);
    scene.under_and("exit", "handshakes in an ingress' name", flood, come_late);
}
