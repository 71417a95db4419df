//! The QUIC settings of end-to-end sessions. Each was measured.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    AckFrequencyConfig, ClientConfig, Endpoint, EndpointConfig, IdleTimeout, ServerConfig,
    TokioRuntime, TransportConfig, VarInt,
};

use super::congestion::{Factory, Signals};
use crate::tunnel::path::SMALLEST;
use crate::tunnel::sizes::SessionSettings;
use crate::tunnel::socket::virtual_socket::VirtualSocket;
use crate::tunnel::stream::room::FIRST;
use crate::tunnel::stream::stream_window;

/// Packets that the other end may leave unacknowledged (ACK frequency extension of QUIC). At
/// QUIC's default every batch of some 44 packets is answered by itself, and 57 % of what a transit
/// sent were such acknowledgements; with this a transit takes 0.52 to 0.59 instead of 0.65 to
/// 0.74 CPU seconds per GB. Gaps are still acknowledged at once. Far below a stream's credit.
const ACK_AFTER: u32 = 120;

/// The longest that the other end may wait with an acknowledgement. Whoever has fewer packets in flight
/// than [`ACK_AFTER`], in slow start or after losses, sends a window per round trip and this: 12 packets
/// on a path of 1 ms are 3 MB/s with 5 ms. The least that quinn can be asked for; at 4 Gbit/s 120
/// packets take 0.4 ms, so at full rate their number still rules.
const ACK_WITHIN: Duration = Duration::from_millis(1);

/// Probe time-outs without any acknowledgement that count as persistent congestion, after which a
/// sender starts again from two packets. RFC 9002 section 7.6 has 3 of them for time-outs that include
/// an acknowledgement delay of 25 ms, 80 ms on a short path. With [`ACK_WITHIN`] a time-out takes some
/// 3 ms there, and an agent that was busy for 10 ms is no congestion. So many make it 100 ms, as long as
/// a silent path is not doubted yet; from then on [`Factory`]'s controller takes the silence for a dead
/// path if there is another. On a path of 40 ms they are about 2 s: what is lost in a shorter silence
/// costs a sender 30 % of its window, as any loss does.
const PERSISTENT: u32 = 40;

/// A session of which nothing was heard for this long has ended.
const IDLE: Duration = Duration::from_secs(30);

/// Least time between two stateless resets (RFC 9000 section 10.3). Anybody who has a link token can
/// ask for them, and each looks like a packet of a session that must be answered. They serve hardly
/// anybody here: their key dies with the process, and a session that ends before it says so itself.
const RESETS: Duration = Duration::from_secs(3_600);

/// Keeps an idle session alive, and its return path known.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// An end-to-end endpoint on a virtual socket.
pub(crate) fn endpoint(
    socket: Arc<VirtualSocket>,
    server: Option<ServerConfig>,
) -> io::Result<Endpoint> {
    let mut config = EndpointConfig::default();
    config.min_reset_interval(RESETS);
    Endpoint::new_with_abstract_socket(config, server, socket, Arc::new(TokioRuntime))
}

/// For opening a session.
pub(crate) fn client_config(
    crypto: Arc<QuicClientConfig>,
    settings: SessionSettings,
    signals: Arc<Signals>,
) -> ClientConfig {
    let mut config = ClientConfig::new(crypto);
    // An exit opens none.
    config.transport_config(transport(settings, signals, 0));
    config
}

/// For accepting sessions.
pub(crate) fn server_config(
    crypto: Arc<QuicServerConfig>,
    settings: SessionSettings,
    signals: Arc<Signals>,
    pending: usize,
) -> ServerConfig {
    let mut config = ServerConfig::with_crypto(crypto);
    config
        .transport_config(transport(settings, signals, settings.streams.min(FIRST)))
        // Addresses are virtual and never change.
        .migration(false)
        .max_incoming(pending);
    config
}

/// `streams`: that the other end may have open.
fn transport(
    settings: SessionSettings,
    signals: Arc<Signals>,
    streams: u32,
) -> Arc<TransportConfig> {
    let stream = stream_window(settings.rtt) as u32;
    let idle = IdleTimeout::try_from(IDLE).expect("30 s is a valid idle time-out");
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(ACK_AFTER))
        .max_ack_delay(Some(ACK_WITHIN));
    let mut transport = TransportConfig::default();
    transport
        .ack_frequency_config(Some(acks))
        .persistent_congestion_threshold(PERSISTENT)
        .initial_mtu(settings.packet)
        .min_mtu(SMALLEST)
        // The size is known, and probing would end at another path's limit.
        .mtu_discovery_config(None)
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        // The other end's notes.
        .max_concurrent_uni_streams(VarInt::from_u32(1))
        .stream_receive_window(VarInt::from_u32(stream))
        .receive_window(VarInt::from_u32(settings.window))
        .send_window(u64::from(settings.window))
        // Unfair, one stream with data keeps the session to itself for as long as the congestion
        // window is smaller than its credit: on a 60 Mbit/s path three of four downloads stood
        // still for 9.5 s.
        .send_fairness(true)
        .congestion_controller_factory(Factory::new(settings.congestion, signals))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(KEEP_ALIVE));
    Arc::new(transport)
}

#[cfg(test)]
mod tests;
