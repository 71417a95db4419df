//! Two ends with the settings of a session and a wire between them, in virtual time.

use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use quinn::{AsyncUdpSocket, Connection, SendStream, UdpPoller};
use quinn_udp::{RecvMeta, Transmit};
use tokio::sync::mpsc;
use tokio::time::Sleep;

use super::*;
use crate::clock;
use crate::config::Congestion;
use crate::forward::testing::Writable;
use crate::tunnel::testing::configs;

const MS: Duration = Duration::from_millis(1);

/// One end of a wire: what leaves arrives at the other end half a round trip later, unless it is cut.
#[derive(Debug)]
struct End {
    address: SocketAddr,
    delay: Duration,
    cut: Arc<AtomicBool>,
    leaves: mpsc::UnboundedSender<Packet>,
    arrives: Mutex<Arriving>,
}

#[derive(Debug)]
struct Packet {
    due: Instant,
    from: SocketAddr,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Arriving {
    packets: mpsc::UnboundedReceiver<Packet>,
    next: Option<(Packet, Pin<Box<Sleep>>)>,
}

impl AsyncUdpSocket for End {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if !self.cut.load(Ordering::Relaxed) {
            let packet = Packet {
                due: clock::now() + self.delay,
                from: self.address,
                bytes: transmit.contents.to_vec(),
            };
            // Fails once the other end is gone.
            let _ = self.leaves.send(packet);
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut arriving = self.arrives.lock().unwrap();
        if arriving.next.is_none() {
            let Some(packet) = ready!(arriving.packets.poll_recv(cx)) else {
                return Poll::Pending;
            };
            let sleep = tokio::time::sleep_until(packet.due.into());
            arriving.next = Some((packet, Box::pin(sleep)));
        }
        let (_, sleep) = arriving.next.as_mut().unwrap();
        ready!(sleep.as_mut().poll(cx));
        let (packet, _) = arriving.next.take().unwrap();
        let len = packet.bytes.len();
        bufs[0][..len].copy_from_slice(&packet.bytes);
        meta[0] = RecvMeta {
            addr: packet.from,
            len,
            stride: len,
            ecn: None,
            dst_ip: None,
        };
        Poll::Ready(Ok(1))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    fn max_transmit_segments(&self) -> usize {
        1
    }
}

struct World {
    near: Connection,
    /// Reads whatever comes.
    _far: Connection,
    cut: Arc<AtomicBool>,
    _endpoints: [Endpoint; 2],
}

impl World {
    async fn new(rtt: Duration) -> Self {
        let cut = Arc::new(AtomicBool::new(false));
        let addresses = [1, 2].map(|port| SocketAddr::from(([10, 0, 0, 1], port)));
        let (to_far, at_far) = mpsc::unbounded_channel();
        let (to_near, at_near) = mpsc::unbounded_channel();
        let end = |address, leaves, packets| {
            Arc::new(End {
                address,
                delay: rtt / 2,
                cut: cut.clone(),
                leaves,
                arrives: Mutex::new(Arriving {
                    packets,
                    next: None,
                }),
            })
        };
        let settings = SessionSettings {
            packet: 1_400,
            rtt,
            streams: 100,
            window: 256 * 1024,
            congestion: Congestion::Bbr,
        };
        let (server, client) = configs(transport(settings, Arc::default(), settings.streams));
        let endpoint = |end, server| {
            let runtime = Arc::new(TokioRuntime);
            let config = EndpointConfig::default();
            Endpoint::new_with_abstract_socket(config, server, end, runtime).unwrap()
        };
        let far = endpoint(end(addresses[1], to_near, at_far), Some(server));
        let near = endpoint(end(addresses[0], to_far, at_near), None);
        let connecting = near
            .connect_with(client, addresses[1], "exit.test")
            .unwrap();
        let accepted = async { far.accept().await.unwrap().await.unwrap() };
        let (connected, accepted) = tokio::join!(connecting, accepted);
        let reader = accepted.clone();
        tokio::spawn(async move {
            while let Ok((_send, mut recv)) = reader.accept_bi().await {
                while let Ok(Some(_)) = recv.read_chunk(usize::MAX, true).await {}
            }
        });
        Self {
            near: connected.unwrap(),
            _far: accepted,
            cut,
            _endpoints: [far, near],
        }
    }

    async fn stream(&self) -> SendStream {
        self.near.open_bi().await.unwrap().0
    }

    fn window(&self) -> u64 {
        self.near.stats().path.cwnd
    }
}

#[tokio::test(start_paused = true)]
async fn a_flight_of_a_few_packets_is_acknowledged_soon() {
    let rtt = 2 * MS;
    let world = World::new(rtt).await;
    // The other end knows how often to acknowledge once it was told.
    tokio::time::sleep(100 * MS).await;
    let begun = clock::now();
    for _ in 0..20 {
        let mut send = world.stream().await;
        send.write_all(&[7; 12_000]).await.unwrap();
        send.finish().unwrap();
        send.stopped().await.unwrap();
    }
    let each = (clock::now() - begun) / 20;
    assert!(each <= rtt + 3 * MS, "{each:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silence_too_short_for_a_doubt_costs_a_part_of_the_window_only() {
    let world = World::new(MS).await;
    let mut send = world.stream().await;
    let writing = tokio::spawn(async move { while send.write_all(&[7; 64_000]).await.is_ok() {} });
    tokio::time::sleep(100 * MS).await;
    let before = world.window();
    world.cut.store(true, Ordering::Relaxed);
    tokio::time::sleep(90 * MS).await;
    world.cut.store(false, Ordering::Relaxed);
    let mut least = before;
    for _ in 0..50 {
        tokio::time::sleep(MS).await;
        least = least.min(world.window());
    }
    let lost = world.near.stats().path.lost_packets;
    assert!(lost > 0, "nothing was lost");
    assert!(least > before / 3, "{before} bytes became {least}");
    writing.abort();
}
