//! What sessions may use: by the file and by the mesh.

use std::time::Duration;

use super::path::SMALLEST;
use crate::config::{Congestion, Limits};
use crate::identity::{AgentId, ShortId};
use crate::routing::Mesh;
use crate::wire::packet::header_len;

/// Packets for sessions of which nothing is known yet.
const UNKNOWN_MTU: u16 = 0;

/// What depends on the mesh and the file.
#[derive(Clone, Copy, Debug)]
pub struct SessionSettings {
    /// Size of the packets of a session, bytes: what passes both its paths as they are when it
    /// opens, less the longest header. On a path that is narrower they go in halves.
    pub packet: u16,
    /// Round trip of the path, for stream windows.
    pub rtt: Duration,
    /// Streams that the peer may have open.
    pub streams: u32,
    /// Bytes in flight or unread in one session, all streams together.
    pub window: u32,
    pub congestion: Congestion,
}

/// The part of the configuration that sizes sessions.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    max_hops: u8,
    /// Streams that the peer may have open in one session.
    streams: u32,
    /// Bytes in flight or unread in one session.
    window: u32,
    congestion: Congestion,
}

impl Sizes {
    pub fn new(max_hops: u8, limits: &Limits, congestion: Congestion) -> Self {
        Self {
            max_hops,
            streams: limits.streams_per_session,
            window: u32::try_from(limits.session_window).unwrap_or(u32::MAX),
            congestion,
        }
    }

    /// What a session with `other` may use now: packets that pass the best path and the alternate.
    pub fn session(&self, mesh: &Mesh, other: Option<AgentId>) -> SessionSettings {
        let paths = other.and_then(|other| mesh.path_table().paths(other));
        let rtt = paths.as_ref().map_or(Duration::ZERO, |set| set.best.rtt());
        let ways = paths.into_iter();
        let ways = ways.flat_map(|set| [Some(set.best), set.alternate]);
        // No QUIC link takes less than 1,200: such a claim is a lie, or nothing is known yet.
        let narrowest = ways
            .flatten()
            .map(|path| path.mtu)
            .filter(|mtu| *mtu >= SMALLEST)
            .min();
        SessionSettings {
            packet: inner_packet(narrowest.unwrap_or(UNKNOWN_MTU), self.max_hops),
            rtt,
            streams: self.streams,
            window: self.window,
            congestion: self.congestion,
        }
    }

    /// What a session that `source` opens may use now.
    pub(crate) fn session_with(&self, mesh: &Mesh, source: ShortId) -> SessionSettings {
        self.session(mesh, mesh.path_table().graph().named(source))
    }
}

/// The inner packet size for paths whose narrowest link takes UDP payloads of `link_mtu` bytes
/// (0: unknown) and whose paths have at most `max_hops` hops.
fn inner_packet(link_mtu: u16, max_hops: u8) -> u16 {
    let header = header_len(usize::from(max_hops)) as u16;
    link_mtu.saturating_sub(header).max(SMALLEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tunnel::testing::mesh_as_told;

    const OWN: AgentId = AgentId([1; 16]);
    const TRANSIT: AgentId = AgentId([2; 16]);
    const EXIT: AgentId = AgentId([3; 16]);
    const LIARS: [AgentId; 2] = [AgentId([7; 16]), AgentId([8; 16])];

    /// What links on Ethernet have.
    const HONEST: u16 = 1_472;

    /// Size of packets to the exit, behind a transit or a way of liars with links of these costs. They say
    /// of every link of theirs that it has this MTU.
    fn packet(lie: u16, liars: &[(AgentId, AgentId, u32)]) -> u16 {
        let honest = [(OWN, TRANSIT, 5), (TRANSIT, EXIT, 5)];
        let links = honest.iter().chain(liars);
        let ends = links.flat_map(|&(a, b, cost)| [(a, b, cost), (b, a, cost)]);
        let claims = ends.map(|(from, to, cost)| match LIARS.contains(&from) {
            true => (from, to, cost, lie),
            false => (from, to, cost, HONEST),
        });
        let mesh = mesh_as_told(OWN, claims);
        let sizes = Sizes::new(8, &Limits::default(), Congestion::Bbr);
        sizes.session(&mesh, Some(EXIT)).packet
    }

    #[test]
    fn what_a_member_says_of_its_links_shrinks_no_packets_that_go_elsewhere() {
        let [liar, other] = LIARS;
        let whole = inner_packet(HONEST, 8);
        // One neighbour, or a longer way on which it is never the alternate either.
        let beside: &[&[_]] = &[
            &[(liar, TRANSIT, 1)],
            &[(liar, OWN, 1)],
            &[(liar, EXIT, 1)],
            &[(liar, TRANSIT, 1), (liar, other, 1)],
        ];
        for lie in [0, 1, 83, 600, 1_199, 1_200, 1_300, u16::MAX] {
            for liars in beside {
                assert_eq!(packet(lie, liars), whole, "{lie}, {liars:?}");
            }
        }
    }

    #[test]
    fn an_absurd_size_shrinks_no_packets_even_on_the_best_path_and_the_alternate() {
        let [liar, other] = LIARS;
        let whole = inner_packet(HONEST, 8);
        for cost in [1, 9] {
            let ways: &[&[_]] = &[
                &[(OWN, liar, cost), (liar, EXIT, cost)],
                &[(OWN, liar, cost), (liar, other, cost), (other, EXIT, cost)],
            ];
            for liars in ways {
                // No link that carries QUIC has so little, and none of ours more than we found.
                for lie in [0, 1, 83, 600, 1_199, HONEST + 1, u16::MAX] {
                    assert_eq!(packet(lie, liars), whole, "{lie}, {liars:?}");
                }
                // What may be true costs the sessions with that way, and as much as a true one would.
                for lie in [1_200, 1_283] {
                    assert_eq!(packet(lie, liars), SMALLEST, "{lie}, {liars:?}");
                }
            }
        }
    }

    #[test]
    fn inner_packets_leave_room_for_the_longest_header() {
        assert_eq!(inner_packet(1472, 8), 1472 - 83);
        assert_eq!(inner_packet(0, 8), 1200);
        assert_eq!(inner_packet(1200, 15), 1200);
    }
}
