//! The agents of the drill: five real processes, asked through their own HTTP, signalled by their
//! process ids.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::Instant;

use super::site::{LINK_MTU, LINKS, Node, Site, TARGET_PREFIX};
use crate::mesh::{HTTP, SOCKS, base, certificates, peer};
use crate::process::{Daemon, command_in};
use crate::{http, procstat};

/// Logs as programs read them, with suspicions of links, which are told at debug level.
const LOGGING: &str = "log_level: \"info,warren::link=debug\", log_format: json";

/// The longest that a mesh may take to start.
const START_LIMIT: Duration = Duration::from_secs(20);

/// The longest that an agent may take to end after SIGTERM: it has 2 s to say goodbye.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Rest between two looks at the mesh: short against a failover, long against what an answer costs.
const POLL: Duration = Duration::from_millis(25);

/// The longest that one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// A setting of `connections.heartbeat`; `None` leaves the whole section to its defaults.
pub type Heartbeat = Option<Duration>;

/// Certificates, ids and files of the agents. They are made once; agents come and go.
#[derive(Debug)]
pub struct Roster {
    warren: PathBuf,
    folder: PathBuf,
    ids: BTreeMap<Node, String>,
}

impl Roster {
    /// Makes them in `folder`.
    pub async fn make(warren: &Path, folder: &Path) -> anyhow::Result<Self> {
        let names = Node::ALL.map(|node| node.name().to_owned());
        let ids = certificates(warren, folder, &names).await?;
        Ok(Self {
            warren: warren.to_owned(),
            folder: folder.to_owned(),
            ids: Node::ALL.into_iter().zip(ids).collect(),
        })
    }

    fn node(&self, id: &Value) -> Option<Node> {
        let known = self.ids.iter().find(|(_, known)| id == known.as_str());
        known.map(|(&node, _)| node)
    }

    fn config(&self, node: Node, heartbeat: Heartbeat) -> String {
        let mut yaml = base(node.name(), LOGGING);
        yaml.push_str("peers:\n");
        for neighbor in node.neighbors() {
            yaml.push_str(&peer(&self.ids[&neighbor], neighbor.address_towards(node)));
        }
        if let Some(heartbeat) = heartbeat {
            let millis = heartbeat.as_millis();
            yaml.push_str(&format!("connections: {{ heartbeat: {millis}ms }}\n"));
        }
        if node == Node::Ingress {
            yaml.push_str(&format!(
                "socks5: {{ enabled: true, address: \"{SOCKS}\" }}\n"
            ));
        }
        if node.is_exit() {
            yaml.push_str(&format!(
                "exit: {{ enabled: true, routes: [\"{TARGET_PREFIX}\"] }}\n"
            ));
        }
        yaml
    }

    /// `launch` tells the logs of one agent's lives apart.
    fn launch(&self, site: &Site, node: Node, launch: u32) -> anyhow::Result<Daemon> {
        let mut command = command_in(site.namespace(node), &self.warren);
        command.args(["run", "-c"]).arg(self.file(node));
        Daemon::start(&format!("{}-{launch}", node.name()), command, &self.folder)
    }

    /// Removes the logs of agents that are gone.
    fn clear_logs(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn file(&self, node: Node) -> PathBuf {
        self.folder.join(format!("{}.yaml", node.name()))
    }
}

/// The running agents. Dropping them kills them.
#[derive(Debug)]
pub struct Agents {
    roster: Arc<Roster>,
    launches: u32,
    running: BTreeMap<Node, Daemon>,
}

impl Agents {
    /// Starts all of them and waits until the mesh is whole.
    pub async fn start(
        site: &Site,
        roster: Arc<Roster>,
        heartbeat: Heartbeat,
    ) -> anyhow::Result<Self> {
        roster.clear_logs().context("cannot remove old logs")?;
        let mut agents = Self {
            roster,
            launches: 0,
            running: BTreeMap::new(),
        };
        for node in Node::ALL {
            let file = agents.roster.file(node);
            fs::write(&file, agents.roster.config(node, heartbeat))
                .with_context(|| format!("cannot write {}", file.display()))?;
            agents.launch(site, node)?;
        }
        agents.await_whole(site, START_LIMIT).await?;
        Ok(agents)
    }

    /// Ends all of them.
    pub async fn stop(self) {
        for agent in self.running.into_values() {
            agent.stop().await;
        }
    }

    /// Sends an agent a signal.
    pub fn signal(&self, node: Node, signal: Signal) -> anyhow::Result<()> {
        self.running[&node].signal(signal)
    }

    /// Starts an agent that was signalled to end, as soon as it has.
    pub async fn restart(&mut self, site: &Site, node: Node) -> anyhow::Result<()> {
        if let Some(mut old) = self.running.remove(&node) {
            old.wait_end(STOP_LIMIT).await?;
        }
        self.launch(site, node)
    }

    fn launch(&mut self, site: &Site, node: Node) -> anyhow::Result<()> {
        self.launches += 1;
        let agent = self.roster.launch(site, node, self.launches)?;
        self.running.insert(node, agent);
        Ok(())
    }

    /// The file that an agent logs to.
    pub fn log(&self, node: Node) -> &Path {
        self.running[&node].log()
    }

    /// How long each agent has waited for a core since its start, by its process id.
    pub fn waits(&self) -> BTreeMap<u32, Duration> {
        let pids = self.running.values().map(Daemon::pid);
        pids.filter_map(|pid| Some((pid, procstat::waited(pid)?)))
            .collect()
    }

    /// Waits until every agent knows every link, and the ingress two ways to each exit. Returns how
    /// long that took.
    pub async fn await_whole(&mut self, site: &Site, limit: Duration) -> anyhow::Result<Duration> {
        let started = Instant::now();
        loop {
            let missing = self.missing(site).await;
            if missing.is_none() {
                return Ok(started.elapsed());
            }
            for agent in self.running.values_mut() {
                agent.check()?;
            }
            if let Some(missing) = missing.filter(|_| started.elapsed() > limit) {
                bail!("the mesh is not whole after {limit:?}: {missing}");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The first thing that is not as it should be.
    async fn missing(&self, site: &Site) -> Option<String> {
        for node in Node::ALL {
            let lack = match ask(site, node, "/api/topology").await {
                Ok(topology) => lacking_links(&topology),
                Err(error) => Some(format!("{error:#}")),
            };
            if let Some(lack) = lack {
                return Some(format!("{}: {lack}", node.name()));
            }
        }
        match ask(site, Node::Ingress, "/api/routes").await {
            Ok(routes) => lacking_routes(&routes),
            Err(error) => Some(format!("{error:#}")),
        }
    }

    /// The way that most connections to `target` take now: transit, exit.
    pub async fn path_in_use(&self, site: &Site, target: SocketAddr) -> anyhow::Result<Vec<Node>> {
        let streams = ask(site, Node::Ingress, "/api/streams").await?;
        let mut uses: BTreeMap<Vec<Node>, usize> = BTreeMap::new();
        for stream in streams.as_array().context("not a list of streams")? {
            if stream["target"] != target.to_string() {
                continue;
            }
            let path = stream["path"].as_array().context("a stream has no path")?;
            let nodes: Option<Vec<Node>> = path.iter().map(|id| self.roster.node(id)).collect();
            *uses
                .entry(nodes.context("a path names a stranger")?)
                .or_default() += 1;
        }
        let most = uses.into_iter().max_by_key(|(_, count)| *count);
        let (path, _) = most.context("no connection is open")?;
        Ok(path)
    }

    /// The neighbour that a log line is about.
    pub fn node(&self, id: &Value) -> Option<Node> {
        self.roster.node(id)
    }
}

async fn ask(site: &Site, node: Node, path: &'static str) -> anyhow::Result<Value> {
    let address: SocketAddr = HTTP.parse().context("the address of HTTP")?;
    let asking = site.host(node).spawn(async move {
        let answer = tokio::time::timeout(ANSWER_LIMIT, http::json(address, path)).await;
        answer.unwrap_or_else(|_| bail!("{path}: no answer within {ANSWER_LIMIT:?}"))
    });
    asking.await?
}

/// What `/api/topology` lacks.
fn lacking_links(topology: &Value) -> Option<String> {
    let edges = topology["edges"].as_array().map_or(&[][..], Vec::as_slice);
    let measured = edges.iter().filter(|edge| edge["mtu"] == LINK_MTU).count();
    (measured != LINKS.len()).then(|| {
        format!(
            "of {} links it knows {}, {measured} of them measured",
            LINKS.len(),
            edges.len()
        )
    })
}

/// What `/api/routes` of the ingress lacks.
fn lacking_routes(routes: &Value) -> Option<String> {
    let routes = routes.as_array().map_or(&[][..], Vec::as_slice);
    let doubled = routes.iter().filter(|route| route["alternate"].is_array());
    let doubled = doubled.count();
    (doubled != 2).then(|| {
        format!(
            "the ingress knows {} of 2 exits, {doubled} of them by two ways",
            routes.len()
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn roster() -> Roster {
        let id = |number: usize| format!("{number:032x}");
        Roster {
            warren: PathBuf::new(),
            folder: PathBuf::new(),
            ids: Node::ALL.into_iter().zip((1..).map(id)).collect(),
        }
    }

    #[test]
    fn default_settings_name_no_connections() {
        let roster = roster();
        let ingress = roster.config(Node::Ingress, None);
        assert!(!ingress.contains("connections") && !ingress.contains("exit:"));
        assert!(ingress.contains("socks5: { enabled: true"));
        assert!(ingress.contains("10.78.0.2:4433") && ingress.contains("10.78.1.2:4433"));
        let exit = roster.config(Node::ExitB, Some(Duration::from_millis(50)));
        assert!(exit.contains("connections: { heartbeat: 50ms }\n"));
        assert!(exit.contains("routes: [\"10.78.200.0/24\"]"));
    }

    #[test]
    fn a_mesh_is_whole_with_all_links_measured_and_two_ways_to_both_exits() {
        let edges = |count: usize, mtu: u32| json!({ "edges": vec![json!({ "mtu": mtu }); count] });
        assert_eq!(lacking_links(&edges(6, LINK_MTU)), None);
        assert!(lacking_links(&edges(6, 1200)).is_some());
        assert!(lacking_links(&edges(5, LINK_MTU)).is_some());
        assert!(lacking_links(&json!({})).is_some());
        let route = |alternate: Value| json!({ "alternate": alternate });
        let both = json!([route(json!(["a", "b"])), route(json!(["a", "b"]))]);
        assert_eq!(lacking_routes(&both), None);
        assert!(lacking_routes(&json!([route(json!(["a"])), route(Value::Null)])).is_some());
        assert!(lacking_routes(&json!([])).is_some());
    }
}
