//! Sessions that moved: kept for people, measured for metrics.
//!
//! Two times tell how a failover felt. *Detection* runs from the old path's last sign of life until
//! it was doubted; the move comes later. The *stall* is the longest gap between two arrivals of the
//! session's packets around the move, and is known only once packets arrive again.

use std::time::Duration;

use super::journal::{Entry, Journal, Numbers};
use super::metrics::Metrics;
use super::side::Side;
use crate::identity::AgentId;
use crate::routing::SwitchCause;

/// Failovers that are remembered: a day of a bad link, and every session of a middling agent when
/// a transit of all of them dies.
const FAILOVERS: usize = 256;

/// A session that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// Which end of the session this agent is.
    pub side: Side,
    /// The other end.
    pub peer: AgentId,
    pub cause: SwitchCause,
    /// Each hop of the old path, the other end last.
    pub from: Vec<AgentId>,
    /// Each hop of the new path.
    pub to: Vec<AgentId>,
    /// From the last sign of life of the old path until it was doubted; `None`: no silence led to
    /// the move.
    pub detected: Option<Duration>,
    /// The longest gap between two arrivals around the move; `None`: nothing was on its way, or
    /// nothing has arrived yet.
    pub stall: Option<Duration>,
    /// Bytes sent and not acknowledged at the move.
    pub in_flight: u64,
}

/// The stall of a failover became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The failover's number.
    pub failover: u64,
    pub stall: Duration,
}

/// Every failover that is remembered. Cloning shares them.
#[derive(Clone)]
pub struct Failovers {
    moves: Journal<Failover>,
    recoveries: Journal<Recovery>,
    metrics: Metrics,
}

impl Failovers {
    pub(super) fn new(metrics: Metrics, numbers: &Numbers) -> Self {
        Self {
            moves: Journal::new(FAILOVERS, numbers),
            recoveries: Journal::new(FAILOVERS, numbers),
            metrics,
        }
    }

    /// Enters a failover as the session moves; returns the number to
    /// [`complete`](Self::complete) it with.
    pub fn begin(&self, failover: Failover) -> u64 {
        self.metrics.moved(failover.cause, failover.detected);
        self.moves.record(failover)
    }

    /// The session's packets arrive again, after `stall`. Only the first call for a number counts.
    pub fn complete(&self, number: u64, stall: Duration) {
        let known = self.moves.change(number, |failover| {
            let known = failover.stall.is_some();
            failover.stall.get_or_insert(stall);
            known
        });
        // One that is forgotten already was as real as the others.
        if known != Some(true) {
            self.metrics.stalled(stall);
            let failover = number;
            self.recoveries.record(Recovery { failover, stall });
        }
    }

    /// The latest failovers, the newest last.
    pub fn snapshot(&self) -> Vec<Entry<Failover>> {
        self.moves.snapshot()
    }

    /// The latest recoveries, the newest last.
    pub fn recoveries(&self) -> Vec<Entry<Recovery>> {
        self.recoveries.snapshot()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    fn failover(cause: SwitchCause, detected_ms: Option<u64>) -> Failover {
        Failover {
            side: Side::Ingress,
            peer: AgentId([7; 16]),
            cause,
            from: vec![AgentId([1; 16]), AgentId([7; 16])],
            to: vec![AgentId([2; 16]), AgentId([7; 16])],
            detected: detected_ms.map(Duration::from_millis),
            stall: None,
            in_flight: 1_000,
        }
    }

    fn encoded(metrics: &Metrics) -> String {
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    fn assert_lines(text: &str, lines: &[&str]) {
        for line in lines {
            assert!(text.lines().any(|l| l == *line), "no {line} in\n{text}");
        }
    }

    #[test]
    fn every_cause_and_both_histograms_are_there_before_the_first_failover() {
        let text = encoded(&Metrics::default());
        for cause in SwitchCause::ALL {
            let line = format!("failovers_total{{cause=\"{}\"}} 0", cause.as_str());
            assert_lines(&text, &[&line]);
        }
        assert_lines(
            &text,
            &[
                "failover_detect_seconds_count 0",
                "failover_stall_seconds_count 0",
            ],
        );
    }

    #[test]
    fn a_failover_is_counted_at_its_decision_and_measured_at_its_end() {
        let metrics = Metrics::default();
        let failovers = Failovers::new(metrics.clone(), &Numbers::default());
        let moved = failovers.begin(failover(SwitchCause::LinkDown, Some(120)));
        let idle = failovers.begin(failover(SwitchCause::Better, None));
        assert_lines(
            &encoded(&metrics),
            &[
                "failovers_total{cause=\"link_down\"} 1",
                "failovers_total{cause=\"better\"} 1",
                "failover_detect_seconds_count 1",
                "failover_detect_seconds_sum 0.12",
                "failover_stall_seconds_count 0",
            ],
        );
        let stall = Duration::from_millis(150);
        failovers.complete(moved, stall);
        failovers.complete(moved, Duration::from_secs(9));
        assert_lines(
            &encoded(&metrics),
            &[
                "failover_stall_seconds_count 1",
                "failover_stall_seconds_sum 0.15",
            ],
        );
        let listed = failovers.snapshot();
        let stalls: Vec<_> = listed.iter().map(|e| (e.number, e.what.stall)).collect();
        assert_eq!(stalls, [(moved, Some(stall)), (idle, None)]);
        let recoveries = failovers.recoveries();
        let failover = moved;
        assert_eq!(recoveries.len(), 1);
        assert_eq!(recoveries[0].what, Recovery { failover, stall });
        assert!(recoveries[0].number > idle);
    }

    #[test]
    fn a_forgotten_failover_is_still_measured() {
        let metrics = Metrics::default();
        let failovers = Failovers::new(metrics.clone(), &Numbers::default());
        let first = failovers.begin(failover(SwitchCause::LinkDown, None));
        for _ in 0..FAILOVERS {
            failovers.begin(failover(SwitchCause::LinkDown, None));
        }
        assert_eq!(failovers.snapshot().len(), FAILOVERS);
        failovers.complete(first, Duration::from_millis(5));
        assert_lines(&encoded(&metrics), &["failover_stall_seconds_count 1"]);
    }
}
