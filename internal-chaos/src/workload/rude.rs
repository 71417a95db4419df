//! Clients without manners: they reset, close with unread data, end one half and wait, stop reading,
//! talk nonsense, say half of what they should or nothing, and stay for ever.
//!
//! Nothing that becomes of them is judged. What is: that nobody else feels them, and that nothing of
//! them is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::socks::{Proxy, Route, Target};

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Resets the connection with data under way both ways.
    Reset,
    /// Closes it while what came back is unread, which resets it, too (RFC 2525 section 2.17).
    CloseUnread,
    /// Ends its sending half, and goes without having read.
    HalfClose,
    /// Sends until nothing more is taken, and reads nothing.
    StopReading,
    /// Sends random bytes instead of SOCKS.
    Garbage,
    /// Connects to the proxy and says nothing.
    Silent,
    /// Greets, says half of its request, and stays.
    HalfRequest,
    /// Asks for a connection and resets before it hears of it.
    AskAndReset,
    /// Opens a connection, sends a byte, and is not heard of again.
    Vanish,
}

/// A load of rude clients, so many at once.
#[derive(Clone, Debug)]
pub struct Plan {
    pub proxy: Proxy,
    /// An echo server.
    pub echo: Target,
    pub clients: u32,
    pub time: Duration,
    pub seed: u64,
}

/// How long one stays, at most: a dozen come and go in a load of some seconds.
const STAY: Duration = Duration::from_millis(1_500);

/// Bytes sent before a connection is reset or closed.
const SOME: usize = 64 * 1024;

/// Between two clients of one place, at least: one that is refused at once must not spin.
const REST: Duration = Duration::from_millis(20);

impl Manner {
    pub const ALL: [Self; 9] = [
        Self::Reset,
        Self::CloseUnread,
        Self::HalfClose,
        Self::StopReading,
        Self::Garbage,
        Self::Silent,
        Self::HalfRequest,
        Self::AskAndReset,
        Self::Vanish,
    ];
}

/// Runs the load; returns how many clients there were. All of their connections are gone then.
pub async fn run(plan: &Plan) -> u64 {
    let came = Arc::new(AtomicU64::new(0));
    let until = Instant::now() + plan.time;
    let mut places = JoinSet::new();
    for place in 0..plan.clients {
        let (plan, came) = (plan.clone(), Arc::clone(&came));
        places.spawn(async move {
            let mut random = StdRng::seed_from_u64(plan.seed.wrapping_add(place.into()));
            let mut turn = place as usize;
            while Instant::now() < until {
                let manner = Manner::ALL[turn % Manner::ALL.len()];
                turn += 1;
                came.fetch_add(1, Ordering::Relaxed);
                let stay = STAY.mul_f64(random.random::<f64>());
                let mut garbage = vec![0; random.random_range(1..SOME)];
                random.fill_bytes(&mut garbage);
                // Whatever goes wrong is what such a client is for.
                let _ = timeout_at(until, behave(manner, &plan, stay, &garbage)).await;
                sleep(REST).await;
            }
        });
    }
    while places.join_next().await.is_some() {}
    came.load(Ordering::Relaxed)
}

/// One client. `stay` is for those that stay.
async fn behave(manner: Manner, plan: &Plan, stay: Duration, garbage: &[u8]) -> anyhow::Result<()> {
    let route = Route::Via(plan.proxy.clone());
    let through = || route.connect(&plan.echo);
    let straight = || TcpStream::connect(plan.proxy.address);
    match manner {
        Manner::Reset => {
            let mut stream = through().await?;
            stream.write_all(garbage).await?;
            stream.set_zero_linger()?;
        }
        Manner::CloseUnread => {
            let mut stream = through().await?;
            stream.write_all(garbage).await?;
            stream.readable().await?;
        }
        Manner::HalfClose => {
            let mut stream = through().await?;
            stream.write_all(garbage).await?;
            stream.shutdown().await?;
            sleep(stay).await;
        }
        Manner::StopReading => {
            let mut stream = through().await?;
            let ends = Instant::now() + stay;
            while let Ok(Ok(())) = timeout_at(ends, stream.write_all(garbage)).await {}
            sleep_until(ends).await;
        }
        Manner::Garbage => {
            let mut stream = straight().await?;
            stream.write_all(garbage).await?;
            stream.read_to_end(&mut Vec::new()).await?;
        }
        Manner::Silent => {
            let _stream = straight().await?;
            sleep(stay).await;
        }
        Manner::HalfRequest => {
            let mut stream = straight().await?;
            stream.write_all(&[5, 1, 0, 5, 1, 0, 1]).await?;
            sleep(stay).await;
        }
        Manner::AskAndReset => {
            let mut stream = straight().await?;
            let ask = [5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 9];
            stream.write_all(&ask).await?;
            stream.set_zero_linger()?;
        }
        Manner::Vanish => {
            let mut stream = through().await?;
            stream.write_u8(b'v').await?;
            sleep(plan.time).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A proxy that grants everything and echoes.
    async fn proxy() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut hello = [0; 13];
                    stream.read_exact(&mut hello[..3]).await?;
                    stream.write_all(&[5, 0]).await?;
                    stream.read_exact(&mut hello[3..]).await?;
                    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        Proxy {
            address,
            credentials: None,
        }
    }

    #[tokio::test]
    async fn clients_of_every_manner_come_and_leave_nothing() {
        let proxy = proxy().await;
        let plan = Plan {
            echo: Target::Address(proxy.address),
            proxy,
            clients: 9,
            time: Duration::from_millis(300),
            seed: 1,
        };
        let begun = Instant::now();
        assert!(run(&plan).await >= 9);
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}
