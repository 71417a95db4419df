//! HTTP as a service: what the agent says of itself.

use std::net::SocketAddr;
use std::sync::Arc;

use super::super::parts::Parts;
use super::super::request::Desk;
use super::super::setup::Shared;
use super::super::status::{MeshIngress, Status};
use crate::api::{self, Server};
use crate::clock;
use crate::exit::Exit;
use crate::task::{Running, Starter};

pub(super) struct HttpService {
    address: SocketAddr,
    _serving: Running,
}

impl HttpService {
    /// Starts it on its port.
    pub(super) fn start(
        parts: &Parts,
        shared: &Shared,
        server: Server,
        desk: Desk,
        ingress: Option<&Arc<MeshIngress>>,
        exit: Option<&Arc<Exit>>,
        starter: &Starter,
    ) -> Self {
        let config = &parts.config;
        let metrics = api::Metrics::default();
        let settings = api::Settings::new(config, shared.checks.clone(), metrics.clone());
        let status = Status {
            id: parts.id(),
            display_name: parts.display_name(),
            started: clock::now(),
            not_after: parts.identity.not_after(),
            balance: config.routing.balance,
            peer_costs: config.peers.iter().map(|p| (p.id, p.cost)).collect(),
            shared: shared.clone(),
            desk,
            ingress: ingress.cloned(),
            exit: exit.cloned(),
        };
        let status = Arc::new(status.with_registry(&metrics));
        let address = server.local_addr();
        let serving = server.serve(status, settings, std::future::pending());
        Self {
            address,
            _serving: starter.start("HTTP", serving),
        }
    }

    /// Where HTTP is served.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}
