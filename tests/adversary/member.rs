//! One hostile member: a certificate of the mesh's CA, one link to a real agent, and free speech.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use warren::clock::{unix_ms, unix_now};
use warren::identity::{
    AgentId, Authority, Grants, Identity, SERVER_NAME, Trust, Validity, link_client,
};
use warren::wire::{
    Advertisement, CertificateBytes, ControlMessage, Envelope, Flood, Hello, LinkAdv, LinkFlags,
    Neighbor, RouteAdv, RoutePrefix, SignedAdv, Stamp, Token, decode_frame, encode_frame,
};

use crate::support::Mesh;

/// What it says of its links and routes is valid for so long.
const LIFETIME_MS: u64 = 300_000;

/// Heartbeats that it promises and sends.
const HEARTBEAT: Duration = Duration::from_millis(50);

/// Longest control message that it reads.
const MESSAGE: usize = 1024 * 1024;

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
    heard: Heard,
    ca: PathBuf,
    address: SocketAddr,
    /// Drives the connection.
    runtime: Runtime,
}

impl Member {
    /// Joins the mesh as a neighbour of `neighbor`, with these grants (`None`: unrestricted), and
    /// tells its link.
    pub(crate) fn join(mesh: &Mesh, neighbor: &str, grants: Option<&Grants>) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("the host has a thread left");
        let identity = identity(mesh.dir(), grants);
        let (address, id) = (mesh.link(neighbor), mesh.id(neighbor));
        let id: AgentId = id.parse().expect("the mesh has agent ids");
        let linked = runtime.block_on(link(&identity, mesh.dir(), address, id));
        let member = Self {
            identity,
            neighbor: id,
            epoch: unix_ms(),
            sequence: AtomicU64::new(1),
            connection: linked.connection,
            control: linked.control,
            token: linked.token,
            packets: packets(address),
            heard: linked.heard,
            ca: mesh.dir().to_owned(),
            address,
            runtime,
        };
        member.say([member.link_adv()]);
        member
    }

    /// Why `neighbor` refuses a link with this identity; `None`: it greets it.
    pub(crate) fn knock(mesh: &Mesh, neighbor: &str, identity: &Identity) -> Option<String> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("the host has a thread left");
        let (address, id) = (mesh.link(neighbor), mesh.id(neighbor));
        let id: AgentId = id.parse().expect("the mesh has agent ids");
        runtime.block_on(async {
            let connection = dial(identity, mesh.dir(), address, id).await;
            let (mut token, _control) = match greet(&connection, Heard::default()).await {
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
        Advertisement::Link(LinkAdv {
            stamp: self.stamp(),
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
            let dialled = try_dial(&self.identity, &self.ca, self.address, self.neighbor).await;
            let Ok(connection) = dialled else {
                return false;
            };
            let Some((mut token, _control)) = greet(&connection, Heard::default()).await else {
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

/// A certificate and key as `warren cert agent` makes them.
fn identity(ca: &Path, grants: Option<&Grants>) -> Identity {
    let authority = Authority::load(ca).expect("the mesh has a CA");
    let validity = Validity::days(unix_now(), 1);
    let issued = authority.issue("liar", grants, validity);
    Identity::from_issued(issued.expect("the host makes keys")).expect("a fresh certificate")
}

/// A connection that said hello, and the tasks that keep it.
struct Linked {
    connection: Connection,
    control: mpsc::Sender<Vec<u8>>,
    token: u64,
    heard: Heard,
}

/// Advertisements that came, the first [`HEARD`] of them.
type Heard = Arc<Mutex<Vec<SignedAdv>>>;

const HEARD: usize = 1_000;

async fn link(identity: &Identity, ca: &Path, address: SocketAddr, id: AgentId) -> Linked {
    let connection = dial(identity, ca, address, id).await;
    let heard = Heard::default();
    let greeted = greet(&connection, heard.clone()).await;
    let (mut token, control) = greeted.expect("a good certificate is let in");
    let token = token.wait_for(|token| *token != 0).await;
    let token = *token.expect("the neighbour says hello");
    Linked {
        connection,
        control,
        token,
        heard,
    }
}

async fn dial(identity: &Identity, ca: &Path, address: SocketAddr, id: AgentId) -> Connection {
    let connection = try_dial(identity, ca, address, id).await;
    connection.expect("the listening side judges last")
}

async fn try_dial(
    identity: &Identity,
    ca: &Path,
    address: SocketAddr,
    id: AgentId,
) -> Result<Connection, quinn::ConnectionError> {
    let trust = Trust::new([ca.join("ca.crt")], BTreeSet::new()).expect("the mesh has a CA");
    let tls = link_client(identity, Arc::new(trust), id).expect("a good certificate");
    let crypto = Arc::new(QuicClientConfig::try_from(tls).expect("TLS that QUIC takes"));
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
    let connecting = endpoint.connect_with(ClientConfig::new(crypto), address, SERVER_NAME);
    connecting.expect("an address").await
}

/// Says hello, and goes on saying what is asked for. The neighbour's token comes with its own hello.
/// `None`: the connection has ended.
async fn greet(
    connection: &Connection,
    heard: Heard,
) -> Option<(watch::Receiver<u64>, mpsc::Sender<Vec<u8>>)> {
    let (send, recv) = connection.open_bi().await.ok()?;
    let (control, queue) = mpsc::channel(64);
    let (told, token) = watch::channel(0);
    let mut frames = Vec::new();
    let hello = Hello {
        version: warren::link::VERSION,
        features: 0,
        epoch: unix_ms(),
        display_name: "liar".to_owned(),
        heartbeat_ms: HEARTBEAT.as_millis() as u32,
        cost: 1,
        time_ms: None,
    };
    encode_frame(&ControlMessage::Hello(hello), &mut frames);
    let wanted = Token { token: 0x11a2 };
    encode_frame(&ControlMessage::Token(wanted), &mut frames);
    control.send(frames).await.expect("an empty queue");
    tokio::spawn(write_all(send, queue));
    tokio::spawn(listen(recv, told, heard));
    tokio::spawn(beat(connection.clone()));
    Some((token, control))
}

async fn write_all(mut send: SendStream, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = queue.recv().await {
        if send.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Reads what the neighbour says, and keeps of it tokens and advertisements.
async fn listen(mut recv: RecvStream, token: watch::Sender<u64>, heard: Heard) {
    let mut buffer = BytesMut::new();
    while let Ok(Some(chunk)) = recv.read_chunk(64 * 1024, true).await {
        buffer.extend_from_slice(&chunk.bytes);
        while let Ok(Some(message)) = decode_frame(&mut buffer, MESSAGE) {
            match message {
                ControlMessage::Token(Token { token: new }) => drop(token.send_replace(new)),
                ControlMessage::Flood(flood) => {
                    let mut heard = heard.lock().expect("no panic while locked");
                    let room = HEARD.saturating_sub(heard.len());
                    let advertisements = flood.advertisements.into_iter();
                    heard.extend(advertisements.map(|envelope| envelope.adv).take(room));
                }
                _ => {}
            }
        }
    }
}

async fn beat(connection: Connection) {
    let mut ticks = tokio::time::interval(HEARTBEAT);
    loop {
        ticks.tick().await;
        if connection.send_datagram(Bytes::new()).is_err() {
            return;
        }
    }
}
