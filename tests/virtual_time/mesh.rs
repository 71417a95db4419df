//! The mesh under test: whole agents over the network in memory.
//!
//! ```text
//!            ┌── left ───┐
//!  ingress ──┤           ├── exit
//!            └── right ──┘
//! ```

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use warren::agent::{Agent, Parts, Surroundings};
use warren::api::EventView;
use warren::config::Config;
use warren::identity::{AgentId, Identity};
use warren::record::Event;
use warren::tunnel::{AcceptedSession, SessionInfo};

use crate::network::Network;
use crate::rng::Rng;

pub(crate) const INGRESS: usize = 0;
pub(crate) const LEFT: usize = 1;
pub(crate) const RIGHT: usize = 2;
pub(crate) const EXIT: usize = 3;
const AGENTS: usize = 4;

/// Both ends of each link, the dialling one first.
pub(crate) const WIRES: [(usize, usize); 4] = [
    (INGRESS, LEFT),
    (INGRESS, RIGHT),
    (LEFT, EXIT),
    (RIGHT, EXIT),
];

/// Forming takes well below a second; a link that flapped is held back for a minute at most.
const WHOLE_WITHIN: Duration = Duration::from_secs(90);

/// One folder of keys for the whole run: making them is no part of it.
static KEYS: LazyLock<(TempDir, [PathBuf; AGENTS])> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let mut agents: Vec<(AgentId, PathBuf)> = (0..AGENTS)
        .map(|number| {
            let path = folder.path().join(number.to_string());
            (Identity::load_or_create(&path).unwrap().value.id(), path)
        })
        .collect();
    // Ids break ties, so that their order must be the same in every run.
    agents.sort();
    let paths: Vec<PathBuf> = agents.into_iter().map(|(_, path)| path).collect();
    (folder, paths.try_into().unwrap())
});

/// How a mesh is laid out.
pub(crate) struct Layout {
    /// Of each wire, in the order of [`WIRES`].
    pub(crate) costs: [u32; WIRES.len()],
    /// Both ends dial.
    pub(crate) both_dial: bool,
    pub(crate) heartbeat_ms: u64,
}

/// Running agents.
pub(crate) struct Mesh {
    pub(crate) network: Network,
    layout: Layout,
    pub(crate) ids: [AgentId; AGENTS],
    agents: [Option<Agent>; AGENTS],
    accepted: mpsc::Sender<AcceptedSession>,
    /// Events of agents that were killed.
    past: Vec<(usize, EventView)>,
}

/// The address of an agent.
pub(crate) fn ip(agent: usize) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, agent as u8 + 1).into()
}

impl Mesh {
    /// Starts all agents on a network whose wires are in order. Sessions that the exit accepts go
    /// to `accepted`.
    pub(crate) fn start(rng: Rng, layout: Layout, accepted: mpsc::Sender<AcceptedSession>) -> Self {
        let id = |agent: usize| identity(agent).id();
        let mut mesh = Self {
            network: Network::start(rng),
            layout,
            ids: [id(0), id(1), id(2), id(3)],
            agents: [const { None }; AGENTS],
            accepted,
            past: Vec::new(),
        };
        for agent in 0..AGENTS {
            mesh.revive(agent);
        }
        mesh
    }

    /// Starts an agent that does not run.
    pub(crate) fn revive(&mut self, agent: usize) {
        let parts = Parts::in_memory(self.config(agent), identity(agent)).unwrap();
        let (network, at) = (self.network.clone(), ip(agent));
        let surroundings = Surroundings::new(
            move |address| network.bind(at, address.port()),
            self.accepted.clone(),
        );
        self.agents[agent] = Some(Agent::embed(parts, &surroundings).unwrap());
    }

    /// Ends an agent without a word.
    pub(crate) fn kill(&mut self, agent: usize) {
        self.network.unplug(ip(agent));
        let events = self.agent(agent).events(0);
        self.past
            .extend(events.into_iter().map(|event| (agent, event)));
        self.agents[agent] = None;
    }

    /// Ends an agent in order.
    pub(crate) async fn stop(&mut self, agent: usize) {
        let stopping = self.agents[agent].take().expect("it runs");
        let events = stopping.events(0);
        self.past
            .extend(events.into_iter().map(|event| (agent, event)));
        stopping.shutdown().await;
        self.network.unplug(ip(agent));
    }

    pub(crate) fn agent(&self, agent: usize) -> &Agent {
        self.agents[agent].as_ref().expect("it runs")
    }

    /// The ingress's session with the exit.
    pub(crate) fn session(&self) -> Option<SessionInfo> {
        self.agent(INGRESS).sessions().pop()
    }

    /// What every agent remembers, and remembered before it was killed.
    pub(crate) fn events(&self) -> Vec<(usize, Event)> {
        let past = self.past.iter().cloned();
        let running = self.agents.iter().enumerate().flat_map(|(number, agent)| {
            let events = agent.iter().flat_map(|agent| agent.events(0));
            events.map(move |event| (number, event))
        });
        past.chain(running)
            .map(|(agent, event)| (agent, event.what))
            .collect()
    }

    /// Whether every link is up at both its ends and the ingress has two ways to the exit.
    fn is_whole(&self) -> bool {
        let linked = |from: usize, to: usize| self.agent(from).neighbors().contains(&self.ids[to]);
        self.has_two_ways() && WIRES.iter().all(|&(a, b)| linked(a, b) && linked(b, a))
    }

    fn has_two_ways(&self) -> bool {
        self.agent(INGRESS).paths(self.ids[EXIT]).len() == 2
    }

    /// Waits until the ingress has two ways to the exit.
    pub(crate) async fn two_ways(&self) {
        while !self.has_two_ways() {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits until the mesh is whole; tells how long it took.
    pub(crate) async fn whole(&self) -> Duration {
        let since = Instant::now();
        while !self.is_whole() {
            let waited = since.elapsed();
            assert!(waited < WHOLE_WITHIN, "the mesh is not whole again");
            sleep(Duration::from_millis(20)).await;
        }
        since.elapsed()
    }

    fn config(&self, agent: usize) -> Config {
        let mut text = format!(
            "agent: {{ display_name: agent-{agent} }}\n\
             http: {{ enabled: false }}\n\
             connections: {{ heartbeat: {}ms }}\n\
             trust: {{ allow: [{}] }}\n\
             listeners: [{{ transport: quic, address: '{}:4433' }}]\n",
            self.layout.heartbeat_ms,
            self.ids.map(|id| format!("'{id}'")).join(", "),
            ip(agent),
        );
        let peers: Vec<String> = WIRES
            .iter()
            .zip(self.layout.costs)
            .filter_map(|(&(a, b), cost)| match agent {
                _ if agent == a => Some((b, cost)),
                _ if agent == b && self.layout.both_dial => Some((a, cost)),
                _ => None,
            })
            .map(|(peer, cost)| {
                let (id, address) = (self.ids[peer], ip(peer));
                format!(
                    "{{ id: '{id}', transport: quic, address: '{address}:4433', cost: {cost} }}"
                )
            })
            .collect();
        if !peers.is_empty() {
            text.push_str(&format!("peers: [{}]\n", peers.join(", ")));
        }
        match agent {
            INGRESS => text.push_str("socks5: { enabled: true }\n"),
            EXIT => text.push_str("exit: { enabled: true, routes: [0.0.0.0/0] }\n"),
            _ => {}
        }
        let name = format!("agent-{agent}.yaml");
        Config::parse(&text, &name, Path::new("."), &|_| None)
            .unwrap_or_else(|errors| panic!("{errors}\n{text}"))
    }
}

fn identity(agent: usize) -> Identity {
    let (_, folders) = &*KEYS;
    Identity::load(&folders[agent]).unwrap().unwrap().value
}
