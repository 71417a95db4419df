//! A host with a slow interface: what waits in the kernel ahead of a link's packets.
//!
//! In a network namespace of its own whose loopback carries 10 Mbit/s: needs root, `ip` and `tc`.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use internal_chaos::host::Host;
use internal_chaos::netns::Netns;
use quinn::AsyncUdpSocket;
use quinn_udp::Transmit;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;
use warren::config::Limits;
use warren::forward::{Door, Port, QuicSocket, Run};

/// A packet of data, and the longest run of them that one send takes.
const PACKET: usize = 1_472;
const RUN: usize = 44;

const HEARTBEAT: &[u8] = b"heartbeat";
const HEARTBEATS: usize = 20;

/// Bytes of data that may arrive between the moment a heartbeat is handed over and its arrival: what
/// the kernel is given and one run, and what the shaper lets through at once.
const AHEAD: usize = 128 * 1024;

const SOON: Duration = Duration::from_secs(20);

/// Sends data as fast as the port takes it, in runs of 1 to 44 packets.
async fn fill(port: Arc<Port>, destination: SocketAddr) {
    let bytes = vec![0; PACKET * RUN];
    for packets in (1..=RUN).cycle() {
        let run = Run {
            destination,
            source: None,
            ecn: None,
            bytes: &bytes[..packets * PACKET],
            stride: PACKET,
        };
        while port.send(&run).is_err() {
            port.writable().await.expect("the port lives");
        }
        tokio::task::yield_now().await;
    }
}

/// Sends a heartbeat as quinn does.
async fn beat(link: &Arc<QuicSocket>, destination: SocketAddr) {
    let mut poller = link.clone().create_io_poller();
    let heartbeat = Transmit {
        destination,
        ecn: None,
        contents: HEARTBEAT,
        segment_size: None,
        src_ip: None,
    };
    loop {
        let writable = poll_fn(|cx| poller.as_mut().poll_writable(cx));
        writable.await.expect("the port lives");
        if link.try_send(&heartbeat).is_ok() {
            return;
        }
    }
}

/// The most bytes of data that arrived while a heartbeat was on its way.
async fn most_ahead() -> usize {
    let local = "127.0.0.1:0".parse().expect("an address");
    let receiver = UdpSocket::bind(local).await.expect("a socket");
    let there = receiver.local_addr().expect("it is bound");
    let port = Port::bind(local).expect("a port");
    let link = QuicSocket::new(port.clone(), Door::new(&Limits::default()));
    let data = Arc::new(AtomicUsize::new(0));
    let (arrived, mut beats) = mpsc::channel(1);
    let counted = data.clone();
    let receive = tokio::spawn(async move {
        let mut packet = vec![0; 2 * PACKET];
        loop {
            let count = receiver.recv(&mut packet).await.expect("it is bound");
            match &packet[..count] == HEARTBEAT {
                true => arrived.send(()).await.expect("somebody waits"),
                false => drop(counted.fetch_add(count, Ordering::Relaxed)),
            }
        }
    });
    let fill = tokio::spawn(fill(port, there));
    let mut most = 0;
    for _ in 0..HEARTBEATS {
        // Until the interface is busy.
        let before = data.load(Ordering::Relaxed);
        while data.load(Ordering::Relaxed) < before + AHEAD {
            tokio::task::yield_now().await;
        }
        let handed_over = data.load(Ordering::Relaxed);
        beat(&link, there).await;
        let heartbeat = timeout(SOON, beats.recv()).await;
        heartbeat.expect("it was lost").expect("somebody receives");
        most = most.max(data.load(Ordering::Relaxed) - handed_over);
    }
    fill.abort();
    receive.abort();
    most
}

#[test]
fn a_heartbeat_waits_behind_little_data() {
    let place = Netns::create("slow").unwrap_or_else(|error| panic!("{error}"));
    let shaped = place
        .script("ip link set lo up; tc qdisc add dev lo root tbf rate 10mbit burst 20kb limit 4mb");
    shaped.unwrap_or_else(|error| panic!("{error}"));
    let host = Host::start(&place).unwrap_or_else(|error| panic!("{error:#}"));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime starts");
    let most = runtime.block_on(host.spawn(most_ahead())).expect("it ends");
    println!("{most} bytes of data ahead of a heartbeat at most");
    assert!(most <= AHEAD, "{most} bytes of data ahead of a heartbeat");
}
