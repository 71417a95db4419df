//! The front end that speaks SOCKS5: a client from its first byte to its last.

mod error;
mod handshake;
mod password;
mod reply;
mod stranger;

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use super::outcome::{Link, Outcome, Request};
use super::serve::{carry, close};
use super::{Ingress, Routes};
use crate::limit::{Network, Share};
use crate::record::StreamGuard;
use crate::tunnel::{OpenStream, tune};

pub use error::HandshakeError;
pub use handshake::handshake;

/// Serves one client until its connection ends. Its `place` among those that have not said what they
/// want is given back with its request.
pub(super) async fn serve<T: OpenStream, R: Routes>(
    ingress: &Ingress<T, R>,
    tcp: TcpStream,
    client: SocketAddr,
    place: Share<Network>,
) {
    // What happens before the relay is large and short-lived: it gets a box of its own.
    let established = Box::pin(establish(ingress, tcp, client, place)).await;
    if let Some((tcp, link, guard)) = established {
        carry(tcp, link, &guard).await;
    }
}

/// Handshake, connect and reply; `None` if the client is done with.
async fn establish<T: OpenStream, R: Routes>(
    ingress: &Ingress<T, R>,
    mut tcp: TcpStream,
    client: SocketAddr,
    place: Share<Network>,
) -> Option<(TcpStream, Link, StreamGuard)> {
    // Fails only on a socket that is gone already, which the first read reports.
    let _ = tune(&tcp);
    let request = admit(ingress, &mut tcp, client).await?;
    drop(place);
    match ingress.fulfil(&request, &tcp).await {
        Outcome::Connected(connected) => {
            let guard = ingress.list(&request, &connected);
            let told = reply::connected(&mut tcp, connected.bound).await;
            told.ok().map(|()| (tcp, connected.link, guard))
        }
        Outcome::Refused(refusal) => {
            if reply::refused(&mut tcp, refusal).await.is_ok() {
                close(&mut tcp).await;
            }
            None
        }
        Outcome::ClientGone => None,
    }
}

/// The client's request; `None` if it made none in time.
async fn admit<T: OpenStream, R: Routes>(
    ingress: &Ingress<T, R>,
    tcp: &mut TcpStream,
    client: SocketAddr,
) -> Option<Request> {
    let settings = ingress.settings();
    let shake = handshake(tcp, settings.users.as_deref(), client);
    match timeout(ingress.handshake_timeout, shake).await {
        Ok(Ok(request)) => Some(request),
        Ok(Err(error)) => {
            debug!(%error, "handshake failed");
            if ingress.is_header(&error, tcp, client) {
                close(tcp).await;
                return None;
            }
            ingress.metrics.handshake_failed(error.reason());
            if let (HandshakeError::Stranger(stranger), Ok(port)) = (error, tcp.local_addr()) {
                // One that has left hears nothing.
                let _ = tcp.write_all(&stranger.answer(port)).await;
            }
            close(tcp).await;
            None
        }
        Err(_) => {
            ingress.metrics.handshake_failed("timed_out");
            None
        }
    }
}
