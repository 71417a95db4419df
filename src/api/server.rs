//! Sockets: an accept loop of our own, because connections, headers and idle time have limits.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use super::router::router;
use super::{Agent, Metrics};
use crate::config::{Config, PasswordHash};
use crate::identity::Checks;
use crate::task::{self, Served};

/// Share of `limits.http_connections` that only this host may use, so that strangers who hold
/// connections to the open endpoints do not lock its operator out: one in this many.
const LOCAL_SHARE: usize = 8;

/// Bytes of request line and headers together; a token and a name fit many times over.
const MAX_HEAD: usize = 16 * 1024;

/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection may last in each phase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// To send a request's head, and to stay idle between two requests.
    pub(super) head: Duration,
    /// From accept until the answer under way is the last: whoever reads slowly is cut after it.
    pub(super) lifetime: Duration,
    /// To finish the last answer.
    pub(super) grace: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            // Checks every 5 s and scrapes every 15 s keep their connection.
            head: Duration::from_secs(20),
            lifetime: Duration::from_secs(300),
            grace: Duration::from_secs(10),
        }
    }
}

/// What the server needs besides the agent.
#[derive(Clone)]
pub struct Settings {
    /// Opens management to other hosts.
    pub token_hash: Option<PasswordHash>,
    /// `limits.http_connections`.
    pub connections: usize,
    /// Where tokens take their turn to be hashed.
    pub checks: Arc<Checks>,
    pub metrics: Metrics,
    pub(super) timeouts: Timeouts,
}

/// The address cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve HTTP on {address}; free it or change http.address")]
pub struct BindError {
    pub address: SocketAddr,
    pub source: io::Error,
}

/// A bound HTTP server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Settings {
    /// The settings that `config` asks for.
    pub fn new(config: &Config, checks: Arc<Checks>, metrics: Metrics) -> Self {
        Self {
            token_hash: config.http.as_ref().and_then(|h| h.token_hash.clone()),
            connections: config.limits.http_connections,
            checks,
            metrics,
            timeouts: Timeouts::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn for_test(timeouts: Timeouts) -> Self {
        Self {
            token_hash: None,
            connections: 64,
            checks: Checks::new(2, 16),
            metrics: Metrics::default(),
            timeouts,
        }
    }
}

impl Server {
    /// Binds `address`; port 0 takes any.
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let error = |source| BindError { address, source };
        let listener = TcpListener::bind(address).await.map_err(error)?;
        let address = listener.local_addr().map_err(error)?;
        Ok(Self { listener, address })
    }

    /// Where the server listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` resolves; then answers under way are finished, within seconds.
    /// Dropping the future cuts every connection.
    pub async fn serve<A: Agent>(
        self,
        agent: Arc<A>,
        settings: Settings,
        shutdown: impl Future<Output = ()>,
    ) {
        info!(address = %self.address, "HTTP API listens");
        let router = router(agent, &settings);
        let slots = Slots::new(settings.connections);
        let (stop, stopped) = watch::channel(());
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let (stream, peer) = tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => continue,
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        after_failed_accept(&error).await;
                        continue;
                    }
                },
            };
            let Some(slot) = slots.take(peer) else {
                settings.metrics.refused("connection_limit");
                debug!(%peer, "HTTP connection refused: limits.http_connections are open");
                continue;
            };
            let connection = Connection {
                stream,
                peer,
                stopped: stopped.clone(),
                timeouts: settings.timeouts,
                _slot: slot,
            };
            let run = connection.run(router.clone());
            connections.spawn(task::contain(Served::HttpClient, run));
        }
        drop((self.listener, stop));
        while connections.join_next().await.is_some() {}
    }
}

async fn after_failed_accept(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    match error.kind() {
        // The client's doing, and only its connection is gone.
        ConnectionAborted | ConnectionReset | Interrupted => {}
        _ => {
            warn!(%error, "cannot accept HTTP connections");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
}

/// Places for connections, some of them for this host alone.
pub(super) struct Slots {
    anyone: Arc<Semaphore>,
    local: Arc<Semaphore>,
}

impl Slots {
    pub(super) fn new(connections: usize) -> Self {
        let local = connections / LOCAL_SHARE;
        Self {
            anyone: Arc::new(Semaphore::new(connections - local)),
            local: Arc::new(Semaphore::new(local)),
        }
    }

    pub(super) fn take(&self, peer: SocketAddr) -> Option<OwnedSemaphorePermit> {
        let free = |slots: &Arc<Semaphore>| Arc::clone(slots).try_acquire_owned().ok();
        free(&self.anyone).or_else(|| {
            let is_local = peer.ip().to_canonical().is_loopback();
            is_local.then(|| free(&self.local)).flatten()
        })
    }
}

/// One accepted connection.
struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    /// Closed when the server stops.
    stopped: watch::Receiver<()>,
    timeouts: Timeouts,
    _slot: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(mut self, router: Router) {
        let peer = self.peer;
        let endpoints = TowerToHyperService::new(router);
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            endpoints.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.timeouts.head)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(self.stream), service);
        let mut connection = pin!(connection);
        let last_call = async {
            tokio::select! {
                _ = self.stopped.changed() => {}
                () = tokio::time::sleep(self.timeouts.lifetime) => {}
            }
        };
        let ended = tokio::select! {
            ended = &mut connection => Ok(ended),
            () = last_call => {
                connection.as_mut().graceful_shutdown();
                tokio::time::timeout(self.timeouts.grace, connection).await
            }
        };
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%peer, %error, "HTTP connection failed"),
            Err(_) => debug!(%peer, "HTTP connection cut: its client reads too slowly"),
        }
    }
}
