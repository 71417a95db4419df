//! Paths that carry little, and less than a moment ago.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use warren::record::Event;

use crate::condition::Condition;
use crate::mesh::{Mesh, WIRES, ip};
use crate::seeds::for_seeds;
use crate::trial::Trial;

const EQUAL: [u32; 4] = [1; 4];

/// UDP payloads at link MTUs of 1,280 to 1,500 bytes over IPv6 and IPv4, at which something changes: the
/// narrowest of either, and around the packets of sessions.
const WIDTHS: [usize; 8] = [1_232, 1_252, 1_279, 1_300, 1_335, 1_336, 1_400, 1_472];

/// Those of [`WIDTHS`] and then every other one, in an order that covers the range soon: 241 seeds have
/// each of them.
fn width(seed: u64) -> usize {
    let at = seed as usize - 1;
    WIDTHS.get(at).copied().unwrap_or(1_232 + at * 97 % 241)
}

/// From the links until bytes go both ways.
const ROUTES_WITHIN: Duration = Duration::from_secs(2);

/// What a change of the width may cost an open connection.
const STALL: Duration = Duration::from_secs(1);

fn mesh(seed: u64, mtu: usize) -> Trial {
    Trial::over(seed, EQUAL, 100, |rng| {
        let delay_ms = rng.within(1..20);
        let wire = Condition {
            mtu,
            ..Condition::clean(delay_ms)
        };
        [wire; 2]
    })
}

/// Pieces of three full packets and a half.
fn fill(trial: &Trial) {
    trial.ledger.bulk.store(7, Ordering::Relaxed);
}

/// All wires carry payloads of so many bytes from now on.
fn resize(mesh: &Mesh, mtu: usize) {
    for (a, b) in WIRES {
        for (from, to) in [(a, b), (b, a)] {
            mesh.network.change(ip(from), ip(to), |way| way.mtu = mtu);
        }
    }
}

fn check_links(trial: &Trial) {
    for (agent, event) in trial.mesh.events() {
        let bad = matches!(event, Event::LinkDown { .. } | Event::SessionEnded { .. });
        assert!(!bad, "agent {agent}: {event:?}");
    }
}

#[test]
fn every_width_has_routes_as_soon_as_links() {
    for_seeds("every_width_has", 40, |seed| async move {
        let width = width(seed);
        let trial = mesh(seed, width);
        trial.mesh.whole().await;
        fill(&trial);
        let linked = Instant::now();
        let transfer = trial.transfer().await;
        sleep(ROUTES_WITHIN).await;
        let began = trial.ledger.both_began();
        let began = began.unwrap_or_else(|| panic!("{width}: nothing arrives"));
        assert!(began - linked <= ROUTES_WITHIN, "{width}");
        sleep(Duration::from_secs(5)).await;
        let stall = trial.ledger.stall(began, Instant::now());
        assert!(stall <= Duration::from_millis(200), "{width}: {stall:?}");
        transfer.finish().await;
        check_links(&trial);
    });
}

#[test]
fn a_connection_outlives_paths_that_shrink_and_grow() {
    for_seeds("a_connection_outlives", 8, |seed| async move {
        let mut trial = mesh(seed, 1_472);
        trial.mesh.whole().await;
        fill(&trial);
        let transfer = trial.transfer().await;
        sleep(Duration::from_secs(1)).await;
        for width in [WIDTHS[seed as usize % WIDTHS.len()], 1_232, 1_472, 1_279] {
            trial.pause(500).await;
            let from = Instant::now();
            resize(&trial.mesh, width);
            sleep(Duration::from_secs(6)).await;
            let stall = trial.ledger.stall(from, Instant::now());
            assert!(stall <= STALL, "{width}: {stall:?}");
        }
        transfer.finish().await;
        check_links(&trial);
    });
}
