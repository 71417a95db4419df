//! What sessions count.

use std::ops::Deref;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::routing::SwitchCause;

/// Counters of the opened and accepted sessions. Cloning shares them.
#[derive(Clone, Default)]
pub struct Metrics {
    failovers: Family<CauseLabels, Counter>,
    sessions: Family<SideLabels, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabels {
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SideLabels {
    side: &'static str,
}

/// Every cause that is counted.
const CAUSES: [SwitchCause; 6] = [
    SwitchCause::Found,
    SwitchCause::LinkDown,
    SwitchCause::PathError,
    SwitchCause::PathGone,
    SwitchCause::Draining,
    SwitchCause::Better,
];

/// Which end of a session this agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Ingress,
    Exit,
}

impl Metrics {
    /// Adds the counters to `registry`, each cause from 0: a rate needs the value before the first
    /// failover.
    pub fn register(&self, registry: &mut Registry) {
        for cause in CAUSES.map(label) {
            drop(self.failovers.get_or_create(&CauseLabels { cause }));
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
            "sessions",
            "Live end-to-end sessions",
            self.sessions.clone(),
        );
    }

    pub(super) fn failover(&self, cause: SwitchCause) {
        let cause = label(cause);
        self.failovers.get_or_create(&CauseLabels { cause }).inc();
    }

    pub(super) fn opened(&self, side: Side) {
        self.side(side).inc();
    }

    pub(super) fn ended(&self, side: Side) {
        self.side(side).dec();
    }

    fn side(&self, side: Side) -> impl Deref<Target = Gauge> {
        let side = match side {
            Side::Ingress => "ingress",
            Side::Exit => "exit",
        };
        self.sessions.get_or_create(&SideLabels { side })
    }
}

/// A cause as metrics and logs name it.
pub(super) fn label(cause: SwitchCause) -> &'static str {
    match cause {
        SwitchCause::Found => "found",
        SwitchCause::LinkDown => "link_down",
        SwitchCause::PathError => "path_error",
        SwitchCause::PathGone => "path_gone",
        SwitchCause::Draining => "draining",
        SwitchCause::Better => "better",
    }
}
