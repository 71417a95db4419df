//! The target's side of one connection.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::Instant;

use super::chain::{Chain, LARGEST};
use super::flow::{self, Until, receive, send};
use super::ledger::Ledger;
use super::protocol::{Answer, Mode, Request};
use super::watch::Watch;

/// Serves one connection to its end. `limit` is the longest that it may live.
pub(in crate::workload) async fn serve(
    stream: TcpStream,
    ledger: &Ledger,
    limit: Duration,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let deadline = Instant::now() + limit;
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::with_capacity(LARGEST, read);
    let request = Request::read(&mut read).await?;
    let watch = ledger.watch(request.seed);
    let (seed, limits) = (request.down_seed(), request.limits());
    match request.mode {
        Mode::Streams { down, up } => {
            let sending = async {
                match down {
                    true => send(&mut write, seed, limits, &watch).await,
                    false => Ok(0),
                }
            };
            let receiving = async {
                match up {
                    true => {
                        let until = Until::LastRecord;
                        Some(record(&mut read, &request, until, ledger, (deadline, &watch)).await)
                    }
                    false => None,
                }
            };
            // If the client is gone, both notice.
            let (sent, answer) = tokio::join!(sending, receiving);
            sent?;
            if let Some(answer) = answer {
                answer.write(&mut write).await?;
            }
            close(read, write).await
        }
        Mode::HalfClose => {
            let until = Until::Close;
            let answer = record(&mut read, &request, until, ledger, (deadline, &watch)).await;
            answer.write(&mut write).await?;
            send(&mut write, seed, limits, &watch).await?;
            close(read, write).await
        }
        Mode::Request => {
            let mut chain = Chain::new(seed);
            loop {
                match read.read_u32().await? {
                    0 => break,
                    length => {
                        let length = usize::try_from(length).unwrap_or(LARGEST);
                        flow::write(&mut write, &chain.record(length)).await?;
                    }
                }
            }
            flow::write(&mut write, &chain.end()).await?;
            close(read, write).await
        }
    }
}

/// Receives an upload and writes down what came.
async fn record(
    read: &mut BufReader<OwnedReadHalf>,
    request: &Request,
    until: Until,
    ledger: &Ledger,
    watched: (Instant, &Watch),
) -> Answer {
    let received = receive(read, request.seed, until, None, watched).await;
    let answer = Answer::from(received);
    ledger.enter(request.seed, answer.clone());
    answer
}

/// Closes the target's side, and takes what still comes: closing with unread data would reset the
/// connection, and the answer with it.
async fn close(mut read: BufReader<OwnedReadHalf>, mut write: OwnedWriteHalf) -> io::Result<()> {
    write.shutdown().await?;
    tokio::io::copy(&mut read, &mut tokio::io::sink()).await?;
    Ok(())
}
