//! What the agent says of itself: the API's questions answered from snapshots.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::registry::Registry;

use super::collector::Collector;
use super::process::Process;
use super::readiness::{Means, verdict};
use super::reasons::{named, not_linked, short_of_windows, single_path};
use super::setup::Shared;
use super::skew;
use crate::api::{
    self, AgentView, DepartedView, Dest, Direction, EdgeView, EventView, ExplainError, ExplainView,
    Health, MemberView, PeerState, PeerView, RouteKind, RouteView, StreamView, TopologyView,
    TraceView,
};
use crate::clock::{self, unix_now};
use crate::config::Balance;
use crate::exit::Exit;
use crate::identity::AgentId;
use crate::ingress::{Ingress, MeshRoutes};
use crate::link::PeerStatus;
use crate::record::Side;
use crate::routing::{Candidate, LinkState, Mesh};
use crate::tunnel::Sessions;

/// Certificates are renewed in time if somebody hears of it a month ahead.
const EXPIRY_NOTICE: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The ingress as it is wired here.
pub(super) type MeshIngress = Ingress<Arc<Sessions>, MeshRoutes>;

/// Everything there is to say.
pub(super) struct Status {
    pub(super) id: AgentId,
    pub(super) display_name: String,
    pub(super) started: Instant,
    /// Last second of the own certificate's validity, Unix time.
    pub(super) not_after: u64,
    pub(super) balance: Balance,
    /// The peers that the file names, and their costs.
    pub(super) peer_costs: BTreeMap<AgentId, u32>,
    pub(super) shared: Shared,
    pub(super) ingress: Option<Arc<MeshIngress>>,
    pub(super) exit: Option<Arc<Exit>>,
}

/// A [`Status`] with its metrics.
pub(super) struct Reporter {
    status: Arc<Status>,
    /// What anyone may read.
    anyones: Registry,
    /// The same, with the names of agents.
    managers: Registry,
    /// Metrics whose names are not warren's.
    process: Registry,
}

impl Status {
    /// Collects the counters of every room.
    pub(super) fn with_registry(self, http: &api::Metrics) -> Reporter {
        let status = Arc::new(self);
        let mut process = Registry::default();
        process.register_collector(Box::new(Process));
        Reporter {
            anyones: registry(&status, http, false),
            managers: registry(&status, http, true),
            status,
            process,
        }
    }

    /// What decides whether traffic can be carried.
    fn means(&self, mesh: &Mesh) -> Means {
        Means {
            peers: self.peer_costs.len(),
            links: self.shared.links.live().len(),
            ingress: self.ingress.is_some(),
            routes: mesh.table.counts().destinations(),
        }
    }

    /// The other ends of sessions whose streams get less than they could use, on either side.
    pub(super) fn short_of_windows(&self) -> Vec<AgentId> {
        let sessions = self.shared.tunnel.sessions.as_ref();
        let mut short = sessions.map_or_else(Vec::new, |sessions| sessions.short_of_windows());
        short.extend(self.exit.iter().flat_map(|exit| exit.short_of_windows()));
        short
    }

    /// What is lost or about to be, though traffic flows.
    fn worries(&self, mesh: &Mesh) -> Vec<String> {
        let mut worries = Vec::new();
        let down = self.shared.links.snapshot();
        for (id, peer) in &down {
            if peer.configured.is_some() && peer.live.is_none() {
                let name = peer.display_name.clone();
                let name = name.or_else(|| self.name(mesh, *id));
                worries.push(not_linked(*id, name.as_deref(), peer));
            }
        }
        for (id, ahead_ms) in self.shared.events.skews.current(clock::now()) {
            let who = named(id, self.name(mesh, id).as_deref());
            let words = skew::words(ahead_ms);
            worries.push(format!(
                "the clock of agent {who} is {words} this host's, so it is left out of the mesh: set the \
                 clocks of both hosts"
            ));
        }
        if self.ingress.is_some() {
            worries.extend(single_path(mesh));
        }
        if self.not_after < unix_now().saturating_add(EXPIRY_NOTICE.as_secs()) {
            let date = clock::format_date(self.not_after);
            worries.push(format!("the agent's certificate expires {date}"));
        }
        if let Some(exit) = &self.exit {
            worries.extend(exit.health().complaints());
        }
        for peer in self.short_of_windows() {
            worries.push(short_of_windows(mesh, peer));
        }
        if mesh.duplicate_identity {
            worries.push("another process uses this agent's key".to_owned());
        }
        worries
    }

    /// What an agent calls itself, or did before it left.
    fn name(&self, mesh: &Mesh, id: AgentId) -> Option<String> {
        let known = mesh.table.path_table().graph().agent(id);
        let known = known.map(|agent| agent.display_name.clone());
        let known = known.filter(|name| !name.is_empty());
        known.or_else(|| self.shared.events.departed.name(id))
    }

    fn peer_view(&self, id: AgentId, peer: PeerStatus) -> PeerView {
        let live = peer.live.as_ref();
        let state = match live.map(|live| live.state) {
            Some(LinkState::Up) => PeerState::Up,
            Some(LinkState::Suspect) => PeerState::Suspect,
            Some(LinkState::Down) => PeerState::Down,
            None if peer.attempts == 0 && peer.last_error.is_none() => PeerState::Connecting,
            None => PeerState::Down,
        };
        let direction = match live {
            Some(live) if !live.dialled => Direction::Accepted,
            Some(_) | None => Direction::Dialled,
        };
        let remote = live.map(|live| live.remote.to_string());
        PeerView {
            id,
            display_name: peer.display_name.clone(),
            address: peer.configured.or(remote).unwrap_or_default(),
            state,
            direction,
            rtt_ms: live.map(|live| millis(live.rtt)),
            cost: match live {
                Some(live) => live.cost,
                None => self.peer_costs.get(&id).copied().unwrap_or(1),
            },
            mtu: live.map(|live| live.mtu).filter(|mtu| *mtu > 0),
            uptime_s: live.map(|live| clock::since(live.since).as_secs()),
            protocol: live.map(|_| crate::link::VERSION),
            last_error: peer.last_error,
        }
    }

    fn route_view(&self, mesh: &Mesh, candidate: Candidate, chosen: bool) -> RouteView {
        let (kind, destination) = match (&candidate.prefix, &candidate.domain) {
            (Some(prefix), _) => (RouteKind::Prefix, prefix.to_string()),
            (None, Some(domain)) => (RouteKind::Domain, domain.clone()),
            (None, None) => (RouteKind::Prefix, String::new()),
        };
        let exit = candidate.exit;
        let alternate = mesh.table.alternate(exit);
        let agent = mesh.table.path_table().graph().agent(exit);
        let rtt = candidate.rtt_us();
        RouteView {
            kind,
            destination,
            exit,
            exit_name: agent.map_or_else(String::new, |agent| agent.display_name.clone()),
            metric: candidate.metric,
            hops: candidate.hops(),
            path: candidate.path.map_or_else(Vec::new, |path| path.hops),
            rtt_ms: (rtt > 0).then(|| rtt as f64 / 1_000.0),
            alternate: alternate.map(|path| path.hops),
            chosen,
        }
    }

    pub(super) fn mesh(&self) -> Arc<Mesh> {
        self.shared.mesh.borrow().clone()
    }
}

impl api::Agent for Reporter {
    fn health(&self) -> Health {
        let status = &self.status;
        let mesh = status.mesh();
        let means = status.means(&mesh);
        let obstacles = means.obstacles();
        let worries = status.worries(&mesh);
        Health {
            status: verdict(obstacles.len(), worries.len()),
            agent_id: status.id,
            display_name: status.display_name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: clock::since(status.started).as_secs(),
            peers: means.links,
            routes: means.routes,
            streams: status.shared.streams.count(),
            socks5_running: status.ingress.is_some(),
            exit_handler_running: status.exit.is_some(),
            reasons: obstacles
                .into_iter()
                .map(str::to_owned)
                .chain(worries)
                .collect(),
        }
    }

    fn peers(&self) -> Vec<PeerView> {
        let peers = self.status.shared.links.snapshot().into_iter();
        peers
            .map(|(id, peer)| self.status.peer_view(id, peer))
            .collect()
    }

    fn routes(&self) -> Vec<RouteView> {
        let mesh = self.status.mesh();
        let mut last = None;
        let mut views = Vec::new();
        for candidate in mesh.table.routes() {
            let destination = (candidate.prefix, candidate.domain.clone());
            // The preferred exit of each destination comes first.
            let chosen = last.as_ref() != Some(&destination);
            last = Some(destination);
            views.push(self.status.route_view(&mesh, candidate, chosen));
        }
        views
    }

    fn streams(&self) -> Vec<StreamView> {
        let own = self.status.id;
        let sessions = self.status.shared.tunnel.sessions.as_ref();
        let paths = sessions.map_or_else(Vec::new, |sessions| sessions.snapshot());
        let path_to = |exit| {
            let session = paths.iter().find(|session| session.exit == exit);
            session.map_or_else(Vec::new, |session| session.path.hops.clone())
        };
        let mesh = self.status.mesh();
        let mut ways_back = BTreeMap::new();
        let mut way_back = |ingress| {
            let way = ways_back.entry(ingress).or_insert_with(|| {
                let listener = self.status.shared.tunnel.listener.as_ref();
                listener.map_or_else(Vec::new, |listener| mesh.named(&listener.way_back(ingress)))
            });
            way.clone()
        };
        let streams = self.status.shared.streams.snapshot().into_iter();
        streams
            .map(|stream| {
                let (ingress, exit, path) = match stream.side {
                    Side::Ingress => (own, stream.peer, path_to(stream.peer)),
                    Side::Exit => (stream.peer, own, way_back(stream.peer)),
                };
                StreamView {
                    id: stream.id,
                    ingress,
                    exit,
                    client: stream.client.map(|client| client.to_string()),
                    target: stream.target,
                    path,
                    age_s: stream.age.as_secs(),
                    bytes_up: stream.bytes_up,
                    bytes_down: stream.bytes_down,
                }
            })
            .collect()
    }

    fn sessions(&self) -> Vec<MemberView> {
        let exit = self.status.exit.as_ref();
        let members = exit.map_or_else(Vec::new, |exit| exit.members());
        let members = members.iter();
        let view = members.map(|(member, since)| MemberView::new(member, clock::since(*since)));
        view.collect()
    }

    fn topology(&self) -> TopologyView {
        let mesh = self.status.mesh();
        let graph = mesh.table.path_table().graph();
        let offers = mesh.table.prefix_table().offers();
        let agent = |agent: &crate::routing::GraphAgent| AgentView {
            id: agent.id,
            display_name: agent.display_name.clone(),
            this: agent.id == self.status.id,
            transit: !agent.flags.no_transit,
            draining: agent.flags.draining,
            routes: offers.get(&agent.id).copied().unwrap_or(0),
        };
        let edge = |link: crate::routing::GraphLink| EdgeView {
            a: link.a,
            b: link.b,
            cost: link.cost,
            rtt_ms: (link.rtt_us > 0).then(|| link.rtt_us as f64 / 1_000.0),
            mtu: (link.mtu > 0).then_some(link.mtu),
        };
        let departed = self.status.shared.events.departed.names().into_iter();
        TopologyView {
            agents: graph.agents().iter().map(agent).collect(),
            edges: graph
                .links()
                .filter(|link| link.both_ways)
                .map(edge)
                .collect(),
            departed: departed
                .map(|(id, display_name)| DepartedView { id, display_name })
                .collect(),
        }
    }

    fn events(&self, since: u64) -> Vec<EventView> {
        let mesh = self.status.mesh();
        let events = &self.status.shared.events;
        events.since(since, |peer| self.status.name(&mesh, peer))
    }

    async fn explain(&self, dest: &Dest) -> Result<ExplainView, ExplainError> {
        self.status.explain(dest).await
    }

    async fn trace(&self, dest: &Dest) -> Result<TraceView, ExplainError> {
        self.status.trace(dest).await
    }

    fn encode_metrics(&self, names: bool) -> String {
        let mut text = String::new();
        let registry = match names {
            true => &self.managers,
            false => &self.anyones,
        };
        encode_registry(&mut text, registry)
            .and_then(|()| encode_registry(&mut text, &self.process))
            .and_then(|()| encode_eof(&mut text))
            .expect("writing to a String cannot fail");
        text
    }
}

/// Every room's counters, and what is read when somebody asks.
fn registry(status: &Arc<Status>, http: &api::Metrics, names: bool) -> Registry {
    let mut registry = Registry::with_prefix("warren");
    let shared = &status.shared;
    shared.fib.metrics.register(&mut registry);
    shared.events.sessions.register(&mut registry);
    shared.streams.register(&mut registry);
    if let Some(ingress) = &status.ingress {
        ingress.metrics().register(&mut registry);
    }
    if let Some(exit) = &status.exit {
        exit.register(names, &mut registry);
    }
    http.register(&mut registry);
    let status = status.clone();
    registry.register_collector(Box::new(Collector { status, names }));
    registry
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
