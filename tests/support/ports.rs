//! Ports that are free now and stay free while an agent restarts.

use internal_chaos::ports::Ports;

/// A port that is free for UDP and TCP on loopback and given to nobody else in this process.
pub(crate) fn free_port() -> u16 {
    let address = Ports::default().take();
    address.expect("loopback has a free port").port()
}
