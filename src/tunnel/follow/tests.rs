//! A session's task in virtual time: probes go in, and what shows is the paths that it sets.

use tokio::task::JoinHandle;

use super::super::endpoint::{SessionSettings, endpoint};
use super::super::virtual_socket::VirtualSocket;
use super::*;
use crate::forward::Inbox;
use crate::routing::{Avoid, Graph, Path, PathTable};
use crate::tunnel::journal::Numbers;
use crate::tunnel::metrics::Metrics;
use crate::tunnel::testing::{PATIENCE, Session, session};

const MS: Duration = Duration::from_millis(1);
const EXIT: AgentId = AgentId([1; 16]);
const INGRESS: AgentId = AgentId([9; 16]);

/// A mesh of which nothing is known.
struct View {
    table: PathTable,
}

impl MeshView for View {
    fn path_table(&self) -> &PathTable {
        &self.table
    }

    fn incarnation(&self, _exit: AgentId) -> Option<u64> {
        None
    }

    fn is_suspect(&self, _neighbor: AgentId) -> bool {
        false
    }

    fn session_settings(&self, _path: &Path) -> SessionSettings {
        unreachable!("an accepted session's task opens none")
    }
}

struct World {
    _session: Session,
    task: JoinHandle<String>,
    asked: mpsc::Sender<Asked>,
    outlets: Arc<Outlets>,
    rtt: Duration,
    sequence: u64,
    _view: watch::Sender<Arc<View>>,
}

impl World {
    /// A followed session with two ways; the clock stands still from here on but for waiting.
    async fn new() -> Self {
        let session = session().await;
        tokio::time::pause();
        let timing = Timing::new(100 * MS);
        let (fib, _) = Fib::new(EXIT.short(), true);
        let outlets = Arc::new(Outlets::new(4, timing));
        let kind = PacketType::ToIngress;
        let inbox = Arc::new(Inbox::new(16));
        let socket = VirtualSocket::new(kind, fib.clone(), inbox, outlets.clone());
        let kicked = endpoint(socket.clone(), None).unwrap();
        let graph = Arc::new(Graph::build(EXIT, std::iter::empty()));
        let (view, watched) = watch::channel(Arc::new(View {
            table: PathTable::build(graph, 8, Avoid::default()),
        }));
        let (asked, receiver) = mpsc::channel(16);
        let task = tokio::spawn(follow(Following {
            ingress: INGRESS,
            connection: session.exit.clone(),
            key: Arc::new(ProbeKey::from_secret(&[5; 40])),
            signals: Arc::default(),
            asked: receiver,
            view: watched,
            fib: fib.clone(),
            outlets: outlets.clone(),
            prober: Prober::new(fib),
            kicker: Kicker::new(kicked, socket),
            failovers: Failovers::new(Metrics::default(), &Numbers::default()),
            timing,
        }));
        let mut world = Self {
            rtt: session.exit.rtt(),
            _session: session,
            task,
            asked,
            outlets,
            sequence: 0,
            _view: view,
        };
        world.probe(2, true, false).await;
        world.probe(3, false, false).await;
        world
    }

    /// A probe arrives over that last hop.
    async fn probe(&mut self, hop: u64, active: bool, doubt: bool) {
        self.sequence += 1;
        let flags = Flags {
            active,
            doubt,
            signal: false,
        };
        let probe = Probe {
            tag: 0,
            sequence: self.sequence,
            flags,
        };
        let back = vec![ShortId(hop), INGRESS.short()];
        self.asked.send(Asked { probe, back }).await.unwrap();
        // A moment for the task.
        tokio::time::sleep(MS).await;
    }

    fn mirrors(&self) -> bool {
        let ways = self.outlets.ways(INGRESS.short(), clock::now());
        ways.is_some_and(|ways| ways.mirror.is_some())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn a_doubt_is_shared_until_it_is_taken_back() {
    let mut world = World::new().await;
    assert!(!world.mirrors());
    world.probe(3, false, true).await;
    assert!(world.mirrors());
    world.probe(3, false, false).await;
    assert!(world.mirrors(), "the backup does not speak for the path");
    world.probe(2, true, false).await;
    assert!(!world.mirrors());
}

#[tokio::test]
async fn a_probe_that_crossed_our_word_does_not_end_our_doubt() {
    let mut world = World::new().await;
    let flow = world.outlets.flow(INGRESS.short()).unwrap();
    // Packets leave until they are missed.
    let doubts = async |world: &World| {
        let begun = clock::now();
        while !world.mirrors() {
            assert!(clock::now() < begun + PATIENCE);
            flow.handle_sent(clock::now(), 1_400);
            tokio::time::sleep(MS).await;
        }
    };
    // An ingress that does not heed us says so again later.
    doubts(&world).await;
    tokio::time::sleep(world.rtt + CROSSING).await;
    world.probe(2, true, false).await;
    assert!(!world.mirrors());
    // One that heeds us says when the path is sound, be it at once.
    doubts(&world).await;
    world.probe(3, false, true).await;
    world.probe(2, true, false).await;
    assert!(!world.mirrors());
    // What it said before it heard us says nothing.
    doubts(&world).await;
    world.probe(2, true, false).await;
    assert!(world.mirrors());
}

#[tokio::test]
async fn who_doubts_all_the_time_is_heeded_for_a_while_only() {
    let mut world = World::new().await;
    let mut mirrored = 0;
    for step in 0..1_000_u32 {
        world.probe(3, false, true).await;
        tokio::time::sleep(19 * MS).await;
        mirrored += u32::from(world.mirrors());
        assert!(step > 400 || world.mirrors(), "step {step}");
    }
    assert!(
        mirrored < 600,
        "mirrored for {} ms of 20,000",
        mirrored * 20
    );
}

#[tokio::test]
async fn who_moves_all_the_time_is_followed() {
    let mut world = World::new().await;
    for step in 0..200 {
        world.probe(2 + step % 2, true, false).await;
        let ways = world.outlets.ways(INGRESS.short(), clock::now()).unwrap();
        assert_eq!(ways.active.first_hop(), ShortId(2 + step % 2));
    }
}
