//! Path errors that a neighbour passes on: how fast they are taken, and where they go.

use std::time::{Duration, Instant};

use crate::forward::Recent;
use crate::identity::{AgentId, ShortId};
use crate::wire::PathError;

/// A neighbour's path errors about one broken link, for one source, are taken no faster: an honest
/// reporter sends them every 50 ms, and queues on the way may bring two closer together.
const INTERVAL: Duration = Duration::from_millis(20);

/// Path errors taken from one neighbour in that time, all together: several times what a transit
/// reports that has just lost its only way for every source behind us.
const MOST: usize = 64;

/// Where a path error goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Onward {
    /// It is about a path of ours.
    Here(PathError),
    /// To this neighbour, towards the packet's source.
    To(ShortId, PathError),
}

/// One neighbour's path errors.
pub(super) struct PathErrors {
    /// By reporter, next hop and source.
    recent: Recent<(AgentId, ShortId, Option<ShortId>)>,
}

impl PathErrors {
    /// None so far.
    pub(super) fn new() -> Self {
        Self {
            recent: Recent::new(INTERVAL, MOST),
        }
    }

    /// Where `error` goes; `None`: nowhere, the same was taken a moment ago.
    pub(super) fn take(&mut self, now: Instant, mut error: PathError) -> Option<Onward> {
        let source = error.back.last().copied();
        let what = (error.reporter, error.next_hop, source);
        if !self.recent.admit(now, what) {
            return None;
        }
        if error.back.is_empty() {
            return Some(Onward::Here(error));
        }
        let next = error.back.remove(0);
        Some(Onward::To(next, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(reporter: u8, next_hop: u64, back: &[u64]) -> PathError {
        PathError {
            reporter: AgentId([reporter; 16]),
            next_hop: ShortId(next_hop),
            destination: ShortId(9),
            back: back.iter().copied().map(ShortId).collect(),
        }
    }

    #[test]
    fn errors_go_back_hop_by_hop() {
        let mut errors = PathErrors::new();
        let now = Instant::now();
        let onward = errors.take(now, error(1, 2, &[3, 4]));
        assert_eq!(onward, Some(Onward::To(ShortId(3), error(1, 2, &[4]))));
        let onward = errors.take(now, error(1, 2, &[]));
        assert_eq!(onward, Some(Onward::Here(error(1, 2, &[]))));
    }

    #[test]
    fn one_error_hides_only_its_like() {
        let mut errors = PathErrors::new();
        let now = Instant::now();
        assert!(errors.take(now, error(1, 2, &[])).is_some());
        assert!(errors.take(now, error(1, 2, &[])).is_none());
        assert!(errors.take(now, error(1, 3, &[])).is_some());
        assert!(errors.take(now, error(5, 2, &[])).is_some());
        assert!(errors.take(now, error(1, 2, &[6])).is_some());
        assert!(errors.take(now + INTERVAL, error(1, 2, &[])).is_some());
        let many = (100..1_100).filter(|hop| errors.take(now, error(1, *hop, &[])).is_some());
        assert!(many.count() <= MOST);
    }
}
