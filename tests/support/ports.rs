//! Ports that are free now and stay free while an agent restarts.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the range from which the kernel takes ports of outgoing connections (32768 on Linux), so
/// that no client of a busy test run sits on the port of an agent that is being restarted.
const FIRST: u32 = 20_000;
const SPAN: u32 = 12_000;

/// Distance between the first ports of two test processes with neighbouring process ids.
const STRIDE: u32 = 251;

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// A port that is free for UDP and TCP on loopback and given to nobody else in this process.
pub(crate) fn free_port() -> u16 {
    let start = std::process::id().wrapping_mul(STRIDE) % SPAN;
    for _ in 0..SPAN {
        let offset = (start + TAKEN.fetch_add(1, Ordering::Relaxed)) % SPAN;
        let port = u16::try_from(FIRST + offset).expect("the range ends below 65536");
        let address = (Ipv4Addr::LOCALHOST, port);
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + SPAN);
}
