//! Bounded waiting for something that another process does.

use std::time::{Duration, Instant};

/// How long a state may take to come about: twice the longest that is by design, the 30 s for which a
/// path that fell silent is avoided and the 10 s for which it then has to be the better one. Tests
/// share two cores, and pass as soon as the state is there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

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
