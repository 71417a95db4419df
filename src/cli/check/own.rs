//! Whether the agent of the file runs already: then its ports are taken, and by whom they should be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hyper::StatusCode;

use super::super::client::ApiArgs;
use crate::api::Health;
use crate::config::{Config, HostPort};
use crate::identity::{AgentId, Identity};

/// Asks whoever answers at the file's `http.address` for its id.
pub(super) fn runs(config: &Config) -> bool {
    let (Some(own), Some(api)) = (id(config), api(config)) else {
        return false;
    };
    let answers = |status| matches!(status, StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE);
    let health = ApiArgs::at(api).fetch_if::<Health>("/healthz", answers);
    health.is_ok_and(|health| health.agent_id == own)
}

fn id(config: &Config) -> Option<AgentId> {
    let identity = match &config.tls.cert_and_key {
        Some((certificate, key)) => Identity::from_pem(certificate, key).ok()?,
        None => Identity::load(&config.agent.data_dir).ok()??,
    };
    Some(identity.value.id())
}

/// Where the file's agent serves HTTP, as this host reaches it.
fn api(config: &Config) -> Option<HostPort> {
    let address = config.http.as_ref()?.address;
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Some(HostPort {
        host: ip.to_string(),
        port: address.port(),
    })
}
