//! Health checks: whether the exit can serve what it advertises.
//!
//! ```text
//!  per check:  timer ─► probe ─► Health (pure) ─┬► statuses (watch) ─► advertised routes, /healthz
//!                                               └► journal ─► /api/events, log
//! ```
//!
//! One task per exit runs all checks, [`Exit::check_health`](super::Exit::check_health). It ends
//! with the agent and may be aborted: the statuses stay as they are then.

mod change;
mod metrics;
mod probe;
mod state;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::time::sleep_until;
use tracing::debug;

use super::acl::Acl;
use crate::clock;
use crate::config::{self, Guards, HealthCheck, Route};
use crate::names::Resolver;
use crate::record::Journal;
use metrics::Metrics;
use probe::{ProbeError, probe};
use state::{Health, Outcome};

/// Share of an interval by which the next check comes earlier or later.
const JITTER: f64 = 0.1;

/// What is known of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckStatus {
    /// No result yet.
    Unknown,
    Up,
    Down {
        /// Of its last failure.
        reason: String,
    },
}

/// The checks of one exit.
#[derive(Debug)]
pub struct HealthChecks {
    exit: config::Exit,
    /// By check.
    statuses: watch::Sender<Vec<CheckStatus>>,
    journal: Journal,
    metrics: Arc<Metrics>,
}

impl HealthChecks {
    pub(super) fn new(exit: &config::Exit, journal: Journal) -> Self {
        let unknown = vec![CheckStatus::Unknown; exit.health_checks.len()];
        Self {
            exit: exit.clone(),
            statuses: watch::Sender::new(unknown),
            journal,
            metrics: Arc::default(),
        }
    }

    /// Those of `exit` in place of these. What is known of a check that stays as it is, is kept.
    pub(super) fn replaced(&self, exit: &config::Exit) -> Self {
        let known = self.statuses.borrow();
        let status = |check: &HealthCheck| {
            let before = self.checks().iter().position(|old| old == check);
            before.map_or(CheckStatus::Unknown, |index| known[index].clone())
        };
        let statuses: Vec<CheckStatus> = exit.health_checks.iter().map(status).collect();
        let up = statuses.iter().map(|status| *status == CheckStatus::Up);
        let up: Vec<bool> = up.collect();
        self.metrics
            .replace(self.checks(), &exit.health_checks, &up);
        Self {
            exit: exit.clone(),
            statuses: watch::Sender::new(statuses),
            journal: self.journal.clone(),
            metrics: self.metrics.clone(),
        }
    }

    /// Adds this exit's checks: by their names, or by their numbers.
    pub(super) fn register(&self, names: bool, registry: &mut Registry) {
        self.metrics.register(self.checks(), names, registry);
    }

    /// Notifies when a check went up or down.
    pub fn subscribe(&self) -> watch::Receiver<Vec<CheckStatus>> {
        self.statuses.subscribe()
    }

    /// One sentence for every check that is not up.
    pub fn complaints(&self) -> Vec<String> {
        let statuses = self.statuses.borrow();
        let complaint = |(check, status): (&HealthCheck, &CheckStatus)| match status {
            CheckStatus::Up => None,
            CheckStatus::Unknown => Some(format!("health check {} has no result yet", check.name)),
            CheckStatus::Down { reason } => {
                Some(format!("health check {} fails: {reason}", check.name))
            }
        };
        let checks = self.checks().iter().zip(statuses.iter());
        checks.filter_map(complaint).collect()
    }

    /// Checks for ever.
    pub(super) async fn run(&self, resolver: &Resolver, acl: &Acl) {
        if self.checks().is_empty() {
            return std::future::pending().await;
        }
        let checks = (0..self.checks().len()).map(|index| self.repeat(index, resolver, acl));
        futures_util::future::join_all(checks).await;
    }

    async fn repeat(&self, index: usize, resolver: &Resolver, acl: &Acl) {
        let check = &self.checks()[index];
        let known = match &self.statuses.borrow()[index] {
            CheckStatus::Unknown => None,
            CheckStatus::Up => Some(true),
            CheckStatus::Down { .. } => Some(false),
        };
        let mut health = Health::new(check.fall, check.rise, known);
        loop {
            let started = clock::now();
            let result = probe(check, resolver, acl).await;
            self.handle_result(index, &mut health, result);
            sleep_until((started + jittered(check.interval)).into()).await;
        }
    }

    fn handle_result(&self, index: usize, health: &mut Health, result: Result<(), ProbeError>) {
        let check = &self.checks()[index];
        let (outcome, reason) = match result {
            Ok(()) => (Outcome::Passed, String::new()),
            Err(error) => {
                debug!(check = check.name, %error, "health check failed");
                (Outcome::Failed, error.to_string())
            }
        };
        let news = health.handle_result(outcome);
        let before = news.map(|_| self.healthy_routes());
        if let Some(is_up) = news {
            self.metrics.changed(index, check, is_up);
        }
        let failure = reason.clone();
        self.statuses.send_if_modified(|statuses| {
            let status = &mut statuses[index];
            match (news, outcome) {
                (Some(true), _) => *status = CheckStatus::Up,
                (Some(false), _) => *status = CheckStatus::Down { reason },
                // Who reads the reason later reads the latest; nobody has to act.
                (None, Outcome::Failed) => {
                    if let CheckStatus::Down { reason: last } = status {
                        *last = reason;
                    }
                }
                (None, Outcome::Passed) => {}
            }
            news.is_some()
        });
        if let (Some(is_up), Some(before)) = (news, before) {
            let failure = (!is_up).then_some(failure.as_str());
            let after = self.healthy_routes();
            let event = change::event(&check.name, failure, &before, &after);
            self.journal.record(event);
        }
    }

    fn checks(&self) -> &[HealthCheck] {
        &self.exit.health_checks
    }

    pub(super) fn healthy_routes(&self) -> Vec<Route> {
        healthy_routes(&self.exit, &self.statuses.borrow())
    }
}

/// The routes of an exit that may be advertised while its checks have these statuses: those whose
/// every check is up.
pub(super) fn healthy_routes(exit: &config::Exit, statuses: &[CheckStatus]) -> Vec<Route> {
    let mut withheld = HashSet::new();
    for (check, status) in exit.health_checks.iter().zip(statuses) {
        if *status == CheckStatus::Up {
            continue;
        }
        match &check.guards {
            Guards::All => return Vec::new(),
            Guards::These(routes) => withheld.extend(routes),
        }
    }
    let prefixes = exit.routes.iter().copied().map(Route::Prefix);
    let domains = exit.domain_routes.iter().cloned().map(Route::Domain);
    prefixes
        .chain(domains)
        .filter(|route| !withheld.contains(route))
        .collect()
}

fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(rand::random_range(1.0 - JITTER..1.0 + JITTER))
}

#[cfg(test)]
mod tests;
