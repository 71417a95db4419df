//! A member that changes its routes without end: everybody hears of it, nobody is slowed.

use std::net::Ipv4Addr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net};
use warren::wire::RoutePrefix;

use crate::member::Member;
use crate::scene::Scene;

const FRAGMENTS: u16 = 192;
const ROUTES_EACH: u32 = 512;

/// Fragments a second.
const RATE: u32 = 150;

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

/// Ends an attack when it goes: if it went on, its scope never ended.
pub(crate) struct Stop<'a>(pub(crate) &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_member_that_reissues_its_routes_without_end_slows_nobody() {
    let mut scene = Scene::new();
    let member = Member::join(&scene.mesh, "transit", None);
    let (start, turn) = (OnceLock::new(), AtomicU32::new(0));
    scene.under("ingress", "route churn", || {
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        let fragment = (turn % u32::from(FRAGMENTS)) as u16;
        member.say([member.route_adv(fragment, FRAGMENTS, routes(fragment, turn))]);
        let start = *start.get_or_init(Instant::now);
        let due = start + Duration::from_secs(1) * (turn + 1) / RATE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        1
    });
    assert!(member.is_linked(), "it is slowed, not cut off");
    let heard = scene.mesh.metric("ingress", "warren_advertisements_total");
    assert!(heard > 60.0, "the ingress heard of the churn: {heard}");
    let refused = scene.mesh.metric(
        "transit",
        "warren_advertisements_total{type=\"route\",result=\"route_limit\"}",
    );
    assert!(refused > 0.0, "the budget of routes is told");
}
