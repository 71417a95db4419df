//! A session's task by hand, in virtual time: its probes leave for sockets in the place of transits,
//! and the test says which of them are answered.

use std::net::UdpSocket;
use std::time::Duration;

use super::*;
use crate::forward::{Adjacency, Fib, Inbox, Port, Remote};
use crate::routing::Avoid;
use crate::tunnel::path::probe::Probe;
use crate::tunnel::path::timing::Timing;
use crate::tunnel::session::log::SessionLog;
use crate::tunnel::session::open::Parts;
use crate::tunnel::socket::outlet::Outlets;
use crate::tunnel::socket::prober::Prober;
use crate::tunnel::socket::virtual_socket::VirtualSocket;
use crate::tunnel::testing::{FullWindow, Session, View, full_window, session};
use crate::tunnel::{Failovers, Metrics, Numbers};
use crate::wire::packet::{Header, PacketType};

const MS: Duration = Duration::from_millis(1);
const OWN: AgentId = AgentId([1; 16]);
const EXIT: AgentId = AgentId([9; 16]);

/// The first of them leads to the exit at the least cost.
const TRANSITS: [AgentId; 2] = [AgentId([2; 16]), AgentId([3; 16])];

struct World {
    task: Task<View>,
    /// In the place of the transits, in their order.
    sockets: Vec<UdpSocket>,
    /// Of the session: kicks show in it.
    full: FullWindow,
    _session: Session,
    _view: watch::Sender<Arc<View>>,
    failed_paths: mpsc::Receiver<Avoid>,
}

/// A probe that left.
struct Left {
    /// Index of the transit that it left for.
    transit: usize,
    sequence: u64,
    full: bool,
    /// It says that packets pass only in halves.
    narrow: bool,
}

impl World {
    /// A session that settled on the first of so many paths; the clock stands still from here on but
    /// for [`pass`](Self::pass).
    async fn new(paths: usize) -> Self {
        let mut world = Self::unanswered(paths).await;
        world.answer(|_| true);
        assert_eq!(world.first_hop(), TRANSITS[0]);
        world
    }

    /// The same before the first probes are answered.
    async fn unanswered(paths: usize) -> Self {
        let session = session().await;
        let port = Port::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        // A new socket's first send would find its readiness unknown.
        port.writable().await.unwrap();
        tokio::time::pause();
        let (fib, _) = Fib::new(OWN.short(), true);
        let transits = &TRANSITS[..paths];
        let socket = |transit: &AgentId| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            let remote = Remote {
                address: socket.local_addr().unwrap(),
                source: None,
            };
            fib.insert(Adjacency::new(*transit, port.clone(), remote, 7));
            socket
        };
        let sockets = transits.iter().map(socket).collect();
        let links: Vec<_> = (1..)
            .zip(transits)
            .flat_map(|(cost, &transit)| [(OWN, transit, cost), (transit, EXIT, cost)])
            .collect();
        let (view, watched) = watch::channel(Arc::new(View::of(OWN, &links)));
        let (failed_paths, failed) = mpsc::channel(4);
        let sessions = sessions(fib, watched, failed_paths);
        let steering = steering(&sessions, &session);
        let mut world = Self {
            full: full_window(&steering.signals),
            task: Task::new(sessions, steering),
            sockets,
            _session: session,
            _view: view,
            failed_paths: failed,
        };
        assert_eq!(world.task.handle_view(), None);
        world.task.turn(clock::now());
        world
    }

    /// Time passes; the probes that left meanwhile are answered if `answered` says so.
    async fn pass(&mut self, time: Duration, answered: impl Fn(&Left) -> bool) {
        tokio::time::advance(time).await;
        self.task.turn(clock::now());
        self.answer(answered);
    }

    fn answer(&mut self, answered: impl Fn(&Left) -> bool) {
        let left = self.left();
        for probe in left.iter().filter(|probe| answered(probe)) {
            self.task.handle_answer(&Answer::Reply(probe.sequence));
        }
        self.task.turn(clock::now());
    }

    /// The probes that left since the last call.
    fn left(&self) -> Vec<Left> {
        let mut left = Vec::new();
        for (transit, socket) in self.sockets.iter().enumerate() {
            let mut bytes = [0; 2_000];
            while let Ok(length) = socket.recv(&mut bytes) {
                let header = Header::parse(&bytes[..length]).unwrap();
                assert_eq!(header.packet_type(), PacketType::Probe);
                let payload = &bytes[header.header_len()..length];
                let probe = Probe::parse(payload).unwrap();
                left.push(Left {
                    transit,
                    sequence: probe.sequence,
                    narrow: probe.flags.narrow,
                    full: payload.len() >= 1_200,
                });
            }
        }
        left
    }

    fn first_hop(&self) -> AgentId {
        self.task.choice.active().unwrap().first_hop()
    }

    fn mirrors(&self) -> bool {
        self.task.choice.mirror().is_some()
    }
}

fn sessions(
    fib: Arc<Fib>,
    view: watch::Receiver<Arc<View>>,
    failed_paths: mpsc::Sender<Avoid>,
) -> Arc<Sessions<View>> {
    let timing = Timing::new(100 * MS);
    let (metrics, numbers) = (Metrics::default(), Numbers::default());
    let outlets = Arc::new(Outlets::new(0, timing));
    let inbox = Arc::new(Inbox::new(16));
    let parts = Parts {
        socket: VirtualSocket::new(PacketType::ToExit, fib.clone(), inbox, outlets.clone()),
        outlets,
        prober: Prober::new(fib.clone()),
        fib,
        view,
        path_errors: broadcast::channel(4).0,
        crypto: Box::new(|exit| Err(format!("{exit} is not asked for"))),
        handshake_timeout: Duration::from_secs(1),
        log: SessionLog::new(metrics.clone(), &numbers),
        failovers: Failovers::new(metrics, &numbers),
        failed_paths,
        timing,
    };
    Sessions::new(parts).unwrap()
}

fn steering(sessions: &Sessions<View>, session: &Session) -> Steering {
    let path = sessions.view.borrow().path_table().best(EXIT).unwrap();
    let hold = sessions.outlets.hold(EXIT.short());
    sessions.route(EXIT, (&path, 0), None);
    let info = SessionInfo {
        exit: EXIT,
        path,
        alternate: None,
        rtt: None,
        suspect: false,
        mirroring: false,
        probes_lost: 0,
    };
    Steering {
        exit: EXIT,
        incarnation: None,
        connection: session.ingress.clone(),
        key: Arc::new(ProbeKey::from_secret(&[5; 40])),
        packet: 1_200,
        signals: Arc::default(),
        flow: sessions.outlets.flow(EXIT.short()).unwrap(),
        hold,
        info: watch::channel(info).0,
    }
}

/// What the first transit says if it cannot forward to the exit.
fn cannot_forward() -> PathError {
    PathError {
        reporter: TRANSITS[0],
        next_hop: EXIT.short(),
        destination: EXIT.short(),
        back: Vec::new(),
    }
}

#[tokio::test]
async fn a_session_is_not_kicked_on_its_first_path() {
    let world = World::unanswered(2).await;
    assert_eq!(world.full.window(), world.full.initial);
}

#[tokio::test]
async fn a_path_error_is_blamed_on_the_link_that_it_names_and_on_no_agent() {
    let mut world = World::new(2).await;
    let begun = clock::now();
    world.task.handle_path_error(TRANSITS[0], &cannot_forward());
    while world.first_hop() == TRANSITS[0] {
        assert!(clock::now() < begun + 200 * MS, "still there");
        world.pass(10 * MS, |probe| probe.transit == 1).await;
    }
    let blamed = world.failed_paths.try_recv().unwrap();
    assert_eq!(blamed, Avoid::reported(TRANSITS[0], EXIT));
}

#[tokio::test]
async fn a_path_that_passes_short_packets_only_is_left_whatever_transits_say() {
    let mut world = World::new(2).await;
    let begun = clock::now();
    while world.first_hop() == TRANSITS[0] {
        world.task.handle_path_error(TRANSITS[0], &cannot_forward());
        world
            .pass(10 * MS, |probe| probe.transit == 1 || !probe.full)
            .await;
        let moved = world.first_hop() != TRANSITS[0];
        let age = clock::now() - begun;
        assert!(moved || world.mirrors(), "trusted after {age:?}");
        assert!(age < Duration::from_secs(1), "still there");
    }
}

#[tokio::test]
async fn a_lone_path_that_passes_short_packets_only_takes_them_in_halves_until_it_is_wide() {
    let mut world = World::new(1).await;
    let begun = clock::now();
    let said = std::cell::Cell::new(false);
    let passes = |probe: &Left| {
        said.set(said.get() || probe.narrow);
        !probe.full
    };
    while world.task.narrow.is_none() {
        assert!(clock::now() < begun + Duration::from_secs(1), "not found");
        world.pass(10 * MS, passes).await;
    }
    for _ in 0..50 {
        world.pass(20 * MS, passes).await;
    }
    assert!(said.get(), "the exit must answer in halves, too");
    assert_eq!(world.task.doubt.since(), None, "it carries");
    assert!(world.task.narrow.is_some());
    let grown = clock::now();
    while world.task.narrow.is_some() {
        assert!(
            clock::now() < grown + Duration::from_secs(3),
            "narrow for ever"
        );
        world.pass(20 * MS, |_| true).await;
    }
    said.set(false);
    for _ in 0..50 {
        world
            .pass(20 * MS, |probe| {
                passes(probe);
                true
            })
            .await;
    }
    assert!(!said.get());
}

#[tokio::test]
async fn a_lone_path_is_kicked_once_when_it_is_trusted_again() {
    let mut world = World::new(1).await;
    world.task.sign(clock::now(), Reason::Unanswered);
    for _ in 0..50 {
        world.pass(20 * MS, |_| false).await;
        assert!(world.task.doubt.since().is_some());
        assert_eq!(world.full.window(), world.full.initial);
    }
    while world.task.doubt.since().is_some() {
        world.pass(20 * MS, |_| true).await;
    }
    assert!(
        world.full.window() > world.full.initial,
        "a kick needs room"
    );
    world.pass(20 * MS, |_| true).await;
    assert_eq!(world.full.window(), world.full.initial);
}

#[tokio::test]
async fn a_session_that_nobody_steers_any_more_ends() {
    let world = World::new(1).await;
    let links = [(OWN, TRANSITS[0], 1), (TRANSITS[0], EXIT, 1)];
    let broken = View::of(OWN, &links).broken();
    let (_view, watched) = watch::channel(Arc::new(broken));
    let sessions = sessions(world.task.sessions.fib.clone(), watched, mpsc::channel(4).0);
    let session = session().await;
    let steering = steering(&sessions, &session);
    steer(sessions, steering).await;
    let reason = session.ingress.close_reason();
    assert!(reason.is_some(), "no connection outlives its steering");
    // The other one goes on.
    assert_eq!(world.task.steering.connection.close_reason(), None);
}
