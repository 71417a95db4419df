//! The receive loop at a port that takes no more, in virtual time.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use quinn::UdpPoller;
use quinn_udp::Transmit;
use tokio::time::Instant;

use super::*;

/// A socket that has much to receive and sends nothing.
#[derive(Debug)]
struct Full {
    arrived: Mutex<VecDeque<Vec<u8>>>,
}

/// A neighbour behind another port.
const ASIDE: u8 = 4;

const ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 4_433);

impl AsyncUdpSocket for Full {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Never)
    }

    fn try_send(&self, _: &Transmit<'_>) -> io::Result<()> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn poll_recv(
        &self,
        _: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut arrived = self.arrived.lock().unwrap();
        let count = arrived.len().min(bufs.len());
        for (packet, (buffer, meta)) in arrived.drain(..count).zip(bufs.iter_mut().zip(meta)) {
            buffer[..packet.len()].copy_from_slice(&packet);
            *meta = RecvMeta {
                addr: ADDRESS.into(),
                len: packet.len(),
                stride: packet.len(),
                ..RecvMeta::default()
            };
        }
        match count {
            0 => Poll::Pending,
            _ => Poll::Ready(Ok(count)),
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(ADDRESS.into())
    }
}

#[derive(Debug)]
struct Never;

impl UdpPoller for Never {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_behind_a_flood_for_two_full_ports_waits_once() {
    let (fib, _reports) = Fib::new(short(OWN), true);
    let onward = |next| packet(PacketType::ToExit, TOKEN_IN, &[OWN, next], b"data");
    let in_turn = (0..1_000).map(|n| onward(if n % 2 == 0 { NEXT } else { ASIDE }));
    let mut arrived: VecDeque<_> = in_turn.collect();
    arrived.push_back(b"\x40heartbeat".to_vec());
    let arrived = Mutex::new(arrived);
    let port = Port::over(Arc::new(Full { arrived })).unwrap();
    let remote = Remote {
        address: ADDRESS.into(),
        source: None,
    };
    let adjacency = |number| Adjacency::new(agent(number), port.clone(), remote, TOKEN_OUT);
    fib.admit(TOKEN_IN, adjacency(PREVIOUS));
    fib.insert(adjacency(NEXT));
    let arrived = Mutex::default();
    let other = Port::over(Arc::new(Full { arrived })).unwrap();
    fib.insert(Adjacency::new(agent(ASIDE), other, remote, TOKEN_OUT));
    let quic = QuicSocket::new(port.clone(), Door::new(&Limits::default()));
    let began = Instant::now();
    let pool = BufferPool::default();
    let task = tokio::spawn(receive(
        port,
        quic.clone(),
        fib.clone(),
        Local::default(),
        pool,
    ));
    let (mut memory, mut meta) = ([0; 1_472], [RecvMeta::default()]);
    let mut slices = [IoSliceMut::new(&mut memory)];
    let taken = poll_fn(|cx| quic.poll_recv(cx, &mut slices, &mut meta));
    taken.await.unwrap();
    let waited = began.elapsed();
    assert!(waited <= Duration::from_millis(20), "{waited:?}");
    assert_eq!(fib.metrics.dropped_count(DropReason::Blocked), 1_000);
    task.abort();
}
