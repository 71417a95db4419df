//! How many connections a file allows: what limits of the host are measured by.

use crate::config::Config;

/// Of clients, targets and HTTP together: a descriptor each.
pub(super) fn all(config: &Config) -> usize {
    let clients = config.socks5.as_ref().map_or(0, |s| s.max_connections);
    let http = config
        .http
        .as_ref()
        .map_or(0, |_| config.limits.http_connections);
    [clients, targets(config), http]
        .into_iter()
        .fold(0, usize::saturating_add)
}

/// That this agent opens.
pub(super) fn targets(config: &Config) -> usize {
    let exit = config.exit.as_ref();
    exit.map_or(0, |_| config.limits.exit_connections)
}

/// Entries in the kernel's table: as many, and one for each peer.
pub(super) fn tracked(config: &Config) -> u64 {
    all(config).saturating_add(config.peers.len()) as u64
}
