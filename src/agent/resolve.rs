//! Names of peers, resolved as the system is configured to.

use std::time::Duration;

use crate::link::Resolve;
use crate::names::{Lookup, Resolver, SystemFiles, host_families};

/// For one name: what glibc gives one server.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks the system's resolvers and hosts file anew for every dial, so that a peer that moved is
/// found.
pub(super) struct SystemResolver(Resolver);

impl SystemResolver {
    pub(super) fn new() -> Self {
        Self(Resolver::of_system(&SystemFiles::default(), TIMEOUT, false))
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str) -> Lookup {
        self.0.lookup(host, host_families())
    }
}
