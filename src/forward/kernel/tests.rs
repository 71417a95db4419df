//! Sends that the kernel refuses, over loopback.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::*;

const SOON: Duration = Duration::from_secs(5);

/// An address of documentation (RFC 5737): no host has it.
const GONE: &str = "192.0.2.1";

async fn port() -> KernelSocket {
    let port = KernelSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    port.writable().await.unwrap();
    port
}

/// Two packets of five bytes each.
fn run(destination: SocketAddr, source: Option<&str>) -> Transmit<'static> {
    Transmit {
        destination,
        src_ip: source.map(|ip| ip.parse().unwrap()),
        ecn: None,
        contents: b"firstagain",
        segment_size: Some(5),
    }
}

async fn receives_both(receiver: &UdpSocket) {
    for expected in [b"first", b"again"] {
        let mut packet = [0; 16];
        let received = timeout(SOON, receiver.recv(&mut packet));
        let count = received.await.expect("it was not sent").unwrap();
        assert_eq!(&packet[..count], expected);
    }
}

/// Segments that the kernel takes of the socket as it is now, and not by what was remembered.
fn segments(port: &KernelSocket) -> usize {
    port.state().max_gso_segments()
}

#[tokio::test]
async fn a_source_address_that_has_gone_costs_no_packet_and_no_segmentation() {
    let port = port().await;
    let before = segments(&port);
    let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let there = receiver.local_addr().unwrap();
    for _ in 0..3 {
        port.transmit(&run(there, Some(GONE))).unwrap();
        receives_both(&receiver).await;
        assert_eq!(segments(&port), before);
    }
    let gone = Refused::Source(GONE.parse().unwrap());
    assert!(port.refusals.holds(gone, Instant::now()));
    // It was the source and not the destination, so both leave with one system call again.
    let there = Refused::Segments(there);
    assert!(!port.refusals.holds(there, Instant::now()));
}

#[tokio::test]
async fn a_destination_that_takes_nothing_leaves_the_others_their_segmentation() {
    let port = port().await;
    let before = segments(&port);
    // The kernel sends to no port 0, segmented or not.
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    for _ in 0..3 {
        assert!(port.transmit(&run(nowhere, None)).is_err());
        assert!(port.transmit(&run(nowhere, Some(GONE))).is_err());
        assert_eq!(segments(&port), before);
    }
    let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    port.transmit(&run(receiver.local_addr().unwrap(), None))
        .unwrap();
    receives_both(&receiver).await;
}

#[tokio::test]
async fn what_cannot_be_segmented_goes_packet_by_packet() {
    let port = port().await;
    let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let there = receiver.local_addr().unwrap();
    let refused = Refused::Segments(there);
    port.refusals.note(refused, Instant::now());
    port.transmit(&run(there, None)).unwrap();
    receives_both(&receiver).await;
}

#[tokio::test]
async fn little_waits_ahead_of_a_heartbeat() {
    let port = port().await;
    let state = port.state();
    // Linux doubles what is asked for, to account for its own overhead.
    let send = state.send_buffer_size((&port.io).into()).unwrap();
    assert!(send <= 2 * SEND_BUFFER, "{send} bytes");
}
