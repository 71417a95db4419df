//! HTTP as a service: what the agent says of itself.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::super::parts::Parts;
use super::super::request::Desk;
use super::super::setup::Shared;
use super::super::status::{MeshIngress, Status};
use crate::api::{self, Server};
use crate::clock;
use crate::config;
use crate::exit::Exit;
use crate::identity::Checks;
use crate::task::{Running, Starter};

pub(super) struct HttpService {
    address: SocketAddr,
    access: Arc<api::Access>,
    checks: Arc<Checks>,
    /// Other ports to listen at go in here.
    ports: mpsc::Sender<TcpListener>,
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
        let checks = shared.checks.clone();
        let access = Arc::new(api::Access::new(config.http.as_ref(), checks.clone()));
        let settings = api::Settings::new(config, access.clone(), metrics.clone());
        let status = Status {
            id: parts.id(),
            display_name: parts.display_name(),
            started: clock::now(),
            identity: parts.identity.clone(),
            shared: shared.clone(),
            desk,
            ingress: ingress.cloned(),
            exit: exit.cloned(),
        };
        let status = Arc::new(status.with_registry(&metrics));
        let address = server.local_addr();
        let (ports, server) = server.with_ports();
        let serving = server.serve(status, settings, std::future::pending());
        Self {
            address,
            access,
            checks,
            ports,
            _serving: starter.start("HTTP", serving),
        }
    }

    /// Goes by `config` from now on, and listens at `port` instead if that is given.
    pub(super) async fn apply(&mut self, config: &config::Http, port: Option<TcpListener>) {
        self.access.replace(config, self.checks.clone());
        if let Some(port) = port {
            self.address = port.local_addr().unwrap_or(config.address);
            // An error means that the server is gone, and the agent about to end.
            let _ = self.ports.send(port).await;
        }
    }

    /// Where HTTP is served.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}
