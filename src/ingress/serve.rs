//! One client from its first byte to its last.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fast_socks5::ReplyError;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use super::connect::{Connected, Link, describe};
use super::socks::{Destination, HandshakeError, handshake, reply_connected, reply_error};
use super::{Ingress, Routes};
use crate::limit::{Network, Share};
use crate::tunnel::{OpenStream, Side, StreamGuard, relay, relay_own, tune};

/// How long a refused client may take to close its side. Closing first with bytes of it unread
/// would turn our last reply into a reset.
const LINGER: Duration = Duration::from_secs(1);

/// Most bytes read from a refused client meanwhile.
const LINGER_BYTES: u64 = 64 * 1024;

impl<T: OpenStream, R: Routes> Ingress<T, R> {
    /// Serves one client until its connection ends. Its `handshake` ends with its request.
    pub(super) async fn serve(
        &self,
        tcp: TcpStream,
        client: SocketAddr,
        handshake: Share<Network>,
    ) {
        // What happens before the relay is large and short-lived: it gets a box of its own.
        let Some((tcp, link, guard)) = Box::pin(self.establish(tcp, client, handshake)).await
        else {
            return;
        };
        let end = match link {
            Link::Stream(stream) => relay(tcp, stream, &guard).await,
            Link::Own(target, _place) => Box::pin(relay_own(tcp, target, &guard)).await,
        };
        debug!(stream = ?guard.snapshot(), ?end, "stream ended");
    }

    /// Handshake, connect and reply; `None` if the client is done with.
    async fn establish(
        &self,
        mut tcp: TcpStream,
        client: SocketAddr,
        handshake: Share<Network>,
    ) -> Option<(TcpStream, Link, StreamGuard)> {
        // Fails only on a socket that is gone already, which the first read reports.
        let _ = tune(&tcp);
        let destination = self.admit_request(&mut tcp, client.ip()).await?;
        drop(handshake);
        let connected = tokio::select! {
            biased;
            outcome = self.connect(&destination) => outcome,
            // The client reset its connection: nobody waits for the outcome.
            _ = tcp.ready(Interest::ERROR) => {
                self.metrics.connected("client_gone");
                return None;
            }
        };
        match connected {
            Ok(Connected { link, exit, bound }) => {
                self.metrics.connected("connected");
                let target = describe(&destination);
                let guard = self.streams.open(Side::Ingress, exit, Some(client), target);
                reply_connected(&mut tcp, bound).await.ok()?;
                Some((tcp, link, guard))
            }
            Err(error) => {
                debug!(%error, "request refused");
                self.metrics.connected(error.result());
                self.refuse(tcp, error.reply()).await;
                None
            }
        }
    }

    /// The client's request; `None` if it made none in time.
    async fn admit_request(&self, tcp: &mut TcpStream, client: IpAddr) -> Option<Destination> {
        let shake = handshake(tcp, self.users.as_ref(), client);
        match timeout(self.handshake_timeout, shake).await {
            Ok(Ok(destination)) => Some(destination),
            Ok(Err(error)) => {
                debug!(%error, "handshake failed");
                self.metrics.handshake_failed(error.reason());
                if let (HandshakeError::Stranger(stranger), Ok(port)) = (error, tcp.local_addr()) {
                    // One that has left hears nothing.
                    let _ = tcp.write_all(&stranger.answer(port)).await;
                }
                close(tcp).await;
                None
            }
            Err(_) => {
                self.metrics.handshake_failed("timed_out");
                None
            }
        }
    }

    async fn refuse(&self, mut tcp: TcpStream, error: ReplyError) {
        if reply_error(&mut tcp, error).await.is_ok() {
            close(&mut tcp).await;
        }
    }
}

/// Ends a refused client's connection so that it gets our last bytes.
async fn close(tcp: &mut TcpStream) {
    if tcp.shutdown().await.is_err() {
        return;
    }
    let mut sink = tokio::io::sink();
    let mut rest = tcp.take(LINGER_BYTES);
    let drain = tokio::io::copy(&mut rest, &mut sink);
    // Whether it closed in time or not, we are done.
    let _ = timeout(LINGER, drain).await;
}
