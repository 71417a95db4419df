//! How long a request and its parts may take.

use std::time::Duration;

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
