//! Two agents dial each other at the same time. The neighbour is played, so that the two links come
//! in either order.

use quinn::{ConnectionError, Incoming, ServerConfig};

use super::ending::{close, code};
use super::*;
use crate::config::{HostPort, Reconnect};
use crate::names::Lookup;

/// Heartbeats for which the neighbour listens for another dial: some 500 ms.
const A_WHILE: usize = 10;

struct Loopback;

impl Resolve for Loopback {
    fn resolve(&self, _host: &str) -> Lookup {
        Lookup::known(vec![Ipv4Addr::LOCALHOST.into()])
    }
}

/// Where the neighbour is dialled.
fn listen(neighbor: &Identity, agent: AgentId) -> Endpoint {
    let trust = Trust::mesh(None, [], BTreeSet::from([agent])).unwrap();
    let server = ServerConfig::with_crypto(link_server(neighbor, Arc::new(trust)).unwrap());
    let mut config = EndpointConfig::default();
    config.grease_quic_bit(false);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Endpoint::new(config, Some(server), socket, Arc::new(TokioRuntime)).unwrap()
}

async fn next_dial(listening: &Endpoint) -> Incoming {
    timeout(SOON, listening.accept()).await.unwrap().unwrap()
}

impl Acceptor {
    /// Dials `neighbor` for ever, a millisecond after each failure.
    fn dial(&mut self, own: &Identity, neighbor: &Identity, port: u16) {
        let trust = Trust::mesh(None, [], BTreeSet::from([neighbor.id()])).unwrap();
        let host = "neighbor".to_owned();
        let target = DialTarget {
            id: neighbor.id(),
            address: HostPort { host, port },
            cost: 1,
            crypto: link_client(own, Arc::new(trust), neighbor.id()).unwrap(),
            reconnect: Reconnect {
                initial_delay: Duration::from_millis(1),
                max_delay: Duration::from_millis(1),
                multiplier: 1.0,
                jitter: 0.0,
                max_retries: None,
            },
        };
        let (context, endpoints) = (self.context.clone(), [self.endpoint.clone()]);
        let links = &context.links;
        links.configure(target.id, target.address.to_string());
        let dialling = dial_forever(context, endpoints.into(), Arc::new(Loopback), target);
        self.tasks.spawn(dialling);
    }

    /// The links that came up until one went down, and why that did.
    async fn until_down(&mut self) -> (usize, DownReason) {
        let mut ups = 0;
        loop {
            match self.next_event().await {
                LinkEvent::Up { .. } => ups += 1,
                LinkEvent::Down { reason, .. } => return (ups, reason),
                _ => {}
            }
        }
    }
}

/// Holds the link that was kept for a while, in which nothing may be dialled, and ends it.
async fn end_after_a_while(kept: &Connection, listening: &Endpoint) {
    for _ in 0..A_WHILE {
        tokio::select! {
            biased;
            _ = listening.accept() => panic!("dialled beside a live link"),
            beat = kept.read_datagram() => drop(beat.expect("it is kept")),
        }
    }
    close(kept, code::GOODBYE, "enough");
}

/// Refuses the next dial; the attempts that the agent has counted then.
async fn attempts_after_another(
    agent: &Acceptor,
    neighbor: &Identity,
    listening: &Endpoint,
) -> u32 {
    next_dial(listening).await.refuse();
    // The one after it comes once the failure was noted.
    let _next = next_dial(listening).await;
    agent.context.links.snapshot()[&neighbor.id()].attempts
}

/// Both dial after an attempt of the agent's that was refused; hellos are said on one of the links
/// after the other. At the end the back-off must know of the refused attempt alone.
async fn cross(own: &Identity, neighbor: &Identity, own_dial_first: bool) {
    let mut agent = Acceptor::start_as(own, &[neighbor], 8, 100);
    let listening = listen(neighbor, agent.id);
    agent.dial(own, neighbor, listening.local_addr().unwrap().port());
    next_dial(&listening).await.refuse();
    let own_dial = next_dial(&listening).await.await.unwrap();
    let others_dial = agent.connect(neighbor).await.unwrap();

    let hello = introduce("neighbor");
    let answered = hello::answer(&own_dial, introduction(&hello));
    let greeted = greet(&others_dial, &hello);
    let up = async |agent: &mut Acceptor| {
        assert!(matches!(agent.next_event().await, LinkEvent::Up { .. }));
    };
    // Held, as the end of its stream ends a link; the one that loses may have none.
    let _greetings = match own_dial_first {
        true => {
            let first = answered.await;
            up(&mut agent).await;
            (first, greeted.await)
        }
        false => {
            let first = greeted.await;
            up(&mut agent).await;
            (answered.await, first)
        }
    };
    let own_wins = own.id() < neighbor.id();
    let (kept, losing) = match own_wins {
        true => (own_dial, others_dial),
        false => (others_dial, own_dial),
    };
    match timeout(SOON, losing.closed()).await.unwrap() {
        ConnectionError::ApplicationClosed(why) => {
            assert_eq!(why.error_code, code::DUPLICATE.into(), "{why}");
        }
        other => panic!("{other}"),
    }

    end_after_a_while(&kept, &listening).await;
    let replacements = usize::from(own_wins != own_dial_first);
    let goodbye = DownReason::Goodbye("enough".to_owned());
    assert_eq!(agent.until_down().await, (replacements, goodbye));

    // The refused one and this one: the link that lost was no attempt, and no success.
    assert_eq!(
        attempts_after_another(&agent, neighbor, &listening).await,
        2
    );
}

#[tokio::test]
async fn crossing_dials_leave_one_link_and_the_back_off_as_it_was() {
    let mut pair = [(); 2].map(|()| Identity::ephemeral().unwrap());
    pair.sort_by_key(Identity::id);
    let [lower, higher] = &pair;
    for own_dial_first in [true, false] {
        cross(lower, higher, own_dial_first).await;
        cross(higher, lower, own_dial_first).await;
    }
}

#[tokio::test]
async fn a_dial_that_loses_before_its_hello_is_no_attempt() {
    let mut pair = [(); 2].map(|()| Identity::ephemeral().unwrap());
    pair.sort_by_key(Identity::id);
    let [neighbor, own] = &pair;
    let mut agent = Acceptor::start_as(own, &[neighbor], 8, 100);
    let listening = listen(neighbor, agent.id);
    agent.dial(own, neighbor, listening.local_addr().unwrap().port());
    next_dial(&listening).await.refuse();
    let losing = next_dial(&listening).await.await.unwrap();
    let kept = agent.connect(neighbor).await.unwrap();
    let _greeting = greet(&kept, &introduce("neighbor")).await;
    assert!(matches!(agent.next_event().await, LinkEvent::Up { .. }));
    close(&losing, code::DUPLICATE, "duplicate link");

    end_after_a_while(&kept, &listening).await;
    // The refused one and this one: the link that lost was no attempt, and no success.
    assert_eq!(
        attempts_after_another(&agent, neighbor, &listening).await,
        2
    );
}
