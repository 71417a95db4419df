//! What tests of layers 5 and 6 share: a real QUIC session over loopback, TCP pairs, and meshes to see.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use quinn::congestion::{Controller, ControllerFactory as _};
use quinn::{Connection, Endpoint};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{ExitStream, OpenError, OpenStream, SessionStreams};
use crate::clock;
use crate::config::Congestion;
use crate::identity::AgentId;
use crate::routing::fixture::stamp;
use crate::routing::{Avoid, Graph, Mesh, PathTable};
use crate::tunnel::session::congestion::{Factory, Signals};
use crate::wire::{LinkAdv, LinkFlags, Neighbor};

/// Long enough for a loaded machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What one end of a session holds unread at most, bytes.
const WINDOW: u64 = 256 * 1024 * 1024;

/// A session between an ingress and an exit. Ends when dropped.
pub(crate) struct Session {
    pub(crate) ingress: Connection,
    pub(crate) exit: Connection,
    window: u64,
    opening: OnceLock<SessionStreams>,
    accepting: OnceLock<SessionStreams>,
    _endpoints: [Endpoint; 2],
}

impl Session {
    /// Both ends say that they hold so many bytes unread at most.
    pub(crate) fn within(self, window: u64) -> Self {
        Self { window, ..self }
    }

    /// The ingress's streams, with notes.
    pub(crate) fn opening(&self) -> &SessionStreams {
        let streams = || SessionStreams::new(self.ingress.clone(), self.window);
        self.opening.get_or_init(streams)
    }

    /// The exit's, if nobody serves them.
    pub(crate) fn accepting(&self) -> &SessionStreams {
        let streams = || SessionStreams::new(self.exit.clone(), self.window);
        self.accepting.get_or_init(streams)
    }
}

/// What two ends connect with that trust each other, by the name `exit.test`.
pub(crate) fn configs(
    transport: Arc<quinn::TransportConfig>,
) -> (quinn::ServerConfig, quinn::ClientConfig) {
    let issued = rcgen::generate_simple_self_signed(vec!["exit.test".to_owned()]).unwrap();
    let certificate = issued.cert.der().clone();
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der());
    let mut server =
        quinn::ServerConfig::with_single_cert(vec![certificate.clone()], key.into()).unwrap();
    server.transport_config(transport.clone());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut client = quinn::ClientConfig::with_root_certificates(Arc::new(roots)).unwrap();
    client.transport_config(transport);
    (server, client)
}

/// Connects two endpoints on loopback.
pub(crate) async fn session() -> Session {
    session_with(quinn::TransportConfig::default()).await
}

/// The same with settings of its own.
pub(crate) async fn session_with(mut transport: quinn::TransportConfig) -> Session {
    transport.max_concurrent_bidi_streams(10_000_u32.into());
    connected(transport).await
}

/// The same, with room for so many streams at first.
pub(crate) async fn session_for(streams: u32) -> Session {
    let mut transport = quinn::TransportConfig::default();
    transport.max_concurrent_bidi_streams(streams.into());
    connected(transport).await
}

async fn connected(mut transport: quinn::TransportConfig) -> Session {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    transport.stream_receive_window((256_u32 * 1024).into());
    let (server, client) = configs(Arc::new(transport));
    let accepting = Endpoint::server(server, loopback).unwrap();
    let dialling = Endpoint::client(loopback).unwrap();
    let address = accepting.local_addr().unwrap();
    let connecting = dialling.connect_with(client, address, "exit.test").unwrap();
    let accepted = async { accepting.accept().await.unwrap().await.unwrap() };
    let (ingress, exit) = tokio::join!(connecting, accepted);
    Session {
        ingress: ingress.unwrap(),
        exit,
        window: WINDOW,
        opening: OnceLock::new(),
        accepting: OnceLock::new(),
        _endpoints: [accepting, dialling],
    }
}

/// A TCP connection's two ends.
pub(crate) async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (near, far) = tokio::join!(
        TcpStream::connect(listener.local_addr().unwrap()),
        listener.accept()
    );
    (near.unwrap(), far.unwrap().0)
}

/// Opens streams over the sessions it was given; exits without one have no path.
#[derive(Default)]
pub(crate) struct Sessions {
    pub(crate) live: HashMap<AgentId, SessionStreams>,
    /// Exits whose sessions never come up.
    pub(crate) silent: Vec<AgentId>,
    /// Exits to which no path is left.
    pub(crate) lost: watch::Sender<Vec<AgentId>>,
    /// Every exit asked for, in order.
    pub(crate) asked: watch::Sender<Vec<AgentId>>,
}

impl OpenStream for Arc<Sessions> {
    async fn open(&self, exit: AgentId) -> Result<ExitStream, OpenError> {
        self.asked.send_modify(|asked| asked.push(exit));
        if self.silent.contains(&exit) {
            std::future::pending::<()>().await;
        }
        let session = self.live.get(&exit).ok_or(OpenError::NoPath(exit))?;
        let opened = session.open().await;
        opened.map_err(|source| OpenError::Session { exit, source })
    }

    async fn lost(&self, exit: AgentId) {
        let mut lost = self.lost.subscribe();
        drop(lost.wait_for(|lost| lost.contains(&exit)).await);
    }
}

/// `own`'s view of a mesh with links between two agents, each with a cost. Every link is heard.
pub(crate) fn mesh_of(own: AgentId, links: &[(AgentId, AgentId, u32)]) -> Mesh {
    let claims = links
        .iter()
        .flat_map(|&(a, b, cost)| [(a, b), (b, a)].map(|ends| (ends, cost)));
    mesh_as_told(own, claims.map(|((from, to), cost)| (from, to, cost, 0)))
}

/// `own`'s view of a mesh in which each agent said that of its link to another: cost and MTU.
pub(crate) fn mesh_as_told(
    own: AgentId,
    claims: impl IntoIterator<Item = (AgentId, AgentId, u32, u16)>,
) -> Mesh {
    let mut advs: BTreeMap<AgentId, LinkAdv> = BTreeMap::new();
    for (from, to, cost, mtu) in claims {
        let adv = advs.entry(from).or_insert_with(|| link_adv(from));
        adv.neighbors.push(Neighbor {
            id: to,
            cost,
            rtt_class: 0,
            mtu,
        });
    }
    let graph = Arc::new(Graph::build(own, advs.values()));
    Mesh::of(PathTable::build(graph, 8, Avoid::default()))
}

/// Meshes that differ in one thing.
pub(crate) trait Differing: Sized {
    /// The same, with the link to that neighbour suspect and last heard then.
    fn suspecting(self, neighbor: AgentId, heard: Instant) -> Self;

    /// The same, whose agents all have that process.
    fn of_process(self, incarnation: u64) -> Self;
}

impl Differing for Mesh {
    fn suspecting(mut self, neighbor: AgentId, heard: Instant) -> Self {
        self.suspects.insert(neighbor, Some(heard));
        self
    }

    fn of_process(mut self, incarnation: u64) -> Self {
        let agents = self.path_table().graph().agents().iter();
        self.incarnations = agents.map(|agent| (agent.id, incarnation)).collect();
        self
    }
}

fn link_adv(origin: AgentId) -> LinkAdv {
    LinkAdv {
        stamp: stamp(origin),
        flags: LinkFlags::default(),
        neighbors: Vec::new(),
        display_name: String::new(),
        features: None,
    }
}

/// A congestion window of which everything is in flight.
pub(crate) struct FullWindow {
    controller: Box<dyn Controller>,
    /// Without room for a kick, bytes.
    pub(crate) initial: u64,
}

impl FullWindow {
    pub(crate) fn window(&self) -> u64 {
        self.controller.window()
    }
}

/// The window of a session with these signals.
pub(super) fn full_window(signals: &Arc<Signals>) -> FullWindow {
    let mut controller = Factory::new(Congestion::Bbr, signals.clone()).build(clock::now(), 1_200);
    let initial = controller.window();
    controller.on_sent(clock::now(), initial, 1);
    FullWindow {
        controller,
        initial,
    }
}
