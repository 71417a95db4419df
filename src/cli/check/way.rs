//! Whether this host has a route to each peer, and one that is wide enough.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use rustix::net::sockopt::{ip_mtu, ipv6_mtu};

use super::CheckLine;
use crate::config::Config;

const SUBJECT: &str = "route to peer";

/// Smallest UDP payload that QUIC works with (RFC 9000 section 14).
const SMALLEST: u32 = 1_200;

/// What packets of full size take: an Ethernet.
const USUAL: u32 = 1_500;

/// Headers of IP and UDP.
const OVERHEAD_V4: u32 = 28;
const OVERHEAD_V6: u32 = 48;

/// Of peers that the file gives an address; what a name leads to may be another one tomorrow, and
/// `--connect` tries it.
pub(super) fn check(config: &Config) -> Vec<CheckLine> {
    let addresses = config.peers.iter().filter_map(|peer| {
        let ip: IpAddr = peer.address.host.parse().ok()?;
        Some(SocketAddr::new(ip, peer.address.port))
    });
    addresses
        .map(|address| line(address, mtu(address)))
        .collect()
}

/// What the kernel knows of the way to `address`, bytes: the route's MTU, the interface's, or what
/// ICMP has told lately. Nothing is sent.
fn mtu(address: SocketAddr) -> io::Result<u32> {
    let any: IpAddr = match address.ip() {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(address)?;
    let mtu = match address.ip() {
        IpAddr::V4(_) => ip_mtu(&socket),
        IpAddr::V6(_) => ipv6_mtu(&socket),
    };
    Ok(mtu?)
}

fn line(address: SocketAddr, mtu: io::Result<u32>) -> CheckLine {
    let needed = SMALLEST
        + match address.ip() {
            IpAddr::V4(_) => OVERHEAD_V4,
            IpAddr::V6(_) => OVERHEAD_V6,
        };
    let mtu = match mtu {
        Ok(mtu) => mtu,
        Err(error) => {
            let text = format!(
                "{address} is out of reach: {error}; until there is a route, no link comes about; see `ip route get {}`",
                address.ip()
            );
            // The way may come later, with a tunnel or a lease.
            return CheckLine::warn(SUBJECT, text);
        }
    };
    if mtu < needed {
        let text = format!(
            "{address} is behind an MTU of {mtu}: a link takes {needed}, so none comes about; raise the \
             interface's or the route's MTU"
        );
        return CheckLine::fail(SUBJECT, text);
    }
    let note = match mtu < USUAL {
        true => {
            ": sessions over it take smaller packets, and those that were opened elsewhere halves"
        }
        false => "",
    };
    CheckLine::ok(SUBJECT, format!("{address}, MTU {mtu}{note}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_narrow_for_quic_fails() {
        let v4 = "192.0.2.1:4433".parse().unwrap();
        let v6 = "[2001:db8::1]:4433".parse().unwrap();
        for (address, mtu, start) in [
            (
                v4,
                1_227,
                "fail  route to peer: 192.0.2.1:4433 is behind an MTU of 1227:",
            ),
            (
                v4,
                1_228,
                "ok    route to peer: 192.0.2.1:4433, MTU 1228: sessions",
            ),
            (
                v6,
                1_247,
                "fail  route to peer: [2001:db8::1]:4433 is behind an MTU of 1247:",
            ),
            (
                v6,
                1_420,
                "ok    route to peer: [2001:db8::1]:4433, MTU 1420: sessions",
            ),
            (
                v6,
                1_500,
                "ok    route to peer: [2001:db8::1]:4433, MTU 1500",
            ),
        ] {
            let line = line(address, Ok(mtu)).to_string();
            assert!(line.starts_with(start), "{line}");
        }
        let unreachable = io::Error::from(io::ErrorKind::NetworkUnreachable);
        let line = line(v4, Err(unreachable)).to_string();
        assert!(line.starts_with("warn  route to peer: 192.0.2.1:4433 is out of reach: "));
        assert!(line.ends_with("`ip route get 192.0.2.1`"), "{line}");
    }

    #[test]
    fn the_kernel_is_asked() {
        let mtu = mtu(SocketAddr::from((Ipv4Addr::LOCALHOST, 9))).unwrap();
        assert!(mtu >= USUAL, "{mtu}");
    }
}
