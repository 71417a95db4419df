//! A session's task in virtual time: probes go in, and what shows is the paths that it sets.

use tokio::task::JoinHandle;

use super::*;
use crate::forward::Inbox;
use crate::tunnel::journal::Numbers;
use crate::tunnel::metrics::Metrics;
use crate::tunnel::session::endpoint::endpoint;
use crate::tunnel::socket::virtual_socket::VirtualSocket;
use crate::tunnel::testing::{PATIENCE, Session, View, full_window, session};

const MS: Duration = Duration::from_millis(1);
const EXIT: AgentId = AgentId([1; 16]);
const INGRESS: AgentId = AgentId([9; 16]);

struct World {
    _session: Session,
    task: JoinHandle<String>,
    asked: mpsc::Sender<Asked>,
    outlets: Arc<Outlets>,
    signals: Arc<Signals>,
    failovers: Failovers,
    rtt: Duration,
    sequence: u64,
    _view: watch::Sender<Arc<View>>,
}

impl World {
    /// A followed session with two ways; the clock stands still from here on but for waiting.
    async fn new() -> Self {
        let mut world = Self::with_one_way().await;
        world.probe(3, false, false).await;
        world
    }

    /// The same before the ingress has told of another way.
    async fn with_one_way() -> Self {
        let mut world = Self::unprobed().await;
        world.probe(2, true, false).await;
        world
    }

    /// The same before the first probe.
    async fn unprobed() -> Self {
        let session = session().await;
        tokio::time::pause();
        let timing = Timing::new(100 * MS);
        let (fib, _) = Fib::new(EXIT.short(), true);
        let outlets = Arc::new(Outlets::new(4, timing));
        let kind = PacketType::ToIngress;
        let inbox = Arc::new(Inbox::new(16));
        let socket = VirtualSocket::new(kind, fib.clone(), inbox, outlets.clone());
        let kicked = endpoint(socket.clone(), None).unwrap();
        let (view, watched) = watch::channel(Arc::new(View::of(EXIT, &[])));
        let (asked, receiver) = mpsc::channel(16);
        let signals = Arc::new(Signals::default());
        let failovers = Failovers::new(Metrics::default(), &Numbers::default());
        let task = tokio::spawn(follow(Following {
            ingress: INGRESS,
            connection: session.exit.clone(),
            key: Arc::new(ProbeKey::from_secret(&[5; 40])),
            signals: signals.clone(),
            asked: receiver,
            view: watched,
            fib: fib.clone(),
            outlets: outlets.clone(),
            prober: Prober::new(fib),
            kicker: Kicker::new(kicked, socket),
            failovers: failovers.clone(),
            timing,
        }));
        Self {
            rtt: session.exit.rtt(),
            _session: session,
            task,
            asked,
            outlets,
            signals,
            failovers,
            sequence: 0,
            _view: view,
        }
    }

    /// A probe arrives over that last hop.
    async fn probe(&mut self, hop: u64, active: bool, doubt: bool) {
        self.sequence += 1;
        let flags = Flags {
            active,
            doubt,
            signal: false,
            narrow: false,
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

    /// Packets leave until their answers are missed.
    async fn miss_packets(&self) {
        let begun = clock::now();
        while !self.mirrors() {
            assert!(clock::now() < begun + PATIENCE);
            self.flow().handle_sent(clock::now(), 1_400);
            tokio::time::sleep(MS).await;
        }
    }

    fn flow(&self) -> Arc<Flow> {
        self.outlets.flow(INGRESS.short()).unwrap()
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
async fn a_backup_is_remembered_that_is_heard_of_before_the_path_in_use() {
    let mut world = World::unprobed().await;
    world.probe(3, false, false).await;
    world.probe(2, true, false).await;
    world.miss_packets().await;
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
    // An ingress that does not heed us says so again later.
    world.miss_packets().await;
    tokio::time::sleep(world.rtt + CROSSING).await;
    world.probe(2, true, false).await;
    assert!(!world.mirrors());
    // One that heeds us says when the path is sound, be it at once.
    world.miss_packets().await;
    world.probe(3, false, true).await;
    world.probe(2, true, false).await;
    assert!(!world.mirrors());
    // What it said before it heard us says nothing.
    world.miss_packets().await;
    world.probe(2, true, false).await;
    assert!(world.mirrors());
}

#[tokio::test]
async fn a_probe_that_overtook_our_word_does_not_end_our_doubt() {
    let mut world = World::new().await;
    world.miss_packets().await;
    // The word is still on its way along a backup that is longer by far.
    tokio::time::sleep(world.rtt + 100 * MS).await;
    world.probe(2, true, false).await;
    assert!(world.mirrors());
}

#[tokio::test]
async fn a_lone_path_is_kicked_once_when_it_is_trusted_again() {
    let mut world = World::with_one_way().await;
    let full = full_window(&world.signals);
    world.probe(2, true, true).await;
    assert_eq!(full.window(), full.initial);
    world.probe(2, true, false).await;
    assert!(full.window() > full.initial, "a kick needs room");
    world.probe(2, true, false).await;
    assert_eq!(full.window(), full.initial);
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

/// Milliseconds of 20 s for which an exit mirrors whose doubt the ingress does not end, though the
/// path carries packets.
async fn mirrored_for_a_peer(that_doubts: bool) -> u32 {
    let mut world = World::new().await;
    world.miss_packets().await;
    let mut mirrored = 0;
    for _ in 0..1_000 {
        world.flow().handle_arrived(clock::now(), true);
        if that_doubts {
            world.probe(2, true, true).await;
        }
        tokio::time::sleep(20 * MS).await;
        mirrored += u32::from(world.mirrors());
    }
    mirrored * 20
}

#[tokio::test]
async fn a_peer_that_is_silent_about_a_sound_path_is_mirrored_for_a_while_only() {
    let mirrored = mirrored_for_a_peer(false).await;
    assert!(mirrored < 12_000, "mirrored for {mirrored} ms of 20,000");
}

#[tokio::test]
async fn a_peer_that_doubts_a_sound_path_that_we_doubted_is_mirrored_for_a_while_only() {
    let mirrored = mirrored_for_a_peer(true).await;
    assert!(mirrored < 12_000, "mirrored for {mirrored} ms of 20,000");
}

#[tokio::test]
async fn an_own_doubt_of_a_silent_path_costs_nothing() {
    let mut world = World::new().await;
    world.miss_packets().await;
    for _ in 0..100 {
        // What came along the other path proves nothing.
        world.flow().handle_arrived(clock::now(), false);
        tokio::time::sleep(200 * MS).await;
        assert!(world.mirrors());
    }
    world.probe(2, true, false).await;
    assert!(!world.mirrors());
}

#[tokio::test]
async fn who_moves_all_the_time_is_followed_and_recorded_for_a_while_only() {
    let mut world = World::new().await;
    for step in 1..=200 {
        world.probe(2 + step % 2, true, false).await;
        let ways = world.outlets.ways(INGRESS.short(), clock::now()).unwrap();
        assert_eq!(ways.active.first_hop(), ShortId(2 + step % 2));
    }
    let recorded = world.failovers.snapshot().len();
    assert!((40..=60).contains(&recorded), "{recorded} of 200 moves");
}
