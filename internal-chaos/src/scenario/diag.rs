//! Which socket is at the other end of a connection: asked of the kernel by netlink (sock_diag(7)),
//! because reading all of `/proc/net/tcp` takes tens of milliseconds on a machine that has seen a
//! connect storm.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;

/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;

const AF_INET: u8 = 2;
const IPPROTO_TCP: u8 = 6;

/// `struct nlmsghdr`, then `struct inet_diag_req_v2`.
const QUESTION: usize = 16 + 56;

/// Where `idiag_state` is in the answer, and that of a socket that listens.
const STATE: usize = 16 + 1;
const LISTEN: u8 = 10;

/// Where `idiag_inode` is in the answer: behind `struct nlmsghdr` and most of
/// `struct inet_diag_msg`.
const INODE: usize = 16 + 4 + 48 + 16;

/// Asks about sockets.
#[derive(Debug)]
pub(super) struct Diag {
    socket: OwnedFd,
}

impl Diag {
    pub(super) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let protocol = Some(netlink::SOCK_DIAG);
        let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, protocol)?;
        Ok(Self { socket })
    }

    /// The inode of the TCP socket that is at `local` and connected to `remote`, both IPv4; `None`
    /// if there is none, or only what is left of a closed one.
    pub(super) fn inode(&self, local: SocketAddr, remote: SocketAddr) -> Option<u64> {
        let question = question(local, remote)?;
        let kernel = SocketAddrNetlink::new(0, 0);
        sendto(&self.socket, &question, SendFlags::empty(), &kernel).ok()?;
        let mut answer = [0; 1_024];
        let (_, length) = recv(&self.socket, &mut answer, RecvFlags::empty()).ok()?;
        inode(answer.get(..length)?)
    }
}

fn question(local: SocketAddr, remote: SocketAddr) -> Option<Vec<u8>> {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (local.ip(), remote.ip()) else {
        return None;
    };
    let mut out = Vec::with_capacity(QUESTION);
    out.extend(u32::try_from(QUESTION).ok()?.to_ne_bytes());
    out.extend(BY_FAMILY.to_ne_bytes());
    out.extend(REQUEST.to_ne_bytes());
    // Sequence and sender: there is one question at a time.
    out.extend([0; 8]);
    // No extensions, sockets in all states.
    out.extend([AF_INET, IPPROTO_TCP, 0, 0]);
    out.extend(u32::MAX.to_ne_bytes());
    out.extend(local.port().to_be_bytes());
    out.extend(remote.port().to_be_bytes());
    for address in [source, destination] {
        out.extend(address.octets());
        out.extend([0; 12]);
    }
    // Any interface, any cookie.
    out.extend([0; 4]);
    out.extend([0xff; 8]);
    Some(out)
}

/// `None` for an error, for a socket without a file, and for one that listens.
fn inode(answer: &[u8]) -> Option<u64> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let inode = u32::from_ne_bytes(answer.get(INODE..INODE + 4)?.try_into().ok()?);
    let listens = *answer.get(STATE)? == LISTEN;
    (kind == BY_FAMILY && inode != 0 && !listens).then_some(inode.into())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_connection_is_found_by_its_addresses() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let client = TcpStream::connect(server).unwrap();
        let local = client.local_addr().unwrap();
        let link = format!("/proc/self/fd/{}", client.as_raw_fd());
        let link = std::fs::read_link(link).unwrap();
        let found = Diag::open().unwrap().inode(local, server).unwrap();
        assert_eq!(link.to_str().unwrap(), format!("socket:[{found}]"));
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let diag = Diag::open().unwrap();
        // One that listens is no end of a connection.
        assert_eq!(diag.inode(address, address), None);
        drop(listener);
        assert_eq!(diag.inode(address, address), None);
    }
}
