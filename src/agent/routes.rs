//! The ingress's questions to the mesh.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::clock;
use crate::identity::AgentId;
use crate::ingress::{Routes, Wanted};
use crate::names::Families;
use crate::routing::{Balancer, Candidate, Lately, Mesh};
use crate::tunnel::StreamTable;

/// Looks routes up in the current mesh.
pub(super) struct MeshRoutes {
    pub(super) mesh: watch::Receiver<Arc<Mesh>>,
    pub(super) balancer: Mutex<Balancer>,
    pub(super) streams: Arc<StreamTable>,
    pub(super) lately: Arc<Mutex<Lately>>,
    /// `socks5.resolvers`: who resolves names, whatever certificates say; empty: who may.
    pub(super) resolvers: Vec<AgentId>,
}

impl MeshRoutes {
    fn balanced(&self, mut candidates: Vec<Candidate>) -> Vec<AgentId> {
        self.balancer
            .lock()
            .expect("no panic while locked")
            .reorder(&mut candidates, |exit| self.streams.open_through(exit));
        exits(candidates)
    }
}

impl Routes for MeshRoutes {
    fn exits_for_ip(&self, ip: IpAddr) -> Vec<AgentId> {
        let candidates = self.mesh.borrow().table.candidates_for_ip(ip);
        self.balanced(candidates)
    }

    fn exits_for_domain(&self, name: &str) -> Vec<AgentId> {
        let candidates = self.mesh.borrow().table.candidates_for_domain(name);
        self.balanced(candidates)
    }

    fn is_owned(&self, name: &str) -> bool {
        let lately = || self.lately.lock().expect("no panic while locked");
        self.mesh.borrow().table.is_owned(name) || lately().owned_domain(clock::now(), name)
    }

    fn resolvers(&self, name: &str) -> Vec<AgentId> {
        exits(self.mesh.borrow().table.resolvers(name, &self.resolvers))
    }

    fn families(&self) -> Families {
        let (v4, v6) = self.mesh.borrow().table.prefix_table().families();
        Families::useful(v4, v6)
    }

    fn had(&self, wanted: Wanted<'_>) -> bool {
        let (now, lately) = (clock::now(), self.lately.lock());
        let lately = lately.expect("no panic while locked");
        match wanted {
            Wanted::Address(ip) => lately.had_ip(now, ip),
            Wanted::Domain(name) => lately.had_domain(now, name),
            Wanted::Resolver(name) => lately.had_resolver(now, name, &self.resolvers),
        }
    }

    async fn wait_for<T: Send>(&self, mut found: impl FnMut() -> Option<T> + Send) -> Option<T> {
        let mut mesh = self.mesh.clone();
        loop {
            mesh.mark_unchanged();
            if let Some(found) = found() {
                return Some(found);
            }
            mesh.changed().await.ok()?;
        }
    }
}

fn exits(candidates: Vec<Candidate>) -> Vec<AgentId> {
    candidates
        .into_iter()
        .map(|candidate| candidate.exit)
        .collect()
}

#[cfg(test)]
mod tests;
