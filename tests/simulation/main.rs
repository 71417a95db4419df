//! Seeded simulation of the control plane: many agents in virtual time, everything going wrong,
//! then quiet, then a comparison with the truth.
//!
//! `WARREN_SEED=7` runs that seed alone, `WARREN_SEEDS=100` so many seeds.

mod authority;
mod oracle;
mod rng;
mod scenarios;
mod topology;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `scenario` for some seeds; a failure says how to see it again.
pub(crate) fn for_seeds(test: &str, default: u64, scenario: impl Fn(u64)) {
    let number = |name| -> Option<u64> { std::env::var(name).ok()?.parse().ok() };
    let seeds = match number("WARREN_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..number("WARREN_SEEDS").unwrap_or(default) + 1,
    };
    for seed in seeds {
        if catch_unwind(AssertUnwindSafe(|| scenario(seed))).is_err() {
            panic!(
                "seed {seed} failed; replay: WARREN_SEED={seed} cargo test --test simulation {test}"
            );
        }
    }
}
