//! The ingress's counters.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

type Labelled = Family<[(&'static str, &'static str); 1], Counter>;

/// Every way a request ends: what [`Refusal`](super::Refusal) says, and
/// what happens without an error.
const RESULTS: [&str; 8] = [
    "connected",
    "client_gone",
    "internal",
    "not_allowed",
    "no_route",
    "host_unreachable",
    "refused",
    "timed_out",
];

/// How a wait for a route ends that the client does not end by hanging up.
const WAITS: [&str; 3] = ["found", "in_vain", "no_room"];

/// Every reason for which a client gets no further than its greeting.
const FAILURES: [&str; 12] = [
    "io",
    "proxy_header",
    "version",
    "no_method",
    "malformed",
    "auth",
    "auth_too_often",
    "request",
    "timed_out",
    "max_connections",
    "socks_handshakes",
    "accept",
];

/// Counters of one ingress.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    connects: Labelled,
    pub(super) retries: Counter,
    handshake_failures: Labelled,
    route_waits: Labelled,
}

impl Metrics {
    /// Adds `connects{result}`, `connect_retries`, `route_waits{result}` and
    /// `socks_handshake_failures{reason}`, each label from 0: a rate needs the value before the first
    /// event.
    pub fn register(&self, registry: &mut Registry) {
        for result in RESULTS {
            drop(self.connects.get_or_create(&[("result", result)]));
        }
        for reason in FAILURES {
            drop(self.handshake_failures.get_or_create(&[("reason", reason)]));
        }
        for result in WAITS {
            drop(self.route_waits.get_or_create(&[("result", result)]));
        }
        registry.register(
            "connects",
            "SOCKS5 requests by what the client was told",
            self.connects.clone(),
        );
        registry.register(
            "connect_retries",
            "Attempts on a further exit or address inside one SOCKS5 request",
            self.retries.clone(),
        );
        registry.register(
            "route_waits",
            "Waits of requests whose destination had a route lately",
            self.route_waits.clone(),
        );
        registry.register(
            "socks_handshake_failures",
            "Clients that did not get as far as a request",
            self.handshake_failures.clone(),
        );
    }

    pub(super) fn connected(&self, result: &'static str) {
        debug_assert!(RESULTS.contains(&result), "{result}");
        self.connects.get_or_create(&[("result", result)]).inc();
    }

    pub(super) fn waited(&self, result: &'static str) {
        debug_assert!(WAITS.contains(&result), "{result}");
        self.route_waits.get_or_create(&[("result", result)]).inc();
    }

    pub(super) fn handshake_failed(&self, reason: &'static str) {
        debug_assert!(FAILURES.contains(&reason), "{reason}");
        self.handshake_failures
            .get_or_create(&[("reason", reason)])
            .inc();
    }

    /// Requests that ended with `result`.
    #[cfg(test)]
    pub(super) fn connects(&self, result: &'static str) -> u64 {
        self.connects.get_or_create(&[("result", result)]).get()
    }

    /// Waits for a route that ended with `result`.
    #[cfg(test)]
    pub(super) fn waits(&self, result: &'static str) -> u64 {
        self.route_waits.get_or_create(&[("result", result)]).get()
    }

    /// Handshakes that failed for `reason`.
    #[cfg(test)]
    pub(super) fn handshake_failures(&self, reason: &'static str) -> u64 {
        self.handshake_failures
            .get_or_create(&[("reason", reason)])
            .get()
    }
}
