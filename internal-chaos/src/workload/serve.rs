//! The target servers: one echoes, one serves loads that check themselves, one only accepts.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::checked::{self, Ledger};
use crate::host::Host;

/// Connections that one server keeps at once; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 20_000;

/// The longest that one connection may live: longer than any load, so that nothing stays for ever.
const CONNECTION_LIMIT: Duration = Duration::from_secs(2 * 3_600);

/// What a server does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Sends back what arrives.
    Echo,
    /// The other side of [`super::checked`].
    Checked,
    /// Closes it.
    Close,
}

/// Serves until dropped. Connections run as tasks of their own and outlive the listener; `look` hears
/// of each while it is open: the other end, and ours. `ledger` is what loads that check themselves
/// share with their target.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    ledger: Arc<Ledger>,
    look: impl Fn(SocketAddr, SocketAddr),
) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let (stream, peer) = listener.accept().await?;
        if service == Service::Close {
            continue;
        }
        if let Ok(own) = stream.local_addr() {
            look(peer, own);
        }
        let ledger = Arc::clone(&ledger);
        tokio::spawn(async move {
            // A broken connection is the client's to report.
            let served = answer(service, stream, &ledger);
            let _ = tokio::time::timeout(CONNECTION_LIMIT, served).await;
            drop(slot);
        });
    }
    Ok(())
}

/// Listens on a thread and serves there: until the handle is aborted, or the thread ends.
pub async fn open(
    host: &Host,
    address: SocketAddr,
    service: Service,
    ledger: &Arc<Ledger>,
    look: impl Fn(SocketAddr, SocketAddr) + Send + 'static,
) -> anyhow::Result<JoinHandle<io::Result<()>>> {
    let listener = host.spawn(TcpListener::bind(address)).await?;
    let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
    Ok(host.spawn(serve(listener, service, Arc::clone(ledger), look)))
}

async fn answer(service: Service, stream: TcpStream, ledger: &Ledger) -> io::Result<()> {
    match service {
        Service::Checked => checked::serve(stream, ledger, CONNECTION_LIMIT).await,
        Service::Echo => echo(stream).await,
        Service::Close => Ok(()),
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
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

#[cfg(test)]
mod tests;
