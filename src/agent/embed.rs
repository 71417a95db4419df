//! Agents inside another program: over a network that is not the kernel's, without TCP.
//!
//! Links, control plane, forwarding and sessions are those of every agent. What is missing is the
//! edge: the program opens streams itself where an ingress would take SOCKS5 clients, and takes
//! them itself where an exit would dial. So nothing waits for the kernel, and under a paused tokio
//! clock whole meshes run in virtual time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::Agent;
use super::bind::{BindPort, Sockets};
use super::error::StartError;
use super::parts::Parts;
use crate::api::EventView;
use crate::forward::Port;
use crate::identity::AgentId;
use crate::routing::Path;
use crate::tunnel::{AcceptedSession, OpenStream, SessionInfo};

/// What an embedded agent is given in place of the machine's network.
pub struct Surroundings {
    bind: Box<BindPort>,
    accepted: mpsc::Sender<AcceptedSession>,
}

impl Surroundings {
    /// `bind` makes the port of each listener, and one on an unspecified address to dial from.
    /// `accepted` takes the sessions that ingresses open, if the agent is an exit.
    pub fn new(
        bind: impl Fn(SocketAddr) -> io::Result<Arc<Port>> + Send + Sync + 'static,
        accepted: mpsc::Sender<AcceptedSession>,
    ) -> Self {
        Self {
            bind: Box::new(bind),
            accepted,
        }
    }
}

impl Agent {
    /// Starts an agent in `surroundings`. Its file's `socks5` makes it an ingress that
    /// [`opener`](Self::opener) serves, its `exit` an exit; no TCP port is bound for either, nor
    /// for `http`.
    pub fn embed(parts: Parts, surroundings: &Surroundings) -> Result<Self, StartError> {
        let sockets = Sockets::bind_links(&parts, &surroundings.bind)?;
        let loaded = parts.config.clone();
        Self::start_on(&parts, loaded, sockets, Some(surroundings.accepted.clone()))
    }

    /// Opens streams to exits; `None`: the agent is no ingress.
    pub fn opener(&self) -> Option<impl OpenStream + use<>> {
        self.shared.tunnel.sessions.clone()
    }

    /// The sessions that this agent opened, as they are now.
    pub fn sessions(&self) -> Vec<SessionInfo> {
        let sessions = self.shared.tunnel.sessions.as_ref();
        sessions.map_or_else(Vec::new, |sessions| sessions.snapshot())
    }

    /// The agents with which there is a live link.
    pub fn neighbors(&self) -> Vec<AgentId> {
        self.shared.links.live()
    }

    /// The best path to `exit` and the alternate, as far as there are.
    pub fn paths(&self, exit: AgentId) -> Vec<Path> {
        let mesh = self.shared.mesh.borrow();
        let paths = mesh.table.path_table().paths(exit);
        paths.map_or_else(Vec::new, |paths| {
            [Some(paths.best), paths.alternate]
                .into_iter()
                .flatten()
                .collect()
        })
    }

    /// What happened after the event of that number, as `/api/events` tells it.
    pub fn events(&self, since: u64) -> Vec<EventView> {
        self.shared.events.since(since, |_| None)
    }
}
