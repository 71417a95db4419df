//! Links over long round trips: up to 3 s, either way longer than the other, with jitter of up to a
//! round trip.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use warren::record::Event;

use crate::condition::Condition;
use crate::mesh::{INGRESS, LEFT, ip};
use crate::rng::Rng;
use crate::seeds::for_seeds;
use crate::trial::Trial;

/// Delays there and back and the jitter of either, in milliseconds.
const ROADS: [(u64, u64, u64); 8] = [
    // The first [`NAMED`] are the conditions `satellite`, `high-jitter` and `asymmetric-delay`.
    (300, 300, 0),
    (50, 50, 100),
    (20, 400, 0),
    // The corners.
    (1_500, 1_500, 0),
    (2_999, 1, 0),
    (1, 2_999, 0),
    (1_500, 1_500, 3_000),
    (150, 150, 300),
];

/// These are held for ten minutes, and five under load, the others for a fifth of that.
const NAMED: usize = 3;

const EQUAL: [u32; 4] = [1; 4];

/// A mesh whose wires are all as that road.
fn mesh((up, down, jitter_ms): (u64, u64, u64), seed: u64) -> Trial {
    let way = |delay_ms| Condition {
        jitter_ms,
        ..Condition::clean(delay_ms)
    };
    Trial::over(seed, EQUAL, 100, |_: &mut Rng| [way(up), way(down)])
}

/// The road of a seed, and for how long it is held.
fn road(seed: u64, minutes: u64) -> ((u64, u64, u64), Duration) {
    let at = seed as usize % ROADS.len();
    let whole = Duration::from_secs(60 * minutes);
    (ROADS[at], if at < NAMED { whole } else { whole / 5 })
}

fn round_trip((up, down, jitter): (u64, u64, u64)) -> Duration {
    Duration::from_millis(up + down + 2 * jitter)
}

/// Nothing but links that came up and sessions that opened.
fn check_peace(trial: &Trial, road: (u64, u64, u64)) {
    for (agent, event) in trial.mesh.events() {
        let fine = match event {
            Event::LinkUp { .. } | Event::SessionOpened { .. } => true,
            // The first round trip that is measured may be the shortest there is.
            Event::LinkSuspect { .. } | Event::LinkCleared { .. } => road.2 > 0,
            // Virtual minutes pass while the host's clock stands still.
            Event::ClockSet { .. } => true,
            _ => false,
        };
        assert!(fine, "{road:?}: agent {agent}: {event:?}");
    }
}

#[test]
fn long_links_form_at_the_first_dial_and_stay() {
    for_seeds(
        "long_links_form",
        2 * ROADS.len() as u64,
        |seed| async move {
            let (road, time) = road(seed, 10);
            let trial = mesh(road, seed);
            let took = trial.mesh.whole().await;
            let most = Duration::from_secs(4) + 6 * round_trip(road);
            assert!(took <= most, "{road:?}: {took:?}");
            sleep(time).await;
            check_peace(&trial, road);
        },
    );
}

#[test]
fn long_links_carry_checked_traffic() {
    for_seeds("long_links_carry", ROADS.len() as u64, |seed| async move {
        let (road, time) = road(seed, 5);
        let trial = mesh(road, seed);
        trial.mesh.whole().await;
        // The exit's news of the ingress take as long again.
        sleep(3 * round_trip(road)).await;
        let transfer = trial.transfer().await;
        sleep(time).await;
        check_peace(&trial, road);
        transfer.finish().await;
    });
}

/// Copies of the handshake go along both ways, so it measures the short one; packets take the cheap one.
/// A window for the short round trip was a seventh of what the long one takes.
#[test]
fn a_session_on_the_longer_of_two_ways_does_not_starve() {
    for_seeds("longer_of_two_ways", 4, |seed| async move {
        let wires = Cell::new(0);
        let trial = Trial::over(seed, [1, 5, 1, 5], 100, |_: &mut Rng| {
            wires.set(wires.get() + 1);
            let delay_ms = if wires.get() % 2 == 1 { 150 } else { 2 };
            [Condition::clean(delay_ms); 2]
        });
        trial.mesh.whole().await;
        sleep(Duration::from_secs(3)).await;
        assert_eq!(trial.active(), LEFT);
        trial.ledger.bulk.store(3, Ordering::Relaxed);
        let transfer = trial.transfer().await;
        sleep(Duration::from_secs(10)).await;
        assert_eq!(trial.active(), LEFT);
        let told = Instant::now();
        transfer.finish().await;
        assert!(
            told.elapsed() <= Duration::from_secs(3),
            "{:?}",
            told.elapsed()
        );
    });
}

/// Round trips and loss per mille: a quarter of all packets on a short way, a tenth on a long one (the
/// condition `very-bad`), and on the longest.
const LOSSES: [(u64, u64); 3] = [(10, 250), (500, 100), (1_500, 100)];

/// Heartbeats wait for no window that losses have closed, and a suspect neighbour is asked.
#[test]
fn links_that_lose_packets_stay() {
    for_seeds(
        "links_that_lose",
        2 * LOSSES.len() as u64,
        |seed| async move {
            let (delay_ms, loss) = LOSSES[seed as usize % LOSSES.len()];
            let wire = Condition {
                loss,
                ..Condition::clean(delay_ms)
            };
            let trial = Trial::over(seed, EQUAL, 100, |_: &mut Rng| [wire; 2]);
            trial.mesh.whole().await;
            sleep(Duration::from_secs(300)).await;
            for (agent, event) in trial.mesh.events() {
                let down = matches!(event, Event::LinkDown { .. });
                assert!(
                    !down,
                    "{delay_ms} ms, {loss} per mille: agent {agent}: {event:?}"
                );
            }
        },
    );
}

/// Both ends of a wire that falls silent find that in 1.5 round trips, or the 300 ms of short links.
#[test]
fn a_long_link_that_dies_is_found_dead_in_one_and_a_half_round_trips() {
    for_seeds(
        "a_long_link_that_dies",
        ROADS.len() as u64,
        |seed| async move {
            let (road, _) = road(seed, 0);
            let trial = mesh(road, seed);
            trial.mesh.whole().await;
            sleep(Duration::from_secs(30)).await;
            let cut = Instant::now();
            for (from, to) in [(INGRESS, LEFT), (LEFT, INGRESS)] {
                let network = &trial.mesh.network;
                network.change(ip(from), ip(to), |way| way.cut = true);
            }
            let linked = |from: usize, to: usize| {
                let to = trial.mesh.ids[to];
                trial.mesh.agent(from).neighbors().contains(&to)
            };
            while linked(INGRESS, LEFT) || linked(LEFT, INGRESS) {
                sleep(Duration::from_millis(10)).await;
            }
            let most = Duration::from_millis(400).max(round_trip(road).mul_f64(1.6));
            assert!(cut.elapsed() <= most, "{road:?}: {:?}", cut.elapsed());
        },
    );
}
