//! What sessions lived through: kept for people, measured for metrics.
//!
//! Two times tell how a failover felt. *Detection* runs from the old path's last sign of life until
//! it was doubted; the move comes later. The *stall* is the longest gap between two arrivals of the
//! session's packets around the move, and is known only once packets arrive again.

use std::time::Duration;

use prometheus_client::registry::Registry;

use super::event::{Cause, Event, Failover};
use super::journal::Journal;
use super::metrics::Metrics;
use super::side::Side;
use crate::identity::AgentId;
use crate::text::reason;

/// Enters what happens to sessions. Cloning shares it.
#[derive(Clone, Default)]
pub struct SessionLog {
    journal: Journal,
    metrics: Metrics,
}

impl SessionLog {
    /// Enters into `journal`.
    pub fn new(journal: Journal) -> Self {
        Self {
            journal,
            metrics: Metrics::default(),
        }
    }

    /// Adds the counters to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }

    /// A session with `peer` opened.
    pub fn opened(&self, side: Side, peer: AgentId) {
        self.metrics.opened(side);
        self.journal.record(Event::SessionOpened { side, peer });
    }

    /// A session with `peer` ended.
    pub fn ended(&self, side: Side, peer: AgentId, why: &str) {
        self.metrics.ended(side);
        let reason = reason(why);
        let ended = Event::SessionEnded { side, peer, reason };
        self.journal.record(ended);
    }

    /// Enters a failover as the session moves; returns the number to
    /// [`recovered`](Self::recovered) it with.
    pub fn moved(&self, failover: Failover) -> u64 {
        if let Cause::Known(cause) = failover.cause {
            self.metrics.moved(cause, failover.detected);
        }
        self.journal.record(Event::Failover(failover))
    }

    /// The session's packets arrive again, after `stall`. Only the first call for a number counts.
    pub fn recovered(&self, failover: u64, stall: Duration) {
        let known = self.journal.change(failover, |event| match event {
            Event::Failover(failover) => {
                let known = failover.stall.is_some();
                failover.stall.get_or_insert(stall);
                known
            }
            _ => false,
        });
        // One that is forgotten already was as real as the others.
        if known != Some(true) {
            self.metrics.stalled(stall);
            self.journal.record(Event::Recovered { failover, stall });
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::routing::SwitchCause;

    fn failover(cause: SwitchCause, detected_ms: Option<u64>) -> Failover {
        Failover {
            side: Side::Ingress,
            peer: AgentId([7; 16]),
            cause: Cause::Known(cause),
            from: vec![AgentId([1; 16]), AgentId([7; 16])],
            to: vec![AgentId([2; 16]), AgentId([7; 16])],
            detected: detected_ms.map(Duration::from_millis),
            stall: None,
            in_flight: 1_000,
        }
    }

    fn encoded(log: &SessionLog) -> String {
        let mut registry = Registry::default();
        log.register(&mut registry);
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
        let text = encoded(&SessionLog::default());
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
        let log = SessionLog::default();
        let moved = log.moved(failover(SwitchCause::LinkDown, Some(120)));
        let idle = log.moved(failover(SwitchCause::Better, None));
        assert_lines(
            &encoded(&log),
            &[
                "failovers_total{cause=\"link_down\"} 1",
                "failovers_total{cause=\"better\"} 1",
                "failover_detect_seconds_count 1",
                "failover_detect_seconds_sum 0.12",
                "failover_stall_seconds_count 0",
            ],
        );
        let stall = Duration::from_millis(150);
        log.recovered(moved, stall);
        log.recovered(moved, Duration::from_secs(9));
        assert_lines(
            &encoded(&log),
            &[
                "failover_stall_seconds_count 1",
                "failover_stall_seconds_sum 0.15",
            ],
        );
        let listed = log.journal.since(0);
        let stalls: Vec<_> = listed
            .iter()
            .map(|e| (e.number, stall_of(&e.what)))
            .collect();
        assert_eq!(stalls[..2], [(moved, Some(stall)), (idle, None)]);
        let recovered = Event::Recovered {
            failover: moved,
            stall,
        };
        assert_eq!((listed.len(), &listed[2].what), (3, &recovered));
    }

    fn stall_of(event: &Event) -> Option<Duration> {
        let Event::Failover(failover) = event else {
            return None;
        };
        failover.stall
    }

    #[test]
    fn a_forgotten_failover_is_still_measured() {
        let log = SessionLog::default();
        let first = log.moved(failover(SwitchCause::LinkDown, None));
        while log.journal.since(0)[0].number == first {
            log.moved(failover(SwitchCause::LinkDown, None));
        }
        log.recovered(first, Duration::from_millis(5));
        assert_lines(&encoded(&log), &["failover_stall_seconds_count 1"]);
    }
}
