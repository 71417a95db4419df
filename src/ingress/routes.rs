//! The ingress's questions to the mesh.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::clock;
use crate::identity::AgentId;
use crate::names::Families;
use crate::record::StreamTable;
use crate::routing::{Balancer, Candidate, Lately, Mesh};

/// What an ingress asks the routing core. Answers name live exits only, best first; the choice
/// among equals (`routing.balance`) is the implementer's.
pub trait Routes: Send + Sync + 'static {
    /// Exits of the longest live prefix that contains `ip`.
    fn exits_for_ip(&self, ip: IpAddr) -> Vec<AgentId>;

    /// Exits of the best domain route that covers `name` (lower case, no trailing dot).
    fn exits_for_domain(&self, name: &str) -> Vec<AgentId>;

    /// Whether nobody but the exits of a domain route may be asked for `name`, be they in reach or
    /// not.
    fn is_owned(&self, name: &str) -> bool {
        !self.exits_for_domain(name).is_empty() || self.had(Wanted::Domain(name))
    }

    /// Exits that may resolve `name` (lower case, no trailing dot) for us, nearest first.
    fn resolvers(&self, name: &str) -> Vec<AgentId>;

    /// The address families that any prefix is of.
    fn families(&self) -> Families {
        Families::BOTH
    }

    /// Whether `wanted` had a route within the last seconds and lost it: it may be about to come back.
    fn had(&self, wanted: Wanted<'_>) -> bool;

    /// What `found` finds in the routes of now or, looked at after every change, in later ones. `None`:
    /// the agent stops, and there will be none.
    fn wait_for<T: Send>(
        &self,
        found: impl FnMut() -> Option<T> + Send,
    ) -> impl Future<Output = Option<T>> + Send;
}

/// What a request needs a route for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted<'a> {
    Address(IpAddr),
    /// A name, by a domain route.
    Domain(&'a str),
    /// Somebody who resolves this name.
    Resolver(&'a str),
}

/// Looks routes up in the current mesh.
pub struct MeshRoutes {
    pub mesh: watch::Receiver<Arc<Mesh>>,
    pub balancer: Arc<Mutex<Balancer>>,
    pub streams: Arc<StreamTable>,
    pub lately: Arc<Mutex<Lately>>,
    /// `socks5.resolvers`: who resolves names, whatever certificates say; empty: who may.
    pub resolvers: watch::Receiver<Vec<AgentId>>,
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
        let mesh = self.mesh.borrow().clone();
        exits(mesh.table.resolvers(name, &self.resolvers.borrow()))
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
            Wanted::Resolver(name) => lately.had_resolver(now, name, &self.resolvers.borrow()),
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
