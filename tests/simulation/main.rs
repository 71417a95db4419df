//! Seeded simulation of the control plane: many agents in virtual time, everything going wrong,
//! then quiet, then a comparison with the truth.
//!
//! `WARREN_SEED=7` runs that seed alone, `WARREN_SEEDS=100` so many seeds, both so many from 7 on.

mod adversity;
mod authority;
mod oracle;
mod rng;
mod scenarios;
mod tiny;
mod topology;
#[allow(dead_code, reason = "shared with benches/scale")]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{available_parallelism, scope};

/// Runs `scenario` for some seeds, on every core; a failure says how to see it again.
pub(crate) fn for_seeds(test: &str, default: u64, scenario: impl Fn(u64) + Sync) {
    let number = |name| -> Option<u64> { std::env::var(name).ok()?.parse().ok() };
    let seeds = match number("WARREN_SEED") {
        Some(seed) => seed..seed + number("WARREN_SEEDS").unwrap_or(1),
        None => 1..number("WARREN_SEEDS").unwrap_or(default) + 1,
    };
    let next = AtomicU64::new(seeds.start);
    let failed = AtomicU64::new(u64::MAX);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end.min(failed.load(Ordering::Relaxed)) {
                return;
            }
            if catch_unwind(AssertUnwindSafe(|| scenario(seed))).is_err() {
                failed.fetch_min(seed, Ordering::Relaxed);
            }
        }
    };
    scope(|threads| {
        for _ in 0..available_parallelism().map_or(1, usize::from) {
            threads.spawn(work);
        }
    });
    let seed = failed.into_inner();
    assert_eq!(
        seed,
        u64::MAX,
        "seed {seed} failed; replay: WARREN_SEED={seed} cargo test --test simulation {test}"
    );
}
