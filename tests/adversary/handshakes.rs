//! Strangers' handshakes that can come to nothing, as many as the port takes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{ClientConfig, EndpointConfig};
use warren::identity::{Identity, SERVER_NAME, Trust, tunnel_client};

use crate::member::Member;
use crate::scene::Scene;
use crate::support::traffic::Echo;

/// Where the flood comes from: not where the agents are.
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 66));

/// Different first packets, sent again and again.
const DIFFERENT: usize = 2_000;

/// First packets a second.
const RATE: u32 = 20_000;

/// First packets of handshakes with the ALPN id of sessions, which no link port takes.
pub(crate) fn first_packets(to: SocketAddr, count: usize) -> Vec<Vec<u8>> {
    let identity = Identity::ephemeral().expect("the host makes keys");
    let trust = Trust::mesh(None, [], [identity.id()].into()).expect("no files to read");
    let tls = tunnel_client(&identity, Arc::new(trust), identity.id()).expect("good keys");
    let crypto = Arc::new(QuicClientConfig::try_from(tls).expect("TLS that QUIC takes"));
    let config = ClientConfig::new(crypto);
    let settings = Arc::new(EndpointConfig::default());
    let mut endpoint = quinn_proto::Endpoint::new(settings, None, false, None);
    let now = Instant::now();
    let mut packet = || {
        let opened = endpoint.connect(now, config.clone(), to, SERVER_NAME);
        let (_, mut connection) = opened.expect("an address");
        let mut bytes = Vec::new();
        let written = connection.poll_transmit(now, 1, &mut bytes);
        assert!(written.is_some(), "a first packet");
        bytes
    };
    (0..count).map(|_| packet()).collect()
}

/// How long so many echoes of a byte took, ascending.
pub(crate) fn echoes(echo: &mut Echo, count: usize) -> Vec<Duration> {
    let mut took: Vec<Duration> = (0..count)
        .map(|_| {
            let start = Instant::now();
            echo.round(1);
            let took = start.elapsed();
            thread::sleep(Duration::from_millis(5));
            took
        })
        .collect();
    took.sort_unstable();
    took
}

#[test]
fn a_flood_of_handshakes_costs_a_few_lines_and_no_member_anything() {
    let mut scene = Scene::new();
    let exit = scene.mesh.link("exit");
    let packets = first_packets(exit, DIFFERENT);
    let socket = UdpSocket::bind((STRANGER, 0)).expect("loopback has this address");
    let (start, sent) = (OnceLock::new(), AtomicU64::new(0));
    let flood = || {
        let start: &Instant = start.get_or_init(Instant::now);
        let due = (start.elapsed().as_secs_f64() * f64::from(RATE)) as u64;
        let begun = sent.load(Ordering::Relaxed);
        for number in begun..due {
            // What finds no room is lost like any packet.
            let _ = socket.send_to(&packets[number as usize % packets.len()], exit);
        }
        sent.store(due.max(begun), Ordering::Relaxed);
        thread::sleep(Duration::from_millis(1));
        due.saturating_sub(begun)
    };
    let what = "handshakes with a wrong ALPN id";
    let seen = scene.under_and("exit", what, flood, |mesh, _| {
        // Who comes from elsewhere is let in meanwhile.
        assert!(Member::join(mesh, "exit", None).is_linked());
    });
    let mesh = &mut scene.mesh;
    let log = mesh.process("exit").log();
    let lines = log.lines().filter(|line| line.contains("link refused"));
    let lines = lines.count();
    assert!((1..=10).contains(&lines), "{lines} lines");
    let kept_out = mesh.metric("exit", "warren_dropped_packets_total{reason=\"handshake\"}");
    let sent = seen.sent;
    assert!(
        kept_out > sent as f64 / 2.0,
        "{kept_out} of {sent} kept out"
    );
}
