//! Bad paths between agents: a NAT that changes its port, packets lost, doubled and out of order, a
//! narrow link.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::support::traffic::{Download, Echo, MIB, fetch, upload};
use crate::support::udp_relay::{Conditions, UdpRelay};
use crate::support::{LOOPBACK, Mesh, Spec, Target};

const DEST: &str = "127.0.0.1";

/// Ingress, relay, transit, exit.
fn behind_relay(conditions: Conditions) -> (Mesh, UdpRelay) {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("exit").listen().exit(LOOPBACK));
    mesh.add(Spec::new("transit").listen().peer("exit"));
    mesh.add(Spec::new("ingress").socks5().peer("transit"));
    let relay = UdpRelay::start(mesh.link("transit"), conditions);
    mesh.detour("ingress", "transit", relay.address());
    ["exit", "transit", "ingress"]
        .iter()
        .for_each(|name| mesh.start(name));
    mesh.await_chosen("ingress", DEST, &["transit", "exit"]);
    (mesh, relay)
}

#[test]
fn a_nat_that_changes_its_port_costs_no_byte_and_no_link() {
    let (mut mesh, relay) = behind_relay(Conditions::default());
    let target = Target::start();
    let socks = mesh.socks("ingress");
    let mut echo = Echo::open(socks, target.address());
    let mut download = Download::start(socks, target.address(), 48 * MIB);
    for change in 1..=3 {
        download.read_to(change * 8 * MIB);
        relay.change_port();
        echo.round(1000);
    }
    download.finish();
    upload(socks, target.address(), 4 * MIB);
    echo.finish();
    mesh.await_log("transit", &["neighbour moved"]);
    for name in ["ingress", "transit"] {
        let log = mesh.process(name).log();
        assert!(!log.contains("link down"), "{name} lost its link");
    }
}

#[test]
fn packets_lost_doubled_and_out_of_order_cost_no_byte() {
    let conditions = Conditions {
        duplicate: true,
        lost_permille: 10,
        overtaken_permille: 100,
        seed: 7,
        ..Conditions::default()
    };
    let (mesh, relay) = behind_relay(conditions);
    let target = Target::start();
    let socks = mesh.socks("ingress");
    let before = relay.carried();
    let mut echo = Echo::open(socks, target.address());
    Download::start(socks, target.address(), 8 * MIB).finish();
    upload(socks, target.address(), 4 * MIB);
    (0..20).for_each(|_| echo.round(3000));
    echo.finish();
    fetch(socks, target.address());
    // Twice what 12 MiB take in packets of at most 1,472 bytes: all of it came this way.
    assert!(
        relay.carried() - before > 2 * 12 * MIB / 1_472,
        "{conditions:?}"
    );
}

/// Bytes that the downloads of [`a_narrow_link_starves_no_stream`] take together: about 3 s.
const SHARED: u64 = 7 * MIB;

#[test]
fn a_narrow_link_starves_no_stream() {
    const DOWNLOADS: u64 = 4;
    let (mesh, _relay) = behind_relay(Conditions {
        rate: Some(20_000_000),
        queue: 100,
        ..Conditions::default()
    });
    let target = Target::start().address();
    let socks = mesh.socks("ingress");
    let taken: [AtomicU64; DOWNLOADS as usize] = Default::default();
    let total = || taken.iter().map(|taken| taken.load(Ordering::SeqCst)).sum();
    let going_on = || {
        let total: u64 = total();
        total < SHARED
    };
    let mut rounds = 0;
    thread::scope(|scope| {
        for taken in &taken {
            let going_on = &going_on;
            scope.spawn(move || {
                // None can end before all together have what they need.
                let mut download = Download::start(socks, target, SHARED);
                while going_on() {
                    let at = taken.fetch_add(16 * 1024, Ordering::SeqCst) + 16 * 1024;
                    download.read_to(at.min(SHARED));
                }
            });
        }
        let mut echo = Echo::open(socks, target);
        while going_on() {
            echo.round(100);
            rounds += 1;
        }
    });
    let taken: Vec<u64> = taken.into_iter().map(AtomicU64::into_inner).collect();
    let quarter = SHARED / DOWNLOADS / 4;
    assert!(taken.iter().all(|taken| *taken >= quarter), "{taken:?}");
    assert!(rounds >= 3, "{rounds} round trips");
}
