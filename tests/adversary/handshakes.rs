//! Strangers' handshakes that can come to nothing, as many as the port takes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{ClientConfig, EndpointConfig};
use warren::identity::{Identity, SERVER_NAME, Trust, tunnel_client};

use crate::churn::Stop;
use crate::member::Member;
use crate::support::traffic::Echo;
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target};

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

/// Sends `packets` in turn, [`RATE`] a second, until it is told to stop; counts them.
fn flood(to: SocketAddr, packets: &[Vec<u8>], stop: &AtomicBool, sent: &AtomicU64) {
    let socket = UdpSocket::bind((STRANGER, 0)).expect("loopback has this address");
    let (start, mut next) = (Instant::now(), packets.iter().cycle());
    while !stop.load(Ordering::Relaxed) {
        let due = start.elapsed().as_secs_f64() * f64::from(RATE);
        while sent.load(Ordering::Relaxed) < due as u64 {
            // What finds no room is lost like any packet.
            let _ = socket.send_to(next.next().expect("a cycle"), to);
            sent.fetch_add(1, Ordering::Relaxed);
        }
        thread::sleep(Duration::from_millis(1));
    }
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
    let mut mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("ingress").socks5().peer("exit"),
    ]);
    mesh.await_chosen("ingress", "127.0.0.1", &["exit"]);
    let target = Target::start();
    let mut echo = Echo::open(mesh.socks("ingress"), target.address());
    let idle = echoes(&mut echo, 100);
    let packets = first_packets(mesh.link("exit"), DIFFERENT);
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let cpu_seconds = || mesh.metric("exit", "process_cpu_seconds_total");
    let (flooded, cpu, took) = thread::scope(|scope| {
        let _end = Stop(&stop);
        scope.spawn(|| flood(mesh.link("exit"), &packets, &stop, &sent));
        eventually("the flood has begun", || {
            (sent.load(Ordering::Relaxed) > 5_000).then_some(())
        });
        let (start, before) = (Instant::now(), cpu_seconds());
        let flooded = echoes(&mut echo, 300);
        let cpu = cpu_seconds() - before;
        let took = start.elapsed();
        // Who comes from elsewhere is let in meanwhile.
        assert!(Member::join(&mesh, "exit", None).is_linked());
        (flooded, cpu, took)
    });
    let sent = sent.load(Ordering::Relaxed);
    println!("idle p50 {:?}", idle[50]);
    println!("{sent} sent, p50 {:?} p99 {:?}", flooded[150], flooded[296]);
    println!("{:.0} % of a CPU", 100.0 * cpu / took.as_secs_f64());
    let log = mesh.process("exit").log();
    let lines = log.lines().filter(|line| line.contains("link refused"));
    let lines = lines.count();
    assert!((1..=10).contains(&lines), "{lines} lines");
    let kept_out = mesh.metric("exit", "warren_dropped_packets_total{reason=\"handshake\"}");
    assert!(
        kept_out > sent as f64 / 2.0,
        "{kept_out} of {sent} kept out"
    );
    let p50 = flooded[150];
    assert!(p50 < Duration::from_millis(50), "p50 {p50:?}");
}
