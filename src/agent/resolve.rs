//! Names of peers, resolved as the system is configured to.

use std::net::IpAddr;

use hickory_resolver::TokioResolver;

use crate::link::Resolve;

/// Asks the system's resolvers and hosts file anew for every dial, so that a peer that moved is
/// found.
pub(super) struct SystemResolver;

impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![ip]);
        }
        let mut builder = TokioResolver::builder_tokio()
            .map_err(|error| format!("cannot read the system's resolver configuration: {error}"))?;
        builder.options_mut().cache_size = 0;
        let resolver = builder.build().map_err(|error| error.to_string())?;
        let found = resolver
            .lookup_ip(host)
            .await
            .map_err(|error| error.to_string())?;
        Ok(found.iter().collect())
    }
}
