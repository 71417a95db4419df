//! The demo's mesh: one ingress, two transits, two exits, each pair of layers fully linked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::host::Host;
use crate::agent::Parts;
use crate::config::Config;
use crate::identity::{AgentId, Identity};

/// Forming a mesh on loopback takes a fraction of a second; a loaded machine gets more.
const READY_WITHIN: Duration = Duration::from_secs(20);

const LINKS: &str = "
listeners:
  - transport: quic
    address: 127.0.0.1:0
";

const EXIT: &str = "
exit:
  enabled: true
  routes: [0.0.0.0/0, '::/0']
  # Whoever tries the demo tries it on this host.
  allow_special: [127.0.0.0/8, '::1/128']
http: { enabled: false }
";

const TRANSIT: &str = "
http: { enabled: false }
";

/// The running agents.
pub(super) struct DemoMesh {
    ingress: Host,
    transits: Vec<Host>,
    exits: Vec<Host>,
}

/// An agent that does not run yet.
struct Plan {
    name: &'static str,
    identity: Identity,
}

impl DemoMesh {
    /// Starts all agents; the ingress serves SOCKS5 and HTTP on the given addresses.
    pub(super) fn start(socks: SocketAddr, http: SocketAddr) -> Result<Self> {
        let plan = |name| -> Result<Plan> {
            let identity = Identity::ephemeral().context("cannot make a key")?;
            Ok(Plan { name, identity })
        };
        let exits = [plan("exit-1")?, plan("exit-2")?];
        let transits = [plan("transit-1")?, plan("transit-2")?];
        let ingress = plan("ingress")?;
        let everyone: Vec<AgentId> = exits
            .iter()
            .chain(&transits)
            .chain([&ingress])
            .map(|plan| plan.identity.id())
            .collect();

        let start = |plan: Plan, neighbors: &[Host], sections: String| {
            let text = yaml(plan.name, &everyone, neighbors, &sections);
            Host::start(plan.name, parts(plan, &text)?)
        };
        let exits = exits
            .into_iter()
            .map(|plan| start(plan, &[], format!("{LINKS}{EXIT}")))
            .collect::<Result<Vec<Host>>>()?;
        let transits = transits
            .into_iter()
            .map(|plan| start(plan, &exits, format!("{LINKS}{TRANSIT}")))
            .collect::<Result<Vec<Host>>>()?;
        let front = format!(
            "socks5: {{ enabled: true, address: '{socks}' }}\nhttp: {{ address: '{http}' }}\n"
        );
        let ingress = start(ingress, &transits, front)?;
        Ok(Self {
            ingress,
            transits,
            exits,
        })
    }

    /// Every agent, the ingress first.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &Host> {
        [&self.ingress]
            .into_iter()
            .chain(&self.transits)
            .chain(&self.exits)
    }

    pub(super) fn socks(&self) -> SocketAddr {
        self.ingress.socks.expect("the ingress serves SOCKS5")
    }

    pub(super) fn http(&self) -> SocketAddr {
        self.ingress.http.expect("the ingress serves HTTP")
    }

    /// Waits until the ingress has every exit by every transit.
    pub(super) fn wait_ready(&self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if self.alternates()? == self.exits.len() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the mesh did not form within {READY_WITHIN:?}");
    }

    /// Exits to which the ingress has two ways.
    fn alternates(&self) -> Result<usize> {
        let routes = super::api::api(self.http(), "/api/routes")?;
        let mut exits = BTreeMap::new();
        for route in routes.as_array().into_iter().flatten() {
            let two = route["alternate"].is_array();
            exits.insert(route["exit"].to_string(), two);
        }
        Ok(exits.values().filter(|two| **two).count())
    }

    /// The name of the agent with this id.
    pub(super) fn name_of(&self, id: &str) -> &'static str {
        self.hosts()
            .find(|host| host.id.to_string() == id)
            .map_or("unknown", |host| host.name)
    }

    /// Kills the transit with this id; `false` if none has it.
    pub(super) fn kill_transit(&mut self, id: &str) -> bool {
        let transit = self
            .transits
            .iter_mut()
            .find(|host| host.id.to_string() == id);
        match transit {
            Some(host) => {
                host.kill();
                true
            }
            None => false,
        }
    }

    /// Ends all agents in order, the ingress first.
    pub(super) fn stop(mut self) {
        self.ingress.stop();
        self.transits.iter_mut().for_each(Host::stop);
        self.exits.iter_mut().for_each(Host::stop);
    }
}

fn parts(plan: Plan, text: &str) -> Result<Parts> {
    let file = format!("{}.yaml", plan.name);
    let config = Config::parse(text, &file, Path::new("."), &|_| None)
        .map_err(|errors| anyhow::anyhow!("the demo's own configuration is wrong: {errors}"))?;
    Ok(Parts::in_memory(config, plan.identity)?)
}

fn yaml(name: &str, everyone: &[AgentId], neighbors: &[Host], sections: &str) -> String {
    let mut text = format!("agent: {{ display_name: {name} }}\ntrust:\n  allow:\n");
    for id in everyone {
        text.push_str(&format!("    - '{id}'\n"));
    }
    if !neighbors.is_empty() {
        text.push_str("peers:\n");
    }
    for host in neighbors {
        let address = host.listener.expect("transits and exits listen");
        text.push_str(&format!(
            "  - {{ id: '{}', transport: quic, address: '{address}' }}\n",
            host.id
        ));
    }
    text.push_str(sections);
    text
}
