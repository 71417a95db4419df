//! What the agent knows of itself, and what it worries about.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::drain::Stage;
use super::readiness::Means;
use super::reasons::{named, not_linked, short_of_windows, single_path};
use super::request::Desk;
use super::setup::Shared;
use super::skew;
use crate::api::{Direction, DrainStage, DrainView, PeerState, PeerView, RouteKind, RouteView};
use crate::clock::{self, unix_now};
use crate::config::Balance;
use crate::exit::Exit;
use crate::identity::{AgentId, Identity};
use crate::ingress::{Ingress, MeshRoutes};
use crate::link::PeerStatus;
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
    pub(super) identity: Arc<Identity>,
    pub(super) shared: Shared,
    pub(super) desk: Desk,
    pub(super) ingress: Option<Arc<MeshIngress>>,
    pub(super) exit: Option<Arc<Exit>>,
}

impl Status {
    /// What decides whether traffic can be carried.
    pub(super) fn means(&self, mesh: &Mesh) -> Means {
        Means::of(&self.desk, &self.shared, mesh)
    }

    /// The other ends of sessions whose streams get less than they could use, on either side.
    pub(super) fn short_of_windows(&self) -> Vec<AgentId> {
        let sessions = self.shared.tunnel.sessions.as_ref();
        let mut short = sessions.map_or_else(Vec::new, |sessions| sessions.short_of_windows());
        short.extend(self.exit.iter().flat_map(|exit| exit.short_of_windows()));
        short
    }

    /// What is lost or about to be, though traffic flows.
    pub(super) fn worries(&self, mesh: &Mesh) -> Vec<String> {
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
        let not_after = self.identity.not_after();
        if not_after < unix_now().saturating_add(EXPIRY_NOTICE.as_secs()) {
            let date = clock::format_date(not_after);
            worries.push(format!("the agent's certificate expires {date}"));
        }
        if let Some(exit) = &self.exit {
            worries.extend(exit.settings().health().complaints());
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
    pub(super) fn name(&self, mesh: &Mesh, id: AgentId) -> Option<String> {
        let known = mesh.table.path_table().graph().agent(id);
        let known = known.map(|agent| agent.display_name.clone());
        let known = known.filter(|name| !name.is_empty());
        known.or_else(|| self.shared.events.departed.name(id))
    }

    pub(super) fn balance(&self) -> Balance {
        self.desk.config.borrow().routing.balance
    }

    /// That of a peer that is not linked.
    fn configured_cost(&self, id: AgentId) -> u32 {
        let config = self.desk.config.borrow();
        let peer = config.peers.iter().find(|peer| peer.id == id);
        peer.map_or(1, |peer| peer.cost)
    }

    pub(super) fn drain_view(&self) -> Option<DrainView> {
        let progress = (*self.desk.progress.borrow())?;
        let clients = self
            .ingress
            .as_ref()
            .map_or(0, |ingress| ingress.connections());
        let served = self.exit.as_ref().map_or(0, |exit| exit.connections());
        let left = progress.deadline.saturating_duration_since(clock::now());
        Some(DrainView {
            stage: match progress.stage {
                Stage::Noticed => DrainStage::Noticed,
                Stage::Emptying => DrainStage::Emptying,
                Stage::Drained => DrainStage::Drained,
            },
            connections: clients + served,
            left_s: left.as_secs_f64().ceil() as u64,
            cut: progress.cut,
        })
    }

    pub(super) fn peer_view(&self, id: AgentId, peer: PeerStatus) -> PeerView {
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
                None => self.configured_cost(id),
            },
            mtu: live.map(|live| live.mtu).filter(|mtu| *mtu > 0),
            uptime_s: live.map(|live| clock::since(live.since).as_secs()),
            protocol: live.map(|_| crate::link::VERSION),
            last_error: peer.last_error,
        }
    }

    pub(super) fn route_view(&self, mesh: &Mesh, candidate: Candidate, chosen: bool) -> RouteView {
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
            added: false,
        }
    }

    pub(super) fn mesh(&self) -> Arc<Mesh> {
        self.shared.mesh.borrow().clone()
    }
}

pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
