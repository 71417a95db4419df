//! The port: accepts clients, each as far as its network has a place left.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::{Ingress, Routes, balanced, socks5};
use crate::accept::Acceptor;
use crate::limit::{Network, Share};
use crate::task::{self, Served};
use crate::tunnel::OpenStream;

/// What a client takes of its network's share.
struct Seat {
    place: Share<Network>,
    /// Given back once it has said what it wants.
    silent: Share<Network>,
}

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

    /// Starts serving who has connected, or closes the connection if its network has its share already.
    fn admit(self: &Arc<Self>, tcp: TcpStream, from: SocketAddr) {
        if self.settings().is_balancer(from.ip()) {
            let behind = self.clone().behind(tcp, from);
            task::serve(Served::Client, self.cut.guard(behind));
        } else if let Some(seat) = self.seat(from) {
            let serving = self.clone().serve(tcp, from, seat);
            task::serve(Served::Client, self.cut.guard(serving));
        }
    }

    /// Serves the client for whom a balancer has connected.
    async fn behind(self: Arc<Self>, mut tcp: TcpStream, balancer: SocketAddr) {
        let Some(silent) = self.silent(balancer) else {
            return;
        };
        let reading = balanced::client(&mut tcp, balancer);
        let client = match timeout(self.handshake_timeout, reading).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => {
                self.metrics.handshake_failed("proxy_header");
                if let Some(untold) = self.bad_headers.turn() {
                    warn!(%balancer, untold, "a balancer's connection is refused: {error}");
                }
                return;
            }
            Err(_) => {
                self.metrics.handshake_failed("timed_out");
                return;
            }
        };
        drop(silent);
        if let Some(seat) = self.seat(client) {
            self.serve(tcp, client, seat).await;
        }
    }

    async fn serve(self: Arc<Self>, tcp: TcpStream, client: SocketAddr, seat: Seat) {
        socks5::serve(&self, tcp, client, seat.silent).await;
        drop(seat.place);
    }

    /// Whether what is no SOCKS5 is the header of a balancer that the file does not name; the log is told.
    pub(super) fn is_header(
        &self,
        error: &socks5::HandshakeError,
        tcp: &TcpStream,
        from: SocketAddr,
    ) -> bool {
        let mut rest = [0; balanced::SIGNATURE];
        let is_stranger = matches!(error, socks5::HandshakeError::Stranger(_));
        let read = is_stranger.then(|| tcp.try_read(&mut rest));
        let Some(Ok(length)) = read else { return false };
        if !balanced::is_rest(&rest[..length]) {
            return false;
        }
        self.metrics.handshake_failed("proxy_header");
        if let Some(untold) = self.bad_headers.turn() {
            warn!(
                %from,
                untold,
                "a PROXY header is refused: socks5.proxy_protocol.from does not name its sender"
            );
        }
        true
    }

    /// The places that a client of this address takes, if its network has any left.
    fn seat(&self, client: SocketAddr) -> Option<Seat> {
        let network = Network::from(client.ip());
        let Some(place) = self.places.take(network) else {
            self.metrics.handshake_failed("max_connections");
            debug!(%client, "client refused: its share of socks5.max_connections is connected");
            return None;
        };
        let silent = self.silent(client)?;
        Some(Seat { place, silent })
    }

    /// A place among those that have not said what they want.
    fn silent(&self, from: SocketAddr) -> Option<Share<Network>> {
        let place = self.handshakes.take(Network::from(from.ip()));
        if place.is_none() {
            self.metrics.handshake_failed("socks_handshakes");
            debug!(%from, "client refused: its share of limits.socks_handshakes is silent");
        }
        place
    }
}
