//! Two agents dial each other at the same time. The neighbour is played, so that the two links come
//! in either order.

use super::ending::code;
use super::transport::{End, Visitor};
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

async fn next_dial(listening: &LinkEndpoint) -> Visitor {
    timeout(SOON, listening.accept()).await.unwrap().unwrap()
}

impl Acceptor {
    /// Where this agent can dial `neighbor`, which is played.
    fn listen_as(&mut self, neighbor: &Identity) -> (u16, LinkEndpoint) {
        let (fib, _reports) = Fib::new(neighbor.id().short(), true);
        let pinned = BTreeSet::from([self.id]);
        let (address, listening) = listen(neighbor, pinned, fib, &mut self.tasks);
        (address.port(), listening)
    }

    /// Dials `neighbor` for ever, a millisecond after each failure.
    fn dial(&mut self, own: &Identity, neighbor: &Identity, port: u16) {
        let trust = Trust::mesh(None, [], BTreeSet::from([neighbor.id()])).unwrap();
        let host = "neighbor".to_owned();
        let target = DialTarget {
            replaces: false,
            wanted: Arc::new(true.into()),
            id: neighbor.id(),
            address: HostPort { host, port },
            cost: 1,
            tls: link_client(own, Arc::new(trust), neighbor.id()).unwrap(),
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
async fn end_after_a_while(kept: &Connection, listening: &LinkEndpoint) {
    for _ in 0..A_WHILE {
        tokio::select! {
            biased;
            _ = listening.accept() => panic!("dialled beside a live link"),
            beat = kept.heartbeat() => drop(beat.expect("it is kept")),
        }
    }
    kept.close(code::GOODBYE, "enough");
}

/// Refuses the next dial; the attempts that the agent has counted then.
async fn attempts_after_another(
    agent: &Acceptor,
    neighbor: &Identity,
    listening: &LinkEndpoint,
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
    let (port, listening) = agent.listen_as(neighbor);
    agent.dial(own, neighbor, port);
    next_dial(&listening).await.refuse();
    let own_dial = next_dial(&listening).await.shake_hands().await.unwrap();
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
        End::Closed { code, .. } => assert_eq!(code, u64::from(code::DUPLICATE)),
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
    let (port, listening) = agent.listen_as(neighbor);
    agent.dial(own, neighbor, port);
    next_dial(&listening).await.refuse();
    let losing = next_dial(&listening).await.shake_hands().await.unwrap();
    let kept = agent.connect(neighbor).await.unwrap();
    let _greeting = greet(&kept, &introduce("neighbor")).await;
    assert!(matches!(agent.next_event().await, LinkEvent::Up { .. }));
    losing.close(code::DUPLICATE, "duplicate link");

    end_after_a_while(&kept, &listening).await;
    // The refused one and this one: the link that lost was no attempt, and no success.
    assert_eq!(
        attempts_after_another(&agent, neighbor, &listening).await,
        2
    );
}
