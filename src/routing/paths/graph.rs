//! The mesh as everybody's link advertisements describe it together.
//!
//! An edge exists only while both ends advertise it, so that a relay can lie about nothing but its
//! own links and never look closer than its neighbour agrees. Agents are indices in id order;
//! edges lie in one array, grouped by the agent they leave (compressed sparse rows).

#![deny(clippy::wildcard_enum_match_arm)]

use std::cmp::Reverse;
use std::ops::Range;

use super::id_index::IdIndex;
use crate::identity::{AgentId, ShortId};
use crate::wire::{Features, LinkAdv, LinkFlags};

/// No link carries less than QUIC's smallest packet (RFC 9000 section 14): such a claim is a lie, and
/// the link no edge. Sessions' packets, which are as long at least, cross narrow links in halves.
const NARROWEST: u16 = 1_200;

/// An agent's place in [`Graph`]; ordered like the ids.
pub(in crate::routing) type Node = u32;

/// One direction of a link that both ends advertise.
#[derive(Clone, Copy, Debug)]
pub(in crate::routing) struct Edge {
    pub(in crate::routing) to: Node,
    /// Index of the same link's other direction.
    pub(in crate::routing) reverse: u32,
    /// The larger of both claims, at least 1.
    pub(in crate::routing) cost: u32,
    /// The smaller known of both claims; 0 if neither is known.
    pub(in crate::routing) mtu: u16,
    /// The larger of both claims, microseconds; 0 if neither is known.
    pub(in crate::routing) rtt_us: u32,
}

/// One agent that advertises its links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphAgent {
    pub id: AgentId,
    /// For people; empty for an agent that was not heard of yet.
    pub display_name: String,
    pub flags: LinkFlags,
    /// What it can do, as far as it tells.
    pub features: Option<Features>,
    /// Agents farther away than this many hops do not use this one.
    pub max_hops: u8,
}

/// One link for display, the smaller id first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GraphLink {
    pub a: AgentId,
    pub b: AgentId,
    /// The larger of both claims, at least 1.
    pub cost: u32,
    /// The larger of both claims; 0 if neither is known.
    pub rtt_us: u64,
    /// The smaller known of both claims, bytes of UDP payload; 0 if neither is known.
    pub mtu: u16,
    /// Whether both ends advertise it; paths use no other links.
    pub both_ways: bool,
}

/// Agents and the links between them, as of one moment.
#[derive(Debug)]
pub struct Graph {
    own: Node,
    /// Sorted by id.
    agents: Vec<GraphAgent>,
    /// The ids of `agents` alone, for searching.
    ids: IdIndex,
    /// `edges[first[n]..first[n + 1]]` leave agent `n`, sorted by `to`.
    first: Vec<u32>,
    edges: Vec<Edge>,
    one_way: Vec<GraphLink>,
}

/// What one end says of a link.
#[derive(Clone, Copy)]
struct Claim {
    to: Node,
    cost: u32,
    mtu: u16,
    rtt_us: u32,
}

impl Graph {
    /// Builds the graph from the current advertisement of each origin, `own`'s included. Of two
    /// advertisements of one origin the first counts.
    pub fn build<'a>(own: AgentId, links: impl Iterator<Item = &'a LinkAdv>) -> Self {
        let mut advs: Vec<&LinkAdv> = links.collect();
        advs.sort_by_key(|adv| adv.stamp.origin);
        advs.dedup_by_key(|adv| adv.stamp.origin);
        let own_place = advs.binary_search_by_key(&own, |adv| adv.stamp.origin);

        let mut agents: Vec<GraphAgent> = advs.iter().map(|adv| GraphAgent::of(adv)).collect();
        if let Err(place) = own_place {
            agents.insert(place, GraphAgent::unheard(own));
        }
        let ids: Vec<AgentId> = agents.iter().map(|agent| agent.id).collect();
        let mut graph = Self {
            own: own_place.unwrap_or_else(|place| place) as Node,
            agents,
            ids: IdIndex::new(ids),
            first: Vec::new(),
            edges: Vec::new(),
            one_way: Vec::new(),
        };
        graph.connect(&advs);
        graph
    }

    /// The agent whose view this is.
    pub fn own(&self) -> AgentId {
        self.id(self.own)
    }

    /// Every known agent, by id.
    pub fn agents(&self) -> &[GraphAgent] {
        &self.agents
    }

    /// The known agent that headers name so.
    pub fn named(&self, short: ShortId) -> Option<AgentId> {
        // Ids and their first halves have the same order.
        let place = self
            .agents
            .partition_point(|agent| agent.id.short() < short);
        let found = self.agents.get(place)?;
        (found.id.short() == short).then_some(found.id)
    }

    /// What is known of one agent.
    pub fn agent(&self, id: AgentId) -> Option<&GraphAgent> {
        self.node(id).map(|node| &self.agents[node as usize])
    }

    /// Every advertised link: first those that both ends advertise, then the rest.
    pub fn links(&self) -> impl Iterator<Item = GraphLink> + '_ {
        let usable = (0..self.agents.len() as Node).flat_map(move |node| {
            self.edges_of(node)
                .map(|edge| self.edges[edge])
                .filter(move |edge| node < edge.to)
                .map(move |edge| GraphLink {
                    a: self.id(node),
                    b: self.id(edge.to),
                    cost: edge.cost,
                    rtt_us: edge.rtt_us.into(),
                    mtu: edge.mtu,
                    both_ways: true,
                })
        });
        usable.chain(self.one_way.iter().copied())
    }

    /// The other ends of `agent`'s links that only one end still advertises.
    pub fn links_lost_with(&self, agent: AgentId) -> impl Iterator<Item = AgentId> + '_ {
        self.one_way.iter().filter_map(move |link| match agent {
            _ if link.a == agent => Some(link.b),
            _ if link.b == agent => Some(link.a),
            _ => None,
        })
    }

    /// Whether some of our neighbours reach each other only through us.
    pub fn is_sole_way(&self) -> bool {
        if self.agents[self.own as usize].flags.no_transit {
            return false;
        }
        let neighbors: Vec<Node> = self.neighbors(self.own).collect();
        let Some(first) = neighbors.first() else {
            return false;
        };
        let mut seen = vec![false; self.len()];
        let mut open = vec![*first];
        seen[*first as usize] = true;
        while let Some(node) = open.pop() {
            for next in self.neighbors(node) {
                if next != self.own && !std::mem::replace(&mut seen[next as usize], true) {
                    let relays = !self.agents[next as usize].flags.no_transit;
                    open.extend(relays.then_some(next));
                }
            }
        }
        !neighbors.iter().all(|neighbor| seen[*neighbor as usize])
    }

    fn neighbors(&self, node: Node) -> impl Iterator<Item = Node> + '_ {
        self.edges[self.edges_of(node)].iter().map(|edge| edge.to)
    }

    /// Links that both ends advertise.
    #[cfg(test)]
    pub(crate) fn link_count(&self) -> usize {
        self.edges.len() / 2
    }

    pub(in crate::routing) fn own_node(&self) -> Node {
        self.own
    }

    pub(in crate::routing) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(in crate::routing) fn node(&self, id: AgentId) -> Option<Node> {
        self.ids.place(id).map(|at| at as Node)
    }

    pub(in crate::routing) fn id(&self, node: Node) -> AgentId {
        self.ids.id(node as usize)
    }

    pub(in crate::routing) fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// Indices of the edges that leave `node`.
    pub(in crate::routing) fn edges_of(&self, node: Node) -> Range<usize> {
        let node = node as usize;
        self.first[node] as usize..self.first[node + 1] as usize
    }

    /// The edge from `from` to `to`.
    pub(in crate::routing) fn edge_between(&self, from: Node, to: Node) -> Option<usize> {
        let range = self.edges_of(from);
        self.edges[range.clone()]
            .binary_search_by_key(&to, |edge| edge.to)
            .ok()
            .map(|at| range.start + at)
    }

    /// Whether a path of ours may go on from `node`.
    pub(in crate::routing) fn may_leave(&self, node: Node) -> bool {
        node == self.own || !self.agents[node as usize].flags.no_transit
    }

    pub(in crate::routing) fn is_draining(&self, node: Node) -> bool {
        self.agents[node as usize].flags.draining
    }

    /// Most hops from us at which `node` may be used.
    pub(in crate::routing) fn hop_limit(&self, node: Node) -> u8 {
        self.agents[node as usize].max_hops
    }

    fn connect(&mut self, advs: &[&LinkAdv]) {
        let claims = self.claims(advs);
        self.first = Vec::with_capacity(self.agents.len() + 1);
        for (from, own_claims) in claims.iter().enumerate() {
            self.first.push(self.edges.len() as u32);
            for &claim in own_claims {
                let other_end = &claims[claim.to as usize];
                let back = other_end.binary_search_by_key(&(from as Node), |back| back.to);
                let agreed = back.map(|at| claim.agreed(other_end[at]));
                match agreed {
                    Ok(edge) if edge.mtu == 0 || edge.mtu >= NARROWEST => self.edges.push(edge),
                    Ok(_) | Err(_) => self
                        .one_way
                        .push(claim.one_way(self.ids.id(from), self.id(claim.to))),
                }
            }
        }
        self.first.push(self.edges.len() as u32);
        for from in 0..self.agents.len() as Node {
            for edge in self.edges_of(from) {
                let reverse = self
                    .edge_between(self.edges[edge].to, from)
                    .expect("an edge exists in both directions");
                self.edges[edge].reverse = reverse as u32;
            }
        }
        self.one_way.sort_unstable();
    }

    /// Each agent's claims about known agents, sorted by neighbour. A link to an agent that
    /// advertises nothing is one-way at once.
    fn claims(&mut self, advs: &[&LinkAdv]) -> Vec<Vec<Claim>> {
        let mut claims = vec![Vec::new(); self.agents.len()];
        for adv in advs {
            let origin = adv.stamp.origin;
            let Some(from) = self.node(origin) else {
                continue;
            };
            let mut own_claims: Vec<Claim> = Vec::with_capacity(adv.neighbors.len());
            for neighbor in adv.neighbors.iter().filter(|n| n.id != origin) {
                let claim = Claim {
                    to: self.node(neighbor.id).unwrap_or(from),
                    cost: neighbor.cost.max(1),
                    mtu: neighbor.mtu,
                    rtt_us: u32::try_from(neighbor.rtt_us()).unwrap_or(u32::MAX),
                };
                if claim.to == from {
                    self.one_way.push(claim.one_way(origin, neighbor.id));
                } else {
                    own_claims.push(claim);
                }
            }
            own_claims.sort_unstable_by_key(|claim| (claim.to, Reverse(claim.cost)));
            own_claims.dedup_by_key(|claim| claim.to);
            claims[from as usize] = own_claims;
        }
        claims
    }
}

impl GraphAgent {
    fn of(adv: &LinkAdv) -> Self {
        Self {
            id: adv.stamp.origin,
            display_name: adv.display_name.clone(),
            flags: adv.flags,
            features: adv.features,
            max_hops: adv.stamp.max_hops,
        }
    }

    fn unheard(id: AgentId) -> Self {
        Self {
            id,
            display_name: String::new(),
            flags: LinkFlags::default(),
            features: None,
            max_hops: u8::MAX,
        }
    }
}

impl Claim {
    /// What both ends agree on. The other direction is filled in when all edges are known.
    fn agreed(self, back: Self) -> Edge {
        Edge {
            to: self.to,
            reverse: 0,
            cost: self.cost.max(back.cost),
            mtu: smaller_known(self.mtu, back.mtu),
            rtt_us: self.rtt_us.max(back.rtt_us),
        }
    }

    fn one_way(self, from: AgentId, to: AgentId) -> GraphLink {
        GraphLink {
            a: from.min(to),
            b: from.max(to),
            cost: self.cost,
            rtt_us: self.rtt_us.into(),
            mtu: self.mtu,
            both_ways: false,
        }
    }
}

/// The smaller of two sizes where 0 stands for unknown.
pub(in crate::routing) fn smaller_known(a: u16, b: u16) -> u16 {
    match (a, b) {
        (0, known) | (known, 0) => known,
        (a, b) => a.min(b),
    }
}

#[cfg(test)]
mod tests;
