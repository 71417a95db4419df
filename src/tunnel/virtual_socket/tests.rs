//! An exit's socket between two transits, which are plain UDP sockets on loopback.

use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::*;
use crate::forward::{Adjacency, BufferPool, Delivery, Remote};
use crate::identity::{AgentId, ShortId};
use crate::tunnel::testing::PATIENCE;
use crate::tunnel::timing::Timing;
use crate::wire::packet::write_header;

const INGRESS: ShortId = ShortId(9);

/// First byte of a QUIC Handshake packet, which has a long header.
const HANDSHAKE: u8 = 0xe0;

/// First byte of a packet that carries data.
const DATA: u8 = 0x40;

struct World {
    socket: Arc<VirtualSocket>,
    outlets: Arc<Outlets>,
    inbox: Arc<Inbox>,
    own: ShortId,
    transits: [(ShortId, UdpSocket); 2],
}

impl World {
    async fn new() -> Self {
        let own = AgentId([1; 16]).short();
        let (fib, _) = Fib::new(own, true);
        let port = Port::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        // A new socket's first send would find its readiness unknown.
        port.writable().await.unwrap();
        let neighbor = async |number| {
            let id = AgentId([number; 16]);
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let remote = Remote {
                address: socket.local_addr().unwrap(),
                source: None,
            };
            fib.insert(Adjacency::new(id, port.clone(), remote, 7));
            (id.short(), socket)
        };
        let transits = [neighbor(2).await, neighbor(3).await];
        let outlets = Arc::new(Outlets::new(4, Timing::new(Duration::from_millis(100))));
        let inbox = Arc::new(Inbox::new(16));
        let kind = PacketType::ToIngress;
        let socket = VirtualSocket::new(kind, fib, inbox.clone(), outlets.clone());
        Self {
            socket,
            outlets,
            inbox,
            own,
            transits,
        }
    }

    /// The ingress's handshake arrives through that transit.
    fn hear_initial(&self, transit: usize) {
        let hops = [self.transits[transit].0, self.own];
        let mut packet = Vec::new();
        write_header(&mut packet, PacketType::ToExit, 5, INGRESS, &hops);
        packet.extend_from_slice(&[INITIAL; 1_200]);
        let mut buffer = BufferPool::default().take();
        buffer[..packet.len()].copy_from_slice(&packet);
        let delivery = Delivery {
            buffer,
            start: 0,
            end: packet.len(),
            stride: packet.len(),
            ecn: None,
        };
        assert!(self.inbox.push(delivery));
        let (mut bytes, mut meta) = (vec![0; 2_000], [RecvMeta::default()]);
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let mut cx = Context::from_waker(Waker::noop());
        let heard = self.socket.poll_recv(&mut cx, &mut slices, &mut meta);
        assert!(matches!(heard, Poll::Ready(Ok(1))));
    }

    /// Sends the ingress a packet with that first byte.
    fn answer(&self, first: u8) {
        let transmit = Transmit {
            destination: virtual_addr(INGRESS),
            ecn: None,
            contents: &[first; 1_200],
            segment_size: None,
            src_ip: None,
        };
        self.socket.try_send(&transmit).unwrap();
    }

    /// First byte of the next packet that a transit gets.
    async fn next(&self, transit: usize) -> u8 {
        let mut bytes = [0; 2_000];
        let received = self.transits[transit].1.recv(&mut bytes);
        let length = timeout(PATIENCE, received).await.unwrap().unwrap();
        let header = Header::parse(&bytes[..length]).unwrap();
        assert_eq!(header.hop(header.count() - 1), INGRESS);
        bytes[header.header_len()]
    }
}

#[tokio::test]
async fn a_handshake_that_came_two_ways_is_answered_both_ways() {
    let world = World::new().await;
    world.hear_initial(0);
    world.hear_initial(1);
    world.answer(HANDSHAKE);
    // The session's first data follows before the first probe has said which way is good.
    world.answer(DATA);
    for transit in [0, 1] {
        assert_eq!(world.next(transit).await, HANDSHAKE);
        assert_eq!(world.next(transit).await, DATA);
    }
}

#[tokio::test]
async fn a_way_that_is_heard_of_after_the_answer_gets_it_too() {
    let world = World::new().await;
    let flushing = tokio::spawn(world.socket.clone().flush_task());
    world.hear_initial(0);
    world.answer(HANDSHAKE);
    assert_eq!(world.next(0).await, HANDSHAKE);
    world.hear_initial(1);
    assert_eq!(world.next(1).await, HANDSHAKE);
    // Only once: heard again it is no news.
    world.hear_initial(1);
    world.hear_initial(0);
    world.answer(DATA);
    for transit in [0, 1] {
        assert_eq!(world.next(transit).await, DATA);
    }
    flushing.abort();
}

#[tokio::test]
async fn unproven_ways_carry_no_data_beside_a_proven_one() {
    let world = World::new().await;
    let proven = [world.transits[0].0, INGRESS];
    let proven = Outlet::new(PacketType::ToIngress, world.own, &proven);
    world.outlets.set(INGRESS, proven, None);
    world.hear_initial(0);
    world.hear_initial(1);
    world.answer(DATA);
    world.answer(HANDSHAKE);
    assert_eq!(world.next(0).await, DATA);
    assert_eq!(world.next(0).await, HANDSHAKE);
    assert_eq!(world.next(1).await, HANDSHAKE);
}
