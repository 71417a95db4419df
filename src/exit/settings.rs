//! What an exit goes by, which may be replaced while it runs. Whoever works by the old ones goes on.

use std::sync::Arc;
use std::time::Duration;

use super::acl::Acl;
use super::dns::resolver;
use super::health::{CheckStatus, HealthChecks, healthy_routes};
use super::own::OwnListeners;
use crate::config::{self, Route};
use crate::names::Resolver;
use crate::record::Journal;

#[derive(Debug)]
pub struct Settings {
    pub(super) acl: Acl,
    pub(super) own: OwnListeners,
    pub(super) resolver: Resolver,
    pub(super) connect_timeout: Duration,
    health: HealthChecks,
    resolves: bool,
}

impl Settings {
    pub(super) fn new(config: &config::Exit, own: OwnListeners, journal: Journal) -> Self {
        Self::with(config, own, HealthChecks::new(config, journal))
    }

    /// Those of `config` in place of these: what is known of checks that stay is kept.
    pub(super) fn replaced(&self, config: &config::Exit, own: OwnListeners) -> Self {
        Self::with(config, own, self.health.replaced(config))
    }

    fn with(config: &config::Exit, own: OwnListeners, health: HealthChecks) -> Self {
        Self {
            acl: Acl::new(config),
            own,
            resolver: resolver(&config.dns),
            connect_timeout: config.connect_timeout,
            health,
            resolves: !config.dns.servers.is_empty(),
        }
    }

    /// The health checks.
    pub fn health(&self) -> &HealthChecks {
        &self.health
    }

    /// Whether names are looked up by servers that the file names.
    pub fn resolves(&self) -> bool {
        self.resolves
    }

    /// The routes that may be advertised as the checks are now.
    pub fn healthy_routes(&self) -> Vec<Route> {
        self.health.healthy_routes()
    }

    pub(super) async fn check_health(self: Arc<Self>) {
        self.health.run(&self.resolver, &self.acl).await;
    }
}

/// What an exit of this section may advertise before its first check.
pub fn first_routes(config: &config::Exit) -> Vec<Route> {
    let unknown = vec![CheckStatus::Unknown; config.health_checks.len()];
    healthy_routes(config, &unknown)
}
