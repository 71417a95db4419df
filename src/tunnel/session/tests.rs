//! The tasks of sessions, over a real connection and sockets in the place of transits: what path
//! control wants is done.

use std::future::Future;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, watch};

use super::congestion::Signals;
use super::endpoint::endpoint;
use super::follow::follow;
use super::hands::Established;
use super::kick::Kicker;
use super::steer::steer;
use crate::clock;
use crate::config::{Congestion, Limits};
use crate::forward::{Adjacency, Fib, Inbox, Port, Remote};
use crate::identity::{AgentId, ShortId};
use crate::record::{SessionLog, Side};
use crate::routing::Mesh;
use crate::tunnel::context::Context;
use crate::tunnel::path::probe::{Flags, Probe, ProbeKey};
use crate::tunnel::path::{Asked, SessionInfo, Timing, Way};
use crate::tunnel::sizes::Sizes;
use crate::tunnel::socket::outlets::Outlets;
use crate::tunnel::socket::prober::Prober;
use crate::tunnel::socket::virtual_socket::VirtualSocket;
use crate::tunnel::testing::{PATIENCE, Session, full_window, mesh_of, session};
use crate::wire::packet::{Header, PacketType};

const MS: Duration = Duration::from_millis(1);
const OWN: AgentId = AgentId([1; 16]);
const TRANSIT: AgentId = AgentId([2; 16]);
const PEER: AgentId = AgentId([9; 16]);

struct World {
    session: Session,
    context: Arc<Context>,
    socket: Arc<VirtualSocket>,
    outlets: Arc<Outlets>,
    /// In the place of the transit.
    transit: UdpSocket,
    _view: watch::Sender<Arc<Mesh>>,
}

impl World {
    async fn new(side: Side, view: Mesh) -> Self {
        let session = session().await;
        let port = Port::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        // A new socket's first send would find its readiness unknown.
        port.writable().await.unwrap();
        let transit = UdpSocket::bind("127.0.0.1:0").unwrap();
        transit.set_nonblocking(true).unwrap();
        let (fib, _) = Fib::new(OWN.short(), true);
        let remote = Remote {
            address: transit.local_addr().unwrap(),
            source: None,
        };
        fib.insert(Adjacency::new(TRANSIT, port, remote, 7));
        let (view, watched) = watch::channel(Arc::new(view));
        let outlets = Arc::new(Outlets::new(4));
        let kind = match side {
            Side::Ingress => PacketType::ToExit,
            Side::Exit => PacketType::ToIngress,
        };
        let inbox = Arc::new(Inbox::new(16));
        let socket = VirtualSocket::new(kind, fib.clone(), inbox, outlets.clone());
        let context = Arc::new(Context {
            prober: Prober::new(fib.clone()),
            fib,
            limits: Limits::default(),
            sizes: Sizes::new(8, &Limits::default(), Congestion::Bbr),
            view: watched,
            path_errors: broadcast::channel(4).0,
            failed_paths: mpsc::channel(4).0,
            log: SessionLog::default(),
            timing: Timing::new(100 * MS),
        });
        Self {
            session,
            context,
            socket,
            outlets,
            transit,
            _view: view,
        }
    }

    fn established(&self, side: Side) -> Established {
        let kicked = endpoint(self.socket.clone(), None).unwrap();
        Established {
            context: self.context.clone(),
            side,
            peer: PEER,
            connection: match side {
                Side::Ingress => self.session.ingress.clone(),
                Side::Exit => self.session.exit.clone(),
            },
            key: Arc::new(ProbeKey::from_secret(&[5; 40])),
            signals: Arc::default(),
            outlets: self.outlets.clone(),
            _hold: self.outlets.hold(PEER.short()),
            kicker: Kicker::new(kicked, self.socket.clone()),
        }
    }

    /// Steers a session over the transit.
    fn steered(
        &self,
    ) -> (
        watch::Receiver<SessionInfo>,
        impl Future<Output = ()> + use<>,
    ) {
        let path = self.context.view.borrow().path_table().best(PEER).unwrap();
        let session = self.established(Side::Ingress);
        session.route(&Way::of(&path, 0), None);
        let (info, shown) = watch::channel(SessionInfo::new(PEER, path));
        (shown, steer(session, (None, 1_200), info, || ()))
    }

    /// Waits for a probe at the transit; its flags and length.
    async fn probe(&self) -> (Flags, usize) {
        let begun = clock::now();
        let mut bytes = [0; 2_000];
        loop {
            assert!(clock::now() < begun + PATIENCE, "no probe");
            if let Ok(length) = self.transit.recv(&mut bytes) {
                let header = Header::parse(&bytes[..length]).unwrap();
                let payload = &bytes[header.header_len()..length];
                return (Probe::parse(payload).unwrap().flags, payload.len());
            }
            tokio::time::sleep(MS).await;
        }
    }
}

fn mesh() -> Mesh {
    mesh_of(OWN, &[(OWN, TRANSIT, 1), (TRANSIT, PEER, 1)])
}

#[tokio::test]
async fn a_steered_session_is_probed_and_published() {
    let world = World::new(Side::Ingress, mesh()).await;
    let (mut info, steered) = world.steered();
    let task = tokio::spawn(steered);
    let (flags, length) = world.probe().await;
    assert!(flags.active && length >= 1_190);
    info.changed().await.unwrap();
    // Nobody answers: it is doubted, and the exit is told.
    info.wait_for(|info| info.suspect).await.unwrap();
    while !world.probe().await.0.doubt {}
    assert!(!task.is_finished());
    task.abort();
}

#[tokio::test]
async fn a_session_that_nobody_steers_any_more_ends() {
    let world = World::new(Side::Ingress, mesh()).await;
    let session = world.established(Side::Ingress);
    tokio::time::pause();
    let broken = async { panic!("a defect, as the test wants it") };
    session.attend(broken, || {}).await;
    let reason = world.session.ingress.close_reason();
    assert!(reason.is_some(), "no connection outlives its steering");
}

#[tokio::test]
async fn a_followed_session_answers_where_the_probe_came_from_and_is_kicked_with_room() {
    let world = World::new(Side::Exit, mesh_of(OWN, &[])).await;
    let session = world.established(Side::Exit);
    let signals: Arc<Signals> = session.signals.clone();
    let (asked, receiver) = mpsc::channel(16);
    let task = tokio::spawn(follow(Arc::new(session), receiver));
    let probe = |sequence, hop, doubt| Asked {
        probe: Probe {
            tag: 0,
            sequence,
            flags: Flags {
                active: hop == 2,
                doubt,
                ..Flags::default()
            },
        },
        back: vec![ShortId(hop), PEER.short()],
    };
    let full = full_window(&signals);
    // The backup's comes first.
    for asked_for in [probe(1, 3, false), probe(2, 2, false), probe(3, 3, true)] {
        asked.send(asked_for).await.unwrap();
    }
    let begun = clock::now();
    let mirror = || {
        let ways = world.outlets.ways(PEER.short(), None, clock::now())?;
        Some((ways.active.first_hop(), ways.mirror?.first_hop()))
    };
    while mirror() != Some((ShortId(2), ShortId(3))) || full.window() == full.initial {
        assert!(clock::now() < begun + PATIENCE, "{:?}", mirror());
        tokio::time::sleep(MS).await;
    }
    task.abort();
}
