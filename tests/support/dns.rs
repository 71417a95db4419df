//! A DNS server with a handful of names.

use std::net::Ipv4Addr;
use std::ops::Deref;

use internal_chaos::names::NameServer;

/// A running server.
pub(crate) struct Dns(NameServer);

impl Dns {
    /// Knows these names and no other.
    pub(crate) fn start(names: &[(&str, Ipv4Addr)]) -> Self {
        Self(NameServer::start(names).expect("127.0.0.1 has a free port"))
    }
}

impl Deref for Dns {
    type Target = NameServer;

    fn deref(&self) -> &NameServer {
        &self.0
    }
}
