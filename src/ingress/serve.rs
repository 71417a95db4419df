//! One request of any front end: from what the client wants to its last byte.

use tokio::io::Interest;
use tokio::net::TcpStream;
use tracing::debug;

use super::outcome::{Connected, Link, Outcome, Request};
use super::{Ingress, Routes};
use crate::record::{Side, StreamGuard};
use crate::tunnel::{OpenStream, relay, relay_own};

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
