//! The API's questions answered from snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::registry::Registry;

use super::added::{self, RouteError};
use super::collector::Collector;
use super::process::Process;
use super::readiness::verdict;
use super::request::{Refused, Reloaded};
use super::status::Status;
use super::weight::Weight;
use crate::api::{
    self, AdvertiseAnswer, AdvertiseStatus, AgentView, DepartedView, Dest, DrainAnswer, EdgeView,
    EventView, ExplainError, ExplainView, Health, MemberView, PeerView, Refusal, ReloadAnswer,
    RouteChange, RouteView, StreamView, TopologyView, TraceView,
};
use crate::clock::{self, unix_now};
use crate::config::Route;
use crate::record::Side;

/// A [`Status`] with its metrics.
pub(super) struct Reporter {
    status: Arc<Status>,
    /// What anyone may read.
    anyones: Registry,
    /// The same, with the names of agents.
    managers: Registry,
    /// Metrics whose names are not warren's.
    process: Registry,
    weight: Weight,
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
            weight: Weight::new(clock::now()),
        }
    }
}

impl Reporter {
    /// The exit's routes after what was asked for.
    fn routes_now(&self, outcome: Result<(), RouteError>) -> AdvertiseAnswer {
        let (config, added) = (&self.status.desk.config, &self.status.desk.added);
        let (config, added) = (config.borrow().clone(), added.borrow().clone());
        let texts =
            |routes: &[Route]| -> Vec<String> { routes.iter().map(ToString::to_string).collect() };
        let exit = config.exit.as_ref();
        let routes = exit.map_or_else(Vec::new, |exit| added::routes(&added, exit));
        AdvertiseAnswer {
            status: match &outcome {
                Ok(()) => AdvertiseStatus::Ok,
                Err(_) => AdvertiseStatus::Refused,
            },
            message: match outcome {
                Ok(()) => format!("routes of this exit: {}", routes.len()),
                Err(error) => error.to_string(),
            },
            routes: texts(&routes),
            added: texts(&added.active),
            saved: texts(&added.saved),
        }
    }

    /// What the agent has come to after a change.
    fn answered(&self, outcome: Result<(), Refused>) -> Result<DrainAnswer, api::Refused> {
        outcome.map_err(|refused| api::Refused(refused.to_string()))?;
        let health = api::Agent::health(self);
        Ok(DrainAnswer {
            status: health.status,
            message: match health.drain {
                Some(drain) => drain.to_string(),
                None => "not draining".to_owned(),
            },
            drain: health.drain,
        })
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
            status: verdict(means, worries.len()),
            agent_id: status.id,
            display_name: status.display_name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: clock::since(status.started).as_secs(),
            peers: means.links,
            routes: means.routes,
            streams: status.shared.streams.count(),
            socks5_running: status.ingress.is_some(),
            exit_handler_running: status.exit.is_some(),
            drain: status.drain_view(),
            reasons: obstacles
                .into_iter()
                .map(str::to_owned)
                .chain(worries)
                .collect(),
        }
    }

    fn weight(&self) -> Option<u8> {
        let config = self.status.desk.config.borrow();
        let is_wanted = config.http.as_ref()?.agent_check_weight;
        let taken = self.status.ingress.as_ref().map(|it| it.connections());
        let most = config.socks5.as_ref().map(|socks5| socks5.max_connections);
        let places = taken.unwrap_or(0) as f64 / most.unwrap_or(1) as f64;
        is_wanted.then(|| self.weight.percent(clock::now(), places))
    }

    fn peers(&self) -> Vec<PeerView> {
        let peers = self.status.shared.links.snapshot().into_iter();
        peers
            .map(|(id, peer)| self.status.peer_view(id, peer))
            .collect()
    }

    fn routes(&self) -> Vec<RouteView> {
        let mesh = self.status.mesh();
        let added = self.status.desk.added.borrow().clone();
        let added: BTreeSet<String> = added.active.iter().map(ToString::to_string).collect();
        let mut last = None;
        let mut views = Vec::new();
        for candidate in mesh.table.routes() {
            let destination = (candidate.prefix, candidate.domain.clone());
            // The preferred exit of each destination comes first.
            let chosen = last.as_ref() != Some(&destination);
            last = Some(destination);
            let mut view = self.status.route_view(&mesh, candidate, chosen);
            view.added = view.exit == self.status.id && added.contains(&view.destination);
            views.push(view);
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
        let (members, now) = (members.iter(), unix_now());
        let view =
            members.map(|(member, since)| MemberView::new(member, clock::since(*since), now));
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
            features: agent.features.map(|features| features.bits().collect()),
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

    async fn drain(&self) -> Result<DrainAnswer, api::Refused> {
        self.answered(self.status.desk.drain().await)
    }

    async fn reload(&self) -> ReloadAnswer {
        match self.status.desk.reload().await {
            Reloaded::Applied(changed) => ReloadAnswer::reloaded(changed),
            Reloaded::Failed(lines) => ReloadAnswer::failed(lines),
            Reloaded::Refused(keys) => {
                let refusal = |(key, why): (String, &str)| Refusal {
                    key,
                    why: why.to_owned(),
                };
                ReloadAnswer::refused(keys.into_iter().map(refusal).collect())
            }
        }
    }

    async fn undrain(&self) -> Result<DrainAnswer, api::Refused> {
        self.answered(self.status.desk.undrain().await)
    }

    fn advertised(&self) -> AdvertiseAnswer {
        self.routes_now(match &self.status.exit {
            Some(_) => Ok(()),
            None => Err(RouteError::NoExit),
        })
    }

    async fn advertise(&self, change: RouteChange) -> AdvertiseAnswer {
        let outcome = self.status.desk.change_routes(change).await;
        self.routes_now(outcome)
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
