//! HTTP as a service: what the agent says of itself.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::super::parts::Parts;
use super::super::reporter::Reporter;
use super::super::request::Desk;
use super::super::setup::Shared;
use super::super::status::{MeshIngress, Status};
use super::NewPort;
use crate::api::{self, Server};
use crate::clock;
use crate::config;
use crate::exit::Exit;
use crate::identity;
use crate::task::{Running, Starter};

pub(super) struct HttpService {
    address: SocketAddr,
    access: Arc<api::Access>,
    hashes: Arc<identity::Checks>,
    /// Other ports to listen at go in here.
    ports: mpsc::Sender<TcpListener>,
    checks: Option<Checks>,
    status: Arc<Reporter>,
    starter: Starter,
    _serving: Running,
}

/// What answers HAProxy's `agent-check`.
struct Checks {
    address: Option<SocketAddr>,
    _serving: Running,
}

impl Checks {
    fn start(listener: TcpListener, status: Arc<Reporter>, starter: &Starter) -> Self {
        Self {
            address: listener.local_addr().ok(),
            _serving: starter.start("agent-check", api::serve_checks(listener, status)),
        }
    }
}

impl HttpService {
    /// Starts it on its port.
    pub(super) fn start(
        parts: &Parts,
        shared: &Shared,
        (server, checks): (Server, Option<TcpListener>),
        desk: Desk,
        ingress: Option<&Arc<MeshIngress>>,
        exit: Option<&Arc<Exit>>,
        starter: &Starter,
    ) -> Self {
        let config = &parts.config;
        let metrics = api::Metrics::default();
        let hashes = shared.checks.clone();
        let access = Arc::new(api::Access::new(config.http.as_ref(), hashes.clone()));
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
        let serving = server.serve(status.clone(), settings, std::future::pending());
        Self {
            address,
            access,
            hashes,
            ports,
            checks: checks.map(|listener| Checks::start(listener, status.clone(), starter)),
            status,
            starter: starter.clone(),
            _serving: starter.start("HTTP", serving),
        }
    }

    /// Goes by `config` from now on, and listens at `port` instead if that is given.
    pub(super) async fn apply(
        &mut self,
        config: &config::Http,
        port: Option<TcpListener>,
        checks: NewPort,
    ) {
        self.access.replace(config, self.hashes.clone());
        match checks {
            NewPort::Same => {}
            NewPort::Closed => self.checks = None,
            NewPort::Open(listener) => {
                let checks = Checks::start(listener, self.status.clone(), &self.starter);
                self.checks = Some(checks);
            }
        }
        if let Some(port) = port {
            self.address = port.local_addr().unwrap_or(config.address);
            // An error means that the server is gone, and the agent about to end.
            let _ = self.ports.send(port).await;
        }
    }

    /// Where HAProxy's `agent-check` is answered.
    pub(super) fn checks(&self) -> Option<SocketAddr> {
        self.checks.as_ref().and_then(|checks| checks.address)
    }

    /// Where HTTP is served.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}
