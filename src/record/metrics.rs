//! What sessions count.

use std::ops::Deref;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::side::Side;
use crate::routing::SwitchCause;

/// Counters of the opened and accepted sessions. Cloning shares them.
#[derive(Clone)]
pub(super) struct Metrics {
    failovers: Family<Label, Counter>,
    detect: Histogram,
    stall: Histogram,
    sessions: Family<Label, Gauge>,
}

/// One name and its value.
type Label = [(&'static str, &'static str); 1];

/// Upper ends of the buckets of failover times, seconds. Heartbeats of 50 to 100 ms decide after
/// 75 to 300 ms, so it is finest there; 1 ms is as fine as tasks run, and past 30 s sessions idle
/// out.
const BUCKETS: [f64; 18] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0,
    30.0, 60.0,
];

impl Metrics {
    /// Adds the counters to `registry`, each cause from 0: a rate needs the value before the first
    /// failover.
    pub(super) fn register(&self, registry: &mut Registry) {
        for cause in SwitchCause::ALL.map(SwitchCause::as_str) {
            drop(self.failovers.get_or_create(&[("cause", cause)]));
        }
        for side in [Side::Ingress, Side::Exit] {
            drop(self.side(side));
        }
        registry.register(
            "failovers",
            "Sessions moved to another path",
            self.failovers.clone(),
        );
        registry.register(
            "failover_detect_seconds",
            "From the old path's last sign of life until it was doubted",
            self.detect.clone(),
        );
        registry.register(
            "failover_stall_seconds",
            "Longest gap between two arrivals of a session's packets around a failover",
            self.stall.clone(),
        );
        registry.register(
            "sessions",
            "Live end-to-end sessions",
            self.sessions.clone(),
        );
    }

    pub(super) fn moved(&self, cause: SwitchCause, detected: Option<Duration>) {
        let cause = cause.as_str();
        self.failovers.get_or_create(&[("cause", cause)]).inc();
        if let Some(detected) = detected {
            self.detect.observe(detected.as_secs_f64());
        }
    }

    pub(super) fn stalled(&self, stall: Duration) {
        self.stall.observe(stall.as_secs_f64());
    }

    pub(super) fn opened(&self, side: Side) {
        self.side(side).inc();
    }

    pub(super) fn ended(&self, side: Side) {
        self.side(side).dec();
    }

    fn side(&self, side: Side) -> impl Deref<Target = Gauge> {
        let side = side.as_str();
        self.sessions.get_or_create(&[("side", side)])
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            failovers: Family::default(),
            detect: Histogram::new(BUCKETS),
            stall: Histogram::new(BUCKETS),
            sessions: Family::default(),
        }
    }
}
