//! The application under test: one stream with checked bytes both ways, a piece every few
//! milliseconds, and the times at which they arrived.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use quinn::{RecvStream, SendStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use warren::identity::AgentId;
use warren::tunnel::{AcceptedSession, OpenStream};

use crate::rng::Rng;

/// Between two pieces. Shorter than 30 ms, so that a session's silence means its path's.
const PACE: Duration = Duration::from_millis(10);

/// Bytes of a piece: together with its headers about half a packet.
const PIECE: usize = 600;

/// After this long a transfer that was told to end has not ended.
const END_WITHIN: Duration = Duration::from_secs(300);

/// Prime, so that no shift by packets or pieces hides.
const PATTERN: usize = 65_521;

/// What every stream carries, twice over.
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut rng = Rng::new(0x7ea5);
    let mut bytes: Vec<u8> = (0..PATTERN).map(|_| rng.next() as u8).collect();
    bytes.extend_from_within(..);
    bytes
});

/// One direction's receiving end.
#[derive(Default)]
struct Received {
    /// When bytes came.
    arrivals: Mutex<Vec<Instant>>,
}

/// Both receiving ends and what they were sent, shared by the two ends of the stream.
#[derive(Default)]
pub(crate) struct Ledger {
    up: Received,
    down: Received,
    /// Times [`PIECE`] that a piece has, less one.
    pub(crate) bulk: AtomicUsize,
    down_sent: Mutex<Option<u64>>,
    up_received: Mutex<Option<u64>>,
}

/// A running transfer.
pub(crate) struct Transfer {
    ledger: Arc<Ledger>,
    stop: watch::Sender<bool>,
    sender: JoinHandle<u64>,
    receiver: JoinHandle<u64>,
}

impl Ledger {
    /// When both directions had got something; `None`: they have not.
    pub(crate) fn both_began(&self) -> Option<Instant> {
        self.up
            .first()
            .zip(self.down.first())
            .map(|(up, down)| up.max(down))
    }

    /// The longest time without a byte in either direction that touches `from..to`.
    pub(crate) fn stall(&self, from: Instant, to: Instant) -> Duration {
        self.up.stall(from, to).max(self.down.stall(from, to))
    }
}

impl Received {
    fn note(&self) {
        self.arrivals.lock().unwrap().push(Instant::now());
    }

    fn first(&self) -> Option<Instant> {
        self.arrivals.lock().unwrap().first().copied()
    }

    fn stall(&self, from: Instant, to: Instant) -> Duration {
        let arrivals = self.arrivals.lock().unwrap();
        let touching = arrivals
            .windows(2)
            .filter(|pair| pair[1] > from && pair[0] < to)
            .map(|pair| pair[1] - pair[0]);
        let last = arrivals.last().copied().filter(|last| *last < to);
        let open = last.map(|last| to - last.max(from));
        touching.chain(open).max().unwrap_or(to - from)
    }
}

impl Transfer {
    /// Opens a stream to `exit` and starts both directions.
    pub(crate) async fn open(opener: &impl OpenStream, exit: AgentId, ledger: Arc<Ledger>) -> Self {
        let stream = opener.open(exit).await.expect("there is a path");
        let (stop, stopped) = watch::channel(false);
        let received = ledger.clone();
        Self {
            ledger,
            stop,
            sender: tokio::spawn(send(stream.send, stopped, received.clone())),
            receiver: tokio::spawn(async move { receive(stream.recv, &received.down).await }),
        }
    }

    /// Ends both directions in order and compares what was sent with what came; tells how much.
    pub(crate) async fn finish(self) -> u64 {
        self.stop.send_replace(true);
        let ended = timeout(END_WITHIN, async {
            (self.sender.await, self.receiver.await)
        });
        let (sent, received) = ended.await.expect("the transfer does not end");
        let (sent, received) = (sent.unwrap(), received.unwrap());
        let far = (
            *self.ledger.up_received.lock().unwrap(),
            *self.ledger.down_sent.lock().unwrap(),
        );
        assert_eq!(far, (Some(sent), Some(received)), "bytes lost");
        sent + received
    }
}

/// The exit's side: serves each stream of each session.
pub(crate) async fn serve(mut sessions: mpsc::Receiver<AcceptedSession>, ledger: Arc<Ledger>) {
    while let Some(session) = sessions.recv().await {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            while let Ok((send, recv)) = session.connection.accept_bi().await {
                tokio::spawn(answer(send, recv, ledger.clone()));
            }
        });
    }
}

/// Sends until the other side has sent all.
async fn answer(to: SendStream, from: RecvStream, ledger: Arc<Ledger>) {
    let (stop, stopped) = watch::channel(false);
    let sender = tokio::spawn(send(to, stopped, ledger.clone()));
    let received = receive(from, &ledger.up).await;
    *ledger.up_received.lock().unwrap() = Some(received);
    stop.send_replace(true);
    *ledger.down_sent.lock().unwrap() = Some(sender.await.unwrap());
}

/// Sends pieces until told to stop; returns how many bytes.
async fn send(mut stream: SendStream, stopped: watch::Receiver<bool>, ledger: Arc<Ledger>) -> u64 {
    let mut sent = 0;
    while !*stopped.borrow() {
        let at = sent % PATTERN;
        let size = PIECE * (1 + ledger.bulk.load(Ordering::Relaxed));
        let piece = &BYTES[at..at + size];
        stream.write_all(piece).await.expect("the stream lives");
        sent += size;
        sleep(PACE).await;
    }
    stream.finish().expect("the stream lives");
    sent as u64
}

/// Receives to the end and checks every byte; returns how many.
async fn receive(mut stream: RecvStream, received: &Received) -> u64 {
    let mut count = 0;
    while let Some(chunk) = stream
        .read_chunk(PATTERN, true)
        .await
        .expect("the stream lives")
    {
        let at = count % PATTERN;
        assert_eq!(
            chunk.bytes,
            BYTES[at..at + chunk.bytes.len()],
            "wrong bytes"
        );
        count += chunk.bytes.len();
        received.note();
    }
    count as u64
}
