//! Starts an agent and ends it in order.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::info;

use super::authority::MeshAuthority;
use super::control::{Changed, Command, Control};
use super::error::StartError;
use super::mesh::{Mesh, SessionLimits};
use super::parts::{Parts, unix_ms};
use super::routes::MeshRoutes;
use super::status::Status;
use super::{health, links};
use crate::api::{self, Server};
use crate::exit::Exit;
use crate::forward::Fib;
use crate::identity::{AgentId, tunnel_client, tunnel_server};
use crate::ingress::{Ingress, OwnExit};
use crate::link::{LinkContext, LinkEndpoint, LinkEvent, Links};
use crate::routing::{
    Avoid, Balancer, Core, Counters, Graph, Now, PathTable, PrefixTable, RouteTable, Settings,
};
use crate::tunnel::{SessionOpener, StreamTable, Tunnel, TunnelSetup};
use crate::wire::Hello;

/// Link events that the control task has not looked at yet; drivers wait when it is full.
const EVENTS: usize = 1_024;

/// Requests to the control task.
const COMMANDS: usize = 16;

/// What leaving may take: SIGTERM promises an end within 2 s.
const LEAVE: Duration = Duration::from_millis(1_200);

/// What the last words on the links get of that, however long the rest took.
const FAREWELL: Duration = Duration::from_millis(300);

/// What the ends of the sessions get to leave; they are small and sent at once.
const LAST_PACKETS: Duration = Duration::from_millis(50);

/// A running agent. Dropping it aborts its tasks.
pub struct Agent {
    listeners: Vec<SocketAddr>,
    socks5: Option<SocketAddr>,
    http: Option<SocketAddr>,
    commands: mpsc::Sender<Command>,
    endpoints: Vec<LinkEndpoint>,
    tunnel: Arc<Tunnel<Mesh>>,
    _tasks: JoinSet<()>,
}

impl Agent {
    /// Binds everything, starts everything, and returns; links form afterwards.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let id = parts.id();
        let config = parts.config.clone();
        let mut tasks = JoinSet::new();

        // Bind first: a busy port is the commonest mistake, and nothing has been said yet.
        let bound = links::bind(&parts)?;
        let listeners = links::listening(&bound);
        let socks5 = match &config.socks5 {
            Some(socks5) => Some(bind_tcp("socks5.address", socks5.address).await?),
            None => None,
        };
        let http = match &config.http {
            Some(http) => Some(bind_http(http.address).await?),
            None => None,
        };

        let (fib, reports) = Fib::new(id.short(), config.routing.transit);
        let links = Links::new(id, config.limits.links);
        let session_limits = SessionLimits {
            max_hops: config.routing.max_hops,
            streams: config.limits.streams_per_session,
            window: u32::try_from(config.limits.session_window).unwrap_or(u32::MAX),
        };
        let (mesh_sender, mesh) = watch::channel(Arc::new(empty_mesh(id, session_limits)));
        let tunnel = Arc::new(start_tunnel(&parts, &fib, &mesh)?);

        let (event_sender, events) = mpsc::channel(EVENTS);
        let (commands, command_receiver) = mpsc::channel(COMMANDS);
        let streams = StreamTable::new();
        let counters = Arc::new(Mutex::new(Counters::default()));
        let control = Control {
            own: id,
            core: core(&parts),
            links: links.clone(),
            fib: fib.clone(),
            limits: session_limits,
            events,
            reports,
            commands: command_receiver,
            path_errors: tunnel.path_errors.clone(),
            mesh: mesh_sender,
            counters: counters.clone(),
            data_dir: parts.keeps_epoch.then(|| config.agent.data_dir.clone()),
            load: config.exit.as_ref().map(|_| streams.clone()),
            suspects: Default::default(),
            changed: Changed::default(),
        };
        tasks.spawn(control.run());

        let context = Arc::new(link_context(&parts, &links, &fib, event_sender));
        let endpoints = links::start(&parts, bound, &context, &fib, &tunnel.local, &mut tasks)?;

        let exit = config
            .exit
            .as_ref()
            .map(|exit| Exit::new(exit, &config.limits, streams.clone()));
        if let (Some(exit), Some(config)) = (&exit, &config.exit) {
            tasks.spawn(health::guard(
                exit.clone(),
                config.clone(),
                commands.clone(),
            ));
        }
        if let (Some(exit), Some(listener)) = (&exit, &tunnel.listener) {
            let view = mesh.clone();
            let sessions = listener
                .clone()
                .accept(move |source| view.borrow().session_with(source));
            tasks.spawn(serve_sessions(exit.clone(), sessions));
        }
        let (own_socks5, ingress) = match (socks5, &config.socks5, &tunnel.sessions) {
            (Some(listener), Some(socks5), Some(sessions)) => {
                let address = listener.local_addr().ok();
                let routes = MeshRoutes {
                    mesh: mesh.clone(),
                    balancer: Mutex::new(Balancer::new(config.routing.balance)),
                    streams: streams.clone(),
                };
                let ingress = Arc::new(Ingress::new(
                    socks5,
                    &config.limits,
                    SessionOpener(sessions.clone()),
                    routes,
                    exit.clone().map(|exit| OwnExit { id, exit }),
                    streams.clone(),
                ));
                tasks.spawn(ingress.clone().run(listener));
                (address, Some(ingress))
            }
            _ => (None, None),
        };
        let mut own_http = None;
        if let Some(server) = http {
            own_http = Some(server.local_addr());
            let metrics = api::Metrics::default();
            let settings = api::Settings::new(&config, metrics.clone());
            let status = Status {
                id,
                display_name: parts.display_name(),
                started: Instant::now(),
                not_after: parts.identity.not_after(),
                balance: config.routing.balance,
                has_peers: !config.peers.is_empty(),
                links,
                mesh,
                streams,
                counters,
                fib,
                tunnel: tunnel.clone(),
                ingress,
                exit,
            };
            let status = Arc::new(status.with_registry(&metrics));
            tasks.spawn(server.serve(status, settings, std::future::pending()));
        }
        info!(
            %id,
            name = %parts.display_name(),
            version = env!("CARGO_PKG_VERSION"),
            listeners = ?listeners,
            socks5 = ?own_socks5,
            http = ?own_http,
            "agent started"
        );
        Ok(Self {
            listeners,
            socks5: own_socks5,
            http: own_http,
            commands,
            endpoints,
            tunnel,
            _tasks: tasks,
        })
    }

    /// Where neighbours may dial us.
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    /// Where SOCKS5 is served.
    pub fn socks5(&self) -> Option<SocketAddr> {
        self.socks5
    }

    /// Where HTTP is served.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Leaves the mesh: withdraws its advertisements, says goodbye to the neighbours so that
    /// traffic moves at once, and ends. Takes at most 1.5 s.
    pub async fn shutdown(self) {
        let started = Instant::now();
        // Sessions first: their last packets need the links.
        if let Some(sessions) = &self.tunnel.sessions {
            sessions.close("agent stops");
        }
        if let Some(listener) = &self.tunnel.listener {
            listener.close("agent stops");
        }
        sleep(LAST_PACKETS).await;
        let (done, left) = oneshot::channel();
        let leave = Command::Leave {
            reason: "agent stops".to_owned(),
            done,
        };
        if self.commands.send(leave).await.is_ok() {
            let _ = timeout(LEAVE, left).await;
        }
        // Drivers flush their last messages and close; an endpoint is idle when all have.
        let closing = self
            .endpoints
            .iter()
            .map(|endpoint| endpoint.endpoint.wait_idle());
        let rest = LEAVE.saturating_sub(started.elapsed()).max(FAREWELL);
        let _ = timeout(rest, futures_util::future::join_all(closing)).await;
        info!(took = ?started.elapsed(), "agent stopped");
    }
}

async fn bind_tcp(key: &str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Bind {
            key: key.to_owned(),
            address,
            source,
        })
}

async fn bind_http(address: SocketAddr) -> Result<Server, StartError> {
    Server::bind(address)
        .await
        .map_err(|error| StartError::Bind {
            key: "http.address".to_owned(),
            address,
            source: error.source,
        })
}

async fn serve_sessions(
    exit: Arc<Exit>,
    mut sessions: mpsc::Receiver<crate::tunnel::AcceptedSession>,
) {
    while let Some(session) = sessions.recv().await {
        let exit = exit.clone();
        tokio::spawn(exit.serve_connection(session.connection, session.ingress));
    }
}

fn start_tunnel(
    parts: &Parts,
    fib: &Arc<Fib>,
    mesh: &watch::Receiver<Arc<Mesh>>,
) -> Result<Tunnel<Mesh>, StartError> {
    let config = &parts.config;
    let (identity, trust) = (parts.identity.clone(), parts.trust.clone());
    let crypto: Box<crate::tunnel::SessionCrypto> = Box::new(move |exit| {
        tunnel_client(&identity, trust.clone(), exit).map_err(|error| error.to_string())
    });
    let exit = match config.exit {
        Some(_) => {
            let server = tunnel_server(&parts.identity, parts.trust.clone())?;
            Some((server, mesh.borrow().session(Duration::ZERO)))
        }
        None => None,
    };
    Tunnel::start(TunnelSetup {
        fib: fib.clone(),
        limits: config.limits.clone(),
        view: mesh.clone(),
        ingress: config.socks5.as_ref().map(|_| crypto),
        exit,
    })
    .map_err(|error| StartError::Setup {
        what: "tunnel",
        reason: error.to_string(),
    })
}

fn core(parts: &Parts) -> Core<MeshAuthority> {
    let config = &parts.config;
    let now = Now {
        instant: Instant::now(),
        unix_ms: unix_ms(),
    };
    let settings = Settings {
        id: parts.id(),
        epoch: parts.epoch,
        display_name: parts.display_name(),
        max_hops: config.routing.max_hops,
        advertise_interval: config.routing.advertise_interval,
        route_ttl: config.routing.route_ttl,
        transit: config.routing.transit,
        limits: config.limits.clone(),
    };
    let authority = MeshAuthority::new(parts.identity.clone(), parts.trust.clone());
    let mut core = Core::new(now, settings, authority);
    if let Some(exit) = &config.exit {
        core.handle_routes(now, health::first_routes(exit));
    }
    core
}

fn link_context(
    parts: &Parts,
    links: &Arc<Links>,
    fib: &Arc<Fib>,
    events: mpsc::Sender<LinkEvent>,
) -> LinkContext {
    let config = &parts.config;
    let heartbeat = config.connections.heartbeat;
    LinkContext {
        own: parts.id(),
        hello: Hello {
            version: crate::link::VERSION,
            features: crate::link::FEATURES,
            epoch: parts.epoch,
            display_name: parts.display_name(),
            heartbeat_ms: heartbeat.as_millis() as u32,
            cost: 1,
        },
        heartbeat,
        dead_after: config.connections.dead_after,
        handshake_timeout: config.limits.handshake_timeout,
        control_message: config.limits.control_message,
        control_queue: config.limits.control_queue,
        links: links.clone(),
        fib: fib.clone(),
        events,
    }
}

fn empty_mesh(own: AgentId, limits: SessionLimits) -> Mesh {
    let graph = Arc::new(Graph::build(own, std::iter::empty()));
    let paths = Arc::new(PathTable::build(graph, limits.max_hops, Avoid::default()));
    let prefixes = Arc::new(PrefixTable::build(std::iter::empty()));
    Mesh {
        table: RouteTable::new(prefixes, paths),
        incarnations: Default::default(),
        duplicate_identity: false,
        limits,
    }
}
