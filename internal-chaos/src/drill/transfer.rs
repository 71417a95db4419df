//! The open connections of the drill: downloads and uploads that last until they are told to end,
//! every byte checked. Both ends live in this process and share a [`Transfer`].

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};

use crate::workload::bulk::{
    Direction, ReadUntil, Received, Request, TransferError, receive_watched, send_end, send_segment,
};
use crate::workload::pattern::{PatternError, SEGMENT};

/// How often a paced sender sends: the resolution of a stall.
const TICK: Duration = Duration::from_millis(5);

/// One connection's data, in one direction.
#[derive(Debug)]
pub struct Transfer {
    pub direction: Direction,
    /// Where in the pattern it begins; tells the transfers apart.
    pub seed: u64,
    /// Data bytes per [`TICK`]; `None` sends as fast as it goes.
    pace: Option<u64>,
    /// Whether to remember every read, not only their number.
    remember: bool,
    stopped: AtomicBool,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    reads: u64,
    /// Data and segment lengths.
    bytes: u64,
    arrivals: Vec<(Instant, usize)>,
    /// Data bytes that the sender sent in all.
    sent: Option<u64>,
    /// What the receiver found wrong.
    damage: Option<String>,
}

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Told to end, it did: the receiver has every byte that was sent.
    Complete,
    /// The connection ended early.
    Broken(String),
    /// Bytes were lost or altered.
    Damaged(String),
    /// Told to end, it did not in time.
    Hung,
}

impl Transfer {
    /// `rate` is in bytes per second.
    pub fn new(direction: Direction, seed: u64, rate: Option<u64>, remember: bool) -> Self {
        let per_tick = |rate: u64| {
            let bytes = u128::from(rate) * TICK.as_micros() / 1_000_000;
            u64::try_from(bytes).unwrap_or(SEGMENT).clamp(1, SEGMENT)
        };
        Self {
            direction,
            seed,
            pace: rate.map(per_tick),
            remember,
            stopped: AtomicBool::new(false),
            log: Mutex::default(),
        }
    }

    /// Tells the sender to end.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Reads at the receiving end so far.
    pub fn reads(&self) -> u64 {
        self.log().reads
    }

    /// Bytes that arrived so far.
    pub fn bytes(&self) -> u64 {
        self.log().bytes
    }

    /// When how much arrived, if it was to be remembered.
    pub fn take_arrivals(&self) -> Vec<(Instant, usize)> {
        std::mem::take(&mut self.log().arrivals)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // What a panicked thread logged is still true.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrived(&self, when: Instant, count: usize) {
        let mut log = self.log();
        log.reads += 1;
        log.bytes += count as u64;
        if self.remember {
            log.arrivals.push((when, count));
        }
    }

    /// Carries it over an open connection to the target, from the client's side.
    pub async fn carry(&self, mut stream: TcpStream) -> Ending {
        let carried = match self.direction {
            Direction::Download => self.download(&mut stream).await,
            Direction::Upload => self.upload(&mut stream).await,
        };
        let damage = self.log().damage.take();
        match (carried, damage) {
            (_, Some(damage)) => Ending::Damaged(damage),
            (Ok(ending), None) => ending,
            (Err(error), None) => judge(error),
        }
    }

    async fn request(&self, stream: &mut TcpStream) -> Result<(), TransferError> {
        let request = Request {
            direction: self.direction,
            seed: self.seed,
            bytes: u64::MAX,
            time: Duration::MAX,
        };
        stream.write_all(&request.encode()).await.map_err(broken(0))
    }

    async fn download(&self, stream: &mut TcpStream) -> Result<Ending, TransferError> {
        self.request(stream).await?;
        let received = self.receive(stream, ReadUntil::Close).await?;
        let sent = self.log().sent;
        Ok(compare(sent, received.bytes))
    }

    async fn upload(&self, stream: &mut TcpStream) -> Result<Ending, TransferError> {
        self.request(stream).await?;
        let sent = self.send(stream).await?;
        let checked = stream.read_u64().await.map_err(broken(sent))?;
        Ok(compare(Some(sent), checked))
    }

    /// The target's side.
    pub async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        match self.direction {
            Direction::Download => {
                // The client sees a broken connection itself.
                if let Ok(sent) = self.send(&mut stream).await {
                    self.log().sent = Some(sent);
                    stream.shutdown().await?;
                }
            }
            Direction::Upload => match self.receive(&mut stream, ReadUntil::Complete).await {
                Ok(received) => {
                    stream.write_all(&received.bytes.to_be_bytes()).await?;
                    stream.shutdown().await?;
                }
                Err(error) => {
                    if let Ending::Damaged(damage) = judge(error) {
                        self.log().damage = Some(damage);
                    }
                }
            },
        }
        Ok(())
    }

    async fn receive(
        &self,
        stream: &mut TcpStream,
        until: ReadUntil,
    ) -> Result<Received, TransferError> {
        let watch = |when, count| self.arrived(when, count);
        receive_watched(stream, self.seed, until, watch).await
    }

    async fn send<W: AsyncWrite + Unpin>(&self, stream: &mut W) -> Result<u64, TransferError> {
        let mut tick = interval(TICK);
        // No burst after a stall: what was not sent then is not owed.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sent = 0;
        while !self.stopped.load(Ordering::Relaxed) {
            if self.pace.is_some() {
                tick.tick().await;
            }
            let length = self.pace.unwrap_or(SEGMENT);
            send_segment(stream, self.seed, sent, length).await?;
            sent += length;
        }
        send_end(stream, sent).await?;
        Ok(sent)
    }
}

fn broken(bytes: u64) -> impl Fn(io::Error) -> TransferError {
    move |source| TransferError::Io { bytes, source }
}

fn compare(sent: Option<u64>, checked: u64) -> Ending {
    if sent == Some(checked) {
        Ending::Complete
    } else {
        Ending::Damaged(format!("{sent:?} bytes were sent, {checked} arrived"))
    }
}

fn judge(error: TransferError) -> Ending {
    match error {
        TransferError::Io { bytes, source } => {
            Ending::Broken(format!("after {bytes} bytes: {source}"))
        }
        TransferError::Pattern(PatternError::Truncated { offset }) => {
            Ending::Broken(format!("closed after {offset} bytes"))
        }
        TransferError::Pattern(error) => Ending::Damaged(error.to_string()),
    }
}

/// The transfers that the target may be asked for, by their seeds.
#[derive(Debug, Default)]
pub struct Book {
    open: Mutex<BTreeMap<u64, Arc<Transfer>>>,
}

impl Book {
    /// Announces a transfer.
    pub fn enter(&self, transfer: &Arc<Transfer>) {
        self.open().insert(transfer.seed, Arc::clone(transfer));
    }

    /// Forgets all transfers.
    pub fn clear(&self) {
        self.open().clear();
    }

    /// Who was asked for.
    pub fn find(&self, request: Request) -> Option<Arc<Transfer>> {
        let transfer = self.open().get(&request.seed).cloned();
        transfer.filter(|transfer| transfer.direction == request.direction)
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Transfer>>> {
        // A map is whole between two calls.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, server) = tokio::join!(client, listener.accept());
        (client.unwrap(), server.unwrap().0)
    }

    /// The target's side: the request, then the transfer.
    async fn serve(transfer: &Transfer, mut stream: TcpStream) {
        let mut wire = [0; Request::LENGTH];
        stream.read_exact(&mut wire).await.unwrap();
        assert_eq!(Request::decode(&wire).unwrap().seed, transfer.seed);
        transfer.serve(stream).await.unwrap();
    }

    #[tokio::test]
    async fn transfers_end_complete_when_told() {
        for direction in [Direction::Download, Direction::Upload] {
            for rate in [Some(1_000_000), None] {
                let transfer = Transfer::new(direction, 7, rate, true);
                let (client, server) = pair().await;
                let until_some_arrived = async {
                    while transfer.reads() < 3 {
                        tokio::task::yield_now().await;
                    }
                    transfer.stop();
                };
                let (ending, (), ()) = tokio::join!(
                    transfer.carry(client),
                    serve(&transfer, server),
                    until_some_arrived
                );
                assert_eq!(ending, Ending::Complete, "{direction:?}");
                let arrived: usize = transfer.take_arrivals().iter().map(|read| read.1).sum();
                assert_eq!(arrived as u64, transfer.bytes());
            }
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_early_is_broken() {
        let transfer = Transfer::new(Direction::Download, 7, Some(1_000_000), false);
        let (client, server) = pair().await;
        let (ending, ()) = tokio::join!(transfer.carry(client), async {
            let mut server = server;
            let mut wire = [0; Request::LENGTH];
            server.read_exact(&mut wire).await.unwrap();
        });
        assert!(matches!(ending, Ending::Broken(_)), "{ending:?}");
    }

    #[tokio::test]
    async fn altered_bytes_are_damage_at_either_end() {
        for direction in [Direction::Download, Direction::Upload] {
            let (client, server) = pair().await;
            let transfer = Transfer::new(direction, 7, Some(1_000_000), false);
            let other = Transfer::new(direction, 8, Some(1_000_000), false);
            let ending = match direction {
                Direction::Download => {
                    let (ending, _) = tokio::join!(transfer.carry(client), other.serve(server));
                    ending
                }
                Direction::Upload => {
                    let (_, ending) = tokio::join!(transfer.serve(server), other.send_all(client));
                    ending.expect("the receiver hangs up");
                    Ending::Damaged(transfer.log().damage.take().unwrap())
                }
            };
            assert!(matches!(ending, Ending::Damaged(_)), "{ending:?}");
        }
    }

    impl Transfer {
        /// Sends until the other side hangs up.
        async fn send_all(&self, mut stream: TcpStream) -> io::Result<()> {
            let _ = self.send(&mut stream).await;
            Ok(())
        }
    }
}
