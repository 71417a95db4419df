//! The API's own counters.

use axum::http::StatusCode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Counters of one HTTP server.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    requests: Family<[(&'static str, u16); 1], Counter>,
    refusals: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Metrics {
    /// Adds `http_requests{status}` and `http_refusals{reason}`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "http_requests",
            "Requests answered, by status",
            self.requests.clone(),
        );
        registry.register(
            "http_refusals",
            "Connections over limits.http_connections, and management requests refused, by reason",
            self.refusals.clone(),
        );
    }

    pub(super) fn answered(&self, status: StatusCode) {
        self.requests
            .get_or_create_owned(&[("status", status.as_u16())])
            .inc();
    }

    pub(super) fn refused(&self, reason: &'static str) {
        self.refusals
            .get_or_create_owned(&[("reason", reason)])
            .inc();
    }
}
