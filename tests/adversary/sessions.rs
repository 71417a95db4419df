//! Session handshakes of a member in the names of agents that do not exist, through a transit: whoever
//! has a link can write any source behind itself.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use warren::identity::AgentId;

use crate::churn::Stop;
use crate::handshakes::{echoes, first_packets};
use crate::member::{Header, Member};
use crate::support::traffic::{Echo, fetch};
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target};

/// Packet type of docs/wire-format.md.
const TO_EXIT: u8 = 0x01;

/// First packets a second.
const RATE: f64 = 5_000.0;

/// Invents sources, [`RATE`] a second, until it is told to stop.
fn flood(
    liar: &Member,
    way: [AgentId; 2],
    packets: &[Vec<u8>],
    stop: &AtomicBool,
    sent: &AtomicU64,
) {
    let start = Instant::now();
    let hops = [liar.id(), way[0], way[1]];
    while !stop.load(Ordering::Relaxed) {
        let due = start.elapsed().as_secs_f64() * RATE;
        while (sent.load(Ordering::Relaxed) as f64) < due {
            let number = sent.fetch_add(1, Ordering::Relaxed);
            let mut source = [9; 16];
            source[..8].copy_from_slice(&(number + 1).to_be_bytes());
            let header = Header {
                kind: TO_EXIT,
                index: 1,
                token: liar.token(),
                source: AgentId(source),
                hops: &hops,
            };
            liar.packet(&header, &packets[number as usize % packets.len()]);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn handshakes_in_invented_names_keep_no_ingress_out() {
    let mut mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("transit").listen().peer("exit"),
        Spec::new("ingress").socks5().peer("transit"),
    ]);
    mesh.add(Spec::new("late").socks5().peer("transit"));
    mesh.await_chosen("ingress", "127.0.0.1", &["transit", "exit"]);
    let target = Target::start();
    let mut echo = Echo::open(mesh.socks("ingress"), target.address());
    let idle = echoes(&mut echo, 100);
    let liar = Member::join(&mesh, "transit", None);
    let [transit, exit] =
        ["transit", "exit"].map(|name| mesh.id(name).parse::<AgentId>().expect("an agent id"));
    let packets = first_packets(mesh.link("exit"), 2_000);
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let _end = Stop(&stop);
        scope.spawn(|| flood(&liar, [transit, exit], &packets, &stop, &sent));
        eventually("the flood has begun", || {
            (sent.load(Ordering::Relaxed) > 5_000).then_some(())
        });
        let cpu = || mesh.metric("exit", "process_cpu_seconds_total");
        let (start, before) = (Instant::now(), cpu());
        let flooded = echoes(&mut echo, 300);
        let used = 100.0 * (cpu() - before) / start.elapsed().as_secs_f64();
        let memory = mesh.metric("exit", "process_resident_memory_bytes") / 1e6;
        println!("idle p50 {:?} p99 {:?}", idle[50], idle[98]);
        println!("flood p50 {:?} p99 {:?}", flooded[150], flooded[296]);
        println!("exit: {used:.0} % of a CPU, {memory:.0} MB");
        assert!(
            flooded[150] < Duration::from_millis(50),
            "{:?}",
            flooded[150]
        );
        // A session that is new meanwhile.
        mesh.start("late");
        mesh.await_chosen("late", "127.0.0.1", &["transit", "exit"]);
        let start = Instant::now();
        fetch(mesh.socks("late"), target.address());
        println!("a new session: {:?}", start.elapsed());
    });
    echo.finish();
}
