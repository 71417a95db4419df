//! Bounded waiting for something that another process does.

use std::time::{Duration, Instant};

/// How long a state may take to come about. Far above what an idle machine needs, because tests
/// share two cores; a test passes as soon as the state is there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(45);

/// Short against every state change of an agent, long against the cost of asking it.
const POLL: Duration = Duration::from_millis(25);

/// Asks until there is an answer; panics with `what` when [`PATIENCE`] is over.
pub(crate) fn eventually<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, probe)
}

/// As [`eventually`], with another limit.
pub(crate) fn within<T>(limit: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(POLL);
    }
}
