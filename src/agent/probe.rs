//! Whether a peer would take a link, asked with this agent's identity and trust.

use std::future::ready;
use std::net::SocketAddr;

use futures_util::StreamExt;

use super::parts::Parts;
use super::resolve::SystemResolver;
use crate::clock::unix_ms;
use crate::config::{Config, Peer};
use crate::identity::{Identity, link_client};
use crate::link::{self, DialError, Resolve};
use crate::names::race;

/// Clocks that are kept by NTP are nearer.
const CLOCK_GRAIN_MS: u64 = 2_000;

/// Dials `peer` as the agent that `config` describes would, and hangs up. Either answer is one
/// sentence for people. Writes nothing.
pub async fn probe(config: &Config, peer: &Peer) -> Result<String, String> {
    let identity = match &config.tls.cert_and_key {
        Some((certificate, key)) => Identity::from_files(certificate, key).map(Some),
        None => Identity::load(&config.agent.data_dir),
    };
    let identity = identity
        .map_err(|error| error.to_string())?
        .ok_or("not dialled, because there is no identity yet; make one with `warren init`")?;
    let parts = Parts::in_memory(config.clone(), identity.value).map_err(|e| e.to_string())?;
    let trust = parts.trust_for(peer).map_err(|e| e.to_string())?;
    let crypto = link_client(&parts.identity, trust, peer.id).map_err(|e| e.to_string())?;
    let mut reason = "it has no address".to_owned();
    let parts = SystemResolver::new().resolve(&peer.address.host);
    let parts = parts.filter_map(|part| ready(part.map_err(|e| reason = e.to_string()).ok()));
    let dial = |address: SocketAddr| {
        let probing = link::probe(address, crypto.clone(), &config.limits);
        async move { Ok::<_, DialError>((address, probing.await?)) }
    };
    // Each attempt ends by itself.
    let patience = 4 * config.limits.handshake_timeout;
    let raced = race(parts, peer.address.port, patience, dial).await;
    match raced {
        Ok((address, probed)) => {
            let rtt = probed.rtt.as_secs_f64() * 1_000.0;
            let name = probed.display_name;
            let clock = ahead(probed.epoch, unix_ms());
            Ok(format!(
                "{address} answers as {name}, round trip {rtt:.1} ms{clock}"
            ))
        }
        Err(failure) => Err(match failure.errors.into_iter().next_back() {
            Some(last) => last.to_string(),
            None => format!("cannot resolve {}: {reason}", peer.address.host),
        }),
    }
}

/// A process that started in our future has another clock. That is all that can be told of a peer's
/// clock before there is a link: one that is behind looks as if it had started earlier.
fn ahead(epoch: u64, now_ms: u64) -> String {
    match epoch.saturating_sub(now_ms) {
        0..=CLOCK_GRAIN_MS => String::new(),
        ahead => format!(
            "; its clock is at least {} s ahead of this host's: agents leave each other out of the mesh \
             beyond 120 s",
            ahead / 1_000
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Agent;
    use super::*;
    use crate::cli::check::fixture;
    use crate::config::HostPort;
    use crate::identity::AgentId;

    /// A listening agent that accepts `allowed` alone.
    async fn listening(allowed: AgentId) -> (Agent, AgentId) {
        let mut config = fixture::exit();
        config.agent.display_name = Some("exit-a".into());
        config.allow = [allowed].into();
        config.http = None;
        let parts = Parts::in_memory(config, Identity::ephemeral().unwrap()).unwrap();
        let id = parts.id();
        (Agent::start(parts).await.unwrap(), id)
    }

    fn dialling(data_dir: &Path, id: AgentId, address: SocketAddr) -> Config {
        let mut config = fixture::ingress();
        config.agent.data_dir = data_dir.to_owned();
        config.peers[0].id = id;
        config.peers[0].address = HostPort {
            host: address.ip().to_string(),
            port: address.port(),
        };
        config
    }

    #[tokio::test]
    async fn a_peer_that_accepts_us_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let own = Identity::load_or_create(dir.path()).unwrap().value.id();
        let (agent, id) = listening(own).await;
        let config = dialling(dir.path(), id, agent.listeners()[0]);
        let how = probe(&config, &config.peers[0]).await.unwrap();
        assert!(how.contains("answers as exit-a, round trip"), "{how}");
        agent.shutdown().await;
    }

    #[test]
    fn a_peer_from_the_future_has_another_clock() {
        assert_eq!(ahead(1_000, 1_000_000), "");
        assert_eq!(ahead(1_002_000, 1_000_000), "");
        let told = ahead(1_180_000, 1_000_000);
        assert!(told.contains("at least 180 s ahead"), "{told}");
    }

    #[tokio::test]
    async fn refusals_of_either_side_are_told() {
        let dir = tempfile::tempdir().unwrap();
        Identity::load_or_create(dir.path()).unwrap();
        let (agent, id) = listening(AgentId([1; 16])).await;
        let address = agent.listeners()[0];
        let config = dialling(dir.path(), id, address);
        let why = probe(&config, &config.peers[0]).await.unwrap_err();
        assert!(why.contains(&address.to_string()), "{why}");

        let config = dialling(dir.path(), AgentId([2; 16]), address);
        let why = probe(&config, &config.peers[0]).await.unwrap_err();
        assert!(why.contains("handshake with"), "{why}");
        assert!(why.contains(&id.to_string()), "{why}");
        agent.shutdown().await;
    }

    #[tokio::test]
    async fn without_an_identity_nobody_is_dialled() {
        let dir = tempfile::tempdir().unwrap();
        let nowhere = "127.0.0.1:9".parse().unwrap();
        let config = dialling(dir.path(), AgentId([2; 16]), nowhere);
        let why = probe(&config, &config.peers[0]).await.unwrap_err();
        assert!(why.contains("warren init"), "{why}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
