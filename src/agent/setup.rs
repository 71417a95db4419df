//! What the rooms of an agent share and are given, made from its configuration.

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, watch};

use super::authority::MeshAuthority;
use super::error::StartError;
use super::events::EventLog;
use super::health;
use super::parts::Parts;
use crate::clock::{self, unix_ms};
use crate::forward::{Fib, PathErrorReport};
use crate::identity::{Checks, tunnel_client, tunnel_server};
use crate::link::{LinkContext, LinkEvent, Links, Standstill};
use crate::record::{SessionLog, StreamTable};
use crate::routing::{Avoid, Core, Counters, Lately, Mesh, Now, Settings};
use crate::task::Vital;
use crate::tunnel::{Accepting, SessionCrypto, Sizes, Tunnel, TunnelSetup};
use crate::wire::Hello;

/// Paths that failed end to end and that the control task has not looked at yet.
const FAILED_PATHS: usize = 16;

/// What several rooms of an agent use.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) fib: Arc<Fib>,
    pub(super) links: Arc<Links>,
    pub(super) standstill: Arc<Standstill>,
    pub(super) mesh: watch::Receiver<Arc<Mesh>>,
    pub(super) tunnel: Arc<Tunnel>,
    pub(super) events: EventLog,
    pub(super) streams: Arc<StreamTable>,
    /// Password and token hashes of all doors together.
    pub(super) checks: Arc<Checks>,
    /// What became of the advertisements seen so far.
    pub(super) counters: Arc<Mutex<Counters>>,
    /// What had a route lately.
    pub(super) lately: Arc<Mutex<Lately>>,
}

/// The control task's ends of what is shared.
pub(super) struct ControlEnds {
    pub(super) mesh: watch::Sender<Arc<Mesh>>,
    pub(super) failed_paths: mpsc::Receiver<Avoid>,
    pub(super) reports: mpsc::Receiver<PathErrorReport>,
}

impl Shared {
    pub(super) fn new(parts: &Parts, tasks: &mut Vital) -> Result<(Self, ControlEnds), StartError> {
        let config = &parts.config;
        let id = parts.id();
        let (fib, reports) = Fib::new(id.short(), config.routing.transit);
        let (failed, failed_paths) = mpsc::channel(FAILED_PATHS);
        let (sender, mesh) = watch::channel(Arc::new(Mesh::empty(id, config.routing.max_hops)));
        let links = Links::new(id, config.limits.links);
        let events = EventLog::default();
        let log = events.sessions.clone();
        let tunnel = Arc::new(start_tunnel(parts, &fib, &mesh, failed, log, tasks)?);
        let connections = &config.connections;
        let shared = Self {
            links,
            standstill: Standstill::new(connections.heartbeat, connections.dead_after),
            events,
            tunnel,
            fib,
            mesh,
            streams: StreamTable::new(),
            checks: Checks::new(config.limits.password_checks, config.limits.password_queue),
            counters: Arc::default(),
            lately: Arc::new(Mutex::new(Lately::new(config.limits.lost_routes))),
        };
        let ends = ControlEnds {
            mesh: sender,
            failed_paths,
            reports,
        };
        Ok((shared, ends))
    }
}

fn start_tunnel(
    parts: &Parts,
    fib: &Arc<Fib>,
    mesh: &watch::Receiver<Arc<Mesh>>,
    failed_paths: mpsc::Sender<Avoid>,
    log: SessionLog,
    tasks: &mut Vital,
) -> Result<Tunnel, StartError> {
    let config = &parts.config;
    let (identity, trust) = (parts.identity.clone(), parts.trust.clone());
    let crypto: Box<SessionCrypto> = Box::new(move |exit| {
        tunnel_client(&identity, trust.clone(), exit).map_err(|error| error.to_string())
    });
    let exit = match config.exit {
        Some(_) => {
            let trust = parts.trust.clone();
            Some(Accepting {
                tls: tunnel_server(&parts.identity, trust.clone())?,
                trust,
            })
        }
        None => None,
    };
    let setup = TunnelSetup {
        fib: fib.clone(),
        limits: config.limits.clone(),
        sizes: Sizes::new(
            config.routing.max_hops,
            &config.limits,
            config.connections.congestion,
        ),
        heartbeat: config.connections.heartbeat,
        view: mesh.clone(),
        failed_paths,
        log,
        ingress: config.socks5.as_ref().map(|_| crypto),
        exit,
    };
    Tunnel::start(setup, tasks).map_err(|error| StartError::Setup {
        what: "tunnel",
        reason: error.to_string(),
    })
}

pub(super) fn core(parts: &Parts) -> Core<MeshAuthority> {
    let config = &parts.config;
    let now = Now {
        instant: clock::now(),
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

pub(super) fn link_context(
    parts: &Parts,
    shared: &Shared,
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
            // That of each link's opening.
            time_ms: None,
        },
        heartbeat,
        dead_after: config.connections.dead_after,
        handshake_timeout: config.limits.handshake_timeout,
        control_message: config.limits.control_message,
        control_queue: config.limits.control_queue,
        standstill: shared.standstill.clone(),
        links: shared.links.clone(),
        fib: shared.fib.clone(),
        events,
    }
}
