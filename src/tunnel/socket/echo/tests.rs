//! Echoes over real ports on loopback: a chain of agents, and a neighbour that speaks by hand.

use std::net::SocketAddr;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::*;
use crate::config::Limits;
use crate::forward::{Adjacency, BufferPool, Door, Local, Port, QuicSocket, Remote, receive};
use crate::identity::AgentId;
use crate::tunnel::testing;
use crate::wire::packet::write_header;

/// Any link token.
const TOKEN: u64 = 11;

struct Node {
    id: AgentId,
    fib: Arc<Fib>,
    port: Arc<Port>,
    echoer: Arc<Echoer>,
    _tasks: JoinSet<()>,
}

impl Node {
    async fn start(number: u8) -> Self {
        let id = AgentId([number; 16]);
        let (fib, _) = Fib::new(id.short(), true);
        let port = Port::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        // A new socket's first send would find its readiness unknown, and fail.
        port.writable().await.unwrap();
        let echoer = Echoer::new(fib.clone());
        let inbox = Arc::new(Inbox::new(INBOX));
        let mut tasks = JoinSet::new();
        tasks.spawn(echoer.clone().receive(inbox.clone()));
        tasks.spawn(receive(
            port.clone(),
            QuicSocket::new(port.clone(), Door::new(&Limits::default())),
            fib.clone(),
            Local {
                echoes: Some(inbox),
                ..Local::default()
            },
            BufferPool::default(),
        ));
        Self {
            id,
            fib,
            port,
            echoer,
            _tasks: tasks,
        }
    }

    /// Makes `neighbor` at `address` an adjacency, with the tokens of packets from and to it.
    fn link(&self, neighbor: AgentId, address: SocketAddr, token_in: u64, token_out: u64) {
        let remote = Remote {
            address,
            source: None,
        };
        let adjacency = Adjacency::new(neighbor, self.port.clone(), remote, token_out);
        self.fib.admit(token_in, adjacency.clone());
        self.fib.insert(adjacency);
    }

    async fn dropped(&self, reason: DropReason, at_least: u64) {
        let counted = async {
            while self.fib.metrics.dropped_count(reason) < at_least {
                tokio::task::yield_now().await;
            }
        };
        timeout(testing::PATIENCE, counted)
            .await
            .unwrap_or_else(|_| panic!("{reason:?} was not counted"));
    }
}

/// Makes two nodes neighbours. A token names one link of its receiver, so it is made of the sender.
fn link(a: &Node, b: &Node) {
    for (from, to) in [(a, b), (b, a)] {
        let announced = |sender: &Node| TOKEN + u64::from(sender.id.0[0]);
        from.link(to.id, to.port.local_addr(), announced(to), announced(from));
    }
}

fn short(node: &Node) -> ShortId {
    node.id.short()
}

#[tokio::test]
async fn every_agent_of_a_path_answers() {
    let chain = [
        Node::start(1).await,
        Node::start(2).await,
        Node::start(3).await,
    ];
    link(&chain[0], &chain[1]);
    link(&chain[1], &chain[2]);
    let hops = [short(&chain[1]), short(&chain[2])];
    for prefix in 1..=hops.len() {
        for size in [0, 1_200] {
            let rtt = chain[0]
                .echoer
                .round_trip(&hops[..prefix], size, Duration::ZERO)
                .await;
            assert!(rtt.is_some(), "{prefix} hops, {size} bytes");
        }
    }
    assert!(chain[0].echoer.waiting().is_empty());
}

#[tokio::test]
async fn what_nobody_answers_is_lost_and_forgotten() {
    let node = Node::start(1).await;
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let neighbor = AgentId([2; 16]);
    node.link(neighbor, silent.local_addr().unwrap(), TOKEN, TOKEN);
    assert_eq!(
        node.echoer
            .round_trip(&[neighbor.short()], 8, Duration::ZERO)
            .await,
        None
    );
    let nowhere = [AgentId([9; 16]).short()];
    assert_eq!(
        node.echoer.round_trip(&nowhere, 8, Duration::ZERO).await,
        None
    );
    assert_eq!(node.echoer.round_trip(&[], 8, Duration::ZERO).await, None);
    assert!(node.echoer.waiting().is_empty());
}

/// A node and a neighbour of it that is a raw socket.
async fn beside_a_raw_neighbor() -> (Node, UdpSocket, AgentId) {
    let node = Node::start(1).await;
    let raw = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    raw.connect(node.port.local_addr()).await.unwrap();
    let neighbor = AgentId([2; 16]);
    node.link(neighbor, raw.local_addr().unwrap(), TOKEN, TOKEN);
    (node, raw, neighbor)
}

fn packet(kind: PacketType, source: AgentId, to: &Node, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    write_header(&mut packet, kind, TOKEN, source.short(), &[short(to)]);
    packet.extend_from_slice(payload);
    packet
}

async fn received(raw: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 2_048];
    let count = timeout(testing::PATIENCE, raw.recv(&mut buffer)).await;
    buffer.truncate(count.expect("an answer").unwrap());
    buffer
}

#[tokio::test]
async fn an_answer_has_the_size_of_the_question_and_none_of_its_content() {
    let (node, raw, neighbor) = beside_a_raw_neighbor().await;
    let question = packet(PacketType::Echo, neighbor, &node, &[7; 500]);
    raw.send(&question).await.unwrap();
    let answer = received(&raw).await;
    assert_eq!(answer.len(), question.len());
    let header = Header::parse(&answer).unwrap();
    assert_eq!(header.packet_type(), PacketType::EchoReply);
    assert_eq!(header.source(), short(&node));
    let payload = &answer[header.header_len()..];
    assert_eq!(payload[..NONCE], [7; NONCE]);
    assert!(payload[NONCE..].iter().all(|byte| *byte == 0));

    let short = packet(PacketType::Echo, neighbor, &node, &[7; NONCE - 1]);
    raw.send(&short).await.unwrap();
    node.dropped(DropReason::Malformed, 1).await;
}

#[tokio::test]
async fn a_flood_of_echoes_is_not_answered() {
    let (node, _, neighbor) = beside_a_raw_neighbor().await;
    let question = packet(PacketType::Echo, neighbor, &node, &[0; NONCE]);
    let header = Header::parse(&question).unwrap();
    let now = Instant::now();
    for _ in 0..ANSWERS_PER_SECOND {
        assert_eq!(node.echoer.handle(now, &header, 0, NONCE), Ok(()));
    }
    let over = node.echoer.handle(now, &header, 0, NONCE);
    assert_eq!(over, Err(DropReason::Echo));
    let later = now + Duration::from_secs(1);
    assert_eq!(node.echoer.handle(later, &header, 0, NONCE), Ok(()));
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_proves_nothing() {
    let (node, raw, neighbor) = beside_a_raw_neighbor().await;
    let echoer = node.echoer.clone();
    let far = AgentId([3; 16]);
    let hops = [neighbor.short(), far.short()];
    let asking = tokio::spawn(async move { echoer.round_trip(&hops, 8, Duration::ZERO).await });
    let question = received(&raw).await;
    let nonce = question[Header::parse(&question).unwrap().header_len()..].to_vec();

    // The first hop answers in its own name, and with a nonce of its own.
    raw.send(&packet(PacketType::EchoReply, neighbor, &node, &nonce))
        .await
        .unwrap();
    node.dropped(DropReason::Echo, 1).await;
    raw.send(&packet(PacketType::EchoReply, neighbor, &node, &[9; NONCE]))
        .await
        .unwrap();
    node.dropped(DropReason::Echo, 2).await;
    assert_eq!(asking.await.unwrap(), None);
}

#[test]
fn a_long_path_is_waited_for() {
    let ms = Duration::from_millis;
    for (expected, wanted) in [(0, 1_000), (250, 1_000), (600, 2_400), (60_000, 10_000)] {
        assert_eq!(patience(ms(expected)), ms(wanted), "{expected} ms");
    }
}
