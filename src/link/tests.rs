//! Accepting links over real ports on loopback, from neighbours that misbehave.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::hello::{self, HelloError, Introduction};
use super::transport::{Connection, OpenError, OwnPort};
use super::*;
use crate::config::Limits;
use crate::forward::{BufferPool, Fib, Local, Port};
use crate::identity::{AgentId, Identity, Trust, link_client, link_server};
use crate::wire::Hello;

mod crossing;

/// Far above what an idle machine needs.
const SOON: Duration = Duration::from_secs(20);

/// An agent that accepts links.
struct Acceptor {
    id: AgentId,
    address: SocketAddr,
    events: mpsc::Receiver<LinkEvent>,
    context: Arc<LinkContext>,
    endpoint: LinkEndpoint,
    tasks: JoinSet<()>,
}

impl Acceptor {
    /// Accepts `neighbors`, at most `pending` handshakes at once.
    fn start(neighbors: &[&Identity], pending: usize) -> Self {
        Self::start_mortal(neighbors, pending, 100)
    }

    /// The same, with links that are down after so many heartbeats of 100 ms missed.
    fn start_mortal(neighbors: &[&Identity], pending: usize, dead_after: u32) -> Self {
        let identity = Identity::ephemeral().unwrap();
        Self::start_as(&identity, neighbors, pending, dead_after)
    }

    /// The same, as this agent.
    fn start_as(
        identity: &Identity,
        neighbors: &[&Identity],
        pending: usize,
        dead_after: u32,
    ) -> Self {
        let pinned: BTreeSet<AgentId> = neighbors.iter().map(|neighbor| neighbor.id()).collect();
        let (fib, _reports) = Fib::new(identity.id().short(), true);
        let (sender, events) = mpsc::channel(64);
        let mut tasks = JoinSet::new();
        let (address, endpoint) = listen(identity, pinned, fib.clone(), &mut tasks);
        let context = Arc::new(LinkContext {
            own: identity.id(),
            hello: introduce("acceptor"),
            heartbeat: Duration::from_millis(100),
            dead_after,
            // Longer than the test: whoever is slow is slow throughout.
            handshake_timeout: 3 * SOON,
            control_message: 1 << 20,
            control_queue: 64,
            standstill: Standstill::new(Duration::from_millis(100), dead_after),
            links: Links::new(identity.id(), 8),
            fib,
            events: sender,
        });
        let limits = Limits {
            pending_handshakes: pending,
            ..Limits::default()
        };
        tasks.spawn(accept(context.clone(), endpoint.clone(), limits));
        Self {
            id: identity.id(),
            address,
            events,
            context,
            endpoint,
            tasks,
        }
    }

    /// Shakes hands as `neighbor` and says nothing yet.
    async fn connect(&self, neighbor: &Identity) -> Result<Connection, OpenError> {
        let trust = Trust::mesh(None, [], BTreeSet::from([self.id])).unwrap();
        let tls = link_client(neighbor, Arc::new(trust), self.id).unwrap();
        let port = OwnPort::towards(self.address).unwrap();
        timeout(SOON, port.open(self.address, tls)).await.unwrap()
    }

    async fn next_event(&mut self) -> LinkEvent {
        timeout(SOON, self.events.recv()).await.unwrap().unwrap()
    }
}

/// Where `identity` accepts connections from those that are `pinned`.
fn listen(
    identity: &Identity,
    pinned: BTreeSet<AgentId>,
    fib: Arc<Fib>,
    tasks: &mut JoinSet<()>,
) -> (SocketAddr, LinkEndpoint) {
    let trust = Arc::new(Trust::mesh(None, [], pinned).unwrap());
    let port = Port::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let (address, limits) = (port.local_addr(), Limits::default());
    let plane = DataPlane {
        fib,
        local: Local::default(),
        pool: BufferPool::default(),
    };
    let server = link_server(identity, trust).unwrap();
    let (endpoint, receiving) = LinkEndpoint::new(port, plane, Some(server), &limits).unwrap();
    tasks.spawn(receiving);
    (address, endpoint)
}

fn introduce(name: &str) -> Hello {
    Hello {
        version: VERSION,
        features: FEATURES,
        epoch: 1,
        display_name: name.to_owned(),
        heartbeat_ms: 100,
        cost: 1,
        time_ms: None,
    }
}

async fn greet(connection: &Connection, hello: &Hello) -> Result<hello::Greeting, HelloError> {
    hello::open(connection, introduction(hello)).await
}

fn introduction(hello: &Hello) -> Introduction<'_> {
    Introduction {
        hello,
        token_in: 1,
        message_limit: 1 << 20,
        within: SOON,
    }
}

#[tokio::test]
async fn a_neighbour_that_never_says_hello_holds_up_itself_alone() {
    let (slow, prompt) = (
        Identity::ephemeral().unwrap(),
        Identity::ephemeral().unwrap(),
    );
    let mut acceptor = Acceptor::start(&[&slow, &prompt], 2);
    let mut silent = Vec::new();
    for _ in 0..6 {
        silent.push(acceptor.connect(&slow).await.unwrap());
    }
    // The slow one is told that it has too many; those before stay open.
    let last = silent.pop().unwrap();
    timeout(SOON, last.closed()).await.expect("one too many");
    assert!(silent[0].end().is_none());

    let connection = acceptor.connect(&prompt).await.unwrap();
    let _greeting = greet(&connection, &introduce("prompt")).await.unwrap();
    let up = acceptor.next_event().await;
    assert!(matches!(up, LinkEvent::Up { neighbor, .. } if neighbor == prompt.id()));
}

#[tokio::test]
async fn a_name_that_steers_a_terminal_gets_no_link() {
    let (odd, plain) = (
        Identity::ephemeral().unwrap(),
        Identity::ephemeral().unwrap(),
    );
    let mut acceptor = Acceptor::start(&[&odd, &plain], 8);
    let connection = acceptor.connect(&odd).await.unwrap();
    let greeting = greet(&connection, &introduce("\u{1b}[2Jtransit")).await;
    timeout(SOON, connection.closed()).await.expect("refused");
    drop(greeting);
    let connection = acceptor.connect(&plain).await.unwrap();
    let _greeting = greet(&connection, &introduce("plain")).await.unwrap();
    let first = acceptor.next_event().await;
    assert!(matches!(first, LinkEvent::Up { neighbor, .. } if neighbor == plain.id()));
}

#[tokio::test]
async fn a_flood_of_heartbeats_keeps_no_message_waiting() {
    let flooder = Identity::ephemeral().unwrap();
    let mut acceptor = Acceptor::start(&[&flooder], 8);
    let connection = acceptor.connect(&flooder).await.unwrap();
    let mut greeting = greet(&connection, &introduce("flooder")).await.unwrap();
    let up = acceptor.next_event().await;
    assert!(matches!(up, LinkEvent::Up { .. }));
    for _ in 0..100 {
        for _ in 0..1_000 {
            connection.send_heartbeat(Vec::new()).unwrap();
        }
        tokio::task::yield_now().await;
    }
    let goodbye = crate::wire::ControlMessage::Goodbye(crate::wire::Goodbye {
        reason: "enough\u{7}".to_owned(),
    });
    control::write(&mut greeting.send, &goodbye).await.unwrap();
    loop {
        match acceptor.next_event().await {
            LinkEvent::Measured { .. } | LinkEvent::Suspect { .. } => {}
            LinkEvent::Down { reason, .. } => {
                let said = DownReason::Goodbye("enough\\u{7}".to_owned());
                break assert_eq!(reason, said);
            }
            other => panic!("not expected: {other:?}"),
        }
    }
}

/// Both sides dialled, and the neighbour closes the link that loses before the other one is there.
#[tokio::test]
async fn a_link_that_is_closed_for_another_one_does_not_go_down() {
    let neighbor = Identity::ephemeral().unwrap();
    let mut acceptor = Acceptor::start(&[&neighbor], 8);
    let losing = acceptor.connect(&neighbor).await.unwrap();
    let _greeting = greet(&losing, &introduce("neighbor")).await.unwrap();
    assert!(matches!(acceptor.next_event().await, LinkEvent::Up { .. }));
    losing.close(ending::code::DUPLICATE, "duplicate link");

    let kept = acceptor.connect(&neighbor).await.unwrap();
    let _greeting = greet(&kept, &introduce("neighbor")).await.unwrap();
    loop {
        match acceptor.next_event().await {
            LinkEvent::Measured { .. } | LinkEvent::Suspect { .. } => {}
            LinkEvent::Up { .. } => break,
            other => panic!("not expected: {other:?}"),
        }
    }
}

/// The end of the control stream overtakes the word of why, as packets do that come out of order.
#[tokio::test]
async fn the_end_of_a_control_stream_is_not_yet_the_end_of_its_link() {
    let neighbor = Identity::ephemeral().unwrap();
    let mut acceptor = Acceptor::start_mortal(&[&neighbor], 8, 100);
    let losing = acceptor.connect(&neighbor).await.unwrap();
    let greeting = greet(&losing, &introduce("neighbor")).await.unwrap();
    assert!(matches!(acceptor.next_event().await, LinkEvent::Up { .. }));
    drop(greeting);
    for _ in 0..3 {
        losing.heartbeat().await.expect("it is kept");
    }
    losing.close(ending::code::GOODBYE, "enough");
    loop {
        match acceptor.next_event().await {
            LinkEvent::Measured { .. } | LinkEvent::Suspect { .. } => {}
            LinkEvent::Down { reason, .. } => {
                break assert_eq!(reason, DownReason::Goodbye("enough".to_owned()));
            }
            other => panic!("not expected: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_neighbour_that_ends_its_control_stream_and_stays_is_left() {
    let neighbor = Identity::ephemeral().unwrap();
    let mut acceptor = Acceptor::start_mortal(&[&neighbor], 8, 100);
    let connection = acceptor.connect(&neighbor).await.unwrap();
    let greeting = greet(&connection, &introduce("neighbor")).await.unwrap();
    assert!(matches!(acceptor.next_event().await, LinkEvent::Up { .. }));
    drop(greeting);
    loop {
        tokio::select! {
            beat = connection.heartbeat() => if beat.is_ok() {
                // Fails only once it is left.
                let _ = connection.send_heartbeat(Vec::new());
            },
            event = acceptor.next_event() => match event {
                LinkEvent::Measured { .. } | LinkEvent::Suspect { .. } => {}
                LinkEvent::Down { reason, .. } => {
                    break assert!(matches!(reason, DownReason::Violation(_)), "{reason:?}");
                }
                other => panic!("not expected: {other:?}"),
            },
        }
    }
}

#[tokio::test]
async fn a_link_that_is_closed_for_another_one_that_never_comes_falls_silent() {
    let neighbor = Identity::ephemeral().unwrap();
    let mut acceptor = Acceptor::start_mortal(&[&neighbor], 8, 2);
    let losing = acceptor.connect(&neighbor).await.unwrap();
    let _greeting = greet(&losing, &introduce("neighbor")).await.unwrap();
    assert!(matches!(acceptor.next_event().await, LinkEvent::Up { .. }));
    losing.close(ending::code::DUPLICATE, "duplicate link");
    loop {
        match acceptor.next_event().await {
            LinkEvent::Measured { .. } | LinkEvent::Suspect { .. } => {}
            LinkEvent::Down { reason, .. } => break assert_eq!(reason, DownReason::Silent),
            other => panic!("not expected: {other:?}"),
        }
    }
}
