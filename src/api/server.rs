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
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{debug, info};

use super::Agent;
use super::caller::Caller;
use super::places::{Places, Seat};
use super::router::router;
use super::settings::{Settings, Timeouts};
use super::socket::LocalSocket;
use crate::accept::Acceptor;
use crate::task::{self, Served};

/// The file in `agent.data_dir` through which the operator of this host is served.
pub const API_SOCKET: &str = "api.sock";

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
        let places = Places::new(settings.connections);
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
            let seat = places.seat(caller);
            if seat
                .as_ref()
                .is_none_or(|(_, in_place_of_another)| *in_place_of_another)
            {
                settings.metrics.refused("connection_limit");
            }
            let Some((seat, _)) = seat else {
                debug!(%caller, "HTTP connection refused: its share of limits.http_connections is open");
                continue;
            };
            let connection = Connection {
                stream,
                caller,
                stopped: stopped.clone(),
                timeouts: settings.timeouts,
                seat,
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

/// One accepted connection.
struct Connection {
    stream: Box<dyn Stream>,
    caller: Caller,
    /// Closed when the server stops.
    stopped: watch::Receiver<()>,
    timeouts: Timeouts,
    seat: Arc<Seat>,
}

impl Connection {
    async fn run(mut self, router: Router) {
        let (caller, seat) = (self.caller, self.seat.clone());
        let endpoints = TowerToHyperService::new(router);
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(caller);
            seat.is_served();
            let (answer, seat) = (endpoints.call(request), seat.clone());
            async move {
                let answer = answer.await;
                seat.waits();
                answer
            }
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
            () = self.seat.ended() => return debug!(%caller, "HTTP connection cut: its place is another's"),
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
