//! An exit's socket between two transits, which are plain UDP sockets on loopback.

use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::*;
use crate::forward::{Adjacency, BufferPool, Delivery, Port, Remote};
use crate::identity::{AgentId, ShortId};
use crate::tunnel::session::endpoint::endpoint;
use crate::tunnel::testing::PATIENCE;
use crate::wire::packet::write_header;

const INGRESS: ShortId = ShortId(9);

/// What a QUIC version 1 Initial begins with (RFC 9000 section 17.2.2): two 8-byte connection ids, of
/// which the second is for answers, no token, and the length of the rest of 1,200 bytes.
const INITIAL_HEAD: [u8; 26] = [
    INITIAL, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 9, 9, 9, 9, 9, 9, 9, 0, 0x44, 0x96,
];

/// What handshake packets that answer it begin with behind their first byte.
const ANSWER: [u8; 13] = [0, 0, 0, 1, 8, 9, 9, 9, 9, 9, 9, 9, 9];

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
        let outlets = Arc::new(Outlets::new(4));
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

    /// The ingress's handshake arrives through that transit, and quinn takes it.
    fn hear_initial(&self, transit: usize) {
        self.deliver_initial(transit);
        let (mut bytes, mut meta) = (vec![0; 2_000], [RecvMeta::default()]);
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let mut cx = Context::from_waker(Waker::noop());
        let heard = self.socket.poll_recv(&mut cx, &mut slices, &mut meta);
        assert!(matches!(heard, Poll::Ready(Ok(1))));
    }

    /// Something that begins like a handshake arrives through that transit.
    fn deliver_initial(&self, transit: usize) {
        let mut initial = INITIAL_HEAD.to_vec();
        initial.resize(1_200, 0);
        self.deliver(transit, &[initial]);
    }

    /// These arrive at once through that transit, all as long as the first but the last.
    fn deliver(&self, transit: usize, payloads: &[Vec<u8>]) {
        let hops = [self.transits[transit].0, self.own];
        let packets = payloads.iter().map(|payload| {
            let mut packet = Vec::new();
            write_header(&mut packet, PacketType::ToExit, 5, INGRESS, &hops);
            packet.extend_from_slice(payload);
            packet
        });
        let packets: Vec<_> = packets.collect();
        let (stride, packets) = (packets[0].len(), packets.concat());
        let mut buffer = BufferPool::default().take();
        buffer[..packets.len()].copy_from_slice(&packets);
        let delivery = Delivery {
            buffer,
            start: 0,
            end: packets.len(),
            stride,
            ecn: None,
        };
        assert!(self.inbox.push(delivery).is_none());
    }

    /// Makes the path through that transit the proven one.
    fn prove(&self, transit: usize) {
        let hops = [self.transits[transit].0, INGRESS];
        let outlet = Outlet::new(PacketType::ToIngress, self.own, &hops);
        self.outlets.set(INGRESS, outlet, None);
    }

    /// Sends the ingress a packet with that first byte.
    fn answer(&self, first: u8) {
        let mut contents = [&[first][..], &ANSWER].concat();
        contents.resize(1_000, 0);
        let transmit = Transmit {
            destination: virtual_addr(INGRESS),
            ecn: None,
            contents: &contents,
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
async fn a_long_run_reaches_quinn_in_short_buffers_whole_and_in_order() {
    let world = World::new().await;
    let mut payloads: Vec<_> = (0..20).map(|number| vec![DATA | number; 100]).collect();
    payloads[19].truncate(50);
    world.deliver(0, &payloads);
    let mut heard = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    // Two at a time, so that a run is left over between two calls.
    for filled in [2, 1] {
        let mut bytes = [[0; 2_000]; 2];
        let mut slices = bytes.each_mut().map(|bytes| IoSliceMut::new(bytes));
        let mut meta = [RecvMeta::default(); 2];
        let taken = world.socket.poll_recv(&mut cx, &mut slices, &mut meta);
        assert!(matches!(taken, Poll::Ready(Ok(count)) if count == filled));
        for (bytes, meta) in bytes.iter().zip(&meta).take(filled) {
            assert_eq!(meta.stride, 100);
            assert!(meta.len <= RECEIVE_SEGMENTS * meta.stride);
            heard.extend(bytes[..meta.len].chunks(meta.stride).map(<[u8]>::to_vec));
        }
    }
    assert_eq!(heard, payloads);
    let mut slices = [IoSliceMut::new(&mut [])];
    let nothing = world
        .socket
        .poll_recv(&mut cx, &mut slices, &mut [RecvMeta::default()]);
    assert!(nothing.is_pending());
}

#[tokio::test]
async fn a_packet_longer_than_quinns_buffer_is_left_out_and_the_next_one_arrives() {
    let world = World::new().await;
    world.deliver(0, &[vec![DATA; 2_001]]);
    world.deliver(0, &[vec![DATA; 100]]);
    let (mut bytes, mut meta) = ([0; 2_000], [RecvMeta::default()]);
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let mut cx = Context::from_waker(Waker::noop());
    let taken = world.socket.poll_recv(&mut cx, &mut slices, &mut meta);
    assert!(matches!(taken, Poll::Ready(Ok(1))));
    assert_eq!(meta[0].len, 100);
}

#[tokio::test]
async fn a_handshake_that_came_two_ways_is_answered_both_ways() {
    let world = World::new().await;
    world.hear_initial(0);
    world.hear_initial(1);
    // What follows takes the latest alone until the first probe has said which way is good.
    world.answer(DATA);
    world.answer(HANDSHAKE);
    assert_eq!(world.next(1).await, DATA);
    assert_eq!(world.next(1).await, HANDSHAKE);
    assert_eq!(world.next(0).await, HANDSHAKE);
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
    world.answer(INITIAL);
    assert_eq!(world.next(0).await, DATA);
    assert_eq!(world.next(1).await, INITIAL);
    flushing.abort();
}

#[tokio::test]
async fn unproven_ways_carry_no_data_beside_a_proven_one() {
    let world = World::new().await;
    world.prove(0);
    world.hear_initial(0);
    world.hear_initial(1);
    world.answer(DATA);
    world.answer(HANDSHAKE);
    assert_eq!(world.next(0).await, DATA);
    assert_eq!(world.next(0).await, HANDSHAKE);
    assert_eq!(world.next(1).await, HANDSHAKE);
}

#[tokio::test]
async fn handshakes_are_not_waited_for_and_data_is() {
    let world = World::new().await;
    world.prove(0);
    let flow = world.outlets.flow(INGRESS).unwrap();
    world.answer(HANDSHAKE);
    assert_eq!(flow.traffic(Duration::ZERO, 0).unanswered, None);
    world.answer(DATA);
    assert!(flow.traffic(Duration::ZERO, 0).unanswered.is_some());
}

#[tokio::test]
async fn garbage_is_answered_with_one_reset_and_no_more() {
    let world = World::new().await;
    world.prove(0);
    // An endpoint that accepts nothing: what opens no connection can only be reset.
    let _endpoint = endpoint(world.socket.clone(), None).unwrap();
    tokio::time::pause();
    world.deliver_initial(0);
    // The form bit of a reset is that of data (RFC 9000 section 10.3).
    assert_eq!(world.next(0).await & LONG_HEADER, 0);
    for _ in 0..5 {
        tokio::time::advance(Duration::from_secs(1)).await;
        world.deliver_initial(0);
        // Its driver takes what arrived.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        world.answer(HANDSHAKE);
        assert_eq!(world.next(0).await, HANDSHAKE);
    }
}
