//! QUIC endpoints on ports: how connections are opened and accepted, and what one may cost.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::{
    ClientConfig, Endpoint, EndpointConfig, IdleTimeout, Incoming, MtuDiscoveryConfig,
    ServerConfig, TokioRuntime, TransportConfig, VarInt,
};

use super::Connection;
use super::window::LinkWindow;
use crate::config::Limits;
use crate::forward::{Adjacency, BufferPool, Door, Fib, Local, Port, QuicSocket, receive};
use crate::identity::{AgentId, SERVER_NAME};
use crate::link::transport::{End, OpenError};
use crate::quic;

/// The connection's own idle limit. Heartbeats decide long before; this is the backstop for a
/// driver that is gone.
const IDLE: Duration = Duration::from_secs(15);

/// Largest UDP payload worth probing for: Ethernet's 1,500 bytes less IPv4 and UDP headers.
const LARGEST_PAYLOAD: u16 = 1_472;

/// Bytes of control messages that a neighbour may have on their way. They wait in the receive buffer of
/// a port that all neighbours share, whenever this agent's thread is busy: with 2 MiB a neighbour that
/// never stops kept everybody's packets waiting for a quarter of a second, in a development build. Over
/// 100 ms of round trip this is 2.5 MB a second.
const RECEIVE_WINDOW: u32 = 256 * 1024;

/// Bytes held of heartbeats that the driver has not taken: some hundred, newer ones displace older.
const HEARTBEATS: usize = 8 * 1024;

/// Bytes held of handshakes that nobody has looked at yet, all together.
const INCOMING_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes held of one such handshake.
const INCOMING_BYTES_EACH: u64 = 64 * 1024;

/// A handshake costs a busy host some ten milliseconds of computing on top of the round trip: three
/// times this, after which a dial asks again, is more.
const SHORTEST_RTT: Duration = Duration::from_millis(25);

/// The round trip assumed of an unknown path (RFC 9002 section 6.2.2).
const LONGEST_RTT: Duration = Duration::from_millis(333);

/// Where the packets go that arrive on ports. Cloning shares it.
#[derive(Clone)]
pub struct DataPlane {
    pub fib: Arc<Fib>,
    pub local: Local,
    pub pool: BufferPool,
}

/// A port and the link endpoint on it. Cloning shares both.
#[derive(Clone)]
pub struct LinkEndpoint {
    endpoint: Endpoint,
    port: Arc<Port>,
    socket: Arc<QuicSocket>,
}

/// A port of its own for a dial that becomes no link.
pub(crate) struct OwnPort(Endpoint);

/// One who would open a connection with us; nothing is known but its address.
pub(crate) struct Visitor(Incoming);

impl LinkEndpoint {
    /// An endpoint on `port`, and the task that receives there, without which it hears nothing. It
    /// accepts links if there is a `server` configuration.
    pub fn new(
        port: Arc<Port>,
        plane: DataPlane,
        server: Option<Arc<rustls::ServerConfig>>,
        limits: &Limits,
    ) -> io::Result<(Self, impl Future<Output = ()> + Send + use<>)> {
        let socket = QuicSocket::new(port.clone(), Door::new(limits));
        let DataPlane { fib, local, pool } = plane;
        let receiving = receive(port.clone(), socket.clone(), fib, local, pool);
        let server = match server {
            Some(tls) => Some(server_config(tls, limits)?),
            None => None,
        };
        let endpoint = Endpoint::new_with_abstract_socket(
            endpoint_config(),
            server,
            socket.clone(),
            Arc::new(TokioRuntime),
        )?;
        let endpoint = Self {
            endpoint,
            port,
            socket,
        };
        Ok((endpoint, receiving))
    }

    /// Whether connections from here can reach `remote`.
    pub(crate) fn reaches(&self, remote: SocketAddr) -> bool {
        self.port.reaches(remote)
    }

    /// Opens a connection. `rtt` is the round trip of an earlier link with the same peer. There is no
    /// limit of time: dropped, it gives up.
    pub(crate) async fn open(
        &self,
        address: SocketAddr,
        tls: Arc<rustls::ClientConfig>,
        rtt: Option<Duration>,
    ) -> Result<Connection, OpenError> {
        let _dialled = self.socket.expect(address);
        open(&self.endpoint, address, tls, rtt).await
    }

    /// The next one who knocks; `None` once the endpoint is closed.
    pub(crate) async fn accept(&self) -> Option<Visitor> {
        self.endpoint.accept().await.map(Visitor)
    }

    /// What the forwarding table needs to send data over `connection`, which was made here, with the
    /// neighbour's token on it.
    pub(crate) fn adjacency(
        &self,
        connection: &Connection,
        neighbor: AgentId,
        token_out: u64,
    ) -> Arc<Adjacency> {
        let remote = connection.remote();
        Adjacency::new(neighbor, self.port.clone(), remote, token_out)
    }

    /// Waits until the other sides know of every connection's end.
    pub async fn wait_idle(&self) {
        self.endpoint.wait_idle().await;
    }
}

impl OwnPort {
    /// A port from which `address` can be dialled.
    pub(crate) fn towards(address: SocketAddr) -> io::Result<Self> {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        Endpoint::new(endpoint_config(), None, socket, Arc::new(TokioRuntime)).map(Self)
    }

    /// Opens a connection; as [`LinkEndpoint::open`].
    pub(crate) async fn open(
        &self,
        address: SocketAddr,
        tls: Arc<rustls::ClientConfig>,
    ) -> Result<Connection, OpenError> {
        open(&self.0, address, tls, None).await
    }

    /// Waits until the other side knows of the connection's end.
    pub(crate) async fn wait_idle(&self) {
        self.0.wait_idle().await;
    }
}

impl Visitor {
    /// Where it says it is.
    pub(crate) fn remote(&self) -> SocketAddr {
        self.0.remote_address()
    }

    /// Whether it has proved that it is there.
    pub(crate) fn is_proved(&self) -> bool {
        self.0.remote_address_validated()
    }

    /// Asks for that proof, which costs us nothing; it knocks again with it (RFC 9000 section 8.1.2).
    pub(crate) fn ask_for_proof(self) {
        // Whoever has proved it already is not asked.
        let _ = self.0.retry();
    }

    /// Says no.
    pub(crate) fn refuse(self) {
        self.0.refuse();
    }

    /// Says nothing; so it knocks again.
    pub(crate) fn ignore(self) {
        self.0.ignore();
    }

    /// Shakes hands. There is no limit of time: dropped, it gives up.
    pub(crate) async fn shake_hands(self) -> Result<Connection, End> {
        let connecting = self.0.accept()?;
        Ok(Connection(connecting.await?))
    }
}

async fn open(
    endpoint: &Endpoint,
    address: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
    rtt: Option<Duration>,
) -> Result<Connection, OpenError> {
    let config = client_config(tls, rtt)?;
    let connecting = endpoint
        .connect_with(config, address, SERVER_NAME)
        .map_err(|error| OpenError::Setup(error.to_string()))?;
    match connecting.await {
        Ok(connection) => Ok(Connection(connection)),
        Err(error) => Err(OpenError::Ended(error.into())),
    }
}

fn endpoint_config() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    // The fixed bit tells link QUIC from packets.
    config.grease_quic_bit(false);
    config
}

fn server_config(tls: Arc<rustls::ServerConfig>, limits: &Limits) -> io::Result<ServerConfig> {
    let mut server = ServerConfig::with_crypto(quic::server(tls).map_err(io::Error::other)?);
    server
        .transport_config(Arc::new(transport(None)))
        .max_incoming(limits.pending_handshakes)
        .incoming_buffer_size(INCOMING_BYTES_EACH)
        .incoming_buffer_size_total(INCOMING_BYTES);
    Ok(server)
}

/// The client side of a link connection. `rtt` is the round trip of an earlier link with the same
/// peer: what gets no answer is sent again after three of them instead of after a second (RFC 9002
/// section 6.2.2), so that a dial that begins before the network is back does not end long after.
fn client_config(
    tls: Arc<rustls::ClientConfig>,
    rtt: Option<Duration>,
) -> Result<ClientConfig, OpenError> {
    let crypto = quic::client(tls).map_err(|error| OpenError::Setup(error.to_string()))?;
    let mut config = ClientConfig::new(crypto);
    config.transport_config(Arc::new(transport(rtt)));
    Ok(config)
}

/// The round trip to begin with, where one of `earlier` was measured or none. What gets no answer
/// is sent again after three, nine and twenty-one of them: at full seconds if that were 333 ms for everybody,
/// and on a line that falls silent once a second all of it was lost, for 10 s.
fn assumed_rtt(earlier: Option<Duration>) -> Duration {
    let rtt = earlier.unwrap_or(LONGEST_RTT);
    rtt.clamp(SHORTEST_RTT, LONGEST_RTT)
        .mul_f64(rand::random_range(0.75..1.25))
}

/// What a link connection may use: one control stream and heartbeats. `rtt` as in [`client_config`].
fn transport(rtt: Option<Duration>) -> TransportConfig {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(LARGEST_PAYLOAD);
    let idle = IdleTimeout::try_from(IDLE).expect("15 s is a valid idle time-out");
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .stream_receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .max_idle_timeout(Some(idle))
        .initial_rtt(assumed_rtt(rtt))
        .congestion_controller_factory(Arc::new(LinkWindow))
        .datagram_receive_buffer_size(Some(HEARTBEATS))
        .mtu_discovery_config(Some(mtu));
    transport
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::clock;
    use crate::identity::{Identity, Trust, link_client};

    /// The round trip that a dial assumes before it has heard anything.
    fn assumed(earlier: Option<Duration>) -> Duration {
        let identity = Identity::ephemeral().unwrap();
        let trust = Trust::mesh(None, [], BTreeSet::from([identity.id()])).unwrap();
        let crypto = link_client(&identity, Arc::new(trust), identity.id()).unwrap();
        let mut endpoint = quinn_proto::Endpoint::new(Arc::default(), None, false, None);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let config = client_config(crypto, earlier).unwrap();
        let dialled = endpoint.connect(clock::now(), config, address, SERVER_NAME);
        dialled.unwrap().1.rtt()
    }

    #[test]
    fn a_dial_starts_near_the_last_round_trip_within_bounds() {
        let ms = Duration::from_millis;
        for (earlier, around) in [
            (Some(ms(1)), ms(25)),
            (Some(ms(60)), ms(60)),
            (Some(ms(2_000)), ms(333)),
            (None, ms(333)),
        ] {
            let bounds = around.mul_f64(0.749)..around.mul_f64(1.251);
            let assumed = assumed(earlier);
            assert!(bounds.contains(&assumed), "{earlier:?}: {assumed:?}");
        }
    }

    /// A line that is silent for an eighth of each second, whenever in it.
    #[test]
    fn what_is_sent_again_is_not_in_step_with_a_line_that_stutters() {
        const TRIES: u32 = 1_000;
        for phase in (0..1_000).step_by(25) {
            let is_lost = |sent: Duration| (sent.as_millis() + phase) % 1_000 < 125;
            let lost = (0..TRIES)
                .map(|_| assumed_rtt(None))
                .filter(|rtt| [3, 9, 21].iter().all(|&after| is_lost(*rtt * after)))
                .count();
            assert!(lost < 50, "{lost} of {TRIES} with a phase of {phase} ms");
        }
    }
}
