//! A member that changes its routes without end: everybody hears of it, nobody is slowed.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net};
use warren::wire::RoutePrefix;

use crate::member::Member;
use crate::support::traffic::fetch;
use crate::support::{LOOPBACK, Mesh, Spec, Target};

const FRAGMENTS: u16 = 192;
const ROUTES_EACH: u32 = 512;

/// The routes of one fragment, all with this metric: a change of each.
fn routes(fragment: u16, metric: u32) -> Vec<RoutePrefix> {
    let first = u32::from(Ipv4Addr::new(20, 0, 0, 0)) + u32::from(fragment) * ROUTES_EACH;
    let prefix = |address: u32| {
        let net = Ipv4Net::new(address.into(), 32).expect("32 bits at most");
        RoutePrefix {
            prefix: IpNet::V4(net),
            metric,
        }
    };
    (first..first + ROUTES_EACH).map(prefix).collect()
}

/// Reissues a fragment after the other, 150 a second, until it is told to stop.
fn churn(member: &Member, stop: &AtomicBool) {
    let start = Instant::now();
    for turn in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let fragment = (turn % u32::from(FRAGMENTS)) as u16;
        member.say([member.route_adv(fragment, FRAGMENTS, routes(fragment, turn))]);
        let due = start + Duration::from_secs(1) * (turn + 1) / 150;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// Ends the churn when it goes.
pub(crate) struct Stop<'a>(pub(crate) &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How long so many new connections took, each a download of 4 KiB, ascending.
fn connects(mesh: &Mesh, target: &Target, count: usize) -> Vec<Duration> {
    let mut took: Vec<Duration> = (0..count)
        .map(|_| {
            let start = Instant::now();
            fetch(mesh.socks("ingress"), target.address());
            let took = start.elapsed();
            thread::sleep(Duration::from_millis(10));
            took
        })
        .collect();
    took.sort_unstable();
    took
}

#[test]
fn a_member_that_reissues_its_routes_without_end_slows_nobody() {
    let mut mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("transit").listen().peer("exit"),
        Spec::new("ingress").socks5().peer("transit"),
    ]);
    mesh.await_chosen("ingress", "127.0.0.1", &["transit", "exit"]);
    let target = Target::start();
    fetch(mesh.socks("ingress"), target.address());
    let member = Member::join(&mesh, "transit", None);
    let stop = AtomicBool::new(false);
    let idle = connects(&mesh, &target, 100);
    let churned = thread::scope(|scope| {
        // The churn must end when anything fails, or the scope never does.
        let _end = Stop(&stop);
        scope.spawn(|| churn(&member, &stop));
        crate::support::wait::eventually("the ingress hears of the churn", || {
            let heard = mesh.metric("ingress", "warren_advertisements_total");
            (heard > 60.0).then_some(())
        });
        connects(&mesh, &target, 300)
    });
    assert!(member.is_linked(), "it is slowed, not cut off");
    let p99 = churned[churned.len() * 99 / 100 - 1];
    println!("idle p50 {:?} p99 {:?}", idle[50], idle[98]);
    println!("under churn p50 {:?} p99 {p99:?}", churned[150]);
    // It took seconds, or the client's patience, while tables were built beside the packets.
    assert!(p99 < Duration::from_millis(200), "p99 {p99:?}");
    let refused = mesh.metric(
        "transit",
        "warren_advertisements_total{type=\"route\",result=\"route_limit\"}",
    );
    assert!(refused > 0.0, "the budget of routes is told");
    for name in ["exit", "transit", "ingress"] {
        assert!(mesh.process(name).is_running());
    }
}
