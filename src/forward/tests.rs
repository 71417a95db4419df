//! The receive loop over real ports on loopback.

use std::future::poll_fn;
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::AsyncUdpSocket;
use quinn_udp::RecvMeta;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::config::Limits;
use crate::identity::{AgentId, ShortId};
use crate::wire::packet::{Header, PacketType, advance, write_header};

mod blocked;

const SOON: Duration = Duration::from_secs(5);
const TOKEN_IN: u64 = 11;
const TOKEN_OUT: u64 = 22;

/// An agent in the middle, with raw sockets as its two neighbours.
struct Bench {
    fib: Arc<Fib>,
    reports: mpsc::Receiver<PathErrorReport>,
    local: Local,
    quic: Arc<QuicSocket>,
    port: Arc<Port>,
    address: SocketAddr,
    previous: UdpSocket,
    next: UdpSocket,
    task: JoinHandle<()>,
}

fn agent(number: u8) -> AgentId {
    AgentId([number; 16])
}

fn short(number: u8) -> ShortId {
    agent(number).short()
}

/// Source or previous hop, this agent, next hop.
const PREVIOUS: u8 = 1;
const OWN: u8 = 2;
const NEXT: u8 = 3;

impl Bench {
    async fn start(transit: bool) -> Self {
        let (fib, reports) = Fib::new(short(OWN), transit);
        let port = Port::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let socket = || UdpSocket::bind("127.0.0.1:0");
        let (previous, next) = (socket().await.unwrap(), socket().await.unwrap());
        let adjacency = |number, socket: &UdpSocket, token| {
            let remote = Remote {
                address: socket.local_addr().unwrap(),
                source: None,
            };
            Adjacency::new(agent(number), port.clone(), remote, token)
        };
        let from = adjacency(PREVIOUS, &previous, 0);
        fib.admit(TOKEN_IN, from.clone());
        fib.insert(from);
        fib.insert(adjacency(NEXT, &next, TOKEN_OUT));
        let local = Local {
            exit: Some(Arc::new(Inbox::new(8))),
            ..Local::default()
        };
        let quic = QuicSocket::new(port.clone(), Door::new(&Limits::default()));
        let task = tokio::spawn(receive(
            port.clone(),
            quic.clone(),
            fib.clone(),
            local.clone(),
            BufferPool::default(),
        ));
        Self {
            fib,
            reports,
            local,
            quic,
            address: port.local_addr(),
            port,
            previous,
            next,
            task,
        }
    }

    async fn send(&self, packet: &[u8]) {
        self.previous.send_to(packet, self.address).await.unwrap();
    }

    async fn received(&self) -> Vec<u8> {
        let mut buffer = vec![0; 2_048];
        let count = timeout(SOON, self.next.recv(&mut buffer))
            .await
            .expect("nothing was forwarded")
            .unwrap();
        buffer.truncate(count);
        buffer
    }

    /// The next QUIC packets that the link endpoint is given, and where they are from.
    async fn quic_packets(&self) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut memory = vec![[0; 1_472]; 16];
        let mut slices: Vec<IoSliceMut<'_>> =
            memory.iter_mut().map(|m| IoSliceMut::new(m)).collect();
        let mut metas = [RecvMeta::default(); 16];
        let taken = poll_fn(|cx| self.quic.poll_recv(cx, &mut slices, &mut metas));
        let count = timeout(SOON, taken)
            .await
            .expect("no QUIC packet arrived")
            .unwrap();
        drop(slices);
        let packet =
            |(meta, bytes): (&RecvMeta, &[u8; 1_472])| (meta.addr, bytes[..meta.len].to_vec());
        metas[..count].iter().zip(&memory).map(packet).collect()
    }

    /// Waits until `reason` was counted.
    async fn dropped(&self, reason: DropReason) {
        let counted = async {
            while self.fib.metrics.dropped_count(reason) == 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, counted)
            .await
            .unwrap_or_else(|_| panic!("{reason:?} was not counted"));
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn packet(kind: PacketType, token: u64, hops: &[u8], payload: &[u8]) -> Vec<u8> {
    let hops: Vec<ShortId> = hops.iter().map(|hop| short(*hop)).collect();
    let mut out = Vec::new();
    write_header(&mut out, kind, token, short(PREVIOUS), &hops);
    out.extend_from_slice(payload);
    out
}

#[tokio::test]
async fn forwards_with_the_index_bumped_and_the_token_swapped() {
    let bench = Bench::start(true).await;
    bench
        .send(&packet(
            PacketType::ToExit,
            TOKEN_IN,
            &[OWN, NEXT],
            b"payload",
        ))
        .await;
    let sent_on = bench.received().await;
    let header = Header::parse(&sent_on).unwrap();
    assert_eq!((header.index(), header.token()), (1, TOKEN_OUT));
    assert_eq!(header.source(), short(PREVIOUS));
    assert_eq!(&sent_on[header.header_len()..], b"payload");
    assert_eq!(bench.fib.metrics.forwarded_count(), 1);
}

#[tokio::test]
async fn delivers_at_the_last_hop() {
    let bench = Bench::start(true).await;
    bench
        .send(&packet(PacketType::ToExit, TOKEN_IN, &[OWN], b"for us"))
        .await;
    let inbox = bench.local.exit.clone().unwrap();
    let delivery = timeout(SOON, inbox.pop()).await.expect("not delivered");
    let payloads: Vec<&[u8]> = delivery.payloads().collect();
    assert_eq!(payloads, [b"for us"]);
    assert_eq!(delivery.header().source(), short(PREVIOUS));
}

#[tokio::test]
async fn a_packet_longer_than_any_agent_sends_is_dropped_and_the_rest_lives_on() {
    let bench = Bench::start(true).await;
    let long = packet(PacketType::ToExit, TOKEN_IN, &[OWN], &[7; 12_000]);
    bench.send(&long).await;
    bench.dropped(DropReason::Malformed).await;
    bench
        .send(&packet(PacketType::ToExit, TOKEN_IN, &[OWN], b"for us"))
        .await;
    let inbox = bench.local.exit.clone().unwrap();
    let delivery = timeout(SOON, inbox.pop()).await.expect("not delivered");
    assert_eq!(delivery.payloads().next(), Some(&b"for us"[..]));
}

#[tokio::test]
async fn hearing_a_packet_counts_as_hearing_the_neighbour() {
    let bench = Bench::start(true).await;
    let adjacency = bench.fib.by_neighbor(short(PREVIOUS)).unwrap();
    assert_eq!(bench.fib.last_heard(&adjacency), None);
    bench
        .send(&packet(PacketType::ToExit, TOKEN_IN, &[OWN, NEXT], b""))
        .await;
    bench.received().await;
    assert!(bench.fib.last_heard(&adjacency).is_some());
}

#[tokio::test]
async fn a_wrong_token_index_or_hop_is_dropped_and_counted() {
    let bench = Bench::start(true).await;
    bench
        .send(&packet(PacketType::ToExit, 99, &[OWN, NEXT], b""))
        .await;
    bench.dropped(DropReason::Token).await;
    bench
        .send(&packet(PacketType::ToExit, TOKEN_IN, &[NEXT, OWN], b""))
        .await;
    bench.dropped(DropReason::Index).await;
    bench.send(&[0x01, 5, 2, 0, 0]).await;
    bench.dropped(DropReason::Malformed).await;
    bench
        .send(&packet(PacketType::ToIngress, TOKEN_IN, &[OWN], b""))
        .await;
    bench.dropped(DropReason::NoReceiver).await;
    assert_eq!(bench.fib.metrics.forwarded_count(), 0);
}

#[tokio::test]
async fn an_unknown_next_hop_is_reported_back_once_per_interval() {
    let mut bench = Bench::start(true).await;
    for _ in 0..20 {
        bench
            .send(&packet(PacketType::ToExit, TOKEN_IN, &[OWN, 77], b""))
            .await;
    }
    bench.dropped(DropReason::NextHop).await;
    let report = timeout(SOON, bench.reports.recv()).await.unwrap().unwrap();
    assert_eq!(report.back, [short(PREVIOUS)]);
    assert_eq!(
        (report.next_hop, report.destination),
        (short(77), short(77))
    );
    // Far fewer reports than packets; a slow machine may fit in a second interval.
    let mut more = 0;
    while bench.reports.try_recv().is_ok() {
        more += 1;
    }
    assert!(more < 10, "{more} more reports");
}

#[tokio::test]
async fn one_broken_next_hop_hides_no_other_and_no_other_source() {
    let mut bench = Bench::start(true).await;
    let mut other_source = Vec::new();
    let hops = [short(OWN), short(77)];
    // From an agent behind the previous hop: the path is source, previous, this agent.
    let path = [short(PREVIOUS), hops[0], hops[1]];
    write_header(&mut other_source, PacketType::ToExit, 0, short(66), &path);
    advance(&mut other_source, TOKEN_IN);
    for _ in 0..5 {
        for next_hop in [77, 78] {
            bench
                .send(&packet(PacketType::ToExit, TOKEN_IN, &[OWN, next_hop], b""))
                .await;
        }
        bench.send(&other_source).await;
    }
    let mut reported = Vec::new();
    while reported.len() < 3 {
        let report = timeout(SOON, bench.reports.recv()).await.unwrap().unwrap();
        let what = (report.next_hop, *report.back.last().unwrap());
        if !reported.contains(&what) {
            reported.push(what);
        }
    }
    let expected = [
        (short(77), short(PREVIOUS)),
        (short(78), short(PREVIOUS)),
        (short(77), short(66)),
    ];
    assert_eq!(reported, expected);
}

#[tokio::test]
async fn an_agent_that_is_no_transit_forwards_nothing() {
    let bench = Bench::start(false).await;
    bench
        .send(&packet(PacketType::ToExit, TOKEN_IN, &[OWN, NEXT], b""))
        .await;
    bench.dropped(DropReason::NoTransit).await;
    assert_eq!(bench.fib.metrics.forwarded_count(), 0);
}

#[tokio::test]
async fn a_full_inbox_drops_and_the_rest_lives_on() {
    let bench = Bench::start(true).await;
    let mut sent = 0;
    while bench.fib.metrics.dropped_count(DropReason::InboxFull) == 0 {
        bench
            .send(&packet(PacketType::ToExit, TOKEN_IN, &[OWN], &[sent]))
            .await;
        sent = sent.wrapping_add(1);
        tokio::task::yield_now().await;
    }
    bench
        .send(&packet(PacketType::ToExit, TOKEN_IN, &[OWN, NEXT], b"on"))
        .await;
    assert!(bench.received().await.ends_with(b"on"));
}

/// GRO may put packets of several flows into one buffer: each must go its own way.
#[tokio::test]
async fn a_mixed_batch_is_split_by_flow() {
    let bench = Bench::start(true).await;
    let sender = Port::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    sender.writable().await.unwrap();
    let mut batch = packet(PacketType::ToExit, TOKEN_IN, &[OWN, NEXT], b"1");
    let stride = batch.len();
    batch.extend(packet(PacketType::ToExit, 99, &[OWN, NEXT], b"2"));
    batch.extend(packet(PacketType::ToExit, TOKEN_IN, &[OWN, NEXT], b"3"));
    sender
        .send(&Run {
            destination: bench.address,
            source: None,
            ecn: None,
            bytes: &batch,
            stride,
        })
        .unwrap();
    assert!(bench.received().await.ends_with(b"1"));
    assert!(bench.received().await.ends_with(b"3"));
    bench.dropped(DropReason::Token).await;
}

#[tokio::test]
async fn a_removed_adjacency_takes_its_tokens_along_and_leaves_its_successor() {
    let bench = Bench::start(true).await;
    let old = bench.fib.by_neighbor(short(PREVIOUS)).unwrap();
    let new = Adjacency::new(agent(PREVIOUS), bench.port.clone(), old.remote(), 5);
    bench.fib.insert(new.clone());
    bench.fib.admit(44, new);
    bench.fib.remove(&old);
    assert!(bench.fib.by_token(TOKEN_IN).is_none());
    assert!(bench.fib.by_token(44).is_some());
    assert_eq!(
        bench.fib.by_neighbor(short(PREVIOUS)).unwrap().token_out(),
        5
    );
}

/// The first bytes of a QUIC Initial packet (RFC 9000 section 17.2.2); to the port it is QUIC.
const INITIAL: &[u8] = &[0xc0, 0, 0, 0, 1, 8];

#[tokio::test]
async fn a_flood_of_strangers_keeps_no_live_link_from_being_heard() {
    let bench = Bench::start(true).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // Nobody reads meanwhile: the flood fills whatever room there is for it.
    while bench.fib.metrics.dropped_count(DropReason::InboxFull) < 100 {
        stranger.send_to(INITIAL, bench.address).await.unwrap();
        tokio::task::yield_now().await;
    }
    bench.send(b"\x40heartbeat").await;
    // What comes after it on the same path has been queued once this is forwarded.
    bench
        .send(&packet(PacketType::ToExit, TOKEN_IN, &[OWN, NEXT], b"on"))
        .await;
    bench.received().await;
    let (from, first) = bench.quic_packets().await.remove(0);
    assert_eq!(from, bench.previous.local_addr().unwrap());
    assert_eq!(first, b"\x40heartbeat");
}

#[tokio::test]
async fn a_link_is_known_by_its_address_until_it_moves_or_ends() {
    let bench = Bench::start(true).await;
    let adjacency = bench.fib.by_neighbor(short(PREVIOUS)).unwrap();
    let (old, new) = (adjacency.remote(), "127.0.0.1:9".parse().unwrap());
    assert!(bench.fib.is_link(old.address) && !bench.fib.is_link(new));
    let moved = Remote {
        address: new,
        ..old
    };
    bench.fib.set_remote(&adjacency, moved);
    assert_eq!(adjacency.remote(), moved);
    assert!(!bench.fib.is_link(old.address) && bench.fib.is_link(new));
    // A dual-stack port sees the same host under another name.
    assert!(bench.fib.is_link("[::ffff:127.0.0.1]:9".parse().unwrap()));

    let successor = Adjacency::new(agent(PREVIOUS), bench.port.clone(), moved, 5);
    bench.fib.insert(successor.clone());
    bench.fib.remove(&adjacency);
    assert!(bench.fib.is_link(new), "the successor is there");
    bench.fib.remove(&successor);
    assert!(!bench.fib.is_link(new));
}
