//! Ports that are free now and stay free while an agent restarts.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::bail;

/// Below the range from which the kernel takes ports of outgoing connections (32768 on Linux), so
/// that no client sits on the port of an agent that is being restarted.
const FIRST: u32 = 20_000;
const SPAN: u32 = 12_000;

/// Distance between the first ports of two processes with neighbouring process ids.
const STRIDE: u32 = 251;

/// How many were tried in this process, so that meshes that run beside each other share none.
static TRIED: AtomicU32 = AtomicU32::new(0);

/// Hands out loopback addresses, none twice.
#[derive(Debug)]
pub struct Ports {
    first: u32,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            first: std::process::id().wrapping_mul(STRIDE) % SPAN,
        }
    }
}

impl Ports {
    /// An address whose port is free for UDP and TCP.
    pub fn take(&self) -> anyhow::Result<SocketAddr> {
        for _ in 0..SPAN {
            let tried = TRIED.fetch_add(1, Ordering::Relaxed) % SPAN;
            let port = u16::try_from(FIRST + (self.first + tried) % SPAN)?;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
                return Ok(address);
            }
        }
        bail!("no free port between {FIRST} and {}", FIRST + SPAN)
    }
}
