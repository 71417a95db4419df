//! The target servers: one answers bulk requests, one echoes, one serves loads that check themselves.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::bulk::{self, Direction, ReadUntil, Request};
use super::checked::{self, Ledger};

/// Connections that one server keeps at once; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 20_000;

/// The longest that one connection may live: longer than any load, so that nothing stays for ever.
const CONNECTION_LIMIT: Duration = Duration::from_secs(900);

/// What a server does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Sends or checks the pattern, as requested.
    Bulk,
    /// Sends back what arrives.
    Echo,
    /// The other side of [`super::checked`].
    Checked,
}

/// A bound server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    service: Service,
    ledger: Arc<Ledger>,
}

impl Server {
    /// Binds to `address`; port 0 picks one.
    pub async fn bind(address: SocketAddr, service: Service) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            listener,
            service,
            ledger: Arc::default(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What a server of [`Service::Checked`] saw of uploads.
    pub fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger)
    }

    /// Serves until dropped. Connections run as tasks of their own.
    pub async fn run(self) -> io::Result<()> {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return Ok(());
            };
            let (stream, _) = self.listener.accept().await?;
            let service = self.service;
            let ledger = Arc::clone(&self.ledger);
            tokio::spawn(async move {
                // A broken connection is the client's to report.
                let served = answer(service, stream, &ledger);
                let _ = tokio::time::timeout(CONNECTION_LIMIT, served).await;
                drop(slot);
            });
        }
    }
}

/// Serves one connection to its end.
pub(crate) async fn answer(
    service: Service,
    stream: TcpStream,
    ledger: &Ledger,
) -> anyhow::Result<()> {
    match service {
        Service::Checked => Ok(checked::serve(stream, ledger, CONNECTION_LIMIT).await?),
        Service::Bulk => bulk_service(stream).await,
        Service::Echo => echo_service(stream).await,
    }
}

async fn bulk_service(mut stream: TcpStream) -> anyhow::Result<()> {
    let mut wire = [0; Request::LENGTH];
    stream.read_exact(&mut wire).await?;
    let Some(request) = Request::decode(&wire) else {
        anyhow::bail!("not a request");
    };
    match request.direction {
        Direction::Download => {
            bulk::send(&mut stream, request).await?;
        }
        Direction::Upload => {
            let received = bulk::receive(&mut stream, request.seed, ReadUntil::Complete).await?;
            stream.write_all(&received.bytes.to_be_bytes()).await?;
        }
    }
    stream.shutdown().await?;
    Ok(())
}

async fn echo_service(mut stream: TcpStream) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    // Small, because thousands of idle connections wait here.
    let mut buffer = [0; 512];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

/// Runs `servers` until `time` is over.
pub async fn serve_for(servers: Vec<Server>, time: Duration) -> io::Result<()> {
    let mut tasks = tokio::task::JoinSet::new();
    for server in servers {
        tasks.spawn(server.run());
    }
    first_failure(tasks.join_next(), time).await
}

/// `Ok` when `time` is over before a server fails.
async fn first_failure(
    joined: impl Future<Output = Option<Result<io::Result<()>, tokio::task::JoinError>>>,
    time: Duration,
) -> io::Result<()> {
    match tokio::time::timeout(time, joined).await {
        Err(_) | Ok(None) => Ok(()),
        Ok(Some(result)) => result.map_err(io::Error::other)?,
    }
}

#[cfg(test)]
mod tests;
