//! Whether the agent can carry traffic: the condition behind `/ready` and `/healthz`.

use super::request::Desk;
use super::setup::Shared;
use crate::api;
use crate::routing::Mesh;

/// All that decides. Small and copied out of the snapshots, so that every state can be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Means {
    /// It takes nothing new.
    pub(super) leaving: bool,
    /// Peers that the file names. An agent without any depends on nobody's mesh.
    pub(super) peers: usize,
    /// Live links.
    pub(super) links: usize,
    /// It takes clients.
    pub(super) ingress: bool,
    /// Prefixes and domains that a request would be sent to now.
    pub(super) routes: usize,
}

impl Means {
    /// Those of an agent at this moment.
    pub(super) fn of(desk: &Desk, shared: &Shared, mesh: &Mesh) -> Self {
        let config = desk.config.borrow();
        Self {
            leaving: desk.life.phase().is_leaving(),
            peers: config.peers.len(),
            links: shared.links.live().len(),
            ingress: config.socks5.is_some(),
            routes: mesh.table.counts().destinations(),
        }
    }

    /// Why traffic cannot be carried; empty: it can.
    pub(super) fn obstacles(self) -> Vec<&'static str> {
        let in_mesh = self.peers > 0;
        let mut obstacles = Vec::new();
        if self.leaving {
            obstacles.push("draining: open connections may end, nothing new is taken");
        }
        if in_mesh && self.links == 0 {
            obstacles.push("no live link to any peer");
        }
        if in_mesh && self.ingress && self.routes == 0 {
            obstacles.push("no usable route");
        }
        obstacles
    }
}

/// One word for all, of which a drain weighs most and worries least.
pub(super) fn verdict(means: Means, worries: usize) -> api::Status {
    match (means.obstacles().len(), worries) {
        _ if means.leaving => api::Status::Draining,
        (0, 0) => api::Status::Healthy,
        (0, _) => api::Status::Degraded,
        (_, _) => api::Status::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn means() -> impl Strategy<Value = Means> {
        (
            any::<bool>(),
            0_usize..3,
            0_usize..3,
            any::<bool>(),
            0_usize..3,
        )
            .prop_map(|(leaving, peers, links, ingress, routes)| Means {
                leaving,
                peers,
                links,
                ingress,
                routes,
            })
    }

    proptest! {
        /// The promise, word by word: "not draining, and if it is an ingress with peers configured, at least one usable
        /// route; if it has peers configured at all, at least one live link".
        #[test]
        fn traffic_is_carried_exactly_while_the_promised_condition_holds(
            means in means(),
            worries in 0_usize..3,
        ) {
            let route_if_ingress = !(means.ingress && means.peers > 0) || means.routes > 0;
            let link_if_peers = means.peers == 0 || means.links > 0;
            let status = verdict(means, worries);
            let carries = !means.leaving && route_if_ingress && link_if_peers;
            prop_assert_eq!(status.carries_traffic(), carries);
            prop_assert_eq!(status == api::Status::Draining, means.leaving);
            prop_assert_eq!(status == api::Status::Healthy, status.carries_traffic() && worries == 0);
        }

        #[test]
        fn one_more_link_or_route_never_makes_it_worse(means in means()) {
            let more = [
                Means { links: means.links + 1, ..means },
                Means { routes: means.routes + 1, ..means },
            ];
            for more in more {
                prop_assert!(more.obstacles().len() <= means.obstacles().len());
            }
        }
    }
}
