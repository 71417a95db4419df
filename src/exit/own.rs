//! This agent's own listeners, which no route leads to: behind them a stranger would look like
//! somebody on this host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::special::contained;

/// Where this agent listens, by whatever protocol.
#[derive(Clone, Debug, Default)]
pub struct OwnListeners(Vec<SocketAddr>);

impl OwnListeners {
    pub fn new(listeners: impl IntoIterator<Item = SocketAddr>) -> Self {
        let canonical = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
        Self(listeners.into_iter().map(canonical).collect())
    }

    /// Whether a connection to `target`, in its canonical form, would arrive at one of them.
    pub(super) fn take(&self, target: SocketAddr) -> bool {
        let same_port = |own: &&SocketAddr| own.port() == target.port();
        let mut candidates = self.0.iter().filter(same_port).peekable();
        if candidates.peek().is_none() {
            return false;
        }
        let carried = contained(target.ip()).into_iter().map(IpAddr::V4);
        let meant: Vec<IpAddr> = [target.ip()].into_iter().chain(carried).collect();
        // Asked only for ports of ours, so that dialling others costs no system call more.
        let local = meant.iter().any(|ip| is_local(*ip));
        candidates.any(|own| match own.ip() {
            any if any.is_unspecified() => local,
            ip => meant.contains(&ip),
        })
    }
}

/// Whether `ip` is this host's: the kernel then answers from that very address.
fn is_local(ip: IpAddr) -> bool {
    if ip.is_loopback() || ip.is_unspecified() {
        return true;
    }
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Connecting a UDP socket sends nothing. The port is of no matter, but must not be 0.
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_listener_is_known_by_every_address_that_leads_to_it() {
        let own = OwnListeners::new([at("[::]:4433"), at("127.0.0.1:8080"), at("0.0.0.0:1080")]);
        for (target, is_own) in [
            ("127.0.0.1:4433", true),
            ("127.9.9.9:4433", true),
            ("[::1]:4433", true),
            ("[64:ff9b::127.0.0.1]:4433", true),
            ("[::1]:1080", true),
            ("192.0.2.1:4433", false),
            ("[2001:db8::1]:4433", false),
            ("127.0.0.1:8080", true),
            ("[::127.0.0.1]:8080", true),
            ("127.0.0.2:8080", false),
            ("127.0.0.1:8081", false),
        ] {
            assert_eq!(own.take(at(target)), is_own, "{target}");
        }
    }
}
