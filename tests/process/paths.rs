//! Bad paths between agents: a NAT that changes its port, packets lost, doubled and out of order, a
//! narrow link.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use internal_chaos::impairment::Impairment;
use internal_chaos::packet::Ways;
use internal_chaos::relay::{Options, Relay};
use internal_chaos::rules::{Matcher, Rule, Verdict};
use internal_chaos::units::{Probability, Rate};

use crate::support::traffic::{Download, Echo, MIB, fetch, upload};
use crate::support::{LOOPBACK, Mesh, Spec, Target};

const DEST: &str = "127.0.0.1";

/// Of what relays do at random.
const SEED: u64 = 7;

/// Ingress, relay, transit, exit.
fn behind_relay(impairment: Impairment) -> (Mesh, Relay) {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("exit").listen().exit(LOOPBACK));
    mesh.add(Spec::new("transit").listen().peer("exit"));
    mesh.add(Spec::new("ingress").socks5().peer("transit"));
    let options = Options {
        seed: SEED,
        ..Options::to(mesh.link("transit"))
    };
    let relay = Relay::start(&options).expect("a relay starts on loopback");
    relay.set(Ways::Both, impairment);
    mesh.detour("ingress", "transit", relay.address());
    ["exit", "transit", "ingress"]
        .iter()
        .for_each(|name| mesh.start(name));
    mesh.await_chosen("ingress", DEST, &["transit", "exit"]);
    (mesh, relay)
}

#[test]
fn a_nat_that_changes_its_port_costs_no_byte_and_no_link() {
    let (mut mesh, relay) = behind_relay(Impairment::CLEAR);
    let target = Target::start();
    let socks = mesh.socks("ingress");
    let mut echo = Echo::open(socks, target.address());
    let mut download = Download::start(socks, target.address(), 48 * MIB);
    for change in 1..=3 {
        download.read_to(change * 8 * MIB);
        relay.rebind().unwrap();
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
    let (mesh, relay) = behind_relay(Impairment {
        loss: Probability::permille(10),
        ..Impairment::CLEAR
    });
    let overtaken = Verdict::Reorder {
        by: 1,
        within: Duration::from_millis(5),
    };
    let tenth = Matcher::share(Probability::permille(100));
    let overtaken = relay.rule(Rule::new(tenth, overtaken));
    let doubled = Rule::new(Matcher::ALL, Verdict::Duplicate { copies: 1 });
    let doubled = relay.rule(doubled);
    let target = Target::start();
    let socks = mesh.socks("ingress");
    let mut echo = Echo::open(socks, target.address());
    Download::start(socks, target.address(), 8 * MIB).finish();
    upload(socks, target.address(), 4 * MIB);
    (0..20).for_each(|_| echo.round(3000));
    echo.finish();
    fetch(socks, target.address());
    // What 12 MiB take in packets of at most 1,472 bytes: all of it came this way.
    let least = 12 * MIB / 1_472;
    assert!(doubled.decided() > least * 8 / 10, "seed {SEED}");
    assert!(overtaken.decided() > least * 8 / 100, "seed {SEED}");
    assert!(relay.counters().to_client.lost > 0, "seed {SEED}");
}

/// Bytes that the downloads of [`a_narrow_link_starves_no_stream`] take together: about 3 s.
const SHARED: u64 = 7 * MIB;

#[test]
fn a_narrow_link_starves_no_stream() {
    const DOWNLOADS: u64 = 4;
    let (mesh, _relay) = behind_relay(Impairment {
        rate: Some(Rate::mbit(20)),
        queue: 150_000,
        ..Impairment::CLEAR
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
