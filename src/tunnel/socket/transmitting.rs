//! What leaves through a virtual socket: the ring, and who waits for it.

use std::sync::Arc;
use std::task::Waker;

use quinn_udp::EcnCodepoint;

use super::answer::Answers;
use super::outlet::Outlet;
use super::parts::split;
use super::ring::Ring;
use crate::forward::Adjacency;

#[derive(Default)]
pub(super) struct Transmitting {
    pub(super) ring: Ring,
    pub(super) answers: Answers,
    /// The link that took no more; nothing is accepted until it does.
    pub(super) blocked: Option<Arc<Adjacency>>,
    pub(super) flush_wanted: bool,
    pub(super) waiting: Vec<Waker>,
    /// Of the last packet that was sent in halves.
    number: u32,
}

impl Transmitting {
    /// Adds a packet to the ring, in halves if that way is too narrow for it.
    pub(super) fn append(
        &mut self,
        outlet: &Arc<Outlet>,
        adjacency: &Arc<Adjacency>,
        ecn: Option<EcnCodepoint>,
        packet: &[u8],
    ) {
        let Some(parts) = outlet.parts(packet.len()) else {
            return self.ring.append(outlet, adjacency, ecn, packet);
        };
        self.number = self.number.wrapping_add(1);
        for half in split(self.number, packet) {
            self.ring.append(parts, adjacency, ecn, &half);
        }
    }
}
