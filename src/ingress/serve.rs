//! One request of any front end: from what the client wants to its last byte.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use super::outcome::{Connected, Link, Outcome, Request};
use super::{Ingress, Routes};
use crate::record::{Side, StreamGuard};
use crate::tunnel::{OpenStream, relay, relay_own};

/// How long a refused client may take to close its side. Closing first with bytes of it unread
/// would turn our last reply into a reset.
const LINGER: Duration = Duration::from_secs(1);

/// Most bytes read from a refused client meanwhile.
const LINGER_BYTES: u64 = 64 * 1024;

impl<T: OpenStream, R: Routes> Ingress<T, R> {
    /// Connects what `tcp` asked for.
    pub(super) async fn fulfil(&self, request: &Request, tcp: &TcpStream) -> Outcome {
        let connected = tokio::select! {
            biased;
            outcome = self.connect(&request.target) => outcome,
            _ = tcp.ready(Interest::ERROR) => {
                self.metrics.connected("client_gone");
                return Outcome::ClientGone;
            }
        };
        match connected {
            Ok(connected) => {
                self.metrics.connected("connected");
                Outcome::Connected(connected)
            }
            Err(error) => {
                let refusal = error.refusal();
                debug!(user = request.user, %error, "request refused");
                self.metrics.connected(refusal.as_str());
                Outcome::Refused(refusal)
            }
        }
    }

    /// Lists the stream of a request that was fulfilled.
    pub(super) fn list(&self, request: &Request, connected: &Connected) -> StreamGuard {
        let (client, target) = (Some(request.client), request.target.to_string());
        self.streams
            .open(Side::Ingress, connected.exit, client, target)
    }
}

/// Relays until the connection has ended.
pub(super) async fn carry(tcp: TcpStream, link: Link, guard: &StreamGuard) {
    let end = match link {
        Link::Stream(stream) => relay(tcp, stream, guard).await,
        Link::Own(target, _place) => Box::pin(relay_own(tcp, target, guard)).await,
    };
    debug!(stream = ?guard.snapshot(), ?end, "stream ended");
}

/// Ends a refused client's connection so that it gets our last bytes.
pub(super) async fn close(tcp: &mut TcpStream) {
    if tcp.shutdown().await.is_err() {
        return;
    }
    let mut sink = tokio::io::sink();
    let mut rest = tcp.take(LINGER_BYTES);
    let drain = tokio::io::copy(&mut rest, &mut sink);
    // Whether it closed in time or not, we are done.
    let _ = timeout(LINGER, drain).await;
}
