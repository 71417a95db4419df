//! Runs scenarios for many seeds, on all cores, each in a runtime of its own.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;

use crate::log;

/// Runs `scenario` for some seeds under a clock that jumps from event to event; a failure says how
/// to see it again. Returns what the runs returned, by seed.
pub(crate) fn for_seeds<R, F>(
    test: &str,
    default: u64,
    scenario: impl Fn(u64) -> F + Sync,
) -> Vec<R>
where
    R: Send,
    F: Future<Output = R>,
{
    let number = |name| -> Option<u64> { std::env::var(name).ok()?.parse().ok() };
    let (first, end) = match number("WARREN_SEED") {
        Some(seed) => (seed, seed + 1),
        None => (1, number("WARREN_SEEDS").unwrap_or(default) + 1),
    };
    let next = AtomicU64::new(first);
    let results = Mutex::new(Vec::new());
    let failed = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            match catch_unwind(AssertUnwindSafe(|| run(scenario(seed)))) {
                Ok(result) => results.lock().unwrap().push((seed, result)),
                Err(_) => {
                    println!("seed {seed} failed");
                    failed.lock().unwrap().push(seed);
                }
            }
        }
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, |n| n.get());
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort_unstable();
    if let Some(seed) = failed.first() {
        panic!(
            "seeds {failed:?} failed; replay: WARREN_SEED={seed} cargo test --test virtual_time {test}"
        );
    }
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(seed, _)| *seed);
    results.into_iter().map(|(_, result)| result).collect()
}

fn run<F: Future>(scenario: F) -> F::Output {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        log::begin();
        scenario.await
    })
}

/// A time, and when it was seen.
pub(crate) struct Sample {
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    pub(crate) what: String,
}

/// How times spread over runs; the shortest first.
pub(crate) struct Spread(Vec<Sample>);

impl Spread {
    pub(crate) fn of(samples: impl IntoIterator<Item = Sample>) -> Self {
        let mut samples: Vec<Sample> = samples.into_iter().collect();
        samples.sort_by_key(|sample| sample.time);
        Self(samples)
    }

    /// So many hundredths of the times are no longer; zero if there are none.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let last = self.0.len().saturating_sub(1);
        let sample = self.0.get(last * percent / 100);
        sample.map_or(Duration::ZERO, |sample| sample.time)
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, p99] = [50, 99].map(|percent| self.percentile(percent));
        write!(f, "median {median:?}, p99 {p99:?} of {}", self.0.len())?;
        match self.0.last() {
            Some(Sample { time, seed, what }) => {
                write!(f, "; longest {time:?}: seed {seed}, {what}")
            }
            None => Ok(()),
        }
    }
}
