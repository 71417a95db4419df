//! The ingress's questions to the mesh.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout_at;

use super::mesh::Mesh;
use crate::clock;
use crate::identity::AgentId;
use crate::ingress::Routes;
use crate::routing::{Balancer, Candidate};
use crate::tunnel::StreamTable;

/// How long requests wait for a way after an exit went out of reach. A link that is let go of because
/// nothing else leads to its neighbour is told within 100 ms, an exit that restarts is back after 400.
const WAY_BACK: Duration = Duration::from_millis(500);

/// Looks routes up in the current mesh.
pub(super) struct MeshRoutes {
    pub(super) mesh: watch::Receiver<Arc<Mesh>>,
    pub(super) balancer: Mutex<Balancer>,
    pub(super) streams: Arc<StreamTable>,
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

    fn resolvers(&self) -> Vec<AgentId> {
        exits(self.mesh.borrow().table.resolvers())
    }

    async fn wait_for<T: Send>(&self, mut found: impl FnMut() -> Option<T> + Send) -> Option<T> {
        let mut mesh = self.mesh.clone();
        // Exits that are lost one after the other prolong nothing.
        let latest = clock::now() + WAY_BACK;
        loop {
            mesh.mark_unchanged();
            if let Some(found) = found() {
                return Some(found);
            }
            let lost_at = mesh.borrow().lost_at?;
            let until = latest.min(lost_at + WAY_BACK);
            timeout_at(until.into(), mesh.changed()).await.ok()?.ok()?;
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
