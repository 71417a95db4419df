//! What sessions count.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
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
    side: Side,
}

/// Which end of a session this agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum Side {
    Ingress,
    Exit,
}

impl Metrics {
    /// Adds the counters to `registry`.
    pub fn register(&self, registry: &mut Registry) {
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
        self.sessions.get_or_create(&SideLabels { side }).inc();
    }

    pub(super) fn ended(&self, side: Side) {
        self.sessions.get_or_create(&SideLabels { side }).dec();
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
