//! The exit's counters.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::wire::ConnectStatus;

type ByResult = Family<[(&'static str, &'static str); 1], Counter>;

/// Every way a name query ends.
const RESOLVED: [&str; 6] = [
    "found",
    "not_found",
    "timed_out",
    "failed",
    "busy",
    "draining",
];

/// Counters of one exit.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    connects: ByResult,
    resolves: ByResult,
    pub(super) bad_requests: Counter,
}

impl Metrics {
    /// Adds `exit_connects{result}`, `exit_resolves{result}` and `exit_bad_requests`, each label
    /// from 0: a rate needs the value before the first event.
    pub fn register(&self, registry: &mut Registry) {
        for status in ConnectStatus::ENDS {
            drop(self.connects(status));
        }
        for result in RESOLVED {
            drop(self.resolved(result));
        }
        registry.register(
            "exit_connects",
            "Targets dialled for ingresses",
            self.connects.clone(),
        );
        registry.register(
            "exit_resolves",
            "Names resolved, for ingresses and for own domain routes",
            self.resolves.clone(),
        );
        registry.register(
            "exit_bad_requests",
            "Streams whose request did not come or did not decode",
            self.bad_requests.clone(),
        );
    }

    pub(super) fn connects(&self, status: ConnectStatus) -> Counter {
        self.connects
            .get_or_create_owned(&[("result", label(status))])
    }

    pub(super) fn resolved(&self, result: &'static str) -> Counter {
        debug_assert!(RESOLVED.contains(&result), "{result}");
        self.resolves.get_or_create_owned(&[("result", result)])
    }
}

fn label(status: ConnectStatus) -> &'static str {
    match status {
        ConnectStatus::Connected => "connected",
        ConnectStatus::Internal => "internal",
        ConnectStatus::NotAllowed => "not_allowed",
        ConnectStatus::NetworkUnreachable => "network_unreachable",
        ConnectStatus::HostUnreachable => "host_unreachable",
        ConnectStatus::Refused => "refused",
        ConnectStatus::TimedOut => "timed_out",
        ConnectStatus::NameNotFound => "name_not_found",
        ConnectStatus::Draining => "draining",
        ConnectStatus::Pending => "pending",
    }
}
