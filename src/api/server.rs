//! Sockets: an accept loop of our own, because connections, headers and idle time have limits.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tracing::{debug, info};

use super::Agent;
use super::caller::Caller;
use super::router::router;
use super::settings::{Settings, Timeouts};
use super::socket::LocalSocket;
use crate::accept::Acceptor;
use crate::limit::{Network, STRANGERS, Share, Shares};
use crate::task::{self, Served};

/// The file in `agent.data_dir` through which the operator of this host is served.
pub const API_SOCKET: &str = "api.sock";

/// Share of `limits.http_connections` that only this host may use, so that strangers who hold
/// connections to the open endpoints do not lock its operator out: one in this many.
const LOCAL_SHARE: usize = 8;

/// Connections through the local socket, beside `limits.http_connections`: nobody else can take them.
const OPERATOR: usize = 4;

/// Bytes of request line and headers together; a token and a name fit many times over.
const MAX_HEAD: usize = 16 * 1024;

/// The local socket cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve the local API on {}: {cause}", path.display())]
pub struct SocketError {
    pub path: PathBuf,
    /// Told by the text above, and so not as the source again.
    pub cause: io::Error,
}

/// A bound HTTP server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    socket: Option<LocalSocket>,
    /// Ports to listen at instead.
    ports: Option<mpsc::Receiver<TcpListener>>,
}

impl Server {
    /// Binds `address`; port 0 takes any.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            socket: None,
            ports: None,
        })
    }

    /// Listens at another port whenever one is sent; connections to the old one go on.
    pub fn with_ports(self) -> (mpsc::Sender<TcpListener>, Self) {
        let (sender, ports) = mpsc::channel(1);
        let ports = Some(ports);
        (sender, Self { ports, ..self })
    }

    /// Serves the operator of this host at `path` too.
    pub fn bind_socket(&mut self, path: &Path) -> Result<(), SocketError> {
        let socket = LocalSocket::bind(path).map_err(|cause| SocketError {
            path: path.to_owned(),
            cause,
        })?;
        self.socket = Some(socket);
        Ok(())
    }

    /// Where the server listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` resolves; then answers under way are finished, within seconds.
    /// Dropping the future cuts every connection.
    pub async fn serve<A: Agent>(
        mut self,
        agent: Arc<A>,
        settings: Settings,
        shutdown: impl Future<Output = ()>,
    ) {
        info!(address = %self.address, "HTTP API listens");
        let router = router(agent, &settings);
        let slots = Slots::new(settings.connections);
        let (stop, stopped) = watch::channel(());
        let mut connections = JoinSet::new();
        let mut acceptor = Acceptor::new("HTTP");
        let mut shutdown = pin!(shutdown);
        loop {
            let (stream, caller) = tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(port) = next_port(&mut self.ports) => {
                    self.address = port.local_addr().unwrap_or(self.address);
                    self.listener = port;
                    info!(address = %self.address, "HTTP API listens");
                    continue;
                }
                Some(_) = connections.join_next() => continue,
                accepted = acceptor.next(
                    || accept(&self.listener, self.socket.as_ref()),
                    || {},
                ) => accepted,
            };
            let Some(slot) = slots.take(caller) else {
                settings.metrics.refused("connection_limit");
                debug!(%caller, "HTTP connection refused: its share of limits.http_connections is open");
                continue;
            };
            let connection = Connection {
                stream,
                caller,
                stopped: stopped.clone(),
                timeouts: settings.timeouts,
                _slot: slot,
            };
            let run = connection.run(router.clone());
            connections.spawn(task::contain(Served::HttpClient, run));
        }
        drop((self.listener, self.socket, stop));
        while connections.join_next().await.is_some() {}
    }
}

async fn accept(
    listener: &TcpListener,
    socket: Option<&LocalSocket>,
) -> io::Result<(Box<dyn Stream>, Caller)> {
    let local = async {
        match socket {
            Some(socket) => socket.accept().await,
            None => pending().await,
        }
    };
    tokio::select! {
        accepted = listener.accept() => {
            let (stream, peer) = accepted?;
            Ok((Box::new(stream), Caller::At(peer)))
        }
        accepted = local => Ok((Box::new(accepted?), Caller::Operator)),
    }
}

/// The next port that is sent; never, if nobody will send one.
async fn next_port(ports: &mut Option<mpsc::Receiver<TcpListener>>) -> Option<TcpListener> {
    match ports {
        Some(ports) => ports.recv().await,
        None => pending().await,
    }
}

/// What a connection comes over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Places for connections: a share for each network, so that nobody keeps a balancer's checks out, and
/// some for this host alone.
pub(super) struct Slots {
    anyone: Arc<Shares<Network>>,
    local: Arc<Semaphore>,
    operator: Arc<Semaphore>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Slot {
    _share: Option<Share<Network>>,
    _local: Option<OwnedSemaphorePermit>,
}

impl Slots {
    pub(super) fn new(connections: usize) -> Self {
        let local = connections / LOCAL_SHARE;
        Self {
            anyone: Shares::new(connections - local, STRANGERS),
            local: Arc::new(Semaphore::new(local)),
            operator: Arc::new(Semaphore::new(OPERATOR)),
        }
    }

    pub(super) fn take(&self, caller: Caller) -> Option<Slot> {
        let take = |places: &Arc<Semaphore>| places.clone().try_acquire_owned().ok();
        let (share, local) = match caller {
            Caller::Operator => (None, take(&self.operator)),
            Caller::At(peer) => match self.anyone.take(peer.ip().into()) {
                None if caller.is_local() => (None, take(&self.local)),
                share => (share, None),
            },
        };
        (share.is_some() || local.is_some()).then_some(Slot {
            _share: share,
            _local: local,
        })
    }
}

/// One accepted connection.
struct Connection {
    stream: Box<dyn Stream>,
    caller: Caller,
    /// Closed when the server stops.
    stopped: watch::Receiver<()>,
    timeouts: Timeouts,
    _slot: Slot,
}

impl Connection {
    async fn run(mut self, router: Router) {
        let caller = self.caller;
        let endpoints = TowerToHyperService::new(router);
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(caller);
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
            Ok(Err(error)) => debug!(%caller, %error, "HTTP connection failed"),
            Err(_) => debug!(%caller, "HTTP connection cut: its client reads too slowly"),
        }
    }
}
