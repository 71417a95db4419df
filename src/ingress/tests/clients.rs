//! A SOCKS5 client in its smallest pieces.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::tunnel::testing::PATIENCE;

pub(super) struct Client {
    pub(super) tcp: TcpStream,
}

impl Client {
    pub(super) async fn connect(ingress: SocketAddr) -> Self {
        let tcp = TcpStream::connect(ingress).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        Self { tcp }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.tcp.write_all(bytes).await.unwrap();
    }

    pub(super) async fn receive(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let read = self.tcp.read_exact(&mut bytes);
        timeout(PATIENCE, read).await.unwrap().unwrap();
        bytes
    }

    /// The reply's code and BND.ADDR.
    pub(super) async fn reply(&mut self) -> (u8, SocketAddr) {
        let head = self.receive(4).await;
        assert_eq!((head[0], head[2]), (5, 0), "version and reserved byte");
        let ip = match head[3] {
            1 => IpAddr::from(<[u8; 4]>::try_from(self.receive(4).await).unwrap()),
            4 => IpAddr::from(<[u8; 16]>::try_from(self.receive(16).await).unwrap()),
            other => panic!("address type {other}"),
        };
        let port = self.receive(2).await;
        let port = u16::from_be_bytes([port[0], port[1]]);
        (head[1], SocketAddr::new(ip, port))
    }

    /// What still comes until the connection ends.
    pub(super) async fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.tcp.read_to_end(&mut bytes);
        timeout(PATIENCE, read).await.unwrap()?;
        Ok(bytes)
    }

    /// Whether the target echoes.
    pub(super) async fn echoes(&mut self) -> bool {
        self.send(b"over and back").await;
        self.receive(13).await == b"over and back"
    }

    /// RFC 1929; the status byte.
    pub(super) async fn log_in(&mut self, username: &str, password: &str) -> u8 {
        self.send(&[5, 1, 2]).await;
        assert_eq!(self.receive(2).await, [5, 2]);
        let mut message = vec![1, username.len() as u8];
        message.extend_from_slice(username.as_bytes());
        message.push(password.len() as u8);
        message.extend_from_slice(password.as_bytes());
        self.send(&message).await;
        let answer = self.receive(2).await;
        assert_eq!(answer[0], 1, "version of the sub-negotiation");
        answer[1]
    }
}

/// A request with an address.
pub(super) fn request_address(command: u8, address: SocketAddr) -> Vec<u8> {
    let mut request = vec![5, command, 0];
    match address.ip() {
        IpAddr::V4(ip) => {
            request.push(1);
            request.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            request.push(4);
            request.extend_from_slice(&ip.octets());
        }
    }
    request.extend_from_slice(&address.port().to_be_bytes());
    request
}

/// A CONNECT request with a name.
pub(super) fn request_name(name: &str, port: u16) -> Vec<u8> {
    let mut request = vec![5, 1, 0, 3, name.len() as u8];
    request.extend_from_slice(name.as_bytes());
    request.extend_from_slice(&port.to_be_bytes());
    request
}
