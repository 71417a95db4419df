//! Link packets on their way to the link endpoint: those of live links, and those of strangers.
//!
//! Anyone can send to the port. What strangers send waits in a queue of its own, and the packets of
//! live links are taken first, so that a flood of handshakes displaces no heartbeat. Nor does one
//! neighbour displace another: each may have so many packets waiting.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use quinn_udp::RecvMeta;

/// Packets waiting from the addresses of live links together: links carry control messages only,
/// so a longer queue means a flood, and QUIC repairs the loss.
const LINKS: usize = 4_096;

/// Packets waiting from one live link's address. A flow-control window of control messages is some
/// 1,450 packets, but the endpoint takes what waits at every turn of the runtime.
const LINK: usize = 512;

/// Packets waiting from everyone else: three for each of 64 handshakes, the default of
/// `limits.pending_handshakes`, and room for a burst.
const STRANGERS: usize = 512;

/// A packet and what the kernel said of it.
pub(super) type Packet = (RecvMeta, Box<[u8]>);

/// Who a packet is from, judged by its address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// The address of a live link.
    Link,
    Stranger,
}

/// Both queues.
#[derive(Default)]
pub(super) struct QuicQueue {
    links: VecDeque<Packet>,
    /// How many of `links` are from each address; none is 0.
    waiting: HashMap<SocketAddr, usize>,
    strangers: VecDeque<Packet>,
}

impl QuicQueue {
    /// Queues a packet; `false` if there is no room for one of this sender.
    pub(super) fn push(&mut self, sender: Sender, meta: RecvMeta, bytes: &[u8]) -> bool {
        match sender {
            Sender::Link => {
                let waiting = self.waiting.get(&meta.addr).copied().unwrap_or(0);
                if waiting >= LINK || self.links.len() >= LINKS {
                    return false;
                }
                self.waiting.insert(meta.addr, waiting + 1);
                self.links.push_back((meta, bytes.into()));
            }
            Sender::Stranger => {
                if self.strangers.len() >= STRANGERS {
                    return false;
                }
                self.strangers.push_back((meta, bytes.into()));
            }
        }
        true
    }

    /// The next packet: the oldest of live links, else the oldest of strangers.
    pub(super) fn pop(&mut self) -> Option<Packet> {
        let Some((meta, bytes)) = self.links.pop_front() else {
            return self.strangers.pop_front();
        };
        match self.waiting.get_mut(&meta.addr) {
            Some(waiting) if *waiting > 1 => *waiting -= 1,
            _ => {
                self.waiting.remove(&meta.addr);
            }
        }
        Some((meta, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(port: u16) -> RecvMeta {
        RecvMeta {
            addr: ([127, 0, 0, 1], port).into(),
            ..RecvMeta::default()
        }
    }

    fn ports(queue: &mut QuicQueue) -> Vec<u16> {
        std::iter::from_fn(|| queue.pop())
            .map(|(meta, _)| meta.addr.port())
            .collect()
    }

    #[test]
    fn strangers_displace_no_link_and_wait_for_links() {
        let mut queue = QuicQueue::default();
        while queue.push(Sender::Stranger, meta(1), b"flood") {}
        assert!(queue.push(Sender::Link, meta(2), b"heartbeat"));
        let ports = ports(&mut queue);
        assert_eq!(ports.len(), STRANGERS + 1);
        assert_eq!(ports[0], 2);
    }

    #[test]
    fn one_link_displaces_no_other_and_gets_its_room_back() {
        let mut queue = QuicQueue::default();
        for _ in 0..2 {
            let mut taken = 0;
            while queue.push(Sender::Link, meta(1), b"flood") {
                taken += 1;
            }
            assert_eq!(taken, LINK);
            assert!(queue.push(Sender::Link, meta(2), b"heartbeat"));
            assert_eq!(ports(&mut queue).len(), LINK + 1);
        }
        assert!(queue.waiting.is_empty());
    }

    #[test]
    fn all_links_together_are_bounded() {
        let mut queue = QuicQueue::default();
        let pushed = (0..10_000).filter(|port| queue.push(Sender::Link, meta(*port), b""));
        assert_eq!(pushed.count(), LINKS);
    }
}
