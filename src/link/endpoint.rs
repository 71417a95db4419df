//! The QUIC endpoint of a port: what a link connection may cost.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, Endpoint, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig,
    TokioRuntime, TransportConfig, VarInt,
};

use super::window::LinkWindow;
use crate::config::Limits;
use crate::forward::{Port, QuicSocket};

/// The connection's own idle limit. Heartbeats decide long before; this is the backstop for a
/// driver that is gone.
const IDLE: Duration = Duration::from_secs(15);

/// Largest UDP payload worth probing for: Ethernet's 1,500 bytes less IPv4 and UDP headers.
const LARGEST_PAYLOAD: u16 = 1_472;

/// Connection-level credit for control data from one neighbour.
const RECEIVE_WINDOW: u32 = 2 * 1024 * 1024;

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

/// A port and the link endpoint on it.
#[derive(Clone)]
pub struct LinkEndpoint {
    pub endpoint: Endpoint,
    pub port: Arc<Port>,
    pub(super) socket: Arc<QuicSocket>,
}

impl LinkEndpoint {
    /// An endpoint on `port`; it accepts links if there is a `server` configuration.
    pub fn new(
        port: Arc<Port>,
        socket: Arc<QuicSocket>,
        server: Option<Arc<QuicServerConfig>>,
        limits: &Limits,
    ) -> io::Result<Self> {
        let mut config = EndpointConfig::default();
        // The fixed bit tells link QUIC from packets.
        config.grease_quic_bit(false);
        let server = server.map(|crypto| {
            let mut server = ServerConfig::with_crypto(crypto);
            server
                .transport_config(Arc::new(transport()))
                .max_incoming(limits.pending_handshakes)
                .incoming_buffer_size(INCOMING_BYTES_EACH)
                .incoming_buffer_size_total(INCOMING_BYTES);
            server
        });
        let endpoint = Endpoint::new_with_abstract_socket(
            config,
            server,
            socket.clone(),
            Arc::new(TokioRuntime),
        )?;
        Ok(Self {
            endpoint,
            port,
            socket,
        })
    }
}

/// The client side of a link connection. `rtt` is the round trip of an earlier link with the same
/// peer: what gets no answer is sent again after three of them instead of after a second (RFC 9002
/// section 6.2.2), so that a dial that begins before the network is back does not end long after.
pub(super) fn client_config(crypto: Arc<QuicClientConfig>, rtt: Option<Duration>) -> ClientConfig {
    let mut transport = transport();
    if let Some(rtt) = rtt {
        transport.initial_rtt(rtt.clamp(SHORTEST_RTT, LONGEST_RTT));
    }
    let mut config = ClientConfig::new(crypto);
    config.transport_config(Arc::new(transport));
    config
}

/// What a link connection may use: one control stream and heartbeats.
fn transport() -> TransportConfig {
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
        .congestion_controller_factory(Arc::new(LinkWindow))
        .datagram_receive_buffer_size(Some(HEARTBEATS))
        .mtu_discovery_config(Some(mtu));
    transport
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::clock;
    use crate::identity::{Identity, SERVER_NAME, Trust, link_client};

    /// The round trip that a dial assumes before it has heard anything.
    fn assumed(earlier: Option<Duration>) -> Duration {
        let identity = Identity::ephemeral().unwrap();
        let trust = Trust::mesh(None, [], BTreeSet::from([identity.id()])).unwrap();
        let crypto = link_client(&identity, Arc::new(trust), identity.id()).unwrap();
        let mut endpoint = quinn_proto::Endpoint::new(Arc::default(), None, false, None);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let config = client_config(crypto, earlier);
        let dialled = endpoint.connect(clock::now(), config, address, SERVER_NAME);
        dialled.unwrap().1.rtt()
    }

    #[test]
    fn a_dial_starts_from_the_last_round_trip_within_bounds() {
        let ms = Duration::from_millis;
        for (earlier, wanted) in [(1, 25), (60, 60), (2_000, 333)] {
            assert_eq!(assumed(Some(ms(earlier))), ms(wanted), "{earlier} ms");
        }
        assert_eq!(assumed(None), ms(333));
    }
}
