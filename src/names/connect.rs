//! Connecting to an address, and to nobody else.
//!
//! A port that nobody listens on may be the one that the kernel picks for a connection to it, if it lies
//! in the ephemeral range and on this host. That connection then opens from both ends at once, to itself
//! (simultaneous open, RFC 9293 section 3.5), and whoever made it would talk to himself.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

/// Connects to `address`; to itself is refused, for nobody listens there.
pub async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    refuse_self(TcpStream::connect(address).await?, address.port())
}

/// `tcp`, which leads to that port, unless both its ends are one socket. Dropping such a one frees its port at
/// once.
pub fn refuse_self(tcp: TcpStream, port: u16) -> io::Result<TcpStream> {
    let local = tcp.local_addr()?;
    // Who it is connected to is asked for only if that may be itself.
    if local.port() == port && local == tcp.peer_addr()? {
        // No FIN to itself, and no TIME-WAIT that would keep a later listener off the port.
        let _ = tcp.set_zero_linger();
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(tcp)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// A connection to itself, on purpose: from the port that it goes to.
    async fn selfish(socket: TcpSocket, any: SocketAddr) -> (TcpStream, SocketAddr) {
        socket.bind(any).unwrap();
        let address = socket.local_addr().unwrap();
        (socket.connect(address).await.unwrap(), address)
    }

    #[tokio::test]
    async fn a_connection_to_itself_is_refused_and_leaves_its_port_free() {
        let v4 = (Ipv4Addr::LOCALHOST, 0).into();
        let v6 = (Ipv6Addr::LOCALHOST, 0).into();
        for (socket, any) in [(TcpSocket::new_v4(), v4), (TcpSocket::new_v6(), v6)] {
            let (tcp, address) = selfish(socket.unwrap(), any).await;
            let error = refuse_self(tcp, address.port()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            std::net::TcpListener::bind(address).unwrap();
        }
    }

    #[tokio::test]
    async fn others_are_connected() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let tcp = connect(address).await.unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), address);
    }
}
