//! The port: accepts clients, each as far as its network has a place left.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, warn};

use super::{Ingress, Routes, socks5};
use crate::limit::Network;
use crate::task::{self, Served};
use crate::tunnel::OpenStream;

/// How long accepting rests after the kernel refused to (no file descriptors, no memory).
const ACCEPT_REST: Duration = Duration::from_millis(100);

impl<T: OpenStream, R: Routes> Ingress<T, R> {
    /// Accepts clients for ever.
    pub async fn run(self: Arc<Self>, listener: TcpListener) {
        let mut failing = false;
        loop {
            match listener.accept().await {
                Ok((tcp, client)) => {
                    failing = false;
                    self.admit(tcp, client);
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        warn!(%error, "accepting SOCKS5 clients fails; check the limit of open files");
                    }
                    self.metrics.handshake_failed("accept");
                    if !is_of_one_client(&error) {
                        tokio::time::sleep(ACCEPT_REST).await;
                    }
                }
            }
        }
    }

    /// Starts serving a client, or closes its connection if its network has its share already.
    fn admit(self: &Arc<Self>, tcp: TcpStream, client: SocketAddr) {
        let network = Network::from(client.ip());
        let Some(place) = self.places.take(network) else {
            self.metrics.handshake_failed("max_connections");
            debug!(%client, "client refused: its share of socks5.max_connections is connected");
            return;
        };
        let Some(handshake) = self.handshakes.take(network) else {
            self.metrics.handshake_failed("socks_handshakes");
            debug!(%client, "client refused: its share of limits.socks_handshakes is silent");
            return;
        };
        let ingress = self.clone();
        task::serve(Served::Client, async move {
            socks5::serve(&ingress, tcp, client, handshake).await;
            drop(place);
        });
    }
}

/// Whether an accept error is about the one connection that was to be accepted.
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
