//! What health checks say in metrics: by name to who may know names, by number to anyone. A check
//! without a name has its target's, which is the operator's.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::config::HealthCheck;

/// Both of them.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    named: Labelled,
    numbered: Labelled,
}

#[derive(Debug, Default)]
struct Labelled {
    up: Family<[(&'static str, String); 1], Gauge>,
    transitions: Family<[(&'static str, String); 2], Counter>,
}

impl Metrics {
    /// Adds `exit_health{check}` and `exit_health_transitions{check,to}`, from 0.
    pub(super) fn register(&self, checks: &[HealthCheck], names: bool, registry: &mut Registry) {
        let labelled = if names { &self.named } else { &self.numbered };
        for (index, check) in checks.iter().enumerate() {
            labelled.begin(&label(index, check, names));
        }
        registry.register(
            "exit_health",
            "Health checks: 1 while up, 0 while down or without a result",
            labelled.up.clone(),
        );
        registry.register(
            "exit_health_transitions",
            "Times that a health check went up or down",
            labelled.transitions.clone(),
        );
    }

    /// Other checks in place of `old`, of which those are up.
    pub(super) fn replace(&self, old: &[HealthCheck], new: &[HealthCheck], up: &[bool]) {
        for (labelled, names) in [(&self.named, true), (&self.numbered, false)] {
            let labels = |checks: &[HealthCheck]| -> Vec<String> {
                let checks = checks.iter().enumerate();
                checks
                    .map(|(index, check)| label(index, check, names))
                    .collect()
            };
            let wanted = labels(new);
            for gone in labels(old).iter().filter(|label| !wanted.contains(label)) {
                labelled.remove(gone);
            }
            for (label, is_up) in wanted.iter().zip(up) {
                labelled.begin(label);
                labelled.gauge(label).set((*is_up).into());
            }
        }
    }

    /// A check went up or down.
    pub(super) fn changed(&self, index: usize, check: &HealthCheck, is_up: bool) {
        for (labelled, names) in [(&self.named, true), (&self.numbered, false)] {
            let label = label(index, check, names);
            labelled.gauge(&label).set(is_up.into());
            labelled.transition(&label, is_up).inc();
        }
    }
}

impl Labelled {
    /// From 0.
    fn begin(&self, check: &str) {
        drop(self.gauge(check));
        for is_up in [false, true] {
            drop(self.transition(check, is_up));
        }
    }

    fn remove(&self, check: &str) {
        self.up.remove(&[("check", check.to_owned())]);
        for to in ["up", "down"] {
            let labels = [("check", check.to_owned()), ("to", to.to_owned())];
            self.transitions.remove(&labels);
        }
    }

    fn gauge(&self, check: &str) -> Gauge {
        self.up.get_or_create_owned(&[("check", check.to_owned())])
    }

    fn transition(&self, check: &str, is_up: bool) -> Counter {
        let to = if is_up { "up" } else { "down" };
        let labels = [("check", check.to_owned()), ("to", to.to_owned())];
        self.transitions.get_or_create_owned(&labels)
    }
}

/// Numbers are from 1, in the file's order.
fn label(index: usize, check: &HealthCheck, names: bool) -> String {
    match names {
        true => check.name.clone(),
        false => (index + 1).to_string(),
    }
}
