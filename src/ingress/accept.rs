//! The port: accepts clients, each as far as its network has a place left.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

use super::{Ingress, Routes, socks5};
use crate::accept::Acceptor;
use crate::limit::Network;
use crate::task::{self, Served};
use crate::tunnel::OpenStream;

impl<T: OpenStream, R: Routes> Ingress<T, R> {
    /// Accepts clients until `closed`, and then those that have come already.
    pub async fn run(self: Arc<Self>, listener: TcpListener, closed: impl Future<Output = ()>) {
        let mut acceptor = Acceptor::new("SOCKS5");
        let mut closed = pin!(closed);
        loop {
            let failed = || self.metrics.handshake_failed("accept");
            let (tcp, client) = tokio::select! {
                // Who waits in the kernel would be reset with the port.
                biased;
                accepted = acceptor.next(|| listener.accept(), failed) => accepted,
                () = &mut closed => return,
            };
            self.admit(tcp, client);
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
        let serving = async move {
            socks5::serve(&ingress, tcp, client, handshake).await;
            drop(place);
        };
        task::serve(Served::Client, self.cut.guard(serving));
    }
}
