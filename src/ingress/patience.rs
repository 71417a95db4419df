//! How long a request and its parts may take.

use std::pin::pin;
use std::time::Duration;

use crate::clock::Allowance;

/// Round trips that an attempt gets at least: one for a session, one for the request, and two for a
/// packet that is lost and sent again.
const ROUND_TRIPS: u32 = 4;

/// How long a client's request may take, and its parts.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Until an exit gives a sign of life while there is another candidate. An exit that dials for
    /// longer says so, so this bounds the mesh and not the target.
    pub one_of_many: Duration,
    /// The same for the last candidate.
    pub last: Duration,
    /// Until a resolver answers while there is another one.
    pub resolver: Duration,
    /// Until the client has its reply. A kernel's own attempts on a silent target take about two
    /// minutes; an exit's `connect_timeout` ends the usual one much earlier.
    pub overall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            one_of_many: Duration::from_secs(1),
            last: Duration::from_secs(10),
            resolver: Duration::from_secs(2),
            overall: Duration::from_secs(120),
        }
    }
}

impl Patience {
    /// `rtt` is the round trip to the exit.
    pub(super) fn attempt(&self, has_alternative: bool, rtt: Duration) -> Duration {
        let time = if has_alternative {
            self.one_of_many
        } else {
            self.last
        };
        time.max(rtt * ROUND_TRIPS)
    }

    pub(super) fn resolve(&self, has_alternative: bool, rtt: Duration) -> Duration {
        let time = if has_alternative {
            self.resolver
        } else {
            self.last
        };
        time.max(rtt * ROUND_TRIPS)
    }
}

/// What `asking` gives within `time`, which is asked for again when it is over: a queue that grows while
/// a request waits in it makes the round trip longer than it was when that began. `Err`: so long it was
/// given.
pub(super) async fn patiently<T>(
    time: impl Fn() -> Duration,
    asking: impl Future<Output = T>,
) -> Result<T, Duration> {
    let mut asking = pin!(asking);
    let mut given = Duration::ZERO;
    loop {
        let now = time();
        if now <= given {
            return Err(given);
        }
        let more = Allowance::new(now - given).spend(asking.as_mut()).await;
        if let Some(done) = more {
            return Ok(done);
        }
        given = now;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::sleep;

    use super::*;
    use crate::clock;

    const SECOND: Duration = Duration::from_secs(1);

    /// A satellite's line whose queue fills: the round trip was 2.3 s when the request began.
    #[tokio::test(start_paused = true)]
    async fn who_waits_in_a_growing_queue_is_given_what_it_has_grown_to() {
        let patience = Patience::default();
        let rtt = Cell::new(Duration::from_millis(2_300));
        let asked = clock::now();
        let answer = async {
            sleep(6 * SECOND).await;
            rtt.set(5 * SECOND);
            sleep(8 * SECOND).await;
        };
        let time = || patience.attempt(false, rtt.get());
        assert_eq!(patiently(time, answer).await, Ok(()));
        assert_eq!(clock::since(asked).as_secs(), 14);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_has_what_is_due_and_no_more() {
        let asked = clock::now();
        let silent = std::future::pending::<()>();
        let due = patiently(|| 10 * SECOND, silent).await;
        assert_eq!(due, Err(10 * SECOND));
        assert_eq!(clock::since(asked).as_secs(), 10);
    }
}
