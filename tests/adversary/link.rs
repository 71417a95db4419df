//! A member's link to its neighbour, as docs/wire-format.md says: the handshake, hello, heartbeats, and
//! ears for what the neighbour says.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use warren::clock::unix_ms;
use warren::identity::{AgentId, Identity, SERVER_NAME, Trust, link_client};
use warren::wire::{ControlMessage, Hello, SignedAdv, Token, decode_frame, encode_frame};

use crate::wire::Port;

/// Heartbeats that it promises and sends.
const HEARTBEAT: Duration = Duration::from_millis(50);

/// Longest control message that it reads.
const MESSAGE: usize = 1024 * 1024;

/// A connection that said hello, and the tasks that keep it.
pub(crate) struct Linked {
    pub(crate) connection: Connection,
    /// Bytes for the control stream.
    pub(crate) control: mpsc::Sender<Vec<u8>>,
    pub(crate) token: u64,
    pub(crate) heard: Heard,
    /// What reads its control stream.
    pub(crate) ears: AbortHandle,
}

/// Advertisements that came, the first [`HEARD`] of them.
pub(crate) type Heard = Arc<Mutex<Vec<SignedAdv>>>;

const HEARD: usize = 1_000;

pub(crate) async fn link(
    identity: &Identity,
    ca: &Path,
    address: SocketAddr,
    id: AgentId,
    port: Arc<Port>,
) -> Linked {
    let connection = dial(identity, ca, address, id, port).await;
    let heard = Heard::default();
    let greeted = greet(&connection, heard.clone()).await;
    let (mut token, control, ears) = greeted.expect("a good certificate is let in");
    let token = token.wait_for(|token| *token != 0).await;
    let token = *token.expect("the neighbour says hello");
    Linked {
        connection,
        control,
        token,
        heard,
        ears,
    }
}

async fn dial(
    identity: &Identity,
    ca: &Path,
    address: SocketAddr,
    id: AgentId,
    port: Arc<Port>,
) -> Connection {
    let connection = try_dial(identity, ca, address, id, port).await;
    connection.expect("the listening side judges last")
}

pub(crate) async fn try_dial(
    identity: &Identity,
    ca: &Path,
    address: SocketAddr,
    id: AgentId,
    port: Arc<Port>,
) -> Result<Connection, quinn::ConnectionError> {
    let trust = Trust::new([ca.join("ca.crt")], BTreeSet::new()).expect("the mesh has a CA");
    let tls = link_client(identity, Arc::new(trust), id).expect("a good certificate");
    let crypto = Arc::new(QuicClientConfig::try_from(tls).expect("TLS that QUIC takes"));
    let endpoint = endpoint(port);
    let connecting = endpoint.connect_with(ClientConfig::new(crypto), address, SERVER_NAME);
    connecting.expect("an address").await
}

/// Opens connections on `socket`.
pub(crate) fn endpoint(socket: Arc<dyn quinn::AsyncUdpSocket>) -> Endpoint {
    let runtime = Arc::new(quinn::TokioRuntime);
    let mut config = quinn::EndpointConfig::default();
    config.grease_quic_bit(false);
    let endpoint = Endpoint::new_with_abstract_socket(config, None, socket, runtime);
    endpoint.expect("a bound socket")
}

pub(crate) fn hello() -> Hello {
    Hello {
        version: warren::link::VERSION,
        features: 0,
        epoch: unix_ms(),
        display_name: "liar".to_owned(),
        heartbeat_ms: HEARTBEAT.as_millis() as u32,
        cost: 1,
        time_ms: None,
    }
}

/// The neighbour's token, the way for what is said, and what listens.
pub(crate) type Greeted = (watch::Receiver<u64>, mpsc::Sender<Vec<u8>>, AbortHandle);

pub(crate) async fn greet(connection: &Connection, heard: Heard) -> Option<Greeted> {
    greet_as(hello(), connection, heard).await
}

/// Says hello, and goes on saying what is asked for. The neighbour's token comes with its own hello.
/// `None`: the connection has ended.
pub(crate) async fn greet_as(
    hello: Hello,
    connection: &Connection,
    heard: Heard,
) -> Option<Greeted> {
    let (send, recv) = connection.open_bi().await.ok()?;
    let (control, queue) = mpsc::channel(64);
    let (told, token) = watch::channel(0);
    let mut frames = Vec::new();
    encode_frame(&ControlMessage::Hello(hello), &mut frames);
    let wanted = Token { token: 0x11a2 };
    encode_frame(&ControlMessage::Token(wanted), &mut frames);
    control.send(frames).await.expect("an empty queue");
    tokio::spawn(write_all(send, queue));
    let ears = tokio::spawn(listen(recv, told, heard)).abort_handle();
    tokio::spawn(beat(connection.clone()));
    Some((token, control, ears))
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
