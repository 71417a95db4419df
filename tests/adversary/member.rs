//! One hostile member: a certificate of the mesh's CA, one link to a real agent, and free speech.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use quinn::{Connection, Endpoint};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use warren::clock::{unix_ms, unix_now};
use warren::identity::{AgentId, Authority, Grants, Identity, Trust, Validity, tunnel_client};
use warren::wire::{
    Advertisement, CertificateBytes, ControlMessage, Envelope, Flood, Hello, LinkAdv, LinkFlags,
    Neighbor, RouteAdv, RoutePrefix, SignedAdv, Stamp, encode_frame,
};

use crate::link::{Heard, endpoint, greet, greet_as, hello, link, try_dial};
use crate::session::Session;
use crate::support::Mesh;
use crate::wire::{self, Port};

/// What it says of its links and routes is valid for so long.
const LIFETIME_MS: u64 = 300_000;

/// Packet type of docs/wire-format.md.
const TO_EXIT: u8 = 0x01;

/// A liar with a good certificate.
pub(crate) struct Member {
    identity: Identity,
    neighbor: AgentId,
    epoch: u64,
    sequence: AtomicU64,
    connection: Connection,
    /// Bytes for the control stream.
    control: mpsc::Sender<Vec<u8>>,
    /// What its packets must begin with to be taken for its own.
    token: u64,
    packets: UdpSocket,
    port: Arc<Port>,
    /// Where its sessions are.
    sessions: OnceLock<(Endpoint, Arc<wire::Session>)>,
    heard: Heard,
    /// What reads its control stream.
    ears: AbortHandle,
    ca: PathBuf,
    address: SocketAddr,
    /// Drives the connection.
    runtime: Runtime,
}

impl Member {
    /// Joins the mesh as a neighbour of `neighbor`, with these grants (`None`: unrestricted), and
    /// tells its link.
    pub(crate) fn join(mesh: &Mesh, neighbor: &str, grants: Option<&Grants>) -> Self {
        Self::join_as(mesh, neighbor, identity(mesh.dir(), grants))
    }

    /// The same as who has that key and certificate.
    pub(crate) fn join_as(mesh: &Mesh, neighbor: &str, identity: Identity) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("the host has a thread left");
        let (address, id) = (mesh.link(neighbor), mesh.id(neighbor));
        let id: AgentId = id.parse().expect("the mesh has agent ids");
        let port = runtime.block_on(async { Port::bind() });
        let port = port.expect("a free port");
        let linked = runtime.block_on(link(&identity, mesh.dir(), address, id, port.clone()));
        let member = Self {
            identity,
            neighbor: id,
            epoch: unix_ms(),
            sequence: AtomicU64::new(1),
            connection: linked.connection,
            control: linked.control,
            token: linked.token,
            packets: packets(address),
            port,
            sessions: OnceLock::new(),
            heard: linked.heard,
            ears: linked.ears,
            ca: mesh.dir().to_owned(),
            address,
            runtime,
        };
        member.say([member.link_adv()]);
        member
    }

    /// Why `neighbor` refuses a link with this identity; `None`: it greets it.
    pub(crate) fn knock(mesh: &Mesh, neighbor: &str, identity: &Identity) -> Option<String> {
        Self::knock_at(&Door::of(mesh, neighbor), identity, unix_ms(), None)
    }

    /// The same, of that epoch and at that time.
    pub(crate) fn knock_at(
        door: &Door,
        identity: &Identity,
        epoch: u64,
        time_ms: Option<u64>,
    ) -> Option<String> {
        alone().block_on(async {
            let connection = knocking(door, identity).await.ok()?;
            let hello = Hello {
                epoch,
                time_ms,
                ..hello()
            };
            let greeted = greet_as(hello, &connection, Heard::default()).await;
            let (mut token, _control, _ears) = match greeted {
                Some(greeted) => greeted,
                None => return Some(connection.closed().await.to_string()),
            };
            tokio::select! {
                greeted = token.wait_for(|token| *token != 0) => match greeted {
                    Ok(_) => None,
                    Err(_) => Some(connection.closed().await.to_string()),
                },
                closed = connection.closed() => Some(closed.to_string()),
            }
        })
    }

    /// Shakes hands with `neighbor`, does something else, and says hello then: why the link ends, and
    /// how long after the hello.
    pub(crate) fn knock_late(
        mesh: &Mesh,
        neighbor: &str,
        identity: &Identity,
        meanwhile: impl FnOnce(),
    ) -> (String, Duration) {
        alone().block_on(async {
            let connection = knocking(&Door::of(mesh, neighbor), identity).await;
            let connection = connection.expect("a good certificate");
            meanwhile();
            let start = Instant::now();
            let _greeted = greet(&connection, Heard::default()).await;
            (connection.closed().await.to_string(), start.elapsed())
        })
    }

    pub(crate) fn id(&self) -> AgentId {
        self.identity.id()
    }

    /// Whether the neighbour still has a link with it.
    pub(crate) fn is_linked(&self) -> bool {
        self.connection.close_reason().is_none()
    }

    /// The next stamp of its own.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp {
            origin: self.id(),
            certificate_hash: *self.certificate().hash(),
            epoch: self.epoch,
            sequence: self.sequence.fetch_add(1, Ordering::Relaxed),
            issued_at_ms: unix_ms(),
            lifetime_ms: LIFETIME_MS,
            max_hops: 8,
            incarnation: self.epoch,
            answers: 0,
        }
    }

    /// One link, to its neighbour.
    pub(crate) fn link_adv(&self) -> Advertisement {
        self.link_adv_at(self.stamp())
    }

    /// The same under that stamp.
    pub(crate) fn link_adv_at(&self, stamp: Stamp) -> Advertisement {
        Advertisement::Link(LinkAdv {
            stamp,
            flags: LinkFlags::default(),
            neighbors: vec![Neighbor {
                id: self.neighbor,
                cost: 1,
                rtt_class: 1,
                mtu: 1_400,
            }],
            display_name: "liar".to_owned(),
            features: None,
        })
    }

    /// One fragment of its routes; `prefixes` in ascending order.
    pub(crate) fn route_adv(
        &self,
        fragment: u16,
        fragments: u16,
        prefixes: Vec<RoutePrefix>,
    ) -> Advertisement {
        Advertisement::Route(RouteAdv {
            stamp: self.stamp(),
            fragment,
            fragments,
            prefixes,
            domains: Vec::new(),
            resolves: false,
            load: 0,
            pool: String::new(),
        })
    }

    /// Signs these and floods them to its neighbour.
    pub(crate) fn say(&self, advertisements: impl IntoIterator<Item = Advertisement>) {
        let advertisements = advertisements.into_iter().map(|adv| self.sign(adv));
        self.flood(advertisements.collect());
    }

    /// Floods what was signed by whomever.
    pub(crate) fn flood(&self, advertisements: Vec<SignedAdv>) {
        let envelope = |adv| Envelope {
            adv,
            ttl: 8,
            hops: 0,
        };
        self.send(&ControlMessage::Flood(Flood {
            certificates: vec![self.certificate()],
            advertisements: advertisements.into_iter().map(envelope).collect(),
        }));
    }

    /// With its own key, whatever the stamp says.
    pub(crate) fn sign(&self, advertisement: Advertisement) -> SignedAdv {
        SignedAdv::sign(advertisement, |message| self.identity.sign(message))
    }

    pub(crate) fn certificate(&self) -> CertificateBytes {
        CertificateBytes::new(&self.identity.certificate())
    }

    /// Any control message.
    pub(crate) fn send(&self, message: &ControlMessage) {
        let mut frame = Vec::new();
        encode_frame(message, &mut frame);
        self.write(frame);
    }

    /// Makes another link in place of its own, and leaves it; whether it came about.
    pub(crate) fn relink(&self) -> bool {
        self.runtime.block_on(async {
            let port = Port::bind().expect("a free port");
            let dialled = try_dial(&self.identity, &self.ca, self.address, self.neighbor, port);
            let dialled = dialled.await;
            let Ok(connection) = dialled else {
                return false;
            };
            let Some((mut token, _control, _ears)) = greet(&connection, Heard::default()).await
            else {
                return false;
            };
            let patience = Duration::from_secs(1);
            let told = tokio::time::timeout(patience, token.wait_for(|token| *token != 0)).await;
            matches!(told, Ok(Ok(_)))
        })
    }

    /// A datagram of its link, where heartbeats are. `false`: there is no room now.
    pub(crate) fn datagram(&self, bytes: Vec<u8>) -> bool {
        self.connection.send_datagram(bytes.into()).is_ok()
    }

    /// What its neighbour has told it of `origin` so far.
    pub(crate) fn heard_of(&self, origin: AgentId) -> Vec<SignedAdv> {
        let heard = self.heard.lock().expect("no panic while locked");
        let of = |adv: &&SignedAdv| adv.key().is_some_and(|key| key.origin == origin);
        heard.iter().filter(of).cloned().collect()
    }

    /// Reads nothing any more of what its neighbour says.
    pub(crate) fn stop_listening(&self) {
        self.ears.abort();
    }

    /// Opens a session with `exit`, which is behind its neighbour, and the only one ever asked for.
    pub(crate) fn session(&self, exit: AgentId) -> Result<Session, String> {
        let (endpoint, socket) = self.sessions.get_or_init(|| {
            let mut header = vec![TO_EXIT, 0, 2];
            header.extend(self.token.to_be_bytes());
            for id in [self.id(), self.neighbor, exit] {
                header.extend(id.short().0.to_be_bytes());
            }
            let _inside = self.runtime.enter();
            let socket = self.port.session(header, self.address);
            (endpoint(socket.clone()), socket)
        });
        let trust = Trust::new([self.ca.join("ca.crt")], BTreeSet::new());
        let trust = Arc::new(trust.expect("the mesh has a CA"));
        let tls = tunnel_client(&self.identity, trust, exit).expect("a good certificate");
        Session::open(self.runtime.handle().clone(), endpoint, socket.clone(), tls)
    }

    /// The token of its link.
    pub(crate) fn token(&self) -> u64 {
        self.token
    }

    /// A packet with this header, and whatever behind it.
    pub(crate) fn packet(&self, header: &Header<'_>, payload: &[u8]) {
        let mut packet = vec![header.kind, header.index, header.hops.len() as u8];
        packet.extend(header.token.to_be_bytes());
        packet.extend(header.source.short().0.to_be_bytes());
        for hop in header.hops {
            packet.extend(hop.short().0.to_be_bytes());
        }
        packet.extend_from_slice(payload);
        // A full buffer loses packets, as networks do.
        let _ = self.packets.send(&packet);
    }

    /// Any bytes on the control stream. Dropped if the link has ended.
    pub(crate) fn write(&self, bytes: Vec<u8>) {
        let _ = self.control.blocking_send(bytes);
    }
}

/// Where a neighbour is, and who.
pub(crate) struct Door {
    ca: PathBuf,
    address: SocketAddr,
    id: AgentId,
}

impl Door {
    pub(crate) fn of(mesh: &Mesh, neighbor: &str) -> Self {
        let id = mesh.id(neighbor).parse();
        Self {
            ca: mesh.dir().to_owned(),
            address: mesh.link(neighbor),
            id: id.expect("the mesh has agent ids"),
        }
    }
}

/// What stands before a packet (docs/wire-format.md), right or wrong.
pub(crate) struct Header<'a> {
    pub(crate) kind: u8,
    pub(crate) index: u8,
    pub(crate) token: u64,
    pub(crate) source: AgentId,
    pub(crate) hops: &'a [AgentId],
}

/// From an address of its own: a token names the link, not where packets come from.
fn packets(to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.connect(to).expect("loopback is there");
    socket
}

/// A runtime for one conversation.
fn alone() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("the host has a thread left")
}

/// A connection with `neighbor` on which nothing was said yet.
async fn knocking(door: &Door, identity: &Identity) -> Result<Connection, quinn::ConnectionError> {
    let port = Port::bind().expect("a free port");
    try_dial(identity, &door.ca, door.address, door.id, port).await
}

/// A certificate and key as `warren cert agent` makes them.
pub(crate) fn identity(ca: &Path, grants: Option<&Grants>) -> Identity {
    let authority = Authority::load(ca).expect("the mesh has a CA");
    let validity = Validity::days(unix_now(), 1);
    let issued = authority.issue("liar", grants, validity);
    Identity::from_issued(issued.expect("the host makes keys")).expect("a fresh certificate")
}
