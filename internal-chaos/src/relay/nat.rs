//! The address translation of a relay: one outward socket for each client.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use rustix::net::sockopt;

/// Clients at once: a mesh of tests has a handful. At the limit the one that was silent for
/// longest loses its mapping, as in a NAT whose table is full.
pub const MOST_FLOWS: usize = 256;

/// Larger than any burst of an agent, so that only the pipes drop: at 200 Mbit/s the room for a
/// thread that gets no core for 150 ms.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// The mappings.
#[derive(Debug)]
pub(super) struct Nat {
    server: SocketAddr,
    flows: BTreeMap<u64, Flow>,
    by_client: BTreeMap<SocketAddr, u64>,
    next: u64,
    /// Moves with every change of the sockets.
    generation: u64,
}

#[derive(Debug)]
struct Flow {
    client: SocketAddr,
    /// Connected to the server, so that nobody else is heard.
    outward: Arc<UdpSocket>,
    heard: Instant,
}

impl Nat {
    pub(super) fn new(server: SocketAddr) -> Self {
        Self {
            server,
            flows: BTreeMap::new(),
            by_client: BTreeMap::new(),
            next: 0,
            generation: 0,
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    /// The flow of a client that just sent something; a new client gets a socket.
    pub(super) fn flow_of(&mut self, now: Instant, client: SocketAddr) -> io::Result<u64> {
        if let Some(number) = self.by_client.get(&client) {
            if let Some(flow) = self.flows.get_mut(number) {
                flow.heard = now;
            }
            return Ok(*number);
        }
        let outward = Arc::new(outward(self.server)?);
        if self.flows.len() >= MOST_FLOWS {
            self.forget_quietest();
        }
        let number = self.next;
        self.next += 1;
        self.generation += 1;
        self.by_client.insert(client, number);
        let flow = Flow {
            client,
            outward,
            heard: now,
        };
        self.flows.insert(number, flow);
        Ok(number)
    }

    pub(super) fn client(&self, flow: u64) -> Option<SocketAddr> {
        self.flows.get(&flow).map(|flow| flow.client)
    }

    pub(super) fn outward(&self, flow: u64) -> Option<&UdpSocket> {
        self.flows.get(&flow).map(|flow| &*flow.outward)
    }

    /// All sockets, with their flows.
    pub(super) fn sockets(&self) -> Vec<(u64, Arc<UdpSocket>)> {
        let flows = self.flows.iter();
        flows
            .map(|(number, flow)| (*number, Arc::clone(&flow.outward)))
            .collect()
    }

    /// Gives every flow another outward port. At an error the rest keep theirs.
    pub(super) fn rebind(&mut self) -> io::Result<()> {
        self.generation += 1;
        for flow in self.flows.values_mut() {
            flow.outward = Arc::new(outward(self.server)?);
        }
        Ok(())
    }

    fn forget_quietest(&mut self) {
        let quietest = self.flows.iter().min_by_key(|(_, flow)| flow.heard);
        if let Some((number, client)) = quietest.map(|(number, flow)| (*number, flow.client)) {
            self.flows.remove(&number);
            self.by_client.remove(&client);
        }
    }
}

/// A socket for a relay: it never blocks, and holds as much as the system grants.
pub(super) fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(enlarged(socket))
}

/// With as large a receive buffer as the system grants.
pub(super) fn enlarged(socket: UdpSocket) -> UdpSocket {
    // Beyond the system's limit only for root; less will do on an idle machine.
    if sockopt::set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER);
    }
    socket
}

fn outward(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = socket((any, 0).into())?;
    // From here on its own address is the one that leads to the server: loopback stays loopback.
    socket.connect(server)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_quietest_client_makes_room() {
        let mut nat = Nat::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 9)));
        let start = Instant::now();
        let client = |number: usize| {
            let port = u16::try_from(10_000 + number).unwrap();
            SocketAddr::from((Ipv4Addr::LOCALHOST, port))
        };
        let at = |number: usize| start + Duration::from_millis(number as u64);
        for number in 0..MOST_FLOWS {
            nat.flow_of(at(number), client(number)).unwrap();
        }
        // The first one speaks again, so the second is the quietest.
        let first = nat.flow_of(at(MOST_FLOWS), client(0)).unwrap();
        let second = nat.by_client[&client(1)];
        let before = nat.generation();
        nat.flow_of(at(MOST_FLOWS), client(MOST_FLOWS)).unwrap();
        assert_eq!(nat.len(), MOST_FLOWS);
        assert!(nat.generation() > before);
        assert_eq!(nat.client(first), Some(client(0)));
        assert_eq!(nat.client(second), None);
    }

    #[test]
    fn ports_change_together() {
        let mut nat = Nat::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 9)));
        let client = SocketAddr::from((Ipv4Addr::LOCALHOST, 10_000));
        let flow = nat.flow_of(Instant::now(), client).unwrap();
        let port = |nat: &Nat| nat.outward(flow).unwrap().local_addr().unwrap();
        let before = port(&nat);
        nat.rebind().unwrap();
        assert_ne!(port(&nat), before);
        assert!(port(&nat).ip().is_loopback());
    }
}
